//! A request by one's own hand: with too little patience, or content with half an answer.

use symbolon_plugin::Error;
use symbolon_plugin::http::Response;
use wasip2::clocks::monotonic_clock;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{Fields, IncomingBody, OutgoingRequest, Scheme};
use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::StreamError;

/// Less than the host's, which the test sets, and more than a busy machine needs.
const PATIENCE_NANOS: u64 = 2_000_000_000;

/// The answer to a GET. What does not come within the patience is called a defect.
pub(crate) fn get(url: &str, is_content_with_half: bool) -> Result<Response, Error> {
    let bare = url.strip_prefix("https://").unwrap_or_default();
    let (authority, path) = bare.split_once('/').unwrap_or((bare, ""));
    let request = OutgoingRequest::new(Fields::new());
    let set = request
        .set_scheme(Some(&Scheme::Https))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(&format!("/{path}"))));
    set.map_err(|()| Error::internal("url", "the host does not take the URL"))?;
    let gone = || Error::unavailable("gone", "the upstream is not there");
    let future = outgoing_handler::handle(request, None).map_err(|_| gone())?;
    in_time(&future.subscribe())?;
    let answer = future.get().and_then(Result::ok).ok_or_else(gone)?.map_err(|_| gone())?;
    let (status, headers) = (answer.status(), answer.headers().entries());
    let body = answer.consume().map_err(|()| gone())?;
    let stream = body.stream().map_err(|()| gone())?;
    let mut bytes = Vec::new();
    loop {
        in_time(&stream.subscribe())?;
        match stream.read(64 * 1024) {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) if is_content_with_half => break,
            Err(StreamError::LastOperationFailed(_)) => return Err(gone()),
        }
    }
    drop(stream);
    drop(IncomingBody::finish(body));
    Response { status, headers, body: bytes }.success()
}

fn in_time(ready: &Pollable) -> Result<(), Error> {
    let timer = monotonic_clock::subscribe_duration(PATIENCE_NANOS);
    match poll(&[ready, &timer]).first() {
        Some(0) => Ok(()),
        Some(_) | None => Err(Error::internal("impatient", "the upstream is too slow")),
    }
}
