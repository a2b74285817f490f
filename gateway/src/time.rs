//! Where time and randomness enter: the one clock over the system, and the maker of ids.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SecureRandom;
use rustix::time::{ClockId, clock_gettime};
use symbolon_core::clock::{Clock, Timestamp};
use symbolon_core::id::{LeaseId, OrderId, RequestId};

/// What elapsed time is read from. A machine that sleeps must wake to leases that have ended, to
/// remembered tokens that are too old and to locks that were awaited: so not `CLOCK_MONOTONIC`, which
/// on Linux stands still meanwhile. A virtual machine that its host stops unseen is not told by either.
#[cfg(any(target_os = "linux", target_os = "android"))]
const STEADY: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const STEADY: ClockId = ClockId::Monotonic;

/// The system's clock. Nothing else in the workspace reads it.
#[derive(Debug)]
pub struct SystemClock {
    started: Duration,
}

impl SystemClock {
    /// Starts counting elapsed time.
    #[must_use]
    pub fn start() -> Self {
        Self { started: steady() }
    }
}

/// Time since the machine began, sleep included.
fn steady() -> Duration {
    let read = clock_gettime(STEADY);
    let seconds = u64::try_from(read.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(read.tv_nsec).unwrap_or(0))
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where time enters")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let now =
            Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX));
        now.plus(crate::kill::time_passed())
    }

    fn elapsed(&self) -> Duration {
        steady().saturating_sub(self.started).saturating_add(crate::kill::time_passed())
    }
}

/// Makes ids: the time, and 80 bits from the system's generator.
#[derive(Debug, Default)]
pub struct Ids(aws_lc_rs::rand::SystemRandom);

impl Ids {
    /// An id for a request that begins now.
    #[must_use]
    pub fn request(&self, now: Timestamp) -> RequestId {
        RequestId::new(now, self.random())
    }

    /// An id for a lease that is reserved now.
    #[must_use]
    pub fn lease(&self, now: Timestamp) -> LeaseId {
        LeaseId::new(now, self.random())
    }

    /// An id for an order that is given now.
    #[must_use]
    pub fn order(&self, now: Timestamp) -> OrderId {
        OrderId::new(now, self.random())
    }

    /// Sixteen random bytes. aws-lc's generator aborts the process when the system has no
    /// randomness, so the error cannot be seen here.
    fn random(&self) -> u128 {
        let mut bytes = [0; 16];
        let filled = self.0.fill(&mut bytes);
        debug_assert!(filled.is_ok(), "the system's generator does not fail");
        u128::from_be_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `/proc/uptime` counts sleep; it is rounded to hundredths.
    #[cfg(target_os = "linux")]
    #[test]
    fn elapsed_time_is_read_from_the_clock_that_counts_sleep() {
        let uptime = || {
            let text = std::fs::read_to_string("/proc/uptime").unwrap();
            Duration::from_secs_f64(text.split_whitespace().next().unwrap().parse().unwrap())
        };
        let rounding = Duration::from_millis(20);
        let (before, read, after) = (uptime(), steady(), uptime());
        assert!(before.saturating_sub(rounding) <= read && read <= after + rounding);
    }

    #[test]
    fn elapsed_time_begins_at_zero_and_never_goes_back() {
        let clock = SystemClock::start();
        let readings: Vec<_> = (0..1000).map(|_| clock.elapsed()).collect();
        assert!(readings.is_sorted() && readings[0] < Duration::from_secs(60));
    }
}
