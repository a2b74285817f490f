//! `symbolon serve` and `symbolon dev`: thin calls into the application.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::failure::Failure;
use super::{ConfigArgs, output};
use crate::app::dev::DevOptions;
use crate::app::{self, Signals, StartError};
use crate::config::Config;

/// What `symbolon dev` takes.
#[derive(Debug, clap::Args)]
pub(super) struct DevArgs {
    /// Show what the gateway does, step by step, and end
    #[arg(long)]
    demo: bool,
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// Directory of the plugins [default: looked for]
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,
}

/// Serves until told to stop.
pub(super) async fn serve(args: ConfigArgs) -> Result<(), Failure> {
    let signals = signals()?;
    let config = Config::load(&args.config)?;
    Ok(Box::pin(app::serve(config, signals)).await?)
}

/// Before anything else, so that no SIGHUP finds the process without a handler.
fn signals() -> Result<Signals, StartError> {
    Signals::install().map_err(StartError::Signals)
}

/// Runs a development gateway.
pub(super) async fn dev(args: DevArgs) -> Result<(), Failure> {
    let signals = signals()?;
    let options = DevOptions { listen: args.listen, plugins: args.plugins, demo: args.demo };
    let mut broken = None;
    let mut say = |text: &str| broken = output::line(text).err();
    Box::pin(app::dev::dev(options, signals, &mut say)).await?;
    broken.map_or(Ok(()), Err)
}
