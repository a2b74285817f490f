//! What the writer and its callers know of each other: health, time and counts, without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use symbolon_core::clock::Clock;
use tokio::sync::oneshot;

use super::super::counters::Counters;
use super::super::error::JournalError;

/// Between two probes.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Whether the journal takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Sound,
    /// The disk is full but for the reserve.
    Full,
    /// The last write failed.
    Failing,
    /// The chain's head did not reach the store.
    Unanchored,
    /// A write has been going on for longer than the deadline.
    Hung,
    /// It was stopped.
    Closed,
}

const SOUND: u8 = 0;
const FULL: u8 = 1;
const UNANCHORED: u8 = 2;
const FAILING: u8 = 3;

#[derive(Debug)]
pub(in super::super) struct Gauge {
    pub(in super::super) clock: Arc<dyn Clock>,
    pub(in super::super) counters: Counters,
    pub(in super::super) deadline: Duration,
    health: AtomicU8,
    /// When the write that is going on began, in elapsed milliseconds plus one; 0 between writes.
    writing: AtomicU64,
    /// When the last probe was asked for, in the same form.
    probed: AtomicU64,
    /// Somebody waits for an opening.
    urgent: AtomicBool,
}

impl Gauge {
    pub(in super::super) fn new(clock: Arc<dyn Clock>, deadline: Duration) -> Self {
        Self {
            clock,
            counters: Counters::default(),
            deadline,
            health: AtomicU8::new(SOUND),
            writing: AtomicU64::new(0),
            probed: AtomicU64::new(0),
            urgent: AtomicBool::new(false),
        }
    }

    pub(in super::super) fn health(&self) -> Health {
        let writing = self.writing.load(Ordering::Acquire);
        if writing != 0 && self.since(writing) > self.deadline {
            return Health::Hung;
        }
        match self.health.load(Ordering::Acquire) {
            SOUND => Health::Sound,
            FULL => Health::Full,
            UNANCHORED => Health::Unanchored,
            _ => Health::Failing,
        }
    }

    /// Health as the writer sees it, who cannot be hung in its own eyes.
    pub(super) fn health_of_writes(&self) -> Result<(), JournalError> {
        match self.health.load(Ordering::Acquire) {
            SOUND => Ok(()),
            FULL => Err(JournalError::Full),
            UNANCHORED => Err(JournalError::Unanchored),
            _ => Err(JournalError::Failing),
        }
    }

    /// Refuses from now on; `true` if it was otherwise before.
    pub(super) fn degrade(&self, cause: JournalError) -> bool {
        let health = match cause {
            JournalError::Full => FULL,
            JournalError::Unanchored => UNANCHORED,
            JournalError::Failing
            | JournalError::Late
            | JournalError::Busy
            | JournalError::TooLong
            | JournalError::Closed => FAILING,
        };
        Counters::add(&self.counters.failures, 1);
        self.health.swap(health, Ordering::AcqRel) != health
    }

    pub(super) fn recover(&self) {
        self.health.store(SOUND, Ordering::Release);
    }

    pub(super) fn begin_write(&self) {
        self.writing.store(self.now(), Ordering::Release);
    }

    pub(super) fn end_write(&self) {
        self.writing.store(0, Ordering::Release);
    }

    /// Says that somebody waits for an opening, whose group is to be written at once.
    pub(in super::super) fn urge(&self) {
        self.urgent.store(true, Ordering::Release);
    }

    pub(super) fn take_urgency(&self) -> bool {
        self.urgent.swap(false, Ordering::AcqRel)
    }

    /// Whether this caller is the one to ask for a probe.
    pub(in super::super) fn may_probe(&self) -> bool {
        let last = self.probed.load(Ordering::Relaxed);
        let due = last == 0 || self.since(last) >= PROBE_EVERY;
        let exchange = |last| {
            self.probed.compare_exchange(last, self.now(), Ordering::Relaxed, Ordering::Relaxed)
        };
        due && exchange(last).is_ok()
    }

    /// Waits for the fate of a line, no longer than the deadline.
    pub(in super::super) async fn wait(
        &self,
        waiter: impl Future<Output = Result<Result<u64, JournalError>, oneshot::error::RecvError>>,
    ) -> Result<u64, JournalError> {
        match tokio::time::timeout(self.deadline, waiter).await {
            Ok(fate) => fate.unwrap_or(Err(JournalError::Closed)),
            Err(_) => {
                Counters::add(&self.counters.late, 1);
                Err(JournalError::Late)
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn since(&self, stamp: u64) -> Duration {
        Duration::from_millis(self.now().saturating_sub(stamp))
    }
}
