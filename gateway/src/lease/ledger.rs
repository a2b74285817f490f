//! The ledger: every change of a lease, one durable step at a time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use symbolon_core::ask::Resource;
use symbolon_core::clock::{Clock, Timestamp};
use symbolon_core::id::{BackendName, LeaseId, RoleName};
use symbolon_core::lease::{
    Active, Cause, Issued, Lease, Phase, Reserved, SealedHandle, Share, Terms,
};
use symbolon_core::policy::Permit;
use symbolon_core::principal::Identity;
use tokio::sync::Notify;

use super::hold::{Hold, Steady};
use super::orders::Orders;
use super::reservation::{Agreed, Limits, Reservation, limited};
use super::view::LeaseView;
use super::write::{Stored, change, state};
use super::{LedgerError, Watch};
use crate::store::{Store, StoreError, Transaction};
use crate::time::Ids;

/// How often a change is tried again that another one was quicker with.
pub(super) const TRIES: u32 = 8;

/// What a ledger stands on.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Where it is kept.
    pub store: Arc<dyn Store>,
    /// Time. Only its monotonic reading counts while the ledger is open.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<Ids>,
    /// Who is told what became of leases.
    pub watch: Arc<dyn Watch>,
}

/// Every lease there is. See the module.
pub struct Ledger {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Steady,
    pub(super) ids: Arc<Ids>,
    pub(super) watch: Arc<dyn Watch>,
    pub(super) orders: Orders,
    pub(super) hold: Hold,
    pub(super) due: Notify,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("hold", &self.hold).finish_non_exhaustive()
    }
}

/// What a transition comes to.
pub(super) enum Next {
    /// The lease becomes this.
    Phase(Box<Phase>),
    /// It stays as it is.
    Same,
}

impl<T: Into<Phase>> From<T> for Next {
    fn from(phase: T) -> Self {
        Self::Phase(Box::new(phase.into()))
    }
}

/// What becomes true together with an activation.
#[derive(Default)]
pub(super) struct Beside {
    pub(super) write: Transaction,
    /// The lease that is handed out, if it is not the activated one.
    pub(super) shown: Option<Lease>,
}

impl Ledger {
    /// Opens the ledger. Reads orders under way and nothing else. `hold` says whether this store may
    /// act.
    ///
    /// # Errors
    /// [`StoreError`] if the orders cannot be read.
    pub async fn open(parts: Parts, hold: Hold) -> Result<Self, StoreError> {
        let clock = Steady::start(parts.clock);
        let orders = Orders::load(&*parts.store, clock.now()).await?;
        let Parts { store, ids, watch, .. } = parts;
        Ok(Self { store, clock, ids, watch, orders, hold, due: Notify::new() })
    }

    /// The ledger's time: it never jumps while the ledger is open.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// When it was opened, by its own time.
    pub(super) fn opened(&self) -> Timestamp {
        self.clock.opened()
    }

    /// Whether and why nothing is issued or revoked.
    #[must_use]
    pub fn hold(&self) -> &Hold {
        &self.hold
    }

    /// Writes down that something will be issued. Durable when this returns, and counted. Not
    /// cancel-safe: a reservation of which nobody knows is ended by the reaper.
    ///
    /// # Errors
    /// [`LedgerError::Quota`], [`LedgerError::Held`], [`LedgerError::Store`].
    pub async fn reserve(
        &self,
        permit: &Permit,
        agreed: &Agreed,
    ) -> Result<Reservation, LedgerError> {
        let place = leasable(&permit.ask().resource).ok_or(LedgerError::NotLeasable)?;
        let asked = permit.ask().ttl.unwrap_or(agreed.ttl).min(permit.ttl_ceiling());
        let make = |now| self.terms(permit, agreed, (&place.0, &place.1), now);
        self.reserve_with(make, asked, agreed.limits).await
    }

    fn terms(
        &self,
        permit: &Permit,
        agreed: &Agreed,
        (backend, role): (&BackendName, &RoleName),
        now: Timestamp,
    ) -> Terms {
        Terms {
            id: self.ids.lease(now),
            owner: permit.principal().identity().clone(),
            backend: backend.clone(),
            role: role.clone(),
            maker: agreed.maker.clone(),
            recovery: agreed.recovery,
            token: permit.principal().proof().family(),
            share: Share::Alone,
            reserved_at: now,
            issue_by: now.plus(agreed.issue_within),
            ends_by: now.plus(permit.ttl_ceiling()),
        }
    }

    /// The same with terms that are made at the moment of the reservation.
    pub(super) async fn reserve_with(
        &self,
        make: impl FnOnce(Timestamp) -> Terms,
        ttl: Duration,
        limits: Limits,
    ) -> Result<Reservation, LedgerError> {
        self.reserve_for(None, make, ttl, limits).await
    }

    /// The same for `asker`, where it is not the owner whose limit must leave room.
    pub(super) async fn reserve_for(
        &self,
        asker: Option<&Identity>,
        make: impl FnOnce(Timestamp) -> Terms,
        ttl: Duration,
        limits: Limits,
    ) -> Result<Reservation, LedgerError> {
        self.hold.check()?;
        // An order that is given now waits until this is written down, or was given before it.
        let _entering = self.orders.gate.read().await;
        let now = self.now();
        self.orders.reserved(now);
        let stored = Stored::new(Lease::begin(Reserved::new(make(now))))?;
        let terms = stored.lease.terms();
        let write = change(None, Some(&stored));
        let write = limited(write, asker.unwrap_or(&terms.owner), terms, limits);
        self.store.commit(write).await.map_err(LedgerError::of_quota)?;
        Ok(Reservation { stored, ttl })
    }

    /// What was reserved was issued. Durable when this returns. Not cancel-safe.
    ///
    /// # Errors
    /// [`LedgerError`]; then the lease is being ended, and nothing may be handed out.
    pub async fn activate(
        &self,
        reservation: Reservation,
        issued: Issued,
    ) -> Result<LeaseView, LedgerError> {
        self.activate_with(reservation, issued, |_, _| Ok(Beside::default())).await
    }

    /// The same, with what `beside` says of it in the same transaction.
    pub(super) async fn activate_with(
        &self,
        reservation: Reservation,
        issued: Issued,
        beside: impl FnOnce(&Active, Timestamp) -> Result<Beside, LedgerError>,
    ) -> Result<LeaseView, LedgerError> {
        let before = reservation.stored;
        let (id, now) = (before.lease.terms().id, self.now());
        let (revision, phase) = before.lease.clone().into_parts();
        let Phase::Reserved(reserved) = phase else { return Err(LedgerError::Ending) };
        let activated = match reserved.clone().activate(issued.clone(), now) {
            Ok(active) => beside(&active, now).map(|beside| (active, beside)),
            Err((_, illegal)) => Err(illegal.into()),
        };
        let (next, beside, refused) = match activated {
            Ok((active, beside)) => (Phase::from(active), beside, None),
            Err(error) => {
                let condemned = reserved.condemn(Some(issued.clone()), Cause::Condemned, now);
                (condemned.into(), Beside::default(), Some(error))
            }
        };
        let after = Stored::new(Lease::following(revision, next))?;
        let write = change(Some(&before), Some(&after)).and(beside.write);
        let written = match self.store.commit(write).await {
            Ok(()) => Ok(self.view(beside.shown.as_ref().unwrap_or(&after.lease))),
            Err(error) => Err(self.not_activated(id, issued, error).await),
        };
        if refused.is_some() {
            self.wake();
        }
        refused.map_or(written, Err)
    }

    /// What was issued cannot be handed out: somebody ends it already and does not know by what it is
    /// found, or the store left open whether it took the activation.
    async fn not_activated(&self, id: LeaseId, issued: Issued, error: StoreError) -> LedgerError {
        self.end_issued(id, issued).await;
        let error = LedgerError::of_quota(error);
        if matches!(error, LedgerError::Contended) { LedgerError::Ending } else { error }
    }

    /// What was reserved was issued, and is of no use: it is ended.
    pub async fn discard(&self, reservation: Reservation, issued: Issued) {
        self.end_issued(reservation.id(), issued).await;
    }

    async fn end_issued(&self, id: LeaseId, issued: Issued) {
        let now = self.now();
        let ended = self.alter(id, |phase| match phase {
            Phase::Reserved(reserved) => {
                Ok(reserved.condemn(Some(issued.clone()), Cause::Condemned, now).into())
            }
            Phase::Revoking(revoking) => Ok(revoking.learned(issued.clone()).into()),
            Phase::Active(_) | Phase::Revoked(_) => Ok(Next::Same),
        });
        let ended = match ended.await {
            Ok(stored) if matches!(stored.lease.phase(), Phase::Active(_)) => {
                self.begin_end(id, Cause::Condemned).await.map(|_| stored)
            }
            ended => ended,
        };
        self.wake();
        match ended {
            Ok(stored) if !stored.lease.is_live() => {
                if let Err(error) = self.forget_secret(stored.lease.terms()).await {
                    tracing::error!(lease = %id, code = error.code(), "its secret stays where it is");
                }
                tracing::error!(lease = %id, "was issued after it was over: it must be ended by hand or by `symbolon backend reconcile`");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(lease = %id, code = error.code(), "what was issued is left to the reaper");
            }
        }
    }

    /// Nothing usable came of a reservation. `acted` if the backend may have issued all the same:
    /// then it is looked for and ended, for as long as it may still land.
    pub async fn fail(&self, reservation: Reservation, acted: bool) {
        let (id, now) = (reservation.id(), self.now());
        let ended = self.alter(id, |phase| match phase {
            Phase::Reserved(reserved) if acted => {
                Ok(reserved.condemn(None, Cause::LostAnswer, now).into())
            }
            Phase::Reserved(reserved) => Ok(reserved.abandon(now).into()),
            Phase::Active(_) | Phase::Revoking(_) | Phase::Revoked(_) => Ok(Next::Same),
        });
        if let Err(error) = ended.await {
            // The reservation stays, and the reaper takes it for perhaps issued.
            tracing::warn!(lease = %id, code = error.code(), "a failed reservation is left to the reaper");
        }
        self.wake();
    }

    /// What was issued could not be put on record, or not be delivered: it is ended.
    pub async fn condemn(&self, id: LeaseId) {
        if let Err(error) = self.begin_end(id, Cause::Condemned).await {
            tracing::error!(lease = %id, code = error.code(), "a condemned lease lives until it expires");
        }
    }

    /// The lease with this id.
    ///
    /// # Errors
    /// [`LedgerError::Store`], [`LedgerError::Damaged`].
    pub async fn find(&self, id: LeaseId) -> Result<Option<LeaseView>, LedgerError> {
        Ok(self.read(id).await?.map(|stored| self.view(&stored.lease)))
    }

    /// The lease with this id, if it is `owner`'s.
    ///
    /// # Errors
    /// [`LedgerError::Unknown`] for one that is not there and for one that is somebody else's.
    pub async fn find_of(&self, owner: &Identity, id: LeaseId) -> Result<LeaseView, LedgerError> {
        let found = self.find(id).await?;
        let is_owners = |lease: &LeaseView| lease.owner == *owner && lease.carries.is_none();
        found.filter(is_owners).ok_or(LedgerError::Unknown)
    }

    /// Whether a lease may be extended now, and by which handle. Asked before the backend is.
    ///
    /// # Errors
    /// [`LedgerError::Unknown`], [`LedgerError::Ending`], [`LedgerError::Illegal`].
    pub async fn renewable(&self, id: LeaseId) -> Result<(Terms, SealedHandle), LedgerError> {
        self.hold.check()?;
        let stored = self.read(id).await?.ok_or(LedgerError::Unknown)?;
        let ordered = self.orders.covers(stored.lease.terms());
        match stored.lease.phase() {
            Phase::Active(active) if !ordered => {
                active.may_renew(self.now())?;
                self.may_renew_shared(active.terms()).await?;
                Ok((active.terms().clone(), active.handle().clone()))
            }
            Phase::Active(_) | Phase::Reserved(_) | Phase::Revoking(_) | Phase::Revoked(_) => {
                Err(LedgerError::Ending)
            }
        }
    }

    /// The backend has extended a lease until `until`; or, for one that shares, its carrier lasts that
    /// long or is all there is. Durable when this returns.
    ///
    /// # Errors
    /// [`LedgerError::Ending`] if it began to end meanwhile, [`LedgerError::Closed`] if it carries a
    /// credential that is not offered any more, [`LedgerError::Illegal`].
    pub async fn renewed(&self, id: LeaseId, until: Timestamp) -> Result<LeaseView, LedgerError> {
        for _ in 0..TRIES {
            let before = self.read(id).await?.ok_or(LedgerError::Unknown)?;
            let (revision, phase) = before.lease.clone().into_parts();
            let Phase::Active(active) = phase else { return Err(LedgerError::Ending) };
            if self.orders.covers(active.terms()) {
                return Err(LedgerError::Ending);
            }
            let (active, write) = self.renewal(active, until).await?;
            let after = Stored::new(Lease::following(revision, active))?;
            match self.store.commit(change(Some(&before), Some(&after)).and(write)).await {
                Err(StoreError::Conflict(_)) => {}
                settled => return settled.map(|()| self.view(&after.lease)).map_err(Into::into),
            }
        }
        Err(LedgerError::Contended)
    }

    /// The renewed lease, and what has to hold beside.
    async fn renewal(
        &self,
        active: Active,
        until: Timestamp,
    ) -> Result<(Active, Transaction), LedgerError> {
        match active.terms().share {
            Share::Alone => {
                let renewed = active.renew(until, self.now()).map_err(|(_, illegal)| illegal)?;
                Ok((renewed, Transaction::new()))
            }
            Share::Carries(_) => self.renewal_of_carrier(active, until).await,
            Share::Of(carrier) => self.renewal_of_sharer(active, (carrier, until)).await,
        }
    }

    /// Writes down that a lease ends. Durable when this returns; the reaper does the rest. What is
    /// ending or over stays as it is.
    ///
    /// # Errors
    /// [`LedgerError::Unknown`], [`LedgerError::Store`].
    pub async fn revoke(&self, id: LeaseId, cause: Cause) -> Result<LeaseView, LedgerError> {
        self.begin_end(id, cause).await?;
        self.find(id).await?.ok_or(LedgerError::Unknown)
    }

    /// An operator answers for a lease's being gone: the ledger stops trying. Only what is being
    /// ended can be forced.
    ///
    /// # Errors
    /// [`LedgerError::Ending`] if it is not being ended, [`LedgerError::Unknown`].
    pub async fn force(&self, id: LeaseId) -> Result<LeaseView, LedgerError> {
        let now = self.now();
        let found = self.read(id).await?.ok_or(LedgerError::Unknown)?;
        if let Phase::Revoking(revoking) = found.lease.phase() {
            self.forget_secret(revoking.terms()).await?;
        }
        let forced = self.alter(id, |phase| match phase {
            Phase::Revoking(revoking) => Ok(revoking.force(now).into()),
            Phase::Reserved(_) | Phase::Active(_) | Phase::Revoked(_) => Err(LedgerError::Ending),
        });
        let stored = forced.await?;
        self.tell(&stored.lease);
        Ok(self.view(&stored.lease))
    }

    /// Begins the end of a lease, and of what ends with it; says whether it was not ending before.
    pub(super) async fn begin_end(&self, id: LeaseId, cause: Cause) -> Result<bool, LedgerError> {
        for _ in 0..TRIES {
            let before = self.read(id).await?.ok_or(LedgerError::Unknown)?;
            match self.try_end(&before, cause).await {
                Err(LedgerError::Store(StoreError::Conflict(_))) => {}
                settled => {
                    self.wake();
                    return settled;
                }
            }
        }
        Err(LedgerError::Contended)
    }

    /// Reads a lease, makes the next state of it, and writes that if nobody else was quicker;
    /// otherwise once more.
    pub(super) async fn alter(
        &self,
        id: LeaseId,
        mut next: impl FnMut(Phase) -> Result<Next, LedgerError>,
    ) -> Result<Stored, LedgerError> {
        for _ in 0..TRIES {
            let before = self.read(id).await?.ok_or(LedgerError::Unknown)?;
            let (revision, phase) = before.lease.clone().into_parts();
            let after = match next(phase)? {
                Next::Same => return Ok(before),
                Next::Phase(phase) => Stored::new(Lease::following(revision, *phase))?,
            };
            match self.commit(&before, Some(&after)).await {
                Err(LedgerError::Store(StoreError::Conflict(_))) => {}
                settled => return settled.map(|()| after),
            }
        }
        Err(LedgerError::Contended)
    }

    pub(super) async fn commit(
        &self,
        before: &Stored,
        after: Option<&Stored>,
    ) -> Result<(), LedgerError> {
        Ok(self.store.commit(change(Some(before), after)).await?)
    }

    pub(super) async fn read(&self, id: LeaseId) -> Result<Option<Stored>, LedgerError> {
        let Some(bytes) = self.store.get(&state(id)).await? else { return Ok(None) };
        Stored::of(id, bytes).map(Some).ok_or(LedgerError::Damaged(id))
    }

    pub(super) fn view(&self, lease: &Lease) -> LeaseView {
        LeaseView::of(lease, self.orders.covers(lease.terms()), self.now())
    }

    /// There may be something to do.
    pub(super) fn wake(&self) {
        self.due.notify_one();
    }

    pub(super) fn tell(&self, lease: &Lease) {
        if let Phase::Revoked(revoked) = lease.phase() {
            self.watch.ended(revoked);
        }
    }
}

/// Where what is issued for a resource stands: with its backend and role, or with its target in the
/// place of both.
fn leasable(resource: &Resource) -> Option<(BackendName, RoleName)> {
    match resource {
        Resource::Role { backend, role } => Some((backend.clone(), role.clone())),
        Resource::Target(target) => Some((target.clone().into(), RoleName::exchange())),
        Resource::Secret { .. }
        | Resource::Folder { .. }
        | Resource::Lease(_)
        | Resource::Leases
        | Resource::Gateway => None,
    }
}
