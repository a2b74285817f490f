//! Tokens of an OAuth token service: the gateway's assertion in (RFC 7523 §2.1), a bearer token out.
//!
//! The assertion is made by the host for this very call. Nothing is kept, and nothing that the service
//! says in words is repeated: it may quote what was sent.

mod config;

use symbolon_plugin::http::{self, Request, Response};
use symbolon_plugin::{
    Call, Error, Exchange, ExchangeRequest, Plugin, Report, Seconds, Timestamp, Token, clock, oauth,
};

use config::Config;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

struct Party;

impl Plugin for Party {
    const MANIFEST: &'static str = include_str!("../manifest.json");
    type Config = Config;

    fn validate(config: &Config) -> Result<Report, Error> {
        config.endpoint().map(|_| Report::sound())
    }
}

impl Exchange for Party {
    fn exchange(call: &Call<Config>, asked: ExchangeRequest) -> Result<Token, Error> {
        let answer = request(&call.config, &asked)?.send()?;
        token(&answer, asked.ttl, clock::now())
    }
}

fn request(config: &Config, asked: &ExchangeRequest) -> Result<Request, Error> {
    let scope = asked.scopes.join(" ");
    let mut form = vec![
        ("grant_type", GRANT),
        ("assertion", asked.assertion.as_str()),
        ("client_id", config.client_id.as_str()),
    ];
    if !scope.is_empty() {
        form.push(("scope", &scope));
    }
    Ok(http::post(config.endpoint()?)
        .form(&form)
        .limit(oauth::LIMIT))
}

fn token(answer: &Response, ttl: Seconds, now: Timestamp) -> Result<Token, Error> {
    match answer.status {
        200 => oauth::token(answer, ttl, now),
        _ => Err(refusal(answer)),
    }
}

/// The words of the standard (RFC 6749 §5.2) say more than the status, which is 400 for most.
fn refusal(answer: &Response) -> Error {
    let error = match oauth::refusal(answer).as_deref() {
        Some("invalid_grant") => Error::unauthenticated(
            "assertion_refused",
            "the token service does not accept the assertion",
        ),
        Some("invalid_client" | "unauthorized_client") => {
            Error::permission_denied("client_refused", "the token service refuses this client")
        }
        Some("invalid_scope") => {
            Error::permission_denied("scope_refused", "the token service refuses the scope")
        }
        Some(_) | None => return Error::of(answer),
    };
    error.answered(answer)
}

symbolon_plugin::export!(Party: exchange);

#[cfg(test)]
mod tests;
