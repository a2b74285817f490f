//! Ends what is due, for ever.
//!
//! One task walks the due index, backend by backend. For each backend it starts as many endings as the
//! backend's [`Lane`] has room for, and no more than that is ever in memory. An ending is a few steps,
//! each durable before the next: the lease is written down as ending, the backend is asked, and what it
//! says is written down.
//!
//! INVARIANT: an entry of the index goes away only with the change of its lease. What is not done now
//! is found again by the next sweep, also after a crash.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use symbolon_core::clock::Timestamp;
use symbolon_core::id::{BackendName, LeaseId};
use symbolon_core::lease::{Cause, Confirmed, Lease, Phase, Revoking, index};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ends::{EndError, Ending, Ends};
use super::lane::{Lane, LaneStatus, Settled};
use super::write::Stored;
use super::{Ledger, LedgerError};
use crate::kill::{self, Point};
use crate::store::{Key, Namespace, Span, StoreError, Transaction};

/// Longest time between two looks at the index, in case nobody wakes the reaper: a clock that was
/// moved, an entry that another node wrote.
const LONGEST_NAP: Duration = Duration::from_secs(1);

/// Ends what is due. See the module.
#[derive(Debug)]
pub struct Reaper {
    ledger: Arc<Ledger>,
    ends: Arc<dyn Ends>,
    lanes: Mutex<BTreeMap<BackendName, Lane>>,
    tasks: TaskTracker,
}

impl Reaper {
    /// A reaper of `ledger` that ends credentials through `ends`.
    #[must_use]
    pub fn new(ledger: Arc<Ledger>, ends: Arc<dyn Ends>) -> Arc<Self> {
        let (lanes, tasks) = (Mutex::default(), TaskTracker::new());
        Arc::new(Self { ledger, ends, lanes, tasks })
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

    /// Carries out orders, and starts the ending of what is due, as far as there is room. Answers how
    /// long nothing more will be due.
    pub async fn sweep(self: &Arc<Self>) -> Duration {
        if self.ledger.hold().reason().is_some() {
            return LONGEST_NAP;
        }
        self.ledger.carry_out_orders().await;
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
        while !self.tasks.is_empty() {
            self.ledger.due.notified().await;
        }
    }

    /// How each backend is doing that has something to end.
    #[must_use]
    pub fn lanes(&self) -> Vec<LaneStatus> {
        let elapsed = self.ledger.clock.elapsed();
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.iter().map(|(backend, lane)| lane.status(backend, elapsed)).collect()
    }

    async fn walk(self: &Arc<Self>) -> Result<Duration, LedgerError> {
        let mut nap = LONGEST_NAP;
        let mut from = None;
        while let Some((backend, due)) = self.next_backend(from.as_ref()).await? {
            let now = self.ledger.now();
            if due <= now {
                self.start_endings(&backend, now).await?;
                nap = nap.min(self.reopens(&backend));
            } else {
                self.with_lane(&backend, |lane| lane.oldest = None);
                nap = nap.min(due.since(now));
            }
            from = Some(index::behind(&backend));
        }
        self.drop_idle();
        Ok(nap)
    }

    /// The next backend in the due index, and when its first lease is due.
    async fn next_backend(
        &self,
        from: Option<&Vec<u8>>,
    ) -> Result<Option<(BackendName, Timestamp)>, LedgerError> {
        let span = Span::all(Namespace::LeaseDue);
        let span = match from {
            Some(tail) => span.after(&Namespace::LeaseDue.key(tail.clone())),
            None => span,
        };
        let page = self.ledger.store.scan(span, 1).await?;
        Ok(page.entries.first().and_then(|(key, _)| index::due_of(key.tail())))
    }

    async fn start_endings(
        self: &Arc<Self>,
        backend: &BackendName,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let elapsed = self.ledger.clock.elapsed();
        let (room, under_way) =
            self.with_lane(backend, |lane| (lane.room(elapsed), lane.under_way()));
        // Those under way stand in front of the others until they are written down.
        let wanted = if room == 0 { 1 } else { room.saturating_add(under_way) };
        let span = Span::with_prefix(Namespace::LeaseDue, index::backend_prefix(backend));
        let until = index::due_bound(backend, now.plus(Duration::from_millis(1)));
        let page = self.ledger.store.scan(span.before(until), wanted).await?;
        let due = |(key, _): &(Key, Vec<u8>)| index::due_of(key.tail()).map(|(_, due)| due);
        let oldest = page.entries.first().and_then(due);
        self.with_lane(backend, |lane| lane.oldest = oldest);
        let mut started = 0;
        for (key, _) in page.entries {
            let Some(lease) = index::lease_of(key.tail()) else { continue };
            if started < room && self.with_lane(backend, |lane| lane.begin(lease)) {
                started = started.saturating_add(1);
                self.start(backend.clone(), lease, key);
            }
        }
        Ok(())
    }

    fn start(self: &Arc<Self>, backend: BackendName, lease: LeaseId, entry: Key) {
        let reaper = Arc::clone(self);
        self.tasks.spawn(async move {
            let settled = match reaper.end(lease, entry).await {
                Ok(settled) => settled,
                Err(error) => {
                    tracing::warn!(%lease, code = error.code(), "the ending of a lease is put off");
                    Settled::Busy
                }
            };
            let elapsed = reaper.ledger.clock.elapsed();
            let refill = reaper.with_lane(&backend, |lane| {
                lane.settle(lease, settled, elapsed);
                lane.wants_more()
            });
            if refill {
                reaper.ledger.wake();
            }
        });
    }

    /// Ends one lease, or takes it a step further.
    async fn end(&self, id: LeaseId, entry: Key) -> Result<Settled, LedgerError> {
        let stored = match self.ledger.read(id).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return self.drop_entry(entry).await,
            Err(LedgerError::Damaged(_)) => {
                tracing::error!(lease = %id, "its record is damaged and was set aside; what it issued must be ended by hand or by `symbolon backend reconcile`");
                self.ledger.quarantine(id).await?;
                return self.drop_entry(entry).await;
            }
            Err(error) => return Err(error),
        };
        // Read before, changed since: the entry is gone or will be found where it belongs.
        if stored.lease.due_at() > self.ledger.now() {
            return Ok(Settled::Unasked);
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
            Phase::Active(active) => active.revoke(Cause::Expired, now),
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

    async fn attempt(&self, stored: Stored, revoking: Revoking) -> Result<Settled, LedgerError> {
        let terms = stored.lease.terms();
        let asked = if revoking.is_reachable() && terms.carrier.is_none() {
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
            Some(Ok(ended)) => (phase(revoking.confirmed(ended.verified, now)), Settled::Answered),
            None => (phase(revoking.confirmed(false, now)), Settled::Unasked),
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

    /// An entry without a lease: only damage makes one.
    async fn drop_entry(&self, entry: Key) -> Result<Settled, LedgerError> {
        self.ledger.store.commit(Transaction::new().delete(entry)).await?;
        Ok(Settled::Unasked)
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

    fn drop_idle(&self) {
        let elapsed = self.ledger.clock.elapsed();
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
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
