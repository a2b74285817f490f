//! KV version 2: versions, and the three ways of not being there.
//!
//! A version that was deleted or destroyed answers 404 as a path that never was does, but with a
//! body that says which.

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use symbolon_plugin::http::Response;
use symbolon_plugin::{Error, Listing, Secret, time};

use crate::refusal;

#[derive(Deserialize)]
struct Envelope<T> {
    data: Option<T>,
}

#[derive(Deserialize)]
struct Version {
    data: Option<Map<String, Json>>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    version: u64,
    #[serde(default)]
    created_time: String,
    deletion_time: String,
    destroyed: bool,
}

#[derive(Deserialize)]
struct Names {
    keys: Vec<String>,
}

/// The version asked for. 0 would mean the newest to the server, which is not what it says here.
pub(crate) fn version(asked: Option<&str>) -> Result<Option<u64>, Error> {
    let Some(asked) = asked else { return Ok(None) };
    match asked.parse::<u64>() {
        Ok(version) if version > 0 && version.to_string() == asked => Ok(Some(version)),
        Ok(_) | Err(_) => {
            Err(Error::invalid_request("version_malformed", "a version is a number from 1 on"))
        }
    }
}

/// The secret in the answer, or which way it is not there.
pub(crate) fn secret(answer: Response, path: &str, asked: Option<u64>) -> Result<Secret, Error> {
    let version = match answer.status {
        200 => answer.json::<Envelope<Version>>()?.data.ok_or_else(not_version_two)?,
        404 => buried(&answer)?,
        _ => return Err(refusal::of(&answer)),
    };
    if asked.is_some_and(|asked| asked != version.metadata.version) {
        return Err(Error::malformed_answer("the answer is another version than the one asked"));
    }
    let Version { data, metadata } = version;
    match data {
        _ if metadata.destroyed => Err(Error::destroyed().status(answer.status)),
        Some(fields) => revealed(path, fields, &metadata),
        None if metadata.deletion_time.is_empty() => Err(not_version_two()),
        None => Err(Error::deleted().status(answer.status)),
    }
}

/// What a 404 says about a version that was. Without such a body the path never was, or is hidden.
fn buried(answer: &Response) -> Result<Version, Error> {
    let version = answer.json::<Envelope<Version>>().ok().and_then(|envelope| envelope.data);
    version
        .filter(|version| version.data.is_none())
        .ok_or_else(|| Error::absent().status(answer.status))
}

fn revealed(path: &str, data: Map<String, Json>, metadata: &Metadata) -> Result<Secret, Error> {
    let fields = data.into_iter().map(|(name, value)| (name, bytes(value))).collect();
    let mut secret = Secret::fields(path, fields).version(Some(metadata.version.to_string()));
    secret.expires_at = ends(&metadata.deletion_time)?;
    if time::parse(&metadata.created_time).is_some() {
        secret.metadata.push(("created_time".to_owned(), metadata.created_time.clone()));
    }
    Ok(secret)
}

/// A deletion that is still to come (`delete_version_after`) is the end of the value.
fn ends(deletion_time: &str) -> Result<Option<u64>, Error> {
    match deletion_time {
        "" => Ok(None),
        text => time::parse(text)
            .map(Some)
            .ok_or_else(|| Error::malformed_answer("the deletion time is no time")),
    }
}

/// Text as it is; anything else as the JSON that it was.
pub(crate) fn bytes(value: Json) -> Vec<u8> {
    match value {
        Json::String(text) => text.into_bytes(),
        other @ (Json::Null
        | Json::Bool(_)
        | Json::Number(_)
        | Json::Array(_)
        | Json::Object(_)) => other.to_string().into_bytes(),
    }
}

fn not_version_two() -> Error {
    Error::malformed_answer("the answer is not that of a KV version 2 engine")
}

/// The page of names after `next`: the server gives all of them at once.
pub(crate) fn listing(answer: Response, next: Option<&str>) -> Result<Listing, Error> {
    if answer.status != 200 {
        return Err(refusal::of(&answer));
    }
    let envelope: Envelope<Names> = answer.json()?;
    Ok(Listing::page(envelope.data.ok_or_else(not_version_two)?.keys, next))
}
