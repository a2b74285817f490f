//! Engines that sign certificates: `pki`.
//!
//! A certificate ends by its own date, and before it where whoever verifies it asks for revocations.
//! With `no_store` the engine forgets it; it is then revoked by showing it.

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use symbolon_plugin::http::Response;
use symbolon_plugin::{Error, Issued, State, Timestamp};

use crate::creds::Asked;
use crate::kv::bytes;
use crate::refusal;
use crate::role::{Certificate, Handle};

/// What the host keeps of a lease.
const HANDLE_BYTES: usize = 4096;

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    lease_id: String,
    data: Map<String, Json>,
}

#[derive(Deserialize)]
struct Stored {
    data: Revocation,
}

#[derive(Deserialize)]
struct Revocation {
    #[serde(default)]
    revocation_time: u64,
}

/// The certificate in the answer.
pub(crate) fn issued(
    answer: &Response,
    certificate: &Certificate,
    asked: &Asked<'_>,
) -> Result<Issued, Error> {
    match answer.status {
        200 => {}
        // The role refuses the name, or there is no such role.
        400 | 404 => {
            return Err(Error::invalid_config("unsuitable_role", "the role does not sign this")
                .sent(true)
                .status(answer.status));
        }
        _ => return Err(refusal::of(answer)),
    }
    let envelope: Envelope = answer.json()?;
    let text = |name: &str| envelope.data.get(name).and_then(Json::as_str).map(str::to_owned);
    let ends = envelope.data.get("expiration").and_then(Json::as_u64);
    let (Some(serial), Some(itself), Some(ends_at)) =
        (text("serial_number"), text("certificate"), ends)
    else {
        return Err(Error::malformed_answer("the answer is not a certificate"));
    };
    // With a lease (`generate_lease`) the certificate is revoked when the token ends.
    let leased = !envelope.lease_id.is_empty();
    let expires_at = if leased { ends_at.min(asked.token_ends_at) } else { ends_at };
    Ok(Issued {
        reservation: asked.reservation.to_owned(),
        fields: envelope.data.into_iter().filter_map(field).collect(),
        expires_at: expires_at.min(asked.now.saturating_add(asked.ttl)),
        renewable: false,
        revocable: true,
        handle: handle(&certificate.mount, serial, itself, ends_at),
        metadata: Vec::new(),
    })
}

fn handle(mount: &str, serial: String, itself: String, ends_at: u64) -> Vec<u8> {
    let mount = mount.to_owned();
    let whole = Handle::Certificate {
        mount: mount.clone(),
        serial: serial.clone(),
        certificate: Some(itself),
        ends_at,
    }
    .bytes();
    if whole.len() <= HANDLE_BYTES {
        return whole;
    }
    Handle::Certificate { mount, serial, certificate: None, ends_at }.bytes()
}

/// A chain is one text, as programs read it from a file.
fn field((name, value): (String, Json)) -> Option<(String, Vec<u8>)> {
    match value {
        Json::Null => None,
        Json::Array(chain) => {
            let chain: Vec<&str> = chain.iter().filter_map(Json::as_str).collect();
            Some((name, chain.join("\n").into_bytes()))
        }
        value @ (Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_)) => {
            Some((name, bytes(value)))
        }
    }
}

/// Revoking twice is a success at the server.
pub(crate) fn revoked(answer: &Response) -> Result<(), Error> {
    match answer.status {
        200 | 204 => Ok(()),
        400 | 404 => Err(Error::conflict(
            "not_revocable",
            "the server does not know the certificate; it ends by its date",
        )
        .status(answer.status)),
        _ => Err(refusal::of(answer)),
    }
}

/// What is not stored is usable until its date: nothing says otherwise.
pub(crate) fn state(answer: &Response, ends_at: Timestamp, now: Timestamp) -> Result<State, Error> {
    if ends_at <= now {
        return Ok(State::Gone);
    }
    match answer.status {
        200 if answer.json::<Stored>()?.data.revocation_time > 0 => Ok(State::Disabled),
        200 | 404 => Ok(State::Usable),
        _ => Err(refusal::of(answer)),
    }
}
