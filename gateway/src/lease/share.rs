//! One credential for many callers: who shares it, and what is offered to newcomers.
//!
//! A role that shares **offers** one credential at a time. Its carrier is a lease of the gateway's own;
//! whoever shares it has a lease beside, which is one write: nothing is asked at the backend
//! (`gateway/docs/adr/0017-shared-leases.md`).
//!
//! INVARIANT: an active carrier is shared. It becomes active in one transaction with the first lease
//! that shares it and with the offer, and it begins to end in one transaction with the last.
//!
//! INVARIANT: a lease that shares is written only where its carrier is found as it was read, and is
//! still on offer. So it cannot outlive it, and nobody gets a credential that was closed meanwhile.
//!
//! The secret itself is not seen here. It lies in the sealed tree under [`kept_as`], from before the
//! carrier is active until it is about to be over.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use symbolon_core::ask::Resource;
use symbolon_core::clock::Timestamp;
use symbolon_core::id::{BackendName, LeaseId, RoleName};
use symbolon_core::lease::index::{self, Quota};
use symbolon_core::lease::{Active, Issued, Lease, OnRevoke, Share, Terms};
use symbolon_core::policy::Permit;
use symbolon_core::principal::Identity;

use super::ledger::Beside;
use super::reservation::{Agreed, Limits, Reservation, limited};
use super::view::LeaseView;
use super::write::{Stored, change, state};
use super::{Ledger, LedgerError};
use crate::seal::kept;
use crate::store::record::{Record, decode, encode};
use crate::store::{Key, Namespace, Transaction};

/// Under which name the secret of a carrier is kept.
#[must_use]
pub fn kept_as(carrier: LeaseId) -> String {
    format!("shared/{carrier}")
}

/// What a credential was issued by: SHA-256 over everything that the operator says of its role and
/// backend, and over the component. A newcomer shares nothing that was made by other rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings(pub [u8; 32]);

/// Somebody who was permitted to have the credential of a role.
#[derive(Clone, Debug)]
pub struct Newcomer {
    pub(super) owner: Identity,
    pub(super) token: [u8; 32],
    pub(super) backend: BackendName,
    pub(super) role: RoleName,
    pub(super) agreed: Agreed,
    pub(super) settings: Settings,
    /// How long the lease shall last.
    pub(super) ttl: Duration,
    /// How long it may last, renewals included.
    pub(super) ceiling: Duration,
}

impl Newcomer {
    /// Whom `permit` permits.
    ///
    /// # Errors
    /// [`LedgerError::NotLeasable`] if it is for nothing that has a lease.
    pub fn new(permit: &Permit, agreed: Agreed, settings: Settings) -> Result<Self, LedgerError> {
        let Resource::Role { backend, role } = &permit.ask().resource else {
            return Err(LedgerError::NotLeasable);
        };
        let ceiling = permit.ttl_ceiling();
        Ok(Self {
            owner: permit.principal().identity().clone(),
            token: permit.principal().proof().digest,
            backend: backend.clone(),
            role: role.clone(),
            ttl: permit.ask().ttl.unwrap_or(agreed.ttl).min(ceiling),
            agreed,
            settings,
            ceiling,
        })
    }

    /// How long the lease shall last.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// The role.
    #[must_use]
    pub fn role(&self) -> (&BackendName, &RoleName) {
        (&self.backend, &self.role)
    }

    fn terms(&self, id: LeaseId, carrier: LeaseId, now: Timestamp) -> Terms {
        Terms {
            id,
            owner: self.owner.clone(),
            backend: self.backend.clone(),
            role: self.role.clone(),
            maker: self.agreed.maker.clone(),
            recovery: self.agreed.recovery,
            token: self.token,
            share: Share::Of(carrier),
            reserved_at: now,
            issue_by: now,
            ends_by: now.plus(self.ceiling),
        }
    }

    fn of_carrier(&self, id: LeaseId, plan: Carriage, now: Timestamp) -> Terms {
        Terms {
            owner: Identity::of_gateway(),
            // No token asked for it: what one asked for ends with that token.
            token: [0; 32],
            share: Share::Carries(plan.on_revoke),
            issue_by: now.plus(self.agreed.issue_within),
            ends_by: now.plus(plan.ceiling),
            ..self.terms(id, id, now)
        }
    }
}

/// What an operator says of credentials that are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carriage {
    /// What becomes of one when somebody who knows it is revoked.
    pub on_revoke: OnRevoke,
    /// How long one may last, renewals included, whoever asks.
    pub ceiling: Duration,
}

/// The record of what a role offers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Offered {
    carrier: LeaseId,
    /// In hex.
    settings: String,
    /// What the backend gave, where it was less than it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_most_millis: Option<u64>,
}

impl Record for Offered {
    const VERSION: u8 = 1;
}

/// A credential that newcomers may share, as it was when it was read.
#[derive(Debug)]
pub struct Offer {
    carrier: Stored,
    active: Active,
    at_most: Option<Duration>,
    bytes: Vec<u8>,
}

impl Offer {
    /// Its carrier.
    #[must_use]
    pub fn carrier(&self) -> LeaseId {
        self.active.terms().id
    }

    /// When it ends, unless renewed.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.active.expires_at()
    }

    /// What is enough for somebody who wants `ttl`: half of it, or half of what the backend gives
    /// where that is less. With less than that a fresh credential is issued.
    #[must_use]
    pub fn fair_part(&self, ttl: Duration) -> Duration {
        self.at_most.map_or(ttl, |most| most.min(ttl)) / 2
    }
}

/// A credential that is shared, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedCredential {
    /// The lease that carries it.
    pub carrier: LeaseView,
    /// How many leases share it that are not over.
    pub sharers: u64,
    /// Whether newcomers get it.
    pub is_open: bool,
}

impl Ledger {
    /// What the role of `newcomer` offers, if it is of the same making.
    ///
    /// # Errors
    /// [`LedgerError::Held`], [`LedgerError::Store`].
    pub async fn offer(&self, newcomer: &Newcomer) -> Result<Option<Offer>, LedgerError> {
        self.hold.check()?;
        let key = offer_key(&newcomer.backend, &newcomer.role);
        let Some(bytes) = self.store.get(&key).await? else { return Ok(None) };
        let Ok(offered) = decode::<Offered>(&bytes) else {
            tracing::error!(%key, "what a role offers is damaged; a fresh credential is issued");
            return Ok(None);
        };
        if offered.settings != hex::encode(newcomer.settings.0) {
            return Ok(None);
        }
        let Some((carrier, active)) = self.active_carrier(offered.carrier).await? else {
            return Ok(None);
        };
        let at_most = offered.at_most_millis.map(Duration::from_millis);
        Ok(Some(Offer { carrier, active, at_most, bytes }))
    }

    /// Writes down that `newcomer` shares what is offered, for as long as that lasts. Durable when
    /// this returns.
    ///
    /// # Errors
    /// [`LedgerError::Contended`] if it is not as it was read, [`LedgerError::Quota`] and as
    /// [`Ledger::reserve`].
    pub async fn join(&self, newcomer: &Newcomer, offer: &Offer) -> Result<LeaseView, LedgerError> {
        self.hold.check()?;
        let _entering = self.orders.gate.read().await;
        if self.orders.covers(offer.active.terms()) {
            return Err(LedgerError::Contended);
        }
        let now = self.now();
        let sharer = self.sharer(newcomer, &offer.active, now)?;
        let key = offer_key(&newcomer.backend, &newcomer.role);
        let write = newcomer.written(&sharer).expect_equals(key, offer.bytes.clone());
        let unchanged = offer.carrier.bytes.clone();
        let write = write.expect_equals(state(offer.carrier()), unchanged);
        self.store.commit(write).await.map_err(LedgerError::of_quota)?;
        Ok(self.view(&sharer.lease))
    }

    fn sharer(
        &self,
        newcomer: &Newcomer,
        carrier: &Active,
        now: Timestamp,
    ) -> Result<Stored, LedgerError> {
        self.orders.reserved(now);
        let terms = newcomer.terms(self.ids.lease(now), carrier.terms().id, now);
        let until = now.plus(newcomer.ttl).min(carrier.expires_at()).min(terms.ends_by);
        Ok(Stored::new(Lease::sharing(terms, carrier, until, now)?)?)
    }

    /// Writes down that a credential will be issued that `newcomer` and others share. It takes room at
    /// the role and the backend; the newcomer must have room for a lease, which is not taken yet.
    ///
    /// # Errors
    /// As [`Ledger::reserve`].
    pub async fn reserve_carrier(
        &self,
        newcomer: &Newcomer,
        plan: Carriage,
    ) -> Result<Reservation, LedgerError> {
        let make = |now| newcomer.of_carrier(self.ids.lease(now), plan, now);
        let ttl = newcomer.ttl.min(plan.ceiling);
        let asker = Some(&newcomer.owner);
        self.reserve_for(asker, make, ttl, newcomer.agreed.limits).await
    }

    /// The credential was issued, and its secret is kept: it is on offer, and `newcomer` is the first
    /// to share it. Durable when this returns. Not cancel-safe.
    ///
    /// # Errors
    /// As [`Ledger::activate`].
    pub async fn activate_carrier(
        &self,
        reservation: Reservation,
        issued: Issued,
        newcomer: &Newcomer,
    ) -> Result<LeaseView, LedgerError> {
        // An order that is given now finds the first lease too, or was given before.
        let _entering = self.orders.gate.read().await;
        let asked = reservation.ttl();
        let beside = |active: &Active, now: Timestamp| {
            let given = active.expires_at().since(now);
            // A backend that cuts to seconds has not given less.
            let is_less = given.saturating_add(Duration::from_secs(2)) < asked;
            let sharer = self.sharer(newcomer, active, now)?;
            let offered = Offered {
                carrier: active.terms().id,
                settings: hex::encode(newcomer.settings.0),
                at_most_millis: is_less
                    .then(|| u64::try_from(given.as_millis()).unwrap_or(u64::MAX)),
            };
            let key = offer_key(&newcomer.backend, &newcomer.role);
            let write = newcomer.written(&sharer).put(key, encode(&offered)?);
            Ok(Beside { write, shown: Some(sharer.lease) })
        };
        self.activate_with(reservation, issued, beside).await
    }

    /// A carrier that is active and not about to end.
    pub(super) async fn active_carrier(
        &self,
        id: LeaseId,
    ) -> Result<Option<(Stored, Active)>, LedgerError> {
        let found = self.active_record(id).await?;
        let usable = |(_, active): &(Stored, Active)| {
            active.terms().carries().is_some() && !self.orders.covers(active.terms())
        };
        Ok(found.filter(usable))
    }

    /// What has to hold of shared credentials before a backend is asked to extend one.
    pub(super) async fn may_renew_shared(&self, terms: &Terms) -> Result<(), LedgerError> {
        match terms.share {
            Share::Alone => Ok(()),
            Share::Carries(_) => self.offered(terms).await?.map(drop).ok_or(LedgerError::Closed),
            Share::Of(carrier) => {
                self.active_carrier(carrier).await?.map(drop).ok_or(LedgerError::Ending)
            }
        }
    }

    /// What moves the end of a lease that shares: its carrier has to stay as it is.
    pub(super) async fn renewal_of_sharer(
        &self,
        sharer: Active,
        (carrier, until): (LeaseId, Timestamp),
    ) -> Result<(Active, Transaction), LedgerError> {
        let found = self.active_carrier(carrier).await?;
        let (stored, active) = found.ok_or(LedgerError::Ending)?;
        let until = until.min(active.expires_at());
        let renewed = sharer.renew_sharing(&active, until, self.now());
        let renewed = renewed.map_err(|(_, illegal)| illegal)?;
        Ok((renewed, Transaction::new().expect_equals(state(carrier), stored.bytes)))
    }

    /// What moves the end of a carrier: it has to stay on offer.
    pub(super) async fn renewal_of_carrier(
        &self,
        carrier: Active,
        until: Timestamp,
    ) -> Result<(Active, Transaction), LedgerError> {
        let terms = carrier.terms().clone();
        let offered = self.offered(&terms).await?.ok_or(LedgerError::Closed)?;
        let renewed = carrier.renew(until, self.now()).map_err(|(_, illegal)| illegal)?;
        let key = offer_key(&terms.backend, &terms.role);
        Ok((renewed, Transaction::new().expect_equals(key, offered)))
    }

    /// The bytes of the offer, if it is of this carrier.
    async fn offered(&self, carrier: &Terms) -> Result<Option<Vec<u8>>, LedgerError> {
        let key = offer_key(&carrier.backend, &carrier.role);
        let Some(bytes) = self.store.get(&key).await? else { return Ok(None) };
        let is_of = decode::<Offered>(&bytes).is_ok_and(|offered| offered.carrier == carrier.id);
        Ok(is_of.then_some(bytes))
    }

    /// Takes the offer of a carrier back, if there is one: for good, since each is offered once.
    pub(super) async fn closing(&self, carrier: &Terms) -> Result<Transaction, LedgerError> {
        let Some(offered) = self.offered(carrier).await? else { return Ok(Transaction::new()) };
        let key = offer_key(&carrier.backend, &carrier.role);
        Ok(Transaction::new().expect_equals(key.clone(), offered).delete(key))
    }

    /// The credential that a lease shares or carries; `None` if its own, or the carrier is forgotten.
    ///
    /// # Errors
    /// [`LedgerError::Store`], [`LedgerError::Damaged`].
    pub async fn shared_credential(
        &self,
        lease: &LeaseView,
    ) -> Result<Option<SharedCredential>, LedgerError> {
        let carrier = lease.carrier.or(lease.carries.map(|_| lease.id));
        let Some(carrier) = carrier else { return Ok(None) };
        let Some(stored) = self.read(carrier).await? else { return Ok(None) };
        let sharers = self.count(&Quota::Carrier(carrier)).await?;
        let is_open = self.offered(stored.lease.terms()).await?.is_some();
        Ok(Some(SharedCredential { carrier: self.view(&stored.lease), sharers, is_open }))
    }

    /// Removes the secret of a carrier that is about to be over; says whether it was there.
    pub(super) async fn forget_secret(&self, carrier: &Terms) -> Result<bool, LedgerError> {
        match carrier.share {
            Share::Carries(_) => Ok(kept::remove(&*self.store, &kept_as(carrier.id)).await?),
            Share::Alone | Share::Of(_) => Ok(false),
        }
    }
}

impl Newcomer {
    /// The write of a lease that shares, within the limit of who has it.
    fn written(&self, sharer: &Stored) -> Transaction {
        let limits = Limits { principal: self.agreed.limits.principal, ..Limits::default() };
        limited(change(None, Some(sharer)), &self.owner, sharer.lease.terms(), limits)
    }
}

/// Where the ledger keeps what a role offers.
pub(super) fn offer_key(backend: &BackendName, role: &RoleName) -> Key {
    Namespace::LeaseOffer.key(index::role_prefix(backend, role))
}
