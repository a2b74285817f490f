//! What can go wrong with our own keys.

use symbolon_core::error;

use super::Kind;
use crate::seal::SealError;
use crate::store::StoreError;

/// Why a key is not there.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// A wrapped key does not open.
    #[error("a key of the keyring cannot be wrapped or opened")]
    Seal(#[from] SealError),
    /// The store refuses.
    #[error("the keyring's store failed")]
    Store(#[from] StoreError),
    /// Key material that is none.
    #[error("the {} key `{id}` is damaged", kind.as_str())]
    Damaged {
        /// Which kind.
        kind: Kind,
        /// Which key.
        id: String,
    },
    /// The cryptographic library could not make a key.
    #[error("no {} key could be made", .0.as_str())]
    Generate(Kind),
    /// The store holds none or several active keys of a kind: it was changed from outside.
    #[error("there is not exactly one active {} key", .0.as_str())]
    NotOneActive(Kind),
    /// The rotation does not come to rest.
    #[error("the rotation of keys does not settle")]
    Unsettled,
}

impl KeyringError {
    /// What the caller of the gateway is told.
    #[must_use]
    pub const fn kind(&self) -> error::Kind {
        match self {
            Self::Seal(cause) => cause.kind(),
            Self::Store(cause) => cause.kind(),
            Self::Damaged { .. } | Self::Generate(_) | Self::NotOneActive(_) | Self::Unsettled => {
                error::Kind::Internal
            }
        }
    }

    /// The stable code in audit records.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Seal(cause) => cause.code(),
            Self::Store(cause) => cause.code(),
            Self::Damaged { .. } => "keyring_damaged",
            Self::Generate(_) => "keyring_generate",
            Self::NotOneActive(_) => "keyring_not_one_active",
            Self::Unsettled => "keyring_unsettled",
        }
    }
}
