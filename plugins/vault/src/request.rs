//! The requests that are made. Those that issue are not to be repeated, nor the login.

use serde::Serialize;
use symbolon_plugin::Error;
use symbolon_plugin::http::{self, Request, encode, encode_path};

use crate::config::Config;
use crate::role::{Certificate, Creds};

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
    let url = format!("{}/v1/{}/data/{}{query}", config.base()?, config.mount, encode_path(path));
    Ok(namespaced(config, http::get(url)))
}

/// `?list=true` instead of the method `LIST`, which some proxies do not let through.
pub(crate) fn list(config: &Config, folder: Option<&str>) -> Result<Request, Error> {
    let folder = folder
        .map(|folder| format!("{}/", encode_path(folder.trim_end_matches('/'))))
        .unwrap_or_default();
    let url = format!("{}/v1/{}/metadata/{folder}?list=true", config.base()?, config.mount);
    Ok(namespaced(config, http::get(url)))
}

/// The token that the host adds to it.
pub(crate) fn own_token(config: &Config) -> Result<Request, Error> {
    get(config, "auth/token/lookup-self")
}

/// Makes a credential, each time another.
pub(crate) fn creds(config: &Config, creds: &Creds) -> Result<Request, Error> {
    get(config, &format!("{}/creds/{}", creds.mount, creds.role))
}

#[derive(Serialize)]
struct Lease<'a> {
    lease_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    increment: Option<u64>,
    /// An answer after the fact, and not before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    sync: Option<bool>,
}

pub(crate) fn find_lease(config: &Config, lease_id: &str) -> Result<Request, Error> {
    post(config, "sys/leases/lookup", &Lease { lease_id, increment: None, sync: None })
}

/// `increment` counts from now, so that this also shortens.
pub(crate) fn renew_lease(
    config: &Config,
    lease_id: &str,
    increment: u64,
) -> Result<Request, Error> {
    let increment = Some(increment);
    post(config, "sys/leases/renew", &Lease { lease_id, increment, sync: None })
}

pub(crate) fn revoke_lease(config: &Config, lease_id: &str) -> Result<Request, Error> {
    post(config, "sys/leases/revoke", &Lease { lease_id, increment: None, sync: Some(true) })
}

#[derive(Serialize)]
struct Signing<'a> {
    common_name: &'a str,
    alt_names: String,
    ip_sans: String,
    uri_sans: String,
    ttl: String,
}

pub(crate) fn sign(config: &Config, of: &Certificate, ttl: u64) -> Result<Request, Error> {
    let body = Signing {
        common_name: &of.common_name,
        alt_names: of.alt_names.join(","),
        ip_sans: of.ip_sans.join(","),
        uri_sans: of.uri_sans.join(","),
        ttl: format!("{ttl}s"),
    };
    post(config, &format!("{}/issue/{}", of.mount, of.role), &body)
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Known<'a> {
    SerialNumber(&'a str),
    Certificate(&'a str),
}

/// By the certificate itself if it is at hand: that works for one which the engine did not store.
pub(crate) fn revoke_certificate(
    config: &Config,
    mount: &str,
    serial: &str,
    certificate: Option<&str>,
) -> Result<Request, Error> {
    let known = certificate.map_or(Known::SerialNumber(serial), Known::Certificate);
    post(config, &format!("{mount}/revoke"), &known)
}

pub(crate) fn find_certificate(
    config: &Config,
    mount: &str,
    serial: &str,
) -> Result<Request, Error> {
    get(config, &format!("{mount}/cert/{}", encode(serial)))
}

fn get(config: &Config, path: &str) -> Result<Request, Error> {
    Ok(namespaced(config, http::get(format!("{}/v1/{path}", config.base()?))))
}

fn post(config: &Config, path: &str, body: &impl Serialize) -> Result<Request, Error> {
    Ok(namespaced(config, http::post(format!("{}/v1/{path}", config.base()?))).json(body))
}

/// Without a namespace: the question is about the server.
pub(crate) fn health(config: &Config) -> Result<Request, Error> {
    let url = format!("{}/v1/sys/health?standbyok=true&perfstandbyok=true", config.base()?);
    Ok(http::get(url).limit(LOGIN_LIMIT))
}

fn namespaced(config: &Config, request: Request) -> Request {
    match &config.namespace {
        Some(namespace) => request.header("x-vault-namespace", namespace),
        None => request,
    }
}
