//! What was wanted held against what was there, as differences for a person.
//!
//! Used for both sides of a plugin: requests, which must be exactly those of the script, and
//! outcomes, of which a script names the members that matter.

use serde_json::{Map, Value};

const ANY: &str = "${any}";
/// Longest piece of a value that is shown.
const SHOWN: usize = 200;

/// How members of objects are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Members {
    /// None may be there that is not wanted.
    Exactly,
    /// Only those that are wanted are looked at.
    AtLeast,
}

/// Whether a text is the wanted one, in which `${any}` stands for anything.
pub(crate) fn fits(wanted: &str, found: &str) -> bool {
    let mut pieces = wanted.split(ANY);
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = found.strip_prefix(first) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else { return rest.is_empty() };
    for piece in middle {
        let Some((_, after)) = rest.split_once(piece) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

/// The differences at and below `at`.
pub(crate) fn differences(
    wanted: &Value,
    found: &Value,
    members: Members,
    at: &str,
) -> Vec<String> {
    match (wanted, found) {
        (Value::String(any), _) if any == ANY => Vec::new(),
        (Value::String(wanted), Value::String(found)) if fits(wanted, found) => Vec::new(),
        (Value::Object(wanted), Value::Object(found)) => in_objects(wanted, found, members, at),
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            let pairs = wanted.iter().zip(found).enumerate();
            pairs
                .flat_map(|(n, (w, f))| differences(w, f, members, &format!("{at}[{n}]")))
                .collect()
        }
        (wanted, found) if wanted == found => Vec::new(),
        (wanted, found) => vec![format!("{at}: wanted {}, found {}", shown(wanted), shown(found))],
    }
}

fn in_objects(
    wanted: &Map<String, Value>,
    found: &Map<String, Value>,
    members: Members,
    at: &str,
) -> Vec<String> {
    let below = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    let mut all: Vec<String> = wanted
        .iter()
        .flat_map(|(name, wanted)| {
            let found = found.get(name).unwrap_or(&Value::Null);
            differences(wanted, found, members, &below(name))
        })
        .collect();
    if members == Members::Exactly {
        let unwanted = found.iter().filter(|(name, _)| !wanted.contains_key(*name));
        all.extend(unwanted.map(|(name, v)| format!("{}: unwanted {}", below(name), shown(v))));
    }
    all
}

/// A value on one line, cut.
pub(crate) fn shown(value: &Value) -> String {
    cut(&value.to_string())
}

/// A text on one line, cut.
pub(crate) fn cut(text: &str) -> String {
    let plain: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    let plain = plain.replace("\\\"", "\"").replace("\\'", "'");
    if text.chars().count() > SHOWN { format!("{plain}…") } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn any_stands_for_anything_within_a_text() {
        for (wanted, found, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("${any}", "", true),
            ("a${any}", "abc", true),
            ("${any}c", "abc", true),
            ("a${any}c${any}e", "abcde", true),
            ("a${any}x${any}e", "abcde", false),
            ("ab${any}ba", "aba", false),
        ] {
            assert_eq!(fits(wanted, found), expected, "{wanted} {found}");
        }
    }

    #[test]
    fn differences_have_their_place() {
        let (wanted, found) =
            (json!({"a": {"b": [1, "${any}"]}, "c": null}), json!({"a": {"b": [2, 3]}, "d": 1}));
        let exact = differences(&wanted, &found, Members::Exactly, "");
        assert_eq!(exact, ["a.b[0]: wanted 1, found 2", "d: unwanted 1"]);
        let least = differences(&wanted, &found, Members::AtLeast, "");
        assert_eq!(least, ["a.b[0]: wanted 1, found 2"]);
        assert_eq!(
            differences(&json!([1]), &json!([]), Members::AtLeast, "x"),
            ["x: wanted [1], found []"]
        );
    }
}
