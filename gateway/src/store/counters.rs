//! What the store counts about itself. Telemetry reads it; nothing decides by it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counted by the flusher alone, read by anyone.
#[derive(Debug, Default)]
pub(super) struct Counters {
    commits: AtomicU64,
    conflicts: AtomicU64,
    abandoned: AtomicU64,
    groups: AtomicU64,
    flush_nanos: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Transactions made durable.
    pub commits: u64,
    /// Transactions refused by an expectation.
    pub conflicts: u64,
    /// Transactions whose caller had given up before they began.
    pub abandoned: u64,
    /// Flushes; `commits / groups` is the mean size of a group.
    pub groups: u64,
    /// Time spent in flushes.
    pub flush_time: Duration,
    /// Transactions that wait to be taken up.
    pub queued: usize,
}

impl Counters {
    pub(super) fn group(&self, commits: usize, took: Duration) {
        add(&self.commits, commits);
        add(&self.groups, 1);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.flush_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    pub(super) fn conflicts(&self, count: usize) {
        add(&self.conflicts, count);
    }

    pub(super) fn abandoned(&self) {
        add(&self.abandoned, 1);
    }

    pub(super) fn read(&self, queued: usize) -> Reading {
        Reading {
            commits: self.commits.load(Ordering::Relaxed),
            conflicts: self.conflicts.load(Ordering::Relaxed),
            abandoned: self.abandoned.load(Ordering::Relaxed),
            groups: self.groups.load(Ordering::Relaxed),
            flush_time: Duration::from_nanos(self.flush_nanos.load(Ordering::Relaxed)),
            queued,
        }
    }
}

fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
}
