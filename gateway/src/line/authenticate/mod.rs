//! From a token to a proven principal, with everything that is not pure about it: the issuer's keys,
//! what was revoked since, and which one-shot tokens have been seen.
//!
//! The rules themselves are in [`symbolon_core::token`]. The order here is fixed: an unregistered
//! issuer costs no I/O; a token that was verified before skips the signature and nothing else;
//! epochs and locks are asked on every use; a one-shot token is remembered last, after every other
//! check has passed and before anything is done with it.
//!
//! INVARIANT: what is remembered of a verified token never outlives its `exp`, the configured time
//! (at most 60 s) or the key set that verified it: a withdrawn key refuses at once.

mod examine;
mod fetch;
mod keys;
mod turns;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use symbolon_core::barrier::Barred;
use symbolon_core::clock::Clock;
use symbolon_core::error::Kind;
use symbolon_core::id::IssuerAlias;
use symbolon_core::principal::Principal;
use symbolon_core::token::{
    Compact, IssuerRules, Issuers, KeySet, MAX_TOKEN_BYTES, Refusal, fingerprint, verify,
    verify_own,
};

pub use examine::{Examination, Step, Verdict};
pub use fetch::{FetchError, KeySource, Way};
pub use keys::{Freshness, KeySettings, Keys};

use self::turns::Turns;
use crate::barriers::{DurableBarriers, OnceError, OnceSet, Withdrawn, WithdrawnError};
use crate::keyring::Keyring;
use crate::store::Transaction;
use crate::telemetry::Metrics;

/// Most verified tokens that are remembered at a time.
const REMEMBERED: u64 = 100_000;

/// Why there is no principal. A stranger is told the kind, never the variant.
#[derive(Debug, thiserror::Error)]
pub enum Unproven {
    /// The token is refused.
    #[error("the token is refused")]
    Token(#[from] Refusal),
    /// The issuer's keys could not be had, or are too old.
    #[error("the keys of the issuer are not there")]
    NoKeys,
    /// Too many signatures wait to be checked, of all sources or of this one.
    #[error("too many signatures wait to be checked")]
    Crowded,
    /// A one-shot token was shown again, or could not be remembered.
    #[error("the one-shot token cannot be taken")]
    Replay(#[from] OnceError),
}

impl Unproven {
    /// What the outside is told.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Token(refusal) => refusal.kind(),
            Self::NoKeys => Kind::Unavailable,
            Self::Crowded => Kind::Exhausted,
            Self::Replay(error) => error.kind(),
        }
    }

    /// The audit code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Token(refusal) => refusal.code(),
            Self::NoKeys => "jwks_stale",
            Self::Crowded => "verification_queue",
            Self::Replay(error) => error.code(),
        }
    }
}

/// What makes principals of tokens, for one generation of the configuration.
#[derive(Debug)]
pub struct Authenticator {
    issuers: Issuers,
    keys: HashMap<IssuerAlias, Arc<Keys>>,
    verified: Cache<[u8; 32], Arc<Verified>>,
    remember_for: Duration,
    turns: Turns,
    /// The rules for our own access tokens.
    own: Arc<IssuerRules>,
    standing: Standing,
}

/// What outlives a generation of the configuration.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Epochs and locks.
    pub barriers: Arc<DurableBarriers>,
    /// One-shot tokens seen.
    pub replays: Arc<OnceSet>,
    /// Access tokens of our own that were withdrawn.
    pub withdrawn: Arc<Withdrawn>,
    /// What our own access tokens are signed with.
    pub keyring: Arc<Keyring>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Instruments.
    pub metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Verified {
    principal: Arc<Principal>,
    /// The key set that verified it.
    generation: u64,
    /// Elapsed time at which it was verified.
    at: Duration,
    one_shot: bool,
    /// How long after its expiry the issuer's tokens are still taken.
    leeway: Duration,
}

impl Authenticator {
    /// An authenticator over issuers and their keys, and our own tokens by the rules `own`;
    /// `remember_for` is cut to 60 s.
    #[must_use]
    pub fn new(
        (issuers, own): (Issuers, Arc<IssuerRules>),
        keys: HashMap<IssuerAlias, Arc<Keys>>,
        remember_for: Duration,
        standing: Standing,
    ) -> Self {
        let remember_for = remember_for.min(Duration::from_secs(60));
        let verified = Cache::builder().max_capacity(REMEMBERED).time_to_live(remember_for).build();
        Self { issuers, keys, verified, remember_for, turns: Turns::new(), own, standing }
    }

    /// The keys of each issuer.
    #[must_use]
    pub fn keys(&self) -> &HashMap<IssuerAlias, Arc<Keys>> {
        &self.keys
    }

    /// Proves who shows `token`, and from where.
    ///
    /// Cancel-safe, but for a one-shot token, which may then count as used.
    ///
    /// # Errors
    /// [`Unproven`] says why there is no principal.
    pub async fn prove(
        &self,
        token: &str,
        source: Option<IpAddr>,
    ) -> Result<Arc<Principal>, Unproven> {
        let fingerprint = fingerprint(token);
        let verified = match self.recall(&fingerprint) {
            Some(verified) => verified,
            None => self.verify(token, fingerprint, source).await?,
        };
        if verified.one_shot {
            self.use_up(&verified).await?;
        }
        Ok(verified.principal.clone())
    }

    /// Who shows `token`, if it was verified a moment ago and is good more than once: no signature
    /// is looked at and nothing is waited for.
    #[must_use]
    pub fn known(&self, token: &str) -> Option<Arc<Principal>> {
        let verified = self.recall(&fingerprint(token))?;
        (!verified.one_shot).then(|| verified.principal.clone())
    }

    /// The issuer of our own access tokens.
    #[must_use]
    pub fn own_issuer(&self) -> &str {
        &self.own.issuer
    }

    /// Whom an access token of our own proves now; nobody, if it is of another issuer, is refused, or
    /// has a lock or an epoch against it. Uses nothing up.
    ///
    /// # Errors
    /// [`Unproven::Crowded`] if it could not be looked at.
    pub async fn inspect(
        &self,
        token: &str,
        source: Option<IpAddr>,
    ) -> Result<Option<Arc<Principal>>, Unproven> {
        let fingerprint = fingerprint(token);
        let found = match (self.recall(&fingerprint), Compact::parse(token, MAX_TOKEN_BYTES)) {
            (Some(verified), _) => Ok(verified),
            (None, Ok(compact)) if compact.issuer() == Ok(&self.own.issuer) => {
                self.verify_own(&compact, fingerprint, source).await
            }
            (None, _) => return Ok(None),
        };
        match found.map(|verified| verified.principal.clone()) {
            Ok(principal) => {
                let is_own = principal.proof().session.is_some();
                Ok((is_own && self.admits(&principal).is_ok()).then_some(principal))
            }
            Err(crowded @ Unproven::Crowded) => Err(crowded),
            Err(Unproven::Token(_) | Unproven::NoKeys | Unproven::Replay(_)) => Ok(None),
        }
    }

    /// Whether the principal may act: no lock on it or its issuer, and no epoch after its proof.
    /// Asked on every request.
    ///
    /// # Errors
    /// [`Barred`] says what stands against it.
    pub fn admits(&self, principal: &Principal) -> Result<(), Barred> {
        let session = principal.proof().session.as_ref();
        if session.is_some_and(|session| self.standing.withdrawn.has(&session.family)) {
            return Err(Barred::Withdrawn);
        }
        self.standing.barriers.admits(principal)
    }

    /// Refuses an access token of our own, and all of its family, from the next request on. Durable
    /// when this returns, together with what is written `beside`.
    ///
    /// # Errors
    /// [`WithdrawnError`].
    pub async fn withdraw(
        &self,
        family: [u8; 32],
        beside: Transaction,
    ) -> Result<(), WithdrawnError> {
        self.standing.withdrawn.withdraw_with(family, beside).await
    }

    async fn use_up(&self, verified: &Verified) -> Result<(), OnceError> {
        let (identity, proof) = (verified.principal.identity(), verified.principal.proof());
        let until = proof.expires_at.plus(verified.leeway);
        let used = self.standing.replays.remember(&identity.issuer, &proof.digest, until).await;
        used.inspect_err(|_| self.standing.metrics.replayed(identity.issuer.as_str()))
    }

    /// What is remembered of the token, if that is still good.
    fn recall(&self, fingerprint: &[u8; 32]) -> Option<Arc<Verified>> {
        let verified = self.verified.get(fingerprint)?;
        let principal = &verified.principal;
        let issuer = self.keys.get(&principal.identity().issuer)?;
        let current = match principal.proof().session {
            Some(_) => self.standing.keyring.access_keys(),
            None => issuer.current()?,
        };
        let age = self.standing.clock.elapsed().saturating_sub(verified.at);
        let is_good = current.generation() == verified.generation
            && age < self.remember_for
            && !principal.remaining(self.standing.clock.now()).is_zero();
        is_good.then_some(verified)
    }

    async fn verify(
        &self,
        token: &str,
        fingerprint: [u8; 32],
        source: Option<IpAddr>,
    ) -> Result<Arc<Verified>, Unproven> {
        let compact = Compact::parse(token, MAX_TOKEN_BYTES)?;
        if compact.issuer() == Ok(&self.own.issuer) {
            return self.verify_own(&compact, fingerprint, source).await;
        }
        let verified = Arc::new(self.establish(&compact, source).await?);
        self.verified.insert(fingerprint, verified.clone());
        Ok(verified)
    }

    /// Looks at everything that a token shows, with the keys in force and newer ones if need be.
    async fn establish(
        &self,
        compact: &Compact<'_>,
        source: Option<IpAddr>,
    ) -> Result<Verified, Unproven> {
        let rules = self.issuers.select(compact)?;
        let keys = self.keys.get(&rules.alias).ok_or(Unproven::NoKeys)?;
        let set = keys.first().await.ok_or(Unproven::NoKeys)?;
        // Keys are waited for between turns, never within one.
        let (principal, set) = match self.check((compact, rules), &set, source).await {
            Err(Unproven::Token(Refusal::UnknownKey)) => {
                let newer = keys.after_unknown_key(set.generation()).await;
                let set = newer.ok_or(Refusal::UnknownKey)?;
                (self.check((compact, rules), &set, source).await?, set)
            }
            checked => (checked?, set),
        };
        Ok(Verified {
            principal: Arc::new(principal),
            generation: set.generation(),
            at: self.standing.clock.elapsed(),
            one_shot: rules.one_shot,
            leeway: rules.leeway,
        })
    }

    /// An access token of our own: our keys are always there.
    async fn verify_own(
        &self,
        compact: &Compact<'_>,
        fingerprint: [u8; 32],
        source: Option<IpAddr>,
    ) -> Result<Arc<Verified>, Unproven> {
        let set = self.standing.keyring.access_keys();
        let turn = self.turns.take(source).await.ok_or(Unproven::Crowded)?;
        let now = self.standing.clock.now();
        let principal = verify_own(compact, &self.own, &set, &self.issuers, now)?;
        drop(turn);
        let verified = Arc::new(Verified {
            principal: Arc::new(principal),
            generation: set.generation(),
            at: self.standing.clock.elapsed(),
            one_shot: false,
            leeway: self.own.leeway,
        });
        self.verified.insert(fingerprint, verified.clone());
        Ok(verified)
    }

    /// Looks at the signature, in turn.
    async fn check(
        &self,
        (compact, rules): (&Compact<'_>, &IssuerRules),
        set: &KeySet,
        source: Option<IpAddr>,
    ) -> Result<Principal, Unproven> {
        let _turn = self.turns.take(source).await.ok_or(Unproven::Crowded)?;
        Ok(verify(compact, rules, set, self.standing.clock.now())?)
    }
}
