//! `symbolon plugin activate`: another component for a backend or target.

use serde_json::json;
use symbolon_core::id::BackendName;

use super::super::SocketArgs;
use super::super::failure::Failure;
use super::super::output::{self, Form};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The backend or target
    backend: BackendName,
    /// The component: NAME@VERSION, or the beginning of its digest
    component: String,
    /// Also if it is older than the one that runs
    #[arg(long)]
    allow_downgrade: bool,
    #[command(flatten)]
    gateway: SocketArgs,
}

pub(super) async fn run(args: &Args, form: Form) -> Result<(), Failure> {
    let path = format!("/v1/backends/{}/activate", args.backend);
    let body = json!({ "component": args.component, "allow_downgrade": args.allow_downgrade });
    output::value(&args.gateway.post(&path, &body).await?, form, &[])
}
