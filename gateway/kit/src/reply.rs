//! Answers of the upstream, good and bad.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::Frame;

use crate::misbehaviour::{self, Misbehaviour, WAIT_SECONDS, WORDS};
use crate::script::Answer;
use crate::terms::Terms;

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    /// The same body with large values.
    large: Bytes,
    end: End,
}

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Well.
    Whole,
    /// It does not begin.
    Never,
    /// With the connection, before it begins.
    Closed,
    /// With the connection, half-way.
    Cut,
    /// Not at all, half-way.
    Stalled,
}

impl Reply {
    pub(crate) fn of(answer: &Answer, terms: &Terms) -> Self {
        let mut headers = HeaderMap::new();
        if answer.json.is_some() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in &answer.headers {
            let value = HeaderValue::try_from(terms.text(value));
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), value) {
                headers.insert(name, value);
            }
        }
        Self {
            status: StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK),
            headers,
            body: body(answer, terms),
            large: body(answer, &terms.grown(misbehaviour::LARGE_BYTES)),
            end: End::Whole,
        }
    }

    /// The answer to what nobody expects.
    pub(crate) fn unknown() -> Self {
        Self::bare(StatusCode::NOT_FOUND, misbehaviour::nonsense())
    }

    fn bare(status: StatusCode, body: Bytes) -> Self {
        let headers = HeaderMap::new();
        Self { status, headers, body: body.clone(), large: body, end: End::Whole }
    }

    /// The same answer, gone bad.
    pub(crate) fn gone_bad(self, how: Misbehaviour) -> Self {
        match how {
            Misbehaviour::Slow => Self { end: End::Never, ..self },
            Misbehaviour::Closed => Self { end: End::Closed, ..self },
            Misbehaviour::Stalled => Self { end: End::Stalled, ..self },
            Misbehaviour::Truncated => Self { end: End::Cut, ..self },
            Misbehaviour::Throttled => waiting(StatusCode::TOO_MANY_REQUESTS),
            Misbehaviour::Overloaded => waiting(StatusCode::SERVICE_UNAVAILABLE),
            Misbehaviour::Failing => {
                Self::bare(StatusCode::INTERNAL_SERVER_ERROR, misbehaviour::nonsense())
            }
            Misbehaviour::ContentType => self.with(header::CONTENT_TYPE, "text/html"),
            Misbehaviour::NotJson => Self { body: misbehaviour::nonsense(), ..self },
            Misbehaviour::Empty => Self { body: Bytes::new(), ..self },
            Misbehaviour::Huge => Self { body: misbehaviour::huge(), ..self },
            Misbehaviour::Large => Self { body: self.large.clone(), ..self },
            Misbehaviour::Bomb => {
                Self { body: misbehaviour::bomb(), ..self }.with(header::CONTENT_ENCODING, "gzip")
            }
            Misbehaviour::Redirected => Self::bare(StatusCode::FOUND, Bytes::new())
                .with(header::LOCATION, "https://elsewhere.example.test/"),
        }
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }
}

fn waiting(status: StatusCode) -> Reply {
    let mut reply = Reply::bare(status, misbehaviour::nonsense());
    reply.headers.insert(header::RETRY_AFTER, HeaderValue::from(WAIT_SECONDS));
    reply
}

fn body(answer: &Answer, terms: &Terms) -> Bytes {
    match (&answer.json, &answer.body, &answer.base64) {
        (Some(json), _, _) => Bytes::from(terms.value(json).to_string()),
        (_, Some(text), _) => Bytes::from(terms.text(text)),
        (_, _, Some(text)) => BASE64_STANDARD.decode(text).unwrap_or_default().into(),
        (None, None, None) => Bytes::new(),
    }
}

/// Makes the response. One that never begins is never made.
pub(crate) async fn respond(reply: Reply) -> io::Result<Response<Body>> {
    match reply.end {
        End::Never => match std::future::pending::<Infallible>().await {},
        End::Closed => return Err(io::Error::other(WORDS)),
        End::Whole | End::Cut | End::Stalled => {}
    };
    let has_no_body = matches!(reply.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let body = if has_no_body { Bytes::new() } else { reply.body };
    // Of an answer without a body, half is announced one byte.
    let announced = if reply.end == End::Whole { body.len() } else { body.len().max(1) };
    let mut response = Response::new(Body::new(body, reply.end));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    if !has_no_body {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(announced));
    }
    Ok(response)
}

/// A body that may end badly.
pub(crate) struct Body {
    left: Option<Bytes>,
    end: End,
    /// Whether what was written has had the time to leave.
    has_left: bool,
}

impl Body {
    fn new(whole: Bytes, end: End) -> Self {
        let left = if end == End::Whole { whole } else { whole.slice(..whole.len() / 2) };
        Self { left: Some(left).filter(|left| !left.is_empty()), end, has_left: false }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match (self.left.take(), self.end) {
            (Some(bytes), _) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            // The server writes out what it has when its body is not ready.
            (None, End::Cut) if !self.has_left => {
                self.has_left = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            (None, End::Cut) => Poll::Ready(Some(Err(io::Error::other(WORDS)))),
            // Nobody wakes this: it ends with the connection.
            (None, End::Stalled) => Poll::Pending,
            (None, End::Whole | End::Never | End::Closed) => Poll::Ready(None),
        }
    }
}
