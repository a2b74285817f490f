//! The breaker: a backend that fails again and again gets no calls for a while.
//!
//! It protects the callers (who would each wait for a timeout) and the backend (which may be
//! drowning). After the pause one call goes through as a probe; its outcome closes the breaker or
//! opens it again. What counts as failure is decided by `call`: traps, timeouts and a backend
//! that says it is unavailable, never a backend that answers "no".
//!
//! INVARIANT: at most one probe is under way. A probe whose caller goes away is given back when its
//! [`Pass`] is dropped, so that the breaker cannot stay half open for ever.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// Nothing, until its pause is over.
    Open,
    /// One probe, which is under way.
    HalfOpen,
}

/// A breaker.
#[derive(Debug)]
pub struct Breaker {
    threshold: u32,
    pause: Duration,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Duration },
    HalfOpen { until: Duration },
}

/// Leave to make one call. Say how it went with [`Pass::settle`].
#[derive(Debug)]
pub struct Pass<'a>(Option<&'a Breaker>);

/// How a call went, as far as the breaker cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// The backend answered, be it a refusal.
    Good,
    /// Trap, timeout, or not available.
    Bad,
    /// The call was never made.
    Unknown,
}

impl Breaker {
    /// Opens after `threshold` failures in a row, for `pause`.
    #[must_use]
    pub fn new(threshold: u32, pause: Duration) -> Self {
        let state = Mutex::new(State::Closed { failures: 0 });
        Self { threshold: threshold.max(1), pause, state }
    }

    /// Leave to make a call at `now` (elapsed time).
    ///
    /// # Errors
    /// How long to stay away.
    pub fn pass(&self, now: Duration) -> Result<Pass<'_>, Duration> {
        let mut state = self.lock();
        match *state {
            State::Closed { .. } => Ok(Pass(Some(self))),
            State::Open { until } if now < until => Err(until.saturating_sub(now)),
            State::Open { until } => {
                *state = State::HalfOpen { until };
                Ok(Pass(Some(self)))
            }
            State::HalfOpen { .. } => Err(Duration::from_secs(1)),
        }
    }

    /// What it lets through.
    pub fn state(&self) -> BreakerState {
        match *self.lock() {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    fn settle(&self, health: Health, now: Duration) {
        let mut state = self.lock();
        let open = State::Open { until: now.saturating_add(self.pause) };
        *state = match (*state, health) {
            (State::Closed { failures }, Health::Bad) if failures + 1 >= self.threshold => open,
            (State::Closed { failures }, Health::Bad) => State::Closed { failures: failures + 1 },
            (State::HalfOpen { .. }, Health::Bad) => open,
            (State::HalfOpen { until }, Health::Unknown) => State::Open { until },
            (State::Closed { .. } | State::HalfOpen { .. }, Health::Good) => {
                State::Closed { failures: 0 }
            }
            // A call from before the breaker opened ends after it: its news is old.
            (state @ (State::Open { .. } | State::Closed { .. }), _) => state,
        };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// Says how the call went.
    pub fn settle(mut self, health: Health, now: Duration) {
        if let Some(breaker) = self.0.take() {
            breaker.settle(health, now);
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Some(breaker) = self.0.take() {
            breaker.settle(Health::Unknown, Duration::ZERO);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn tripped() -> Breaker {
        let breaker = Breaker::new(2, PAUSE);
        for _ in 0..2 {
            breaker.pass(at(0)).unwrap().settle(Health::Bad, at(0));
        }
        breaker
    }

    #[test]
    fn it_opens_after_consecutive_failures_only() {
        let breaker = Breaker::new(2, PAUSE);
        for health in [Health::Bad, Health::Good, Health::Bad] {
            breaker.pass(at(0)).unwrap().settle(health, at(0));
            assert_eq!(breaker.state(), BreakerState::Closed);
        }
        breaker.pass(at(0)).unwrap().settle(Health::Bad, at(0));
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn it_says_how_long_to_stay_away() {
        assert_eq!(tripped().pass(at(4)).unwrap_err(), at(6));
    }

    #[test]
    fn one_probe_goes_through_and_decides() {
        let breaker = tripped();
        let probe = breaker.pass(at(10)).unwrap();
        assert!(breaker.pass(at(10)).is_err());
        probe.settle(Health::Good, at(11));
        assert_eq!(breaker.state(), BreakerState::Closed);

        let breaker = tripped();
        breaker.pass(at(10)).unwrap().settle(Health::Bad, at(11));
        assert_eq!(breaker.pass(at(12)).unwrap_err(), at(9));
    }

    #[test]
    fn a_probe_that_goes_away_is_given_back() {
        let breaker = tripped();
        drop(breaker.pass(at(10)).unwrap());
        assert!(breaker.pass(at(10)).is_ok());
    }

    #[test]
    fn old_news_does_not_close_an_open_breaker() {
        let breaker = Breaker::new(1, PAUSE);
        let slow = breaker.pass(at(0)).unwrap();
        breaker.pass(at(0)).unwrap().settle(Health::Bad, at(0));
        slow.settle(Health::Good, at(1));
        assert_eq!(breaker.state(), BreakerState::Open);
    }
}
