//! The gateway's own keys: made here, kept wrapped under the seal, rotated with overlap.
//!
//! | kind | what | who checks it |
//! |---|---|---|
//! | assertion | RS256, 2048 bits: the one algorithm that AWS, Google and Azure all take | clouds, through the published key set |
//! | access | EdDSA | ourselves and resource servers, through the other key set |
//! | audit | HMAC-SHA-256 over sensitive values in the audit log | ourselves, for as long as logs are kept |
//! | code | HMAC-SHA-256 over compiled components in the cache | ourselves |
//!
//! A signing key lives through **published** (in the key set, not yet used, so that caches learn of
//! it), **active** (signs), **retiring** (in the key set only, until the last thing it signed has
//! expired everywhere), and is then dropped. MAC keys skip the first. Rotation is due by age, or
//! ordered; a key that is known to others is replaced without overlap.
//!
//! INVARIANT: the two issuers share no key: no assertion passes for an access token, nor the other way.
//!
//! INVARIANT: of each kind there is exactly one active key, and what changes that is one durable
//! transaction. A key is durable before it signs.
//!
//! INVARIANT: the audience of an assertion is a [`TargetAudience`], which only configuration makes.
//!
//! Signing goes to aws-lc-rs directly and not through `jsonwebtoken`, which parses and validates the
//! RSA key again for each signature.

mod error;
mod key;
mod plan;
mod sign;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use serde_json::{Value, json};
use symbolon_core::clock::{Clock, Timestamp};
use symbolon_core::token::{Algorithm, KeySet};

use crate::seal::Seal;
use crate::store::record::{decode, encode};
use crate::store::{Key, Namespace, Span, Store, StoreError, Transaction, read_all};

pub use error::KeyringError;
pub use key::{Kind, MacKey, Stage};
pub use plan::{Policies, Policy};
pub use sign::{
    AccessSigner, AssertionLifetime, AssertionSigner, MoreClaims, SignError, Statement,
    TargetAudience, random_id,
};

use key::{Held, Material, Stored};
use plan::Step;

/// Numbers the key sets that access tokens are verified with.
static GENERATIONS: AtomicU64 = AtomicU64::new(1);

/// Most steps that one tick takes: a bound, where a fault in the plan would loop for ever.
const MAX_STEPS: u32 = 32;

/// How the keyring behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The issuer URL of assertions, as clouds have it configured.
    pub assertion_issuer: String,
    /// When which kind rotates.
    pub policies: Policies,
}

/// Every key of ours, and who may sign with which.
pub struct Keyring {
    store: Arc<dyn Store>,
    seal: Arc<Seal>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    ring: ArcSwap<Ring>,
    /// Changes come one at a time; readers never wait for them.
    changes: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("keys", &self.status()).finish_non_exhaustive()
    }
}

/// A key, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What for.
    pub kind: Kind,
    /// Its id; of a signing key the `kid`.
    pub id: String,
    /// Where in its life it is.
    pub stage: Stage,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Keyring {
    /// Loads the keys, makes those that are missing, wraps again what lies under a former seal key,
    /// and takes the steps that are due.
    ///
    /// # Errors
    /// [`KeyringError`] if a key cannot be opened, made or stored.
    pub async fn open(
        store: Arc<dyn Store>,
        seal: Arc<Seal>,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Result<Self, KeyringError> {
        let held = load(&*store, &seal).await?;
        let ring = ArcSwap::from_pointee(Ring::fill(&*store, &seal, held, clock.now()).await?);
        let changes = tokio::sync::Mutex::new(());
        let keyring = Self { store, seal, clock, settings, ring, changes };
        keyring.rewrap().await?;
        keyring.tick().await?;
        Ok(keyring)
    }

    /// Takes the rotation steps that are due. Called by the app from time to time (an hour is often
    /// enough). Returns whether anything changed. Not cancel-safe: a step may be durable and not yet
    /// in use; the next tick puts that right.
    ///
    /// # Errors
    /// [`KeyringError`]; what was in use stays in use.
    pub async fn tick(&self) -> Result<bool, KeyringError> {
        let _one_at_a_time = self.changes.lock().await;
        self.settle().await
    }

    /// Begins the rotation of a kind now. If one is under way already, nothing changes. Returns the id
    /// of the coming key.
    ///
    /// # Errors
    /// [`KeyringError`]; what was in use stays in use.
    pub async fn rotate(&self, kind: Kind) -> Result<String, KeyringError> {
        let _one_at_a_time = self.changes.lock().await;
        if let Some(coming) = self.ring.load().published(kind) {
            return Ok(coming);
        }
        let usable_from = self.clock.now().plus(self.settings.policies.of(kind).publish_ahead);
        let id = self.add(kind, Stage::Published { usable_from }, &[]).await?;
        self.settle().await?;
        Ok(id)
    }

    /// Replaces every key of a kind at once: for a key that others know. What it signed is worth
    /// nothing from now on, and caches of the key set are behind until they expire. Returns the id of
    /// the new key.
    ///
    /// # Errors
    /// [`KeyringError`]; what was in use stays in use.
    pub async fn replace(&self, kind: Kind) -> Result<String, KeyringError> {
        let _one_at_a_time = self.changes.lock().await;
        let since = self.clock.now();
        let ring = self.ring.load_full();
        let old = ring.of(kind).map(|held| held.stored.clone()).collect::<Vec<_>>();
        self.add(kind, Stage::Active { since }, &old).await
    }

    /// Signs assertions towards clouds.
    #[must_use]
    pub fn assertion_signer(&self) -> AssertionSigner {
        let key = Arc::clone(&self.ring.load().assertion);
        AssertionSigner::new(key, self.settings.assertion_issuer.clone())
    }

    /// Signs access tokens of our own.
    #[must_use]
    pub fn access_signer(&self) -> AccessSigner {
        AccessSigner::new(Arc::clone(&self.ring.load().access))
    }

    /// The key set that clouds fetch: `kty`, `n`, `e`, `kid`, `use`, `alg` and nothing else.
    #[must_use]
    pub fn assertion_jwks(&self) -> Value {
        self.ring.load().jwks(Kind::Assertion)
    }

    /// The key set of our access tokens.
    #[must_use]
    pub fn access_jwks(&self) -> Value {
        self.ring.load().jwks(Kind::Access)
    }

    /// The same, to verify with. Its generation is another after every change of our keys.
    #[must_use]
    pub fn access_keys(&self) -> Arc<KeySet> {
        Arc::clone(&self.ring.load().access_keys)
    }

    /// The key that hashes sensitive values in new audit records.
    #[must_use]
    pub fn current_audit_key(&self) -> Arc<MacKey> {
        Arc::clone(&self.ring.load().audit)
    }

    /// The audit key with this id, also a former one: to search older records.
    #[must_use]
    pub fn audit_key(&self, id: &str) -> Option<Arc<MacKey>> {
        self.ring.load().of(Kind::Audit).find(|held| held.stored.id == id).and_then(Held::mac)
    }

    /// Every audit key that is kept, the newest first: to search all records.
    #[must_use]
    pub fn audit_keys(&self) -> Vec<Arc<MacKey>> {
        let ring = self.ring.load();
        let mut keys: Vec<_> = ring.of(Kind::Audit).filter_map(Held::mac).collect();
        keys.reverse();
        keys
    }

    /// The key that authenticates compiled components in the cache.
    #[must_use]
    pub fn code_mac_key(&self) -> Arc<MacKey> {
        Arc::clone(&self.ring.load().code)
    }

    /// Every key and where in its life it is.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        let ring = self.ring.load();
        ring.keys.iter().map(|held| held.stored.status()).collect()
    }

    /// Takes steps until none is due. Another node may be at the same: then its step is taken over.
    async fn settle(&self) -> Result<bool, KeyringError> {
        for taken in 0..MAX_STEPS {
            let ring = self.ring.load_full();
            let now = self.clock.now();
            let Some((kind, step)) = plan::next(&ring.records(), &self.settings.policies, now)
            else {
                return Ok(taken > 0);
            };
            match self.take(kind, step, now).await {
                Err(KeyringError::Store(StoreError::Conflict(_))) => self.reload().await?,
                taken => taken?,
            }
        }
        Err(KeyringError::Unsettled)
    }

    async fn take(&self, kind: Kind, step: Step, now: Timestamp) -> Result<(), KeyringError> {
        match step {
            Step::Publish { usable_from } => {
                self.add(kind, Stage::Published { usable_from }, &[]).await.map(drop)
            }
            Step::Promote { coming, active, until } => {
                let write = change(Transaction::new(), &coming, Stage::Active { since: now })?;
                let write = change(write, &active, Stage::Retiring { until })?;
                self.apply(write).await
            }
            Step::Drop(gone) => self.apply(remove(Transaction::new(), &gone)?).await,
        }
    }

    /// Makes a key, in place of `instead_of`.
    async fn add(
        &self,
        kind: Kind,
        stage: Stage,
        instead_of: &[Stored],
    ) -> Result<String, KeyringError> {
        let stored = Stored::generate(kind, stage, &self.seal, self.clock.now()).await?;
        let mut write = create(Transaction::new(), &stored)?;
        for old in instead_of {
            write = remove(write, old)?;
        }
        self.apply(write).await?;
        tracing::info!(kind = kind.as_str(), id = stored.id, "made a key");
        Ok(stored.id)
    }

    async fn apply(&self, write: Transaction) -> Result<(), KeyringError> {
        self.store.commit(write).await?;
        self.reload().await
    }

    async fn reload(&self) -> Result<(), KeyringError> {
        let held = load(&*self.store, &self.seal).await?;
        self.ring.store(Arc::new(Ring::assemble(held)?));
        Ok(())
    }

    /// Brings every key under the current key of the seal.
    async fn rewrap(&self) -> Result<(), KeyringError> {
        let mut write = Transaction::new();
        let mut changed = false;
        for held in &self.ring.load_full().keys {
            if let Some(stored) = held.stored.rewrapped(&self.seal)? {
                let (key, before) = (held.stored.key(), encode(&held.stored)?);
                write = write.expect_equals(key.clone(), before).put(key, encode(&stored)?);
                changed = true;
            }
        }
        if changed { self.apply(write).await } else { Ok(()) }
    }
}

async fn load(store: &dyn Store, seal: &Seal) -> Result<Vec<Arc<Held>>, KeyringError> {
    let records = read_all(store, Span::all(Namespace::Key)).await?;
    records.iter().map(|(_, bytes)| decode::<Stored>(bytes)?.open(seal).map(Arc::new)).collect()
}

fn create(write: Transaction, stored: &Stored) -> Result<Transaction, KeyringError> {
    let key = stored.key();
    Ok(write.expect_absent(key.clone()).put(key, encode(stored)?))
}

fn change(write: Transaction, stored: &Stored, stage: Stage) -> Result<Transaction, KeyringError> {
    let after = Stored { stage, ..stored.clone() };
    Ok(write.expect_equals(stored.key(), encode(stored)?).put(stored.key(), encode(&after)?))
}

fn remove(write: Transaction, stored: &Stored) -> Result<Transaction, KeyringError> {
    Ok(write.expect_equals(stored.key(), encode(stored)?).delete(stored.key()))
}

/// The keys in use at one moment.
struct Ring {
    keys: Vec<Arc<Held>>,
    assertion: Arc<key::SigningKey>,
    access: Arc<key::SigningKey>,
    access_keys: Arc<KeySet>,
    audit: Arc<MacKey>,
    code: Arc<MacKey>,
}

impl Ring {
    /// Makes the first key of each kind that has none: nobody has cached a key set without it, so it
    /// is active at once.
    async fn fill(
        store: &dyn Store,
        seal: &Seal,
        mut held: Vec<Arc<Held>>,
        now: Timestamp,
    ) -> Result<Self, KeyringError> {
        for kind in Kind::ALL {
            if held.iter().all(|held| held.stored.kind != kind) {
                let stage = Stage::Active { since: now };
                let stored = Stored::generate(kind, stage, seal, now).await?;
                store.commit(create(Transaction::new(), &stored)?).await?;
                held.push(Arc::new(stored.open(seal)?));
            }
        }
        Self::assemble(held)
    }

    fn assemble(mut keys: Vec<Arc<Held>>) -> Result<Self, KeyringError> {
        keys.sort_by(|one, other| one.stored.order().cmp(&other.stored.order()));
        let active = |kind: Kind| {
            let mut found = keys.iter().filter(|held| held.stored.is_active(kind));
            match (found.next(), found.next()) {
                (Some(held), None) => Ok(Arc::clone(held)),
                _ => Err(KeyringError::NotOneActive(kind)),
            }
        };
        let signing = |kind| active(kind)?.signing().ok_or(KeyringError::NotOneActive(kind));
        let mac = |kind| active(kind)?.mac().ok_or(KeyringError::NotOneActive(kind));
        let (assertion, access) = (signing(Kind::Assertion)?, signing(Kind::Access)?);
        let (audit, code) = (mac(Kind::Audit)?, mac(Kind::Code)?);
        let set = jwks(keys.iter().map(|held| &**held), Kind::Access).to_string();
        let generation = GENERATIONS.fetch_add(1, Ordering::Relaxed);
        let set = KeySet::parse(set.as_bytes(), &[Algorithm::EdDsa], generation);
        let access_keys = Arc::new(set.map_err(|_| KeyringError::NotOneActive(Kind::Access))?);
        Ok(Self { keys, assertion, access, access_keys, audit, code })
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &Held> {
        self.keys.iter().map(|held| &**held).filter(move |held| held.stored.kind == kind)
    }

    fn records(&self) -> Vec<Stored> {
        self.keys.iter().map(|held| held.stored.clone()).collect()
    }

    fn published(&self, kind: Kind) -> Option<String> {
        let mut of_kind = self.of(kind);
        let coming = of_kind.find(|held| matches!(held.stored.stage, Stage::Published { .. }));
        coming.map(|held| held.stored.id.clone())
    }

    /// Published, active and retiring keys alike: what verifies is not for us to sort.
    fn jwks(&self, kind: Kind) -> Value {
        jwks(self.of(kind), kind)
    }
}

fn jwks<'a>(keys: impl Iterator<Item = &'a Held>, kind: Kind) -> Value {
    let keys = keys.filter(|held| held.stored.kind == kind);
    let keys = keys.filter_map(|held| match &held.material {
        Material::Signing(key) => Some(key.jwk().clone()),
        Material::Mac(_) => None,
    });
    json!({ "keys": keys.collect::<Vec<_>>() })
}

/// The store's key of a keyring record.
fn record_key(kind: Kind, id: &str) -> Key {
    Namespace::Key.key(format!("{}/{id}", kind.as_str()))
}
