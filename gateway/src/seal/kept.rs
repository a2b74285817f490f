//! Secrets that have to be kept, in a tree apart from the ledger.
//!
//! Only where a feature cannot do without: the login of a database that nobody else knows, a
//! credential that several callers share. Each lies under a name that says whose it is, wrapped under
//! the seal for this purpose and this name, and its owner removes it.
//!
//! INVARIANT: a kept secret is written before what needs it is, and removed before its owner's record
//! says that it is over. No transaction spans the two trees (see `store::transaction`), so the order
//! is what a crash finds: a record of something that may be there, never something without a record.

use std::fmt;
use std::sync::Arc;

use symbolon_core::error::Kind;
use symbolon_core::secret::Secret;

use super::{Purpose, Seal, SealError};
use crate::store::{Key, Namespace, Span, Store, StoreError, Transaction, read_all};

/// The sealed tree.
#[derive(Clone)]
pub struct KeptSecrets {
    store: Arc<dyn Store>,
    seal: Arc<Seal>,
}

/// Why a secret is not kept, or not opened.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// The store does not answer, or the secret is too large for it.
    #[error("the sealed tree cannot be read or written")]
    Store(#[from] StoreError),
    /// The seal does not wrap it, or does not open it.
    #[error("the seal does not take the kept secret")]
    Seal(#[from] SealError),
}

impl KeptError {
    /// What the caller is told.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Store(cause) => cause.kind(),
            Self::Seal(cause) => cause.kind(),
        }
    }

    /// The stable code in audit records.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Store(cause) => cause.code(),
            Self::Seal(cause) => cause.code(),
        }
    }
}

impl KeptSecrets {
    /// What is kept in `store`, under `seal`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, seal: Arc<Seal>) -> Self {
        Self { store, seal }
    }

    /// Keeps `secret` under `name`, in the place of what was there. Durable when this returns.
    ///
    /// # Errors
    /// [`KeptError`]; of a failed write nobody knows whether it was done.
    pub async fn keep(&self, name: &str, secret: &Secret) -> Result<(), KeptError> {
        let wrapped = self.seal.wrap(Purpose::KeptSecret, name.as_bytes(), secret)?;
        Ok(self.store.commit(Transaction::new().put(key(name), wrapped)).await?)
    }

    /// The secret under `name`, if there is one.
    ///
    /// # Errors
    /// [`KeptError`].
    pub async fn open(&self, name: &str) -> Result<Option<Secret>, KeptError> {
        let Some(wrapped) = self.store.get(&key(name)).await? else { return Ok(None) };
        Ok(Some(self.seal.unwrap(Purpose::KeptSecret, name.as_bytes(), &wrapped)?))
    }

    /// Every secret whose name begins with `prefix`, or why it does not open. What lies under a former
    /// key of the seal is wrapped again.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read or written.
    pub async fn open_all(
        &self,
        prefix: &str,
    ) -> Result<Vec<(String, Result<Secret, SealError>)>, StoreError> {
        let mut found = Vec::new();
        for (key, wrapped) in
            read_all(&*self.store, Span::with_prefix(Namespace::Sealed, prefix)).await?
        {
            let Ok(name) = std::str::from_utf8(key.tail()) else { continue };
            let secret = self.seal.unwrap(Purpose::KeptSecret, key.tail(), &wrapped);
            if secret.is_ok() {
                self.rewrap(&key, &wrapped).await?;
            }
            found.push((name.to_owned(), secret));
        }
        Ok(found)
    }

    /// Removes what is kept under `name`, if anything is. Durable when this returns.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove(&self, name: &str) -> Result<(), StoreError> {
        remove(&*self.store, name).await.map(drop)
    }

    async fn rewrap(&self, key: &Key, wrapped: &[u8]) -> Result<(), StoreError> {
        let again = self.seal.rewrap(Purpose::KeptSecret, key.tail(), wrapped);
        let Ok(Some(again)) = again else { return Ok(()) };
        let write = Transaction::new().expect_equals(key.clone(), wrapped.to_vec());
        self.store.commit(write.put(key.clone(), again)).await
    }
}

/// Removes what is kept under `name`; says whether anything was. It takes no seal to do so, and no
/// write if there is nothing.
///
/// # Errors
/// [`StoreError`].
pub async fn remove(store: &dyn Store, name: &str) -> Result<bool, StoreError> {
    let key = key(name);
    if store.get(&key).await?.is_none() {
        return Ok(false);
    }
    store.commit(Transaction::new().delete(key)).await?;
    Ok(true)
}

fn key(name: &str) -> Key {
    Namespace::Sealed.key(name)
}

impl fmt::Debug for KeptSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptSecrets").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::Source;
    use crate::store::memory::{Disk, Memory};

    async fn scene() -> (KeptSecrets, Arc<Memory>, tempfile::TempDir) {
        let directory = tempfile::TempDir::new().unwrap();
        let memory = Memory::over(&Arc::<Disk>::default());
        let source = Source::File(directory.path().join("seal"));
        let seal = Seal::open_or_create(&source, &*memory).await.unwrap();
        let store: Arc<dyn Store> = memory.clone();
        (KeptSecrets::new(store, Arc::new(seal)), memory, directory)
    }

    #[tokio::test]
    async fn what_is_kept_is_sealed_bound_to_its_name_and_removed() {
        let (kept, memory, _directory) = scene().await;
        kept.keep("shared/a", &Secret::from("hunter2".to_owned())).await.unwrap();
        let bytes = memory.get(&key("shared/a")).await.unwrap().unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"hunter2"));
        assert_eq!(kept.open("shared/a").await.unwrap().unwrap().expose(), b"hunter2");
        memory.damage(&key("shared/b"), Some(bytes));
        assert!(matches!(kept.open("shared/b").await, Err(KeptError::Seal(SealError::Refused))));
        let all = kept.open_all("shared/").await.unwrap();
        let opens: Vec<_> =
            all.iter().map(|(name, opened)| (name.as_str(), opened.is_ok())).collect();
        assert_eq!(opens, [("shared/a", true), ("shared/b", false)]);
        kept.remove("shared/a").await.unwrap();
        assert!(kept.open("shared/a").await.unwrap().is_none());
        let commits = memory.commits();
        assert!(!remove(&*memory, "shared/a").await.unwrap());
        assert_eq!(memory.commits(), commits, "nothing to remove, nothing written");
    }
}
