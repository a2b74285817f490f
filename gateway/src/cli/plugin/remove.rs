//! `symbolon plugin remove`: out of the catalog.

use serde_json::json;

use super::super::SocketArgs;
use super::super::failure::Failure;
use super::super::output::{self, Form};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The component: NAME@VERSION, or the beginning of its digest
    component: String,
    /// Also if backends use it: they are degraded
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    gateway: SocketArgs,
}

pub(super) async fn run(args: &Args, form: Form) -> Result<(), Failure> {
    let body = json!({ "component": args.component, "force": args.force });
    output::value(&args.gateway.post("/v1/plugins:remove", &body).await?, form, &[])
}
