//! How a component behaves while it is in use: what of its failures is its own.
//!
//! Three things are counted of each generation. **Calls** that came to an outcome. **Faults**: a
//! trap, no answer in time, an answer that breaks a rule, `internal`. What a backend refuses is none:
//! it would refuse it to any component. **Stops**: the faults for which nothing but the component
//! can be the cause, which are traps, and no answer in time although it had asked for nothing
//! outside: one that has may wait for a credential, a connection or an answer.
//!
//! INVARIANT: who asks cannot make a healthy component look bad alone: a verdict needs a part of all
//! calls, not a number of them. The verdicts are pure functions of what was counted and of the time
//! that is passed in.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::fault::{CallError, FaultKind};

/// How long a new generation is on probation.
pub const PROBATION: Duration = Duration::from_secs(60);
/// How many calls it must have answered by then; one that has fewer stays on probation.
pub const PROBATION_CALLS: u64 = 20;
/// But no longer than this.
pub const LONGEST_PROBATION: Duration = Duration::from_secs(15 * 60);
/// So many faults are needed for it to fail.
pub const PROBATION_FAULTS: u64 = 3;
/// And a part of its calls that is this much above the part of the generation before.
pub const PROBATION_MARGIN: f64 = 0.05;
/// With so many stops on probation it is quarantined as well.
pub const PROBATION_STOPS: u64 = 3;
/// After probation so many stops are needed for quarantine,
pub const STOPS: usize = 8;
/// within this time, and at least two thirds of the calls since the first of them.
pub const STOPS_WITHIN: Duration = Duration::from_secs(5 * 60);

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls that came to an outcome.
    pub calls: u64,
    /// Those that failed by the component's fault.
    pub faults: u64,
    /// Those for which nothing else can be the cause.
    pub stops: u64,
}

impl Tally {
    /// The part of calls that failed by the component's fault.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate, compared with a margin of per cents")]
    pub fn rate(&self) -> f64 {
        if self.calls == 0 { 0.0 } else { self.faults as f64 / self.calls as f64 }
    }
}

/// What is to be done about a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: it goes on as it is.
    GoOn,
    /// Its probation is over and was passed.
    Passed,
    /// It is to be replaced by the one before, if there is one.
    RollBack,
    /// The same, and it is not to be used again.
    Quarantine,
}

/// Of a generation on probation since `since`, beside the rate of faults of the one before.
#[must_use]
pub fn on_probation(tally: Tally, rate_before: f64, took: Duration) -> Verdict {
    let is_worse = tally.rate() > rate_before + PROBATION_MARGIN;
    if tally.faults >= PROBATION_FAULTS && is_worse {
        let is_stopped = tally.stops >= PROBATION_STOPS;
        return if is_stopped { Verdict::Quarantine } else { Verdict::RollBack };
    }
    let has_answered = tally.calls >= PROBATION_CALLS;
    match took >= LONGEST_PROBATION || (took >= PROBATION && has_answered) {
        true => Verdict::Passed,
        false => Verdict::GoOn,
    }
}

/// A stop, and how many calls there had been by then, itself included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stop {
    at: Duration,
    calls: u64,
}

/// Of a generation in use: `stops` are its last ones.
fn in_use(stops: &VecDeque<Stop>, calls: u64, now: Duration) -> Verdict {
    let Some(first) = stops.front().filter(|_| stops.len() >= STOPS) else {
        return Verdict::GoOn;
    };
    let since = calls.saturating_sub(first.calls).saturating_add(1);
    let number = u64::try_from(stops.len()).unwrap_or(u64::MAX);
    let most = number.saturating_mul(3) >= since.saturating_mul(2);
    let recent = now.saturating_sub(first.at) <= STOPS_WITHIN;
    if most && recent { Verdict::Quarantine } else { Verdict::GoOn }
}

/// What is counted of one generation.
#[derive(Debug, Default)]
pub(crate) struct Conduct {
    calls: AtomicU64,
    faults: AtomicU64,
    stops: AtomicU64,
    last: Mutex<VecDeque<Stop>>,
    alarm: Option<Arc<Notify>>,
}

impl Conduct {
    /// One that tells `alarm` of each fault.
    pub(crate) fn alarming(alarm: Arc<Notify>) -> Self {
        Self { alarm: Some(alarm), ..Self::default() }
    }

    pub(crate) fn tally(&self) -> Tally {
        Tally {
            calls: self.calls.load(Ordering::Relaxed),
            faults: self.faults.load(Ordering::Relaxed),
            stops: self.stops.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn in_use(&self, now: Duration) -> Verdict {
        in_use(&self.last(), self.calls.load(Ordering::Relaxed), now)
    }

    /// Counts an outcome; none is counted of what was never called.
    pub(crate) fn count(&self, error: Option<&CallError>, now: Duration) {
        let Some(error) = error else {
            self.calls.fetch_add(1, Ordering::Relaxed);
            return;
        };
        if !was_called(error) {
            return;
        }
        let calls = self.calls.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if is_stop(error) {
            self.stops.fetch_add(1, Ordering::Relaxed);
            let mut last = self.last();
            last.push_back(Stop { at: now, calls });
            while last.len() > STOPS {
                last.pop_front();
            }
        }
        if is_fault(error) {
            self.faults.fetch_add(1, Ordering::Relaxed);
            self.alarm.iter().for_each(|alarm| alarm.notify_one());
        }
    }

    fn last(&self) -> MutexGuard<'_, VecDeque<Stop>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the component failed, and not what is behind it.
pub(crate) fn is_fault(error: &CallError) -> bool {
    match error {
        CallError::Trap { .. }
        | CallError::Timeout { .. }
        | CallError::Answer(_)
        | CallError::Host(_) => true,
        CallError::Plugin(fault) => fault.kind == FaultKind::Internal,
        CallError::Unsupported(_)
        | CallError::Busy
        | CallError::Paced(_)
        | CallError::Paused(_)
        | CallError::Open(_)
        | CallError::CallerForbidden(_)
        | CallError::NoCaller { .. }
        | CallError::CallerRefused { .. } => false,
    }
}

fn is_stop(error: &CallError) -> bool {
    matches!(error, CallError::Trap { .. } | CallError::Timeout { asked: false, .. })
}

fn was_called(error: &CallError) -> bool {
    is_fault(error) || matches!(error, CallError::Plugin(_) | CallError::CallerForbidden(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{AnswerFault, Trap};

    fn tally(calls: u64, faults: u64, stops: u64) -> Tally {
        Tally { calls, faults, stops }
    }

    #[test]
    fn a_probation_is_failed_by_a_rate_and_passed_by_calls_and_time() {
        let minute = PROBATION.as_secs();
        for (what, counted, before, seconds, verdict) in [
            ("nothing happened yet", tally(0, 0, 0), 0.0, 1, Verdict::GoOn),
            ("two faults are too few", tally(2, 2, 2), 0.0, 1, Verdict::GoOn),
            ("three of three", tally(3, 3, 0), 0.0, 1, Verdict::RollBack),
            ("three traps", tally(3, 3, 3), 0.0, 1, Verdict::Quarantine),
            ("three of a hundred", tally(100, 3, 0), 0.0, 1, Verdict::GoOn),
            ("six of a hundred", tally(100, 6, 0), 0.0, 1, Verdict::RollBack),
            ("as bad as the one before", tally(100, 30, 30), 0.3, 1, Verdict::GoOn),
            ("worse than a bad one", tally(100, 40, 0), 0.3, 1, Verdict::RollBack),
            ("too few calls", tally(19, 0, 0), 0.0, minute, Verdict::GoOn),
            ("enough calls", tally(20, 0, 0), 0.0, minute, Verdict::Passed),
            ("too early", tally(1000, 0, 0), 0.0, minute - 1, Verdict::GoOn),
            ("nobody calls it", tally(0, 0, 0), 0.0, 15 * minute, Verdict::Passed),
            ("late", tally(20, 20, 0), 0.0, 2 * minute, Verdict::RollBack),
        ] {
            let found = on_probation(counted, before, Duration::from_secs(seconds));
            assert_eq!(found, verdict, "{what}");
        }
    }

    fn trap() -> CallError {
        CallError::Trap { trap: Trap::Cpu, reached: true }
    }

    #[test]
    fn one_that_traps_again_and_again_is_quarantined_and_one_among_many_is_not() {
        let at = |second| Duration::from_secs(second);
        let counted = |stops: u64, between: u64, pause: u64| {
            let conduct = Conduct::default();
            for stop in 0..stops {
                (0..between).for_each(|_| conduct.count(None, at(0)));
                conduct.count(Some(&trap()), at(stop * pause));
            }
            conduct.in_use(at(stops.saturating_sub(1) * pause))
        };
        assert_eq!(counted(7, 0, 1), Verdict::GoOn, "too few");
        assert_eq!(counted(8, 0, 1), Verdict::Quarantine);
        assert_eq!(counted(20, 1, 1), Verdict::GoOn, "every second call");
        assert_eq!(counted(8, 0, 60), Verdict::GoOn, "once a minute");
        assert_eq!(counted(12, 0, 40), Verdict::Quarantine, "as a breaker lets them through");
    }

    #[test]
    fn what_the_backend_does_is_not_the_components_fault() {
        let (stop, fault, call) = (tally(1, 1, 1), tally(1, 1, 0), tally(1, 0, 0));
        let none = tally(0, 0, 0);
        for (error, counted) in [
            (trap(), stop),
            (CallError::Timeout { reached: false, asked: false }, stop),
            (CallError::Timeout { reached: false, asked: true }, fault),
            (CallError::Timeout { reached: true, asked: true }, fault),
            (CallError::Answer(AnswerFault::Path), fault),
            (CallError::Host(String::new()), fault),
            (CallError::Plugin(Box::new(fault_of(FaultKind::Internal))), fault),
            (CallError::Plugin(Box::new(fault_of(FaultKind::PermissionDenied))), call),
            (CallError::Plugin(Box::new(fault_of(FaultKind::Unavailable))), call),
            (CallError::Busy, none),
            (CallError::Open(Duration::ZERO), none),
        ] {
            let conduct = Conduct::default();
            conduct.count(Some(&error), Duration::ZERO);
            assert_eq!(conduct.tally(), counted, "{error:?}");
        }
    }

    fn fault_of(kind: FaultKind) -> crate::fault::Fault {
        crate::fault::Fault {
            kind,
            code: String::new(),
            message: String::new(),
            retry_after: None,
            request_sent: false,
            said_sent: false,
            egress: None,
            upstream_status: None,
            metadata: Vec::new(),
        }
    }
}
