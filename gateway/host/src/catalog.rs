//! Which plugin serves which backend, right now.
//!
//! A [`Generation`] is one admitted component with the configuration, limits and network of one
//! backend. It never changes: what changes is which generation the [`Catalog`] points at, in one
//! atomic swap. Calls in flight hold the old one and end on it; going back is another swap.
//!
//! A backend whose plugin is missing or refused is in the catalog too, as degraded, with the reason
//! for the operator. It answers `Unavailable`; nothing else notices.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use symbolon_core::clock::{Clock, Timestamp};
use symbolon_core::error::Kind;
use symbolon_core::id::{BackendName, PluginName};
use tokio::sync::Notify;

use crate::admit::Admitted;
use crate::answer::Role;
use crate::breaker::{Breaker, BreakerState};
use crate::call::Caller;
use crate::conduct::{self, Conduct, PROBATION_CALLS, Tally, Verdict};
use crate::limits::Limits;
use crate::manifest::{Digest, Interface, Manifest};
use crate::outbound::Outbound;
use crate::pace::Pace;
use crate::places::Places;
use crate::signature::Endorsement;
use crate::sql::{IssuedLogins, Pool};
use crate::state::Shared;

/// How a backend uses a plugin.
#[derive(Debug)]
pub struct BackendSpec {
    /// The backend.
    pub name: BackendName,
    /// Its configuration, as JSON.
    pub config: serde_json::Value,
    /// What it issues, so that its roles are checked when they are loaded.
    pub roles: Vec<Role>,
    /// Its limits.
    pub limits: Limits,
    /// Its network: what operator and manifest agree on, with the credentials to inject.
    pub outbound: Box<dyn Outbound>,
    /// The database to which the host logs in for it.
    pub database: Option<Arc<Pool>>,
}

/// One admitted component with the configuration, limits and network of one backend.
pub struct Generation {
    manifest: Arc<Manifest>,
    interfaces: Vec<Interface>,
    digest: Digest,
    endorsement: Endorsement,
    caller: Caller,
    issued: Option<Issued>,
    probation: Mutex<Option<Probation>>,
}

/// The first time of a generation that took the place of another.
#[derive(Clone, Debug)]
pub struct Probation {
    /// The one before: it takes over what the new one fails at, and comes back if that fails.
    pub before: Arc<Generation>,
    /// When it began, on [`Clock::elapsed`].
    pub since: Duration,
    /// The part of calls at which the one before failed.
    pub rate_before: f64,
}

/// Where the logins are remembered that a backend issues.
pub(crate) struct Issued {
    pub(crate) logins: Arc<IssuedLogins>,
    /// Host and port of the backend's server.
    pub(crate) server: Arc<str>,
}

impl Generation {
    /// Puts `plugin` to use as the backend of `spec`.
    #[must_use]
    pub fn new(plugin: &Admitted, spec: BackendSpec, clock: Arc<dyn Clock>) -> Self {
        let limits = spec.limits;
        let caller = Caller {
            runtime: Arc::clone(plugin.runtime()),
            pre: plugin.pre().clone(),
            exports: plugin.exports().clone(),
            breaker: Breaker::new(limits.breaker_failures, limits.breaker_pause),
            places: Places::new(&limits),
            pace: Pace::new(limits.rate),
            conduct: Conduct::default(),
            shared: Arc::new(Shared {
                backend: Some(spec.name),
                config: spec.config.to_string(),
                roles: spec.roles.into_iter().map(|role| (role.name, role.config)).collect(),
                outbound: spec.outbound,
                database: spec.database,
                limits,
                clock: Some(clock.clone()),
            }),
            clock,
        };
        let inspection = plugin.inspection();
        Self {
            manifest: Arc::new(inspection.manifest.clone()),
            interfaces: inspection.interfaces.clone(),
            digest: inspection.digest,
            endorsement: plugin.endorsement().clone(),
            caller,
            issued: None,
            probation: Mutex::default(),
        }
    }

    /// Tells `alarm` of each failure that is the component's own.
    #[must_use]
    pub fn alarming(mut self, alarm: Arc<Notify>) -> Self {
        self.caller.conduct = Conduct::alarming(alarm);
        self
    }

    /// Is on probation from now on, after `before`, which has failed at `rate_before` of its calls.
    pub fn begin_probation(&self, before: Arc<Self>, rate_before: f64) {
        // A chain of those that were never proven would keep all of them.
        before.end_probation();
        let since = self.caller.clock.elapsed();
        *self.held() = Some(Probation { before, since, rate_before });
    }

    /// Its probation, if it is on one.
    #[must_use]
    pub fn probation(&self) -> Option<Probation> {
        self.held().clone()
    }

    /// Ends its probation, and with it lets the one before go.
    pub fn end_probation(&self) {
        // Outside of the lock: the last holder of a generation drops much.
        let before = self.held().take();
        drop(before);
    }

    /// What was counted of its calls.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.caller.conduct.tally()
    }

    /// The part of its calls at which it failed, once there are enough of them to say.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let tally = self.tally();
        if tally.calls < PROBATION_CALLS { 0.0 } else { tally.rate() }
    }

    /// What is to be done about it now.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let now = self.caller.clock.elapsed();
        match self.probation() {
            Some(Probation { since, rate_before, .. }) => {
                conduct::on_probation(self.tally(), rate_before, now.saturating_sub(since))
            }
            None => self.caller.conduct.in_use(now),
        }
    }

    fn held(&self) -> MutexGuard<'_, Option<Probation>> {
        self.probation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what it issues in `logins`, so that [`Generation::try_ended`] can try it. Does
    /// nothing for a backend without a database: of another's credentials the host does not know how
    /// they are used.
    #[must_use]
    pub fn remembering(self, logins: Arc<IssuedLogins>) -> Self {
        let issued = self.database().map(|pool| Issued { logins, server: pool.server().into() });
        Self { issued, ..self }
    }

    /// The plugin's name.
    #[must_use]
    pub fn plugin(&self) -> &PluginName {
        &self.manifest.name
    }

    /// The plugin's manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The component's digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Who vouches for the component.
    #[must_use]
    pub const fn endorsement(&self) -> &Endorsement {
        &self.endorsement
    }

    /// Whether the plugin exports `interface`.
    #[must_use]
    pub fn can(&self, interface: Interface) -> bool {
        self.interfaces.contains(&interface)
    }

    /// What the breaker lets through now.
    #[must_use]
    pub fn breaker(&self) -> BreakerState {
        self.caller.breaker.state()
    }

    /// How many more calls could run now without waiting.
    #[must_use]
    pub fn free_places(&self) -> usize {
        self.caller.places.free()
    }

    /// The database of the backend, if it has one: to prove what became of a login, say.
    #[must_use]
    pub fn database(&self) -> Option<&Arc<Pool>> {
        self.caller.shared.database.as_ref()
    }

    pub(crate) fn issued(&self) -> Option<&Issued> {
        self.issued.as_ref()
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.caller.clock.now()
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation")
            .field("plugin", self.plugin())
            .field("version", &self.manifest.version)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

/// What a backend's name leads to.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A plugin that takes calls.
    Ready(Arc<Generation>),
    /// No plugin, and why, for the operator.
    Degraded {
        /// Why.
        reason: String,
    },
}

/// Why a backend has no generation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// There is no such backend.
    #[error("there is no such backend")]
    Unknown,
    /// Its plugin is missing or was refused.
    #[error("the backend is degraded: {reason}")]
    Degraded {
        /// Why.
        reason: String,
    },
}

impl CatalogError {
    /// What the caller is told.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::Absent,
            Self::Degraded { .. } => Kind::Unavailable,
        }
    }

    /// The audit code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "backend_unknown",
            Self::Degraded { .. } => "backend_degraded",
        }
    }
}

/// All entries by backend.
pub type Entries = BTreeMap<BackendName, Entry>;

/// Which plugin serves which backend.
#[derive(Debug, Default)]
pub struct Catalog(ArcSwap<Entries>);

impl Catalog {
    /// A catalog with `entries`.
    #[must_use]
    pub fn new(entries: Entries) -> Self {
        Self(ArcSwap::from_pointee(entries))
    }

    /// The generation that serves `backend` now. Hold it for one request, not longer.
    ///
    /// # Errors
    /// [`CatalogError`] if there is none.
    pub fn find(&self, backend: &BackendName) -> Result<Arc<Generation>, CatalogError> {
        match self.0.load().get(backend) {
            Some(Entry::Ready(generation)) => Ok(Arc::clone(generation)),
            Some(Entry::Degraded { reason }) => {
                Err(CatalogError::Degraded { reason: reason.clone() })
            }
            None => Err(CatalogError::Unknown),
        }
    }

    /// Everything, as of one moment.
    #[must_use]
    pub fn entries(&self) -> Arc<Entries> {
        self.0.load_full()
    }

    /// Replaces everything in one swap; answers what was there.
    pub fn replace(&self, entries: Entries) -> Arc<Entries> {
        self.0.swap(Arc::new(entries))
    }

    /// Replaces one entry; answers what was there.
    pub fn put(&self, backend: &BackendName, entry: &Entry) -> Option<Entry> {
        let before = self.0.rcu(|entries| {
            let mut entries = Entries::clone(entries);
            entries.insert(backend.clone(), entry.clone());
            entries
        });
        before.get(backend).cloned()
    }
}

/// A name in a catalog: who holds it finds what is in force at each moment.
#[derive(Clone, Debug)]
pub struct Seat {
    catalog: Arc<Catalog>,
    name: BackendName,
}

impl Seat {
    /// The place of `name` in `catalog`.
    #[must_use]
    pub fn new(catalog: Arc<Catalog>, name: BackendName) -> Self {
        Self { catalog, name }
    }

    /// The generation that sits there now.
    ///
    /// # Errors
    /// As [`Catalog::find`].
    pub fn generation(&self) -> Result<Arc<Generation>, CatalogError> {
        self.catalog.find(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_degraded_backend_says_why_and_an_unknown_one_is_absent() {
        let catalog = Catalog::default();
        let name = BackendName::parse("kv").unwrap();
        assert_eq!(catalog.find(&name).unwrap_err().kind(), Kind::Absent);
        let reason = "the component is not there".to_owned();
        catalog.put(&name, &Entry::Degraded { reason: reason.clone() });
        assert_eq!(catalog.find(&name).unwrap_err(), CatalogError::Degraded { reason });
        assert_eq!(catalog.replace(Entries::new()).len(), 1);
        assert_eq!(catalog.find(&name).unwrap_err(), CatalogError::Unknown);
    }
}
