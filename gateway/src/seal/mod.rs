//! The seal: the one key under which everything secret at rest lies.
//!
//! It is a file that only the gateway's user can read, or a credential that systemd hands over (which
//! can bind it to the machine's TPM). Both hold one key a line, the current one first; older ones
//! only open what has not been wrapped again yet.
//!
//! INVARIANT: a wrapped secret opens only for the purpose and the id it was wrapped for. Both are
//! associated data, so that whoever can write the store cannot put one secret in another's place.
//!
//! INVARIANT: a new seal is made only for a store that has none on record. A gateway whose store
//! names a seal that is not there does not start: with a new one it would seem to work, with every
//! key of its own lost.
//!
//! **Loss.** Without the seal, nothing wrapped under it can be opened by anyone. Signing keys can be
//! made anew (clouds then have to fetch the new key set, and audit hashes of before cannot be
//! searched); revocation handles and kept secrets are lost. Back it up apart from the store: who has
//! both has everything. See `gateway/docs/operations.md#the-seal`.
//!
//! Each secret is encrypted with AES-256-GCM under a key of its own, derived from the seal's key and
//! a random salt, so that the number of secrets is not bounded by the random nonces of one key.

mod blob;
mod file;
pub mod kept;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use symbolon_core::error::Kind;
use symbolon_core::secret::Secret;

use crate::store::{Namespace, Store, StoreError, Transaction};

use blob::KeyId;
pub use kept::{KeptError, KeptSecrets};

/// Where the seal comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file of our own; made at the first start.
    File(PathBuf),
    /// A systemd credential, read only: `LoadCredentialEncrypted=` makes it, we never do.
    Credential(PathBuf),
}

impl Source {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Credential(path) => path,
        }
    }
}

/// What a wrapped secret is for. Part of what is authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A private signing key of ours.
    SigningKey,
    /// A symmetric key of ours.
    MacKey,
    /// What a plugin needs to revoke.
    RevocationHandle,
    /// A secret kept in the sealed tree.
    KeptSecret,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::SigningKey => "signing-key",
            Self::MacKey => "mac-key",
            Self::RevocationHandle => "revocation-handle",
            Self::KeptSecret => "kept-secret",
        }
    }
}

/// Why there is no seal, or it does not open something.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The store was sealed before, and the seal is not where it should be.
    #[error(
        "the seal `{}` is missing and the store needs it: restore it from its backup (see operations.md, \"The seal\")",
        path.display()
    )]
    Lost {
        /// Where it should be.
        path: PathBuf,
    },
    /// There is a seal, but not the one that the store was sealed with.
    #[error(
        "the seal `{}` is not the one that this store was sealed with: restore the right one, or name the right store",
        path.display()
    )]
    Foreign {
        /// Where it is.
        path: PathBuf,
    },
    /// Others could read it, or it is not ours.
    #[error("the seal `{}` {fault}: {fix}", path.display())]
    Exposed {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        fault: &'static str,
        /// The command that mends it.
        fix: String,
    },
    /// It does not hold what a seal holds.
    #[error("line {line} of the seal `{}` is not a key: expected 32 bytes in base64url", path.display())]
    Malformed {
        /// Where it is.
        path: PathBuf,
        /// Counted from one.
        line: usize,
    },
    /// A seal without a single key.
    #[error("the seal `{}` holds no key", path.display())]
    Empty {
        /// Where it is.
        path: PathBuf,
    },
    /// A systemd credential cannot be changed from within.
    #[error(
        "the seal `{}` is a systemd credential: put the new key before the old ones with systemd-creds and restart",
        path.display()
    )]
    ReadOnly {
        /// Where it is.
        path: PathBuf,
    },
    /// The file system refuses.
    #[error("cannot {doing} the seal `{}`", path.display())]
    Io {
        /// Where it is.
        path: PathBuf,
        /// `read` or `write`.
        doing: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// A wrapped secret under a key that this seal does not hold.
    #[error("wrapped under the seal key {0}, which is not in the seal")]
    UnknownKey(String),
    /// A wrapped secret that was changed, moved, or is none.
    #[error("not a wrapped secret for this purpose and id, or damaged")]
    Refused,
    /// The cryptographic library failed.
    #[error("the cryptographic library failed")]
    Crypto,
    /// The store does not answer.
    #[error("the store does not take the mark of the seal")]
    Store(#[from] StoreError),
}

impl SealError {
    /// What the caller of the gateway is told. Most happen at the start only, to an operator.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Store(cause) => cause.kind(),
            Self::Lost { .. }
            | Self::Foreign { .. }
            | Self::Exposed { .. }
            | Self::Malformed { .. }
            | Self::Empty { .. }
            | Self::ReadOnly { .. }
            | Self::Io { .. }
            | Self::UnknownKey(_)
            | Self::Refused
            | Self::Crypto => Kind::Internal,
        }
    }

    /// The stable code in audit records.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Lost { .. } => "seal_lost",
            Self::Foreign { .. } => "seal_foreign",
            Self::Exposed { .. } => "seal_exposed",
            Self::Malformed { .. } => "seal_malformed",
            Self::Empty { .. } => "seal_empty",
            Self::ReadOnly { .. } => "seal_read_only",
            Self::Io { .. } => "seal_io",
            Self::UnknownKey(_) => "seal_unknown_key",
            Self::Refused => "seal_refused",
            Self::Crypto => "seal_crypto",
            Self::Store(cause) => cause.code(),
        }
    }
}

/// The keys, the current one first. Never empty.
#[derive(Debug)]
pub struct Seal {
    current: blob::SealKey,
    former: Vec<blob::SealKey>,
}

impl Seal {
    /// Opens the seal of `store`, or makes it if the store has never had one. Reads files: part of the
    /// start, not of a request.
    ///
    /// # Errors
    /// [`SealError`] names the file, what is wrong with it and what to do.
    pub async fn open_or_create(source: &Source, store: &dyn Store) -> Result<Self, SealError> {
        let mark = store.get(&mark()).await?;
        let seal = match (file::read(source)?, &mark) {
            (Some(seal), _) => seal,
            (None, Some(_)) => return Err(SealError::Lost { path: source.path().into() }),
            (None, None) => file::create(source)?,
        };
        match mark {
            Some(id) if seal.key(&id).is_none() => {
                Err(SealError::Foreign { path: source.path().into() })
            }
            Some(_) => Ok(seal),
            None => {
                let first = Transaction::new().expect_absent(self::mark());
                store.commit(first.put(self::mark(), seal.current.id().to_vec())).await?;
                Ok(seal)
            }
        }
    }

    /// Records that nothing in `store` needs the former keys any more. Called when everything has
    /// been wrapped again; after it the former keys may be taken out of the seal.
    ///
    /// # Errors
    /// [`SealError::Store`] if the store does not take it.
    pub async fn retire_former(&self, store: &dyn Store) -> Result<(), SealError> {
        let write = Transaction::new().put(mark(), self.current.id().to_vec());
        Ok(store.commit(write).await?)
    }

    /// Puts a new key before the others in the file and returns the seal with it. What is wrapped
    /// stays readable; its owners wrap it again (see [`Seal::rewrap`]).
    ///
    /// # Errors
    /// [`SealError`] if the file cannot be replaced, or is not ours to change.
    pub fn rotate(source: &Source) -> Result<Self, SealError> {
        file::rotate(source)
    }

    /// The text of a new seal with one key: what `systemd-creds encrypt` is fed.
    ///
    /// # Errors
    /// [`SealError::Crypto`] if there is no randomness.
    pub fn generate() -> Result<Secret, SealError> {
        file::render(&[blob::SealKey::generate()?])
    }

    /// Encrypts `secret` for one purpose and id.
    ///
    /// # Errors
    /// [`SealError::Crypto`] if there is no randomness.
    pub fn wrap(&self, purpose: Purpose, id: &[u8], secret: &Secret) -> Result<Vec<u8>, SealError> {
        self.current.wrap(purpose.as_str(), id, secret)
    }

    /// Decrypts what was wrapped for this purpose and id.
    ///
    /// # Errors
    /// [`SealError::UnknownKey`] if the seal lacks the key, [`SealError::Refused`] for anything else.
    pub fn unwrap(&self, purpose: Purpose, id: &[u8], wrapped: &[u8]) -> Result<Secret, SealError> {
        let key_id = blob::key_id(wrapped).ok_or(SealError::Refused)?;
        let key = self.key(key_id);
        let key = key.ok_or_else(|| SealError::UnknownKey(hex::encode(key_id)))?;
        key.unwrap(purpose.as_str(), id, wrapped)
    }

    /// Wraps again under the current key; `None` if it is already.
    ///
    /// # Errors
    /// As [`Seal::unwrap`].
    pub fn rewrap(
        &self,
        purpose: Purpose,
        id: &[u8],
        wrapped: &[u8],
    ) -> Result<Option<Vec<u8>>, SealError> {
        if blob::key_id(wrapped) == Some(self.current.id()) {
            return Ok(None);
        }
        let secret = self.unwrap(purpose, id, wrapped)?;
        self.wrap(purpose, id, &secret).map(Some)
    }

    fn key(&self, id: &[u8]) -> Option<&blob::SealKey> {
        let mut keys = std::iter::once(&self.current).chain(&self.former);
        keys.find(|key| key.id() == id)
    }
}

/// Under which key of the seal the store's own secrets lie.
fn mark() -> crate::store::Key {
    Namespace::Meta.key("seal")
}

/// Length of a key id, for readers of the format.
const KEY_ID_BYTES: usize = std::mem::size_of::<KeyId>();
