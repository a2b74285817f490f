//! The one binary. It prepares the process, then does what the command line says.

use std::process::ExitCode;

use clap::Parser;
use symbolon::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(done) = cli.compile() {
        return done;
    }
    match prepare().and_then(|()| runtime()) {
        Ok(runtime) => runtime.block_on(cli.run()),
        Err(error) => {
            // Standard error is all there is before anything has started.
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What must hold before any key or token is in memory.
fn prepare() -> std::io::Result<()> {
    forbid_core_dumps()?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    // It can only be installed twice if somebody else did so, and there is nobody else here.
    let _installed_already = provider.install_default();
    symbolon_core::token::install_crypto();
    Ok(())
}

/// No core dump, and no debugger of another process of the same user: memory holds keys.
fn forbid_core_dumps() -> std::io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("symbolon").build()
}
