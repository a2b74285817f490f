//! One-shot proofs that have been used.
//!
//! INVARIANT: of any number of identical proofs, at the same moment or across restarts, exactly one is
//! accepted. The first to be durable wins; who cannot be told is refused.
//!
//! INVARIANT: forgetting is never believed to be innocence. Entries are swept when they have expired,
//! and the moment up to which was swept is recorded in the same transaction. Every proof that ends at
//! or before that mark is refused unseen, so that a clock which steps back cannot bring a swept proof
//! to life again. Each insertion expects the mark it was checked against.
//!
//! A clock that jumps *ahead* would raise the mark and refuse honest proofs after it has come back. So
//! the sweep's time never runs faster than the monotonic clock, until a jump has lasted for longer
//! than any proof lives. What the clock shows at the start is believed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use symbolon_core::clock::{Clock, Timestamp};
use symbolon_core::error::Kind;
use symbolon_core::id::IssuerAlias;

use super::TRIES;
use crate::store::record::{Record, decode, encode};
use crate::store::{Key, Namespace, Span, Store, StoreError, Transaction};

/// Longest life of a one-shot proof. It bounds the set, and how long a jump of the clock is doubted.
pub const MAX_LIFE: Duration = Duration::from_hours(24);
/// Most entries that one sweep takes: two operations each, and one for the mark.
const SWEEP_LIMIT: usize = 1000;
/// A clock that is corrected by less runs, one that is corrected by more jumps.
const SLEW: Duration = Duration::from_secs(5);

/// Why a one-shot proof is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OnceError {
    /// It was used before.
    #[error("the proof was used before")]
    Replayed,
    /// It ends before the moment up to which used proofs were forgotten.
    #[error("the proof is older than what is remembered of used ones")]
    Forgotten,
    /// It lives longer than used proofs are remembered.
    #[error("the proof lives too long to be used once")]
    TooLong,
    /// The store does not answer, or too many ask at once.
    #[error("used proofs cannot be remembered")]
    Store(#[from] StoreError),
}

impl OnceError {
    /// What the caller is told.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Replayed | Self::Forgotten | Self::TooLong => Kind::Unauthenticated,
            Self::Store(StoreError::Conflict(_)) => Kind::Unavailable,
            Self::Store(cause) => cause.kind(),
        }
    }

    /// The stable code in audit records.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Replayed => "replayed",
            Self::Forgotten => "replay_forgotten",
            Self::TooLong => "replay_too_long",
            Self::Store(cause) => cause.code(),
        }
    }
}

/// When a used proof may be forgotten; also the record of the mark.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Moment(Timestamp);

impl Record for Moment {
    const VERSION: u8 = 1;
}

/// Up to when used proofs have been forgotten, as this node knows it.
#[derive(Debug, Default)]
struct Mark {
    bytes: Option<Vec<u8>>,
    until: Option<Timestamp>,
}

/// The set of used one-shot proofs.
#[derive(Debug)]
pub struct OnceSet {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    mark: ArcSwap<Mark>,
    steady: Mutex<Steady>,
}

impl OnceSet {
    /// Opens the set in `store`.
    ///
    /// # Errors
    /// [`OnceError::Store`] if it cannot be read.
    pub async fn open(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Result<Self, OnceError> {
        let mark = ArcSwap::from_pointee(read_mark(&*store).await?);
        let steady = Mutex::new(Steady::at(clock.now(), clock.elapsed()));
        Ok(Self { store, clock, mark, steady })
    }

    /// Accepts a proof if it was never accepted before, durably. `digest` is that of the signing input
    /// (never of the whole token, whose signature can be written in several ways); `expires` is when
    /// verification begins to refuse it, leeway included. To be called after every other check and
    /// before anything happens. Not cancel-safe: a proof whose caller hung up may count as used.
    ///
    /// # Errors
    /// [`OnceError`]: in every case the proof must not be accepted.
    pub async fn remember(
        &self,
        issuer: &IssuerAlias,
        digest: &[u8; 32],
        expires: Timestamp,
    ) -> Result<(), OnceError> {
        if expires.since(self.clock.now()) > MAX_LIFE {
            return Err(OnceError::TooLong);
        }
        let seen = Namespace::OnceSeen.key(seen_tail(issuer, digest));
        let due = due_key(expires, seen.tail());
        let value = encode(&Moment(expires))?;
        let mut conflict = StoreError::Closed;
        for _ in 0..TRIES {
            let mark = self.mark.load_full();
            if mark.until.is_some_and(|until| expires <= until) {
                return Err(OnceError::Forgotten);
            }
            let write = Transaction::new()
                .expect_absent(seen.clone())
                .expect_unchanged(mark_key(), mark.bytes.clone())
                .put(seen.clone(), value.clone())
                .put(due.clone(), Vec::new());
            match self.store.commit(write).await {
                Err(StoreError::Conflict(key)) if key == seen => return Err(OnceError::Replayed),
                // A sweep was quicker: look at what it has left.
                Err(error @ StoreError::Conflict(_)) => conflict = error,
                settled => return Ok(settled?),
            }
            self.reload_mark().await?;
        }
        Err(conflict.into())
    }

    /// Forgets some of what has expired, and says how many: if it was a thousand, there may be more.
    /// Called by the app every minute or so.
    ///
    /// # Errors
    /// [`OnceError::Store`]; nothing is forgotten then.
    pub async fn sweep(&self) -> Result<usize, OnceError> {
        let now = self.steady_now();
        // What ends at `now` exactly is left for the next sweep.
        let due = Span::all(Namespace::OnceDue).before(time(now));
        let expired = self.store.scan(due, SWEEP_LIMIT).await?.entries;
        if expired.is_empty() {
            return Ok(0);
        }
        let mark = self.mark.load_full();
        let until = mark.until.map_or(now, |until| until.max(now));
        let mut write = Transaction::new()
            .expect_unchanged(mark_key(), mark.bytes.clone())
            .put(mark_key(), encode(&Moment(until))?);
        for (key, _) in &expired {
            let seen = key.tail().get(8..).unwrap_or_default();
            write = write.delete(key.clone()).delete(Namespace::OnceSeen.key(seen));
        }
        let outcome = self.store.commit(write).await;
        self.reload_mark().await?;
        match outcome {
            // Another node sweeps.
            Err(StoreError::Conflict(_)) => Ok(0),
            settled => Ok(settled.map(|()| expired.len())?),
        }
    }

    async fn reload_mark(&self) -> Result<(), StoreError> {
        self.mark.store(Arc::new(read_mark(&*self.store).await?));
        Ok(())
    }

    fn steady_now(&self) -> Timestamp {
        let mut steady = self.steady.lock().unwrap_or_else(PoisonError::into_inner);
        steady.read(self.clock.now(), self.clock.elapsed())
    }
}

async fn read_mark(store: &dyn Store) -> Result<Mark, StoreError> {
    let bytes = store.get(&mark_key()).await?;
    let until = bytes.as_deref().map(decode::<Moment>).transpose()?.map(|Moment(until)| until);
    Ok(Mark { bytes, until })
}

fn mark_key() -> Key {
    Namespace::Meta.key("once-swept")
}

fn seen_tail(issuer: &IssuerAlias, digest: &[u8; 32]) -> Vec<u8> {
    [issuer.as_str().as_bytes(), &[0], digest].concat()
}

fn due_key(expires: Timestamp, seen: &[u8]) -> Key {
    Namespace::OnceDue.key([&time(expires), seen].concat())
}

fn time(at: Timestamp) -> [u8; 8] {
    u64::try_from(at.millis()).unwrap_or(0).to_be_bytes()
}

/// Wall-clock time that goes back when the clock does, but ahead no faster than time passes.
#[derive(Debug)]
struct Steady {
    wall: Timestamp,
    elapsed: Duration,
    /// Since when, in elapsed time, the clock has been ahead.
    ahead_since: Option<Duration>,
}

impl Steady {
    fn at(wall: Timestamp, elapsed: Duration) -> Self {
        Self { wall, elapsed, ahead_since: None }
    }

    fn read(&mut self, wall: Timestamp, elapsed: Duration) -> Timestamp {
        let expected = self.wall.plus(elapsed.saturating_sub(self.elapsed));
        if wall.since(expected) > SLEW {
            let since = *self.ahead_since.get_or_insert(elapsed);
            if elapsed.saturating_sub(since) < MAX_LIFE {
                return expected;
            }
        }
        *self = Self::at(wall, elapsed);
        wall
    }
}
