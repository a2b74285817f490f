//! What is wrong with a set of policies, said so that the operator can mend it.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The bundle cannot be used.
    Fault,
    /// The bundle can be used, but probably does not say what was meant.
    Warning,
}

/// One thing that is wrong, where it is, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// How bad it is.
    pub severity: Severity,
    /// The file; `configuration` for what does not come from a policy file.
    pub file: String,
    /// The line, from 1; 0 if the fault is in no particular one.
    pub line: usize,
    /// The column in characters, from 1; 0 if the fault is in no particular one.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Fault {
    /// A fault of the configuration rather than of a policy file.
    pub(super) fn of_configuration(message: String, help: &str) -> Self {
        Self {
            severity: Severity::Fault,
            file: String::from("configuration"),
            line: 0,
            column: 0,
            message,
            help: Some(help.to_owned()),
        }
    }

    /// The same, as a warning.
    pub(super) fn into_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }
}

/// `file:line:column: fault: message` and, on a line of its own, the help.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        let severity = match self.severity {
            Severity::Fault => "fault",
            Severity::Warning => "warning",
        };
        write!(f, ": {severity}: {}", self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

/// The known name that `unknown` was most likely meant to be, if one is near enough.
pub(super) fn nearest<'a>(
    unknown: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let allowed = (unknown.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| (distance(unknown, name), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein's distance, over one row. Names are at most a few hundred characters.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().take(256).collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().take(256).enumerate() {
        let mut left = i + 1;
        let mut diagonal = i;
        let mut next = vec![left];
        for (b, above) in to.iter().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(a != *b)).min(above + 1).min(left + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_within_a_third() {
        let known = ["orders-db", "kv", "static"];
        for (unknown, expected) in [
            ("order-db", Some("orders-db")),
            ("ordersdb", Some("orders-db")),
            ("vk", None),
            ("kw", Some("kv")),
            ("statics", Some("static")),
            ("completely-else", None),
            ("", None),
        ] {
            assert_eq!(nearest(unknown, known), expected, "{unknown}");
        }
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
