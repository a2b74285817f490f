//! Operations on one backend: whether it is there, and what it holds of ours that has no lease.
//!
//! INVARIANT: nothing is ended here that has a live lease. A lease is reserved, durably, before what
//! it stands for can exist; so what the backend lists is looked up in the ledger *after* it was
//! listed, and what is being issued at this moment is found there. What is reserved, active or being
//! ended is the reaper's, and so is one whose record cannot be read.
//!
//! What another gateway with the same mark has issued in the same place looks like a leftover of ours.
//! That is why nothing is removed unless it is asked for, and why a ledger that is held removes
//! nothing: a restored store does not know what was issued since.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;
use symbolon_core::error::Kind;
use symbolon_core::id::{BackendName, LeaseId};
use symbolon_core::policy::AdminPermit;
use symbolon_core::secret::Secret;
use symbolon_host::answer::{Reference, Role};
use symbolon_host::{CallError, Generation};

use super::leases::refused;
use super::{App, chain};
use crate::admin::backends::Verb;
use crate::admin::{Answer, OperationError};
use crate::lease::LedgerError;
use crate::line::World;

/// Most pages that a backend is asked for: at a thousand a page more than a store holds.
const MAX_PAGES: usize = 10_000;
/// Most ids in an answer; the numbers count all.
const SHOWN: usize = 1000;

/// What a backend lists with our mark.
#[derive(Default)]
struct Listed {
    reservations: BTreeSet<LeaseId>,
    /// Entries that are no reservations.
    foreign: usize,
}

/// What is to be said of it.
#[derive(Default)]
struct Compared {
    leased: usize,
    /// Without a live lease; with the role of the lease that there was, where it is remembered.
    strays: BTreeMap<LeaseId, Option<String>>,
}

impl App {
    pub(super) async fn on_backend(
        &self,
        verb: Verb,
        permit: &AdminPermit,
    ) -> Result<Answer, OperationError> {
        let by = permit.administrator().to_string();
        match verb {
            Verb::Probe(backend) => self.probe(&backend).await,
            Verb::Reconcile(backend, remove) => self.reconcile(&backend, remove).await,
            Verb::RotateRoot(backend) => self.rotate_root(&backend).await,
            Verb::Activate(backend, activation) => {
                Box::pin(self.activate(&backend, &activation, &by)).await
            }
            Verb::RollBack(backend) => Box::pin(self.roll_back(&backend, &by)).await,
        }
    }

    async fn probe(&self, backend: &BackendName) -> Result<Answer, OperationError> {
        let generation = find(&self.line.world.load_full(), backend)?;
        let report = Box::pin(generation.probe(&self.call_context())).await.map_err(failed)?;
        let metadata: BTreeMap<_, _> = report.metadata.into_iter().collect();
        let answer = json!({
            "backend": backend,
            "usable": true,
            "remarks": report.remarks,
            "metadata": metadata,
        });
        Ok(Answer::Json(answer, BTreeMap::new()))
    }

    async fn reconcile(
        &self,
        backend: &BackendName,
        remove: bool,
    ) -> Result<Answer, OperationError> {
        if let Some(reason) = self.foundation.leases.hold().reason().filter(|_| remove) {
            return Err(refused(LedgerError::Held(reason)));
        }
        let world = self.line.world.load_full();
        let generation = find(&world, backend)?;
        let listed = self.listed(&generation).await?;
        let compared = self.compare(&listed).await?;
        let mut removed = BTreeSet::new();
        if remove && !compared.strays.is_empty() {
            for (id, role) in &compared.strays {
                self.end_stray((&world, backend), &generation, (*id, role.as_deref())).await;
            }
            let after = self.listed(&generation).await?;
            let gone = compared.strays.keys().filter(|id| !after.reservations.contains(*id));
            removed.extend(gone.copied());
        }
        let strays = compared.strays.keys().filter(|id| !removed.contains(*id));
        let strays: Vec<_> = strays.map(LeaseId::to_string).collect();
        let details = BTreeMap::from([
            ("without_lease", compared.strays.len().to_string()),
            ("removed", some(removed.iter().map(LeaseId::to_string).collect())),
        ]);
        let answer = json!({
            "backend": backend,
            "leased": compared.leased,
            "foreign": listed.foreign,
            "without_lease": strays.len(),
            "removed": removed.len(),
            "ids": strays.into_iter().take(SHOWN).collect::<Vec<_>>(),
        });
        Ok(Answer::Json(answer, details))
    }

    /// Everything with our mark. Page by page, each call with a deadline of its own.
    async fn listed(&self, generation: &Arc<Generation>) -> Result<Listed, OperationError> {
        let mut listed = Listed::default();
        let mut next: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let context = self.call_context();
            let page = generation.list_issued(&context, next.as_deref());
            let page = Box::pin(page).await.map_err(failed)?;
            listed.reservations.extend(page.reservations);
            listed.foreign = listed.foreign.saturating_add(page.withheld);
            let stuck = page.next == next;
            match page.next {
                None => return Ok(listed),
                // It may go on for ever: what it has said so far is no answer.
                Some(_) if stuck => break,
                further @ Some(_) => next = further,
            }
        }
        let detail = "the backend's list does not come to an end".to_owned();
        Err(OperationError { kind: Kind::Provider, code: "endless_list", detail })
    }

    async fn compare(&self, listed: &Listed) -> Result<Compared, OperationError> {
        let mut compared = Compared::default();
        for id in &listed.reservations {
            match self.foundation.leases.find(*id).await {
                Ok(Some(lease)) if lease.state != "revoked" => compared.leased += 1,
                Err(LedgerError::Damaged(_)) => compared.leased += 1,
                Ok(found) => {
                    let role = found.map(|lease| lease.role.to_string());
                    compared.strays.insert(*id, role);
                }
                Err(error) => return Err(refused(error)),
            }
        }
        Ok(compared)
    }

    /// Asks the backend to end one. Under which role it was issued is known from its lease, if that
    /// is remembered; otherwise every role of the backend is tried, since ending what is not there
    /// does nothing. Whether it helped is seen in the next list.
    async fn end_stray(
        &self,
        (world, backend): (&World, &BackendName),
        generation: &Arc<Generation>,
        (reservation, role): (LeaseId, Option<&str>),
    ) {
        let of_backend = world.roles.roles.iter().filter(|((name, _), _)| name == backend);
        let configured: BTreeMap<_, _> =
            of_backend.map(|((_, name), role)| (name.to_string(), role.config.clone())).collect();
        let names = role.map(str::to_owned).into_iter().chain(configured.keys().cloned());
        for name in names.collect::<BTreeSet<_>>() {
            let config = configured.get(&name).cloned().unwrap_or_else(|| "{}".to_owned());
            let role = Role { name, config };
            let reference = Reference { reservation, role, handle: Secret::new(Vec::new()) };
            let context = self.call_context();
            if let Err(error) = Box::pin(generation.revoke(&context, &reference)).await {
                let code = error.code();
                tracing::warn!(%backend, %reservation, code, "what has no lease was not ended");
            }
        }
    }

    /// The new login is written down before the server has it; may be repeated after any error.
    async fn rotate_root(&self, backend: &BackendName) -> Result<Answer, OperationError> {
        let generation = find(&self.line.world.load_full(), backend)?;
        let (logins, context) = (&self.foundation.logins, self.call_context());
        let rotated = Box::pin(logins.rotate_root(backend, &generation, &context)).await;
        rotated.map_err(|error| OperationError {
            kind: error.kind(),
            code: error.code(),
            detail: chain(&error),
        })?;
        Ok(Answer::Json(json!({ "backend": backend, "rotated": true }), BTreeMap::new()))
    }
}

fn some(ids: Vec<String>) -> String {
    let more = ids.len().saturating_sub(SHOWN);
    let shown = ids.into_iter().take(SHOWN).collect::<Vec<_>>().join(" ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

fn find(world: &World, backend: &BackendName) -> Result<Arc<Generation>, OperationError> {
    world.dispatcher.catalog().find(backend).map_err(|error| {
        // A name that is not there is a slip of the one who typed it, and not a denial.
        let kind = if error.kind() == Kind::Absent { Kind::Malformed } else { error.kind() };
        OperationError { kind, code: error.code(), detail: chain(&error) }
    })
}

/// Administrators are told the plugin's own words: they are cut and escaped already.
fn failed(error: CallError) -> OperationError {
    let message = error.fault().map(|fault| format!(": {}", fault.message)).unwrap_or_default();
    OperationError {
        kind: error.kind(),
        code: error.code(),
        detail: format!("{}{message}", chain(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_cut_in_the_record() {
        assert_eq!(some(vec!["a".to_owned(), "b".to_owned()]), "a b");
        assert!(some(vec!["a".to_owned(); 1003]).ends_with(" and 3 more"));
    }
}
