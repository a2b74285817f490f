//! Tokens: the federated one, and those of a service account.

use serde::Deserialize;
use symbolon_plugin::http::Response;
use symbolon_plugin::{Error, Timestamp, Token, encoding, oauth, time};

use crate::config::Config;
use crate::refusal;

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// How long a token shall last at most, from when on.
pub(crate) type Span = (u64, Timestamp);

#[derive(Deserialize)]
struct Federated {
    issued_token_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Impersonated {
    access_token: String,
    expire_time: String,
}

#[derive(Deserialize)]
struct Identity {
    token: String,
}

#[derive(Deserialize)]
struct Claims {
    exp: u64,
}

/// The scopes of this exchange: those asked for, all of which the target must have, or all that it
/// has.
pub(crate) fn scopes<'a>(config: &'a Config, asked: &'a [String]) -> Result<Vec<&'a str>, Error> {
    let granted = config.scopes();
    if asked.is_empty() {
        return Ok(granted);
    }
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    let within = config.id_token.is_none() && asked.iter().all(|scope| granted.contains(scope));
    within.then_some(asked).ok_or_else(|| {
        Error::invalid_request("scope_not_granted", "the target does not have this scope")
    })
}

/// The federated token.
pub(crate) fn federated(answer: &Response, (ttl, now): Span) -> Result<Token, Error> {
    if answer.status != 200 {
        return Err(refusal::of_federation(answer));
    }
    if answer.json::<Federated>()?.issued_token_type != ACCESS_TOKEN {
        return Err(Error::malformed_answer("the token is not an access token"));
    }
    oauth::token(answer, ttl, now)
}

/// The text of a token that this call has obtained, to go on with.
pub(crate) fn text(token: &Token) -> Result<&str, Error> {
    let found = token.fields.iter().find(|(name, _)| name == "token");
    let text = found.and_then(|(_, bytes)| std::str::from_utf8(bytes).ok());
    text.ok_or_else(|| Error::malformed_answer("the token is not text"))
}

/// The access token of a service account.
pub(crate) fn impersonated(answer: &Response, span: Span) -> Result<Token, Error> {
    if answer.status != 200 {
        return Err(refusal::of_impersonation(answer));
    }
    let token: Impersonated = answer.json()?;
    let ends_at = time::parse(&token.expire_time)
        .ok_or_else(|| Error::malformed_answer("the token's end is no time"))?;
    oauth::bearer(token.access_token, ends_at, span)
}

/// The ID token of a service account. Its end stands in itself; its signature is for whoever it is
/// shown to.
pub(crate) fn identity(answer: &Response, span: Span) -> Result<Token, Error> {
    if answer.status != 200 {
        return Err(refusal::of_impersonation(answer));
    }
    let token = answer.json::<Identity>()?.token;
    let claims = token.split('.').nth(1).and_then(encoding::base64url);
    let claims = claims.and_then(|json| serde_json::from_slice::<Claims>(&json).ok());
    let claims = claims.ok_or_else(|| Error::malformed_answer("the token is not a JWT"))?;
    oauth::bearer(token, claims.exp, span)
}
