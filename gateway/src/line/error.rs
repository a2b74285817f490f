//! Why a principal does not get what it asks for: what each face tells, and what is on record.

use symbolon_core::barrier::Barred;
use symbolon_core::error::{Kind, OauthError};
use symbolon_core::policy::Denial;
use symbolon_host::CallError;

use super::dispatch::Undelivered;
use crate::barriers::WithdrawnError;
use crate::lease::LedgerError;

/// Why a principal does not get what it asks for.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// A lock or an epoch stands against the principal.
    #[error("barred")]
    Barred(#[from] Barred),
    /// The policies say no.
    #[error("denied")]
    Denied(#[from] Denial),
    /// The answers of this batch are as large together as they may be.
    #[error("no room left in the batch")]
    NoRoom,
    /// It was permitted and could not be had.
    #[error("not delivered")]
    Undelivered(#[from] Undelivered),
    /// The ledger does not do it.
    #[error("the ledger refuses")]
    Lease(#[from] LedgerError),
    /// The token could not be withdrawn.
    #[error("the token could not be withdrawn")]
    Withdrawal(#[from] WithdrawnError),
}

impl LineError {
    /// What the caller is told.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Barred(barred) => barred.kind(),
            Self::Denied(denial) => denial.kind(),
            Self::NoRoom => Kind::Exhausted,
            Self::Undelivered(error) => error.kind(),
            Self::Lease(error) => error.kind(),
            Self::Withdrawal(error) => error.kind(),
        }
    }

    /// Whether it was permitted here, and is denied to this caller by what it was asked of.
    pub(super) fn is_denial_elsewhere(&self) -> bool {
        match self {
            Self::Undelivered(
                Undelivered::Scope
                | Undelivered::Outlasts
                | Undelivered::Caller(_)
                | Undelivered::Call(
                    CallError::NoCaller { .. }
                    | CallError::CallerRefused { .. }
                    | CallError::CallerForbidden(_),
                ),
            ) => true,
            Self::Barred(_)
            | Self::Denied(_)
            | Self::NoRoom
            | Self::Undelivered(_)
            | Self::Lease(_)
            | Self::Withdrawal(_) => false,
        }
    }

    /// The audit code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Barred(barred) => barred.code(),
            Self::Denied(denial) => denial.code(),
            Self::NoRoom => "batch_bytes",
            Self::Undelivered(error) => error.code(),
            Self::Lease(error) => error.code(),
            Self::Withdrawal(error) => error.code(),
        }
    }

    /// What the plugin's requests to its upstream last failed at, by the host's own client.
    pub(super) fn egress(&self) -> Option<&'static str> {
        match self {
            Self::Undelivered(Undelivered::Call(error)) => error.egress(),
            Self::Barred(_)
            | Self::Denied(_)
            | Self::NoRoom
            | Self::Undelivered(_)
            | Self::Lease(_)
            | Self::Withdrawal(_) => None,
        }
    }

    /// What the OAuth face tells of it.
    pub(super) fn oauth(&self) -> OauthError {
        match self {
            Self::Undelivered(error) => error.oauth(),
            Self::Barred(_)
            | Self::Denied(_)
            | Self::NoRoom
            | Self::Lease(_)
            | Self::Withdrawal(_) => OauthError::Of(self.kind()),
        }
    }
}
