//! Epochs and locks: what stops a proof that every other check accepts.
//!
//! An **epoch** ends what was issued up to a moment: "log this principal (this issuer, everyone) out
//! now". A **lock** stops a principal or an issuer whatever it shows, also proofs that carry no time
//! of issue, until it is taken away. Certificates and signed requests do carry one
//! ([`Proof::issued_at`](crate::principal::Proof::issued_at)).
//!
//! INVARIANT: an epoch only rises, and a proof issued *at* it is refused too (`iat <= epoch`). `iat`
//! has whole seconds, so what was issued in the second of the epoch is refused whichever came first.
//!
//! INVARIANT: nothing here is remembered from one request to the next. Barriers are asked on every
//! use of a proof, also of one that was verified before.
//!
//! An issuer whose clock runs ahead can date a proof after an epoch that followed it. Whoever raises
//! an epoch against such an issuer raises it by the issuer's leeway further.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::Kind;
use crate::id::IssuerAlias;
use crate::principal::{Identity, Principal};

/// Whom an epoch concerns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everyone.
    Global,
    /// Everyone an issuer vouches for.
    Issuer(IssuerAlias),
    /// One principal.
    Principal(Identity),
}

/// Whom a lock concerns. Nobody locks out everyone: that is what stopping the gateway is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Locked {
    /// Everyone an issuer vouches for.
    Issuer(IssuerAlias),
    /// One principal.
    Principal(Identity),
}

/// `*`, `issuer` or `issuer/subject`, as an operator writes it.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("*"),
            Self::Issuer(issuer) => issuer.fmt(f),
            Self::Principal(identity) => identity.fmt(f),
        }
    }
}

impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issuer(issuer) => issuer.fmt(f),
            Self::Principal(identity) => identity.fmt(f),
        }
    }
}

/// Why and since when something is locked: for the operator who finds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// When it was locked.
    pub since: Timestamp,
    /// The administrator who did it.
    pub by: String,
    /// The reason given.
    pub reason: String,
}

/// Why a proven principal is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Barred {
    /// The principal is locked.
    #[error("the principal is locked")]
    PrincipalLocked,
    /// Its issuer is locked.
    #[error("the issuer is locked")]
    IssuerLocked,
    /// The proof is from before the principal's epoch.
    #[error("the proof was issued at or before the epoch of the principal")]
    PrincipalEpoch,
    /// The proof is from before the issuer's epoch.
    #[error("the proof was issued at or before the epoch of the issuer")]
    IssuerEpoch,
    /// The proof is from before the global epoch.
    #[error("the proof was issued at or before the global epoch")]
    GlobalEpoch,
    /// The access token, or one that it was exchanged for or from, was withdrawn.
    #[error("the access token was withdrawn")]
    Withdrawn,
}

impl Barred {
    /// What the caller is told: behind an epoch a fresh proof helps, behind a lock nothing does.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::PrincipalLocked | Self::IssuerLocked => Kind::Denied,
            Self::PrincipalEpoch | Self::IssuerEpoch | Self::GlobalEpoch | Self::Withdrawn => {
                Kind::Unauthenticated
            }
        }
    }

    /// The stable code in audit records.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::PrincipalLocked => "locked_principal",
            Self::IssuerLocked => "locked_issuer",
            Self::PrincipalEpoch => "epoch_principal",
            Self::IssuerEpoch => "epoch_issuer",
            Self::GlobalEpoch => "epoch_global",
            Self::Withdrawn => "token_withdrawn",
        }
    }
}

/// Every epoch and lock at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Barriers {
    global: Option<Timestamp>,
    issuers: HashMap<IssuerAlias, Timestamp>,
    principals: HashMap<Identity, Timestamp>,
    locked_issuers: HashMap<IssuerAlias, Lock>,
    locked_principals: HashMap<Identity, Lock>,
}

impl Barriers {
    /// Whether the principal may pass with the proof it has shown.
    ///
    /// # Errors
    /// [`Barred`] names the first barrier in the way.
    pub fn admits(&self, principal: &Principal) -> Result<(), Barred> {
        self.admits_proof(principal.identity(), principal.proof().issued_at)
    }

    /// The same for something that was issued to `identity` at a known time, such as a session. A
    /// proof without a time is stopped by locks only.
    ///
    /// # Errors
    /// [`Barred`] names the first barrier in the way.
    pub fn admits_proof(
        &self,
        identity: &Identity,
        issued_at: Option<Timestamp>,
    ) -> Result<(), Barred> {
        if self.locked_principals.contains_key(identity) {
            return Err(Barred::PrincipalLocked);
        }
        if self.locked_issuers.contains_key(&identity.issuer) {
            return Err(Barred::IssuerLocked);
        }
        let before = |epoch: Option<&Timestamp>| issued_at.is_some_and(|iat| epoch >= Some(&iat));
        if before(self.principals.get(identity)) {
            return Err(Barred::PrincipalEpoch);
        }
        if before(self.issuers.get(&identity.issuer)) {
            return Err(Barred::IssuerEpoch);
        }
        if before(self.global.as_ref()) { Err(Barred::GlobalEpoch) } else { Ok(()) }
    }

    /// The epoch of exactly this scope.
    #[must_use]
    pub fn epoch(&self, scope: &Scope) -> Option<Timestamp> {
        match scope {
            Scope::Global => self.global,
            Scope::Issuer(issuer) => self.issuers.get(issuer).copied(),
            Scope::Principal(identity) => self.principals.get(identity).copied(),
        }
    }

    /// The lock on exactly this.
    #[must_use]
    pub fn lock_of(&self, locked: &Locked) -> Option<&Lock> {
        match locked {
            Locked::Issuer(issuer) => self.locked_issuers.get(issuer),
            Locked::Principal(identity) => self.locked_principals.get(identity),
        }
    }

    /// Raises the epoch of a scope; an earlier time changes nothing.
    pub fn raise(&mut self, scope: Scope, epoch: Timestamp) {
        let raised = self.epoch(&scope).map_or(epoch, |current| current.max(epoch));
        match scope {
            Scope::Global => self.global = Some(raised),
            Scope::Issuer(issuer) => drop(self.issuers.insert(issuer, raised)),
            Scope::Principal(identity) => drop(self.principals.insert(identity, raised)),
        }
    }

    /// Locks. An existing lock is replaced.
    pub fn lock(&mut self, locked: Locked, lock: Lock) {
        match locked {
            Locked::Issuer(issuer) => drop(self.locked_issuers.insert(issuer, lock)),
            Locked::Principal(identity) => drop(self.locked_principals.insert(identity, lock)),
        }
    }

    /// Takes a lock away.
    pub fn unlock(&mut self, locked: &Locked) {
        match locked {
            Locked::Issuer(issuer) => drop(self.locked_issuers.remove(issuer)),
            Locked::Principal(identity) => drop(self.locked_principals.remove(identity)),
        }
    }

    /// Every lock, in no order.
    pub fn locks(&self) -> impl Iterator<Item = (Locked, &Lock)> {
        let issuers = self.locked_issuers.iter();
        let issuers = issuers.map(|(issuer, lock)| (Locked::Issuer(issuer.clone()), lock));
        let principals = self.locked_principals.iter();
        issuers.chain(principals.map(|(who, lock)| (Locked::Principal(who.clone()), lock)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn identity(issuer: &str, subject: &str) -> Identity {
        Identity { issuer: IssuerAlias::parse(issuer).unwrap(), subject: subject.to_owned() }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn lock() -> Lock {
        Lock { since: at(0), by: String::from("uid:0"), reason: String::from("test") }
    }

    #[test]
    fn each_barrier_stops_its_own_scope_and_no_other() {
        let me = identity("prod", "a");
        for (scope, barred) in [
            (Scope::Global, Some(Barred::GlobalEpoch)),
            (Scope::Issuer(me.issuer.clone()), Some(Barred::IssuerEpoch)),
            (Scope::Principal(me.clone()), Some(Barred::PrincipalEpoch)),
            (Scope::Issuer(IssuerAlias::parse("dev").unwrap()), None),
            (Scope::Principal(identity("dev", "a")), None),
            (Scope::Principal(identity("prod", "b")), None),
        ] {
            let mut barriers = Barriers::default();
            barriers.raise(scope.clone(), at(100));
            for (issued, stopped) in [(99, true), (100, true), (101, false)] {
                let expected = barred.filter(|_| stopped).map_or(Ok(()), Err);
                assert_eq!(
                    barriers.admits_proof(&me, Some(at(issued))),
                    expected,
                    "{scope} {issued}"
                );
            }
            assert_eq!(
                barriers.admits_proof(&me, None),
                Ok(()),
                "an epoch cannot date the undated"
            );
        }
    }

    #[test]
    fn a_lock_stops_whatever_is_shown_until_it_is_taken_away() {
        let me = identity("prod", "a");
        for (locked, barred) in [
            (Locked::Issuer(me.issuer.clone()), Barred::IssuerLocked),
            (Locked::Principal(me.clone()), Barred::PrincipalLocked),
        ] {
            let mut barriers = Barriers::default();
            barriers.lock(locked.clone(), lock());
            for issued in [None, Some(at(i64::MAX))] {
                assert_eq!(barriers.admits_proof(&me, issued), Err(barred));
            }
            assert_eq!(barriers.admits_proof(&identity("dev", "b"), None), Ok(()));
            barriers.unlock(&locked);
            assert_eq!(barriers.admits_proof(&me, None), Ok(()));
        }
    }

    #[test]
    fn a_verified_principal_is_asked_by_its_own_time_of_issue() {
        let subject = crate::principal::Subject {
            identity: identity("prod", "a"),
            profile: "oidc",
            attributes: crate::principal::Attributes::new(),
        };
        let proof = crate::principal::Proof {
            issued_at: Some(at(100)),
            expires_at: at(400),
            binding: crate::principal::Binding::None,
            digest: [0; 32],
            session: None,
        };
        let principal = Principal::proven(subject, proof);
        let mut barriers = Barriers::default();
        assert_eq!(barriers.admits(&principal), Ok(()));
        barriers.raise(Scope::Global, Timestamp::from_millis(100_500));
        assert_eq!(barriers.admits(&principal), Err(Barred::GlobalEpoch));
    }

    proptest! {
        #[test]
        fn an_epoch_never_falls(times in proptest::collection::vec(0..1000_i64, 1..20)) {
            let mut barriers = Barriers::default();
            let mut highest = i64::MIN;
            for time in times {
                barriers.raise(Scope::Global, at(time));
                highest = highest.max(time);
                prop_assert_eq!(barriers.epoch(&Scope::Global), Some(at(highest)));
            }
        }
    }
}
