//! The plugin directory, watched: what changes in it is put in force without a reload.
//!
//! It is looked at, and not asked for events: a link that is swapped (as Kubernetes mounts things), a
//! file system over the network and an editor's renames look alike then, and a look costs one `stat` a
//! file. What was seen changed is acted upon when the next look sees the same: a file that is being
//! written changes from look to look. Should it stand still half-written, it does not parse, or it is
//! another component than the whole one, which comes with the next change.
//!
//! Only backends whose component becomes another by the rule of [`crate::catalog::choice`] are touched.
//! What runs is not taken down because its file is gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use symbolon_core::audit::{AdminEvent, Outcome as Ending};
use symbolon_core::id::BackendName;
use symbolon_host::Digest;

use super::App;
use super::choose::{self, Chooser, Refused, Running};
use super::outcome::Outcome;
use super::stock::{self, Look, Stock};
use super::swap::{Manner, Swapped};
use super::world::KeptKeys;
use crate::audit::JournalError;
use crate::catalog::Pointed;
use crate::config::Config;

/// How often the directory is looked at.
const LOOK: Duration = Duration::from_secs(2);

impl App {
    /// Watches for ever.
    pub(super) async fn watch_directory(self: Arc<Self>) {
        let mut acted_upon = self.look().await;
        let mut before = acted_upon.clone();
        loop {
            tokio::time::sleep(LOOK).await;
            let now = self.look().await;
            let is_still = now == before;
            if self.config().plugins.watch && is_still && now != acted_upon {
                Box::pin(self.take_up_directory()).await;
                acted_upon = now.clone();
            }
            before = now;
        }
    }

    async fn look(&self) -> Look {
        let directory = self.config().plugins.directory.clone();
        let look = tokio::task::spawn_blocking(move || Look::at(&directory)).await;
        look.unwrap_or_default()
    }

    /// Puts the components in force that the rule now gives. Answers what it changed.
    pub async fn take_up_directory(&self) -> BTreeMap<BackendName, Outcome> {
        let refused = Box::pin(self.prepare(&self.config())).await;
        let mut changing = self.keys.lock().await;
        let stale = self.stale().await;
        let outcomes = self.take_up(&mut changing, (stale, &refused)).await;
        self.tidy();
        outcomes
    }

    /// Starts what runs nothing and was waiting for the component that was installed. The caller holds
    /// the lock of changes.
    pub(super) async fn start_with(
        &self,
        changing: &mut KeptKeys,
        installed: &Digest,
    ) -> BTreeMap<BackendName, Outcome> {
        let mut waiting = self.stale().await;
        waiting.retain(|(name, digest)| digest == installed && self.runs(name).is_none());
        self.take_up(changing, (waiting, &Refused::new())).await
    }

    async fn take_up(
        &self,
        changing: &mut KeptKeys,
        (stale, refused): (Vec<(BackendName, Digest)>, &Refused),
    ) -> BTreeMap<BackendName, Outcome> {
        let mut outcomes = BTreeMap::new();
        for (backend, digest) in stale {
            let known = refused.get(&digest).cloned();
            let outcome = Box::pin(self.reconciled(changing, &backend, (digest, known))).await;
            self.tell_reconciled(&backend, &outcome).await;
            outcomes.insert(backend, outcome);
        }
        outcomes
    }

    /// Admits what is new by `config`, each component once, before anything is held: compiling takes its
    /// time, and whoever withdraws a key or takes a component out meanwhile must not wait for it. Answers
    /// what is refused, and why.
    pub(super) async fn prepare(&self, config: &Config) -> Refused {
        let stock = self.looked(config).await;
        let running = choose::running(&self.line.world.load());
        let chooser = self.chooser(config, (&stock, &running));
        let new = chooser.stale(config).into_iter().map(|(_, digest)| digest).collect();
        let judged = Box::pin(chooser.judged(new, &Refused::new())).await.into_iter();
        judged.filter_map(|(digest, judged)| Some((digest, judged.err()?))).collect()
    }

    fn chooser<'a>(
        &'a self,
        config: &'a Config,
        (stock, running): (&'a Stock, &'a Running),
    ) -> Chooser<'a> {
        let (foundation, admissions) = (&self.foundation, &*self.admissions);
        Chooser { foundation, admissions, judge: self.judge(config), stock, running }
    }

    /// The backends and targets that are to run another component than they do.
    async fn stale(&self) -> Vec<(BackendName, Digest)> {
        let (stock, config) = (self.restock().await, self.config());
        let running = choose::running(&self.line.world.load());
        self.chooser(&config, (&stock, &running)).stale(&config)
    }

    async fn reconciled(
        &self,
        changing: &mut KeptKeys,
        backend: &BackendName,
        (digest, refused): (Digest, Option<String>),
    ) -> Outcome {
        let done = match refused {
            Some(reason) => Err(reason),
            None => Box::pin(self.put_in_force(changing, backend, digest)).await,
        };
        match (done, self.runs(backend)) {
            (Ok(done), _) => Outcome::of(done.from, done.to),
            (Err(reason), Some(running)) => {
                Outcome::RolledBack { kept: stock::pointed(&running), reason }
            }
            (Err(reason), None) => Outcome::Degraded(reason),
        }
    }

    async fn put_in_force(
        &self,
        changing: &mut KeptKeys,
        backend: &BackendName,
        digest: Digest,
    ) -> Result<Swapped, String> {
        let (stock, config) = (self.stock.load_full(), self.config());
        let of = (&*stock, &*self.foundation.components, self.judge(&config));
        let admitted = Box::pin(self.admissions.admit(digest, of)).await;
        let admitted = admitted.map_err(|refusal| refusal.reason)?;
        let plugins = choose::plugins(&config);
        let plugin = plugins.get(backend).ok_or("it is not configured any more")?;
        let running = self.runs(backend);
        choose::is_meant((backend, plugin, running.as_deref()), &admitted, &stock)?;
        self.begin_reconciling(backend, &Pointed::of(admitted.inspection())).await?;
        let manner = Manner { by: "symbolon", points: false };
        let swapped = Box::pin(self.swap(changing, backend, admitted, manner)).await;
        swapped.map_err(|error| error.detail)
    }

    /// What is not on record is not done.
    async fn begin_reconciling(&self, backend: &BackendName, to: &Pointed) -> Result<(), String> {
        let details = BTreeMap::from([("to", to.to_string())]);
        let noted = self.note_reconciled(backend, (Ending::Allow, "begun"), details).await;
        noted.map_err(|error| format!("that it begins cannot be put on record: {error}"))
    }

    async fn tell_reconciled(&self, backend: &BackendName, outcome: &Outcome) {
        outcome.log(backend);
        let (ending, code) = match outcome {
            Outcome::Started(_) | Outcome::Kept(_) | Outcome::Swapped { .. } => {
                (Ending::Allow, "done")
            }
            Outcome::RolledBack { .. } | Outcome::Degraded(_) => (Ending::Error, "plugin_refused"),
        };
        let details = BTreeMap::from([("result", outcome.to_string())]);
        if let Err(error) = self.note_reconciled(backend, (ending, code), details).await {
            tracing::error!(%backend, %error, "a change of what it runs is not on record");
        }
    }

    async fn note_reconciled(
        &self,
        backend: &BackendName,
        (outcome, code): (Ending, &'static str),
        details: BTreeMap<&'static str, String>,
    ) -> Result<(), JournalError> {
        let event = AdminEvent {
            administrator: "symbolon",
            operation: "plugin.reconcile",
            object: Some(backend.as_str()),
            outcome,
            code,
            details,
        };
        self.foundation.journal.event(&event).await.map(drop)
    }
}
