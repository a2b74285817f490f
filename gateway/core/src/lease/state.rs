//! The four states and the transitions between them.

use std::time::Duration;

use super::proof::{Evidence, Proof};
use super::share::Share;
use super::terms::{Cause, Illegal, Issued, Recovery, SealedHandle, Terms};
use super::{FINAL_SECOND, LANDING_MARGIN, REMEMBERED, RETRY_PAUSE};
use crate::clock::Timestamp;
use crate::id::LeaseId;

/// Written down, perhaps issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserved {
    pub(super) terms: Terms,
}

/// Issued, and known to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Active {
    pub(super) terms: Terms,
    pub(super) handle: SealedHandle,
    pub(super) activated_at: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) renewals: u32,
    pub(super) renewable: bool,
    pub(super) revocable: bool,
}

/// To be ended, for as long as it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoking {
    pub(super) terms: Terms,
    /// `None` if it was never activated: then it is found as [`Recovery`] says.
    pub(super) handle: Option<SealedHandle>,
    pub(super) cause: Cause,
    /// When the intent was written down.
    pub(super) since: Timestamp,
    /// When it would have ended unrevoked; `None` if it was never activated.
    pub(super) ends_at: Option<Timestamp>,
    pub(super) revocable: bool,
    pub(super) attempts: u32,
    pub(super) next_attempt_at: Timestamp,
    /// Before this, "not there" is no proof.
    pub(super) certain_from: Timestamp,
}

/// Over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    pub(super) terms: Terms,
    pub(super) cause: Cause,
    /// When the intent was written down.
    pub(super) since: Timestamp,
    /// When it would have ended unrevoked; `None` if it was never activated.
    pub(super) ends_at: Option<Timestamp>,
    pub(super) revoked_at: Timestamp,
    pub(super) attempts: u32,
    /// Who or what answers for its being gone.
    pub(super) proof: Proof,
}

/// What follows a revocation that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// It is gone.
    Gone(Revoked),
    /// It is not there, but a lost create may still land: look again.
    LookAgain(Revoking),
}

impl Reserved {
    /// The beginning of every lease. Must be durable before the plugin is called.
    #[must_use]
    pub fn new(terms: Terms) -> Self {
        Self { terms }
    }

    /// What was agreed.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The plugin has answered. On refusal the reservation must be condemned: the credential exists.
    ///
    /// # Errors
    /// [`Illegal`] with the reservation, if the answer came too late or goes beyond the permit.
    pub fn activate(self, issued: Issued, now: Timestamp) -> Result<Active, (Box<Self>, Illegal)> {
        let illegal = match issued.expires_at {
            _ if now > self.terms.issue_by => Illegal::TooLate,
            end if end > self.terms.ends_by => Illegal::BeyondCeiling,
            end if end <= now => Illegal::Expired,
            _ => {
                let Issued { handle, expires_at, renewable, revocable } = issued;
                return Ok(Active {
                    terms: self.terms,
                    handle,
                    activated_at: now,
                    expires_at,
                    renewals: 0,
                    // What only time ends must end when we believe that it does: a renewal whose
                    // answer is lost would move that unseen.
                    renewable: renewable && revocable,
                    revocable,
                });
            }
        };
        Err((Box::new(self), illegal))
    }

    /// Nobody knows whether it was issued, or it was (`issued`) and must not stay: revoke it.
    #[must_use]
    pub fn condemn(self, issued: Option<Issued>, cause: Cause, now: Timestamp) -> Revoking {
        let revocable = issued.as_ref().is_none_or(|issued| issued.revocable);
        let ends_at = issued.as_ref().map(|issued| issued.expires_at);
        let landed = self.last_landing();
        let certain_from = match ends_at {
            Some(ends_at) if !revocable => landed.max(ends_at),
            Some(_) | None => landed,
        };
        Revoking {
            terms: self.terms,
            handle: issued.map(|issued| issued.handle),
            cause,
            since: now,
            ends_at,
            revocable,
            attempts: 0,
            next_attempt_at: now,
            certain_from,
        }
    }

    /// The request certainly never reached the backend: there is nothing to revoke.
    #[must_use]
    pub fn abandon(self, now: Timestamp) -> Revoked {
        Revoked {
            terms: self.terms,
            cause: Cause::LostAnswer,
            since: now,
            ends_at: None,
            revoked_at: now,
            attempts: 0,
            proof: Proof::NeverIssued,
        }
    }

    /// When a reservation of which nothing was heard is taken for perhaps issued.
    #[must_use]
    pub fn due_at(&self) -> Timestamp {
        self.terms.issue_by
    }

    /// From when on "not there" is proof; for what cannot be looked for, when it has ended by itself.
    fn last_landing(&self) -> Timestamp {
        let landed = self.terms.issue_by.plus(LANDING_MARGIN);
        match self.terms.recovery {
            Recovery::Named | Recovery::Listable => landed,
            Recovery::Expires { within_millis } => {
                landed.plus(Duration::from_millis(within_millis))
            }
        }
    }
}

impl Active {
    /// What was agreed.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// For the revocation.
    #[must_use]
    pub fn handle(&self) -> &SealedHandle {
        &self.handle
    }

    /// When it ends unless renewed.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// When it was activated.
    #[must_use]
    pub fn activated_at(&self) -> Timestamp {
        self.activated_at
    }

    /// How often it was renewed.
    #[must_use]
    pub fn renewals(&self) -> u32 {
        self.renewals
    }

    /// Whether the backend can extend it.
    #[must_use]
    pub fn is_renewable(&self) -> bool {
        self.renewable
    }

    /// Whether the backend can end it before its time.
    #[must_use]
    pub fn is_revocable(&self) -> bool {
        self.revocable
    }

    /// Whether it may be asked of the backend at `now` to extend it. Asked before the backend is,
    /// and again by [`Active::renew`].
    ///
    /// # Errors
    /// [`Illegal::NotRenewable`], and [`Illegal::Expired`] from a second before its end: what the
    /// backend answered could come after it.
    pub fn may_renew(&self, now: Timestamp) -> Result<(), Illegal> {
        if now.plus(FINAL_SECOND) >= self.expires_at {
            return Err(Illegal::Expired);
        }
        if self.renewable { Ok(()) } else { Err(Illegal::NotRenewable) }
    }

    /// Moves the end. `until` is the end that the backend has agreed to.
    ///
    /// # Errors
    /// [`Illegal`] with the lease as it was, if it is about to expire or has (an expired lease never
    /// comes back: its revocation may be under way), cannot be renewed, or `until` is beyond the
    /// permit or before the present end. One that shares is renewed by [`Active::renew_sharing`].
    pub fn renew(self, until: Timestamp, now: Timestamp) -> Result<Self, (Box<Self>, Illegal)> {
        match self.terms.share {
            Share::Alone | Share::Carries(_) => self.moved(until, now),
            Share::Of(_) => Err((Box::new(self), Illegal::BeyondCarrier)),
        }
    }

    pub(super) fn moved(
        self,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Self, (Box<Self>, Illegal)> {
        if let Err(illegal) = self.may_renew(now) {
            return Err((Box::new(self), illegal));
        }
        let illegal = match until {
            end if end > self.terms.ends_by => Illegal::BeyondCeiling,
            end if end < self.expires_at => Illegal::Shortens,
            _ => {
                let renewals = self.renewals.saturating_add(1);
                return Ok(Self { expires_at: until, renewals, ..self });
            }
        };
        Err((Box::new(self), illegal))
    }

    /// The same, wrapped anew.
    #[must_use]
    pub fn with_handle(self, handle: SealedHandle) -> Self {
        Self { handle, ..self }
    }

    /// Begins the end. What the backend cannot end is over when its time is.
    #[must_use]
    pub fn revoke(self, cause: Cause, now: Timestamp) -> Revoking {
        // What was seen to exist is gone once it is gone.
        let certain_from = if self.revocable { now } else { now.max(self.expires_at) };
        Revoking {
            terms: self.terms,
            handle: Some(self.handle),
            cause,
            since: now,
            ends_at: Some(self.expires_at),
            revocable: self.revocable,
            attempts: 0,
            next_attempt_at: certain_from,
            certain_from,
        }
    }
}

impl Revoking {
    /// What was agreed.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// For the revocation, if it was ever activated.
    #[must_use]
    pub fn handle(&self) -> Option<&SealedHandle> {
        self.handle.as_ref()
    }

    /// Why it is being ended.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// When the intent was written down.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// When it would have ended unrevoked; `None` if it was never activated.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.ends_at
    }

    /// When the next attempt is due.
    #[must_use]
    pub fn next_attempt_at(&self) -> Timestamp {
        self.next_attempt_at
    }

    /// Whether the backend can do anything about it: it can end what was issued, or look for what may
    /// have been. The rest ends by itself.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        match (&self.handle, self.terms.recovery) {
            (Some(_), _) => self.revocable,
            (None, Recovery::Named | Recovery::Listable) => true,
            (None, Recovery::Expires { .. }) => false,
        }
    }

    /// The same, wrapped anew.
    #[must_use]
    pub fn with_handle(self, handle: SealedHandle) -> Self {
        Self { handle: Some(handle), ..self }
    }

    /// The answer came after all, while it was already being ended: now it can be found.
    #[must_use]
    pub fn learned(self, issued: Issued) -> Self {
        let Issued { handle, expires_at, revocable, .. } = issued;
        let certain_from =
            if revocable { self.certain_from } else { self.certain_from.max(expires_at) };
        // Looked for at once: what it is found by is known only now.
        let next_attempt_at = if revocable { self.since } else { certain_from };
        Self {
            handle: Some(handle),
            ends_at: Some(expires_at),
            revocable,
            next_attempt_at,
            certain_from,
            ..self
        }
    }

    /// Attempts so far.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How long it has taken so far: what the operator sees when a backend is down.
    #[must_use]
    pub fn late(&self, now: Timestamp) -> Duration {
        now.since(self.since)
    }

    /// The same for a run of the gateway that began at `opened`. What was reserved in an earlier one and
    /// never answered is looked for as if its deadline began then: by how much the clock was moved
    /// between the two runs nobody knows, and the new one's goes evenly.
    #[must_use]
    pub fn since_start(self, opened: Timestamp) -> Self {
        let terms = &self.terms;
        if self.handle.is_some() || terms.reserved_at > opened {
            return self;
        }
        let landing = terms.issue_by.since(terms.reserved_at).saturating_add(LANDING_MARGIN);
        let certain_from = self.certain_from.max(opened.plus(landing));
        Self { certain_from, ..self }
    }

    /// An attempt failed. The next comes after a pause that doubles up to five minutes.
    #[must_use]
    pub fn failed(self, now: Timestamp) -> Self {
        let attempts = self.attempts.saturating_add(1);
        let next_attempt_at = now.plus(pause(attempts, self.terms.id));
        Self { attempts, next_attempt_at, ..self }
    }

    /// The backend says that it is gone, or not there, and `evidence` what that rests on. For what
    /// is not reachable: its time is over.
    #[must_use]
    pub fn confirmed(self, evidence: Evidence, now: Timestamp) -> Confirmed {
        self.confirmed_as_of(evidence, now, now)
    }

    /// The same, for an answer that took its time: it counts for when the backend was asked, since
    /// what was not there then may have landed before the answer came.
    #[must_use]
    pub fn confirmed_as_of(
        self,
        evidence: Evidence,
        asked_at: Timestamp,
        now: Timestamp,
    ) -> Confirmed {
        let attempts = self.attempts.saturating_add(u32::from(self.is_reachable()));
        if asked_at < self.certain_from {
            let longest = now.plus(RETRY_PAUSE.1);
            let next_attempt_at = self.certain_from.min(longest);
            return Confirmed::LookAgain(Self { attempts, next_attempt_at, ..self });
        }
        let proof = if self.is_reachable() { evidence.proof() } else { Proof::RanOut };
        Confirmed::Gone(Self { attempts, ..self }.over(proof, now))
    }

    /// An operator answers for its being gone.
    #[must_use]
    pub fn force(self, now: Timestamp) -> Revoked {
        Self { cause: Cause::Operator, ..self }.over(Proof::Forced, now)
    }

    fn over(self, proof: Proof, now: Timestamp) -> Revoked {
        let Self { terms, cause, since, ends_at, attempts, .. } = self;
        Revoked { terms, cause, since, ends_at, revoked_at: now, attempts, proof }
    }
}

impl Revoked {
    /// What was agreed.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Why it was ended.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// When the intent was written down.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// When it would have ended unrevoked; `None` if it was never activated.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.ends_at
    }

    /// When it was over.
    #[must_use]
    pub fn revoked_at(&self) -> Timestamp {
        self.revoked_at
    }

    /// Who or what answers for its being gone.
    #[must_use]
    pub fn proof(&self) -> Proof {
        self.proof
    }

    /// How many attempts it took.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// When the record may be deleted: what never was is of no interest to anybody, and a backend that
    /// fails must not fill the store.
    #[must_use]
    pub fn forget_at(&self) -> Timestamp {
        match self.proof {
            Proof::NeverIssued => self.revoked_at,
            Proof::Acknowledged
            | Proof::Verified
            | Proof::Probed
            | Proof::RanOut
            | Proof::Shared
            | Proof::Forced => self.revoked_at.plus(REMEMBERED),
        }
    }
}

/// Doubles from one second to five minutes; a fifth of it is spread by the lease's id, so that the
/// leases of a backend that comes back do not all knock in the same instant.
fn pause(attempts: u32, id: LeaseId) -> Duration {
    let (shortest, longest) = RETRY_PAUSE;
    let factor = 1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    let full = shortest.saturating_mul(factor).min(longest);
    let spread = u32::from(id.to_bytes().last().copied().unwrap_or(0));
    full.saturating_sub(full.saturating_mul(spread) / (5 * 256))
}
