//! The login: an assertion for a token of Entra.
//!
//! INVARIANT: a refusal is told by the number in `error_codes` and the word in `error`;
//! `error_description`, which echoes the assertion's subject, is read nowhere.

use serde::Deserialize;
use symbolon_plugin::http::{self, Request, Response};
use symbolon_plugin::{Error, Timestamp, Token, oauth};

use crate::config::Config;

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// A new federated credential is known everywhere after some minutes.
const PROPAGATION_MILLIS: u64 = 10_000;

#[derive(Deserialize)]
struct Refused {
    #[serde(default)]
    error_codes: Vec<u32>,
}

/// The login with `assertion`.
pub(crate) fn request(config: &Config, assertion: &str) -> Result<Request, Error> {
    let (authority, tenant) = (config.cloud.authority(), config.tenant()?);
    let scope = config.scope()?;
    let form = [
        ("client_id", config.client_id()?),
        ("scope", &scope),
        ("grant_type", "client_credentials"),
        ("client_assertion_type", ASSERTION),
        ("client_assertion", assertion),
    ];
    let url = format!("https://{authority}/{tenant}/oauth2/v2.0/token");
    Ok(http::post(url).form(&form).limit(oauth::LIMIT))
}

/// There is one scope, so that nothing narrower can be had: it may be asked for, and no other.
pub(crate) fn check_scopes(config: &Config, asked: &[String]) -> Result<(), Error> {
    let scope = config.scope()?;
    let fits = asked.iter().all(|asked| *asked == scope);
    fits.then_some(()).ok_or_else(|| {
        Error::invalid_request("scope_not_granted", "the target does not have this scope")
    })
}

/// The token in the answer.
pub(crate) fn token(answer: &Response, ttl: u64, now: Timestamp) -> Result<Token, Error> {
    match answer.status {
        200 => oauth::token(answer, ttl, now),
        _ => Err(refusal(answer)),
    }
}

fn refusal(answer: &Response) -> Error {
    let refused = answer.json::<Refused>().ok();
    let error = match refused.as_ref().and_then(|refused| refused.error_codes.first()) {
        Some(number) => numbered(*number, answer),
        None => worded(answer),
    };
    error.answered(answer)
}

/// By the number, which is the code as well: `aadsts_700213`.
fn numbered(number: u32, answer: &Response) -> Error {
    let code = &format!("aadsts_{number}");
    match number {
        70_021 => Error::invalid_config(
            code,
            "no federated credential fits the assertion; a new one takes some minutes to be known",
        )
        .retry_after(Some(PROPAGATION_MILLIS)),
        700_211 => Error::invalid_config(code, "the federated credential names another issuer"),
        700_212 => Error::invalid_config(code, "the federated credential names another audience"),
        700_213 => Error::invalid_config(code, "the federated credential names another subject"),
        7_002_131 => Error::invalid_config(code, "the credential's expression does not match"),
        700_016 => Error::invalid_config(code, "the tenant has no such application"),
        7_000_215 => Error::invalid_config(code, "a client secret is asked for"),
        70_011 => Error::invalid_config(code, "there is no such scope"),
        50_001 | 500_011 => Error::invalid_config(code, "the tenant has no such resource"),
        90_002 => Error::invalid_config(code, "there is no such tenant"),
        700_024 => Error::unauthenticated(
            code,
            "the assertion is not valid at this time: one of the clocks is wrong",
        ),
        700_027 => Error::unauthenticated(code, "the assertion's signature is not accepted"),
        50_196 => Error::rate_limited(code, "too many of the same logins"),
        90_033 => Error::unavailable(code, "the directory is unavailable"),
        _ => Error { code: code.clone(), ..worded(answer) },
    }
}

/// By the word of the standard.
fn worded(answer: &Response) -> Error {
    match oauth::refusal(answer).as_deref() {
        Some("invalid_client" | "invalid_grant") => {
            Error::unauthenticated("login_refused", "Entra does not accept the assertion")
        }
        Some("invalid_request" | "invalid_scope" | "invalid_resource" | "unauthorized_client") => {
            Error::invalid_config("login_impossible", "the application cannot log in like this")
        }
        Some("temporarily_unavailable") => {
            Error::unavailable("temporarily_unavailable", "Entra cannot answer now")
        }
        Some(_) | None => Error::of(answer),
    }
}
