//! Whose signature is looked at next.
//!
//! Checking a signature takes a tenth of a millisecond of a core, and anybody can make us do it. So
//! one core is left to everything else, those who wait stand in one bounded queue, and one source has
//! a bounded share of it: a flood of distinct tokens delays others by what its share takes, and no
//! more. Tokens that were verified before do not pass here.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::listen::{Guest, Sources};

/// Most that wait or are checked at a time, of all sources.
const QUEUE: usize = 4096;
/// Of one source: as many as it may have connections.
const PER_SOURCE: usize = 256;
/// How long a turn is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Hands out turns, first come first served.
#[derive(Debug)]
pub(super) struct Turns {
    queue: Semaphore,
    running: Semaphore,
    sources: Arc<Sources>,
}

/// The right to check one signature; the next gets it when this is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    _running: SemaphorePermit<'a>,
    _queued: SemaphorePermit<'a>,
    _guest: Option<Guest>,
}

impl Turns {
    /// For this machine: all of its cores but one.
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with(cores.saturating_sub(1).max(1), QUEUE, PER_SOURCE)
    }

    /// For questions to others, which wait for an answer and not for a core: a few at a time, fewer of
    /// one source.
    pub(super) fn outward() -> Self {
        Self::with(32, 512, 64)
    }

    fn with(running: usize, queue: usize, per_source: usize) -> Self {
        Self {
            queue: Semaphore::new(queue),
            running: Semaphore::new(running),
            sources: Arc::new(Sources::new(per_source)),
        }
    }

    /// Waits for a turn. None if the queue, or the source's share of it, is full.
    ///
    /// Cancel: safe; the place in the queue is given up.
    pub(super) async fn take(&self, source: Option<IpAddr>) -> Option<Turn<'_>> {
        let guest = match source {
            Some(source) => Some(self.sources.admit(source)?),
            None => None,
        };
        let queued = self.queue.try_acquire().ok()?;
        let running = tokio::time::timeout(PATIENCE, self.running.acquire()).await.ok()?.ok()?;
        Some(Turn { _running: running, _queued: queued, _guest: guest })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    const LOUD: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const QUIET: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));

    /// Refused at once: whoever waits in vain for a turn gets none either.
    async fn is_refused(turns: &Turns, source: Option<IpAddr>) -> bool {
        matches!(poll!(pin!(turns.take(source))), Poll::Ready(None))
    }

    #[tokio::test]
    async fn a_loud_source_has_its_share_of_the_queue_and_others_their_turn() {
        let turns = Turns::with(1, 8, 2);
        let first = turns.take(LOUD).await;
        let mut second = pin!(turns.take(LOUD));
        assert!(poll!(second.as_mut()).is_pending());
        assert!(is_refused(&turns, LOUD).await, "its share is full");
        let mut other = pin!(turns.take(QUIET));
        assert!(poll!(other.as_mut()).is_pending());
        drop(first);
        let second = second.await;
        assert!(second.is_some() && poll!(other.as_mut()).is_pending(), "in order");
        drop(second);
        assert!(other.await.is_some());
        assert!(turns.take(LOUD).await.is_some(), "its share is free again");
    }

    #[tokio::test]
    async fn the_queue_is_bounded_over_all_sources() {
        let turns = Turns::with(1, 2, 2);
        let _first = turns.take(LOUD).await;
        let mut second = pin!(turns.take(QUIET));
        assert!(poll!(second.as_mut()).is_pending());
        assert!(is_refused(&turns, None).await);
    }
}
