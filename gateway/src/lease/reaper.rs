//! Ends what is due, for ever.
//!
//! One task walks the due index, backend by backend. For each backend it starts as many endings as the
//! backend's [`Lane`] has room for, and no more than that is ever in memory. An ending is a few steps,
//! each durable before the next: the lease is written down as ending, the backend is asked, and what it
//! says is written down.
//!
//! INVARIANT: an entry of the index goes away only with the change of its lease. What is not done now
//! is found again by the next sweep, also after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use symbolon_core::clock::Timestamp;
use symbolon_core::id::{BackendName, LeaseId};
use symbolon_core::lease::index::{self, Queue};
use symbolon_core::lease::{Cause, Confirmed, Evidence, Lease, Phase, Revoking, Share};
use tokio::sync::Mutex as Turn;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ends::{EndError, Ending, Ends};
use super::lane::{Lane, LaneStatus, Settled};
use super::write::{Stored, due_entry, state};
use super::{Ledger, LedgerError};
use crate::kill::{self, Point};
use crate::store::{Key, Namespace, Span, StoreError, Transaction};

/// Longest time between two looks at the index, in case nobody wakes the reaper: a clock that was
/// moved, an entry that another node wrote.
const LONGEST_NAP: Duration = Duration::from_secs(1);

/// Leases that share which are looked at in one go, and written down at once.
const PAGE: usize = 500;
const SIDE_BY_SIDE: usize = 64;

/// Ends what is due. See the module.
#[derive(Debug)]
pub struct Reaper {
    ledger: Arc<Ledger>,
    ends: Arc<dyn Ends>,
    lanes: Mutex<BTreeMap<BackendName, Lane>>,
    /// Held by who carries out orders.
    ordering: Arc<Turn<()>>,
    tasks: TaskTracker,
}

/// A place in a lane, given back in any case: also a lease whose ending panics is tried again.
struct Place {
    reaper: Arc<Reaper>,
    backend: BackendName,
    lease: LeaseId,
    settled: Settled,
}

impl Place {
    async fn fill(mut self, entry: Key) {
        match self.reaper.end(self.lease, entry).await {
            Ok(settled) => self.settled = settled,
            Err(error) => {
                let (lease, code) = (self.lease, error.code());
                tracing::warn!(%lease, code, "the ending of a lease is put off");
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let ledger = &self.reaper.ledger;
        let elapsed = ledger.clock.elapsed();
        let refill = self.reaper.with_lane(&self.backend, |lane| {
            lane.settle(self.lease, self.settled, elapsed);
            lane.wants_more()
        });
        if refill {
            ledger.wake();
        }
    }
}

impl Reaper {
    /// A reaper of `ledger` that ends credentials through `ends`.
    #[must_use]
    pub fn new(ledger: Arc<Ledger>, ends: Arc<dyn Ends>) -> Arc<Self> {
        let (lanes, ordering, tasks) = (Mutex::default(), Arc::default(), TaskTracker::new());
        Arc::new(Self { ledger, ends, lanes, ordering, tasks })
    }

    /// Works until `stop`, then lets what is under way end. What it did not get to is found at the
    /// next start.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let nap = self.sweep().await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.ledger.due.notified() => {}
                () = tokio::time::sleep(nap) => {}
            }
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Starts carrying out orders, and the ending of what is due, as far as there is room. Answers
    /// how long nothing more will be due.
    pub async fn sweep(self: &Arc<Self>) -> Duration {
        if self.ledger.hold().reason().is_some() {
            return LONGEST_NAP;
        }
        self.carry_out_orders();
        match self.walk().await {
            Ok(nap) => nap,
            Err(error) => {
                tracing::warn!(code = error.code(), "the due index cannot be walked");
                LONGEST_NAP
            }
        }
    }

    /// Waits until nothing is under way: for tests and benches, which end what is due now.
    pub async fn settle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }

    /// How each backend is doing that has something to end.
    #[must_use]
    pub fn lanes(&self) -> Vec<LaneStatus> {
        let elapsed = self.ledger.clock.elapsed();
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.iter().map(|(backend, lane)| lane.status(backend, elapsed)).collect()
    }

    /// In a task of their own: an order that ends very many leases keeps nothing waiting that is due.
    fn carry_out_orders(self: &Arc<Self>) {
        if self.ledger.pending_orders().is_empty() {
            return;
        }
        let Ok(turn) = Arc::clone(&self.ordering).try_lock_owned() else { return };
        let ledger = Arc::clone(&self.ledger);
        self.tasks.spawn(async move {
            let went_well = ledger.carry_out_orders().await;
            drop(turn);
            // Others may have been given meanwhile. What failed waits for the next nap to end.
            if went_well {
                ledger.wake();
            }
        });
    }

    async fn walk(self: &Arc<Self>) -> Result<Duration, LedgerError> {
        let mut nap = LONGEST_NAP;
        let mut seen = BTreeSet::new();
        let mut from = None;
        while let Some(first) = self.first_due(from).await? {
            let Some((queue, due)) = index::due_of(first.tail()) else {
                from = Some(first.clone());
                self.mend(first).await?;
                continue;
            };
            from = Some(Namespace::LeaseDue.key(queue.behind()));
            let next = match queue {
                Queue::Ledger => self.end_sharers(due).await?,
                Queue::Backend(backend) => {
                    let next = self.visit(&backend, due).await?;
                    seen.insert(backend);
                    next
                }
            };
            nap = nap.min(next);
        }
        self.drop_idle(&seen);
        Ok(nap)
    }

    /// The first entry of the due index behind `from`.
    async fn first_due(&self, from: Option<Key>) -> Result<Option<Key>, LedgerError> {
        let span = Span::all(Namespace::LeaseDue);
        let span = from.map_or(span.clone(), |key| span.after(&key));
        let page = self.ledger.store.scan(span, 1).await?;
        Ok(page.entries.into_iter().next().map(|(key, _)| key))
    }

    /// Leases that share a credential end without anybody being asked, whatever their backends do: as
    /// many at once as share the store's flushes. Answers when it is worth another look.
    async fn end_sharers(&self, due: Timestamp) -> Result<Duration, LedgerError> {
        let now = self.ledger.now();
        if due > now {
            return Ok(due.since(now));
        }
        let span = Span::with_prefix(Namespace::LeaseDue, Queue::Ledger.prefix());
        let until = Queue::Ledger.bound(now.plus(Duration::from_millis(1)));
        let page = self.ledger.store.scan(span.before(until), PAGE).await?;
        let is_last = page.next.is_none();
        let of = |(key, _): (Key, Vec<u8>)| Some((index::lease_of(key.tail())?, key));
        let due: Vec<_> = page.entries.into_iter().filter_map(of).collect();
        let endings = due.into_iter().map(|(lease, entry)| self.end_sharer(lease, entry));
        let mut endings = futures_util::stream::iter(endings).buffer_unordered(SIDE_BY_SIDE);
        let mut went_well = true;
        while let Some(ended) = endings.next().await {
            went_well &= ended;
        }
        Ok(if went_well && !is_last { Duration::ZERO } else { LONGEST_NAP })
    }

    async fn end_sharer(&self, lease: LeaseId, entry: Key) -> bool {
        match self.end(lease, entry).await {
            Ok(_) => true,
            Err(error) => {
                let code = error.code();
                tracing::warn!(%lease, code, "the end of a lease that shares is put off");
                false
            }
        }
    }

    /// A backend whose first lease is due at `due`. Answers when it is worth another look.
    async fn visit(
        self: &Arc<Self>,
        backend: &BackendName,
        due: Timestamp,
    ) -> Result<Duration, LedgerError> {
        let now = self.ledger.now();
        if due > now {
            self.with_lane(backend, |lane| lane.oldest = None);
            return Ok(due.since(now));
        }
        self.start_endings(backend, now).await?;
        Ok(self.reopens(backend))
    }

    async fn start_endings(
        self: &Arc<Self>,
        backend: &BackendName,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let elapsed = self.ledger.clock.elapsed();
        let (room, passed_over) =
            self.with_lane(backend, |lane| (lane.room(elapsed), lane.passed_over()));
        let wanted = if room == 0 { 1 } else { room.saturating_add(passed_over) };
        let span = Span::with_prefix(Namespace::LeaseDue, index::backend_prefix(backend));
        let until = Queue::Backend(backend.clone()).bound(now.plus(Duration::from_millis(1)));
        let page = self.ledger.store.scan(span.before(until), wanted).await?;
        let due = |(key, _): &(Key, Vec<u8>)| index::due_of(key.tail()).map(|(_, due)| due);
        let oldest = page.entries.first().and_then(due);
        let of = |(key, _): (Key, Vec<u8>)| Some((index::lease_of(key.tail())?, key));
        let waiting = page.entries.into_iter().filter_map(of).collect();
        let chosen = self.with_lane(backend, |lane| {
            lane.oldest = oldest;
            lane.choose(waiting, room)
        });
        for (lease, key) in chosen {
            self.start(backend.clone(), lease, key);
        }
        Ok(())
    }

    fn start(self: &Arc<Self>, backend: BackendName, lease: LeaseId, entry: Key) {
        let settled = Settled::Busy;
        let place = Place { reaper: Arc::clone(self), backend, lease, settled };
        self.tasks.spawn(place.fill(entry));
    }

    /// Ends one lease, or takes it a step further.
    async fn end(&self, id: LeaseId, entry: Key) -> Result<Settled, LedgerError> {
        let stored = match self.ledger.read(id).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return self.mend(entry).await,
            Err(LedgerError::Damaged(_)) => {
                tracing::error!(lease = %id, "its record is damaged and was set aside; what it issued must be ended by hand or by `symbolon backend reconcile`");
                self.ledger.quarantine(id).await?;
                return Ok(Settled::Unasked);
            }
            Err(error) => return Err(error),
        };
        if stored.lease.due_at() > self.ledger.now() {
            return self.mend(entry).await;
        }
        match self.begin(stored).await? {
            Some((stored, revoking)) => self.attempt(stored, revoking).await,
            None => Ok(Settled::Unasked),
        }
    }

    /// Writes down that a due lease is ending, if it is not yet. `None` if it is over: then it is
    /// forgotten.
    async fn begin(&self, before: Stored) -> Result<Option<(Stored, Revoking)>, LedgerError> {
        let now = self.ledger.now();
        let (revision, phase) = before.lease.clone().into_parts();
        let revoking = match phase {
            Phase::Revoking(revoking) => return Ok(Some((before, revoking))),
            Phase::Reserved(reserved) => reserved.condemn(None, Cause::LostAnswer, now),
            Phase::Active(active) if active.terms().share == Share::Alone => {
                active.revoke(Cause::Expired, now)
            }
            Phase::Active(_) => return self.end_shared(&before).await,
            Phase::Revoked(_) => {
                self.ledger.commit(&before, None).await?;
                return Ok(None);
            }
        };
        let after = Stored::new(Lease::following(revision, revoking.clone()))?;
        match self.ledger.commit(&before, Some(&after)).await {
            Ok(()) => {
                kill::reach(Point::AfterDue);
                Ok(Some((after, revoking)))
            }
            // Renewed or revoked at this very moment: the next sweep sees what it is now.
            Err(LedgerError::Store(StoreError::Conflict(_))) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is shared ends with more than itself; what that leaves to be done is found by the next
    /// sweep.
    async fn end_shared(&self, before: &Stored) -> Result<Option<(Stored, Revoking)>, LedgerError> {
        match self.ledger.try_end(before, Cause::Expired).await {
            Ok(_) => {
                kill::reach(Point::AfterDue);
                self.ledger.wake();
                Ok(None)
            }
            // Renewed or left at this very moment.
            Err(LedgerError::Store(StoreError::Conflict(_))) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn attempt(&self, stored: Stored, revoking: Revoking) -> Result<Settled, LedgerError> {
        let (terms, asked_at) = (stored.lease.terms(), self.ledger.now());
        let revoking = revoking.since_start(self.ledger.opened());
        if self.ledger.forget_secret(terms).await? {
            kill::reach(Point::AfterForgotten);
        }
        let asked = if revoking.is_reachable() && terms.carrier().is_none() {
            let ending = Ending { terms, handle: revoking.handle() };
            let ended = self.ends.end(ending).await;
            let outcome = ended.as_ref().map_or_else(EndError::outcome, |_| "ended");
            self.ledger.watch.attempted(&terms.backend, outcome);
            Some(ended)
        } else {
            None
        };
        let now = self.ledger.now();
        let (next, settled) = match asked {
            Some(Err(EndError::Down(_))) => return Ok(Settled::Down),
            Some(Err(EndError::Busy)) => return Ok(Settled::Busy),
            Some(Err(EndError::Refused(code))) => {
                let (lease, attempts) = (terms.id, revoking.attempts());
                tracing::warn!(%lease, code, attempts, "the backend does not end a lease; it is tried again");
                (revoking.failed(now).into(), Settled::Answered)
            }
            Some(Ok(ended)) => {
                let confirmed = revoking.confirmed_as_of(ended.evidence, asked_at, now);
                (phase(confirmed), Settled::Answered)
            }
            None => (phase(revoking.confirmed(Evidence::Acknowledged, now)), Settled::Unasked),
        };
        self.write(&stored, next).await?;
        Ok(settled)
    }

    async fn write(&self, before: &Stored, next: Phase) -> Result<(), LedgerError> {
        let after = Stored::new(Lease::following(before.lease.revision(), next))?;
        match self.ledger.commit(before, Some(&after)).await {
            Ok(()) => {
                kill::reach(Point::AfterOver);
                self.ledger.tell(&after.lease);
                Ok(())
            }
            // Forced, or learned of, meanwhile: asked again, which does no harm.
            Err(LedgerError::Store(StoreError::Conflict(_))) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// An entry that is not its lease's. If it is gone by now, the lease was changed after the entry
    /// was read; otherwise it is damage: left there, it would be found again for ever.
    async fn mend(&self, entry: Key) -> Result<Settled, LedgerError> {
        if self.ledger.store.get(&entry).await?.is_none() {
            return Ok(Settled::Unasked);
        }
        tracing::error!(%entry, "an entry of the due index is not its lease's, and is put right");
        let write = Transaction::new().delete(entry.clone());
        let write = match index::lease_of(entry.tail()) {
            Some(id) => {
                let found = self.ledger.store.get(&state(id)).await?;
                let write = write.expect_unchanged(state(id), found.clone());
                let lease = found.and_then(|bytes| Stored::read(bytes).ok());
                lease
                    .map_or(write.clone(), |stored| write.put(due_entry(&stored.lease), Vec::new()))
            }
            None => write,
        };
        match self.ledger.store.commit(write).await {
            Ok(()) | Err(StoreError::Conflict(_)) => Ok(Settled::Unasked),
            Err(error) => Err(error.into()),
        }
    }

    /// How long until the lane of a backend with due leases has room again: at once, if it has.
    fn reopens(&self, backend: &BackendName) -> Duration {
        let elapsed = self.ledger.clock.elapsed();
        let opens = self.with_lane(backend, |lane| lane.opens_at());
        match opens.saturating_sub(elapsed) {
            // Full: whoever ends next wakes the reaper.
            Duration::ZERO => LONGEST_NAP,
            pause => pause,
        }
    }

    /// Backends that were not `seen` in the index have nothing due.
    fn drop_idle(&self, seen: &BTreeSet<BackendName>) {
        let elapsed = self.ledger.clock.elapsed();
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let unseen = lanes.iter_mut().filter(|(backend, _)| !seen.contains(*backend));
        unseen.for_each(|(_, lane)| lane.oldest = None);
        lanes.retain(|_, lane| !lane.is_idle(elapsed));
    }

    fn with_lane<T>(&self, backend: &BackendName, look: impl FnOnce(&mut Lane) -> T) -> T {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        look(lanes.entry(backend.clone()).or_default())
    }
}

impl EndError {
    const fn outcome(&self) -> &'static str {
        match self {
            Self::Down(code) | Self::Refused(code) => code,
            Self::Busy => "busy",
        }
    }
}

fn phase(confirmed: Confirmed) -> Phase {
    match confirmed {
        Confirmed::Gone(revoked) => revoked.into(),
        Confirmed::LookAgain(revoking) => revoking.into(),
    }
}
