//! `symbolon plugin inspect`: what a component says about itself, read without running it.

use std::collections::BTreeMap;
use std::iter;
use std::path::Path;

use serde_json::{Value, json};

use super::super::SocketArgs;
use super::super::failure::Failure;
use super::super::output::{self, Form};
use super::{inspected, is_installed};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct InspectArgs {
    /// The component: a file, or one of the running gateway
    #[arg(value_name = "FILE|NAME@VERSION")]
    component: String,
    #[command(flatten)]
    gateway: SocketArgs,
}

pub(super) async fn run(args: &InspectArgs, form: Form) -> Result<(), Failure> {
    let mut value = match is_installed(&args.component) {
        true => args.gateway.get(&format!("/v1/plugins/{}", args.component)).await?,
        false => {
            let inspection = inspected(Path::new(&args.component))?;
            serde_json::to_value(&inspection).map_err(|error| Failure::of(&error))?
        }
    };
    if form == Form::Table {
        value = brief(value);
    }
    const COLUMNS: [&str; 7] =
        ["key", "default", "scheme", "host", "port", "methods", "path_prefix"];
    output::value(&value, form, &COLUMNS)
}

/// For a person: the manifest's members beside the rest, and of the schema, which is for machines
/// (`--output json` has it), the keys.
fn brief(mut inspection: Value) -> Value {
    let Some(object) = inspection.as_object_mut() else { return inspection };
    if let Some(Value::Object(mut manifest)) = object.remove("manifest") {
        let schema = manifest.remove("config_schema").unwrap_or_default();
        object.extend(manifest);
        object.insert("config".to_owned(), keys(&schema));
    }
    inspection
}

/// The keys that can be configured, of whatever branch, with the first description of each.
fn keys(schema: &Value) -> Value {
    let branches =
        ["oneOf", "anyOf", "allOf"].iter().filter_map(|word| schema.get(word)?.as_array());
    let mut rows = BTreeMap::new();
    for part in iter::once(schema).chain(branches.flatten()) {
        let named = part.get("properties").and_then(Value::as_object);
        for (key, of) in named.into_iter().flatten() {
            let words = |word: &str| of.get(word).cloned().unwrap_or_default();
            let default = if requires(part, key) { json!("required") } else { words("default") };
            let row =
                json!({ "key": key, "default": default, "description": words("description") });
            rows.entry(key.clone()).or_insert(row);
        }
    }
    rows.into_values().collect()
}

fn requires(schema: &Value, key: &str) -> bool {
    let names = schema.get("required").and_then(Value::as_array);
    names.is_some_and(|names| names.contains(&Value::from(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_every_branch_once() {
        let schema = json!({
            "properties": { "a": { "description": "d" } }, "required": ["a"],
            "oneOf": [{ "properties": { "a": true, "b": { "default": 1 } } }],
        });
        let wanted = json!([
            { "key": "a", "default": "required", "description": "d" },
            { "key": "b", "default": 1, "description": null },
        ]);
        assert_eq!(keys(&schema), wanted);
        assert_eq!(keys(&json!({})), json!([]));
    }
}
