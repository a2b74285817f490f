//! One credential for several callers.
//!
//! The credential is held by a lease of the gateway's own, the **carrier**, which is reserved, issued
//! and revoked as any other. Whoever shares it has a lease beside: with an owner, an end and a ceiling
//! of its own, and with nothing of its own at the backend. So it is active as soon as it is written
//! down, and over as soon as that is.
//!
//! INVARIANT: a lease that shares never ends later than its carrier. Whatever moves its end takes the
//! carrier as it is, and the store has to find that unchanged when the change is written.
//!
//! INVARIANT: the carrier is nobody's: its [owner](Identity::of_gateway) is not an issuer that can be
//! configured.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::proof::Proof;
use super::state::{Active, Revoked};
use super::terms::{Cause, Illegal, SealedHandle, Terms};
use crate::clock::Timestamp;
use crate::id::{IssuerAlias, LeaseId};
use crate::principal::Identity;

/// For how long those who share may still be written down as over before their carrier is due: its
/// end is to follow from theirs.
pub const SHARERS_FIRST: Duration = Duration::from_secs(10);

/// How a lease stands to a credential that several know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// It has a credential of its own.
    Alone,
    /// It is the gateway's, and holds the credential that others share.
    Carries(OnRevoke),
    /// It shares the credential of this lease.
    Of(LeaseId),
}

/// What becomes of a shared credential when one of those who know it is revoked: by an operator, or
/// with a principal, an issuer or a token. Not when it expires or is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnRevoke {
    /// It goes on, and newcomers get it.
    Keep,
    /// It is closed: nobody else gets it and it is not renewed, so that it ends when those who have
    /// it would have ended anyway.
    Rotate,
    /// It ends at once, and with it every lease that shares it.
    End,
}

impl OnRevoke {
    /// The name in configuration and views.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Rotate => "rotate",
            Self::End => "end",
        }
    }
}

impl Cause {
    /// Whether somebody is not to have any more what they know.
    #[must_use]
    pub const fn is_revocation(self) -> bool {
        match self {
            Self::Operator | Self::Cascade => true,
            Self::Expired | Self::Owner | Self::Unused | Self::LostAnswer | Self::Condemned => {
                false
            }
        }
    }
}

impl Identity {
    /// To whom carriers belong: nobody who asks.
    #[must_use]
    pub fn of_gateway() -> Self {
        Self { issuer: IssuerAlias::of_gateway(), subject: "shared".to_owned() }
    }
}

impl Terms {
    /// The lease whose credential this one shares.
    #[must_use]
    pub const fn carrier(&self) -> Option<LeaseId> {
        match self.share {
            Share::Of(carrier) => Some(carrier),
            Share::Alone | Share::Carries(_) => None,
        }
    }

    /// What becomes of the credential that others share, if this lease holds one.
    #[must_use]
    pub const fn carries(&self) -> Option<OnRevoke> {
        match self.share {
            Share::Carries(on_revoke) => Some(on_revoke),
            Share::Alone | Share::Of(_) => None,
        }
    }
}

impl Active {
    /// See [`super::Lease::sharing`].
    pub(super) fn sharing(
        terms: Terms,
        carrier: &Self,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Self, Illegal> {
        may_share(&terms, carrier, until)?;
        if until > terms.ends_by {
            return Err(Illegal::BeyondCeiling);
        }
        if until <= now {
            return Err(Illegal::Expired);
        }
        Ok(Self {
            terms,
            handle: SealedHandle::default(),
            activated_at: now,
            expires_at: until,
            renewals: 0,
            renewable: true,
            revocable: carrier.revocable,
        })
    }

    /// Moves the end of a lease that shares, within what its carrier has.
    ///
    /// # Errors
    /// As [`Active::renew`], and [`Illegal::NotShared`], [`Illegal::BeyondCarrier`].
    pub fn renew_sharing(
        self,
        carrier: &Self,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Self, (Box<Self>, Illegal)> {
        match may_share(&self.terms, carrier, until) {
            Ok(()) => self.moved(until, now),
            Err(illegal) => Err((Box::new(self), illegal)),
        }
    }

    /// Ends a lease that shares: at the backend there is nothing of it.
    ///
    /// # Errors
    /// The lease, if it has a credential.
    pub fn leave(self, cause: Cause, now: Timestamp) -> Result<Revoked, Box<Self>> {
        match self.terms.share {
            Share::Of(_) => Ok(Revoked {
                terms: self.terms,
                cause,
                since: now,
                ends_at: Some(self.expires_at),
                revoked_at: now,
                attempts: 0,
                proof: Proof::Shared,
            }),
            Share::Alone | Share::Carries(_) => Err(Box::new(self)),
        }
    }

    /// When something has to be done about it. A carrier gives way to those who share it.
    #[must_use]
    pub fn due_at(&self) -> Timestamp {
        match self.terms.share {
            Share::Carries(_) => self.expires_at.plus(SHARERS_FIRST),
            Share::Alone | Share::Of(_) => self.expires_at,
        }
    }
}

fn may_share(terms: &Terms, carrier: &Active, until: Timestamp) -> Result<(), Illegal> {
    let of = &carrier.terms;
    let is_same_role = terms.backend == of.backend && terms.role == of.role;
    let shares = terms.carrier() == Some(of.id) && of.carries().is_some();
    match until > carrier.expires_at {
        _ if !(shares && is_same_role) => Err(Illegal::NotShared),
        true => Err(Illegal::BeyondCarrier),
        false => Ok(()),
    }
}
