//! Secrets of a JSON API: read by path and version, listed by folder.
//!
//! The host adds the credential to each request and decides whether it may leave; nothing here sees
//! a credential. Words of the server are repeated nowhere: they could quote a secret.

mod config;

use serde::Deserialize;
use symbolon_plugin::http::{self, Response};
use symbolon_plugin::{Call, Error, Listing, Plugin, Report, Secret, Secrets, Selector, Timestamp};

use config::Config;

struct Backend;

impl Plugin for Backend {
    const MANIFEST: &'static str = include_str!("../manifest.json");
    type Config = Config;

    fn validate(config: &Config) -> Result<Report, Error> {
        config.url("secrets", "").map(|_| Report::sound())
    }

    fn probe(call: &Call<Config>) -> Result<Report, Error> {
        let answer = http::get(call.config.url("secrets", "")?).send()?;
        Report::of_listing(&answer, "may not list").ok_or_else(|| refusal(&answer))
    }
}

impl Secrets for Backend {
    fn read(call: &Call<Config>, selector: Selector) -> Result<Secret, Error> {
        let url = call.config.url("secrets", &selector.path)?;
        let request = http::get(url).query("version", selector.version.as_deref());
        secret(&request.send()?, selector)
    }

    fn list(
        call: &Call<Config>,
        folder: Option<String>,
        next: Option<String>,
    ) -> Result<Listing, Error> {
        let url = call
            .config
            .url("secrets", folder.as_deref().unwrap_or_default())?;
        let request = http::get(url).query("list", "true");
        listing(&request.query("cursor", next.as_deref()).send()?)
    }
}

#[derive(Deserialize)]
struct Found {
    value: String,
    version: String,
    expires_at: Option<Timestamp>,
}

/// The secret in an answer. The version that was asked for, or none.
fn secret(answer: &Response, asked: Selector) -> Result<Secret, Error> {
    if answer.status != 200 {
        return Err(refusal(answer));
    }
    let found: Found = answer.json()?;
    if asked
        .version
        .is_some_and(|version| version != found.version)
    {
        return Err(Error::malformed_answer(
            "the answer is another version than the one asked",
        ));
    }
    Ok(Secret::text(asked.path, &found.value)
        .version(Some(found.version))
        .expires(found.expires_at))
}

#[derive(Deserialize)]
struct Page {
    names: Vec<String>,
    next: Option<String>,
}

/// One page; the host asks for the one after it with what the server said.
fn listing(answer: &Response) -> Result<Listing, Error> {
    if answer.status != 200 {
        return Err(refusal(answer));
    }
    let Page { names, next } = answer.json()?;
    Ok(Listing { names, next })
}

/// What this server's refusals mean. Statuses that mean the same everywhere, and how long the server
/// asks to wait, are read by the SDK.
fn refusal(answer: &Response) -> Error {
    match answer.status {
        410 => Error::deleted().answered(answer),
        423 => Error::unavailable("locked", "the server is locked").answered(answer),
        _ => Error::of(answer),
    }
}

symbolon_plugin::export!(Backend: secrets);

#[cfg(test)]
mod tests;
