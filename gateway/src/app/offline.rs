//! What can be asked of a gateway that is not running, from its store.
//!
//! The store is open to one process at a time, so each of these fails while the gateway runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use symbolon_core::audit::Anchor;
use symbolon_core::clock::Clock;

use super::StartError;
use super::foundation::{open_store, read_anchor, seal_source};
use crate::config::Config;
use crate::issuer::export;
use crate::keyring::{self, Keyring};
use crate::seal::Seal;

/// The newest head of the audit chain that the store remembers.
///
/// # Errors
/// [`StartError`] if the store does not open or holds something else there.
pub async fn audit_anchor(
    config: &Config,
    clock: Arc<dyn Clock>,
) -> Result<Option<Anchor>, StartError> {
    let store = open_store(config, clock).await?;
    read_anchor(store.as_ref()).await
}

/// Writes the assertion issuer's two documents below `directory`, and answers where.
///
/// # Errors
/// [`StartError`] if the store or the keys do not open, or a file cannot be written.
pub async fn export_issuer(
    config: &Config,
    directory: &Path,
    clock: Arc<dyn Clock>,
) -> Result<Vec<PathBuf>, StartError> {
    let store = open_store(config, clock.clone()).await?;
    let seal = Seal::open_or_create(&seal_source(&config.seal.key)?, store.as_ref()).await?;
    let settings = keyring::Settings {
        assertion_issuer: config.assertions.origin.as_str().to_owned(),
        policies: keyring::Policies::default(),
    };
    let keyring = Keyring::open(store, Arc::new(seal), clock, settings).await?;
    let keys = keyring.assertion_jwks();
    Ok(export(directory, &super::world::origins(config), &keys)?)
}
