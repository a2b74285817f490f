//! What a gateway is given by the process that it runs in, and a test by itself.

use std::path::PathBuf;
use std::sync::Arc;

use symbolon_core::clock::Clock;
use symbolon_host::CompilerProcess;
use symbolon_host::egress::Network;

use super::StartError;

/// Time, network and compiler.
#[derive(Debug)]
pub struct Surroundings {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Resolver and roots of outgoing requests.
    pub network: Network,
    /// The program that compiles components: this gateway's own, of the same build.
    pub compiler: PathBuf,
}

impl Surroundings {
    /// The system's network, and this very program as compiler.
    ///
    /// # Errors
    /// [`StartError`] if the system's roots cannot be read.
    pub fn of_process(clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let compiler = CompilerProcess::this_program();
        Ok(Self { clock, network: Network::system()?, compiler })
    }
}
