//! `symbolon backend`: one backend of the running gateway.

use serde_json::{Value, json};
use symbolon_core::id::BackendName;

use super::SocketArgs;
use super::confirm::confirm;
use super::failure::Failure;
use super::output::{self, Form};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Ask the backend whether it is there, lets the gateway in, and can do what its roles need
    #[command(after_help = "Examples:
  symbolon backend probe db")]
    Probe(BackendArgs),
    /// Show what the backend holds with our mark and no live lease
    ///
    /// With --remove it is ended. What is reserved, active or being ended is never touched. A second
    /// gateway that issues in the same place looks like a leftover: do not remove there.
    #[command(after_help = "Examples:
  symbolon backend reconcile db
  symbolon backend reconcile db --remove")]
    Reconcile {
        #[command(flatten)]
        backend: BackendArgs,
        /// End what has no live lease
        #[arg(long)]
        remove: bool,
        /// Do not ask
        #[arg(long, requires = "remove")]
        yes: bool,
    },
    /// Replace the login that the gateway itself has at the backend
    #[command(after_help = "Examples:
  symbolon backend rotate-root db")]
    RotateRoot(BackendArgs),
}

/// Which backend of which gateway.
#[derive(Debug, clap::Args)]
pub(super) struct BackendArgs {
    /// The backend
    backend: BackendName,
    #[command(flatten)]
    gateway: SocketArgs,
}

impl BackendArgs {
    async fn post(&self, verb: &str, body: &Value) -> Result<Value, Failure> {
        self.gateway.post(&format!("/v1/backends/{}/{verb}", self.backend), body).await
    }
}

pub(super) async fn run(command: Command, form: Form) -> Result<(), Failure> {
    match command {
        Command::Probe(args) => output::value(&args.post("probe", &json!({})).await?, form, &[]),
        Command::RotateRoot(args) => {
            output::value(&args.post("rotate-root", &json!({})).await?, form, &[])
        }
        Command::Reconcile { backend, remove, yes } => {
            let mut found = backend.post("reconcile", &json!({})).await?;
            let number = found.get("without_lease").and_then(Value::as_u64).unwrap_or_default();
            if remove && number > 0 {
                let name = &backend.backend;
                confirm(&format!("this ends {number} credentials of {name} without a lease"), yes)?;
                found = backend.post("reconcile", &json!({ "remove": true })).await?;
            }
            output::value(&found, form, &[])
        }
    }
}
