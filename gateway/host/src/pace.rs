//! How fast a backend is called, and the time for which it asked to be left alone.
//!
//! The rate is the operator's: turns by the generic cell rate algorithm, for all callers together. A
//! turn that is soon is waited for; a later one is refused at once, so that nobody stands in a queue
//! until the caller has gone. The pause is the backend's own word: whoever hears "slow down, come
//! back in seven seconds" hears it for everybody.
//!
//! INVARIANT: a pause is bounded, so that a backend's mistake closes its way for a minute at most;
//! what is refused charges nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::fault::CallError;
use crate::limits::Rate;

/// How long a turn is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);
/// The longest pause that a backend gets, whatever it asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Pace {
    rate: Option<Rate>,
    state: Mutex<State>,
}

/// Both on the elapsed time.
#[derive(Debug, Default)]
struct State {
    /// When the next call would arrive, if all kept exactly to the rate.
    arrival: Duration,
    paused_until: Duration,
}

impl Pace {
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        Self { rate, state: Mutex::default() }
    }

    /// A turn at `now`: how long to wait for it, which is at most `patience`.
    pub(crate) fn turn(&self, now: Duration, patience: Duration) -> Result<Duration, CallError> {
        let mut state = self.lock();
        if now < state.paused_until {
            return Err(CallError::Paused(state.paused_until.saturating_sub(now)));
        }
        let Some(rate) = self.rate else { return Ok(Duration::ZERO) };
        let next = state.arrival.max(now).saturating_add(rate.interval());
        let wait = next.saturating_sub(now).saturating_sub(rate.tolerance());
        if wait > patience {
            return Err(CallError::Paced(wait));
        }
        state.arrival = next;
        Ok(wait)
    }

    /// The backend asked at `now` for a pause of `wait`.
    pub(crate) fn pause(&self, now: Duration, wait: Duration) {
        let mut state = self.lock();
        let until = now.saturating_add(wait.min(LONGEST_PAUSE));
        state.paused_until = state.paused_until.max(until);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rate {
    fn interval(self) -> Duration {
        Duration::from_secs(1) / self.per_second.max(1)
    }

    fn tolerance(self) -> Duration {
        self.interval().saturating_mul(self.burst.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn pace(per_second: u32, burst: u32) -> Pace {
        Pace::new(Some(Rate { per_second, burst }))
    }

    #[test]
    fn a_burst_passes_at_once_and_then_the_rate_holds() {
        let pace = pace(10, 2);
        for (now, patience, expected) in [
            (0, 0, Some(0)),
            (0, 0, Some(0)),
            (0, 0, None),
            (0, 150, Some(100)),
            (0, 150, None),
            (300, 0, Some(0)),
            (60_000, 0, Some(0)),
            (60_000, 0, Some(0)),
            (60_000, 99, None),
        ] {
            let turn = pace.turn(at(now), at(patience)).ok();
            assert_eq!(turn, expected.map(at), "{now} {patience}");
        }
    }

    #[test]
    fn without_a_rate_there_is_always_a_turn() {
        let pace = Pace::new(None);
        assert!((0..1000).all(|_| pace.turn(at(0), at(0)).is_ok_and(|wait| wait.is_zero())));
    }

    #[test]
    fn a_pause_holds_for_everybody_and_never_longer_than_a_minute() {
        let pace = Pace::new(None);
        pace.pause(at(1000), at(500));
        let refused = pace.turn(at(1200), at(60_000)).unwrap_err();
        assert!(matches!(refused, CallError::Paused(left) if left == at(300)), "{refused:?}");
        assert!(pace.turn(at(1500), at(0)).is_ok());
        pace.pause(at(2000), Duration::from_secs(3600));
        // A shorter one does not end it.
        pace.pause(at(2000), at(1));
        assert!(pace.turn(at(61_999), at(0)).is_err());
        assert!(pace.turn(at(62_000), at(0)).is_ok());
    }

    proptest! {
        /// In any second, whatever the callers do, no more than the burst and a second's worth.
        #[test]
        fn no_pattern_of_calls_beats_the_rate(
            per_second in 1_u32..50,
            burst in 1_u32..20,
            steps in prop::collection::vec((0_u64..200, 0_u64..300), 1..200),
        ) {
            let pace = pace(per_second, burst);
            let (mut now, mut begun) = (0, Vec::new());
            for (step, patience) in steps {
                now += step;
                if let Ok(wait) = pace.turn(at(now), at(patience)) {
                    prop_assert!(wait <= at(patience));
                    begun.push(at(now) + wait);
                }
            }
            let most = usize::try_from(per_second + burst).unwrap();
            for start in &begun {
                let end = *start + Duration::from_secs(1);
                let within = begun.iter().filter(|t| *start <= **t && **t < end).count();
                prop_assert!(within <= most, "{within} > {most}");
            }
        }
    }
}
