//! Which gateway a workload's command speaks to, and as whom.

use std::path::PathBuf;

use symbolon_client::{Gateway, Roots, TokenSource};
use symbolon_core::secret::Secret;

use super::failure::Failure;
use crate::config::variable;

/// The native face of a gateway.
#[derive(Debug, clap::Args)]
pub(super) struct FaceArgs {
    /// The gateway's URL [default: SYMBOLON_URL]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// A file with the platform token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Certificate authorities of the gateway, PEM [default: the system's]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl FaceArgs {
    /// The gateway, and the token to show it.
    pub(super) fn open(self) -> Result<(Gateway, Secret), Failure> {
        let (gateway, source) = self.sources()?;
        let token = source.read()?;
        Ok((gateway, token))
    }

    /// The gateway, and where the token is: for who shows it again and again.
    pub(super) fn sources(self) -> Result<(Gateway, TokenSource), Failure> {
        let url = self.url.or_else(|| variable("SYMBOLON_URL")).ok_or_else(|| {
            Failure::new("no gateway was named").with_help("give --url, or set SYMBOLON_URL")
        })?;
        let gateway = Gateway::at(&url, &self.ca.map_or(Roots::System, Roots::File))?;
        Ok((gateway, TokenSource::discover(self.token_file, variable)?))
    }
}
