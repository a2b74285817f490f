//! The upstream, asked honestly, and what is made of its answers.

use serde::de::DeserializeOwned;
use symbolon_plugin::http::{Request, Response};
use symbolon_plugin::{Error, ErrorKind, http, log};
use wasip2::clocks::monotonic_clock;

use crate::config::Config;

const HOUR_NANOS: u64 = 3_600_000_000_000;

/// Sends a request, and takes what is no success for what it means.
pub(crate) fn send(config: &Config, request: Request) -> Result<Response, Error> {
    let mut answer = request.clone().send().map_err(|error| unanswered(config, error))?;
    let mut tries = 0;
    while config.lies("retries") && answer.status == 503 && tries < 5 {
        answer = request.clone().send()?;
        tries += 1;
    }
    if config.lies("leaks-log") {
        log!(Info, "answered", "body" => String::from_utf8_lossy(&answer.body));
    }
    if config.lies("bomb") && answer.header("content-encoding").is_some() {
        let decompressed = vec![1_u8; 128 << 20];
        return Err(Error::internal("large", format!("{} bytes", decompressed.len())));
    }
    match answer.status {
        200..=299 => Ok(answer),
        _ => Err(refused(config, &answer)),
    }
}

fn unanswered(config: &Config, error: Error) -> Error {
    if config.lies("hangs") && error.code == "answer_cut" {
        monotonic_clock::subscribe_duration(HOUR_NANOS).block();
    }
    // Not half an answer, which the end of a call's time makes of one that stalls.
    let is_closed = error.code == "answer_cut" && error.upstream_status.is_none();
    if config.lies("closed-is-internal") && is_closed {
        return Error { kind: ErrorKind::Internal, ..error };
    }
    if config.lies("huge-is-absent") && error.code == "malformed_answer" {
        return Error::absent();
    }
    error
}

fn refused(config: &Config, answer: &Response) -> Error {
    if config.lies("follows")
        && let Some(elsewhere) = answer.header("location")
    {
        return http::get(elsewhere).send().err().unwrap_or_else(Error::absent);
    }
    let mut error = Error::of(answer);
    let wrong = match answer.status {
        429 => config.lies("429-is-internal"),
        500 => config.lies("500-is-absent"),
        503 => config.lies("503-is-absent"),
        _ => false,
    };
    if wrong {
        let kind = if answer.status == 429 { ErrorKind::Internal } else { ErrorKind::NotFound };
        error = Error { kind, ..error };
    }
    if config.lies("forgets-wait") {
        error.retry_after_ms = None;
    }
    if config.lies("quotes") {
        error.message = String::from_utf8_lossy(&answer.body).into_owned();
    }
    error
}

/// What an answer says.
pub(crate) fn parsed<T: DeserializeOwned>(config: &Config, answer: &Response) -> Result<T, Error> {
    if config.lies("content-type") && answer.header("content-type") != Some("application/json") {
        return Err(Error::absent());
    }
    match answer.json() {
        Err(_) if config.lies("nonsense-is-absent") => Err(Error::absent()),
        #[expect(clippy::panic, reason = "a defect")]
        Err(_) if config.lies("panics") => panic!("a defect"),
        outcome => outcome,
    }
}
