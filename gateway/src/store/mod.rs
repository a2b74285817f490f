//! Where the gateway keeps what must survive it.
//!
//! Everything above speaks to the [`Store`] trait: bytes under keys, read one by one or in order,
//! written in [`Transaction`]s that state what they expect. Two engines fit behind it: sled, embedded
//! ([`SledStore`]), and later a PostgreSQL-wire database, where a transaction is one
//! `BEGIN … COMMIT` and an expectation is a row that must (not) be there.
//!
//! INVARIANT: when [`Store::commit`] answers `Ok`, every write of the transaction is on the device
//! (`gateway/docs/adr/0002-sled.md` says why that took work), and all of its expectations held at
//! one moment together with all of its writes. When it answers [`StoreError::Conflict`] nothing was
//! written. When it answers anything else, the outcome is unknown and must be treated as the worse
//! of the two; a store that once failed to flush refuses everything until it is opened again.
//!
//! INVARIANT: a read may see a commit shortly before it is durable. Whoever must act on a state that
//! cannot be lost states it as an expectation of a commit.
//!
//! The store knows nothing of what the bytes mean. Where each kind of record lives is written down
//! in [`key`], how records become bytes in [`record`]. Secrets do not enter it unsealed.

mod counters;
mod embedded;
mod error;
mod flusher;
mod format;
pub mod key;
#[cfg(test)]
pub(crate) mod memory;
pub mod record;
mod transaction;

#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

pub use counters::Reading;
pub use embedded::{Options, SledStore};
pub use error::{OpenError, StoreError};
pub use key::{Key, Namespace, Span};
pub use transaction::{Expectation, Transaction, Write, count_of};

/// A boxed future, so that the trait can stand behind `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Longest tail of a key, in bytes. What may be longer (a subject) is stored under its digest.
pub const MAX_KEY_BYTES: usize = 512;
/// Longest value, in bytes. sled would put larger ones into files that it never flushes (see the
/// ADR); what is larger is split by its owner.
pub const MAX_VALUE_BYTES: usize = 24 * 1024;
/// Most expectations and writes in one transaction.
pub const MAX_OPERATIONS: usize = 4096;

/// Ordered, transactional, durable storage of bytes.
pub trait Store: Send + Sync + fmt::Debug {
    /// The value under `key`. Cancel-safe.
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>>;

    /// The values under `keys`, in the order of `keys`. Cancel-safe. They need not be of one moment.
    fn get_many(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Vec<u8>>>, StoreError>> {
        Box::pin(async move {
            let mut found = Vec::with_capacity(keys.len());
            for key in &keys {
                found.push(self.get(key).await?);
            }
            Ok(found)
        })
    }

    /// Up to `limit` entries of `span`, in the order of their keys. Cancel-safe.
    fn scan(&self, span: Span, limit: usize) -> BoxFuture<'_, Result<Page, StoreError>>;

    /// Checks the expectations and makes the writes durable, as one step.
    ///
    /// Not cancel-safe: if the future is dropped the transaction may still take effect.
    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// Part of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Entries in the order of their keys.
    pub entries: Vec<(Key, Vec<u8>)>,
    /// Where to go on; `None` at the end.
    pub next: Option<Span>,
}

/// Reads every entry of `span`, in pages. For what is small by nature (keys, locks), not for leases.
///
/// # Errors
/// [`StoreError`] of the first page that cannot be read.
pub async fn read_all(store: &dyn Store, span: Span) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
    const PAGE: usize = 500;
    let mut found = Vec::new();
    let mut rest = Some(span);
    while let Some(span) = rest {
        let page = store.scan(span, PAGE).await?;
        found.extend(page.entries);
        rest = page.next;
    }
    Ok(found)
}
