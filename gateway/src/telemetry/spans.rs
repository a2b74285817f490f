//! Spans on their way to the collector: how many wait, and what became of the others.
//!
//! The batching processor behind this one drops what does not fit and tells nobody but its own log,
//! once. So the bound is here, where a span that is dropped can be counted, and that processor's
//! queue, which is as long, never overflows.
//!
//! INVARIANT: a span that ended is exported, failed, dropped or waiting, and counted as exactly one
//! of these. Nothing here waits for anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

/// How many spans there were and what became of them.
#[derive(Debug, Default)]
pub struct SpanCounts {
    ended: AtomicU64,
    exported: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    waiting: AtomicU64,
}

/// The counts at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanReading {
    /// Spans that ended.
    pub ended: u64,
    /// Spans that the collector took.
    pub exported: u64,
    /// Spans that were sent and that it did not take.
    pub failed: u64,
    /// Spans for which there was no room.
    pub dropped: u64,
    /// Spans that are to be exported, or are being exported.
    pub waiting: u64,
}

impl SpanCounts {
    /// The counts now. What moves from one to another meanwhile may be seen in neither.
    #[must_use]
    pub fn read(&self) -> SpanReading {
        let load = |count: &AtomicU64| count.load(Ordering::Acquire);
        SpanReading {
            ended: load(&self.ended),
            exported: load(&self.exported),
            failed: load(&self.failed),
            dropped: load(&self.dropped),
            waiting: load(&self.waiting),
        }
    }

    /// Takes one of `room` places, if one is free.
    fn wait(&self, room: u64) -> bool {
        let next = |waiting| (waiting < room).then_some(waiting + 1);
        self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).is_ok()
    }

    /// Gives `number` places back: those spans were exported, or failed to be.
    fn settle(&self, number: u64, exported: bool) {
        let count = if exported { &self.exported } else { &self.failed };
        count.fetch_add(number, Ordering::AcqRel);
        self.waiting.fetch_sub(number, Ordering::AcqRel);
    }
}

/// Lets through what there is room for.
#[derive(Debug)]
pub(super) struct Bounded<P> {
    next: P,
    counts: Arc<SpanCounts>,
    room: u64,
    closed: AtomicBool,
}

impl<P> Bounded<P> {
    /// At most `room` spans wait in `next`, whose own queue must be as long.
    pub(super) fn new(next: P, counts: Arc<SpanCounts>, room: usize) -> Self {
        let room = u64::try_from(room).unwrap_or(u64::MAX);
        Self { next, counts, room, closed: AtomicBool::new(false) }
    }
}

impl<P: SpanProcessor> SpanProcessor for Bounded<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        self.counts.ended.fetch_add(1, Ordering::AcqRel);
        if self.closed.load(Ordering::Acquire) || !self.counts.wait(self.room) {
            self.counts.dropped.fetch_add(1, Ordering::AcqRel);
            return;
        }
        self.next.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.closed.store(true, Ordering::Release);
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

/// Counts what an exporter sends.
#[derive(Debug)]
pub(super) struct Counted<E> {
    exporter: E,
    counts: Arc<SpanCounts>,
}

impl<E> Counted<E> {
    pub(super) fn new(exporter: E, counts: Arc<SpanCounts>) -> Self {
        Self { exporter, counts }
    }
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let number = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let result = self.exporter.export(batch).await;
        self.counts.settle(number, result.is_ok());
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
