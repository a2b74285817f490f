//! A place in the ledger for something that is about to be issued.

use std::time::Duration;

use symbolon_core::id::LeaseId;
use symbolon_core::lease::index::Quota;
use symbolon_core::lease::{Maker, Recovery, Terms};
use symbolon_core::principal::Identity;

use super::LedgerError;
use super::write::{Stored, quota};
use crate::store::{Namespace, StoreError, Transaction};

/// What decides about a lease beside its permit: where it will be issued, and how many there may be.
#[derive(Clone, Debug)]
pub struct Agreed {
    /// Which component will issue.
    pub maker: Maker,
    /// How what it issues is found again.
    pub recovery: Recovery,
    /// The role's own lease duration, for who asks for none.
    pub ttl: Duration,
    /// Until when, from now, the component may take.
    pub issue_within: Duration,
    /// How many live leases there may be.
    pub limits: Limits,
}

/// How many live leases there may be; without a number, as many as there is room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of one principal.
    pub principal: Option<u64>,
    /// Of one role.
    pub role: Option<u64>,
    /// Of one backend.
    pub backend: Option<u64>,
}

/// Durable proof that something may be issued: only [`super::Ledger::reserve`] makes one, and
/// [`super::Ledger::activate`] or [`super::Ledger::fail`] takes it. One that is dropped is found by the
/// reaper when its time is over.
#[derive(Debug)]
#[must_use = "a reservation is activated or failed"]
pub struct Reservation {
    pub(super) stored: Stored,
    pub(super) ttl: Duration,
}

impl Reservation {
    /// The id, from which the name of what is issued is derived.
    #[must_use]
    pub fn id(&self) -> LeaseId {
        self.terms().id
    }

    /// How long what is issued shall last.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// What was agreed.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        self.stored.lease.terms()
    }
}

/// Within the limits of who asks, of the role and of the backend.
pub(super) fn limited(
    write: Transaction,
    asker: &Identity,
    terms: &Terms,
    limits: Limits,
) -> Transaction {
    let owner = Quota::Principal(asker.clone());
    let role = Quota::Role(terms.backend.clone(), terms.role.clone());
    let backend = Quota::Backend(terms.backend.clone());
    let all = [(owner, limits.principal), (role, limits.role), (backend, limits.backend)];
    let limit = |write: Transaction, (whose, limit): (Quota, Option<u64>)| match limit {
        Some(limit) => write.expect_below(quota(&whose), limit),
        None => write,
    };
    all.into_iter().fold(write, limit)
}

impl LedgerError {
    /// An expectation that did not hold: a quota, or something that changed meanwhile.
    pub(super) fn of_quota(error: StoreError) -> Self {
        if let StoreError::Conflict(key) = &error {
            return over_quota(key.namespace(), key.tail());
        }
        error.into()
    }
}

/// Which expectation of a reservation did not hold.
fn over_quota(namespace: Namespace, tail: &[u8]) -> LedgerError {
    if namespace != Namespace::LeaseQuota {
        // An id that was drawn twice, or what is shared is not as it was.
        return LedgerError::Contended;
    }
    let kind = tail.split(|byte| *byte == 0).next().unwrap_or_default();
    let known = ["principal", "role", "backend"];
    let found = known.into_iter().find(|name| name.as_bytes() == kind);
    LedgerError::Quota(found.unwrap_or("gateway"))
}
