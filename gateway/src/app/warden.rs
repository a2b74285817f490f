//! What watches over components in use: it ends probations, puts the last good one back, and puts
//! those into quarantine that fail again and again.
//!
//! It is woken by the first fault and looks every second besides. What is decided is in
//! [`symbolon_host::conduct`]; here it is done: in force first, since each call meanwhile fails, then
//! written down, then put on record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use symbolon_core::audit::{AdminEvent, Outcome};
use symbolon_core::id::BackendName;
use symbolon_host::{Digest, Generation, Tally, Verdict};

use super::stock;
use super::{App, chain, choose};
use crate::catalog::Pointed;

/// How often it looks without being woken.
const LOOK: Duration = Duration::from_secs(1);
/// How long it rests after each look, so that a storm of faults is one.
const REST: Duration = Duration::from_millis(10);

/// What is done about a component.
struct Sentence {
    backend: BackendName,
    generation: Arc<Generation>,
    is_quarantine: bool,
}

impl App {
    /// Watches for ever.
    pub(super) async fn watch_conduct(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.foundation.alarm.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
            Box::pin(self.judge_all()).await;
            tokio::time::sleep(REST).await;
        }
    }

    /// Looks at every component in use once.
    async fn judge_all(&self) {
        let running = choose::running(&self.line.world.load());
        for (backend, generation) in running {
            match generation.verdict() {
                Verdict::GoOn => {}
                Verdict::Passed => self.passed(&backend, &generation),
                verdict @ (Verdict::RollBack | Verdict::Quarantine) => {
                    let is_quarantine = verdict == Verdict::Quarantine;
                    let sentence = Sentence { backend, generation, is_quarantine };
                    Box::pin(self.execute(&sentence)).await;
                }
            }
        }
    }

    fn passed(&self, backend: &BackendName, generation: &Generation) {
        generation.end_probation();
        let component = stock::pointed(generation);
        tracing::info!(%backend, %component, "the component has passed its probation");
        self.foundation.metrics().swapped(backend.as_str(), "passed");
        self.tidy();
    }

    async fn execute(&self, sentence: &Sentence) {
        let Sentence { backend, generation, is_quarantine } = sentence;
        let _changing = self.keys.lock().await;
        // Somebody else may have changed it meanwhile.
        if !self.runs(backend).is_some_and(|now| Arc::ptr_eq(&now, generation)) {
            return;
        }
        let component = stock::pointed(generation);
        let reason = faults(generation.tally());
        // What was quarantined meanwhile, by what it did elsewhere, is not gone back to.
        let held = self.stock.load().catalog.held(backend);
        let is_held = |good: &Arc<Generation>| held.contains_key(&good.digest());
        let probation = generation.probation();
        let is_new = probation.is_some();
        let good = probation.map(|on| on.before).filter(|good| !is_held(good));
        let to = match &good {
            Some(good) => {
                if let Err(error) = self.put_back(backend, good.clone()).await {
                    let error = chain(&error);
                    tracing::error!(%backend, error, "that the component was put back is not kept");
                }
                Some(stock::pointed(good))
            }
            None => {
                let text = format!("{component} is in quarantine: {reason}");
                self.put_none(backend, text);
                None
            }
        };
        if *is_quarantine && self.hold(&component, backend, (reason.clone(), is_new)).await {
            self.stand_down(generation.digest());
        }
        self.tell(sentence, (&component, to.as_ref()), &reason).await;
        self.restock().await;
        self.tidy();
    }

    /// Puts `component` into quarantine, durably; one that fails when it is new fails everywhere, later it
    /// may be what is asked of it in this backend. Answers whether it is held everywhere: if that cannot
    /// be written down, too.
    async fn hold(&self, component: &Pointed, backend: &BackendName, told: (String, bool)) -> bool {
        let held = self.foundation.components.quarantine(component.clone(), backend, told).await;
        held.unwrap_or_else(|error| {
            let error = chain(&error);
            tracing::error!(%backend, error, "the quarantine is in force and not kept");
            true
        })
    }

    /// Nobody goes back to this component, or lets it answer in place of another, any more. Answers who
    /// could have.
    pub(super) fn stand_down(&self, digest: Digest) -> BTreeSet<BackendName> {
        let running = choose::running(&self.line.world.load());
        let relies =
            |of: &Arc<Generation>| of.probation().is_some_and(|on| on.before.digest() == digest);
        let reliant = running.into_iter().filter(|(_, of)| relies(of));
        let stood_down = reliant.map(|(name, of)| {
            of.end_probation();
            name
        });
        stood_down.collect()
    }

    async fn tell(
        &self,
        sentence: &Sentence,
        (component, to): (&Pointed, Option<&Pointed>),
        reason: &str,
    ) {
        let Sentence { backend, is_quarantine, .. } = sentence;
        let to = to.map_or_else(|| "none".to_owned(), ToString::to_string);
        let (operation, result) = match is_quarantine {
            true => ("plugin.quarantine", "quarantined"),
            false => ("backend.rollback", "rolled_back"),
        };
        tracing::error!(%backend, %component, to, reason, operation, "the component was taken out of use");
        self.foundation.metrics().swapped(backend.as_str(), result);
        let details = BTreeMap::from([
            ("component", component.to_string()),
            ("to", to),
            ("reason", reason.to_owned()),
        ]);
        let event = AdminEvent {
            administrator: "symbolon",
            operation,
            object: Some(backend.as_str()),
            outcome: Outcome::Allow,
            code: result,
            details,
        };
        if let Err(error) = self.foundation.journal.event(&event).await {
            tracing::error!(%backend, %error, "that the component was taken out of use is not on record");
        }
    }
}

fn faults(tally: Tally) -> String {
    let Tally { calls, faults, stops } = tally;
    format!("{faults} of {calls} calls failed by its fault, {stops} of them trapped or hung")
}
