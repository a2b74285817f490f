//! `symbolon plugin inspect`: what a component says about itself, read without running it.

use std::path::Path;

use serde_json::Value;
use symbolon_host::Inspection;
use symbolon_host::admit::MAX_COMPONENT_BYTES;

use super::super::failure::Failure;
use super::super::output::{self, Form};

pub(super) fn run(file: &Path, form: Form) -> Result<(), Failure> {
    let bytes = std::fs::read(file)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", file.display())))?;
    let inspection =
        Inspection::of(&bytes, MAX_COMPONENT_BYTES).map_err(|error| Failure::of(&error))?;
    let mut value = serde_json::to_value(&inspection).map_err(|error| Failure::of(&error))?;
    if form == Form::Table {
        value = brief(value);
    }
    output::value(&value, form, &["scheme", "host", "port", "methods", "path_prefix"])
}

/// For a person: the manifest's members beside the rest, without the schema, which is for machines
/// (`--output json` has it).
fn brief(mut inspection: Value) -> Value {
    let Some(object) = inspection.as_object_mut() else { return inspection };
    if let Some(Value::Object(manifest)) = object.remove("manifest") {
        object.extend(manifest.into_iter().filter(|(name, _)| name != "config_schema"));
    }
    inspection
}
