//! One component as an operator looks at it before activating it: what it says of itself, what it may
//! reach, and how it differs from what runs. Nothing of it is run.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use symbolon_core::id::PluginName;
use symbolon_host::admit::MAX_COMPONENT_BYTES;
use symbolon_host::{Digest, Inspection};

use super::choose::{self, named};
use super::stock::Stock;
use super::swap::refusal::{malformed, refused};
use super::{App, grants};
use crate::admin::plugins::Wanted;
use crate::admin::{Answer, OperationError};
use crate::catalog::Pointed;

impl App {
    pub(super) async fn inspect(&self, wanted: &Wanted) -> Result<Answer, OperationError> {
        let stock = self.looked(&self.config()).await;
        let found = self.inspected(wanted, &stock).await?;
        let shown = serde_json::to_value(&found).map_err(|error| refused(error.to_string()))?;
        Ok(Answer::Json(shown, BTreeMap::new()))
    }

    pub(super) async fn grants(&self, wanted: &Wanted) -> Result<Answer, OperationError> {
        let stock = self.looked(&self.config()).await;
        let found = self.inspected(wanted, &stock).await?;
        let compared = grants::compare(&self.config(), &found.manifest).map_err(refused)?;
        let changes = self.changes(&found, &stock).await;
        let mut shown = grants::asked_by(&found);
        if let Some(shown) = shown.as_object_mut() {
            shown.insert("grants".to_owned(), grants::rows(&compared).into());
            shown.insert("changes".to_owned(), changes.into());
        }
        Ok(Answer::Json(shown, BTreeMap::new()))
    }

    /// How `new` differs from what the backends and targets of its plugin run now, a row a difference.
    async fn changes(&self, new: &Inspection, stock: &Stock) -> Vec<Value> {
        let mut rows = Vec::new();
        for (backend, runs) in self.others(&new.manifest.name, new.digest) {
            let Ok(old) = self.inspection(runs, stock).await else { continue };
            let row = |change: grants::Difference| {
                json!({
                    "backend": backend, "since": old.manifest.version,
                    "change": change.sign, "of": change.of, "value": change.value,
                })
            };
            rows.extend(grants::changes(&old, new).into_iter().map(row));
        }
        rows
    }

    /// Who runs another component of this plugin, and which.
    fn others(&self, plugin: &PluginName, digest: Digest) -> Vec<(String, Digest)> {
        let running = choose::running(&self.line.world.load()).into_iter();
        let of_plugin = running.filter(|(_, runs)| runs.plugin() == plugin);
        let runs = of_plugin.map(|(backend, runs)| (backend.to_string(), runs.digest()));
        runs.filter(|(_, runs)| *runs != digest).collect()
    }

    async fn inspected(
        &self,
        wanted: &Wanted,
        stock: &Stock,
    ) -> Result<Inspection, OperationError> {
        let files: Vec<_> = stock.inspections().map(Pointed::of).collect();
        let records = stock.catalog.components.values().map(|installed| &installed.component);
        let to = named(wanted, files.iter().chain(records));
        let to = to.map_err(|reason| malformed("component_unknown", reason))?;
        let digest = to.digest().ok_or_else(|| refused(format!("{to} has no digest")))?;
        self.inspection(digest, stock).await.map_err(refused)
    }

    /// What the component with this digest says of itself.
    async fn inspection(&self, digest: Digest, stock: &Stock) -> Result<Inspection, String> {
        if let Some(known) = stock.inspections().find(|known| known.digest == digest) {
            return Ok(known.clone());
        }
        let package = stock.package(digest, &self.foundation.components).await?;
        let read = move || Inspection::of(package.component(), MAX_COMPONENT_BYTES);
        let read = tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())?;
        read.map_err(|error| error.to_string())
    }
}
