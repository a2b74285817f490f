//! Something that takes a while and is wanted by many: done once, for all of them, in a task of its
//! own.
//!
//! INVARIANT: at most one flight at a time, however many wait for it. Whoever stops waiting (because
//! its own deadline has passed, or its client hung up) changes nothing for the others: the flight
//! ends when it is done, or with the [`Flights`] that it belongs to.

use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The flights of one thing.
#[derive(Debug)]
pub(super) struct Flights<T> {
    current: Mutex<Current<T>>,
}

#[derive(Debug)]
struct Current<T> {
    /// What the flight under way will bring; closed if it ended without.
    outcome: Option<watch::Receiver<Option<T>>>,
    /// At most one task that runs. Dropped with its owner, and then it ends.
    task: JoinSet<()>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { current: Mutex::new(Current { outcome: None, task: JoinSet::new() }) }
    }
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// Waits until `deadline` for the flight under way, or for the one that `begin` makes if there
    /// is none. Nothing if the deadline passes first, or the flight ended without an outcome.
    ///
    /// Cancel: the flight goes on.
    pub(super) async fn join<F>(&self, deadline: Instant, begin: impl FnOnce() -> F) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut outcome = self.board(begin);
        let landed = tokio::time::timeout_at(deadline, outcome.wait_for(Option::is_some)).await;
        landed.ok()?.ok()?.clone()
    }

    fn board<F>(&self, begin: impl FnOnce() -> F) -> watch::Receiver<Option<T>>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = current.outcome.as_ref().filter(|outcome| is_under_way(outcome));
        if let Some(outcome) = under_way {
            return outcome.clone();
        }
        // What has ended is taken off the set.
        while current.task.try_join_next().is_some() {}
        let (sender, receiver) = watch::channel(None);
        let flight = begin();
        current.task.spawn(async move {
            let outcome = flight.await;
            sender.send_replace(Some(outcome));
        });
        current.outcome = Some(receiver.clone());
        receiver
    }
}

/// Neither landed nor lost.
fn is_under_way<T>(outcome: &watch::Receiver<Option<T>>) -> bool {
    outcome.borrow().is_none() && outcome.has_changed().is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use tokio::sync::Semaphore;

    use super::*;

    /// Flights that land when told to, and count themselves.
    struct Airport {
        flights: Flights<u32>,
        begun: AtomicU32,
        gate: Arc<Semaphore>,
    }

    impl Airport {
        fn new() -> Self {
            let gate = Arc::new(Semaphore::new(0));
            Self { flights: Flights::default(), begun: AtomicU32::new(0), gate }
        }

        async fn join(&self, patience: Duration) -> Option<u32> {
            let begin = || {
                let number = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
                let gate = self.gate.clone();
                async move {
                    gate.acquire().await.unwrap().forget();
                    number
                }
            };
            self.flights.join(Instant::now() + patience, begin).await
        }
    }

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn who_hangs_up_takes_the_flight_from_nobody() {
        let airport = Airport::new();
        {
            let mut first = Box::pin(airport.join(LONG));
            assert!(futures_util::poll!(first.as_mut()).is_pending());
        }
        let mut second = Box::pin(airport.join(LONG));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        airport.gate.add_permits(1);
        assert_eq!(second.await, Some(1), "the flight that the first began");
        assert_eq!(airport.begun.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn all_who_wait_get_one_outcome_and_who_comes_later_another() {
        let airport = Airport::new();
        airport.gate.add_permits(1);
        let both = tokio::join!(airport.join(LONG), airport.join(LONG));
        assert_eq!(both, (Some(1), Some(1)));
        airport.gate.add_permits(1);
        assert_eq!(airport.join(LONG).await, Some(2));
    }

    #[tokio::test]
    async fn a_deadline_ends_the_waiting_and_not_the_flight() {
        let airport = Airport::new();
        assert_eq!(airport.join(Duration::ZERO).await, None);
        airport.gate.add_permits(1);
        assert_eq!(airport.join(LONG).await, Some(1));
    }

    #[tokio::test]
    async fn a_flight_that_is_lost_is_begun_anew() {
        let flights: Flights<u32> = Flights::default();
        let deadline = Instant::now() + LONG;
        assert_eq!(flights.join(deadline, || async { panic!("lost") }).await, None);
        assert_eq!(flights.join(deadline, || async { 2 }).await, Some(2));
    }
}
