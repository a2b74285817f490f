//! How hard one backend is asked to end leases.
//!
//! Each backend has a lane of its own: as many endings at once as its window is wide, and a pause
//! when it does not answer. So a dead backend takes nothing from the others, costs one attempt every
//! few minutes instead of one per lease, and is not run over when it comes back: the window starts at
//! one and doubles with each success.

use std::collections::BTreeSet;
use std::time::Duration;

use symbolon_core::clock::Timestamp;
use symbolon_core::id::{BackendName, LeaseId};
use symbolon_core::lease::RETRY_PAUSE;

use crate::store::Key;

/// Most endings at a time at one backend.
const WIDEST: usize = 32;
/// While a backend fails, so many of its oldest leases are tried in turn.
const PROBES: u32 = 8;

/// One backend's lane. Times are the clock's elapsed time.
#[derive(Debug)]
pub(super) struct Lane {
    window: usize,
    busy: BTreeSet<LeaseId>,
    /// Failures in a row of the backend itself.
    failures: u32,
    paused_until: Duration,
    /// The oldest thing due, when it was last looked at.
    pub(super) oldest: Option<Timestamp>,
}

/// What an ending says about the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// It answers.
    Answered,
    /// It does not.
    Down,
    /// The gateway has no place for it.
    Busy,
    /// Nothing: it was not asked.
    Unasked,
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            window: WIDEST,
            busy: BTreeSet::new(),
            failures: 0,
            paused_until: Duration::ZERO,
            oldest: None,
        }
    }
}

impl Lane {
    /// How many more endings may begin now.
    pub(super) fn room(&self, elapsed: Duration) -> usize {
        if elapsed < self.paused_until { 0 } else { self.window.saturating_sub(self.busy.len()) }
    }

    /// How many of the first entries of the index may be passed over: those under way stand in front
    /// of the others until they are written down.
    pub(super) fn passed_over(&self) -> usize {
        self.busy.len().saturating_add(self.turn())
    }

    /// Takes places for as many of those that are due as there is room for: the oldest, but not those
    /// whose ending is under way. While the backend fails it is another one's turn each time, since
    /// it may be the one lease that fails (its revocation never ends in time) and not the backend.
    pub(super) fn choose(&mut self, due: Vec<(LeaseId, Key)>, room: usize) -> Vec<(LeaseId, Key)> {
        let is_waiting = |(lease, _): &(LeaseId, Key)| !self.busy.contains(lease);
        let mut waiting: Vec<_> = due.into_iter().filter(is_waiting).collect();
        let turn = self.turn().checked_rem(waiting.len()).unwrap_or(0);
        waiting.rotate_left(turn);
        waiting.into_iter().filter(|(lease, _)| self.busy.insert(*lease)).take(room).collect()
    }

    fn turn(&self) -> usize {
        usize::try_from(self.failures % PROBES).unwrap_or(0)
    }

    pub(super) fn settle(&mut self, lease: LeaseId, settled: Settled, elapsed: Duration) {
        self.busy.remove(&lease);
        match settled {
            Settled::Answered => {
                self.failures = 0;
                self.window = self.window.saturating_mul(2).min(WIDEST);
            }
            Settled::Down => {
                self.window = 1;
                // Those that were under way together fail together: they count as one.
                if elapsed >= self.paused_until {
                    self.failures = self.failures.saturating_add(1);
                    self.paused_until = elapsed.saturating_add(pause(self.failures, lease));
                }
            }
            Settled::Busy => {
                self.window = (self.window / 2).max(1);
                self.paused_until = self.paused_until.max(elapsed.saturating_add(RETRY_PAUSE.0));
            }
            Settled::Unasked => {}
        }
    }

    /// Whether it is worth looking for more: a look costs a walk of the index.
    pub(super) fn wants_more(&self) -> bool {
        self.busy.len() <= self.window / 2
    }

    /// When the lane opens again, if it is closed.
    pub(super) fn opens_at(&self) -> Duration {
        self.paused_until
    }

    pub(super) fn is_idle(&self, elapsed: Duration) -> bool {
        self.busy.is_empty() && self.oldest.is_none() && elapsed >= self.paused_until
    }

    pub(super) fn status(&self, backend: &BackendName, elapsed: Duration) -> LaneStatus {
        LaneStatus {
            backend: backend.clone(),
            under_way: self.busy.len(),
            window: self.window,
            failures: self.failures,
            paused_for: self.paused_until.saturating_sub(elapsed),
            oldest_due: self.oldest,
        }
    }
}

/// A backend's lane, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneStatus {
    /// The backend.
    pub backend: BackendName,
    /// Endings under way.
    pub under_way: usize,
    /// Most endings at a time now.
    pub window: usize,
    /// Failures in a row of the backend.
    pub failures: u32,
    /// How long it is still left alone.
    pub paused_for: Duration,
    /// Since when its oldest lease has been due.
    pub oldest_due: Option<Timestamp>,
}

/// Doubles from the shortest pause to the longest; a fifth is spread, by the lease that was tried.
fn pause(failures: u32, lease: LeaseId) -> Duration {
    let (shortest, longest) = RETRY_PAUSE;
    let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    let full = shortest.saturating_mul(factor).min(longest);
    let spread = u32::from(lease.to_bytes().last().copied().unwrap_or(0));
    full.saturating_sub(full.saturating_mul(spread) / (5 * 256))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(n: u128) -> LeaseId {
        LeaseId::new(Timestamp::from_seconds(1_793_520_000), n)
    }

    #[test]
    fn a_backend_that_is_down_is_left_alone_and_returns_gently() {
        let mut lane = Lane::default();
        let mut now = Duration::from_secs(10);
        for n in 0..32 {
            assert!(lane.busy.insert(lease(n)));
        }
        assert_eq!(lane.room(now), 0);
        for n in 0..32 {
            lane.settle(lease(n), Settled::Down, now);
        }
        assert_eq!((lane.failures, lane.room(now)), (1, 0));
        for _ in 0..20 {
            now = lane.opens_at();
            assert_eq!(lane.room(now), 1);
            lane.busy.insert(lease(1));
            lane.settle(lease(1), Settled::Down, now);
            assert!(lane.opens_at().saturating_sub(now) <= RETRY_PAUSE.1);
        }
        assert!(lane.opens_at().saturating_sub(now) >= RETRY_PAUSE.1 * 4 / 5);
        now = lane.opens_at();
        for width in [2, 4, 8, 16, 32, 32] {
            lane.busy.insert(lease(1));
            lane.settle(lease(1), Settled::Answered, now);
            assert_eq!(lane.room(now), width);
        }
    }
}
