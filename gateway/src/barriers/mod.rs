//! Epochs, locks and used one-shot proofs, as they survive a restart.
//!
//! The rules are [`symbolon_core::barrier`]'s; this keeps them in the store and hands out what is
//! current. [`OnceSet`] is apart from it: epochs and locks are few and asked on every request, so
//! they lie in memory behind one atomic pointer; used proofs are many and asked once each, so they
//! stay in the store.
//!
//! INVARIANT: a change is durable before the call that makes it returns, and is asked from the next
//! request on.
//!
//! INVARIANT: in doubt, the stricter state holds. If the store does not say whether an epoch or a lock
//! became durable, it is in force until the next start all the same, and the caller is told to try
//! again; a lock is taken away only when its removal is durable.

mod once;
mod withdrawn;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use symbolon_core::barrier::{Barred, Barriers, Lock, Locked, Scope};
use symbolon_core::clock::{Clock, Timestamp};
use symbolon_core::error::Kind;
use symbolon_core::id::IssuerAlias;
use symbolon_core::principal::{Identity, Principal};

use crate::store::record::{Record, decode, encode};
use crate::store::{Key, Namespace, Span, Store, StoreError, Transaction, read_all};

pub use once::{MAX_LIFE, OnceError, OnceSet};
pub use withdrawn::{Withdrawn, WithdrawnError};

/// How far ahead of our clock an epoch may lie. Leeways are smaller; a slip of the keyboard that would
/// lock everyone out until next year is not.
const MAX_AHEAD: Duration = Duration::from_hours(1);
/// How often a change is tried again that another node was quicker with.
const TRIES: u32 = 5;

/// Why a barrier was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BarrierError {
    /// An epoch in the future, beyond any leeway.
    #[error("the epoch lies more than an hour in the future")]
    TooFarAhead,
    /// The store refuses, or leaves open whether it took it.
    #[error("the store did not take the change")]
    Store(#[from] StoreError),
}

impl BarrierError {
    /// What the caller is told.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::TooFarAhead => Kind::Malformed,
            Self::Store(cause) => cause.kind(),
        }
    }

    /// Whether it may be durable all the same: then the stricter state is in force.
    #[must_use]
    pub fn leaves_doubt(&self) -> bool {
        match self {
            Self::TooFarAhead => false,
            Self::Store(cause) => cause.leaves_doubt(),
        }
    }

    /// The stable code in audit records.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooFarAhead => "epoch_too_far_ahead",
            Self::Store(cause) => cause.code(),
        }
    }
}

/// Whoever keeps something that barriers may stand against.
pub trait Follower: Send + Sync {
    /// The barriers have changed: what they stand against now is to be let go of. Must not block.
    fn barred(&self);
}

/// Whether the principal may pass now with the proof that it has shown: nothing stands against it, and
/// no access token of ours that it was shown by was withdrawn.
///
/// # Errors
/// [`Barred`] names what is in the way.
pub fn admits(
    barriers: &DurableBarriers,
    withdrawn: &Withdrawn,
    principal: &Principal,
) -> Result<(), Barred> {
    let session = principal.proof().session.as_ref();
    if session.is_some_and(|session| withdrawn.has(&session.family)) {
        return Err(Barred::Withdrawn);
    }
    barriers.admits(principal)
}

/// The barriers in force, and the way to change them.
pub struct DurableBarriers {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    current: ArcSwap<Barriers>,
    /// Changes come one at a time; requests never wait for them.
    changes: tokio::sync::Mutex<()>,
    /// Who is told of them; each until it is gone.
    followers: Mutex<Vec<Weak<dyn Follower>>>,
}

impl fmt::Debug for DurableBarriers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DurableBarriers").field("current", &self.current).finish_non_exhaustive()
    }
}

impl DurableBarriers {
    /// Loads what is in the store.
    ///
    /// # Errors
    /// [`BarrierError::Store`] if it cannot be read.
    pub async fn open(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Result<Self, BarrierError> {
        let current = ArcSwap::from_pointee(load(&*store).await?);
        let (changes, followers) = (tokio::sync::Mutex::new(()), Mutex::default());
        Ok(Self { store, clock, current, changes, followers })
    }

    /// Has `follower` told of every change from now on, for as long as it is there.
    pub fn follow(&self, follower: Weak<dyn Follower>) {
        let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        followers.retain(|follower| follower.strong_count() > 0);
        followers.push(follower);
    }

    /// Whether the principal may pass now. Asked on every use of a proof.
    ///
    /// # Errors
    /// [`Barred`] names the barrier in the way.
    pub fn admits(&self, principal: &Principal) -> Result<(), Barred> {
        self.current.load().admits(principal)
    }

    /// The barriers at this moment.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Barriers> {
        self.current.load_full()
    }

    /// Refuses what was issued to `scope` at or before `epoch`. An epoch never falls: the one in force
    /// afterwards is returned. Not cancel-safe.
    ///
    /// # Errors
    /// [`BarrierError::TooFarAhead`], and [`BarrierError::Store`]: then it may be in force or not
    /// after the next start, and is until then.
    pub async fn raise(&self, scope: Scope, epoch: Timestamp) -> Result<Timestamp, BarrierError> {
        self.raise_with(scope, epoch, Transaction::new()).await
    }

    /// As [`DurableBarriers::raise`], with what has to become durable in the same step: the order to
    /// end what the epoch stands against.
    ///
    /// # Errors
    /// As [`DurableBarriers::raise`].
    pub async fn raise_with(
        &self,
        scope: Scope,
        epoch: Timestamp,
        beside: Transaction,
    ) -> Result<Timestamp, BarrierError> {
        if epoch > self.clock.now().plus(MAX_AHEAD) {
            return Err(BarrierError::TooFarAhead);
        }
        let _one_at_a_time = self.changes.lock().await;
        let written = self.write_epoch(&scope, epoch, &beside).await;
        let raised = written.as_ref().copied().unwrap_or(epoch);
        if written.as_ref().err().is_none_or(StoreError::leaves_doubt) {
            self.change(|barriers| barriers.raise(scope, raised));
        }
        Ok(written?)
    }

    /// Locks a principal or an issuer, whatever it shows. Not cancel-safe.
    ///
    /// # Errors
    /// [`BarrierError::Store`]: then it may be in force or not after the next start, and is until then.
    pub async fn lock(&self, locked: Locked, by: &str, reason: &str) -> Result<(), BarrierError> {
        self.lock_with(locked, (by, reason), Transaction::new()).await
    }

    /// As [`DurableBarriers::lock`], with what has to become durable in the same step.
    ///
    /// # Errors
    /// As [`DurableBarriers::lock`].
    pub async fn lock_with(
        &self,
        locked: Locked,
        (by, reason): (&str, &str),
        beside: Transaction,
    ) -> Result<(), BarrierError> {
        let since = self.clock.now();
        let lock = Lock { since, by: by.to_owned(), reason: reason.to_owned() };
        let _one_at_a_time = self.changes.lock().await;
        let record = LockRecord { whom: Whom::from(&locked), lock: lock.clone() };
        let write = beside.put(lock_key(&locked), encode(&record)?);
        let written = self.store.commit(write).await;
        if written.as_ref().err().is_none_or(StoreError::leaves_doubt) {
            self.change(|barriers| barriers.lock(locked, lock));
        }
        Ok(written?)
    }

    /// Takes a lock away; says whether there was one. Not cancel-safe.
    ///
    /// # Errors
    /// [`BarrierError::Store`]: then the lock stays in force.
    pub async fn unlock(&self, locked: &Locked) -> Result<bool, BarrierError> {
        let _one_at_a_time = self.changes.lock().await;
        self.store.commit(Transaction::new().delete(lock_key(locked))).await?;
        let was_locked = self.current.load().lock_of(locked).is_some();
        self.change(|barriers| barriers.unlock(locked));
        Ok(was_locked)
    }

    /// Reads the store again: what another node changed comes into force.
    ///
    /// # Errors
    /// [`BarrierError::Store`]; then what is in force stays.
    pub async fn reload(&self) -> Result<(), BarrierError> {
        let _one_at_a_time = self.changes.lock().await;
        self.put_in_force(load(&*self.store).await?);
        Ok(())
    }

    async fn write_epoch(
        &self,
        scope: &Scope,
        epoch: Timestamp,
        beside: &Transaction,
    ) -> Result<Timestamp, StoreError> {
        let key = Namespace::Epoch.key(epoch_tail(scope));
        let mut conflict = StoreError::Closed;
        for _ in 0..TRIES {
            let before = self.store.get(&key).await?;
            let stored = before.as_deref().map(decode::<EpochRecord>).transpose()?;
            let raised = stored.map_or(epoch, |record| record.epoch.max(epoch));
            let record = EpochRecord { whom: Whom::of(scope), epoch: raised };
            let write = beside.clone().expect_unchanged(key.clone(), before);
            match self.store.commit(write.put(key.clone(), encode(&record)?)).await {
                Err(error @ StoreError::Conflict(_)) => conflict = error,
                settled => return settled.map(|()| raised),
            }
        }
        Err(conflict)
    }

    fn change(&self, change: impl FnOnce(&mut Barriers)) {
        let mut next = Barriers::clone(&self.current.load());
        change(&mut next);
        self.put_in_force(next);
    }

    fn put_in_force(&self, barriers: Barriers) {
        self.current.store(Arc::new(barriers));
        let followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        followers.iter().filter_map(Weak::upgrade).for_each(|follower| follower.barred());
    }
}

async fn load(store: &dyn Store) -> Result<Barriers, StoreError> {
    let mut barriers = Barriers::default();
    for (_, bytes) in read_all(store, Span::all(Namespace::Epoch)).await? {
        let record = decode::<EpochRecord>(&bytes)?;
        barriers.raise(record.whom.map_or(Scope::Global, Whom::into_scope), record.epoch);
    }
    for (_, bytes) in read_all(store, Span::all(Namespace::Lock)).await? {
        let record = decode::<LockRecord>(&bytes)?;
        barriers.lock(record.whom.into_locked(), record.lock);
    }
    Ok(barriers)
}

/// An issuer, or one of its principals.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whom {
    issuer: IssuerAlias,
    subject: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EpochRecord {
    /// Everyone, if `None`.
    whom: Option<Whom>,
    epoch: Timestamp,
}

impl Record for EpochRecord {
    const VERSION: u8 = 1;
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockRecord {
    whom: Whom,
    lock: Lock,
}

impl Record for LockRecord {
    const VERSION: u8 = 1;
}

impl Whom {
    fn of(scope: &Scope) -> Option<Self> {
        match scope {
            Scope::Global => None,
            Scope::Issuer(issuer) => Some(Self { issuer: issuer.clone(), subject: None }),
            Scope::Principal(who) => Some(Self::principal(who)),
        }
    }

    fn principal(who: &Identity) -> Self {
        Self { issuer: who.issuer.clone(), subject: Some(who.subject.clone()) }
    }

    fn into_scope(self) -> Scope {
        match self.subject {
            None => Scope::Issuer(self.issuer),
            Some(subject) => Scope::Principal(Identity { issuer: self.issuer, subject }),
        }
    }

    fn into_locked(self) -> Locked {
        match self.subject {
            None => Locked::Issuer(self.issuer),
            Some(subject) => Locked::Principal(Identity { issuer: self.issuer, subject }),
        }
    }

    /// Issuer, zero, and the digest of the subject, since a subject may be longer than a key.
    fn tail(&self) -> Vec<u8> {
        let subject = self.subject.as_deref().map(|text| digest(&SHA256, text.as_bytes()));
        let subject = subject.as_ref().map_or(&[][..], AsRef::as_ref);
        [self.issuer.as_str().as_bytes(), &[0], subject].concat()
    }
}

impl From<&Locked> for Whom {
    fn from(locked: &Locked) -> Self {
        match locked {
            Locked::Issuer(issuer) => Self { issuer: issuer.clone(), subject: None },
            Locked::Principal(who) => Self::principal(who),
        }
    }
}

/// No issuer is called `*`.
fn epoch_tail(scope: &Scope) -> Vec<u8> {
    Whom::of(scope).map_or_else(|| b"*".to_vec(), |whom| whom.tail())
}

fn lock_key(locked: &Locked) -> Key {
    Namespace::Lock.key(Whom::from(locked).tail())
}
