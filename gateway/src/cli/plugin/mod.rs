//! `symbolon plugin`: what is loaded, and what a component would be.

mod inspect;

use std::path::PathBuf;

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
        Command::Inspect { file } => inspect::run(&file, form),
    }
}
