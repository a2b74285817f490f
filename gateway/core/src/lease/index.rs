//! The keys under which the ledger finds leases, and what a change of a lease writes.
//!
//! A lease lies under its id and in indexes without values: by backend and time at which something
//! has to be done (one ordered index for the reaper, no timer per lease; the backend comes first, so
//! that a backend with very many due leases is never in front of the others, and what concerns the
//! ledger alone has a [queue](Queue) of its own), by owner, by backend and role, by the token that
//! asked, and by carrier. They change in the same transaction as the lease, so none
//! can name a lease that is not there; the counts of quotas too.
//!
//! INVARIANT: keys have a bounded length (a subject enters as its SHA-256), sort as the things they
//! stand for (times and ids big-endian), and the keys of one name are never a prefix of another's (a
//! zero byte ends each name, and names hold none).

use aws_lc_rs::digest::{SHA256, digest};

use super::record::Lease;
use super::share::Share;
use super::terms::Terms;
use crate::clock::Timestamp;
use crate::id::{BackendName, IssuerAlias, LeaseId, RoleName};
use crate::principal::Identity;

/// Which of the places of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The lease itself.
    State,
    /// Index by backend and due time.
    Due,
    /// Index by owner.
    Owner,
    /// Index by backend and role.
    Backend,
    /// Index by token.
    Token,
    /// Index of those that share, by carrier.
    Carrier,
    /// Counts of live leases.
    Quota,
}

/// What a change of a lease does to the index entries; the lease itself is the caller's to encode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Entries to add.
    pub put: Vec<(Place, Vec<u8>)>,
    /// Entries to remove.
    pub delete: Vec<(Place, Vec<u8>)>,
    /// Counts that change, and by how much.
    pub count: Vec<(Quota, i64)>,
}

/// Whose live leases are counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quota {
    /// One principal's.
    Principal(Identity),
    /// One role's.
    Role(BackendName, RoleName),
    /// One backend's.
    Backend(BackendName),
    /// Those that share one credential.
    Carrier(LeaseId),
    /// Those in a state, by its name.
    State(&'static str),
}

impl Quota {
    /// Under which key the count lies.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        let whose = match self {
            Self::Principal(owner) => owner_prefix(owner),
            Self::Role(backend, role) => role_prefix(backend, role),
            Self::Backend(backend) => backend_prefix(backend),
            Self::Carrier(lease) => lease.to_bytes().to_vec(),
            Self::State(name) => name.as_bytes().to_vec(),
        };
        [self.as_str().as_bytes(), &[0], &whose].concat()
    }

    /// The name in errors and metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Principal(_) => "principal",
            Self::Role(..) => "role",
            Self::Backend(_) => "backend",
            Self::Carrier(_) => "carrier",
            Self::State(_) => "state",
        }
    }

    /// The counts in which a lease stands while it is live. What takes room at the backend is a
    /// credential: one that is shared counts once, for its role and its backend, and for nobody.
    #[must_use]
    pub fn of(terms: &Terms) -> Vec<Self> {
        let owner = || Self::Principal(terms.owner.clone());
        let role = || Self::Role(terms.backend.clone(), terms.role.clone());
        let backend = || Self::Backend(terms.backend.clone());
        match terms.share {
            Share::Alone => vec![owner(), role(), backend()],
            Share::Carries(_) => vec![role(), backend()],
            Share::Of(carrier) => vec![owner(), Self::Carrier(carrier)],
        }
    }
}

/// The key of the lease itself.
#[must_use]
pub fn state_key(id: LeaseId) -> Vec<u8> {
    id.to_bytes().to_vec()
}

/// Who is asked about what is due. Each queue is a part of the due index, ordered by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Queue {
    /// Nobody: leases that share a credential. It comes first, so that carriers find them ended.
    Ledger,
    /// A backend.
    Backend(BackendName),
}

impl Queue {
    /// The queue in which a lease waits.
    #[must_use]
    pub fn of(terms: &Terms) -> Self {
        match terms.share {
            Share::Of(_) => Self::Ledger,
            Share::Alone | Share::Carries(_) => Self::Backend(terms.backend.clone()),
        }
    }

    /// Its entries begin with this.
    #[must_use]
    pub fn prefix(&self) -> Vec<u8> {
        [self.name().as_bytes(), &[0]].concat()
    }

    /// Its entry for a lease.
    #[must_use]
    pub fn entry(&self, due: Timestamp, id: LeaseId) -> Vec<u8> {
        [self.bound(due).as_slice(), &id.to_bytes()].concat()
    }

    /// Everything in it that is due before `now` sorts before this.
    #[must_use]
    pub fn bound(&self, now: Timestamp) -> Vec<u8> {
        let time = u64::try_from(now.millis()).unwrap_or(0).to_be_bytes();
        [self.prefix().as_slice(), &time].concat()
    }

    /// Everything in it sorts before this, and everything of the next queue behind.
    #[must_use]
    pub fn behind(&self) -> Vec<u8> {
        [self.name().as_bytes(), &[1]].concat()
    }

    /// No backend has the empty name.
    fn name(&self) -> &str {
        match self {
            Self::Ledger => "",
            Self::Backend(backend) => backend.as_str(),
        }
    }
}

/// Queue and time in an entry of the due index.
#[must_use]
pub fn due_of(entry: &[u8]) -> Option<(Queue, Timestamp)> {
    let end = entry.iter().position(|byte| *byte == 0)?;
    let (name, rest) = entry.split_at_checked(end)?;
    let queue = match std::str::from_utf8(name).ok()? {
        "" => Queue::Ledger,
        name => Queue::Backend(BackendName::parse(name).ok()?),
    };
    let time = u64::from_be_bytes(*rest.get(1..)?.first_chunk()?);
    Some((queue, Timestamp::from_millis(i64::try_from(time).ok()?)))
}

/// The entry of a lease in the due index.
#[must_use]
pub fn due_entry(lease: &Lease) -> Vec<u8> {
    let terms = lease.terms();
    Queue::of(terms).entry(lease.due_at(), terms.id)
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
    let all = [
        (Place::Due, due_entry(lease)),
        (Place::Owner, with_id(owner_prefix(&terms.owner))),
        (Place::Backend, with_id(role_prefix(&terms.backend, &terms.role))),
        (Place::Token, with_id(terms.token.to_vec())),
    ];
    let shared = terms.carrier().map(|id| (Place::Carrier, with_id(id.to_bytes().to_vec())));
    all.into_iter().chain(shared).collect()
}

/// What leads from `before` to `after`. `None` before the reservation and after it is forgotten.
#[must_use]
pub fn changes(before: Option<&Lease>, after: Option<&Lease>) -> Changes {
    let old = before.map(entries).unwrap_or_default();
    let new = after.map(entries).unwrap_or_default();
    Changes { put: without(&new, &old), delete: without(&old, &new), count: counted(before, after) }
}

fn counted(before: Option<&Lease>, after: Option<&Lease>) -> Vec<(Quota, i64)> {
    let live = |lease: Option<&Lease>| lease.is_some_and(Lease::is_live);
    let whose = |lease: &Lease| Quota::of(lease.terms());
    let quotas = match (live(before), live(after)) {
        (false, true) => Some((after.map(whose), 1)),
        (true, false) => Some((before.map(whose), -1)),
        (true, true) | (false, false) => None,
    };
    let quotas = quotas
        .into_iter()
        .flat_map(|(of, by)| of.unwrap_or_default().into_iter().map(move |quota| (quota, by)));
    let name = |lease: Option<&Lease>| lease.map(|lease| lease.phase().as_str());
    let states = match (name(before), name(after)) {
        (before, after) if before == after => [None, None],
        (before, after) => [before.map(|name| (name, -1)), after.map(|name| (name, 1))],
    };
    let states = states.into_iter().flatten().map(|(name, by)| (Quota::State(name), by));
    quotas.chain(states).collect()
}

fn without(these: &[(Place, Vec<u8>)], those: &[(Place, Vec<u8>)]) -> Vec<(Place, Vec<u8>)> {
    these.iter().filter(|entry| !those.contains(entry)).cloned().collect()
}
