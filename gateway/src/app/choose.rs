//! The component of every backend and target, by the rule of [`crate::catalog::choice`], admitted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use symbolon_core::id::BackendName;
use symbolon_host::{Admitted, Catalog, Digest, Entry, Generation};

use super::backends::{Chosen, seat_name};
use super::foundation::Foundation;
use super::stock::{self, Admissions, Judge, Stock};
use crate::catalog::Pointed;
use crate::catalog::choice::{Candidate, Question};
use crate::config::{Config, PluginRef};
use crate::line::World;

/// What runs, of backends and targets.
pub(super) type Running = BTreeMap<BackendName, Arc<Generation>>;

/// What runs in `world`.
pub(super) fn running(world: &World) -> Running {
    let of = |catalog: &Catalog| {
        let entries = catalog.entries();
        let ready = entries.iter().filter_map(|(name, entry)| match entry {
            Entry::Ready(generation) => Some((name.clone(), generation.clone())),
            Entry::Degraded { .. } => None,
        });
        ready.collect::<Running>()
    };
    let mut running = of(world.dispatcher.catalog());
    running.append(&mut of(&world.exchangers));
    running
}

/// The components whose code is needed: those that run, and those that may come back.
pub(super) fn used(running: &Running) -> BTreeSet<Digest> {
    let of = |generation: &Arc<Generation>| {
        let before = generation.probation().map(|on| on.before.digest());
        std::iter::once(generation.digest()).chain(before)
    };
    running.values().flat_map(of).collect()
}

/// What is known to be good of a backend: what runs, or the one before while that one is on
/// probation.
pub(super) fn proven(generation: &Arc<Generation>) -> Arc<Generation> {
    generation.probation().map_or_else(|| generation.clone(), |on| on.before)
}

/// The plugin of every backend and target.
pub(super) fn plugins(config: &Config) -> BTreeMap<BackendName, &PluginRef> {
    let backends = config.backends.iter().map(|(name, of)| (name.clone(), &of.plugin));
    let targets = config.targets.iter();
    let targets = targets.filter_map(|(name, of)| Some((seat_name(name).ok()?, &of.plugin)));
    backends.chain(targets).collect()
}

/// Components that were refused a moment ago, and why.
pub(super) type Refused = BTreeMap<Digest, String>;

/// What there is to choose from.
pub(super) struct Chooser<'a> {
    pub(super) foundation: &'a Foundation,
    pub(super) admissions: &'a Admissions,
    pub(super) judge: Judge<'a>,
    pub(super) stock: &'a Stock,
    pub(super) running: &'a Running,
}

/// How many components are admitted at once. Compilers have their own number.
const ADMISSIONS: usize = 8;

/// What became of each component that is needed.
pub(super) type Judged = BTreeMap<Digest, Result<Arc<Admitted>, String>>;

impl Chooser<'_> {
    /// The component of every backend and target of `config`. Each is admitted once, however many
    /// want it; what is `refused` is not.
    pub(super) async fn all(
        &self,
        config: &Config,
        refused: &Refused,
    ) -> BTreeMap<BackendName, Chosen> {
        let candidates = self.stock.candidates();
        let plugins = plugins(config).into_iter();
        let wanted = plugins.map(|(name, plugin)| {
            let digest = self.digest(&name, plugin, &candidates);
            (name, plugin, digest)
        });
        let wanted: Vec<_> = wanted.collect();
        let to = wanted.iter().filter_map(|(_, _, digest)| digest.as_ref().ok().copied());
        let before = wanted.iter().filter_map(|(name, plugin, _)| self.known_good(name, plugin));
        let before = before.map(|proven| proven.digest());
        let judged = Box::pin(self.judged(to.chain(before).collect(), refused)).await;
        let chosen = wanted.into_iter().map(|(name, plugin, digest)| {
            let chosen = self.one(&name, plugin, (digest, &judged));
            (name, chosen)
        });
        chosen.collect()
    }

    /// The backends and targets of `config` that are to run another component than they do.
    pub(super) fn stale(&self, config: &Config) -> Vec<(BackendName, Digest)> {
        let candidates = self.stock.candidates();
        let of = |(name, plugin): (BackendName, &PluginRef)| {
            let digest = self.digest(&name, plugin, &candidates).ok()?;
            let runs = self.running.get(&name).map(|running| running.digest());
            (runs != Some(digest)).then_some((name, digest))
        };
        plugins(config).into_iter().filter_map(of).collect()
    }

    /// Admits each that is not `refused`, some at a time.
    pub(super) async fn judged(&self, digests: BTreeSet<Digest>, refused: &Refused) -> Judged {
        let of = (self.stock, &*self.foundation.components, self.judge);
        let one = |digest| async move {
            if let Some(reason) = refused.get(&digest) {
                return (digest, Err(reason.clone()));
            }
            let admitted = self.admissions.admit(digest, of).await;
            (digest, admitted.map_err(|refusal| refusal.reason))
        };
        let all = stream::iter(digests).map(|digest| Box::pin(one(digest)));
        all.buffer_unordered(ADMISSIONS).collect().await
    }

    /// The digest that the rule gives for one backend or target.
    pub(super) fn digest(
        &self,
        name: &BackendName,
        plugin: &PluginRef,
        candidates: &[Candidate],
    ) -> Result<Digest, String> {
        let running = self.running.get(name).map(|running| stock::pointed(running));
        let held = self.stock.catalog.held(name);
        let question = Question {
            plugin,
            candidates,
            pointer: self.stock.catalog.pointers.get(name),
            running: running.as_ref(),
            quarantine: &held,
        };
        question.answer().map_err(|reason| match self.stock.refusal(plugin.name.as_str()) {
            Some(refusal) => format!("{reason} ({refusal})"),
            None => reason,
        })
    }

    fn one(
        &self,
        name: &BackendName,
        plugin: &PluginRef,
        (digest, judged): (Result<Digest, String>, &Judged),
    ) -> Chosen {
        let to = digest.and_then(|digest| judgement(judged, digest));
        let running = self.running.get(name).map(|running| &**running);
        let of = (name, plugin, running);
        let to = to.and_then(|to| is_meant(of, &to, self.stock).map(|()| to));
        let running = running.map(stock::pointed);
        let before = self.known_good(name, plugin).and_then(|proven| before(&proven, &to, judged));
        Chosen { to, running, before }
    }

    /// What is known to be good and can be gone back to: of the same plugin, and not in quarantine.
    fn known_good(&self, name: &BackendName, plugin: &PluginRef) -> Option<Arc<Generation>> {
        let proven = proven(self.running.get(name)?);
        let is_free = !self.stock.catalog.held(name).contains_key(&proven.digest());
        (is_free && *proven.plugin() == plugin.name).then_some(proven)
    }
}

/// Whether somebody has said that this is to run, if it is older than what runs or ran: by the
/// configuration, which names it, or by activating it. That it is the only one there says nothing,
/// since whoever can write the directory could put a signed version there that has a hole.
pub(super) fn is_meant(
    (name, plugin, running): (&BackendName, &PluginRef, Option<&Generation>),
    to: &Admitted,
    stock: &Stock,
) -> Result<(), String> {
    let to = Pointed::of(to.inspection());
    let is_pinned = plugin.version.is_some() || plugin.digest.is_some();
    let is_pointed = stock.catalog.pointers.get(name).is_some_and(|pointer| {
        // The rule takes the one before only where the other may not run.
        pointer.to == to || pointer.previous.as_ref() == Some(&to)
    });
    match stock.newer((name, running), &to).filter(|_| !is_pinned && !is_pointed) {
        None => Ok(()),
        Some(newer) => Err(format!(
            "{to} is older than {newer}, which runs or ran here; give the backend's `version` in the \
             configuration, or activate it, if that is meant"
        )),
    }
}

fn judgement(judged: &Judged, digest: Digest) -> Result<Arc<Admitted>, String> {
    judged.get(&digest).cloned().unwrap_or_else(|| Err("it was not examined".to_owned()))
}

/// What to go back to, and the part of calls at which it failed, if it is another than `to`.
fn before(
    proven: &Generation,
    to: &Result<Arc<Admitted>, String>,
    judged: &Judged,
) -> Option<(Arc<Admitted>, f64)> {
    let digest = proven.digest();
    let is_other = to.as_ref().map_or(true, |to| to.inspection().digest != digest);
    let admitted = is_other.then(|| judgement(judged, digest))?;
    Some((admitted.ok()?, proven.rate()))
}

/// The component that `text` names among `candidates`: `NAME@VERSION`, or the beginning of a digest.
pub(super) fn named<'a>(
    wanted: &crate::admin::plugins::Wanted,
    candidates: impl Iterator<Item = &'a Pointed>,
) -> Result<&'a Pointed, String> {
    let mut found: Vec<&Pointed> = candidates.filter(|candidate| wanted.is(candidate)).collect();
    found.sort_by(|a, b| a.digest.cmp(&b.digest));
    found.dedup();
    match found.as_slice() {
        [only] => Ok(only),
        [] => Err(format!("no component here is `{wanted}`; see `symbolon plugin ls`")),
        several => {
            let list: Vec<_> = several.iter().map(ToString::to_string).collect();
            Err(format!("`{wanted}` is several: {}; name one by its digest", list.join(", ")))
        }
    }
}
