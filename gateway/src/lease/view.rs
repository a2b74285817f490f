//! A lease as its owner and operators see it: never with its handle.

use std::time::Duration;

use symbolon_core::clock::Timestamp;
use symbolon_core::id::{BackendName, LeaseId, RoleName};
use symbolon_core::lease::{Lease, OnRevoke, Phase, Proof};
use symbolon_core::principal::Identity;

/// What can be seen of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseView {
    /// Its id.
    pub id: LeaseId,
    /// Whose it is.
    pub owner: Identity,
    /// Where it was issued.
    pub backend: BackendName,
    /// As what.
    pub role: RoleName,
    /// `reserved`, `active`, `revoking` or `revoked`.
    pub state: &'static str,
    /// When it was reserved.
    pub reserved_at: Timestamp,
    /// When it ends, or would have ended; `None` if it was never activated.
    pub expires_at: Option<Timestamp>,
    /// The ledger's time when it was looked at.
    pub seen_at: Timestamp,
    /// Beyond this no renewal leads.
    pub ends_by: Timestamp,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// Whether it can be ended before its time.
    pub revocable: bool,
    /// How often it was renewed.
    pub renewals: u32,
    /// Why it is being, or was, ended.
    pub cause: Option<&'static str>,
    /// When it was decided that it ends.
    pub ending_since: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// Who or what answers for its being over.
    pub proof: Option<Proof>,
    /// Attempts to end it.
    pub attempts: u32,
    /// When the next attempt is due.
    pub next_attempt_at: Option<Timestamp>,
    /// The lease whose credential it shares.
    pub carrier: Option<LeaseId>,
    /// Whether it carries a credential that others share, and what a revocation makes of that.
    pub carries: Option<OnRevoke>,
    /// Which component made it.
    pub plugin: String,
}

impl LeaseView {
    /// How much of it is left.
    #[must_use]
    pub fn lasts(&self) -> Duration {
        match self.state {
            "active" => self.expires_at.map_or(Duration::ZERO, |end| end.since(self.seen_at)),
            _ => Duration::ZERO,
        }
    }

    /// How long the end has been due at `now` without being reached.
    #[must_use]
    pub fn late(&self, now: Timestamp) -> Duration {
        match (self.ending_since, self.ended_at) {
            (Some(since), None) => now.since(since),
            (Some(_) | None, _) => Duration::ZERO,
        }
    }

    /// What `lease` shows. `ordered` if an order to end it is under way, which has not reached it yet.
    pub(super) fn of(lease: &Lease, ordered: bool, now: Timestamp) -> Self {
        let view = Self::bare(lease, now);
        match lease.phase() {
            Phase::Reserved(_) => view,
            Phase::Active(active) => Self {
                state: if ordered { "revoking" } else { view.state },
                expires_at: Some(active.expires_at()),
                renewable: active.is_renewable() && !ordered,
                revocable: active.is_revocable(),
                renewals: active.renewals(),
                ..view
            },
            Phase::Revoking(revoking) => Self {
                expires_at: revoking.ends_at(),
                revocable: revoking.is_reachable(),
                cause: Some(revoking.cause().as_str()),
                ending_since: Some(revoking.since()),
                attempts: revoking.attempts(),
                next_attempt_at: Some(revoking.next_attempt_at()),
                ..view
            },
            Phase::Revoked(revoked) => Self {
                expires_at: revoked.ends_at(),
                cause: Some(revoked.cause().as_str()),
                ending_since: Some(revoked.since()),
                ended_at: Some(revoked.revoked_at()),
                proof: Some(revoked.proof()),
                attempts: revoked.attempts(),
                ..view
            },
        }
    }

    fn bare(lease: &Lease, now: Timestamp) -> Self {
        let terms = lease.terms();
        Self {
            id: terms.id,
            owner: terms.owner.clone(),
            backend: terms.backend.clone(),
            role: terms.role.clone(),
            state: lease.phase().as_str(),
            reserved_at: terms.reserved_at,
            expires_at: None,
            seen_at: now,
            ends_by: terms.ends_by,
            renewable: false,
            revocable: false,
            renewals: 0,
            cause: None,
            ending_since: None,
            ended_at: None,
            proof: None,
            attempts: 0,
            next_attempt_at: None,
            carrier: terms.carrier(),
            carries: terms.carries(),
            plugin: format!("{}@{}", terms.maker.plugin, terms.maker.version),
        }
    }
}
