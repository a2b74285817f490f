//! Access tokens of our own that were withdrawn before their time (RFC 7009).
//!
//! What is withdrawn is a *family*: a token, and all that it was exchanged for or from. They live a
//! quarter of an hour at most, so the set is small, lies in memory whole, and is asked on every use.
//!
//! INVARIANT: a family is refused from before its withdrawal is durable until after its last token has
//! ended. In doubt about the store it stays refused until the next start.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use symbolon_core::clock::{Clock, Timestamp};
use symbolon_core::error::Kind;
use symbolon_core::token::LONGEST_ACCESS_TOKEN;

use crate::store::record::{Record, decode, encode};
use crate::store::{Key, Namespace, Span, Store, StoreError, Transaction, read_all};

/// Most families at a time. Their number is bounded by how often principals may ask.
const MOST: usize = 200_000;
/// How long one is kept: four times the longest life, so that a clock that steps back brings none to
/// life.
const KEPT: Duration = LONGEST_ACCESS_TOKEN.saturating_mul(4);

/// Why a token was not withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WithdrawnError {
    /// There is no room for another.
    #[error("too many access tokens were withdrawn")]
    Full,
    /// The store refuses, or leaves open whether it took it.
    #[error("the store did not take the withdrawal")]
    Store(#[from] StoreError),
}

impl WithdrawnError {
    /// What the caller is told: the token is to be taken for alive, and another try may help.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Full => Kind::Unavailable,
            Self::Store(cause) => cause.kind(),
        }
    }

    /// Whether it may be durable all the same.
    #[must_use]
    pub fn leaves_doubt(&self) -> bool {
        match self {
            Self::Full => false,
            Self::Store(cause) => cause.leaves_doubt(),
        }
    }

    /// The stable code in audit records.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Full => "withdrawn_full",
            Self::Store(cause) => cause.code(),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Until(Timestamp);

impl Record for Until {
    const VERSION: u8 = 1;
}

/// The families that were withdrawn.
#[derive(Debug)]
pub struct Withdrawn {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    families: ArcSwap<HashMap<[u8; 32], Timestamp>>,
    /// Changes come one at a time; requests never wait for them.
    changes: tokio::sync::Mutex<()>,
}

impl Withdrawn {
    /// Loads what is in the store.
    ///
    /// # Errors
    /// [`WithdrawnError::Store`] if it cannot be read.
    pub async fn open(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, WithdrawnError> {
        let mut families = HashMap::new();
        for (key, bytes) in read_all(&*store, Span::all(Namespace::Withdrawn)).await? {
            let Until(until) = decode(&bytes)?;
            if let Ok(family) = key.tail().try_into() {
                families.insert(family, until);
            }
        }
        let families = ArcSwap::from_pointee(families);
        Ok(Self { store, clock, families, changes: tokio::sync::Mutex::new(()) })
    }

    /// Whether the tokens of a family are refused.
    #[must_use]
    pub fn has(&self, family: &[u8; 32]) -> bool {
        self.families.load().contains_key(family)
    }

    /// Refuses a family from now on, durably, together with what is to be written `beside`. Not
    /// cancel-safe.
    ///
    /// # Errors
    /// [`WithdrawnError`]; after one of the store the family is refused until the next start at least.
    pub async fn withdraw_with(
        &self,
        family: [u8; 32],
        beside: Transaction,
    ) -> Result<(), WithdrawnError> {
        let _one_at_a_time = self.changes.lock().await;
        let mut families = HashMap::clone(&self.families.load());
        if families.len() >= MOST && !families.contains_key(&family) {
            return Err(WithdrawnError::Full);
        }
        let until = self.clock.now().plus(KEPT);
        families.insert(family, until);
        self.families.store(Arc::new(families));
        let write = beside.put(key(&family), encode(&Until(until))?);
        Ok(self.store.commit(write).await?)
    }

    /// Forgets those whose last token has ended long ago. Called from time to time.
    ///
    /// # Errors
    /// [`WithdrawnError::Store`]; what was not deleted is at the next time.
    pub async fn sweep(&self) -> Result<(), WithdrawnError> {
        let _one_at_a_time = self.changes.lock().await;
        let now = self.clock.now();
        let families = self.families.load_full();
        let over: Vec<_> = families
            .iter()
            .filter(|(_, until)| **until <= now)
            .map(|(family, _)| *family)
            .collect();
        if over.is_empty() {
            return Ok(());
        }
        let write = over.iter().fold(Transaction::new(), |write, family| write.delete(key(family)));
        self.store.commit(write).await?;
        let mut left = HashMap::clone(&families);
        left.retain(|family, _| !over.contains(family));
        self.families.store(Arc::new(left));
        Ok(())
    }
}

fn key(family: &[u8; 32]) -> Key {
    Namespace::Withdrawn.key(*family)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::Memory;
    use symbolon_core::clock::ManualClock;

    #[tokio::test]
    async fn what_was_withdrawn_stays_so_over_a_restart_until_it_has_ended() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_793_520_000)));
        let store: Arc<dyn Store> = Memory::over(&Arc::default());
        let withdrawn = Withdrawn::open(store.clone(), clock.clone()).await.unwrap();
        withdrawn.withdraw_with([1; 32], Transaction::new()).await.unwrap();
        assert!(withdrawn.has(&[1; 32]) && !withdrawn.has(&[2; 32]));
        let again = Withdrawn::open(store.clone(), clock.clone()).await.unwrap();
        clock.advance(LONGEST_ACCESS_TOKEN);
        again.sweep().await.unwrap();
        assert!(again.has(&[1; 32]));
        clock.advance(KEPT);
        again.sweep().await.unwrap();
        assert!(!again.has(&[1; 32]));
        let last = Withdrawn::open(store, clock).await.unwrap();
        assert!(!last.has(&[1; 32]));
    }
}
