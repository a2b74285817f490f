//! Engines that make a credential with a lease: `database`, and those that answer as it does.
//!
//! A lease of the server's hangs on the token that asked for it: when the token ends, so does the
//! lease, whatever its own time says (seen on OpenBao 2.7). Nobody may therefore be told an end after
//! that of the token, and the operator gives the login role a `token_ttl` that outlasts the leases.
//!
//! INVARIANT: the end that is answered is never after that of the token nor that of the lease.

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use symbolon_plugin::http::Response;
use symbolon_plugin::{Error, Issued, State, Timestamp, log};

use crate::config::Config;
use crate::kv::bytes;
use crate::role::{Creds, Handle};
use crate::{refusal, request};

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
pub(crate) struct Leased {
    lease_id: String,
    lease_duration: u64,
    renewable: bool,
    data: Option<Map<String, Json>>,
}

#[derive(Deserialize)]
struct Token {
    ttl: u64,
}

/// When the token that the host adds ends. Asked before anything is issued: a token that the host
/// puts in its place meanwhile ends later.
pub(crate) fn token_ends(answer: &Response, now: Timestamp) -> Result<Timestamp, Error> {
    if answer.status != 200 {
        return Err(refusal::of(answer).sent(false));
    }
    match answer.json::<Envelope<Token>>()?.data.ttl {
        0 => Ok(Timestamp::MAX),
        ttl => Ok(now.saturating_add(ttl)),
    }
}

/// What is asked for, and until when it may last.
pub(crate) struct Asked<'a> {
    pub(crate) reservation: &'a str,
    pub(crate) ttl: u64,
    pub(crate) now: Timestamp,
    pub(crate) token_ends_at: Timestamp,
}

/// Issues a credential.
pub(crate) fn issue(config: &Config, creds: &Creds, asked: &Asked<'_>) -> Result<Issued, Error> {
    let leased = leased(&request::creds(config, creds)?.send()?)?;
    if leased.lease_duration > asked.ttl {
        // A lost answer leaves a credential for as long as the server thinks.
        log!(Warn, "the role at the server lasts longer than here", "seconds" => leased.lease_duration);
        // Shortened, so that it ends even if nobody is there to revoke it. If not, it is revoked.
        let answer = request::renew_lease(config, &leased.lease_id, asked.ttl)?.send();
        if !answer.is_ok_and(|answer| answer.status == 200) {
            log!(Warn, "the server did not shorten the lease");
        }
    }
    Ok(issued(leased, asked))
}

pub(crate) fn leased(answer: &Response) -> Result<Leased, Error> {
    match answer.status {
        200 => {}
        400 | 404 => return Err(unknown_role(answer.status)),
        _ => return Err(refusal::of(answer)),
    }
    let leased: Leased = answer.json()?;
    let whole = !leased.lease_id.is_empty() && leased.lease_duration > 0 && leased.data.is_some();
    whole.then_some(leased).ok_or_else(|| Error::malformed_answer("the credential has no lease"))
}

fn unknown_role(status: u16) -> Error {
    Error::invalid_config("unknown_role", "the server knows no such role, or cannot use it")
        .sent(true)
        .status(status)
}

pub(crate) fn issued(leased: Leased, asked: &Asked<'_>) -> Issued {
    let lasts = leased.lease_duration.min(asked.ttl);
    let ends = asked.now.saturating_add(lasts).min(asked.token_ends_at);
    let fields = leased.data.into_iter().flatten();
    Issued {
        reservation: asked.reservation.to_owned(),
        fields: fields.map(|(name, value)| (name, bytes(value))).collect(),
        expires_at: ends,
        renewable: leased.renewable && ends < asked.token_ends_at,
        revocable: true,
        handle: Handle::Lease { id: leased.lease_id, token_ends_at: asked.token_ends_at }.bytes(),
        metadata: Vec::new(),
    }
}

/// When a lease that was renewed ends. The server answers 400 of one that it does not know.
pub(crate) fn renewed(
    answer: &Response,
    now: Timestamp,
    ttl: u64,
    token_ends_at: Timestamp,
) -> Result<Timestamp, Error> {
    match answer.status {
        200 => {}
        400 | 404 => return Err(Error::absent().status(answer.status)),
        _ => return Err(refusal::of(answer)),
    }
    let lasts = answer.json::<Leased>()?.lease_duration.min(ttl);
    Ok(now.saturating_add(lasts).min(token_ends_at))
}

/// A lease that the server does not know is revoked: it answers 204 of it. 400 is what it says when
/// its engine failed, a database that refuses to drop the user, say (seen on OpenBao 2.7).
pub(crate) fn revoked(answer: &Response) -> Result<(), Error> {
    match answer.status {
        200 | 204 => Ok(()),
        400 => {
            Err(Error::unavailable("revocation_failed", "the server could not end the credential")
                .status(400))
        }
        _ => Err(refusal::of(answer)),
    }
}

/// Whether the server knows the lease: 400 if not.
pub(crate) fn state(answer: &Response) -> Result<State, Error> {
    match answer.status {
        200 => Ok(State::Usable),
        400 | 404 => Ok(State::Gone),
        _ => Err(refusal::of(answer)),
    }
}
