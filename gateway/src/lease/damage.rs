//! Records that cannot be read: named, set aside under their name, and out of the way of the rest.
//!
//! What the index still says about such a lease goes with it, so that nothing points to what is not
//! there, and its quota is free again. Only where not even the state can be made out of what is left
//! do the counts stay as they are: a count that is one too high lets one less begin, one that is too
//! low would let one more.

use symbolon_core::id::{BackendName, IssuerAlias, LeaseId, RoleName};
use symbolon_core::lease::index::{self, Quota};

use super::share::kept_as;
use super::write::{quota, state};
use super::{After, Ledger, LedgerError};
use crate::seal::kept;
use crate::store::{Key, Namespace, Span, Transaction};

/// Entries that are read at once.
const PAGE: usize = 1000;

/// Where a lease has entries.
const PLACES: [Namespace; 5] = [
    Namespace::LeaseDue,
    Namespace::LeaseOwner,
    Namespace::LeaseBackend,
    Namespace::LeaseToken,
    Namespace::LeaseCarrier,
];

/// A record that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The lease.
    pub id: LeaseId,
    /// The state that its remains speak of; with none, its counts stay one too high.
    pub state: Option<&'static str>,
    /// How much is left of it.
    pub bytes: usize,
}

/// One page of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedPage {
    /// The records, in the order of their ids.
    pub leases: Vec<Damaged>,
    /// Behind which the next page begins.
    pub next: Option<LeaseId>,
}

/// The states, and what a record has in it that is in one. A quote within a text is escaped, so that
/// no text of a record holds these.
const STATES: [(&str, &str); 4] = [
    ("reserved", r#""state":"reserved""#),
    ("active", r#""state":{"active""#),
    ("revoking", r#""state":{"revoking""#),
    ("revoked", r#""state":{"revoked""#),
];

impl Ledger {
    /// Sets a record aside, with its entries in the indexes. Reads the indexes from end to end.
    pub(super) async fn quarantine(&self, id: LeaseId) -> Result<(), LedgerError> {
        let key = state(id);
        let Some(bytes) = self.store.get(&key).await? else { return Ok(()) };
        let write = Transaction::new().expect_equals(key.clone(), bytes.clone()).delete(key);
        // If it carried a credential, nobody is to get that any more.
        kept::remove(&*self.store, &kept_as(id)).await?;
        let mut entries = Vec::new();
        for place in PLACES {
            entries.extend(self.entries_of(Span::all(place), id).await?);
        }
        let write = uncount_state(write, &bytes);
        let write = match state_of(&bytes) {
            Some(state) if state != "revoked" => {
                counts_of(&entries).into_iter().fold(write, |write, key| write.add(key, -1))
            }
            Some(_) | None => write,
        };
        let write = entries.into_iter().fold(write, Transaction::delete);
        let aside = Namespace::LeaseDamaged.key(id.to_bytes());
        Ok(self.store.commit(write.put(aside, bytes)).await?)
    }

    /// Records that were set aside, the oldest first: at most `limit` of them, behind `after`.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn damaged(&self, after: After) -> Result<DamagedPage, LedgerError> {
        let mut span = Span::all(Namespace::LeaseDamaged);
        if let Some(lease) = after.lease {
            span = span.after(&Namespace::LeaseDamaged.key(lease.to_bytes()));
        }
        let page = self.store.scan(span, after.limit.clamp(1, PAGE)).await?;
        let shown = |(key, bytes): &(Key, Vec<u8>)| {
            let id = index::lease_of(key.tail())?;
            Some(Damaged { id, state: state_of(bytes), bytes: bytes.len() })
        };
        let leases: Vec<_> = page.entries.iter().filter_map(shown).collect();
        let next = leases.last().map(|lease| lease.id).filter(|_| page.next.is_some());
        Ok(DamagedPage { leases, next })
    }

    /// The entries of a lease in a part of an index, without its record.
    pub(super) async fn entries_of(
        &self,
        span: Span,
        id: LeaseId,
    ) -> Result<Vec<Key>, LedgerError> {
        let mut found = Vec::new();
        let mut rest = Some(span);
        while let Some(span) = rest {
            let page = self.store.scan(span, PAGE).await?;
            let keys = page.entries.into_iter().map(|(key, _)| key);
            found.extend(keys.filter(|key| index::lease_of(key.tail()) == Some(id)));
            rest = page.next;
        }
        Ok(found)
    }
}

/// The state that the remains of a record speak of.
fn state_of(bytes: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(bytes);
    STATES.into_iter().find(|(_, sign)| text.contains(sign)).map(|(state, _)| state)
}

fn uncount_state(write: Transaction, bytes: &[u8]) -> Transaction {
    match state_of(bytes) {
        Some(state) => write.add(quota(&Quota::State(state)), -1),
        None => write,
    }
}

/// The counts that a live lease with these entries stands in.
fn counts_of(entries: &[Key]) -> Vec<Key> {
    let is_in = |place: Namespace| entries.iter().any(|entry| entry.namespace() == place);
    let of_gateway = index::issuer_prefix(&IssuerAlias::of_gateway());
    let (shares, mut counts) = (is_in(Namespace::LeaseCarrier), Vec::new());
    for entry in entries {
        let prefix = entry.tail().get(..entry.tail().len().saturating_sub(16)).unwrap_or_default();
        let of = |kind: &str| Namespace::LeaseQuota.key([kind.as_bytes(), &[0], prefix].concat());
        let place = entry.namespace();
        if place == Namespace::LeaseOwner && !prefix.starts_with(&of_gateway) {
            counts.push(of("principal"));
        }
        if place == Namespace::LeaseCarrier {
            counts.push(of("carrier"));
        }
        if place == Namespace::LeaseBackend && !shares {
            counts.extend(of_role(prefix));
        }
    }
    counts
}

/// The counts of the role and of the backend that an entry's prefix names.
fn of_role(prefix: &[u8]) -> Vec<Key> {
    let mut names =
        prefix.split(|byte| *byte == 0).filter_map(|name| std::str::from_utf8(name).ok());
    let backend = names.next().and_then(|name| BackendName::parse(name).ok());
    let role = names.next().and_then(|name| RoleName::parse(name).ok());
    let Some(backend) = backend else { return Vec::new() };
    let of_role = role.map(|role| quota(&Quota::Role(backend.clone(), role)));
    of_role.into_iter().chain([quota(&Quota::Backend(backend))]).collect()
}
