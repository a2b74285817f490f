//! A statement, built piece by piece; usually by the macro [`sql!`](crate::sql!).

use std::fmt;

use crate::bindings::sql::symbolon::plugin::sql::{Fragment, Value};

/// One statement, in pieces.
#[derive(Clone, Default)]
#[must_use = "a statement does nothing until it is run"]
pub struct Statement(Vec<Fragment>);

impl Statement {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// SQL of the plugin's own, fixed when it was compiled.
    pub fn raw(self, text: &'static str) -> Self {
        self.text(text.to_owned())
    }

    /// A name, which the host quotes.
    pub fn identifier(self, name: impl AsRef<str>) -> Self {
        self.with(Fragment::Identifier(name.as_ref().to_owned()))
    }

    /// Names, divided by commas; each is quoted.
    pub fn identifiers<T: AsRef<str>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        for (index, name) in names.into_iter().enumerate() {
            self = if index == 0 { self } else { self.raw(", ") }.identifier(name);
        }
        self
    }

    /// A value, which the host quotes.
    pub fn literal(self, value: impl AsRef<str>) -> Self {
        self.with(Fragment::Literal(value.as_ref().to_owned()))
    }

    /// A number.
    pub fn number(self, value: impl Into<u64>) -> Self {
        // Digits need no quotes and cannot be anything else.
        self.text(value.into().to_string())
    }

    /// A material of this call, which the host fills in and quotes.
    pub fn material(self, name: &'static str) -> Self {
        self.with(Fragment::Material(name.to_owned()))
    }

    /// A bind parameter; not in a utility statement.
    pub fn parameter(self, value: impl Into<Value>) -> Self {
        self.with(Fragment::Parameter(value.into()))
    }

    /// More of the statement.
    pub fn then(mut self, rest: Self) -> Self {
        self.0.extend(rest.0);
        self
    }

    /// SQL that is known to be whole tokens outside of any quotes.
    pub(super) fn text(self, text: String) -> Self {
        self.with(Fragment::Raw(text))
    }

    fn with(mut self, fragment: Fragment) -> Self {
        self.0.push(fragment);
        self
    }

    pub(super) fn into_fragments(self) -> Vec<Fragment> {
        self.0
    }
}

/// The statement with each piece marked by its kind: `DROP ROLE <identifier x>`.
impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|fragment| match fragment {
            Fragment::Raw(text) => f.write_str(text),
            Fragment::Identifier(name) => write!(f, "<identifier {name}>"),
            Fragment::Literal(value) => write!(f, "<literal {value}>"),
            Fragment::Material(name) => write!(f, "<material {name}>"),
            Fragment::Parameter(value) => write!(f, "<parameter {value:?}>"),
        })
    }
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Boolean(truth)
    }
}

/// A [`Statement`](crate::sql::Statement): literals are SQL, and each value says what it is:
/// `sql!("DROP ROLE ", identifier(name))`.
#[macro_export]
macro_rules! sql {
    (@ $statement:expr;) => { $statement };
    (@ $statement:expr; $text:literal $(, $($rest:tt)*)?) => {
        $crate::sql!(@ $statement.raw($text); $($($rest)*)?)
    };
    (@ $statement:expr; $kind:ident($value:expr) $(, $($rest:tt)*)?) => {
        $crate::sql!(@ $statement.$kind($value); $($($rest)*)?)
    };
    ($($piece:tt)+) => { $crate::sql!(@ $crate::sql::Statement::new(); $($piece)+) };
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_value_keeps_its_kind_whatever_it_holds() {
        let hostile = r#"x"; DROP ROLE postgres; --"#;
        let statement = sql!(
            "CREATE ROLE ",
            identifier(hostile),
            " IN ROLE ",
            identifiers(["a", "b\"c"]),
            " CONNECTION LIMIT ",
            number(5_u32),
            " PASSWORD ",
            material("password_verifier"),
            " VALID UNTIL ",
            literal("'; --"),
        );
        assert_eq!(
            statement.to_string(),
            "CREATE ROLE <identifier x\"; DROP ROLE postgres; --> IN ROLE <identifier a>, \
             <identifier b\"c> CONNECTION LIMIT 5 PASSWORD <material password_verifier> \
             VALID UNTIL <literal '; -->"
        );
    }
}
