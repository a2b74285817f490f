//! What the states are made of: what is fixed at the reservation, what came back, why a lease ends.

use serde::{Deserialize, Serialize};

use super::share::Share;
use crate::clock::Timestamp;
use crate::error::Kind;
use crate::id::{BackendName, LeaseId, PluginName, RoleName};
use crate::principal::Identity;

/// What is fixed when a lease is reserved and never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The lease; also the idempotency key towards the plugin.
    pub id: LeaseId,
    /// To whom it belongs: the principal, not the token that asked for it.
    pub owner: Identity,
    /// Where it was issued.
    pub backend: BackendName,
    /// As what.
    pub role: RoleName,
    /// Which plugin made it, and can therefore end it.
    pub maker: Maker,
    /// How it is found if the answer was lost.
    pub recovery: Recovery,
    /// SHA-256 of the token that asked for it: what is revoked when that token is.
    pub token: [u8; 32],
    /// Whether its credential is its own.
    pub share: Share,
    /// When it was reserved.
    pub reserved_at: Timestamp,
    /// Until when the plugin may take to issue it. Activation after it is refused.
    pub issue_by: Timestamp,
    /// The permit's ceiling: no renewal leads beyond it.
    pub ends_by: Timestamp,
}

/// The plugin that issued, as the catalog names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maker {
    /// Its name.
    pub plugin: PluginName,
    /// Its version.
    pub version: String,
    /// Digest of the component.
    pub digest: String,
}

/// How something issued can be found again when nobody knows whether it was (from the manifest).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// By its name, which follows from the lease's id.
    Named,
    /// By listing what carries our mark.
    Listable,
    /// Not at all; it ends by itself within this time of being issued.
    Expires {
        /// Milliseconds.
        within_millis: u64,
    },
}

/// What a plugin needs in order to revoke, sealed: the ledger holds no secret in the clear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedHandle(Vec<u8>);

impl SealedHandle {
    /// Takes bytes that the seal has wrapped.
    #[must_use]
    pub fn from_wrapped(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The wrapped bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What came back from the plugin, as far as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// For the revocation.
    pub handle: SealedHandle,
    /// When the credential ends unless renewed.
    pub expires_at: Timestamp,
    /// Whether the backend can extend it.
    pub renewable: bool,
    /// Whether the backend can end it before its time.
    pub revocable: bool,
}

/// Why a lease is being ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Its time is over.
    Expired,
    /// It carried a credential that nobody shares any more.
    Unused,
    /// Its owner asked.
    Owner,
    /// An operator asked.
    Operator,
    /// A token, a principal or an issuer was revoked.
    Cascade,
    /// The answer of the plugin was lost or unusable.
    LostAnswer,
    /// What was issued could not be audited, or not delivered.
    Condemned,
}

impl Cause {
    /// The name in records, and the trigger in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Unused => "unused",
            Self::Owner => "owner",
            Self::Operator => "operator",
            Self::Cascade => "cascade",
            Self::LostAnswer => "lost_answer",
            Self::Condemned => "condemned",
        }
    }
}

/// A transition that the times do not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// Activated after the issue deadline: the reaper may be at work on it.
    #[error("the issue deadline has passed")]
    TooLate,
    /// Issued or renewed beyond what the permit allows.
    #[error("the lease would outlive its permit")]
    BeyondCeiling,
    /// Issued with an end that has passed, or renewed after its end.
    #[error("the lease has expired")]
    Expired,
    /// Renewed to an earlier end.
    #[error("a renewal does not shorten a lease")]
    Shortens,
    /// The backend cannot extend it.
    #[error("the lease cannot be renewed")]
    NotRenewable,
    /// It does not share this credential.
    #[error("the lease does not share this credential")]
    NotShared,
    /// It would outlive the credential that it shares.
    #[error("the lease would outlive the credential that it shares")]
    BeyondCarrier,
}

impl Illegal {
    /// What the caller is told.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::TooLate => Kind::Unavailable,
            Self::BeyondCeiling
            | Self::Expired
            | Self::Shortens
            | Self::NotRenewable
            | Self::NotShared
            | Self::BeyondCarrier => Kind::Conflict,
        }
    }

    /// The stable code in audit records.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLate => "lease_too_late",
            Self::BeyondCeiling => "lease_beyond_ceiling",
            Self::Expired => "lease_expired",
            Self::Shortens => "lease_shortens",
            Self::NotRenewable => "lease_not_renewable",
            Self::NotShared => "lease_not_shared",
            Self::BeyondCarrier => "lease_beyond_carrier",
        }
    }
}
