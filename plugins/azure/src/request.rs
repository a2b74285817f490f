//! The requests to a vault.

use symbolon_plugin::Error;
use symbolon_plugin::http::{self, Request};

use crate::config::Config;

/// Of all versions that know what is read here, the one that every cloud has.
const VERSION: &str = "api-version=7.6";
/// The first stable one that converts.
const CONVERTING: &str = "api-version=2025-07-01&outContentType=application/x-pem-file";
/// The most that a page may have.
const PAGE: u32 = 25;

/// The secret `name`: of the newest version if none is given. Both are plain.
pub(crate) fn read(config: &Config, name: &str, version: Option<&str>) -> Result<Request, Error> {
    let version = version.map(|version| format!("/{version}")).unwrap_or_default();
    Ok(http::get(format!("{}/secrets/{name}{version}?{VERSION}", config.vault()?)))
}

/// A certificate, made PEM by the vault.
pub(crate) fn convert(config: &Config, name: &str, version: &str) -> Result<Request, Error> {
    Ok(http::get(format!("{}/secrets/{name}/{version}?{CONVERTING}", config.vault()?)))
}

/// What was deleted under `name` and can be recovered.
pub(crate) fn deleted(config: &Config, name: &str) -> Result<Request, Error> {
    Ok(http::get(format!("{}/deletedsecrets/{name}?{VERSION}", config.vault()?)))
}

/// A page of names: the first, or where the vault said that it goes on.
pub(crate) fn list(config: &Config, next: Option<&str>) -> Result<Request, Error> {
    let vault = config.vault()?;
    Ok(match next {
        Some(query) => http::get(format!("{vault}/secrets?{query}")),
        None => http::get(format!("{vault}/secrets?{VERSION}&maxresults={PAGE}")),
    })
}
