//! `symbolon plugin`: what is loaded, and what a component would be.

use std::path::{Path, PathBuf};

use serde_json::Value;
use symbolon_host::Inspection;
use symbolon_host::admit::MAX_COMPONENT_BYTES;

use super::SocketArgs;
use super::failure::Failure;
use super::output::{self, Form};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// The components of the running gateway, and the backends they serve
    #[command(after_help = "Examples:
  symbolon plugin ls
  symbolon plugin ls --output json")]
    Ls(SocketArgs),
    /// What a component says about itself: imports, exports, digest, egress asked; runs nothing of it
    #[command(after_help = "Examples:
  symbolon plugin inspect vault.wasm
  symbolon plugin inspect vault.wasm --output json")]
    Inspect {
        /// The component
        file: PathBuf,
    },
}

pub(super) async fn run(command: Command, form: Form) -> Result<(), Failure> {
    match command {
        Command::Ls(args) => {
            let columns = [
                "backend", "state", "plugin", "name", "version", "breaker", "reason", "file",
                "problem",
            ];
            output::value(&args.get("/v1/plugins").await?, form, &columns)
        }
        Command::Inspect { file } => inspect(&file, form),
    }
}

fn inspect(file: &Path, form: Form) -> Result<(), Failure> {
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
