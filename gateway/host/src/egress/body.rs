//! The answer's body, capped while it streams.
//!
//! INVARIANT: whoever reads an [`Inbound`] gets exactly as many bytes as the head announced, no
//! more than the caps allow, before the deadline, or an error. Trailers are dropped: nothing here
//! needs them, and they would pass by every check of headers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;

use super::allowance::Share;
use super::client::EgressClient;
use super::error::{EgressError, find_source};
use super::meter::Meter;

/// The body of an answer. Holds its place among the scope's exchanges until dropped.
#[derive(Debug)]
pub struct Inbound {
    incoming: Incoming,
    /// Bytes that the head announced.
    announced: Option<u64>,
    taken: u64,
    most: u64,
    deadline: Pin<Box<Sleep>>,
    ended: bool,
    meter: Arc<Meter>,
    // Declared in this order: the place is free before the client that counts it may go.
    place: Place,
    _client: Arc<EgressClient>,
}

/// That an exchange is open: its place among those of the scope, and what it may bring.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) _permit: OwnedSemaphorePermit,
    pub(super) share: Share,
}

/// The parts of an [`Inbound`] that its exchange knows.
pub(super) struct Bounds {
    pub(super) announced: Option<u64>,
    pub(super) most: u64,
    pub(super) deadline: tokio::time::Instant,
    pub(super) meter: Arc<Meter>,
    pub(super) place: Place,
    pub(super) client: Arc<EgressClient>,
}

impl Inbound {
    pub(super) fn new(incoming: Incoming, bounds: Bounds) -> Result<Self, EgressError> {
        if bounds.announced.is_some_and(|length| length > bounds.most) {
            return Err(EgressError::BodyTooLarge);
        }
        Ok(Self {
            incoming,
            announced: bounds.announced,
            taken: 0,
            most: bounds.most,
            deadline: Box::pin(tokio::time::sleep_until(bounds.deadline)),
            ended: false,
            meter: bounds.meter,
            place: bounds.place,
            _client: bounds.client,
        })
    }

    fn take(&mut self, bytes: usize) -> Result<(), EgressError> {
        self.taken = self.taken.saturating_add(bytes as u64);
        if self.taken > self.most {
            return Err(EgressError::BodyTooLarge);
        }
        if self.announced.is_some_and(|length| self.taken > length) {
            return Err(EgressError::LengthMismatch);
        }
        self.meter.received(bytes)
    }

    /// The next bytes; `None` at the end.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, EgressError>>> {
        loop {
            if self.deadline.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Some(Err(EgressError::Deadline)));
            }
            match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let Ok(bytes) = frame.into_data() else { continue };
                    return Poll::Ready(Some(self.take(bytes.len()).map(|()| bytes)));
                }
                Some(Err(cause)) => {
                    let broken = self.place.share.cause_of(self.broken(cause));
                    return Poll::Ready(Some(Err(broken)));
                }
                None if self.announced.is_some_and(|length| length != self.taken) => {
                    return Poll::Ready(Some(Err(EgressError::LengthMismatch)));
                }
                None => return Poll::Ready(None),
            }
        }
    }

    /// An end of the connection before the announced end of the body is a lie about its length, or
    /// looks like one.
    fn broken(&self, cause: hyper::Error) -> EgressError {
        let is_early_end = find_source::<std::io::Error>(&cause)
            .is_some_and(|inner| inner.kind() == std::io::ErrorKind::UnexpectedEof);
        if self.announced.is_some() && (is_early_end || cause.is_incomplete_message()) {
            EgressError::LengthMismatch
        } else {
            EgressError::Interrupted(Arc::new(cause))
        }
    }
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = ready!(self.poll_bytes(cx));
        self.ended = !matches!(next, Some(Ok(_)));
        if let Some(Err(error)) = &next {
            self.meter.failed(error);
        }
        Poll::Ready(next.map(|result| result.map(Frame::data)))
    }
}
