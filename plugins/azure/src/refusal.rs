//! What a vault's refusals mean.
//!
//! INVARIANT: the challenge of a 401 is compared and never followed: who could make a vault's answer
//! could otherwise have a token for anything sent to a host of his own. `message` is read nowhere.

use serde::Deserialize;
use symbolon_plugin::Error;
use symbolon_plugin::http::Response;

use crate::config::Config;

/// An older name of the public cloud's logins, which vaults still use.
const FORMER_AUTHORITY: &str = "login.windows.net";

#[derive(Deserialize)]
struct Envelope {
    error: Outer,
}

#[derive(Deserialize)]
struct Outer {
    #[serde(default)]
    code: String,
    innererror: Option<Inner>,
}

#[derive(Deserialize)]
struct Inner {
    code: String,
}

/// The table of refusals.
pub(crate) fn of(answer: &Response, config: &Config) -> Error {
    let outer = answer.json::<Envelope>().ok().map(|envelope| envelope.error);
    let inner = outer.as_ref().and_then(|outer| outer.innererror.as_ref());
    let inner = inner.map_or("", |inner| inner.code.as_str());
    let outer = outer.as_ref().map_or("", |outer| outer.code.as_str());
    let error = match (answer.status, outer, inner) {
        (400, _, _) => Error::invalid_request("bad_parameter", "the vault takes it for malformed"),
        (401, _, _) => unauthenticated(answer, config),
        (403, _, "SecretDisabled") => Error::deleted(),
        (403, _, "ForbiddenByFirewall") => Error::permission_denied(
            "forbidden_by_firewall",
            "the vault's firewall does not let the gateway's address in",
        ),
        (403, _, "ForbiddenByPolicy") => Error::permission_denied(
            "forbidden_by_policy",
            "the vault's access policy does not name the identity",
        ),
        (403, _, "ForbiddenByRbac") => Error::permission_denied(
            "forbidden_by_rbac",
            "the identity has no role at the vault that reads secrets",
        ),
        (403, _, _) => Error::permission_denied("forbidden", "the vault refuses this"),
        (404, "SecretNotFound" | "", _) => Error::absent(),
        (404, _, _) => Error::invalid_config("not_found", "the vault does not know this path"),
        (429, _, _) => Error::rate_limited("throttled", "the vault is asked too often"),
        (_, _, _) => Error::of(answer),
    };
    error.answered(answer)
}

fn unauthenticated(answer: &Response, config: &Config) -> Error {
    match answer.header("www-authenticate") {
        Some(challenge) if is_foreign(challenge, config) => Error::unauthenticated(
            "foreign_challenge",
            "the vault asks for a token of another authority or resource than its cloud has; that \
             is not followed",
        ),
        Some(_) | None => {
            Error::unauthenticated("unauthenticated", "the vault does not accept the token")
        }
    }
}

/// Whether a challenge names what is not in the table of clouds.
fn is_foreign(challenge: &str, config: &Config) -> bool {
    let named = |name: &str| {
        let (_, rest) = challenge.split_once(&format!("{name}=\""))?;
        rest.split_once('"').map(|(value, _)| value)
    };
    let host = |url: &'_ str| {
        let rest = url.strip_prefix("https://").unwrap_or_default();
        rest.split('/').next().unwrap_or_default().to_owned()
    };
    let authority = named("authorization").or_else(|| named("authorization_uri")).map(host);
    let resource = named("resource").or_else(|| named("scope")).map(host);
    let known = [config.cloud.authority(), FORMER_AUTHORITY];
    authority.is_some_and(|authority| !known.contains(&authority.as_str()))
        || resource.is_some_and(|resource| resource != config.cloud.vaults())
}
