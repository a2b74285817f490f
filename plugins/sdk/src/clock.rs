//! The time. That of `std` panics on this target, so this is the only clock a plugin has.

use wasip2::clocks::{monotonic_clock, wall_clock};

use crate::Timestamp;

/// Seconds since the Unix epoch.
#[must_use]
pub fn now() -> Timestamp {
    wall_clock::now().seconds
}

/// Nanoseconds since some moment; only differences mean something.
#[must_use]
pub fn ticks() -> u64 {
    monotonic_clock::now()
}
