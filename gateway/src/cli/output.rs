//! The only place that writes to standard output and standard error.
//!
//! Results go to standard output, everything else to standard error. A reader that stops reading
//! (`| head`) is no failure.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use super::failure::Failure;

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Form {
    /// For eyes.
    Table,
    /// For programs: one JSON document.
    Json,
}

/// Writes one line of result.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    written(write_all(&mut io::stdout().lock(), &[text.as_bytes(), b"\n"]))
}

/// Writes bytes as they are; a line break is added for a terminal only.
pub(super) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let end: &[u8] = if out.is_terminal() && !bytes.ends_with(b"\n") { b"\n" } else { b"" };
    written(write_all(&mut out, &[bytes, end]))
}

/// Writes a note that is no result. Where even that fails there is nobody to tell.
pub(super) fn note(text: &str) {
    let _unheard = write_all(&mut io::stderr().lock(), &[text.as_bytes(), b"\n"]);
}

/// Shows a JSON value in the form asked for; `columns` come first where it is a list of objects.
pub(super) fn value(value: &Value, form: Form, columns: &[&str]) -> Result<(), Failure> {
    match form {
        Form::Json => line(&format!("{value:#}")),
        Form::Table => line(&table(value, columns)),
    }
}

fn write_all(out: &mut impl Write, parts: &[&[u8]]) -> io::Result<()> {
    parts.iter().try_for_each(|part| out.write_all(part))?;
    out.flush()
}

fn written(outcome: io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write the result: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A list of objects as columns, an object as lines of key and value, with lists within it below.
fn table(value: &Value, columns: &[&str]) -> String {
    match value {
        Value::Array(rows) => rows_table(rows, columns),
        Value::Object(map) => {
            let plain = map.iter().filter(|(_, value)| rows(value).is_none());
            let lines: Vec<_> = plain.map(|(key, value)| vec![key.clone(), cell(value)]).collect();
            let lists = map.iter().filter_map(|(key, value)| {
                Some(format!("\n{key}:\n{}", rows_table(&rows(value)?, columns)))
            });
            let head = if lines.is_empty() { None } else { Some(aligned(&lines)) };
            head.into_iter().chain(lists).collect::<Vec<_>>().join("\n").trim_start().to_owned()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => cell(value),
    }
}

/// The rows of a list of objects, or of an object of objects under their names.
fn rows(value: &Value) -> Option<Vec<Value>> {
    if let Some(items) = value.as_array() {
        return items.iter().any(Value::is_object).then(|| items.clone());
    }
    let named = |(name, row): (&String, &Value)| {
        let mut row = row.as_object()?.clone();
        row.insert("name".to_owned(), Value::from(name.as_str()));
        Some(Value::Object(row))
    };
    let map = value.as_object().filter(|map| !map.is_empty())?;
    map.iter().map(named).collect()
}

fn rows_table(rows: &[Value], columns: &[&str]) -> String {
    let has = |column: &str| rows.iter().any(|row| row.get(column).is_some());
    let mut shown: Vec<&str> = columns.iter().copied().filter(|column| has(column)).collect();
    for key in rows.iter().filter_map(Value::as_object).flat_map(|row| row.keys()) {
        if !shown.contains(&key.as_str()) {
            shown.push(key);
        }
    }
    if shown.is_empty() {
        return if rows.is_empty() {
            "none".to_owned()
        } else {
            cell(&Value::Array(rows.to_vec()))
        };
    }
    let head = shown.iter().map(|column| column.to_uppercase().replace('_', " ")).collect();
    let body = rows.iter().map(|row| {
        shown.iter().map(|column| row.get(column).map_or_else(|| "-".to_owned(), cell)).collect()
    });
    aligned(&std::iter::once(head).chain(body).collect::<Vec<Vec<String>>>())
}

fn aligned(lines: &[Vec<String>]) -> String {
    let count = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..count).map(|column| width(column).unwrap_or(0)).collect();
    let padded = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(padded).collect::<Vec<_>>().join("\n")
}

/// A value on one line. Control characters are escaped: what is shown may come from a plugin, and
/// must not speak to the terminal.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => {
            let escape =
                |c: char| if c.is_control() { c.escape_default().collect() } else { c.to_string() };
            text.chars().map(escape).collect()
        }
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(map) => {
            let pairs = map.iter().map(|(key, value)| format!("{key}={}", cell(value)));
            pairs.collect::<Vec<_>>().join(" ")
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_become_columns_with_the_known_ones_first() {
        let rows = json!([{ "b": 1, "name": "kv" }, { "name": "longer", "c": ["x", "y"] }]);
        let expected = "NAME    B  C\nkv      1  -\nlonger  -  x, y";
        assert_eq!(table(&rows, &["name", "absent"]), expected);
        assert_eq!(table(&json!([]), &["name"]), "none");
    }

    #[test]
    fn an_object_becomes_lines_with_its_lists_below() {
        let value = json!({ "ready": true, "keys": [{ "id": "1" }], "version": "0.1.0" });
        assert_eq!(table(&value, &[]), "ready    true\nversion  0.1.0\n\nkeys:\nID\n1");
        let value = json!({ "backends": { "kv": { "state": "ready" } } });
        assert_eq!(table(&value, &["name"]), "backends:\nNAME  STATE\nkv    ready");
    }

    #[test]
    fn nothing_speaks_to_the_terminal() {
        assert_eq!(cell(&json!("\u{1b}[31mred\n")), "\\u{1b}[31mred\\n");
    }
}
