//! `symbolon plugin install`: a component, and the signatures beside it, into the catalog.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::super::SocketArgs;
use super::super::failure::Failure;
use super::super::output::{self, Form};
use super::package;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The component; signatures are read from the file of the same name with `.sig`
    file: PathBuf,
    #[command(flatten)]
    gateway: SocketArgs,
}

pub(super) async fn run(args: &Args, form: Form) -> Result<(), Failure> {
    let file = args.file.display();
    let package = package(&args.file)?;
    let body = json!({
        "component": STANDARD.encode(package.component()),
        "signatures": package.signatures().map(|signatures| STANDARD.encode(signatures)),
        "source": file.to_string(),
    });
    output::value(&args.gateway.post("/v1/plugins", &body).await?, form, &[])
}
