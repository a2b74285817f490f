//! `symbolon plugin rollback`: the component before.

use serde_json::json;
use symbolon_core::id::BackendName;

use super::super::SocketArgs;
use super::super::failure::Failure;
use super::super::output::{self, Form};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The backend or target
    backend: BackendName,
    #[command(flatten)]
    gateway: SocketArgs,
}

pub(super) async fn run(args: &Args, form: Form) -> Result<(), Failure> {
    let path = format!("/v1/backends/{}/rollback", args.backend);
    output::value(&args.gateway.post(&path, &json!({})).await?, form, &[])
}
