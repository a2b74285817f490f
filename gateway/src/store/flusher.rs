//! The one thread that writes.
//!
//! It takes whatever has queued up while the last flush ran, checks each transaction's expectations
//! against the tree and the group so far, applies all accepted writes as one batch per tree, lets
//! sled write its log, then calls `fdatasync` on the data file, and only then answers the whole
//! group. Many waiters share one flush; a lone waiter waits for no one.
//!
//! INVARIANT: no answer that rests on a write leaves before that write is on the device: neither the
//! success of the writer nor the conflict of another who saw it.
//!
//! INVARIANT: after a failed write or flush nothing is accepted or read any more. The kernel may have
//! dropped the dirty pages and report the error once only, so a later success would prove nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use symbolon_core::clock::Clock;
use tokio::sync::{mpsc, oneshot};

use super::counters::Counters;
use super::embedded::{Trees, sync_directory};
use super::key::Tree;
use super::{Key, StoreError, Transaction, Write};

/// Most transactions that share a flush: bounds the memory of a group and its time.
const GROUP_LIMIT: usize = 1024;

type Answer = oneshot::Sender<Result<(), StoreError>>;

/// A transaction and who waits for it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) transaction: Transaction,
    pub(super) answer: Answer,
}

/// What makes written bytes survive the loss of power.
pub(super) trait Device: Send {
    fn make_durable(&self) -> io::Result<()>;
}

/// A second descriptor of sled's data file. sled locks with `flock`, which belongs to its own
/// descriptor: opening and closing this one leaves the lock alone.
pub(super) struct DataFile(File);

impl DataFile {
    /// Opens the file, which sled has made, and makes its name durable.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let file = File::open(directory.join("db"))?;
        sync_directory(directory)?;
        directory.parent().filter(|p| !p.as_os_str().is_empty()).map_or(Ok(()), sync_directory)?;
        Ok(Self(file))
    }
}

impl Device for DataFile {
    fn make_durable(&self) -> io::Result<()> {
        rustix::fs::fdatasync(&self.0).map_err(io::Error::from)
    }
}

/// Why the store accepts nothing any more; the first cause stays.
#[derive(Clone, Debug, Default)]
pub(super) struct Poison(Arc<OnceLock<Arc<str>>>);

impl Poison {
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.0.get().map_or(Ok(()), |cause| Err(StoreError::Poisoned(Arc::clone(cause))))
    }

    pub(super) fn set(&self, cause: &str) -> StoreError {
        let first = self.0.get_or_init(|| {
            tracing::error!(cause, "the store failed and refuses everything from now on");
            cause.into()
        });
        StoreError::Poisoned(Arc::clone(first))
    }
}

/// The owner of every write.
pub(super) struct Flusher {
    pub(super) trees: Trees,
    pub(super) device: Box<dyn Device>,
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) poison: Poison,
    pub(super) counters: Arc<Counters>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Flusher {
    /// Works until every sender is gone and the queue is empty.
    pub(super) fn run(mut self) {
        let mut jobs = Vec::new();
        while self.jobs.blocking_recv_many(&mut jobs, GROUP_LIMIT) > 0 {
            let group = std::mem::take(&mut jobs);
            if catch_unwind(AssertUnwindSafe(|| self.serve(group))).is_err() {
                // The waiters' channels fell with the group; they read the cause from the poison.
                self.poison.set("the flusher panicked");
            }
        }
    }

    fn serve(&self, jobs: Vec<Job>) {
        let mut group = Group::default();
        let outcome = self.poison.check().and_then(|()| self.work(jobs, &mut group));
        group.answer(outcome);
    }

    fn work(&self, jobs: Vec<Job>, group: &mut Group) -> Result<(), StoreError> {
        for job in jobs {
            // Whoever gave up (deadline, hang-up) has been told that the outcome is unknown; not
            // doing it is the better of the two.
            if job.answer.is_closed() {
                self.counters.abandoned();
                continue;
            }
            group.admit(&self.trees, job).map_err(|e| self.fail("a read", &e))?;
        }
        self.counters.conflicts(group.refused.len());
        if group.staged.is_empty() { Ok(()) } else { self.flush(group) }
    }

    fn flush(&self, group: &mut Group) -> Result<(), StoreError> {
        let started = self.clock.elapsed();
        group.apply(&self.trees).map_err(|e| self.fail("a write", &e))?;
        self.trees.flush().map_err(|e| self.fail("a flush", &e))?;
        self.device.make_durable().map_err(|e| self.fail("fdatasync", &e))?;
        let took = self.clock.elapsed().saturating_sub(started);
        self.counters.group(group.accepted.len(), took);
        Ok(())
    }

    fn fail(&self, what: &str, cause: &dyn std::error::Error) -> StoreError {
        self.poison.set(&format!("{what} failed: {cause}"))
    }
}

/// Transactions that will share a flush.
#[derive(Default)]
struct Group {
    /// What the accepted ones write, on top of the trees.
    staged: BTreeMap<Key, Write>,
    accepted: Vec<Answer>,
    refused: Vec<(Answer, StoreError)>,
}

impl Group {
    /// Takes the transaction in if its expectations hold after those before it.
    fn admit(&mut self, trees: &Trees, job: Job) -> Result<(), sled::Error> {
        let mut broken = None;
        for (key, expectation) in &job.transaction.expectations {
            if !self.with_current(trees, key, |found| expectation.holds(found))? {
                broken = Some(key.clone());
                break;
            }
        }
        match broken {
            Some(key) => self.refused.push((job.answer, StoreError::Conflict(key))),
            None => {
                for (key, write) in job.transaction.writes {
                    let write = match write {
                        Write::Add(_) => {
                            self.with_current(trees, &key, |found| write.clone().over(found))?
                        }
                        Write::Put(_) | Write::Delete => write,
                    };
                    self.staged.insert(key, write);
                }
                self.accepted.push(job.answer);
            }
        }
        Ok(())
    }

    /// What is under `key` after the transactions before, shown to `look`.
    fn with_current<T>(
        &self,
        trees: &Trees,
        key: &Key,
        look: impl FnOnce(Option<&[u8]>) -> T,
    ) -> Result<T, sled::Error> {
        match self.staged.get(key) {
            Some(Write::Put(value)) => Ok(look(Some(value))),
            Some(Write::Delete | Write::Add(_)) => Ok(look(None)),
            None => {
                let found = trees.of(key.namespace().tree()).get(key.encoded())?;
                Ok(look(found.as_deref()))
            }
        }
    }

    fn apply(&mut self, trees: &Trees) -> Result<(), sled::Error> {
        let staged = std::mem::take(&mut self.staged);
        let (sealed, ledger): (Vec<_>, Vec<_>) =
            staged.into_iter().partition(|(key, _)| key.namespace().tree() == Tree::Sealed);
        for (tree, writes) in [(&trees.ledger, ledger), (&trees.sealed, sealed)] {
            if !writes.is_empty() {
                tree.apply_batch(batch(writes))?;
            }
        }
        Ok(())
    }

    /// Tells everyone. A failure of the group is everyone's, also of those that were refused: what
    /// refused them may be lost.
    fn answer(self, outcome: Result<(), StoreError>) {
        for answer in self.accepted {
            let _gave_up = answer.send(outcome.clone());
        }
        for (answer, conflict) in self.refused {
            let _gave_up = answer.send(outcome.clone().and(Err(conflict)));
        }
    }
}

fn batch(writes: Vec<(Key, Write)>) -> sled::Batch {
    let mut batch = sled::Batch::default();
    for (key, write) in writes {
        match write {
            Write::Put(value) => batch.insert(key.encoded(), value),
            Write::Delete => batch.remove(key.encoded()),
            // Resolved when the transaction was admitted.
            Write::Add(_) => {}
        }
    }
    batch
}
