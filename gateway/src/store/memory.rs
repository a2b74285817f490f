//! A store in memory for tests of what stands on one: it fails on demand, it counts, and it outlives
//! the process that is pretended to crash.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::RwLock;

use super::{BoxFuture, Key, Page, Span, Store, StoreError, Transaction, Write};

type Entry = (Key, Vec<u8>);

/// What lasts: entries by their encoded keys.
#[derive(Debug, Default)]
pub(crate) struct Disk(Mutex<BTreeMap<Vec<u8>, Entry>>);

/// What goes wrong with one commit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// It is not done.
    Refused,
    /// It is done, and nobody is told.
    AnswerLost,
}

/// One process's view of a disk.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    disk: Arc<Disk>,
    is_dead: AtomicBool,
    is_full: AtomicBool,
    commits: AtomicUsize,
    scanned: AtomicUsize,
    faults: Mutex<VecDeque<Fault>>,
    /// While this is held for writing, commits wait.
    pub(crate) gate: RwLock<()>,
}

impl Memory {
    pub(crate) fn over(disk: &Arc<Disk>) -> Arc<Self> {
        Arc::new(Self { disk: Arc::clone(disk), ..Self::default() })
    }

    /// Nothing that this process still does reaches the disk.
    pub(crate) fn die(&self) {
        self.is_dead.store(true, Ordering::SeqCst);
    }

    /// As sled's store does when a write fails: from now on it refuses everything.
    pub(crate) fn fill_up(&self) {
        self.is_full.store(true, Ordering::SeqCst);
    }

    pub(crate) fn fail_next(&self, fault: Fault) {
        self.faults.lock().unwrap().push_back(fault);
    }

    pub(crate) fn commits(&self) -> usize {
        self.commits.load(Ordering::SeqCst)
    }

    pub(crate) fn scanned(&self) -> usize {
        self.scanned.load(Ordering::SeqCst)
    }

    /// Puts `value` where nobody writes it.
    pub(crate) fn damage(&self, key: &Key, value: Option<Vec<u8>>) {
        let mut disk = self.disk.0.lock().unwrap();
        match value {
            Some(value) => disk.insert(key.encoded(), (key.clone(), value)),
            None => disk.remove(&key.encoded()),
        };
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(StoreError::Poisoned("no space left on device".into()));
        }
        if self.is_dead.load(Ordering::SeqCst) { Err(StoreError::Closed) } else { Ok(()) }
    }

    fn apply(&self, transaction: Transaction) -> Result<(), StoreError> {
        let mut disk = self.disk.0.lock().unwrap();
        for (key, expectation) in &transaction.expectations {
            let found = disk.get(&key.encoded()).map(|(_, value)| value.as_slice());
            if !expectation.holds(found) {
                return Err(StoreError::Conflict(key.clone()));
            }
        }
        for (key, write) in transaction.writes {
            let found = disk.get(&key.encoded()).map(|(_, value)| value.clone());
            match write.over(found.as_deref()) {
                Write::Put(value) => disk.insert(key.encoded(), (key, value)),
                Write::Delete | Write::Add(_) => disk.remove(&key.encoded()),
            };
        }
        self.commits.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

impl Store for Memory {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move {
            self.check()?;
            let disk = self.disk.0.lock().unwrap();
            Ok(disk.get(&key.encoded()).map(|(_, value)| value.clone()))
        })
    }

    fn scan(&self, span: Span, limit: usize) -> BoxFuture<'_, Result<Page, StoreError>> {
        Box::pin(async move {
            self.check()?;
            let disk = self.disk.0.lock().unwrap();
            let mut entries: Vec<Entry> = Vec::new();
            for (encoded, entry) in disk.range(span.start()..) {
                if span.tail_of(encoded).is_none() {
                    break;
                }
                if entries.len() == limit.max(1) {
                    let next = entries.last().map(|(key, _)| span.clone().after(key));
                    return Ok(Page { entries, next });
                }
                self.scanned.fetch_add(1, Ordering::SeqCst);
                entries.push(entry.clone());
            }
            Ok(Page { entries, next: None })
        })
    }

    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            transaction.check()?;
            // As with a real one, others run while it is being written.
            tokio::task::yield_now().await;
            let _open = self.gate.read().await;
            self.check()?;
            let fault = self.faults.lock().unwrap().pop_front();
            match fault {
                Some(Fault::Refused) => Err(StoreError::Deadline),
                Some(Fault::AnswerLost) => self.apply(transaction).and(Err(StoreError::Deadline)),
                None => self.apply(transaction),
            }
        })
    }
}
