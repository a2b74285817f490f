//! The embedded store: sled, one node, one directory.
//!
//! sled alone is not durable (see `gateway/docs/adr/0002-sled.md`), so nothing here writes to it but
//! the one [flusher](super::flusher). This part opens the files, reads off the asynchronous threads
//! and hands transactions to the flusher through a bounded queue.

use std::fs::File;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use symbolon_core::clock::Clock;
use tokio::sync::{mpsc, oneshot};

use super::counters::Counters;
use super::flusher::{DataFile, Device, Flusher, Job, Poison};
use super::key::Tree;
use super::{
    BoxFuture, Key, OpenError, Page, Reading, Span, Store, StoreError, Transaction, format,
};

/// Bytes of a segment of sled's log. A page larger than a quarter of it goes into a file of its own
/// which sled never flushes; with 2 MiB no page of ours can be (16 values of
/// [`super::MAX_VALUE_BYTES`] a leaf). Part of the format: it cannot change for an existing store.
const SEGMENT_BYTES: usize = 2 * 1024 * 1024;

/// How often to look again for a lock that a process on its way out still holds.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Where the store is and how much it may use.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory; created with mode 0700 if it is not there.
    pub path: PathBuf,
    /// Bytes of sled's page cache.
    pub cache_capacity: u64,
    /// How long a commit may take before its caller is told that the outcome is unknown.
    pub deadline: Duration,
    /// Most transactions that wait; beyond it, callers wait for a place within their deadline.
    pub queue: usize,
}

impl Options {
    /// The defaults: 1 GiB of cache, five seconds, 4096 waiting.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            cache_capacity: 1024 * 1024 * 1024,
            deadline: Duration::from_secs(5),
            queue: 4096,
        }
    }
}

/// sled's trees, shared by readers and the flusher.
#[derive(Clone, Debug)]
pub(super) struct Trees {
    db: sled::Db,
    pub(super) ledger: sled::Tree,
    pub(super) sealed: sled::Tree,
}

impl Trees {
    pub(super) fn of(&self, tree: Tree) -> &sled::Tree {
        match tree {
            Tree::Ledger => &self.ledger,
            Tree::Sealed => &self.sealed,
        }
    }

    /// Writes what sled has buffered (all trees share one log) to the file. Not yet durable.
    pub(super) fn flush(&self) -> Result<(), sled::Error> {
        self.db.flush().map(|_bytes| ())
    }
}

/// The [`Store`] over sled.
///
/// Dropping it waits until everything queued is durable.
#[derive(Debug)]
pub struct SledStore {
    trees: Trees,
    jobs: Option<mpsc::Sender<Job>>,
    flusher: Option<JoinHandle<()>>,
    poison: Poison,
    counters: Arc<Counters>,
    deadline: Duration,
}

impl SledStore {
    /// Opens the store, or makes a new one where there is none. Blocks: call it before serving.
    ///
    /// # Errors
    /// [`OpenError`] names the directory, what is wrong with it and what to do.
    pub fn open(options: &Options, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let trees = open_trees(options)?;
        let device = DataFile::open(&options.path).map_err(|e| io_error(&options.path, e))?;
        Self::over(options, trees, Box::new(device), clock)
    }

    /// The store over open trees and a device; tests put their own device in.
    pub(super) fn over(
        options: &Options,
        trees: Trees,
        device: Box<dyn Device>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let path = options.path.as_path();
        format::settle(path, &trees, format::FORMAT, format::MIGRATIONS)?;
        trees.flush().map_err(|e| open_error(path, e))?;
        device.make_durable().map_err(|e| io_error(path, e))?;
        let (jobs, queue) = mpsc::channel(options.queue.max(1));
        let (poison, counters) = (Poison::default(), Arc::new(Counters::default()));
        let flusher = Flusher {
            trees: trees.clone(),
            device,
            jobs: queue,
            poison: poison.clone(),
            counters: Arc::clone(&counters),
            clock,
        };
        let thread = std::thread::Builder::new().name(String::from("store-flusher"));
        let flusher = thread.spawn(move || flusher.run()).map_err(|e| io_error(path, e))?;
        let (jobs, flusher, deadline) = (Some(jobs), Some(flusher), options.deadline);
        Ok(Self { trees, jobs, flusher, poison, counters, deadline })
    }

    /// What the store has done so far.
    #[must_use]
    pub fn counters(&self) -> Reading {
        let queued = self
            .jobs
            .as_ref()
            .map_or(0, |jobs| jobs.max_capacity().saturating_sub(jobs.capacity()));
        self.counters.read(queued)
    }

    /// Why the store refuses everything, if it does.
    ///
    /// # Errors
    /// [`StoreError::Poisoned`] with the cause.
    pub fn health(&self) -> Result<(), StoreError> {
        self.poison.check()
    }

    /// Bytes of the store's files.
    ///
    /// # Errors
    /// [`StoreError::Poisoned`] if the files cannot be asked.
    pub fn size(&self) -> Result<u64, StoreError> {
        self.trees.db.size_on_disk().map_err(|e| StoreError::Poisoned(e.to_string().into()))
    }

    /// The value under `key`, read on this very thread: for an instrument that is asked now and then,
    /// and may be told nothing.
    #[must_use]
    pub fn glance(&self, key: &Key) -> Option<Vec<u8>> {
        let found = self.trees.of(key.namespace().tree()).get(key.encoded()).ok()?;
        found.map(|value| value.to_vec())
    }

    async fn enqueue(&self, transaction: Transaction) -> Result<(), StoreError> {
        let (answer, outcome) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(StoreError::Closed)?;
        let sent = jobs.send(Job { transaction, answer }).await;
        sent.map_err(|_| self.gone())?;
        outcome.await.unwrap_or_else(|_| Err(self.gone()))
    }

    /// The flusher answers everyone but for a panic: whoever is left without an answer has seen one.
    fn gone(&self) -> StoreError {
        let poisoned = self.poison.check().err();
        poisoned.unwrap_or_else(|| self.poison.set("the flusher gave no answer"))
    }

    /// Runs `read` where blocking is allowed: what is not in sled's cache comes from the disk.
    async fn off_thread<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Trees) -> Result<T, sled::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.poison.check()?;
        let trees = self.trees.clone();
        let reading = tokio::task::spawn_blocking(move || read(&trees));
        let finished = tokio::time::timeout(self.deadline, reading).await;
        let outcome = finished.map_err(|_| StoreError::Deadline)?.map_err(|failure| {
            // Not a panic: the runtime is shutting down.
            if failure.is_panic() { self.poison.set("a read panicked") } else { StoreError::Closed }
        })?;
        outcome.map_err(|e| self.poison.set(&format!("a read failed: {e}")))
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(flusher) = self.flusher.take() {
            // A panic of the flusher has poisoned the store already.
            let _panicked = flusher.join();
        }
    }
}

impl Store for SledStore {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        let (tree, encoded) = (key.namespace().tree(), key.encoded());
        Box::pin(
            self.off_thread(move |trees| {
                Ok(trees.of(tree).get(encoded)?.map(|value| value.to_vec()))
            }),
        )
    }

    fn get_many(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Vec<u8>>>, StoreError>> {
        Box::pin(self.off_thread(move |trees| {
            let value = |key: &Key| trees.of(key.namespace().tree()).get(key.encoded());
            keys.iter().map(|key| Ok(value(key)?.map(|value| value.to_vec()))).collect()
        }))
    }

    fn scan(&self, span: Span, limit: usize) -> BoxFuture<'_, Result<Page, StoreError>> {
        Box::pin(self.off_thread(move |trees| read_page(trees, span, limit.max(1))))
    }

    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            transaction.check()?;
            self.poison.check()?;
            let outcome = tokio::time::timeout(self.deadline, self.enqueue(transaction)).await;
            outcome.unwrap_or(Err(StoreError::Deadline))
        })
    }
}

fn read_page(trees: &Trees, span: Span, limit: usize) -> Result<Page, sled::Error> {
    let mut entries = Vec::new();
    for entry in trees.of(span.namespace().tree()).range(span.start()..) {
        let (encoded, value) = entry?;
        let Some(tail) = span.tail_of(&encoded) else { break };
        if entries.len() == limit {
            let next = entries.last().map(|(key, _)| span.clone().after(key));
            return Ok(Page { entries, next });
        }
        entries.push((span.namespace().key(tail), value.to_vec()));
    }
    Ok(Page { entries, next: None })
}

/// Opens sled, waiting a little for a predecessor that is still letting go of the lock.
pub(super) fn open_trees(options: &Options) -> Result<Trees, OpenError> {
    let path = options.path.as_path();
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path).map_err(|e| io_error(path, e))?;
    for _ in 1..LOCK_TRIES {
        match try_open(options) {
            Err(OpenError::Locked { .. }) => std::thread::sleep(LOCK_PAUSE),
            settled => return settled,
        }
    }
    try_open(options)
}

fn try_open(options: &Options) -> Result<Trees, OpenError> {
    let path = options.path.as_path();
    let config = sled::Config::new()
        .path(path)
        .segment_size(SEGMENT_BYTES)
        .cache_capacity(options.cache_capacity);
    // sled panics on some kinds of damage; for the operator that is the same as being told so.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let db = config.open()?;
        let (ledger, sealed) = (db.open_tree("ledger")?, db.open_tree("sealed")?);
        Ok(Trees { db, ledger, sealed })
    }));
    match opened {
        Ok(trees) => trees.map_err(|e| open_error(path, e)),
        Err(_panic) => Err(OpenError::Corrupt {
            path: path.into(),
            cause: String::from("sled gave up reading it"),
        }),
    }
}

/// sled's error, sorted by what an operator can do about it.
pub(super) fn open_error(path: &Path, error: sled::Error) -> OpenError {
    let path = path.to_path_buf();
    match error {
        sled::Error::Io(source) if source.to_string().contains("could not acquire lock") => {
            OpenError::Locked { path }
        }
        sled::Error::Io(source) => OpenError::Io { path, source },
        sled::Error::Unsupported(detail) => OpenError::Foreign { path, detail },
        sled::Error::Corruption { .. }
        | sled::Error::ReportableBug(_)
        | sled::Error::CollectionNotFound(_) => {
            OpenError::Corrupt { path, cause: error.to_string() }
        }
    }
}

fn io_error(path: &Path, source: std::io::Error) -> OpenError {
    OpenError::Io { path: path.into(), source }
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}
