//! From one record of a lease to the next, as a transaction.

use symbolon_core::id::LeaseId;
use symbolon_core::lease::Lease;
use symbolon_core::lease::index::{self, Place, Quota};

use crate::store::record::{Record, decode, encode};
use crate::store::{Key, Namespace, StoreError, Transaction};

impl Record for Lease {
    const VERSION: u8 = 1;
}

/// A lease, and the bytes that say so: what a change expects to find.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) lease: Lease,
    pub(super) bytes: Vec<u8>,
}

impl Stored {
    pub(super) fn new(lease: Lease) -> Result<Self, StoreError> {
        let bytes = encode(&lease)?;
        Ok(Self { lease, bytes })
    }

    pub(super) fn read(bytes: Vec<u8>) -> Result<Self, StoreError> {
        Ok(Self { lease: decode(&bytes)?, bytes })
    }

    /// The lease `id` as `bytes` have it; `None` if they are damaged. A record under another's key
    /// would be revoked in the other's name.
    pub(super) fn of(id: LeaseId, bytes: Vec<u8>) -> Option<Self> {
        Self::read(bytes).ok().filter(|stored| stored.lease.terms().id == id)
    }
}

/// Where the store keeps a place of the ledger.
pub(super) const fn namespace(place: Place) -> Namespace {
    match place {
        Place::State => Namespace::LeaseState,
        Place::Due => Namespace::LeaseDue,
        Place::Owner => Namespace::LeaseOwner,
        Place::Backend => Namespace::LeaseBackend,
        Place::Token => Namespace::LeaseToken,
        Place::Carrier => Namespace::LeaseCarrier,
        Place::Quota => Namespace::LeaseQuota,
    }
}

/// The key of a lease.
pub(super) fn state(id: LeaseId) -> Key {
    Namespace::LeaseState.key(index::state_key(id))
}

/// The entry of a lease in the due index.
pub(super) fn due_entry(lease: &Lease) -> Key {
    Namespace::LeaseDue.key(index::due_entry(lease))
}

/// The key of a count.
pub(super) fn quota(quota: &Quota) -> Key {
    Namespace::LeaseQuota.key(quota.key())
}

/// The transaction that leads from `before` to `after`.
pub(super) fn change(before: Option<&Stored>, after: Option<&Stored>) -> Transaction {
    let changes = index::changes(before.map(|b| &b.lease), after.map(|a| &a.lease));
    let Some(id) = after.or(before).map(|stored| stored.lease.terms().id) else {
        return Transaction::new();
    };
    let write = Transaction::new();
    let write = write.expect_unchanged(state(id), before.map(|stored| stored.bytes.clone()));
    let write = match after {
        Some(stored) => write.put(state(id), stored.bytes.clone()),
        None => write.delete(state(id)),
    };
    let delete = |write: Transaction, (place, key)| write.delete(namespace(place).key(key));
    let write = changes.delete.into_iter().fold(write, delete);
    let put = |write: Transaction, (place, key)| write.put(namespace(place).key(key), Vec::new());
    let write = changes.put.into_iter().fold(write, put);
    let add = |write: Transaction, (whose, by): (Quota, i64)| write.add(quota(&whose), by);
    changes.count.into_iter().fold(write, add)
}
