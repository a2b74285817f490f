//! `symbolon issuer`: whose identities are believed, and our own documents as files.

use std::path::PathBuf;
use std::sync::Arc;

use super::failure::Failure;
use super::output::{self, Form};
use super::{ConfigArgs, SocketArgs};
use crate::app::offline::export_issuer;
use crate::config::Config;
use crate::time::SystemClock;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// The registered issuers of the running gateway, and their keys
    #[command(after_help = "Examples:
  symbolon issuer ls")]
    Ls(SocketArgs),
    /// Write the assertion issuer's two public documents, for static hosting
    ///
    /// The gateway must not be running with the same store. Export again after a rotation.
    #[command(after_help = "Examples:
  symbolon issuer export --config symbolon.toml ./public")]
    Export {
        #[command(flatten)]
        config: ConfigArgs,
        /// The directory to write below
        directory: PathBuf,
    },
}

pub(super) async fn run(command: Command, form: Form) -> Result<(), Failure> {
    match command {
        Command::Ls(args) => {
            let columns = ["alias", "issuer", "profile", "usable", "keys", "keys_age_seconds"];
            output::value(&args.get("/v1/issuers").await?, form, &columns)
        }
        Command::Export { config, directory } => {
            let config = Config::load(&config.config)?;
            let clock = Arc::new(SystemClock::start());
            let written = Box::pin(export_issuer(&config, &directory, clock)).await?;
            for path in written {
                output::line(&path.display().to_string())?;
            }
            Ok(())
        }
    }
}
