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
}

impl Expectation {
    pub(super) fn holds(&self, found: Option<&[u8]>) -> bool {
        match self {
            Self::Absent => found.is_none(),
            Self::Present => found.is_some(),
            Self::Equals(value) => found == Some(value.as_slice()),
        }
    }
}

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Sets the value.
    Put(Vec<u8>),
    /// Removes it; removing what is not there is no error.
    Delete,
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
        Write::Delete => false,
    }
}
