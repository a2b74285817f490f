//! `symbolon plugin install`: a component, and the signatures beside it, into the catalog.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use symbolon_host::Package;
use symbolon_host::admit::MAX_COMPONENT_BYTES;

use super::super::SocketArgs;
use super::super::failure::Failure;
use super::super::output::{self, Form};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The component; signatures are read from the file of the same name with `.sig`
    file: PathBuf,
    #[command(flatten)]
    gateway: SocketArgs,
}

pub(super) async fn run(args: &Args, form: Form) -> Result<(), Failure> {
    let file = args.file.display();
    let package = Package::read(&args.file, MAX_COMPONENT_BYTES)
        .map_err(|error| Failure::new(format!("cannot read {file}: {error}")))?;
    let body = json!({
        "component": STANDARD.encode(package.component()),
        "signatures": package.signatures().map(|signatures| STANDARD.encode(signatures)),
        "source": file.to_string(),
    });
    output::value(&args.gateway.post("/v1/plugins", &body).await?, form, &[])
}
