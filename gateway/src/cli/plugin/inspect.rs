//! `symbolon plugin inspect`: what a component says about itself, read without running it.

use std::path::Path;

use serde_json::Value;
use symbolon_host::Inspection;
use symbolon_host::admit::MAX_COMPONENT_BYTES;

use super::super::SocketArgs;
use super::super::failure::Failure;
use super::super::output::{self, Form};
use super::is_installed;

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
        false => of_file(Path::new(&args.component))?,
    };
    if form == Form::Table {
        value = brief(value);
    }
    output::value(&value, form, &["scheme", "host", "port", "methods", "path_prefix"])
}

fn of_file(file: &Path) -> Result<Value, Failure> {
    let bytes = std::fs::read(file)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", file.display())))?;
    let inspection =
        Inspection::of(&bytes, MAX_COMPONENT_BYTES).map_err(|error| Failure::of(&error))?;
    serde_json::to_value(&inspection).map_err(|error| Failure::of(&error))
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
