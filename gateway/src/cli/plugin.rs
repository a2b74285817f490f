//! `symbolon plugin`: what is loaded, and what a component would be.

use std::path::{Path, PathBuf};

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
            let columns = ["name", "version", "digest", "file", "problem"];
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
    let value = serde_json::to_value(&inspection).map_err(|error| Failure::of(&error))?;
    output::value(&value, form, &["scheme", "host", "port", "methods", "path_prefix"])
}
