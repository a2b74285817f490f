//! What is asked of the store in one step: expectations that must hold, then writes.
//!
//! This is compare-and-set over several keys. It needs no transaction left open across a network,
//! no lock that a crashed node keeps, and it maps to one statement each in SQL.

use super::key::{Key, Tree};
use super::{MAX_KEY_BYTES, MAX_OPERATIONS, MAX_VALUE_BYTES, StoreError};

/// What must hold for the transaction to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// There is nothing under the key.
    Absent,
    /// There is something under the key.
    Present,
    /// Exactly this is under the key.
    Equals(Vec<u8>),
    /// The count under the key is below this. Nothing there counts as zero.
    Below(u64),
    /// The count under the key is this or more.
    AtLeast(u64),
}

impl Expectation {
    pub(super) fn holds(&self, found: Option<&[u8]>) -> bool {
        match self {
            Self::Absent => found.is_none(),
            Self::Present => found.is_some(),
            Self::Equals(value) => found == Some(value.as_slice()),
            // What is no count is not below anything.
            Self::Below(limit) => count_of(found).is_some_and(|count| count < *limit),
            Self::AtLeast(least) => count_of(found).is_some_and(|count| count >= *least),
        }
    }
}

/// The count in a value: eight bytes, big-endian; zero if there is none.
#[must_use]
pub fn count_of(found: Option<&[u8]>) -> Option<u64> {
    match found {
        None => Some(0),
        Some(bytes) => bytes.try_into().ok().map(u64::from_be_bytes),
    }
}

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Sets the value.
    Put(Vec<u8>),
    /// Removes it; removing what is not there is no error.
    Delete,
    /// Adds to the count under the key. Transactions that add to one count do not conflict, as those
    /// would that read and replace it.
    Add(i64),
}

impl Write {
    /// The write that this one comes to where `found` is under the key: a count that reaches zero is
    /// removed, one that is damaged stays as it is (nothing is below it, so that nothing is added).
    pub(super) fn over(self, found: Option<&[u8]>) -> Self {
        let Self::Add(by) = self else { return self };
        match count_of(found).map(|count| count.saturating_add_signed(by)) {
            Some(0) => Self::Delete,
            Some(count) => Self::Put(count.to_be_bytes().to_vec()),
            None => found.map_or(Self::Delete, |bytes| Self::Put(bytes.to_vec())),
        }
    }
}

/// Expectations and writes. The later of two writes to one key wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a transaction does nothing before it is committed"]
pub struct Transaction {
    pub(super) expectations: Vec<(Key, Expectation)>,
    pub(super) writes: Vec<(Key, Write)>,
}

impl Transaction {
    /// Expects and writes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an expectation.
    pub fn expect(mut self, key: Key, expectation: Expectation) -> Self {
        self.expectations.push((key, expectation));
        self
    }

    /// Expects that nothing is under `key`.
    pub fn expect_absent(self, key: Key) -> Self {
        self.expect(key, Expectation::Absent)
    }

    /// Expects that something is under `key`.
    pub fn expect_present(self, key: Key) -> Self {
        self.expect(key, Expectation::Present)
    }

    /// Expects that `value` is under `key`.
    pub fn expect_equals(self, key: Key, value: Vec<u8>) -> Self {
        self.expect(key, Expectation::Equals(value))
    }

    /// Expects that `key` is as a former read found it.
    pub fn expect_unchanged(self, key: Key, found: Option<Vec<u8>>) -> Self {
        self.expect(key, found.map_or(Expectation::Absent, Expectation::Equals))
    }

    /// Expects that the count under `key` is below `limit`.
    pub fn expect_below(self, key: Key, limit: u64) -> Self {
        self.expect(key, Expectation::Below(limit))
    }

    /// Expects that the count under `key` is `least` or more.
    pub fn expect_at_least(self, key: Key, least: u64) -> Self {
        self.expect(key, Expectation::AtLeast(least))
    }

    /// Adds `by` to the count under `key`.
    pub fn add(mut self, key: Key, by: i64) -> Self {
        self.writes.push((key, Write::Add(by)));
        self
    }

    /// What `other` expects and writes, too.
    pub fn and(mut self, other: Self) -> Self {
        self.expectations.extend(other.expectations);
        self.writes.extend(other.writes);
        self
    }

    /// Sets `key` to `value`.
    pub fn put(mut self, key: Key, value: Vec<u8>) -> Self {
        self.writes.push((key, Write::Put(value)));
        self
    }

    /// Removes `key`.
    pub fn delete(mut self, key: Key) -> Self {
        self.writes.push((key, Write::Delete));
        self
    }

    /// Refuses what no engine should be asked: too much, or two trees at once (sled's transactions
    /// over several trees are not what its crash tests cover, and neither do ours).
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.expectations.len().saturating_add(self.writes.len()) > MAX_OPERATIONS {
            return Err(StoreError::TooLarge("transaction"));
        }
        if self.keys().any(|key| key.tail().len() > MAX_KEY_BYTES) {
            return Err(StoreError::TooLarge("key"));
        }
        if self.writes.iter().any(|(_, write)| too_long(write)) {
            return Err(StoreError::TooLarge("value"));
        }
        let sealed = self.keys().filter(|key| key.namespace().tree() == Tree::Sealed).count();
        if sealed > 0 && sealed < self.keys().count() { Err(StoreError::TwoTrees) } else { Ok(()) }
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        let expected = self.expectations.iter().map(|(key, _)| key);
        expected.chain(self.writes.iter().map(|(key, _)| key))
    }
}

fn too_long(write: &Write) -> bool {
    match write {
        Write::Put(value) => value.len() > MAX_VALUE_BYTES,
        Write::Delete | Write::Add(_) => false,
    }
}
