//! Places for calls at once, and a bounded queue before them.
//!
//! A backend that is slow keeps its own callers waiting and nobody else's: beyond the queue they are
//! refused at once.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::fault::CallError;
use crate::limits::Limits;

/// The places of one backend.
#[derive(Debug)]
pub(crate) struct Places {
    running: Semaphore,
    waiting: AtomicU32,
    max_waiting: u32,
}

impl Places {
    pub(crate) fn new(limits: &Limits) -> Self {
        let running = usize::try_from(limits.concurrency.max(1)).unwrap_or(1);
        Self {
            running: Semaphore::new(running),
            waiting: AtomicU32::new(0),
            max_waiting: limits.waiting,
        }
    }

    /// A place, as soon as one is free within `patience`.
    pub(crate) async fn take(
        &self,
        patience: Duration,
    ) -> Result<tokio::sync::SemaphorePermit<'_>, CallError> {
        if let Ok(place) = self.running.try_acquire() {
            return Ok(place);
        }
        let _waiting = Waiting::begin(&self.waiting, self.max_waiting).ok_or(CallError::Busy)?;
        let place = tokio::time::timeout(patience, self.running.acquire()).await;
        place.ok().and_then(Result::ok).ok_or(CallError::Busy)
    }

    /// Calls that run now, given the limit they started from.
    pub(crate) fn free(&self) -> usize {
        self.running.available_permits()
    }
}

/// One caller in the queue, until dropped.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicU32, max: u32) -> Option<Self> {
        let more = |n: u32| (n < max).then_some(n.saturating_add(1));
        count.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Self(count))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_queue_has_a_bound_and_gives_up() {
        let limits = Limits { concurrency: 1, waiting: 1, ..Limits::default() };
        let places = Places::new(&limits);
        let held = places.take(Duration::ZERO).await.unwrap();
        assert!(matches!(places.take(Duration::ZERO).await, Err(CallError::Busy)));
        let queued = places.take(Duration::from_secs(60));
        let refused = places.take(Duration::from_secs(60));
        tokio::pin!(queued);
        assert!(tokio::select! { biased; _ = &mut queued => false, () = async {} => true });
        assert!(matches!(refused.await, Err(CallError::Busy)));
        drop(held);
        assert!(queued.await.is_ok());
        assert_eq!(places.waiting.load(Ordering::Acquire), 0);
    }
}
