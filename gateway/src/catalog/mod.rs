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

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use symbolon_core::clock::{Clock, Timestamp};
use symbolon_core::error::Kind;
use symbolon_core::id::BackendName;
use symbolon_host::{Digest, Inspection, Package};

pub use self::alike::alike;
pub use self::record::{Installed, Origin, Pointed, Pointer, Quarantined};
use self::shelf::Shelf;
pub use self::shelf::ShelfError;
use crate::kill::{self, Point};
use crate::store::record::{Record, decode, encode};
use crate::store::{Namespace, Span, Store, StoreError, Transaction, read_all};

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
    /// What is not to be used.
    pub quarantine: BTreeMap<Digest, Quarantined>,
}

impl Snapshot {
    /// Bytes that no record speaks of: what a crash left.
    pub fn strays(&self) -> impl Iterator<Item = &Digest> {
        self.present.iter().filter(|digest| !self.components.contains_key(digest))
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
}

impl Components {
    /// The catalog whose records are in `store` and whose bytes are in `directory`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, directory: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self { store, shelf: Shelf::at(directory), clock }
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
    /// only taken along becomes installed.
    ///
    /// Not cancel-safe: it may be there all the same.
    ///
    /// # Errors
    /// [`CatalogError`]: it is not in the catalog, or it cannot be said.
    pub async fn install(
        &self,
        inspection: &Inspection,
        package: Package,
        origin: Origin,
    ) -> Result<Installed, CatalogError> {
        let digest = inspection.digest;
        let key = Namespace::PluginComponent.key(digest.hex());
        self.shelf.write(package).await?;
        kill::reach(Point::AfterShelved);
        let known = self.store.get(&key).await?;
        let known = known.and_then(|bytes| decode::<Installed>(&bytes).ok());
        if let Some(known) = known.filter(|known| !known.is_adopted || origin.is_adopted) {
            return Ok(known);
        }
        let record = Installed::new(inspection, origin, self.clock.now());
        self.store.commit(Transaction::new().put(key, encode(&record)?)).await?;
        kill::reach(Point::AfterInstalled);
        Ok(record)
    }

    /// Takes a component out of the catalog, whether or not its bytes are there. Its quarantine
    /// lasts.
    ///
    /// # Errors
    /// [`CatalogError`]: what is left of it is harmless.
    pub async fn remove(&self, digest: Digest) -> Result<(), CatalogError> {
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

    /// Puts a component into quarantine.
    ///
    /// # Errors
    /// [`CatalogError`]: whether it is there is unknown.
    pub async fn quarantine(
        &self,
        component: Pointed,
        backend: &BackendName,
        reason: String,
    ) -> Result<(), CatalogError> {
        let key = Namespace::PluginQuarantine.key(component.digest.clone());
        let backend = backend.to_string();
        let record = Quarantined { component, backend, reason, since: self.clock.now() };
        Ok(self.store.commit(Transaction::new().put(key, encode(&record)?)).await?)
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
