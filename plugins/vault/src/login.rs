//! The answer of a login, made into a token.

use serde::Deserialize;
use symbolon_plugin::http::Response;
use symbolon_plugin::{Error, Timestamp, Token};

use crate::refusal;

/// The header in which the server takes its tokens.
const HEADER: &str = "x-vault-token";

#[derive(Deserialize)]
struct Envelope {
    auth: Option<Auth>,
}

#[derive(Deserialize)]
struct Auth {
    client_token: String,
    #[serde(default)]
    accessor: String,
    lease_duration: u64,
}

/// What stands for an end that never comes, from now: a hundred years.
const NEVER: u64 = 100 * 365 * 24 * 60 * 60;

/// The token, which ends when the server says, and is used no later than `ttl` from now. One that never
/// ends (`lease_duration` 0) is forgotten by the host after `ttl` all the same.
pub(crate) fn token(answer: Response, ttl: u64, now: Timestamp) -> Result<Token, Error> {
    if answer.status != 200 {
        return Err(refusal::of_login(&answer));
    }
    let envelope: Envelope = answer.json()?;
    let auth = envelope
        .auth
        .filter(|auth| is_token(&auth.client_token))
        .ok_or_else(|| Error::malformed_answer("the login gave no token"))?;
    let lasts = if auth.lease_duration == 0 { NEVER } else { auth.lease_duration };
    let used_until = now.saturating_add(lasts.min(ttl));
    let mut token =
        Token::header(HEADER, auth.client_token, used_until).outliving(now.saturating_add(lasts));
    token.handle = auth.accessor.into_bytes();
    Ok(token)
}

/// A token goes into a header: visible characters only, and not without measure.
fn is_token(text: &str) -> bool {
    (1..=8192).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
