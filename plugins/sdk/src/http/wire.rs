//! The client over `wasi:http`.
//!
//! INVARIANT: `request-sent` is false only where the host says that nothing has left.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method,
    OutgoingBody, OutgoingRequest, Scheme,
};
use wasip2::io::streams::{InputStream, StreamError};

use super::{Request, Response, url};
use crate::{Error, ErrorKind};

/// What one write to a stream of `wasi:io` may hold.
const CHUNK: usize = 4096;

/// What one read asks for.
const READ: u64 = 64 * 1024;

pub(super) fn send(request: Request) -> Result<Response, Error> {
    let outgoing = outgoing(&request)?;
    let body = outgoing.body().map_err(|()| defect("the request has no body to write"))?;
    let future = outgoing_handler::handle(outgoing, None).map_err(failed)?;
    write(body, request.body.as_deref().unwrap_or_default())?;
    read(wait(&future)?, request.limit)
}

fn outgoing(request: &Request) -> Result<OutgoingRequest, Error> {
    let pieces = url::split(&request.url)?;
    let scheme = if pieces.secure { Scheme::Https } else { Scheme::Http };
    let mut headers = request.headers.clone();
    if let Some(body) = &request.body {
        headers.push(("content-length".to_owned(), body.len().to_string().into_bytes()));
    }
    let headers = Fields::from_list(&headers)
        .map_err(|_| Error::invalid_request("header_refused", "the host refused a header"))?;
    let outgoing = OutgoingRequest::new(headers);
    outgoing
        .set_method(&method(request.method))
        .and_then(|()| outgoing.set_scheme(Some(&scheme)))
        .and_then(|()| outgoing.set_authority(Some(pieces.authority)))
        .and_then(|()| outgoing.set_path_with_query(Some(pieces.path_and_query)))
        .map_err(|()| Error::invalid_request("url_refused", "the host refused the URL"))?;
    Ok(outgoing)
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), Error> {
    let cut = || Error::unavailable("request_cut", "the request could not be sent whole");
    let stream = body.write().map_err(|()| defect("the body cannot be written twice"))?;
    for chunk in bytes.chunks(CHUNK) {
        stream.blocking_write_and_flush(chunk).map_err(|_| cut())?;
    }
    drop(stream);
    OutgoingBody::finish(body, None).map_err(|_| cut())
}

fn wait(future: &FutureIncomingResponse) -> Result<IncomingResponse, Error> {
    let pollable = future.subscribe();
    loop {
        match future.get() {
            Some(Ok(answer)) => return answer.map_err(failed),
            Some(Err(())) => return Err(defect("the answer was taken already")),
            None => pollable.block(),
        }
    }
}

fn read(answer: IncomingResponse, limit: usize) -> Result<Response, Error> {
    let status = answer.status();
    let headers = answer
        .headers()
        .entries()
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect();
    let body = answer.consume().map_err(|()| defect("the body was taken already"))?;
    let stream = body.stream().map_err(|()| defect("the body was taken already"))?;
    let bytes = drain(&stream, limit).map_err(|error| error.status(status))?;
    drop(stream);
    drop(IncomingBody::finish(body));
    Ok(Response { status, headers, body: bytes })
}

fn drain(stream: &InputStream, limit: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(READ) {
            Ok(chunk) if bytes.len() + chunk.len() > limit => {
                return Err(Error::malformed_answer("the answer is larger than the limit"));
            }
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(_)) => {
                return Err(Error::unavailable("answer_cut", "the answer broke off"));
            }
        }
    }
}

fn defect(message: &str) -> Error {
    Error::internal("http_misused", message)
}

/// Two groups never left the host: what it refused, and what found nobody to talk to.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(code: ErrorCode) -> Error {
    use ErrorCode as C;
    let (kind, name, sent) = match code {
        C::HttpRequestDenied | C::DestinationIpProhibited => {
            (ErrorKind::InvalidConfig, "egress_denied", false)
        }
        C::HttpRequestLengthRequired
        | C::HttpRequestBodySize(_)
        | C::HttpRequestMethodInvalid
        | C::HttpRequestUriInvalid
        | C::HttpRequestUriTooLong
        | C::HttpRequestHeaderSectionSize(_)
        | C::HttpRequestHeaderSize(_)
        | C::HttpRequestTrailerSectionSize(_)
        | C::HttpRequestTrailerSize(_) => (ErrorKind::InvalidRequest, "request_refused", false),
        C::DnsTimeout
        | C::DnsError(_)
        | C::DestinationNotFound
        | C::DestinationUnavailable
        | C::DestinationIpUnroutable
        | C::ConnectionRefused
        | C::ConnectionTimeout
        | C::ConnectionLimitReached => (ErrorKind::Unavailable, "unreachable", false),
        C::TlsProtocolError | C::TlsCertificateError | C::TlsAlertReceived(_) => {
            (ErrorKind::Unavailable, "tls_failed", false)
        }
        C::ConnectionReadTimeout | C::ConnectionWriteTimeout | C::HttpResponseTimeout => {
            (ErrorKind::Timeout, "no_answer", true)
        }
        C::ConnectionTerminated | C::HttpResponseIncomplete => {
            (ErrorKind::Unavailable, "answer_cut", true)
        }
        C::HttpResponseHeaderSectionSize(_)
        | C::HttpResponseHeaderSize(_)
        | C::HttpResponseBodySize(_)
        | C::HttpResponseTrailerSectionSize(_)
        | C::HttpResponseTrailerSize(_)
        | C::HttpResponseTransferCoding(_)
        | C::HttpResponseContentCoding(_)
        | C::HttpUpgradeFailed
        | C::HttpProtocolError
        | C::LoopDetected => (ErrorKind::Internal, "malformed_answer", true),
        C::ConfigurationError | C::InternalError(_) => (ErrorKind::Internal, "host_failed", true),
    };
    Error::transport(kind, name, sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_surely_never_left_counts_as_not_sent() {
        for (code, kind, sent) in [
            (ErrorCode::HttpRequestDenied, ErrorKind::InvalidConfig, false),
            (ErrorCode::ConnectionRefused, ErrorKind::Unavailable, false),
            (ErrorCode::HttpResponseTimeout, ErrorKind::Timeout, true),
            (ErrorCode::ConnectionTerminated, ErrorKind::Unavailable, true),
            (ErrorCode::InternalError(Some("words".into())), ErrorKind::Internal, true),
        ] {
            let error = failed(code);
            assert_eq!((error.kind, error.request_sent), (kind, sent), "{}", error.code);
            assert!(!error.message.contains("words"));
        }
    }
}
