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

mod certificates;
mod examine;
mod fetch;
mod keys;
mod online;
mod review;
mod sts;
mod turns;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use symbolon_core::barrier::Barred;
use symbolon_core::certificate::CertificateRefusal;
use symbolon_core::clock::Clock;
use symbolon_core::error::Kind;
use symbolon_core::id::IssuerAlias;
use symbolon_core::principal::Principal;
use symbolon_core::signed::SignedRefusal;
use symbolon_core::token::{
    Compact, IssuerRules, Issuers, KeySet, MAX_TOKEN_BYTES, Refusal, fingerprint, verify,
    verify_own,
};

pub use examine::{Examination, Step, Verdict};
pub use fetch::{FetchError, KeySource, Way};
pub use keys::{Freshness, KeySettings, Keys};
pub use online::OnlineError;
pub use review::Reviewer;
pub use sts::Sts;

pub(crate) use self::online::Answers;
use self::turns::Turns;
use crate::barriers::{self, DurableBarriers, OnceError, OnceSet, Withdrawn, WithdrawnError};
use crate::keyring::Keyring;
use crate::listen::ClientCertificates;
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
    /// The signed request is refused.
    #[error("the signed request is refused")]
    Signed(#[from] SignedRefusal),
    /// The client certificate is refused.
    #[error("the client certificate is refused")]
    Certificate(#[from] CertificateRefusal),
    /// Who vouches for the proof could not be asked.
    #[error("who vouches for it could not be asked")]
    Online(#[from] OnlineError),
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
            Self::Signed(refusal) => refusal.kind(),
            Self::Certificate(refusal) => refusal.kind(),
            Self::Online(error) => error.kind(),
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
            Self::Signed(refusal) => refusal.code(),
            Self::Certificate(refusal) => refusal.code(),
            Self::Online(error) => error.code(),
            Self::Replay(error) => error.code(),
        }
    }
}

/// What a request shows of who sends it. None of it is proven.
#[derive(Clone, Copy)]
pub enum Proof<'a> {
    /// A token.
    Bearer(&'a str),
    /// A signed `sts:GetCallerIdentity` request, as [`SignedRequest::parse`] reads it.
    ///
    /// [`SignedRequest::parse`]: symbolon_core::signed::SignedRequest::parse
    Signed(&'a str),
    /// The certificates of the connection.
    Certificate(&'a ClientCertificates),
}

/// Of which kind, and nothing of what is shown.
impl std::fmt::Debug for Proof<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer",
            Self::Signed(_) => "Signed",
            Self::Certificate(_) => "Certificate",
        })
    }
}

impl<'a> From<&'a str> for Proof<'a> {
    fn from(token: &'a str) -> Self {
        Self::Bearer(token)
    }
}

impl<'a> From<&'a String> for Proof<'a> {
    fn from(token: &'a String) -> Self {
        Self::Bearer(token)
    }
}

/// Who can be asked about proofs that no key verifies here.
#[derive(Debug, Default)]
pub struct Online {
    /// STS, for the issuers of signed requests.
    pub sts: HashMap<IssuerAlias, Sts>,
    /// Clusters that are asked about their tokens.
    pub reviewers: HashMap<IssuerAlias, Reviewer>,
}

/// What makes principals of proofs, for one generation of the configuration.
#[derive(Debug)]
pub struct Authenticator {
    issuers: Issuers,
    keys: HashMap<IssuerAlias, Arc<Keys>>,
    verified: Cache<[u8; 32], Arc<Verified>>,
    remember_for: Duration,
    turns: Turns,
    /// Whose question to somebody else is put next.
    asking: Turns,
    online: Online,
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
        let (turns, asking, online) = (Turns::new(), Turns::outward(), Online::default());
        Self { issuers, keys, verified, remember_for, turns, asking, online, own, standing }
    }

    /// The same, with those who can be asked.
    #[must_use]
    pub fn asking(self, online: Online) -> Self {
        Self { online, ..self }
    }

    /// The keys of each issuer.
    #[must_use]
    pub fn keys(&self) -> &HashMap<IssuerAlias, Arc<Keys>> {
        &self.keys
    }

    /// Proves who shows `proof`, and from where.
    ///
    /// Cancel-safe, but for a one-shot proof, which may then count as used.
    ///
    /// # Errors
    /// [`Unproven`] says why there is no principal.
    pub async fn prove<'a>(
        &self,
        proof: impl Into<Proof<'a>>,
        source: Option<IpAddr>,
    ) -> Result<Arc<Principal>, Unproven> {
        let verified = match proof.into() {
            Proof::Bearer(token) => self.prove_token(token, source).await?,
            Proof::Signed(text) => Box::pin(self.prove_signed(text, source)).await?,
            Proof::Certificate(shown) => self.prove_certificate(shown, source).await?,
        };
        if verified.one_shot {
            self.use_up(&verified).await?;
        }
        Ok(verified.principal.clone())
    }

    async fn prove_token(
        &self,
        token: &str,
        source: Option<IpAddr>,
    ) -> Result<Arc<Verified>, Unproven> {
        let fingerprint = fingerprint(token);
        match self.recall(&fingerprint) {
            Some(verified) => Ok(verified),
            None => self.verify(token, fingerprint, source).await,
        }
    }

    /// Who shows `proof`, if it was verified a moment ago and is good more than once: no signature
    /// is looked at and nothing is waited for.
    #[must_use]
    pub fn known<'a>(&self, proof: impl Into<Proof<'a>>) -> Option<Arc<Principal>> {
        let verified = match proof.into() {
            Proof::Bearer(token) => self.recall(&fingerprint(token))?,
            Proof::Signed(_) => return None,
            Proof::Certificate(shown) => return self.known_certificate(shown),
        };
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
                let verified = self.verify_own(&compact, source).await;
                verified.map(|verified| self.keep(fingerprint, verified))
            }
            (None, _) => return Ok(None),
        };
        match found.map(|verified| verified.principal.clone()) {
            Ok(principal) => {
                let is_own = principal.proof().session.is_some();
                Ok((is_own && self.admits(&principal).is_ok()).then_some(principal))
            }
            Err(crowded @ Unproven::Crowded) => Err(crowded),
            Err(
                Unproven::Token(_)
                | Unproven::NoKeys
                | Unproven::Signed(_)
                | Unproven::Certificate(_)
                | Unproven::Online(_)
                | Unproven::Replay(_),
            ) => Ok(None),
        }
    }

    /// Whether the principal may act: no lock on it or its issuer, and no epoch after its proof.
    /// Asked on every request.
    ///
    /// # Errors
    /// [`Barred`] says what stands against it.
    pub fn admits(&self, principal: &Principal) -> Result<(), Barred> {
        barriers::admits(&self.standing.barriers, &self.standing.withdrawn, principal)
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
        let verified = Box::pin(self.establish((token, &compact), source)).await?;
        Ok(self.keep(fingerprint, verified))
    }

    /// Remembers what was verified.
    fn keep(&self, fingerprint: [u8; 32], verified: Verified) -> Arc<Verified> {
        let verified = Arc::new(verified);
        self.verified.insert(fingerprint, verified.clone());
        verified
    }

    /// Looks at everything that a token shows, with the keys in force and newer ones if need be.
    async fn establish(
        &self,
        (token, compact): (&str, &Compact<'_>),
        source: Option<IpAddr>,
    ) -> Result<Verified, Unproven> {
        if compact.issuer() == Ok(&self.own.issuer) {
            return self.verify_own(compact, source).await;
        }
        let rules = self.issuers.select(compact)?;
        let keys = self.keys.get(&rules.alias).ok_or(Unproven::NoKeys)?;
        let set = keys.first().await.ok_or(Unproven::NoKeys)?;
        let reviewer = self.online.reviewers.get(&rules.alias);
        if let Some(reviewer) = reviewer.filter(|_| set.is_empty()) {
            let principal = self.review((token, compact), rules, reviewer, source).await?;
            return Ok(self.verified_by(principal, &set, rules));
        }
        // Keys are waited for between turns, never within one.
        let (principal, set) = match self.check((compact, rules), &set, source).await {
            Err(Unproven::Token(Refusal::UnknownKey)) => {
                let newer = keys.after_unknown_key(set.generation()).await;
                let set = newer.ok_or(Refusal::UnknownKey)?;
                (self.check((compact, rules), &set, source).await?, set)
            }
            checked => (checked?, set),
        };
        // Where there are keys and a reviewer, both must agree.
        let principal = match reviewer {
            Some(reviewer) => self.review((token, compact), rules, reviewer, source).await?,
            None => principal,
        };
        Ok(self.verified_by(principal, &set, rules))
    }

    fn verified_by(&self, principal: Principal, set: &KeySet, rules: &IssuerRules) -> Verified {
        Verified {
            principal: Arc::new(principal),
            generation: set.generation(),
            at: self.standing.clock.elapsed(),
            one_shot: rules.one_shot,
            leeway: rules.leeway,
        }
    }

    /// An access token of our own: our keys are always there.
    async fn verify_own(
        &self,
        compact: &Compact<'_>,
        source: Option<IpAddr>,
    ) -> Result<Verified, Unproven> {
        let set = self.standing.keyring.access_keys();
        let _turn = self.turns.take(source).await.ok_or(Unproven::Crowded)?;
        let now = self.standing.clock.now();
        let principal = verify_own(compact, &self.own, &set, &self.issuers, now)?;
        Ok(self.verified_by(principal, &set, &self.own))
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
