//! Which component a backend runs, changed while it runs.
//!
//! One at a time: what changes components, and a reload, hold one lock. A second change of the same
//! backend is not kept waiting, it is refused: whoever sent it decided without knowing of the first.
//!
//! ```text
//! choose → admit → generation with the backend's configuration → its `check` → pointer (durable)
//!        → on probation beside the one before → in force
//! ```
//!
//! INVARIANT: before the pointer is durable nothing has changed; after it, the worst that a crash
//! leaves is that the next start takes the component that was admitted and checked. Calls in flight
//! end on the generation that they began with; one that is put out of force on probation keeps the one
//! before until then, since what its last calls fail at is still to be answered.

pub(super) mod refusal;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use symbolon_core::id::BackendName;
use symbolon_host::{Admitted, Catalog, Digest, Entry, Generation, Package};

use self::refusal::{
    conflict, in_use, inadmissible, malformed, pinned, refuse_downgrade, refused, unkept, unknown,
};
use super::backends::Builder;
use super::choose::{self, Refused, named, proven};
use super::outcome::Outcome;
use super::stock::{self, Judge, Refusal, Stock};
use super::world::KeptKeys;
use super::{App, chain};
use crate::admin::plugins::{Activation, Upload, Wanted};
use crate::admin::{Answer, OperationError};
use crate::catalog::choice::{fits, quarantined_text};
use crate::catalog::{self, CatalogError, Incoming, Origin, Pointed};
use crate::config::Config;
use crate::kill::{self, Point};
use crate::line::World;

/// The metadata by which those who use a target's tokens were made.
const TOKEN_KIND: &str = "token-kind";

/// The backends that are being changed.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<BTreeSet<BackendName>>);

/// One of them, until it is dropped.
struct Turn<'a>(&'a Turns, BackendName);

impl Turns {
    fn take(&self, backend: &BackendName) -> Result<Turn<'_>, OperationError> {
        match self.held().insert(backend.clone()) {
            true => Ok(Turn(self, backend.clone())),
            false => Err(conflict(
                "change_under_way",
                format!(
                    "another change of `{backend}` is under way; look at what it does, and try again"
                ),
            )),
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeSet<BackendName>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.held().remove(&self.1);
    }
}

/// What a change aims at.
#[derive(Clone, Copy)]
enum Aim<'a> {
    At(&'a Activation),
    /// The component before.
    Back,
}

/// What a swap is to do beside.
pub(super) struct Manner<'a> {
    /// Who wants it.
    pub(super) by: &'a str,
    /// Whether the backend is to point at the component from now on.
    pub(super) points: bool,
}

/// What a swap has done.
pub(super) struct Swapped {
    pub(super) from: Option<Pointed>,
    pub(super) to: Pointed,
}

impl App {
    pub(super) async fn activate(
        &self,
        backend: &BackendName,
        activation: &Activation,
        by: &str,
    ) -> Result<Answer, OperationError> {
        let _turn = self.turns.take(backend)?;
        self.ready(backend, Aim::At(activation)).await?;
        let mut changing = self.keys.lock().await;
        let (admitted, stock) = self.ready(backend, Aim::At(activation)).await?;
        self.keep_installed(&admitted, &stock, by).await?;
        let manner = Manner { by, points: true };
        let done = Box::pin(self.swap(&mut changing, backend, admitted, manner)).await;
        done.map(|done| answered(backend, done))
    }

    pub(super) async fn roll_back(
        &self,
        backend: &BackendName,
        by: &str,
    ) -> Result<Answer, OperationError> {
        let _turn = self.turns.take(backend)?;
        self.ready(backend, Aim::Back).await?;
        let mut changing = self.keys.lock().await;
        let (admitted, _) = self.ready(backend, Aim::Back).await?;
        let manner = Manner { by, points: true };
        let done = Box::pin(self.swap(&mut changing, backend, admitted, manner)).await;
        done.map(|done| answered(backend, done))
    }

    /// The component that is meant, admitted. Asked for twice: compiled before anything is held, so that
    /// what fails meanwhile is taken out of use, and under the lock, where nothing changes any more.
    async fn ready(
        &self,
        backend: &BackendName,
        aim: Aim<'_>,
    ) -> Result<(Arc<Admitted>, Arc<Stock>), OperationError> {
        let stock = self.restock().await;
        let to = match aim {
            Aim::At(activation) => self.wanted(backend, &activation.wanted, &stock)?,
            Aim::Back => self.wanted(backend, &self.way_back(backend, &stock)?, &stock)?,
        };
        if let Aim::At(Activation { allow_downgrade: false, .. }) = aim {
            refuse_downgrade(self.runs(backend).as_deref(), &to)?;
        }
        let admitted = Box::pin(self.admitted(&to, &stock)).await?;
        Ok((admitted, stock))
    }

    /// The component that `backend` goes back to.
    fn way_back(&self, backend: &BackendName, stock: &Stock) -> Result<Wanted, OperationError> {
        let pointer = stock.catalog.pointers.get(backend).and_then(|of| of.previous.clone());
        let before = self.runs(backend).and_then(|running| running.probation());
        let to = pointer.or_else(|| before.map(|on| stock::pointed(&on.before)));
        to.map(|to| Wanted::Digest(to.digest)).ok_or_else(|| {
            conflict("no_previous", format!("`{backend}` has no component to go back to"))
        })
    }

    pub(super) async fn install(&self, upload: Upload, by: &str) -> Result<Answer, OperationError> {
        let Upload { package, source } = upload;
        // Compiled before anything is held; whom the operator trusts is asked again under the lock.
        Box::pin(self.admit_package(&package)).await?;
        let mut changing = self.keys.lock().await;
        let admitted = Box::pin(self.admit_package(&package)).await?;
        let config = self.config();
        let inspection = admitted.inspection();
        let component = Pointed::of(inspection);
        let users = self.users_of(&component.name);
        let alike = self.alike(&component.name);
        // Before there is a second one to choose from.
        self.settle_pointers(&users, &component).await.map_err(|error| unkept(&error))?;
        let (origin, trust) = (origin(source, by), &config.plugins.trust);
        let incoming = Incoming { component: component.clone(), package, origin, trust };
        let done = self.foundation.components.install(incoming).await;
        let installed = done.map_err(|error| unkept(&error))?;
        let started = Box::pin(self.start_with(&mut changing, &inspection.digest)).await;
        self.tidy();
        let mut details = BTreeMap::from([("component", component.to_string())]);
        let mut answer = json!({
            "installed": component.to_string(),
            "started": started,
            "name": component.name,
            "version": component.version,
            "digest": format!("sha256:{}", component.digest),
            "bytes": installed.bytes,
            "backends": users,
        });
        if let Some(shown) = answer.as_object_mut().filter(|_| !alike.is_empty()) {
            let name = &component.name;
            let warning = format!(
                "`{name}` could be taken for {alike}, and is another plugin; remove it if that was meant"
            );
            shown.insert("warning".to_owned(), warning.into());
            details.insert("alike", alike);
        }
        Ok(Answer::Json(answer, details))
    }

    async fn admit_package(&self, package: &Package) -> Result<Arc<Admitted>, OperationError> {
        let config = self.config();
        let admitted = self.admissions.admit_package(package.clone(), self.judge(&config));
        Box::pin(admitted).await.map_err(inadmissible)
    }

    pub(super) async fn remove(
        &self,
        wanted: &Wanted,
        force: bool,
        by: &str,
    ) -> Result<Answer, OperationError> {
        let _changing = self.keys.lock().await;
        let stock = self.restock().await;
        let known = stock.catalog.components.values().map(|installed| &installed.component);
        let strays = stock.catalog.strays().find(|digest| wanted.is_digest(digest)).copied();
        let component = match (named(wanted, known), strays) {
            (Ok(component), _) => component.clone(),
            (Err(_), Some(digest)) => stray(digest),
            (Err(reason), None) => return Err(malformed("component_unknown", reason)),
        };
        let digest = component
            .digest()
            .ok_or_else(|| malformed("component_unknown", format!("`{wanted}` has no digest")))?;
        let users = self.users_of_digest(digest, &stock);
        if !users.is_empty() && !force {
            return Err(in_use(&component, &users));
        }
        for backend in &users {
            self.degrade(backend, format!("its component {component} was removed by {by}")).await?;
        }
        let removed = self.foundation.components.remove(digest).await;
        removed.map_err(|error| unkept(&error))?;
        let fallen_back_on = self.stand_down(digest);
        let offered = stock.file(digest).map(|file| file.path.clone());
        self.restock().await;
        self.tidy();
        let details = BTreeMap::from([
            ("component", component.to_string()),
            ("degraded", users.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        ]);
        let answer = json!({
            "removed": component.to_string(), "degraded": users, "still_in_directory": offered,
            "without_way_back": fallen_back_on,
        });
        Ok(Answer::Json(answer, details))
    }

    pub(super) async fn release(&self, wanted: &Wanted) -> Result<Answer, OperationError> {
        let _changing = self.keys.lock().await;
        let stock = self.restock().await;
        let held = stock.catalog.quarantine.values().map(|held| &held.component);
        let component = named(wanted, held).map_err(|reason| {
            malformed("not_quarantined", format!("nothing in quarantine is meant: {reason}"))
        })?;
        let Some(digest) = component.digest() else {
            return Err(malformed("not_quarantined", format!("`{wanted}` has no digest")));
        };
        let released = self.foundation.components.release(digest).await;
        released.map_err(|error| unkept(&error))?;
        let component = component.to_string();
        self.restock().await;
        let details = BTreeMap::from([("component", component.clone())]);
        Ok(Answer::Json(json!({ "released": component }), details))
    }

    /// Puts `admitted` in force for `backend`. The caller holds the lock of changes.
    pub(super) async fn swap(
        &self,
        changing: &mut KeptKeys,
        backend: &BackendName,
        admitted: Arc<Admitted>,
        manner: Manner<'_>,
    ) -> Result<Swapped, OperationError> {
        let world = self.line.world.load_full();
        let to = Pointed::of(admitted.inspection());
        let running = self.runs(backend);
        let from = running.as_ref().map(|running| stock::pointed(running));
        let good = running.as_ref().map(proven);
        let previous = good.as_ref().map(|good| stock::pointed(good));
        if from.as_ref() == Some(&to) {
            // The way back is the one that there was.
            let known = self.stock.load().catalog.pointers.get(backend).cloned();
            let known = known.filter(|known| known.to == to).and_then(|known| known.previous);
            let previous = previous.filter(|previous| *previous != to).or(known);
            self.point(backend, (to.clone(), previous), &manner).await?;
            return Ok(Swapped { from, to });
        }
        let config = self.config();
        let mut builder = Builder::beside(&self.foundation, &config, &world);
        let candidate = Box::pin(builder.candidate(backend, &admitted)).await;
        let candidate = candidate.ok_or_else(|| unknown(backend))?;
        let candidate = candidate.map_err(|reason| {
            let goes_on = from.as_ref().map(|from| format!("; {from} goes on")).unwrap_or_default();
            refused(format!("{to}: {reason}{goes_on}"))
        })?;
        self.point(backend, (to.clone(), previous.or_else(|| from.clone())), &manner).await?;
        kill::reach(Point::AfterPointed);
        if !config.backends.contains_key(backend) && !is_like(running.as_deref(), &candidate) {
            self.rebuild_around(changing, config, (backend, &to)).await?;
            return Ok(Swapped { from, to });
        }
        if let Some(good) = good.filter(|good| good.digest() != candidate.digest()) {
            let rate = good.rate();
            candidate.begin_probation(good, rate);
        }
        place(&world, &config, backend).put(backend, &Entry::Ready(candidate));
        kill::reach(Point::AfterSwapped);
        self.foundation.metrics().swapped(backend.as_str(), "swapped");
        let before = from.as_ref().map(ToString::to_string);
        tracing::info!(%backend, from = before, %to, by = manner.by, "the component was swapped");
        self.restock().await;
        self.tidy();
        Ok(Swapped { from, to })
    }

    /// Lets a target have `to` by building everything anew: those who use its tokens were made for what
    /// it was.
    async fn rebuild_around(
        &self,
        changing: &mut KeptKeys,
        config: Arc<Config>,
        (target, to): (&BackendName, &Pointed),
    ) -> Result<(), OperationError> {
        let rebuilt = Box::pin(self.rebuild(changing, config, &Refused::new())).await;
        let outcomes = rebuilt.map_err(|error| refused(chain(&error)))?;
        match outcomes.get(target) {
            Some(Outcome::RolledBack { reason, .. } | Outcome::Degraded(reason)) => {
                Err(refused(format!(
                    "{to}: {reason}; it is what `{target}` points at: the next start tries it again"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Puts the last good generation of `backend` back. The caller holds the lock of changes.
    pub(super) async fn put_back(
        &self,
        backend: &BackendName,
        good: Arc<Generation>,
    ) -> Result<(), CatalogError> {
        let (world, config) = (self.line.world.load_full(), self.config());
        place(&world, &config, backend).put(backend, &Entry::Ready(good.clone()));
        self.foundation.components.point(backend, stock::pointed(&good), None, "symbolon").await?;
        Ok(())
    }

    /// Lets `backend` have no component. The caller holds the lock of changes.
    async fn degrade(&self, backend: &BackendName, reason: String) -> Result<(), OperationError> {
        let unpointed = self.foundation.components.unpoint(backend).await;
        unpointed.map_err(|error| unkept(&error))?;
        self.put_none(backend, reason);
        Ok(())
    }

    pub(super) fn put_none(&self, backend: &BackendName, reason: String) {
        let (world, config) = (self.line.world.load_full(), self.config());
        tracing::error!(%backend, reason, "the backend is degraded");
        place(&world, &config, backend).put(backend, &Entry::Degraded { reason });
    }

    async fn point(
        &self,
        backend: &BackendName,
        (to, previous): (Pointed, Option<Pointed>),
        manner: &Manner<'_>,
    ) -> Result<(), OperationError> {
        if !manner.points {
            return Ok(());
        }
        let pointed = self.foundation.components.point(backend, to, previous, manner.by).await;
        pointed.map_err(|error| unkept(&error))
    }

    /// Lets backends that point at nothing point at what they run, so that a component that is
    /// installed beside it does not leave the next start without a choice.
    async fn settle_pointers(
        &self,
        users: &[BackendName],
        installed: &Pointed,
    ) -> Result<(), CatalogError> {
        let stock = self.restock().await;
        for backend in users.iter().filter(|user| !stock.catalog.pointers.contains_key(*user)) {
            let Some(running) = self.runs(backend) else { continue };
            let component = stock::pointed(&running);
            if component != *installed {
                let good = proven(&running);
                let both = || BTreeSet::from([running.digest(), good.digest()]);
                let config = self.config();
                let of = (&*self.foundation.components, &config.plugins.trust);
                stock.adopt(&both, of).await;
                let previous = Some(stock::pointed(&good)).filter(|good| *good != component);
                self.foundation.components.point(backend, component, previous, "symbolon").await?;
            }
        }
        Ok(())
    }

    /// What runs for a backend or target now.
    pub(super) fn runs(&self, backend: &BackendName) -> Option<Arc<Generation>> {
        let world = self.line.world.load();
        let found = world.dispatcher.catalog().find(backend);
        found.or_else(|_| world.exchangers.find(backend)).ok()
    }

    /// Who examines components by `config`.
    pub(super) fn judge<'a>(&'a self, config: &'a Config) -> Judge<'a> {
        Judge { host: &self.foundation.host, trust: &config.plugins.trust }
    }

    /// What there is now, by `config`.
    pub(super) async fn looked(&self, config: &Config) -> Stock {
        let of = (&*self.admissions, self.judge(config));
        Stock::take(&config.plugins.directory, &self.foundation.components, of).await
    }

    /// Looks again at what there is.
    pub(super) async fn restock(&self) -> Arc<Stock> {
        let stock = Arc::new(self.looked(&self.config()).await);
        self.stock.store(stock.clone());
        stock
    }

    /// The component that is meant for `backend`, if it may have it.
    fn wanted(
        &self,
        backend: &BackendName,
        wanted: &Wanted,
        stock: &Stock,
    ) -> Result<Pointed, OperationError> {
        let config = self.config();
        let plugins = choose::plugins(&config);
        let plugin = plugins.get(backend).ok_or_else(|| unknown(backend))?;
        let candidates = stock.candidates();
        let of_plugin = candidates.iter().map(|candidate| &candidate.component);
        let of_plugin = of_plugin
            .filter(|component| component.name == plugin.name.as_str() || wanted.has_name());
        let to = named(wanted, of_plugin);
        let to = to.map_err(|reason| malformed("component_unknown", reason))?;
        if !fits(plugin, to) {
            return Err(pinned(backend, plugin, to));
        }
        let held = to.digest().and_then(|digest| stock.catalog.held(backend).remove(&digest));
        match held {
            Some(held) => Err(conflict("quarantined", quarantined_text(&held))),
            None => Ok(to.clone()),
        }
    }

    async fn admitted(&self, to: &Pointed, stock: &Stock) -> Result<Arc<Admitted>, OperationError> {
        let digest = to.digest().ok_or_else(|| refused(format!("{to} has no digest")))?;
        let config = self.config();
        let of = (stock, &*self.foundation.components, self.judge(&config));
        let admitted = Box::pin(self.admissions.admit(digest, of)).await;
        admitted.map_err(|refusal| {
            let reason = format!("{to}: {}", refusal.reason);
            inadmissible(Refusal { reason, ..refusal })
        })
    }

    /// What a pointer names is in the catalog, also if its file goes away.
    async fn keep_installed(
        &self,
        admitted: &Admitted,
        stock: &Stock,
        by: &str,
    ) -> Result<(), OperationError> {
        let inspection = admitted.inspection();
        let Some(file) = stock.file(inspection.digest) else { return Ok(()) };
        let package = stock.package(inspection.digest, &self.foundation.components).await;
        let package: Package = package.map_err(refused)?;
        let origin = origin(file.path.display().to_string(), by);
        let (component, config) = (Pointed::of(inspection), self.config());
        let incoming = Incoming { component, package, origin, trust: &config.plugins.trust };
        let kept = self.foundation.components.install(incoming).await;
        kept.map(drop).map_err(|error| unkept(&error))
    }

    /// The names of plugins, there or in the configuration, that this one could be taken for.
    fn alike(&self, plugin: &str) -> String {
        let (config, stock) = (self.config(), self.stock.load_full());
        let there = stock.candidates().into_iter().map(|candidate| candidate.component.name);
        let used = choose::plugins(&config).into_values().map(|of| of.name.to_string());
        let known: BTreeSet<String> = there.chain(used).collect();
        let alike = catalog::alike(plugin, known.iter().map(String::as_str));
        alike.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    }

    fn users_of(&self, plugin: &str) -> Vec<BackendName> {
        let config = self.config();
        let of = choose::plugins(&config).into_iter();
        of.filter(|(_, of)| of.name.as_str() == plugin).map(|(name, _)| name).collect()
    }

    /// Who runs the component or points at it.
    fn users_of_digest(&self, digest: Digest, stock: &Stock) -> BTreeSet<BackendName> {
        let running = choose::running(&self.line.world.load());
        let runs = running.into_iter().filter(|(_, of)| of.digest() == digest);
        let config = self.config();
        let known = choose::plugins(&config);
        let points = stock.catalog.users(&digest).filter(|name| known.contains_key(*name));
        runs.map(|(name, _)| name).chain(points.cloned()).collect()
    }
}

/// Whether who uses the tokens of a target notices no difference in how they are used.
fn is_like(running: Option<&Generation>, candidate: &Generation) -> bool {
    let kind = |of: &Generation| of.manifest().metadata.get(TOKEN_KIND).cloned();
    running.is_some_and(|running| kind(running) == kind(candidate))
}

/// Where the component of `name` is looked up.
fn place(world: &World, config: &Config, name: &BackendName) -> Arc<Catalog> {
    match config.backends.contains_key(name) {
        true => world.dispatcher.catalog().clone(),
        false => world.exchangers.clone(),
    }
}

fn answered(backend: &BackendName, done: Swapped) -> Answer {
    let Swapped { from, to } = done;
    let from = from.map(|from| from.to_string());
    let details =
        BTreeMap::from([("from", from.clone().unwrap_or_default()), ("to", to.to_string())]);
    let is_news = from.as_deref() != Some(&to.to_string());
    let answer: Value = json!({
        "backend": backend,
        "outcome": if is_news { "swapped" } else { "kept" },
        "from": from,
        "to": to.to_string(),
    });
    Answer::Json(answer, details)
}

fn origin(source: String, by: &str) -> Origin {
    Origin { source, by: by.to_owned(), is_adopted: false }
}

/// Bytes of which nobody knows the name.
fn stray(digest: Digest) -> Pointed {
    Pointed { name: "?".to_owned(), version: "?".to_owned(), digest: digest.hex() }
}
