//! What the server's statuses mean, and its health.

use serde::Deserialize;
use symbolon_plugin::http::Response;
use symbolon_plugin::{Error, ErrorKind};

/// How long to leave a server alone that is not ready for this request yet.
const NOT_READY_MILLIS: u64 = 500;

/// The table of refusals. 404 is not one of them: only KV knows which of its kinds it is.
pub(crate) fn of(answer: &Response) -> Error {
    let status = answer.status;
    let error = match status {
        400 => Error::invalid_request("bad_request", "the server takes the request for malformed"),
        403 => Error::permission_denied(
            "forbidden",
            "the server refuses the token, or the token's policies refuse this",
        ),
        404 => Error::absent(),
        405 => Error::invalid_config("wrong_engine", "the mount does not take this method"),
        412 | 472 | 473 => Error::unavailable("not_ready", "the server cannot answer this yet")
            .retry_after(Some(NOT_READY_MILLIS)),
        429 => Error::rate_limited("quota", "a quota of the server is used up"),
        500 => Error::unavailable("server_failed", "the server failed"),
        502 => Error::unavailable("third_party_failed", "what the server depends on failed"),
        503 => Error::unavailable("sealed", "the server is sealed or in maintenance"),
        _ => Error::from_status(status),
    };
    let wait = answer.retry_after().or(error.retry_after_ms);
    error.status(status).retry_after(wait)
}

/// A login that is refused is about credentials, whatever its status: Vault says 400 to a token
/// that it does not believe, OpenBao 403.
pub(crate) fn of_login(answer: &Response) -> Error {
    let error = of(answer);
    match error.kind {
        ErrorKind::InvalidRequest | ErrorKind::PermissionDenied => {
            Error::unauthenticated("login_refused", "the server does not accept the assertion")
                .status(answer.status)
        }
        ErrorKind::NotFound => {
            Error::invalid_config("no_auth_method", "there is no such auth method")
                .status(answer.status)
        }
        ErrorKind::InvalidConfig
        | ErrorKind::Unauthenticated
        | ErrorKind::Conflict
        | ErrorKind::RateLimited
        | ErrorKind::Unavailable
        | ErrorKind::Timeout
        | ErrorKind::Unsupported
        | ErrorKind::Internal
        | ErrorKind::Other => error,
    }
}

#[derive(Deserialize)]
struct Health {
    initialized: bool,
    sealed: bool,
    version: String,
}

/// The server's version, if it is there and open.
pub(crate) fn health(answer: Response) -> Result<String, Error> {
    match answer.status {
        200 => opened(&answer.json()?),
        501 => {
            Err(Error::unavailable("uninitialized", "the server is not initialized").status(501))
        }
        _ => Err(of(&answer)),
    }
}

fn opened(health: &Health) -> Result<String, Error> {
    if health.sealed || !health.initialized {
        return Err(Error::unavailable("sealed", "the server is sealed or not initialized"));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || ".+-".contains(c);
    Ok(health.version.chars().filter(|c| plain(*c)).take(64).collect())
}
