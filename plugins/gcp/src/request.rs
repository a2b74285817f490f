//! The requests that are made.

use serde::Serialize;
use symbolon_plugin::http::{self, Request};
use symbolon_plugin::{Error, oauth};

use crate::config::{Config, IdToken};

const STS: &str = "https://sts.googleapis.com/v1/token";
const ACCOUNTS: &str = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts";
/// All that a federated token is good for that is only there to impersonate.
const IAM: &str = "https://www.googleapis.com/auth/iam";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// A payload has 64 KiB, in base64, and a little around it.
const SECRET_LIMIT: usize = 128 * 1024;
/// What one page of a listing may hold.
const PAGE: usize = 1000;

/// The assertion for a federated token.
pub(crate) fn federate(
    config: &Config,
    assertion: &str,
    scopes: &[&str],
) -> Result<Request, Error> {
    let audience = format!("//iam.googleapis.com/{}", config.provider()?);
    let scope = match config.service_account {
        Some(_) => IAM.to_owned(),
        None => scopes.join(" "),
    };
    let form = [
        ("grant_type", EXCHANGE),
        ("audience", &audience),
        ("scope", &scope),
        ("requested_token_type", ACCESS_TOKEN),
        ("subject_token_type", JWT),
        ("subject_token", assertion),
    ];
    Ok(http::post(STS).form(&form).limit(oauth::LIMIT))
}

#[derive(Serialize)]
struct AccessToken<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    delegates: Vec<String>,
    scope: &'a [&'a str],
    lifetime: String,
}

/// The longest that Google gives without a policy of the organisation.
const LONGEST: u64 = 3600;

/// A federated token for an access token of the service account.
pub(crate) fn access_token(config: &Config, account: &str, scopes: &[&str], ttl: u64) -> Request {
    let lifetime = format!("{}s", ttl.clamp(1, LONGEST));
    let body = AccessToken { delegates: delegates(config), scope: scopes, lifetime };
    http::post(format!("{ACCOUNTS}/{account}:generateAccessToken")).json(&body).limit(oauth::LIMIT)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IdentityToken<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    delegates: Vec<String>,
    audience: &'a str,
    include_email: bool,
}

/// A federated token for an ID token of the service account.
pub(crate) fn id_token(config: &Config, account: &str, asked: &IdToken) -> Request {
    let IdToken { audience, include_email } = asked;
    let body =
        IdentityToken { delegates: delegates(config), audience, include_email: *include_email };
    http::post(format!("{ACCOUNTS}/{account}:generateIdToken")).json(&body).limit(oauth::LIMIT)
}

fn delegates(config: &Config) -> Vec<String> {
    let name = |account: &String| format!("projects/-/serviceAccounts/{account}");
    config.delegates.iter().map(name).collect()
}

/// The payload of a version. The id and the version are plain: `secret::id`, `secret::version`.
pub(crate) fn access(config: &Config, id: &str, version: &str) -> Result<Request, Error> {
    let url = format!("{}/{id}/versions/{version}:access", config.secrets()?);
    Ok(http::get(url).limit(SECRET_LIMIT))
}

/// What is known about a version, without its payload.
pub(crate) fn version(config: &Config, id: &str, version: &str) -> Result<Request, Error> {
    let url = format!("{}/{id}/versions/{version}", config.secrets()?);
    Ok(http::get(url).limit(SECRET_LIMIT))
}

/// A page of names.
pub(crate) fn list(config: &Config, next: Option<&str>) -> Result<Request, Error> {
    Ok(http::get(format!("{}?pageSize={PAGE}", config.secrets()?)).query("pageToken", next))
}

/// As little of a listing as there is: only its status counts.
pub(crate) fn probe(config: &Config) -> Result<Request, Error> {
    Ok(http::get(format!("{}?pageSize=1", config.secrets()?)))
}
