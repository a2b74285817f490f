//! Connections to backends that outlive a component.
//!
//! Under one configuration a backend's connections depend on what its component asks for, and on nothing
//! else of it: where the next component asks for the same, it goes on with them. A swap under load would
//! otherwise open all of them at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use symbolon_core::id::BackendName;
use symbolon_host::egress::EgressClient;
use symbolon_host::manifest::EgressWanted;
use symbolon_host::sql::Pool;

/// A client, and what was asked for by the component that it was made for.
type Kept = (Vec<EgressWanted>, Arc<EgressClient>);

/// The connections of all backends and targets of one configuration.
#[derive(Debug, Default)]
pub struct Connections {
    clients: Mutex<BTreeMap<BackendName, Kept>>,
    pools: Mutex<BTreeMap<BackendName, Arc<Pool>>>,
}

impl Connections {
    /// The client of `backend`, if it was made for a component that asks for the same.
    #[must_use]
    pub fn client(
        &self,
        backend: &BackendName,
        asks: &[EgressWanted],
    ) -> Option<Arc<EgressClient>> {
        let clients = locked(&self.clients);
        let (of, client) = clients.get(backend)?;
        (of == asks).then(|| client.clone())
    }

    /// Keeps the client of `backend`.
    pub fn keep_client(
        &self,
        backend: &BackendName,
        asks: &[EgressWanted],
        client: &Arc<EgressClient>,
    ) {
        let kept = (asks.to_vec(), client.clone());
        locked(&self.clients).insert(backend.clone(), kept);
    }

    /// The connections to the database of `backend`.
    #[must_use]
    pub fn pool(&self, backend: &BackendName) -> Option<Arc<Pool>> {
        locked(&self.pools).get(backend).cloned()
    }

    /// Keeps the connections to the database of `backend`.
    pub fn keep_pool(&self, backend: &BackendName, pool: &Arc<Pool>) {
        locked(&self.pools).insert(backend.clone(), pool.clone());
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
