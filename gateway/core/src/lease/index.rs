//! The keys under which the ledger finds leases, and what a change of a lease writes.
//!
//! A lease lies under its id and in three indexes without values: by the time at which something has
//! to be done (one ordered index for the reaper, no timer per lease), by owner and by backend. They
//! change in the same transaction as the lease, so none can name a lease that is not there.
//!
//! INVARIANT: keys have a bounded length (a subject enters as its SHA-256), sort as the things they
//! stand for (times and ids big-endian), and the keys of one name are never a prefix of another's (a
//! zero byte ends each name, and names hold none).

use aws_lc_rs::digest::{SHA256, digest};

use super::record::Lease;
use crate::clock::Timestamp;
use crate::id::{BackendName, IssuerAlias, LeaseId, RoleName};
use crate::principal::Identity;

/// Which of the four places of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The lease itself.
    State,
    /// Index by due time.
    Due,
    /// Index by owner.
    Owner,
    /// Index by backend and role.
    Backend,
}

/// What a change of a lease does to the index entries; the lease itself is the caller's to encode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Entries to add.
    pub put: Vec<(Place, Vec<u8>)>,
    /// Entries to remove.
    pub delete: Vec<(Place, Vec<u8>)>,
}

/// The key of the lease itself.
#[must_use]
pub fn state_key(id: LeaseId) -> Vec<u8> {
    id.to_bytes().to_vec()
}

/// The entry of a lease in the due index.
#[must_use]
pub fn due_key(due: Timestamp, id: LeaseId) -> Vec<u8> {
    [due_bound(due).as_slice(), &id.to_bytes()].concat()
}

/// Everything due before `now` sorts before this.
#[must_use]
pub fn due_bound(now: Timestamp) -> [u8; 8] {
    u64::try_from(now.millis()).unwrap_or(0).to_be_bytes()
}

/// The lease in an entry of any index: its last sixteen bytes.
#[must_use]
pub fn lease_of(entry: &[u8]) -> Option<LeaseId> {
    entry.last_chunk().map(|bytes| LeaseId::from_bytes(*bytes))
}

/// The entries of everyone an issuer vouches for begin with this.
#[must_use]
pub fn issuer_prefix(issuer: &IssuerAlias) -> Vec<u8> {
    [issuer.as_str().as_bytes(), &[0]].concat()
}

/// The entries of one principal begin with this.
#[must_use]
pub fn owner_prefix(owner: &Identity) -> Vec<u8> {
    let subject = digest(&SHA256, owner.subject.as_bytes());
    [issuer_prefix(&owner.issuer).as_slice(), subject.as_ref()].concat()
}

/// The entries of a backend begin with this.
#[must_use]
pub fn backend_prefix(backend: &BackendName) -> Vec<u8> {
    [backend.as_str().as_bytes(), &[0]].concat()
}

/// The entries of a role begin with this.
#[must_use]
pub fn role_prefix(backend: &BackendName, role: &RoleName) -> Vec<u8> {
    [backend_prefix(backend).as_slice(), role.as_str().as_bytes(), &[0]].concat()
}

/// The index entries of a lease.
#[must_use]
pub fn entries(lease: &Lease) -> Vec<(Place, Vec<u8>)> {
    let terms = lease.terms();
    let with_id = |prefix: Vec<u8>| [prefix.as_slice(), &terms.id.to_bytes()].concat();
    vec![
        (Place::Due, due_key(lease.due_at(), terms.id)),
        (Place::Owner, with_id(owner_prefix(&terms.owner))),
        (Place::Backend, with_id(role_prefix(&terms.backend, &terms.role))),
    ]
}

/// What leads from `before` to `after`. `None` before the reservation and after it is forgotten.
#[must_use]
pub fn changes(before: Option<&Lease>, after: Option<&Lease>) -> Changes {
    let old = before.map(entries).unwrap_or_default();
    let new = after.map(entries).unwrap_or_default();
    Changes { put: without(&new, &old), delete: without(&old, &new) }
}

fn without(these: &[(Place, Vec<u8>)], those: &[(Place, Vec<u8>)]) -> Vec<(Place, Vec<u8>)> {
    these.iter().filter(|entry| !those.contains(entry)).cloned().collect()
}
