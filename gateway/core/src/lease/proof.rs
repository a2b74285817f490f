//! What answers for the end of a lease.
//!
//! INVARIANT: a proof says no more than what was seen. What takes the backend's word is told apart
//! from what asked it again, and both from the credential's having been tried and refused.

use serde::{Deserialize, Serialize};

/// Who or what answers for a credential's being gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// It was certainly never made.
    NeverIssued,
    /// The backend said that it has ended it.
    Acknowledged,
    /// The backend said so, and was asked again afterwards.
    Verified,
    /// The backend said so, and refused the credential itself afterwards.
    Probed,
    /// It cannot be revoked, and its time is over.
    RanOut,
    /// It had nothing of its own at the backend: the credential that it shared ends with its carrier.
    Shared,
    /// An operator's word.
    Forced,
}

/// What a backend's ending of a credential rests on, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// Its word.
    Acknowledged,
    /// Its word, and that it found the credential not usable when it was asked again.
    Verified,
    /// The credential itself, which it refused afterwards.
    Probed,
}

impl Evidence {
    /// What is written down for it.
    pub(super) const fn proof(self) -> Proof {
        match self {
            Self::Acknowledged => Proof::Acknowledged,
            Self::Verified => Proof::Verified,
            Self::Probed => Proof::Probed,
        }
    }
}

impl Proof {
    /// The name in records and views.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NeverIssued => "never_issued",
            Self::Acknowledged => "acknowledged",
            Self::Verified => "verified",
            Self::Probed => "probed",
            Self::RanOut => "ran_out",
            Self::Shared => "shared",
            Self::Forced => "forced",
        }
    }

    /// What the backend's part in it rests on; `None` if it had none, or nobody saw it.
    #[must_use]
    pub const fn evidence(self) -> Option<Evidence> {
        match self {
            Self::Acknowledged => Some(Evidence::Acknowledged),
            Self::Verified => Some(Evidence::Verified),
            Self::Probed => Some(Evidence::Probed),
            Self::NeverIssued | Self::RanOut | Self::Shared | Self::Forced => None,
        }
    }
}
