//! Where time and randomness enter: the one clock over the system, and the maker of ids.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SecureRandom;
use symbolon_core::clock::{Clock, Timestamp};
use symbolon_core::id::{LeaseId, OrderId, RequestId};

/// The system's clock. Nothing else in the workspace reads it.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Starts counting elapsed time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is where time enters")]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where time enters")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
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
