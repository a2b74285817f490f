//! `symbolon issuer`: whose identities are believed, and our own documents as files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use symbolon_core::id::IssuerAlias;

use super::failure::Failure;
use super::output::{self, Form};
use super::{ConfigArgs, SocketArgs, token_file};
use crate::app::offline::export_issuer;
use crate::config::Config;
use crate::time::SystemClock;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// The registered issuers of the running gateway, and their keys
    #[command(after_help = "Examples:
  symbolon issuer ls")]
    Ls(SocketArgs),
    /// One issuer: what its tokens must be like, what policies see of them
    #[command(after_help = "Examples:
  symbolon issuer show github
  symbolon issuer show github --output json")]
    Show {
        /// Its alias
        issuer: IssuerAlias,
        #[command(flatten)]
        gateway: SocketArgs,
    },
    /// Say why a token would be accepted or not, check by check, without showing or using it
    ///
    /// The running gateway is asked, with the keys that it has. Exits with 1 if the token is refused.
    #[command(after_help = "Examples:
  symbolon issuer test --token token.jwt
  kubectl create token api --audience https://gw.example.com | symbolon issuer test --token -")]
    Test {
        /// The token is in this file, or `-` for standard input
        #[arg(long, value_name = "FILE")]
        token: PathBuf,
        #[command(flatten)]
        gateway: SocketArgs,
    },
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
        Command::Show { issuer, gateway } => {
            let shown = gateway.get(&format!("/v1/issuers/{issuer}")).await?;
            output::value(&shown, form, &["attribute", "type", "claim", "values"])
        }
        Command::Test { token, gateway } => test(&token, &gateway, form).await,
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

async fn test(token: &Path, gateway: &SocketArgs, form: Form) -> Result<(), Failure> {
    let token = token_file::read(token)?;
    let answer = gateway.post("/v1/issuers:test", &json!({ "token": token.as_str() })).await?;
    output::value(&answer, form, &["check", "result", "code", "reason"])?;
    match answer.get("accepted").and_then(Value::as_bool) {
        Some(true) => Ok(()),
        Some(false) | None => Err(Failure::new("the token would be refused")),
    }
}
