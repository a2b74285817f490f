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
use symbolon_host::{Admitted, Digest};

use super::App;
use super::choose::{self, Chooser};
use super::outcome::Outcome;
use super::stock::{self, Look};
use super::swap::Manner;
use super::swap::refusal::refuse_downgrade;
use super::world::KeptKeys;
use crate::catalog::Pointed;

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
        let mut changing = self.keys.lock().await;
        let outcomes = self.take_up(&mut changing, self.stale().await).await;
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
        self.take_up(changing, waiting).await
    }

    async fn take_up(
        &self,
        changing: &mut KeptKeys,
        stale: Vec<(BackendName, Digest)>,
    ) -> BTreeMap<BackendName, Outcome> {
        let mut outcomes = BTreeMap::new();
        for (backend, digest) in stale {
            let outcome = Box::pin(self.reconciled(changing, &backend, digest)).await;
            self.tell_reconciled(&backend, &outcome).await;
            outcomes.insert(backend, outcome);
        }
        outcomes
    }

    /// The backends and targets that are to run another component than they do.
    async fn stale(&self) -> Vec<(BackendName, Digest)> {
        let stock = self.restock().await;
        let running = choose::running(&self.line.world.load());
        let (config, candidates) = (self.config(), stock.candidates());
        let chooser = Chooser {
            foundation: &self.foundation,
            admissions: &self.admissions,
            judge: self.judge(&config),
            stock: &stock,
            running: &running,
        };
        let of = |(name, plugin): (BackendName, &crate::config::PluginRef)| {
            let digest = chooser.digest(&name, plugin, &candidates).ok()?;
            let runs = running.get(&name).map(|running| running.digest());
            (runs != Some(digest)).then_some((name, digest))
        };
        choose::plugins(&config).into_iter().filter_map(of).collect()
    }

    async fn reconciled(
        &self,
        changing: &mut KeptKeys,
        backend: &BackendName,
        digest: Digest,
    ) -> Outcome {
        let stock = self.stock.load_full();
        let config = self.config();
        let of = (&*stock, &*self.foundation.components, self.judge(&config));
        let done = match Box::pin(self.admissions.admit(digest, of)).await {
            Ok(admitted) => match self.is_upgrade(backend, &admitted) {
                Err(reason) => Err(reason),
                Ok(()) => {
                    let manner = Manner { by: "symbolon", points: false };
                    let swapped = Box::pin(self.swap(changing, backend, admitted, manner)).await;
                    swapped.map_err(|error| error.detail)
                }
            },
            Err(refusal) => Err(refusal.reason),
        };
        match (done, self.runs(backend)) {
            (Ok(done), _) => Outcome::of(done.from, done.to),
            (Err(reason), Some(running)) => {
                Outcome::RolledBack { kept: stock::pointed(&running), reason }
            }
            (Err(reason), None) => Outcome::Degraded(reason),
        }
    }

    /// Whoever can write the directory could otherwise put a signed version there that has a hole.
    fn is_upgrade(&self, backend: &BackendName, admitted: &Admitted) -> Result<(), String> {
        let to = Pointed::of(admitted.inspection());
        let refused = refuse_downgrade(self.runs(backend).as_deref(), &to);
        refused.map_err(|_| format!("{to} is older than what runs; activate it if that is meant"))
    }

    async fn tell_reconciled(&self, backend: &BackendName, outcome: &Outcome) {
        outcome.log(backend);
        let (ending, code) = match outcome {
            Outcome::Started(_) | Outcome::Kept(_) | Outcome::Swapped { .. } => {
                (Ending::Allow, "done")
            }
            Outcome::RolledBack { .. } | Outcome::Degraded(_) => (Ending::Error, "plugin_refused"),
        };
        let event = AdminEvent {
            administrator: "symbolon",
            operation: "plugin.reconcile",
            object: Some(backend.as_str()),
            outcome: ending,
            code,
            details: BTreeMap::from([("result", outcome.to_string())]),
        };
        if let Err(error) = self.foundation.journal.event(&event).await {
            tracing::error!(%backend, %error, "a change of what it runs is not on record");
        }
    }
}
