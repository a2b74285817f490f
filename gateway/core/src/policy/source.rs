//! Policy files: where in them each policy stands.

use std::sync::Arc;

use super::fault::{Fault, Severity};

/// A policy file, read by the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name, as messages shall show it.
    pub file: String,
    /// Its text.
    pub text: String,
}

/// A file with what is needed to say where in it something stands.
#[derive(Clone, Debug)]
pub(super) struct Map {
    pub(super) file: Arc<str>,
    text: String,
    /// The text with its comments blanked, byte for byte as long.
    code: String,
    line_starts: Vec<usize>,
}

impl Map {
    pub(super) fn new(source: &Source) -> Self {
        let newlines = source.text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        let line_starts = std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect();
        Self {
            file: Arc::from(source.file.as_str()),
            text: source.text.clone(),
            code: blank_comments(&source.text),
            line_starts,
        }
    }

    /// Where the policy with this text begins, looking from `cursor` on, comments left aside.
    pub(super) fn find(&self, policy: &str, cursor: usize) -> Option<usize> {
        let found = self.code.get(cursor..)?.find(&blank_comments(policy))?;
        Some(cursor + found)
    }

    /// Where the entity stands within the policy that begins at `start`; the policy's own place if
    /// it is written in an unusual way.
    pub(super) fn find_entity(&self, start: usize, entity: &str) -> usize {
        let found = self.code.get(start..).and_then(|code| code.find(entity));
        found.map_or(start, |at| start + at)
    }

    /// Line and column, both from 1, of a byte.
    pub(super) fn place(&self, offset: usize) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= offset).max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..offset).map_or(0, |text| text.chars().count());
        (line, before + 1)
    }

    /// A fault at a byte of this file.
    pub(super) fn fault(&self, offset: usize, message: String, help: Option<String>) -> Fault {
        let (line, column) = self.place(offset);
        let file = self.file.to_string();
        Fault { severity: Severity::Fault, file, line, column, message, help }
    }
}

/// Replaces every comment by spaces. A `//` inside a string is no comment.
fn blank_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['"', '/']) {
        let (before, from) = rest.split_at(at);
        code.push_str(before);
        let length = if from.starts_with("//") {
            let length = from.find('\n').unwrap_or(from.len());
            code.extend(std::iter::repeat_n(' ', length));
            length
        } else {
            let length = if from.starts_with('"') { string_length(from) } else { 1 };
            code.push_str(from.get(..length).unwrap_or_default());
            length
        };
        rest = from.get(length..).unwrap_or_default();
    }
    code.push_str(rest);
    code
}

/// The length of the string literal with which `text` begins, with its quotes.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            '"' if !escaped => return at + 1,
            _ => escaped = character == '\\' && !escaped,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_blanked_and_strings_are_not() {
        for (text, expected) in [
            ("a // b\nc", "a     \nc"),
            ("\"//\" // x", "\"//\"     "),
            (r#""\"//" // x"#, r#""\"//"     "#),
            (r#""\\" // x"#, r#""\\"     "#),
            ("a / b", "a / b"),
            ("// ä", "     "),
            ("\"open // string", "\"open // string"),
        ] {
            assert_eq!(blank_comments(text), expected, "{text}");
            assert_eq!(blank_comments(text).len(), text.len());
        }
    }

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let source = Source { file: String::from("f"), text: String::from("ab\nä c\n") };
        let map = Map::new(&source);
        for (offset, place) in [(0, (1, 1)), (1, (1, 2)), (3, (2, 1)), (6, (2, 3)), (8, (3, 1))] {
            assert_eq!(map.place(offset), place, "{offset}");
        }
    }
}
