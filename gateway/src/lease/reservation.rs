//! A place in the ledger for something that is about to be issued.

use std::time::Duration;

use symbolon_core::id::LeaseId;
use symbolon_core::lease::{Maker, Recovery, Terms};

use super::write::Stored;

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
