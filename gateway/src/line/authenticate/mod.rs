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
};

pub use fetch::{FetchError, KeySource, Way};
pub use keys::{Freshness, KeySettings, Keys};

use self::turns::Turns;
use crate::barriers::{DurableBarriers, OnceError, OnceSet};
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
    standing: Standing,
}

/// What outlives a generation of the configuration.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Epochs and locks.
    pub barriers: Arc<DurableBarriers>,
    /// One-shot tokens seen.
    pub replays: Arc<OnceSet>,
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
    /// An authenticator over issuers and their keys; `remember_for` is cut to 60 s.
    #[must_use]
    pub fn new(
        issuers: Issuers,
        keys: HashMap<IssuerAlias, Arc<Keys>>,
        remember_for: Duration,
        standing: Standing,
    ) -> Self {
        let remember_for = remember_for.min(Duration::from_secs(60));
        let verified = Cache::builder().max_capacity(REMEMBERED).time_to_live(remember_for).build();
        Self { issuers, keys, verified, remember_for, turns: Turns::new(), standing }
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

    /// Whether the principal may act: no lock on it or its issuer, and no epoch after its proof.
    /// Asked on every request.
    ///
    /// # Errors
    /// [`Barred`] says what stands against it.
    pub fn admits(&self, principal: &Principal) -> Result<(), Barred> {
        self.standing.barriers.admits(principal)
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
        let current = self.keys.get(&principal.identity().issuer)?.current()?;
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
        let rules = self.issuers.select(&compact)?;
        let keys = self.keys.get(&rules.alias).ok_or(Unproven::NoKeys)?;
        let set = keys.first().await.ok_or(Unproven::NoKeys)?;
        // Keys are waited for between turns, never within one.
        let (principal, set) = match self.check((&compact, rules), &set, source).await {
            Err(Unproven::Token(Refusal::UnknownKey)) => {
                let newer = keys.after_unknown_key(set.generation()).await;
                let set = newer.ok_or(Refusal::UnknownKey)?;
                (self.check((&compact, rules), &set, source).await?, set)
            }
            checked => (checked?, set),
        };
        let verified = Arc::new(Verified {
            principal: Arc::new(principal),
            generation: set.generation(),
            at: self.standing.clock.elapsed(),
            one_shot: rules.one_shot,
            leeway: rules.leeway,
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
