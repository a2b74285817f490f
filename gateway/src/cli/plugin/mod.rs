//! `symbolon plugin`: what is loaded, and what a component would be.

mod grants;
mod inspect;
mod keygen;
mod sign;
mod verify;

use std::path::PathBuf;

use super::failure::Failure;
use super::output::{self, Form};
use super::{ConfigArgs, SocketArgs};

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
    /// What a component asks to reach, what of it is granted, missing or unused; runs nothing of it
    #[command(after_help = "Examples:
  symbolon plugin grants vault.wasm
  symbolon plugin grants vault --config symbolon.toml --backend kv
  symbolon plugin grants new/vault.wasm --against old/vault.wasm --config symbolon.toml")]
    Grants(grants::GrantsArgs),
    /// Make a key with which components are signed
    ///
    /// The private key is written (PKCS#8 in PEM, mode 0600), the public key is shown.
    #[command(after_help = "Examples:
  symbolon plugin keygen release.pem
  symbolon plugin keygen release.pem --algorithm ecdsa-p256")]
    Keygen {
        /// Where the private key goes; a file that is there is not overwritten
        out: PathBuf,
        /// How it signs
        #[arg(long, value_enum, default_value = "ed25519")]
        algorithm: keygen::Algorithm,
    },
    /// Sign a component: adds to the file of signatures beside it
    #[command(after_help = "Examples:
  symbolon plugin sign vault.wasm --key release.pem
  symbolon plugin sign vault.wasm --key release.pem --replace        (after a new build)")]
    Sign(sign::SignArgs),
    /// Say whether a configuration would take a component, and who has signed it; runs nothing of it
    #[command(after_help = "Examples:
  symbolon plugin verify vault.wasm --config symbolon.toml")]
    Verify {
        /// The component
        file: PathBuf,
        #[command(flatten)]
        config: ConfigArgs,
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
        Command::Grants(args) => grants::run(&args, form),
        Command::Keygen { out, algorithm } => keygen::run(&out, algorithm, form),
        Command::Sign(args) => sign::run(&args, form),
        Command::Verify { file, config } => verify::run(&file, &config, form),
    }
}
