//! Components as operators see them: what there is, who runs what, and what is wrong.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use symbolon_core::id::BackendName;
use symbolon_core::policy::AdminPermit;
use symbolon_host::{Catalog, Digest, Entry, Generation};

use super::stock::{File, Known, Stock};
use super::{App, choose, grants, stock};
use crate::admin::plugins::Verb;
use crate::admin::{Answer, OperationError};
use crate::catalog::choice::quarantined_text;
use crate::catalog::{Installed, Pointed};
use crate::config::PluginRef;

impl App {
    pub(super) async fn on_plugins(
        &self,
        verb: Verb,
        permit: &AdminPermit,
    ) -> Result<Answer, OperationError> {
        let by = permit.administrator().to_string();
        match verb {
            Verb::List => Ok(Answer::Json(self.inventory().await, BTreeMap::new())),
            Verb::Inspect(wanted) => self.inspect(&wanted).await,
            Verb::Grants(wanted) => self.grants(&wanted).await,
            Verb::Install(upload) => Box::pin(self.install(upload, &by)).await,
            Verb::Remove(wanted, force) => Box::pin(self.remove(&wanted, force, &by)).await,
            Verb::Release(wanted) => Box::pin(self.release(&wanted)).await,
        }
    }

    /// Backends, targets and components. Looks, and changes nothing.
    async fn inventory(&self) -> Value {
        let stock = self.looked(&self.config()).await;
        let world = self.line.world.load_full();
        let used = choose::used(&choose::running(&world));
        let is_used = |digest: &Digest| used.contains(digest);
        let files = stock.files.iter().map(|file| self.file(file, &stock, &is_used));
        let beside = |digest: &&Digest| stock.file(**digest).is_none();
        let records = stock.catalog.components.iter().filter(|(digest, _)| beside(digest));
        let records = records.map(|(digest, of)| self.record((digest, of), &stock, &is_used));
        let strays = stock.catalog.strays().map(stray);
        let components: Vec<Value> = files.chain(records).chain(strays).collect();
        let config = self.config();
        let plugins = choose::plugins(&config);
        let of = |catalog: &Catalog, column: &str| {
            let entries = catalog.entries();
            let shown = entries.iter().map(|(name, entry)| {
                let mut shown =
                    used_by((column, name), entry, (&stock, plugins.get(name).copied()));
                if let Entry::Ready(generation) = entry {
                    let missing = grants::missing(&config, name.as_str(), generation.manifest());
                    set(&mut shown, "missing_grants", json!(missing));
                }
                shown
            });
            shown.collect::<Vec<_>>()
        };
        let backends = of(world.dispatcher.catalog(), "backend");
        let targets = of(&world.exchangers, "target");
        json!({ "components": components, "backends": backends, "targets": targets })
    }

    fn file(&self, file: &File, stock: &Stock, is_used: &dyn Fn(&Digest) -> bool) -> Value {
        let (inspection, problem) = match &file.known {
            Known::Good(inspection, _) => (Some(inspection), None),
            Known::Refused(problem, inspection) => (inspection.as_ref(), Some(problem)),
        };
        let mut shown = match (inspection, problem) {
            (Some(inspection), None) => self.component(inspection.digest, stock, is_used),
            (_, problem) => json!({ "state": "refused", "problem": problem }),
        };
        let record = inspection.and_then(|of| stock.catalog.components.get(&of.digest));
        let signers = record.map(|of| of.signers.clone());
        set(&mut shown, "file", json!(file.path));
        set(&mut shown, "name", json!(inspection.map(|of| of.manifest.name.as_str())));
        set(&mut shown, "version", json!(inspection.map(|of| &of.manifest.version)));
        set(&mut shown, "digest", json!(inspection.map(|of| of.digest.to_string())));
        set(&mut shown, "installed", json!(record.is_some_and(|of| !of.is_adopted)));
        if let Some(signers) = signers {
            set(&mut shown, "signed_by", json!(signers));
        }
        shown
    }

    fn record(
        &self,
        (digest, of): (&Digest, &Installed),
        stock: &Stock,
        is_used: &dyn Fn(&Digest) -> bool,
    ) -> Value {
        let mut shown = self.component(*digest, stock, is_used);
        if !stock.catalog.present.contains(digest) {
            set(
                &mut shown,
                "problem",
                json!("its bytes are missing: install it again, or remove it"),
            );
        }
        set(&mut shown, "file", json!(null));
        set(&mut shown, "name", json!(of.component.name));
        set(&mut shown, "version", json!(of.component.version));
        set(&mut shown, "installed", json!(!of.is_adopted));
        set(&mut shown, "bytes", json!(of.bytes));
        set(&mut shown, "source", json!(of.source));
        set(&mut shown, "installed_at", json!(of.installed_at.to_string()));
        set(&mut shown, "installed_by", json!(of.installed_by));
        set(&mut shown, "signed_by", json!(of.signers));
        shown
    }

    fn component(&self, digest: Digest, stock: &Stock, is_used: &dyn Fn(&Digest) -> bool) -> Value {
        let held = stock.catalog.quarantine.get(&digest);
        let refused = self.admissions.refusal(digest);
        let is_held = held.is_some_and(|held| held.is_everywhere);
        let state = match (is_held, is_used(&digest), &refused) {
            (true, ..) => "quarantined",
            (false, true, _) => "in use",
            (false, false, Some(_)) => "refused",
            (false, false, None) => "not used",
        };
        let problem = held.map(quarantined_text).or(refused);
        json!({ "digest": digest.to_string(), "state": state, "problem": problem })
    }
}

fn set(shown: &mut Value, key: &str, value: Value) {
    if let Some(map) = shown.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
}

/// Bytes without a record: what a crash left. They are used by nobody.
fn stray(digest: &Digest) -> Value {
    json!({
        "file": null, "name": null, "version": null, "digest": digest.to_string(),
        "state": "stray", "installed": false,
        "problem": "bytes without a record: install it again, or remove it by its digest",
    })
}

fn used_by(
    (column, name): (&str, &BackendName),
    entry: &Entry,
    (stock, plugin): (&Stock, Option<&PluginRef>),
) -> Value {
    let pointer = stock.catalog.pointers.get(name);
    let mut shown = match entry {
        Entry::Ready(generation) => running(generation),
        Entry::Degraded { reason } => json!({ "state": "degraded", "reason": reason }),
    };
    set(&mut shown, column, json!(name));
    let text = |of: &Pointed| of.to_string();
    set(&mut shown, "activated", json!(pointer.map(|pointer| text(&pointer.to))));
    set(&mut shown, "activated_by", json!(pointer.map(|pointer| pointer.by.clone())));
    let previous = pointer.and_then(|pointer| pointer.previous.as_ref()).map(text);
    set(&mut shown, "previous", json!(previous));
    let is_pinned = plugin.is_some_and(|of| of.version.is_some() || of.digest.is_some());
    set(&mut shown, "pinned", json!(is_pinned));
    shown
}

fn running(generation: &Generation) -> Value {
    let on = generation.probation();
    let tally = generation.tally();
    json!({
        "state": if on.is_some() { "probation" } else { "ready" },
        "plugin": generation.plugin().as_str(),
        "version": generation.manifest().version,
        "digest": generation.digest().to_string(),
        "signed_by": stock::signers(generation.endorsement()),
        "breaker": format!("{:?}", generation.breaker()),
        "before": on.map(|on| stock::pointed(&on.before).to_string()),
        "calls": tally.calls,
        "faults": tally.faults,
    })
}
