//! The requests that are made.

use symbolon_plugin::Error;
use symbolon_plugin::http::{self, Request};

use crate::config::Config;
use crate::place::Place;

/// A secret has 1 MiB of data, in base64, and is said once more where it was applied by a client.
const SECRET_LIMIT: usize = 4 * 1024 * 1024;
/// Names without values: of each secret only its metadata.
const NAMES: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
/// What one page of a listing may hold.
const PAGE: usize = 500;

/// One secret.
pub(crate) fn read(config: &Config, place: Place<'_>) -> Result<Request, Error> {
    let Place { namespace, name } = place;
    let url = format!("{}/api/v1/namespaces/{namespace}/secrets/{name}", config.base()?);
    Ok(http::get(url).header("accept", "application/json").limit(SECRET_LIMIT))
}

/// A page of names.
pub(crate) fn list(config: &Config, namespace: &str, next: Option<&str>) -> Result<Request, Error> {
    let url = format!("{}/api/v1/namespaces/{namespace}/secrets?limit={PAGE}", config.base()?);
    Ok(http::get(url).query("continue", next).header("accept", NAMES).limit(SECRET_LIMIT))
}

/// The version of the cluster.
pub(crate) fn version(config: &Config) -> Result<Request, Error> {
    Ok(http::get(format!("{}/version", config.base()?)).header("accept", "application/json"))
}
