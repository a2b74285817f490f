//! As much of JSON Schema as is needed to know which keys a configuration may have.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// Keywords whose value is a list of schemas for the same value.
const BRANCHES: [&str; 3] = ["oneOf", "anyOf", "allOf"];

/// The keys of an object that a schema names, in any of its branches.
pub(crate) fn keys(schema: &Value) -> BTreeMap<String, Vec<&Value>> {
    let mut all = BTreeMap::new();
    for part in parts(schema) {
        for (name, of) in members(part, "properties") {
            all.entry(name.clone()).or_insert_with(Vec::new).push(of);
        }
    }
    all
}

/// Whether every branch of a schema of an object allows no keys but those it names.
pub(crate) fn is_closed(schema: &Value) -> bool {
    let closes = |of: &Value| {
        ["additionalProperties", "unevaluatedProperties"]
            .iter()
            .any(|word| of.get(word) == Some(&Value::Bool(false)))
    };
    let branches: Vec<&Value> = branches(schema).collect();
    closes(schema) || !branches.is_empty() && branches.into_iter().all(closes)
}

/// The keys that any configuration must have: those of the schema, and those of every branch.
pub(crate) fn required(schema: &Value) -> BTreeSet<String> {
    let names = |of: &Value| -> BTreeSet<String> {
        let names = of.get("required").and_then(Value::as_array).into_iter().flatten();
        names.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let in_branches = branches(schema).map(names).reduce(|all, these| &all & &these);
    &names(schema) | &in_branches.unwrap_or_default()
}

/// Paths of keys that nothing describes. A constant that tells branches apart is described by the words
/// of the branches.
pub(crate) fn undescribed(schema: &Value) -> Vec<String> {
    let mut all = Vec::new();
    walk(schema, "", &mut all);
    all.sort();
    all.dedup();
    all
}

fn walk(schema: &Value, at: &str, all: &mut Vec<String>) {
    let below = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    for (name, of) in keys(schema) {
        if !of.iter().any(|of| is_described(of)) && !tells_apart(schema, &name) {
            all.push(below(&name));
        }
        of.iter().for_each(|of| walk(of, &below(&name), all));
    }
    for (name, of) in members(schema, "$defs") {
        walk(of, &below(name), all);
    }
    for part in parts(schema) {
        for word in ["items", "additionalProperties"] {
            part.get(word).into_iter().for_each(|of| walk(of, at, all));
        }
    }
}

fn is_described(schema: &Value) -> bool {
    schema.get("description").is_some_and(Value::is_string)
}

/// Whether it is a constant wherever a branch has it, and these branches have words of their own.
fn tells_apart(schema: &Value, key: &str) -> bool {
    let mut having = parts(schema).filter_map(|it| Some((it, it.get("properties")?.get(key)?)));
    having.all(|(branch, of)| of.get("const").is_some() && is_described(branch))
}

/// A schema and its branches.
fn parts(schema: &Value) -> impl Iterator<Item = &Value> {
    std::iter::once(schema).chain(branches(schema))
}

fn branches(schema: &Value) -> impl Iterator<Item = &Value> {
    BRANCHES.iter().filter_map(|word| schema.get(word)?.as_array()).flatten()
}

fn members<'a>(schema: &'a Value, word: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    schema.get(word).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_of_all_branches_are_known_and_those_without_a_description_found() {
        let schema = json!({
            "required": ["kind"],
            "properties": { "kind": { "description": "d", "enum": ["a", "b"] } },
            "oneOf": [
                { "properties": { "kind": { "const": "a" }, "one": {} }, "additionalProperties": false },
                { "properties": { "kind": { "const": "b" }, "two": {
                    "description": "d", "items": { "properties": { "inner": {} } }
                } }, "additionalProperties": false },
            ],
            "$defs": { "value": { "properties": { "text": { "type": "string" } } } },
        });
        assert_eq!(keys(&schema).keys().collect::<Vec<_>>(), ["kind", "one", "two"]);
        assert_eq!(undescribed(&schema), ["one", "two.inner", "value.text"]);
        assert!(is_closed(&schema));
        assert_eq!(required(&schema), BTreeSet::from(["kind".to_owned()]));
        assert!(!is_closed(&json!({ "properties": {} })));
        assert!(!is_closed(&json!({ "oneOf": [{ "additionalProperties": false }, {}] })));
    }

    #[test]
    fn what_tells_branches_apart_is_described_and_required_by_them() {
        let branch = |name: &str, words: Value| {
            json!({ "description": words, "required": ["kind", name],
                "properties": { "kind": { "const": name }, name: { "description": "d" } } })
        };
        let schema = json!({ "oneOf": [branch("a", json!("d")), branch("b", json!("d"))] });
        assert_eq!(required(&schema), BTreeSet::from(["kind".to_owned()]));
        assert!(undescribed(&schema).is_empty());
        let wordless = json!({ "oneOf": [branch("a", json!("d")), branch("b", Value::Null)] });
        assert_eq!(undescribed(&wordless), ["kind"]);
    }
}
