//! Time as a parameter.
//!
//! Every rule that depends on time takes it from a [`Clock`], so that tests run thirty minutes in a
//! microsecond and a jump of the wall clock is an input like any other. Two readings exist because
//! they answer different questions: [`Clock::now`] is what tokens and leases speak of and may jump;
//! [`Clock::elapsed`] only ever grows and is what timeouts, eviction and rate limits use.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A wall-clock instant, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From whole seconds since the Unix epoch (the `NumericDate` of RFC 7519 §2), saturating.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The instant `duration` later, saturating at the end of time.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The instant `duration` earlier, saturating at the beginning of time.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this instant is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// RFC 3339 in UTC with milliseconds, as the audit log and the API write it.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The end of the year 9999: beyond it RFC 3339 has no form and humantime returns an error,
        // which `to_string` would turn into a panic.
        const LAST: u64 = 253_402_300_799_999;
        let millis = u64::try_from(self.0).unwrap_or(0);
        let time = std::time::UNIX_EPOCH.checked_add(Duration::from_millis(millis));
        match time.filter(|_| millis <= LAST) {
            Some(time) => humantime::format_rfc3339_millis(time).fmt(f),
            None => f.write_str("out of range"),
        }
    }
}

/// Where time comes from. The binary has one implementation over the system; tests use
/// [`ManualClock`].
pub trait Clock: Send + Sync + fmt::Debug {
    /// Wall-clock time. May jump in either direction.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment before the process started serving, sleep of the machine included.
    /// Never goes back.
    fn elapsed(&self) -> Duration;
}

/// A clock that stands still until it is told to move.
#[derive(Debug)]
pub struct ManualClock(Mutex<(Timestamp, Duration)>);

impl ManualClock {
    /// A clock that shows `now`, with an elapsed time of zero.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Mutex::new((now, Duration::ZERO)))
    }

    /// Lets `duration` pass on both readings.
    pub fn advance(&self, duration: Duration) {
        let mut state = self.state();
        *state = (state.0.plus(duration), state.1.saturating_add(duration));
    }

    /// Sets the wall clock, as an operator or a time daemon would; elapsed time is unaffected.
    pub fn jump_to(&self, now: Timestamp) {
        self.state().0 = now;
    }

    fn state(&self) -> std::sync::MutexGuard<'_, (Timestamp, Duration)> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.state().0
    }

    fn elapsed(&self) -> Duration {
        self.state().1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_prints_as_rfc_3339() {
        assert_eq!(Timestamp::from_seconds(1_793_520_000).to_string(), "2026-11-01T08:00:00.000Z");
    }

    #[test]
    fn a_timestamp_beyond_rfc_3339_prints_too() {
        let last = Timestamp::from_millis(253_402_300_799_999);
        assert_eq!(last.to_string(), "9999-12-31T23:59:59.999Z");
        for beyond in [last.plus(Duration::from_millis(1)), Timestamp::from_millis(i64::MAX)] {
            assert_eq!(beyond.to_string(), "out of range");
        }
    }

    #[test]
    fn a_jump_of_the_wall_clock_leaves_elapsed_time_alone() {
        let clock = ManualClock::at(Timestamp::from_seconds(1000));
        clock.advance(Duration::from_secs(5));
        clock.jump_to(Timestamp::from_seconds(10));
        assert_eq!((clock.now().seconds(), clock.elapsed()), (10, Duration::from_secs(5)));
    }
}
