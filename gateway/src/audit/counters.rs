//! What telemetry reads of the journal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts since the start. Written without order between them: each is exact, a set of
        /// them read together is not a snapshot.
        #[derive(Debug, Default)]
        pub struct Counters {
            $(pub(super) $name: AtomicU64,)*
        }

        /// A reading of [`Counters`].
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Readings {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Reads all counters.
            #[must_use]
            pub fn read(&self) -> Readings {
                Readings { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Requests opened.
    openings,
    /// Requests closed, with a receipt or without.
    closings,
    /// Entries dropped without a conclusion.
    abandoned,
    /// Administrative events.
    events,
    /// Lines that became durable.
    lines,
    /// Their bytes.
    bytes,
    /// Groups that became durable.
    groups,
    /// Time spent writing groups, in microseconds.
    write_us,
    /// The slowest group, in microseconds.
    write_us_max,
    /// Groups that failed.
    failures,
    /// Anchors that failed or were late.
    anchor_failures,
    /// Records that were refused: full, failing, hung or busy.
    refused,
    /// Waiters that gave up at the deadline.
    late,
    /// Files begun by rotation.
    rotations,
    /// Strangers turned away.
    strangers,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }

    pub(super) fn wrote(&self, lines: u64, bytes: usize, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        Self::add(&self.groups, 1);
        Self::add(&self.lines, lines);
        Self::add(&self.bytes, u64::try_from(bytes).unwrap_or(u64::MAX));
        Self::add(&self.write_us, micros);
        self.write_us_max.fetch_max(micros, Ordering::Relaxed);
    }
}
