//! The schema of a configuration, derived from its type, for the tests of a plugin.
//!
//! The manifest carries the schema as text, since the host reads it without running anything; the type
//! is what the plugin goes by. Written by hand they drift apart. So the schema is derived, and one test
//! holds the manifest to it:
//!
//! ```ignore
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! #[cfg_attr(test, derive(schemars::JsonSchema))]
//! struct Config {
//!     /// Where the server is.
//!     address: String,
//! }
//!
//! #[test]
//! fn the_manifest_has_the_schema_of_the_configuration() -> Result<(), String> {
//!     symbolon_plugin::schema::hold::<Config>(env!("CARGO_MANIFEST_DIR"))
//! }
//! ```
//!
//! `SYMBOLON_MANIFEST=write cargo test` writes the schema into the manifest instead. The feature is for
//! `[dev-dependencies]`: nothing of this is in a component.

use std::path::Path;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Set to `write`, the manifest is corrected.
const VARIABLE: &str = "SYMBOLON_MANIFEST";

/// The manifest, its members in the order in which people write them.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    contract: Value,
    name: Value,
    version: Value,
    summary: Value,
    config_schema: Value,
    egress: Value,
    recovery: Value,
    metadata: Value,
}

/// The schema of a configuration, whole in itself. A member's documentation is its description; where a
/// type says what its default is, and can be written (`Serialize`), the schema has it.
#[must_use]
pub fn of<C: JsonSchema>() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let lines = RecursiveTransform(described_in_one_line);
    let mut schema = settings.with_transform(lines).into_generator().into_root_schema_for::<C>();
    schema.remove("title");
    schema.into()
}

fn described_in_one_line(schema: &mut Schema) {
    if let Some(Value::String(words)) = schema.get_mut("description") {
        *words = words.replace('\n', " ");
    }
}

/// Holds `manifest.json` in `directory` to the schema of `C`; or, if the environment says
/// `SYMBOLON_MANIFEST=write`, corrects it.
///
/// # Errors
/// Says what differs and what to do.
pub fn hold<C: JsonSchema>(directory: impl AsRef<Path>) -> Result<(), String> {
    let write = std::env::var_os(VARIABLE).is_some_and(|value| value == "write");
    held(&directory.as_ref().join("manifest.json"), of::<C>(), write)
}

fn held(file: &Path, schema: Value, write: bool) -> Result<(), String> {
    let faulty = |fault: &dyn std::fmt::Display| format!("{}: {fault}", file.display());
    let text = std::fs::read(file).map_err(|error| faulty(&error))?;
    let mut manifest: Manifest = serde_json::from_slice(&text).map_err(|error| faulty(&error))?;
    if manifest.config_schema == schema {
        return Ok(());
    }
    if !write {
        let fault = format!(
            "`config_schema` is not that of the configuration; `{VARIABLE}=write cargo test` makes it:\n{schema:#}"
        );
        return Err(faulty(&fault));
    }
    manifest.config_schema = schema;
    let text = serde_json::to_string_pretty(&manifest).map_err(|error| faulty(&error))?;
    std::fs::write(file, text + "\n").map_err(|error| faulty(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "looked at as a type only")]
    struct Config {
        /// Where the server is,
        /// by its URL.
        address: String,
        #[serde(default)]
        inner: Option<Inner>,
    }

    #[derive(JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "looked at as a type only")]
    struct Inner {
        folder: String,
    }

    #[test]
    fn a_schema_says_what_the_type_takes() {
        let schema = of::<Config>();
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["required"], serde_json::json!(["address"]));
        let described = "Where the server is, by its URL.";
        assert_eq!(schema["properties"]["address"]["description"], described);
        assert_eq!(schema["properties"]["inner"]["additionalProperties"], false);
    }

    #[test]
    fn a_manifest_that_says_something_else_is_found_and_corrected() {
        let file = std::env::temp_dir().join(format!("manifest-{}.json", std::process::id()));
        let old = r#"{"contract":"0.1.0","name":"n","version":"1.0.0","summary":"s",
            "config_schema":{},"egress":[],"recovery":null,"metadata":{}}"#;
        std::fs::write(&file, old).expect("a file");
        let fault = held(&file, of::<Config>(), false).expect_err("differs");
        assert!(fault.contains("SYMBOLON_MANIFEST=write"), "{fault}");
        assert_eq!(std::fs::read_to_string(&file).expect("a file"), old, "only looked at");
        held(&file, of::<Config>(), true).expect("written");
        held(&file, of::<Config>(), false).expect("the same now");
        std::fs::remove_file(&file).expect("removed");
    }
}
