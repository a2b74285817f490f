//! How long the head of a request may take, and how long a connection may have none.
//!
//! HTTP/1 in hyper has one timer for both. They are not the same: a client that sends half a head and
//! waits holds a place and is counted against its source; one that keeps a connection for later is
//! what every pool does, and must not be.
//!
//! INVARIANT: the time for a head runs from its first byte, whatever comes after it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// What the connection and its stream know of each other. Both run in one task.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Requests that began so far.
    begun: AtomicU64,
    /// Requests that are being read or answered.
    open: AtomicUsize,
    /// A head took too long.
    late: AtomicBool,
}

impl Pace {
    /// The head of a request is complete. What is returned is dropped when its answer is ready, or
    /// nobody waits for it any more.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        UnderWay(self.clone())
    }

    fn is_busy(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 0
    }

    /// Resolves when nothing was asked for too long: no first request within `first`, or none under
    /// way and none begun for one to two times `idle`. An answer that the client does not take is
    /// not under way any more: this is what ends a connection that reads nothing.
    pub(super) async fn idle(&self, first: Duration, idle: Duration) {
        let (mut seen, mut limit) = (0, first);
        loop {
            tokio::time::sleep(limit).await;
            let begun = self.begun.load(Ordering::Relaxed);
            if !self.is_busy() && begun == seen {
                return;
            }
            (seen, limit) = (begun, idle);
        }
    }

    /// Resolves when nothing is under way, looking every `pause`.
    pub(super) async fn quiet(&self, pause: Duration) {
        loop {
            tokio::time::sleep(pause).await;
            if !self.is_busy() {
                return;
            }
        }
    }

    /// Whether the connection ended since a head took too long.
    pub(super) fn was_late(&self) -> bool {
        self.late.load(Ordering::Relaxed)
    }
}

/// One request under way.
pub(super) struct UnderWay(Arc<Pace>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream on which heads have a deadline.
pub(super) struct Paced<S> {
    stream: S,
    pace: Arc<Pace>,
    limit: Duration,
    /// The deadline of the head that has begun to arrive, and which one it is.
    head: Option<Pin<Box<Sleep>>>,
    number: u64,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, pace: Arc<Pace>, limit: Duration) -> Self {
        Self { stream, pace, limit, head: None, number: 0 }
    }

    /// Bytes that came while no request is under way are a head's.
    fn watch(&mut self, came: bool, cx: &mut Context<'_>) -> bool {
        let number = self.pace.begun.load(Ordering::Relaxed);
        if number != self.number || self.pace.is_busy() {
            self.number = number;
            self.head = None;
        }
        if came && self.head.is_none() && !self.pace.is_busy() {
            self.head = Some(Box::pin(tokio::time::sleep(self.limit)));
        }
        self.head.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let came = buffer.filled().len() > before;
        if self.watch(came, cx) {
            self.pace.late.store(true, Ordering::Relaxed);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
