//! The operations of the admin listener, carried out.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use symbolon_core::audit::{AdminEvent, AuditKey, Outcome as Ending};
use symbolon_core::barrier::{Locked, Scope};
use symbolon_core::error::Kind;
use symbolon_core::id::BackendName;
use symbolon_core::policy::{AdminPermit, Administrator, Denial};
use symbolon_host::Entry;

use super::outcome::Outcome;
use super::{App, Reloaded, StartError};
use crate::admin::{Answer, Operation, OperationError, Operator, Whom};
use crate::audit::JournalError;
use crate::config::Change;
use crate::keyring;

impl Operator for App {
    fn decide(
        &self,
        administrator: &Administrator,
        operation: &'static str,
    ) -> Result<AdminPermit, Denial> {
        let now = self.foundation.clock.now();
        let world = self.line.world.load();
        world.bundle.decide_administration(administrator, operation, now)
    }

    async fn record(&self, event: &AdminEvent<'_>) -> Result<(), JournalError> {
        self.foundation.journal.event(event).await.map(drop)
    }

    async fn carry_out(
        &self,
        permit: &AdminPermit,
        operation: Operation,
    ) -> Result<Answer, OperationError> {
        match operation {
            Operation::Status => Ok(plain(self.status())),
            Operation::Reload => self.reload_reported().await,
            Operation::Plugins(verb) => Box::pin(self.on_plugins(verb, permit)).await,
            Operation::Issuers => Ok(plain(self.issuer_list())),
            Operation::Targets => Ok(plain(self.target_list())),
            Operation::Metrics => Ok(Answer::Page(self.foundation.telemetry.page())),
            Operation::Locks => Ok(plain(self.lock_list())),
            Operation::Lock(whom, reason) => {
                self.lock(&whom, &permit.administrator().to_string(), &reason).await
            }
            Operation::Unlock(whom) => self.unlock(&whom).await,
            Operation::RevokeSessions(whom) => self.revoke_sessions(&whom).await,
            Operation::RotateKeys => self.rotate_keys().await,
            Operation::AuditAnchor => self.audit_anchor().await,
            Operation::HashValue(value) => Ok(plain(self.hashes(value.as_bytes()))),
            Operation::Leases(verb) => Box::pin(self.on_leases(verb)).await,
            Operation::Backend(verb) => Box::pin(self.on_backend(verb, permit)).await,
            Operation::Issuer(verb) => Box::pin(self.on_issuer(verb)).await,
        }
    }
}

fn plain(value: Value) -> Answer {
    Answer::Json(value, BTreeMap::new())
}

fn failed(error: &dyn std::error::Error, code: &'static str) -> OperationError {
    OperationError { kind: Kind::Unavailable, code, detail: chain(error) }
}

/// An error with all its causes, for administrators.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl App {
    fn status(&self) -> Value {
        let world = self.line.world.load();
        let entries = world.dispatcher.catalog().entries();
        let keys = self.foundation.keyring.status();
        let keys: Vec<_> = keys
            .iter()
            .map(|key| {
                json!({
                    "kind": key.kind.as_str(),
                    "id": key.id,
                    "stage": key.stage,
                    "created_at": key.created_at.to_string(),
                })
            })
            .collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": self.foundation.clock.elapsed().as_secs(),
            "ready": self.line.is_ready(),
            "audit": format!("{:?}", self.foundation.journal.health()),
            "policy_bundle": world.bundle.digest(),
            "backends": entries.len(),
            "degraded": self.degraded(),
            "leases": self.lease_summary(),
            "keys": keys,
        })
    }

    /// The degraded backends, each with its reason.
    pub(super) fn degraded(&self) -> Vec<Value> {
        let entries = self.line.world.load().dispatcher.catalog().entries();
        let degraded = entries.iter().filter_map(|(name, entry)| match entry {
            Entry::Degraded { reason } => Some(json!({ "backend": name, "reason": reason })),
            Entry::Ready(_) => None,
        });
        degraded.collect()
    }

    async fn reload_reported(&self) -> Result<Answer, OperationError> {
        let before = self.line.world.load().bundle.digest().to_owned();
        match Box::pin(self.reload()).await {
            Ok(Reloaded { changes, plugins }) => {
                let shown: Vec<_> = changes.iter().map(ToString::to_string).collect();
                let (degraded, after) = (self.degraded(), self.line.world.load_full());
                let after = after.bundle.digest();
                let details = BTreeMap::from([
                    ("changes", shown.join("; ")),
                    ("bundle_before", before.clone()),
                    ("bundle", after.to_owned()),
                    ("degraded", degraded.len().to_string()),
                    ("plugins", news(&plugins)),
                ]);
                let policies_changed = before != after;
                let answer = json!({
                    "changes": shown,
                    "policies_changed": policies_changed,
                    "policy_bundle": after,
                    "degraded": degraded,
                    "plugins": plugins,
                });
                Ok(Answer::Json(answer, details))
            }
            Err(error) => Err(refused(&error)),
        }
    }

    /// SIGHUP: nobody waits for the answer, so the log gets it, and the audit log as always.
    pub(super) async fn reload_by_signal(self: &Arc<Self>) {
        let begun = signal_event(Ending::Allow, "begun", BTreeMap::new());
        if let Err(error) = self.record(&begun).await {
            tracing::error!(%error, "not reloaded: not on record");
            return;
        }
        let (event, text) = match Box::pin(self.reload()).await {
            Ok(Reloaded { changes, plugins }) => {
                let text = changes.iter().map(Change::to_string).collect::<Vec<_>>().join("; ");
                tracing::info!(changes = text, plugins = news(&plugins), "reloaded");
                (signal_event(Ending::Allow, "done", BTreeMap::new()), text)
            }
            Err(error) => {
                let text = chain(&error);
                tracing::error!(error = text, "not reloaded: the configuration in force stays");
                (signal_event(Ending::Error, "refused", BTreeMap::new()), text)
            }
        };
        let event = AdminEvent { details: BTreeMap::from([("result", text)]), ..event };
        if let Err(error) = self.record(&event).await {
            tracing::error!(%error, "the reload's outcome is not on record");
        }
    }

    fn lock_list(&self) -> Value {
        let barriers = self.foundation.barriers.snapshot();
        let locks: Vec<_> = barriers
            .locks()
            .map(|(locked, lock)| {
                json!({
                    "whom": locked.to_string(),
                    "since": lock.since.to_string(),
                    "by": lock.by,
                    "reason": lock.reason,
                })
            })
            .collect();
        json!({ "locks": locks })
    }

    async fn lock(&self, whom: &Whom, by: &str, reason: &str) -> Result<Answer, OperationError> {
        let locked = locked(whom)?;
        self.check_known(whom)?;
        let done = self.lock_and_end(locked, (by, reason)).await;
        done.map_err(|error| failed(&error, error.code()))?;
        let details = BTreeMap::from([("reason", reason.to_owned())]);
        Ok(Answer::Json(json!({ "whom": whom.to_string(), "locked": true }), details))
    }

    async fn unlock(&self, whom: &Whom) -> Result<Answer, OperationError> {
        let done = self.foundation.barriers.unlock(&locked(whom)?).await;
        let was_locked = done.map_err(|error| failed(&error, error.code()))?;
        let whom = whom.to_string();
        Ok(plain(json!({ "whom": whom, "locked": false, "was_locked": was_locked })))
    }

    /// An alias that is not registered is a slip: who locks somebody in a hurry must not believe
    /// that it was done.
    fn check_known(&self, whom: &Whom) -> Result<(), OperationError> {
        let alias = match whom {
            Whom::Principal(identity) => &identity.issuer,
            Whom::Issuer(issuer) => issuer,
            Whom::Everybody => return Ok(()),
        };
        if self.config().issuers.contains_key(alias) {
            return Ok(());
        }
        let detail = format!("there is no issuer `{alias}`; `symbolon issuer ls` shows them");
        Err(OperationError { kind: Kind::Malformed, code: "issuer_unknown", detail })
    }

    async fn revoke_sessions(&self, whom: &Whom) -> Result<Answer, OperationError> {
        self.check_known(whom)?;
        let scope = match whom {
            Whom::Principal(identity) => Scope::Principal(identity.clone()),
            Whom::Issuer(issuer) => Scope::Issuer(issuer.clone()),
            Whom::Everybody => Scope::Global,
        };
        let now = self.foundation.clock.now();
        let done = self.raise_and_end(scope, now).await;
        let epoch = done.map_err(|error| failed(&error, error.code()))?;
        Ok(plain(json!({ "whom": whom.to_string(), "issued_until": epoch.to_string() })))
    }

    /// The hash of a value under every key that is kept: older records have it under older keys.
    fn hashes(&self, value: &[u8]) -> Value {
        let keys = self.foundation.keyring.audit_keys();
        let hash = |key: &Arc<keyring::MacKey>| {
            let hash = AuditKey::over(key.id(), key.hmac()).hash_value(value);
            json!({ "key": key.id(), "hash": hash })
        };
        json!({ "hashes": keys.iter().map(hash).collect::<Vec<_>>() })
    }

    async fn audit_anchor(&self) -> Result<Answer, OperationError> {
        let anchor = super::foundation::read_anchor(self.foundation.store.as_ref()).await;
        let anchor = anchor.map_err(|error| failed(&error, "store"))?;
        let bytes = anchor.map(|anchor| hex::encode(anchor.to_bytes()));
        Ok(plain(json!({ "anchor": bytes })))
    }

    async fn rotate_keys(&self) -> Result<Answer, OperationError> {
        let mut made = BTreeMap::new();
        for kind in keyring::Kind::ALL {
            let id = self.foundation.keyring.rotate(kind).await;
            let id = id.map_err(|error| failed(&error, error.code()))?;
            made.insert(kind.as_str(), id);
        }
        let details = made.iter().map(|(kind, id)| (*kind, id.clone())).collect();
        Ok(Answer::Json(json!({ "keys": made }), details))
    }
}

/// What became of components that did not simply go on.
fn news(plugins: &BTreeMap<BackendName, Outcome>) -> String {
    let news = plugins.iter().filter(|(_, outcome)| outcome.is_news());
    news.map(|(backend, outcome)| format!("{backend}: {outcome}")).collect::<Vec<_>>().join("; ")
}

fn signal_event(
    outcome: Ending,
    code: &'static str,
    details: BTreeMap<&'static str, String>,
) -> AdminEvent<'static> {
    AdminEvent {
        administrator: "symbolon",
        operation: "reload",
        object: Some("SIGHUP"),
        outcome,
        code,
        details,
    }
}

fn refused(error: &StartError) -> OperationError {
    OperationError { kind: Kind::Malformed, code: "refused", detail: chain(error) }
}

fn locked(whom: &Whom) -> Result<Locked, OperationError> {
    match whom {
        Whom::Principal(identity) => Ok(Locked::Principal(identity.clone())),
        Whom::Issuer(issuer) => Ok(Locked::Issuer(issuer.clone())),
        Whom::Everybody => {
            let detail = "a lock is on a `principal` or an `issuer`".to_owned();
            Err(OperationError { kind: Kind::Malformed, code: "malformed", detail })
        }
    }
}
