//! Whether this store is the living one, and whether the clock can be believed.
//!
//! A store that was restored from a backup knows leases that were renewed since, and none of those
//! that were issued since; a clock that jumped makes everything look due. In both cases acting on the
//! ledger would end what is in use. So the ledger is *held*: nothing is revoked and nothing issued
//! until an operator confirms (`symbolon lease resume`).
//!
//! How it is noticed: the store counts *beats*, one at each start and each minute, with the time and
//! the machine's uptime; a **witness** file beside the store holds the last beat. A copy of the store
//! is behind the witness, or has none. What this cannot see: a copy of store and witness taken
//! together, and a restored backup that is younger than a minute.
//!
//! INVARIANT: while the ledger is held no beat is written: a restart finds the same reason again.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use serde::{Deserialize, Serialize};
use symbolon_core::clock::{Clock, Timestamp};

use super::LedgerError;
use crate::store::record::{Record, decode, encode};
use crate::store::{Key, Namespace, Store, StoreError, Transaction};
use crate::time::Ids;

/// Longest time between two runs on different boots that is taken for a stop and not for a jump of
/// the clock.
pub const LONGEST_GAP: Duration = Duration::from_hours(7 * 24);
/// What clocks may be apart.
const TOLERANCE: Duration = Duration::from_mins(5);

/// The ledger's clock: anchored in the wall clock when it is opened, monotonic from then on. Sleep of
/// the machine counts ([`Clock::elapsed`]): who wakes up finds due what fell due meanwhile.
pub(super) struct Steady {
    clock: Arc<dyn Clock>,
    /// Wall-clock milliseconds at an elapsed time of zero.
    base: AtomicI64,
    /// The elapsed time at which it was anchored first.
    started: Duration,
}

impl Steady {
    pub(super) fn start(clock: Arc<dyn Clock>) -> Self {
        let (base, started) = (AtomicI64::new(base(&*clock)), clock.elapsed());
        Self { clock, base, started }
    }

    /// When the ledger was opened, by the same clock.
    pub(super) fn opened(&self) -> Timestamp {
        Timestamp::from_millis(self.base.load(Ordering::Relaxed)).plus(self.started)
    }

    pub(super) fn now(&self) -> Timestamp {
        let base = Timestamp::from_millis(self.base.load(Ordering::Relaxed));
        base.plus(self.clock.elapsed())
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// How far the wall clock has moved away from ours: in milliseconds, positive if it is ahead.
    pub(super) fn offset(&self) -> i64 {
        self.clock.now().millis().saturating_sub(self.now().millis())
    }

    fn anchor_anew(&self) {
        self.base.store(base(&*self.clock), Ordering::Relaxed);
    }
}

fn base(clock: &dyn Clock) -> i64 {
    clock.now().minus(clock.elapsed()).millis()
}

/// The run of the machine in which the process runs, as far as it can be known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boot {
    /// Its id.
    pub id: String,
    /// Milliseconds since it began, sleep included where the system counts it.
    pub uptime: u64,
}

impl Boot {
    /// The present one, on Linux.
    #[must_use]
    pub fn read() -> Option<Self> {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
        let seconds: f64 = uptime.split_whitespace().next()?.parse().ok()?;
        let uptime = u64::try_from(Duration::try_from_secs_f64(seconds).ok()?.as_millis()).ok()?;
        Some(Self { id: id.trim().to_owned(), uptime })
    }
}

/// Why the ledger is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The store is older than its witness, of another lineage, or has lost it.
    Restored,
    /// The clock went back, or further ahead than time can have passed.
    Clock,
}

impl Reason {
    /// The name in status and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restored => "restored",
            Self::Clock => "clock",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Restored => "the store looks restored or copied",
            Self::Clock => "the clock has jumped since the last run",
        })
    }
}

/// Why it cannot be said whether the ledger may act.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// The store does not answer.
    #[error("the store's lineage cannot be read or written")]
    Store(#[from] StoreError),
    /// The witness is there and cannot be read or written.
    #[error("the witness `{}` cannot be read or written: check its directory", path.display())]
    Witness {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// What the store remembers of its last run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Beat {
    lineage: String,
    number: u64,
    at: Timestamp,
    boot: Option<Boot>,
}

impl Record for Beat {
    const VERSION: u8 = 1;
}

/// What the witness holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Witness {
    lineage: String,
    number: u64,
}

/// Whether the ledger may act, and its heartbeat.
#[derive(Debug)]
pub struct Hold {
    reason: ArcSwapOption<Reason>,
    witness: Option<PathBuf>,
}

impl Hold {
    /// A ledger that may act and has no witness: for tests and stores that do not outlive the process.
    #[must_use]
    pub fn none() -> Self {
        Self { reason: ArcSwapOption::empty(), witness: None }
    }

    /// Compares the store with the witness and the clock with both, and takes the first beat if
    /// nothing speaks against it.
    ///
    /// # Errors
    /// [`HoldError`]; a witness that is not ours to read is not taken for a missing one.
    pub async fn assess(
        store: &dyn Store,
        witness: PathBuf,
        (clock, boot): (&dyn Clock, Option<Boot>),
    ) -> Result<Self, HoldError> {
        let beat = store.get(&key()).await?;
        let beat = beat.as_deref().map(decode::<Beat>).transpose()?;
        let seen = read(&witness)?;
        let reason = match (&beat, &seen) {
            (None, None) => None,
            (Some(beat), Some(seen)) if follows(beat, seen) => {
                clock_jumped(beat, clock.now(), boot.as_ref()).then_some(Reason::Clock)
            }
            (Some(_), Some(_)) | (Some(_), None) | (None, Some(_)) => Some(Reason::Restored),
        };
        let hold = Self { reason: ArcSwapOption::empty(), witness: Some(witness) };
        match reason {
            Some(reason) => {
                tracing::error!(
                    reason = reason.as_str(),
                    "the ledger is held: nothing is issued or revoked until `symbolon lease resume`"
                );
                hold.reason.store(Some(Arc::new(reason)));
            }
            None => hold.beat(store, clock.now(), boot).await?,
        }
        Ok(hold)
    }

    /// Why the ledger is held, if it is.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.reason.load().as_deref().copied()
    }

    pub(super) fn check(&self) -> Result<(), LedgerError> {
        self.reason().map_or(Ok(()), |reason| Err(LedgerError::Held(reason)))
    }

    /// Writes down that this store is alive: the store first, then the witness. Does nothing while
    /// the ledger is held.
    ///
    /// # Errors
    /// [`HoldError`]; a later beat makes up for it.
    pub async fn beat(
        &self,
        store: &dyn Store,
        now: Timestamp,
        boot: Option<Boot>,
    ) -> Result<(), HoldError> {
        if self.reason().is_some() { Ok(()) } else { self.write_beat(store, now, boot).await }
    }

    async fn write_beat(
        &self,
        store: &dyn Store,
        now: Timestamp,
        boot: Option<Boot>,
    ) -> Result<(), HoldError> {
        let Some(path) = self.witness.as_deref() else { return Ok(()) };
        let before = store.get(&key()).await?;
        let last = before.as_deref().map(decode::<Beat>).transpose()?;
        let seen = read(path)?;
        let lineage = match (&last, &seen) {
            (Some(last), _) => last.lineage.clone(),
            (None, _) => Ids::default().order(now).to_string(),
        };
        let number = next_number(last.as_ref(), seen.as_ref());
        let beat = Beat { lineage: lineage.clone(), number, at: now, boot };
        let write = Transaction::new().expect_unchanged(key(), before).put(key(), encode(&beat)?);
        store.commit(write).await?;
        write_file(path, &Witness { lineage, number: beat.number })
    }

    fn release(&self) {
        self.reason.store(None);
    }
}

impl super::Ledger {
    /// How far the wall clock has moved away from the ledger's since it was opened: milliseconds,
    /// positive if it is ahead. For the operator; nothing acts on it.
    #[must_use]
    pub fn clock_offset(&self) -> i64 {
        self.clock.offset()
    }

    /// An operator confirms that this store is the living one and the clock is right: the ledger acts
    /// again. What was due meanwhile is due now.
    ///
    /// # Errors
    /// [`HoldError`]; then the ledger is held as before.
    pub async fn resume(&self, boot: Option<Boot>) -> Result<(), HoldError> {
        let Some(reason) = self.hold.reason() else { return Ok(()) };
        self.clock.anchor_anew();
        self.hold.write_beat(&*self.store, self.now(), boot).await?;
        tracing::warn!(
            reason = reason.as_str(),
            "the ledger is held no more: an operator confirms it"
        );
        self.hold.release();
        self.wake();
        Ok(())
    }

    /// The regular beat.
    ///
    /// # Errors
    /// [`HoldError`]; a later one makes up for it.
    pub async fn beat(&self, boot: Option<Boot>) -> Result<(), HoldError> {
        self.hold.beat(&*self.store, self.now(), boot).await
    }
}

/// The number of the next beat. While the witness is behind (it could not be written) the store waits
/// for it: further ahead, it would look like another's. After a confirmation the witness may be ahead.
fn next_number(last: Option<&Beat>, seen: Option<&Witness>) -> u64 {
    let reached = last.map_or(0, |beat| beat.number);
    let is_behind = match (last, seen) {
        (Some(last), Some(seen)) => seen.lineage == last.lineage && seen.number < reached,
        (Some(_), None) => true,
        (None, _) => false,
    };
    let witnessed = seen.map_or(0, |seen| seen.number);
    if is_behind { reached } else { reached.max(witnessed).saturating_add(1) }
}

/// The witness is written after the store, so the store may be one ahead.
fn follows(beat: &Beat, seen: &Witness) -> bool {
    let ahead = beat.number.checked_sub(seen.number);
    beat.lineage == seen.lineage && matches!(ahead, Some(0 | 1))
}

/// Within one boot the uptime says how much time has passed; over a boot, anything up to
/// [`LONGEST_GAP`] may be a stop.
fn clock_jumped(beat: &Beat, now: Timestamp, boot: Option<&Boot>) -> bool {
    let back = now.plus(TOLERANCE) < beat.at;
    let ahead = match (&beat.boot, boot) {
        (Some(then), Some(boot)) if then.id == boot.id => {
            let passed = Duration::from_millis(boot.uptime.saturating_sub(then.uptime));
            now > beat.at.plus(passed).plus(TOLERANCE)
        }
        _ => now > beat.at.plus(LONGEST_GAP),
    };
    back || ahead
}

fn key() -> Key {
    Namespace::Meta.key("beat")
}

fn read(path: &Path) -> Result<Option<Witness>, HoldError> {
    let failed = |source| HoldError::Witness { path: path.to_path_buf(), source };
    match std::fs::read(path) {
        Ok(bytes) => {
            let witness = serde_json::from_slice(&bytes);
            witness.map(Some).map_err(|error| failed(std::io::Error::other(error)))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Replaces the file as a whole: a torn witness would hold the ledger for nothing.
fn write_file(path: &Path, witness: &Witness) -> Result<(), HoldError> {
    let failed = |source| HoldError::Witness { path: path.to_path_buf(), source };
    let bytes =
        serde_json::to_vec(witness).map_err(|error| failed(std::io::Error::other(error)))?;
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    std::io::Write::write_all(&mut file, &bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
