//! The requests that are made: four, all of them harmless to repeat but for the login.

use serde::Serialize;
use symbolon_plugin::Error;
use symbolon_plugin::http::{self, Request, encode};

use crate::config::Config;

/// A token endpoint's answer is small.
const LOGIN_LIMIT: usize = 64 * 1024;

#[derive(Serialize)]
struct Login<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    jwt: &'a str,
}

pub(crate) fn login(config: &Config, assertion: &str) -> Result<Request, Error> {
    let url = format!("{}/v1/auth/{}/login", config.base()?, config.auth_mount);
    let body = Login { role: config.role.as_deref(), jwt: assertion };
    Ok(namespaced(config, http::post(url)).json(&body).limit(LOGIN_LIMIT))
}

pub(crate) fn read(config: &Config, path: &str, version: Option<u64>) -> Result<Request, Error> {
    let query = version.map(|version| format!("?version={version}")).unwrap_or_default();
    let url = format!("{}/v1/{}/data/{}{query}", config.base()?, config.mount, encoded(path));
    Ok(namespaced(config, http::get(url)))
}

/// `?list=true` instead of the method `LIST`, which some proxies do not let through.
pub(crate) fn list(config: &Config, folder: Option<&str>) -> Result<Request, Error> {
    let folder = folder
        .map(|folder| format!("{}/", encoded(folder.trim_end_matches('/'))))
        .unwrap_or_default();
    let url = format!("{}/v1/{}/metadata/{folder}?list=true", config.base()?, config.mount);
    Ok(namespaced(config, http::get(url)))
}

/// Without a namespace: the question is about the server.
pub(crate) fn health(config: &Config) -> Result<Request, Error> {
    let url = format!("{}/v1/sys/health?standbyok=true&perfstandbyok=true", config.base()?);
    Ok(http::get(url).limit(LOGIN_LIMIT))
}

/// Segment by segment, so that nothing in a path becomes part of the URL around it.
fn encoded(path: &str) -> String {
    let segments: Vec<String> = path.split('/').map(encode).collect();
    segments.join("/")
}

fn namespaced(config: &Config, request: Request) -> Request {
    match &config.namespace {
        Some(namespace) => request.header("x-vault-namespace", namespace),
        None => request,
    }
}
