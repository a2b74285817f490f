//! Records that cannot be read: named, set aside under their name, and out of the way of the rest.
//!
//! What the index still says about such a lease goes with it, so that nothing points to what is not
//! there, and its quota is free again. Only where not even the state can be made out of what is left
//! do the counts stay as they are: a count that is one too high lets one less begin, one that is too
//! low would let one more.

use symbolon_core::id::{BackendName, LeaseId, RoleName};
use symbolon_core::lease::index::{self, Quota};

use super::write::{quota, state};
use super::{Ledger, LedgerError};
use crate::store::{Key, Namespace, Span, Transaction};

/// Entries that are read at once.
const PAGE: usize = 1000;

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
        let mut write = uncount_state(write, &bytes);
        let counts = state_of(&bytes).is_some_and(|state| state != "revoked");
        for place in [
            Namespace::LeaseDue,
            Namespace::LeaseOwner,
            Namespace::LeaseBackend,
            Namespace::LeaseToken,
        ] {
            for entry in self.entries_of(Span::all(place), id).await? {
                if counts {
                    write = counts_of(&entry).into_iter().fold(write, |w, key| w.add(key, -1));
                }
                write = write.delete(entry);
            }
        }
        let aside = Namespace::LeaseDamaged.key(id.to_bytes());
        Ok(self.store.commit(write.put(aside, bytes)).await?)
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

/// The counts that a live lease with this entry stands in.
fn counts_of(entry: &Key) -> Vec<Key> {
    let prefix = entry.tail().get(..entry.tail().len().saturating_sub(16)).unwrap_or_default();
    if entry.namespace() == Namespace::LeaseOwner {
        return vec![Namespace::LeaseQuota.key([b"principal\0", prefix].concat())];
    }
    if entry.namespace() != Namespace::LeaseBackend {
        return Vec::new();
    }
    let mut names =
        prefix.split(|byte| *byte == 0).filter_map(|name| std::str::from_utf8(name).ok());
    let backend = names.next().and_then(|name| BackendName::parse(name).ok());
    let role = names.next().and_then(|name| RoleName::parse(name).ok());
    let Some(backend) = backend else { return Vec::new() };
    let of_role = role.map(|role| quota(&Quota::Role(backend.clone(), role)));
    of_role.into_iter().chain([quota(&Quota::Backend(backend))]).collect()
}
