//! Why the ledger does not do what it was asked to.

use symbolon_core::error::Kind;
use symbolon_core::id::LeaseId;
use symbolon_core::lease::Illegal;

use crate::seal::{KeptError, SealError};
use crate::store::StoreError;

/// A refusal of the ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The store refuses, or leaves open whether it took the change.
    #[error("the store did not take the change")]
    Store(#[from] StoreError),
    /// As many leases as there may be.
    #[error("the {0} has as many leases as it may have")]
    Quota(&'static str),
    /// The times, or the backend, do not allow it.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// There is no such lease, or it is somebody else's.
    #[error("there is no such lease")]
    Unknown,
    /// It is not active, or an order to end it is under way.
    #[error("the lease is ending or over")]
    Ending,
    /// It carries a credential that is not offered to newcomers any more, and is not renewed.
    #[error("the shared credential is closed")]
    Closed,
    /// Others changed it each time before we could.
    #[error("the lease changes too quickly")]
    Contended,
    /// Its record cannot be read.
    #[error("the record of lease {0} is damaged")]
    Damaged(LeaseId),
    /// Nothing is issued until an operator has confirmed that this store is the living one.
    #[error("the ledger is held until an operator confirms it: {0}")]
    Held(super::Reason),
    /// What a plugin needs for the revocation, or a kept secret, cannot be wrapped or unwrapped.
    #[error("the seal does not take the revocation handle or the kept secret")]
    Seal(#[from] SealError),
    /// The permit is not for something that has a lease.
    #[error("the permit is for nothing that has a lease")]
    NotLeasable,
}

impl From<KeptError> for LedgerError {
    fn from(error: KeptError) -> Self {
        match error {
            KeptError::Store(cause) => Self::Store(cause),
            KeptError::Seal(cause) => Self::Seal(cause),
        }
    }
}

impl LedgerError {
    /// What the caller is told.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Store(cause) => cause.kind(),
            Self::Quota(_) => Kind::Exhausted,
            Self::Illegal(illegal) => illegal.kind(),
            Self::Unknown => Kind::Absent,
            Self::Ending | Self::Closed | Self::Contended => Kind::Conflict,
            Self::Held(_) => Kind::Unavailable,
            Self::Damaged(_) | Self::NotLeasable => Kind::Internal,
            Self::Seal(cause) => cause.kind(),
        }
    }

    /// The stable code in audit records.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Store(cause) => cause.code(),
            Self::Quota(_) => "lease_quota",
            Self::Illegal(illegal) => illegal.code(),
            Self::Unknown => "lease_unknown",
            Self::Ending => "lease_ending",
            Self::Closed => "lease_closed",
            Self::Contended => "lease_contended",
            Self::Damaged(_) => "lease_damaged",
            Self::Held(_) => "ledger_held",
            Self::Seal(cause) => cause.code(),
            Self::NotLeasable => "not_leasable",
        }
    }
}
