//! A lease as the ledger keeps it: one record, whatever its state.
//!
//! The record's shape is separate from the states' types, so that the types can change without the
//! bytes, and a field that is missing is a fault of the record, never a default.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::proof::Proof;
use super::share::{OnRevoke, Share};
use super::state::{Active, Reserved, Revoked, Revoking};
use super::terms::{Cause, Illegal, Maker, Recovery, SealedHandle, Terms};
use crate::clock::Timestamp;
use crate::id::{BackendName, IssuerAlias, LeaseId, RoleName};
use crate::principal::Identity;

/// One of the four states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Written down, perhaps issued.
    Reserved(Reserved),
    /// Issued.
    Active(Active),
    /// Being ended.
    Revoking(Revoking),
    /// Over.
    Revoked(Revoked),
}

macro_rules! phases {
    ($($state:ident)*) => {$(
        impl From<$state> for Phase {
            fn from(state: $state) -> Self {
                Self::$state(state)
            }
        }
    )*};
}
phases! { Reserved Active Revoking Revoked }

impl Phase {
    /// The name in records, metrics and the API.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Reserved(_) => "reserved",
            Self::Active(_) => "active",
            Self::Revoking(_) => "revoking",
            Self::Revoked(_) => "revoked",
        }
    }
}

/// The durable record: a state, and how many changes led to it.
///
/// The revision is the fencing token of a cluster: a write is conditional on the revision it was
/// made from, so that a node which lost its claim cannot overwrite what came after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    revision: u64,
    phase: Phase,
}

impl Lease {
    /// The first record of a lease.
    #[must_use]
    pub fn begin(reserved: Reserved) -> Self {
        Self { revision: 1, phase: Phase::Reserved(reserved) }
    }

    /// The first record of a lease that shares the credential of `carrier` until `until`: there is
    /// nothing to wait for.
    ///
    /// # Errors
    /// [`Illegal::NotShared`] if the terms are not of one that shares it, [`Illegal::BeyondCeiling`]
    /// and [`Illegal::Expired`] as for any lease, [`Illegal::BeyondCarrier`].
    pub fn sharing(
        terms: Terms,
        carrier: &Active,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Self, Illegal> {
        let active = Active::sharing(terms, carrier, until, now)?;
        Ok(Self { revision: 1, phase: Phase::Active(active) })
    }

    /// The record that follows the one with `revision`.
    #[must_use]
    pub fn following(revision: u64, phase: impl Into<Phase>) -> Self {
        Self { revision: revision.saturating_add(1), phase: phase.into() }
    }

    /// Changes so far.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The state.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Revision and state, to make the next one of.
    #[must_use]
    pub fn into_parts(self) -> (u64, Phase) {
        (self.revision, self.phase)
    }

    /// What was agreed.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        match &self.phase {
            Phase::Reserved(lease) => &lease.terms,
            Phase::Active(lease) => &lease.terms,
            Phase::Revoking(lease) => &lease.terms,
            Phase::Revoked(lease) => &lease.terms,
        }
    }

    /// Whether it counts against quotas: until it is over.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !matches!(self.phase, Phase::Revoked(_))
    }

    /// When something has to be done about it: condemn, expire, try again, forget.
    #[must_use]
    pub fn due_at(&self) -> Timestamp {
        match &self.phase {
            Phase::Reserved(lease) => lease.due_at(),
            Phase::Active(lease) => lease.due_at(),
            Phase::Revoking(lease) => lease.next_attempt_at,
            Phase::Revoked(lease) => lease.forget_at(),
        }
    }
}

/// The shape of the bytes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    id: String,
    issuer: IssuerAlias,
    subject: String,
    backend: BackendName,
    role: RoleName,
    maker: Maker,
    recovery: Recovery,
    reserved_at: Timestamp,
    issue_by: Timestamp,
    ends_by: Timestamp,
    /// In base 64.
    token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    carrier: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    carries: Option<OnRevoke>,
    revision: u64,
    state: State,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum State {
    Reserved,
    Active {
        handle: String,
        activated_at: Timestamp,
        expires_at: Timestamp,
        renewals: u32,
        renewable: bool,
        revocable: bool,
    },
    Revoking {
        handle: Option<String>,
        cause: Cause,
        since: Timestamp,
        ends_at: Option<Timestamp>,
        revocable: bool,
        attempts: u32,
        next_attempt_at: Timestamp,
        certain_from: Timestamp,
    },
    Revoked {
        cause: Cause,
        since: Timestamp,
        ends_at: Option<Timestamp>,
        revoked_at: Timestamp,
        attempts: u32,
        proof: Proof,
    },
}

impl Serialize for Lease {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let terms = self.terms().clone();
        let (carrier, carries) = (terms.carrier(), terms.carries());
        let stored = Stored {
            id: terms.id.to_string(),
            issuer: terms.owner.issuer,
            subject: terms.owner.subject,
            backend: terms.backend,
            role: terms.role,
            maker: terms.maker,
            recovery: terms.recovery,
            reserved_at: terms.reserved_at,
            issue_by: terms.issue_by,
            ends_by: terms.ends_by,
            token: STANDARD_NO_PAD.encode(terms.token),
            carrier: carrier.map(|id| id.to_string()),
            carries,
            revision: self.revision,
            state: State::of(&self.phase),
        };
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Lease {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        let id = |text: &str| LeaseId::parse(text).map_err(de::Error::custom);
        let token = STANDARD_NO_PAD.decode(&stored.token).map_err(de::Error::custom)?;
        let token = token.try_into().map_err(|_| de::Error::custom("a token's digest is short"))?;
        let terms = Terms {
            id: id(&stored.id)?,
            owner: Identity { issuer: stored.issuer, subject: stored.subject },
            backend: stored.backend,
            role: stored.role,
            maker: stored.maker,
            recovery: stored.recovery,
            reserved_at: stored.reserved_at,
            issue_by: stored.issue_by,
            ends_by: stored.ends_by,
            token,
            share: match (stored.carrier.as_deref(), stored.carries) {
                (None, None) => Share::Alone,
                (Some(carrier), None) => Share::Of(id(carrier)?),
                (None, Some(on_revoke)) => Share::Carries(on_revoke),
                (Some(_), Some(_)) => return Err(de::Error::custom("it shares and carries")),
            },
        };
        let phase = stored.state.into_phase(terms).map_err(de::Error::custom)?;
        Ok(Self { revision: stored.revision, phase })
    }
}

impl State {
    fn of(phase: &Phase) -> Self {
        match phase {
            Phase::Reserved(_) => Self::Reserved,
            Phase::Active(lease) => Self::Active {
                handle: text(&lease.handle),
                activated_at: lease.activated_at,
                expires_at: lease.expires_at,
                renewals: lease.renewals,
                renewable: lease.renewable,
                revocable: lease.revocable,
            },
            Phase::Revoking(lease) => Self::Revoking {
                handle: lease.handle.as_ref().map(text),
                cause: lease.cause,
                since: lease.since,
                ends_at: lease.ends_at,
                revocable: lease.revocable,
                attempts: lease.attempts,
                next_attempt_at: lease.next_attempt_at,
                certain_from: lease.certain_from,
            },
            Phase::Revoked(lease) => Self::Revoked {
                cause: lease.cause,
                since: lease.since,
                ends_at: lease.ends_at,
                revoked_at: lease.revoked_at,
                attempts: lease.attempts,
                proof: lease.proof,
            },
        }
    }

    fn into_phase(self, terms: Terms) -> Result<Phase, base64::DecodeError> {
        Ok(match self {
            Self::Reserved => Reserved { terms }.into(),
            Self::Active { handle, activated_at, expires_at, renewals, renewable, revocable } => {
                let handle = handle_of(&handle)?;
                Active { terms, handle, activated_at, expires_at, renewals, renewable, revocable }
                    .into()
            }
            Self::Revoking {
                handle,
                cause,
                since,
                ends_at,
                revocable,
                attempts,
                next_attempt_at,
                certain_from,
            } => {
                let handle = handle.as_deref().map(handle_of).transpose()?;
                Revoking {
                    terms,
                    handle,
                    cause,
                    since,
                    ends_at,
                    revocable,
                    attempts,
                    next_attempt_at,
                    certain_from,
                }
                .into()
            }
            Self::Revoked { cause, since, ends_at, revoked_at, attempts, proof } => {
                Revoked { terms, cause, since, ends_at, revoked_at, attempts, proof }.into()
            }
        })
    }
}

fn text(handle: &SealedHandle) -> String {
    STANDARD_NO_PAD.encode(handle.as_bytes())
}

fn handle_of(text: &str) -> Result<SealedHandle, base64::DecodeError> {
    STANDARD_NO_PAD.decode(text).map(SealedHandle::from_wrapped)
}
