//! The catalog of components: what is installed, which backend points at which, what is in
//! quarantine.
//!
//! Records are in the store, bytes in a private directory beside it, each file under its digest. A
//! component is put there in this order: bytes (written as a draft, flushed, renamed) → record. It is
//! taken out the other way round. So a crash leaves bytes without a record at worst, which are shown,
//! used by nobody, and taken up by the next installation of the same component.
//!
//! INVARIANT: bytes are what their digest says each time they are read; a file that is not is as good
//! as missing. A backend's pointer is durable before the component that it names takes a call.
//!
//! The catalog knows nothing of running components: [`choice`] decides what a backend is to run, and
//! [`crate::app`] makes it so.

mod alike;
pub mod choice;
mod record;
mod shelf;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use symbolon_core::clock::{Clock, Timestamp};
use symbolon_core::error::Kind;
use symbolon_core::id::BackendName;
use symbolon_host::version::Step;
use symbolon_host::{Digest, Package};
use tokio::sync::Mutex;

pub use self::alike::alike;
pub use self::record::{Incoming, Installed, Origin, Pointed, Pointer, Quarantined};
use self::shelf::Shelf;
pub use self::shelf::ShelfError;
use crate::kill::{self, Point};
use crate::store::record::{Record, decode, encode};
use crate::store::{Namespace, Span, Store, StoreError, Transaction, read_all};

/// How many copies of each plugin are kept that nobody needs and nobody asked for.
pub const SPARE_COPIES: usize = 3;

/// Why the catalog was not changed or read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The store does not answer.
    #[error("the catalog's records cannot be read or written")]
    Store(#[from] StoreError),
    /// The directory of components does not take or give bytes.
    #[error("the directory of installed components")]
    Shelf(#[from] ShelfError),
}

impl CatalogError {
    /// What the operator's request is told.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Store(cause) => cause.kind(),
            Self::Shelf(_) => Kind::Unavailable,
        }
    }

    /// The code in audit records.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Store(cause) => cause.code(),
            Self::Shelf(cause) => cause.code(),
        }
    }
}

/// Everything that the catalog holds, as of one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The components with a record.
    pub components: BTreeMap<Digest, Installed>,
    /// The components with bytes.
    pub present: BTreeSet<Digest>,
    /// What backends and targets point at.
    pub pointers: BTreeMap<BackendName, Pointer>,
    /// What is not to be used, by somebody or by anybody; see [`Snapshot::held`].
    pub quarantine: BTreeMap<Digest, Quarantined>,
}

impl Snapshot {
    /// What `backend` may not use.
    #[must_use]
    pub fn held(&self, backend: &BackendName) -> BTreeMap<Digest, Quarantined> {
        let is_meant = |held: &Quarantined| held.is_everywhere || held.backend == backend.as_str();
        let held = self.quarantine.iter().filter(|(_, held)| is_meant(held));
        held.map(|(digest, held)| (*digest, held.clone())).collect()
    }

    /// Bytes that no record speaks of: what a crash left.
    pub fn strays(&self) -> impl Iterator<Item = &Digest> {
        self.present.iter().filter(|digest| !self.components.contains_key(digest))
    }

    /// The copies that can go: neither `used` nor where a pointer or a rollback leads, and beyond the
    /// newest [`SPARE_COPIES`] of each plugin. That of the newest version stays in any case: it is known
    /// by it that others are older.
    #[must_use]
    pub fn superfluous(&self, used: &BTreeSet<Digest>) -> Vec<Digest> {
        let leads = |pointer: &Pointer| [Some(pointer.to.clone()), pointer.previous.clone()];
        let pointed = self.pointers.values().flat_map(leads).flatten();
        let pointed: BTreeSet<Digest> = pointed.filter_map(|of| of.digest()).collect();
        let mut spare = BTreeMap::<&str, Vec<(&Digest, &Installed)>>::new();
        for (digest, of) in &self.components {
            if of.is_adopted && !used.contains(digest) && !pointed.contains(digest) {
                spare.entry(&of.component.name).or_default().push((digest, of));
            }
        }
        let beyond = |(plugin, mut copies): (&str, Vec<(&Digest, &Installed)>)| {
            copies.sort_by_key(|(_, of)| std::cmp::Reverse(of.installed_at));
            let newest = self.newest(plugin);
            let beyond = copies.into_iter().skip(SPARE_COPIES).map(|(digest, _)| *digest);
            beyond.filter(|digest| Some(*digest) != newest).collect::<Vec<_>>()
        };
        spare.into_iter().flat_map(beyond).collect()
    }

    /// The newest version of a plugin that some backend may use; of several of it, the latest.
    fn newest(&self, plugin: &str) -> Option<Digest> {
        let of_plugin = self.components.iter().filter(|(digest, of)| {
            let is_held = self.quarantine.get(digest).is_some_and(|held| held.is_everywhere);
            of.component.name == plugin && !is_held
        });
        let newest = of_plugin.max_by(|(_, a), (_, b)| {
            match Step::between(&a.component.version, &b.component.version) {
                Step::Up => Ordering::Less,
                Step::Down => Ordering::Greater,
                Step::Aside | Step::Unknown => a.installed_at.cmp(&b.installed_at),
            }
        });
        newest.map(|(digest, _)| *digest)
    }

    /// The backends that point at `digest`.
    pub fn users<'a>(&'a self, digest: &'a Digest) -> impl Iterator<Item = &'a BackendName> {
        let points =
            move |(_, pointer): &(&BackendName, &Pointer)| pointer.to.digest() == Some(*digest);
        self.pointers.iter().filter(points).map(|(backend, _)| backend)
    }
}

/// The catalog.
#[derive(Debug)]
pub struct Components {
    store: Arc<dyn Store>,
    shelf: Shelf,
    clock: Arc<dyn Clock>,
    /// Held by whoever puts components in or takes them out, from what he reads to what he writes.
    turn: Mutex<()>,
}

impl Components {
    /// The catalog whose records are in `store` and whose bytes are in `directory`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, directory: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self { store, shelf: Shelf::at(directory), clock, turn: Mutex::default() }
    }

    /// What it holds. A record that cannot be read is named in the log, and as good as missing.
    ///
    /// # Errors
    /// [`CatalogError`] if the store does not answer.
    pub async fn snapshot(&self) -> Result<Snapshot, CatalogError> {
        let components = self.records::<Installed>(Namespace::PluginComponent).await?;
        let quarantine = self.records::<Quarantined>(Namespace::PluginQuarantine).await?;
        let pointers = self.records::<Pointer>(Namespace::PluginPointer).await?;
        let named =
            |(name, pointer): (String, Pointer)| Some((BackendName::parse(&name).ok()?, pointer));
        Ok(Snapshot {
            components: by_digest(components),
            present: self.shelf.present().await,
            pointers: pointers.into_iter().filter_map(named).collect(),
            quarantine: by_digest(quarantine),
        })
    }

    async fn records<R: Record>(&self, of: Namespace) -> Result<Vec<(String, R)>, CatalogError> {
        let mut found = Vec::new();
        for (key, bytes) in read_all(self.store.as_ref(), Span::all(of)).await? {
            match decode(&bytes) {
                Ok(record) => {
                    found.push((String::from_utf8_lossy(key.tail()).into_owned(), record))
                }
                Err(error) => tracing::error!(%key, %error, "a record of the catalog is damaged"),
            }
        }
        Ok(found)
    }

    /// The bytes of a component.
    ///
    /// # Errors
    /// [`ShelfError`] if they are missing, or not what the digest says.
    pub async fn package(&self, digest: Digest) -> Result<Package, ShelfError> {
        self.shelf.read(digest).await
    }

    /// Puts a component into the catalog. One that is there already keeps its record, but what was
    /// only taken along becomes installed; and the signatures that it had, beside those that came.
    ///
    /// Not cancel-safe: it may be there all the same.
    ///
    /// # Errors
    /// [`CatalogError`]: it is not in the catalog, or it cannot be said.
    pub async fn install(&self, incoming: Incoming<'_>) -> Result<Installed, CatalogError> {
        let _turn = self.turn.lock().await;
        self.put(incoming).await
    }

    /// As [`Components::install`], for what nobody asked for, if it is in use now that its turn has
    /// come: what was removed meanwhile does not come back. Says whether it was.
    ///
    /// Not cancel-safe: it may be there all the same.
    ///
    /// # Errors
    /// [`CatalogError`]: it is not in the catalog, or it cannot be said.
    pub async fn adopt(
        &self,
        incoming: Incoming<'_>,
        is_used: impl Fn() -> bool + Send,
    ) -> Result<bool, CatalogError> {
        let _turn = self.turn.lock().await;
        if !is_used() {
            return Ok(false);
        }
        self.put(incoming).await.map(|_| true)
    }

    /// The caller has the turn.
    async fn put(&self, incoming: Incoming<'_>) -> Result<Installed, CatalogError> {
        let digest = incoming.package.digest();
        let incoming = incoming.with_kept(self.shelf.signatures(digest).await?.as_deref());
        let key = Namespace::PluginComponent.key(digest.hex());
        let known = self.store.get(&key).await?;
        let known = known.and_then(|bytes| decode::<Installed>(&bytes).ok());
        let record = incoming.record(known.as_ref(), self.clock.now());
        self.shelf.write(incoming.package).await?;
        kill::reach(Point::AfterShelved);
        if known.as_ref() != Some(&record) {
            self.store.commit(Transaction::new().put(key, encode(&record)?)).await?;
            kill::reach(Point::AfterInstalled);
        }
        Ok(record)
    }

    /// Takes a component out of the catalog, whether or not its bytes are there. Its quarantine
    /// lasts.
    ///
    /// # Errors
    /// [`CatalogError`]: what is left of it is harmless.
    pub async fn remove(&self, digest: Digest) -> Result<(), CatalogError> {
        let _turn = self.turn.lock().await;
        self.take_out(digest).await
    }

    /// Takes out the copies that can go ([`Snapshot::superfluous`]), and what drafts a crash has left.
    /// The caller sees to it that nothing is put in use or pointed at meanwhile.
    ///
    /// # Errors
    /// [`CatalogError`]: some of it may be there still.
    pub async fn prune(&self, used: &BTreeSet<Digest>) -> Result<(), CatalogError> {
        let _turn = self.turn.lock().await;
        let snapshot = self.snapshot().await?;
        for digest in snapshot.superfluous(used) {
            let component = snapshot.components.get(&digest).map(|of| of.component.to_string());
            self.take_out(digest).await?;
            tracing::info!(component, "a copy that nobody needs was taken out");
        }
        Ok(self.shelf.sweep().await?)
    }

    /// The caller has the turn.
    async fn take_out(&self, digest: Digest) -> Result<(), CatalogError> {
        let key = Namespace::PluginComponent.key(digest.hex());
        self.store.commit(Transaction::new().delete(key)).await?;
        kill::reach(Point::AfterUnlisted);
        Ok(self.shelf.remove(digest).await?)
    }

    /// Lets `backend` point at `to`; `previous` is where a rollback leads.
    ///
    /// # Errors
    /// [`CatalogError`]: whether it points there is unknown.
    pub async fn point(
        &self,
        backend: &BackendName,
        to: Pointed,
        previous: Option<Pointed>,
        by: &str,
    ) -> Result<(), CatalogError> {
        let previous = previous.filter(|previous| *previous != to);
        let pointer = Pointer { to, previous, by: by.to_owned(), since: self.clock.now() };
        let key = Namespace::PluginPointer.key(backend.as_str());
        Ok(self.store.commit(Transaction::new().put(key, encode(&pointer)?)).await?)
    }

    /// Lets `backend` point at nothing.
    ///
    /// # Errors
    /// [`CatalogError`]: whether it does is unknown.
    pub async fn unpoint(&self, backend: &BackendName) -> Result<(), CatalogError> {
        let key = Namespace::PluginPointer.key(backend.as_str());
        Ok(self.store.commit(Transaction::new().delete(key)).await?)
    }

    /// Puts a component into quarantine: for `backend`, or everywhere. What is held for another backend
    /// already is held everywhere from now on. Answers whether it is.
    ///
    /// # Errors
    /// [`CatalogError`]: whether it is there is unknown.
    pub async fn quarantine(
        &self,
        component: Pointed,
        backend: &BackendName,
        (reason, is_everywhere): (String, bool),
    ) -> Result<bool, CatalogError> {
        let key = Namespace::PluginQuarantine.key(component.digest.clone());
        let (backend, since) = (backend.to_string(), self.clock.now());
        let known = self.store.get(&key).await?;
        let known = known.and_then(|bytes| decode::<Quarantined>(&bytes).ok());
        let is_everywhere = is_everywhere
            || known.is_some_and(|known| known.is_everywhere || known.backend != backend);
        let record = Quarantined { component, backend, reason, since, is_everywhere };
        self.store.commit(Transaction::new().put(key, encode(&record)?)).await?;
        Ok(is_everywhere)
    }

    /// Ends a quarantine.
    ///
    /// # Errors
    /// [`CatalogError`]: whether it has ended is unknown.
    pub async fn release(&self, digest: Digest) -> Result<(), CatalogError> {
        let key = Namespace::PluginQuarantine.key(digest.hex());
        Ok(self.store.commit(Transaction::new().delete(key)).await?)
    }

    /// The time by which records are dated.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

fn by_digest<R>(records: Vec<(String, R)>) -> BTreeMap<Digest, R> {
    let named = |(name, record): (String, R)| Some((Digest::from_hex(&name)?, record));
    records.into_iter().filter_map(named).collect()
}
