//! The operations on leases, carried out; and the leases that end with a lock or an epoch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use symbolon_core::barrier::{Locked, Scope as Epoch};
use symbolon_core::clock::Timestamp;
use symbolon_core::id::LeaseId;
use symbolon_core::lease::survival::{Durations, Quantile};
use symbolon_core::lease::{Cause, OnRevoke, Proof, Scope};
use symbolon_host::CallContext;

use super::{App, chain};
use crate::admin::leases::{Ended, Verb, unknown};
use crate::admin::{Answer, OperationError};
use crate::barriers::BarrierError;
use crate::lease::{Boot, Damaged, LaneStatus, LeaseView, LedgerError, Report, Tally};
use crate::line::LineError;
use crate::store::StoreError;

/// How long a call of a component may take for an administrator.
pub(super) const CALL_WITHIN: Duration = Duration::from_secs(25);

impl App {
    /// Shows leases on the metrics page from now on.
    pub(super) fn observe_leases(&self) {
        let Self { foundation, reaper, .. } = self;
        let watched = (foundation.leases.clone(), reaper.clone());
        foundation.telemetry.observe_leases(foundation.store.clone(), watched);
    }

    pub(super) async fn on_leases(&self, verb: Verb) -> Result<Answer, OperationError> {
        let ledger = &self.foundation.leases;
        match verb {
            Verb::List(filter, after) => {
                let page = ledger.list(&filter, after).await.map_err(refused)?;
                let leases: Vec<_> = page.leases.iter().map(|lease| self.shown(lease)).collect();
                let next = page.next.map(|id| id.to_string());
                Ok(plain(json!({ "leases": leases, "next": next })))
            }
            Verb::Damaged(after) => {
                let page = ledger.damaged(after).await.map_err(refused)?;
                let record = |lease: &Damaged| {
                    let id = lease.id.to_string();
                    json!({ "id": id, "state": lease.state, "bytes": lease.bytes })
                };
                let leases: Vec<_> = page.leases.iter().map(record).collect();
                let next = page.next.map(|id| id.to_string());
                Ok(plain(json!({ "damaged": leases, "next": next })))
            }
            Verb::Show(id) => {
                let lease = ledger.find(id).await.map_err(refused)?.ok_or_else(unknown)?;
                self.shown_whole(&lease).await.map(plain)
            }
            Verb::Renew(id, ttl) => self.renew_lease(id, ttl).await,
            Verb::Revoke(Ended::One(id)) => self.revoke_lease(id).await,
            Verb::Revoke(Ended::All(scope)) => self.order(scope).await,
            Verb::Count(ended) => self.would_end(ended).await,
            Verb::Force(id, reason) => {
                let lease = ledger.force(id).await.map_err(refused)?;
                let details = BTreeMap::from([("reason", reason), ("lease", about(&lease))]);
                Ok(Answer::Json(self.shown(&lease), details))
            }
            Verb::Resume => self.resume_leases().await,
            Verb::Status => self.lease_status().await,
            Verb::Report(within) => self.lease_report(within).await,
        }
    }

    /// What `status` shows of leases.
    pub(super) fn lease_summary(&self) -> Value {
        let now = self.foundation.leases.now();
        let late = |lane: &LaneStatus| Some((now.since(lane.oldest_due?), lane.backend.clone()));
        let oldest = self.reaper.lanes().iter().filter_map(late).max_by_key(|(late, _)| *late);
        json!({
            "held": self.held(),
            "oldest_due_backend": oldest.as_ref().map(|(_, backend)| backend.as_str()),
            "oldest_due_seconds": oldest.as_ref().map(|(late, _)| seconds(*late)),
        })
    }

    fn held(&self) -> Option<&'static str> {
        self.foundation.leases.hold().reason().map(crate::lease::Reason::as_str)
    }

    /// An operator extends on behalf of nobody: no policy of a workload is asked, and nothing leads
    /// beyond what the permit allowed when it was issued.
    async fn renew_lease(
        &self,
        id: LeaseId,
        ttl: Option<Duration>,
    ) -> Result<Answer, OperationError> {
        let found = self.foundation.leases.find(id).await.map_err(refused)?;
        let lease = found.ok_or_else(unknown)?;
        let world = self.line.world.load_full();
        let role = world.roles.roles.get(&(lease.backend.clone(), lease.role.clone()));
        let ttl = ttl
            .or(role.map(|role| role.ttl))
            .unwrap_or_else(|| lease.ends_by.since(self.foundation.leases.now()));
        let context = self.call_context();
        let renewed = Box::pin(self.line.renew_for(&world, lease, ttl, &context)).await;
        let lease = renewed.map_err(not_renewed)?;
        let until = lease.expires_at.map(|end| end.to_string()).unwrap_or_default();
        let details = BTreeMap::from([("expires_at", until), ("lease", about(&lease))]);
        Ok(Answer::Json(self.shown(&lease), details))
    }

    async fn revoke_lease(&self, id: LeaseId) -> Result<Answer, OperationError> {
        let begun = self.foundation.clock.elapsed();
        let lease = self.foundation.leases.revoke(id, Cause::Operator).await.map_err(refused)?;
        self.in_force(lease.backend.as_str(), Cause::Operator, begun);
        let details = BTreeMap::from([("lease", about(&lease))]);
        Ok(Answer::Json(self.shown(&lease), details))
    }

    async fn order(&self, scope: Scope) -> Result<Answer, OperationError> {
        let begun = self.foundation.clock.elapsed();
        let ordered = self.foundation.leases.order(scope, Cause::Operator).await;
        let order = ordered.map_err(refused)?;
        self.in_force(backend_of(&order.scope), Cause::Operator, begun);
        let given_at = order.given_at.to_string();
        Ok(plain(json!({ "scope": order.scope.to_string(), "ordered_at": given_at })))
    }

    async fn would_end(&self, ended: Ended) -> Result<Answer, OperationError> {
        let ledger = &self.foundation.leases;
        let number = match &ended {
            Ended::One(id) => {
                let lease = ledger.find(*id).await.map_err(refused)?.ok_or_else(unknown)?;
                let ends = matches!(lease.state, "reserved" | "active");
                // With a credential that is carried, whoever shares it.
                let carried = lease.carries.filter(|_| ends).map(|_| Scope::Carrier(*id));
                let others = match carried {
                    Some(scope) => ledger.would_end(&scope).await.map_err(refused)?,
                    None => 0,
                };
                others.saturating_add(u64::from(ends))
            }
            Ended::All(scope) => ledger.would_end(scope).await.map_err(refused)?,
        };
        Ok(plain(json!({ "scope": ended.to_string(), "would_end": number })))
    }

    async fn resume_leases(&self) -> Result<Answer, OperationError> {
        let was = self.held();
        let resumed = self.foundation.leases.resume(Boot::read()).await;
        resumed.map_err(|error| unavailable(&error, "witness"))?;
        let details = was.map(|reason| ("was_held", reason.to_owned()));
        let answer = json!({ "held": self.held(), "was_held": was });
        Ok(Answer::Json(answer, details.into_iter().collect()))
    }

    async fn lease_status(&self) -> Result<Answer, OperationError> {
        let ledger = &self.foundation.leases;
        let counts = ledger.counts().await.map_err(refused)?;
        let now = ledger.now();
        let lane = |lane: &LaneStatus| {
            json!({
                "backend": lane.backend,
                "under_way": lane.under_way,
                "window": lane.window,
                "failures": lane.failures,
                "paused_for_seconds": seconds(lane.paused_for),
                "oldest_due_seconds": lane.oldest_due.map(|due| seconds(now.since(due))),
            })
        };
        let orders = ledger.pending_orders();
        let order = |order: &symbolon_core::lease::Order| {
            json!({
                "scope": order.scope.to_string(),
                "cause": order.cause.as_str(),
                "given_at": order.given_at.to_string(),
            })
        };
        Ok(plain(json!({
            "held": self.held(),
            "clock_offset_ms": ledger.clock_offset(),
            "counts": BTreeMap::from(counts.by_state()),
            "lanes": self.reaper.lanes().iter().map(lane).collect::<Vec<_>>(),
            "orders": orders.iter().map(order).collect::<Vec<_>>(),
        })))
    }

    async fn lease_report(&self, within: Duration) -> Result<Answer, OperationError> {
        let ledger = &self.foundation.leases;
        let since = ledger.now().minus(within);
        let report = ledger.report(since).await.map_err(refused)?;
        Ok(plain(reported(&report, since)))
    }

    /// Locks, and ends the leases of who is locked, in one durable step.
    pub(super) async fn lock_and_end(
        &self,
        locked: Locked,
        why: (&str, &str),
    ) -> Result<(), BarrierError> {
        let scope = match &locked {
            Locked::Principal(identity) => Scope::of(identity),
            Locked::Issuer(issuer) => Scope::Issuer(issuer.clone()),
        };
        let begun = self.foundation.clock.elapsed();
        let draft = self.foundation.leases.draft(scope, Cause::Cascade);
        let write = draft.write()?;
        let done = self.foundation.barriers.lock_with(locked, why, write).await;
        self.follow(&done, draft, begun);
        done
    }

    /// Raises an epoch, and ends the leases that were issued until then, in one durable step.
    pub(super) async fn raise_and_end(
        &self,
        scope: Epoch,
        epoch: Timestamp,
    ) -> Result<Timestamp, BarrierError> {
        let ended = match &scope {
            Epoch::Principal(identity) => Scope::of(identity),
            Epoch::Issuer(issuer) => Scope::Issuer(issuer.clone()),
            Epoch::Global => Scope::Everything,
        };
        let begun = self.foundation.clock.elapsed();
        let draft = self.foundation.leases.draft(ended, Cause::Cascade);
        let write = draft.write()?;
        let done = self.foundation.barriers.raise_with(scope, epoch, write).await;
        self.follow(&done, draft, begun);
        done
    }

    /// The order is in force where the barrier is: also where it may be durable.
    fn follow<T>(
        &self,
        done: &Result<T, BarrierError>,
        draft: crate::lease::Draft,
        begun: Duration,
    ) {
        if done.as_ref().err().is_none_or(BarrierError::leaves_doubt) {
            let order = self.foundation.leases.put_in_force(draft);
            self.in_force(backend_of(&order.scope), order.cause, begun);
        }
    }

    fn in_force(&self, backend: &str, cause: Cause, begun: Duration) {
        let took = self.foundation.clock.elapsed().saturating_sub(begun);
        self.line.metrics.revocation_in_force(backend, cause, took);
    }

    pub(super) fn call_context(&self) -> CallContext {
        let clock: &Arc<_> = &self.foundation.clock;
        CallContext {
            request_id: self.foundation.ids.request(clock.now()),
            deadline: clock.elapsed().saturating_add(CALL_WITHIN),
            on_behalf: None,
        }
    }

    /// A lease, and the credential that it shares or carries: whoever was revoked still knows that.
    async fn shown_whole(&self, lease: &LeaseView) -> Result<Value, OperationError> {
        let shared = self.foundation.leases.shared_credential(lease).await.map_err(refused)?;
        let shared = shared.map(|shared| {
            let carrier = &shared.carrier;
            let lives = carrier.state != "revoked";
            json!({
                "carrier": carrier.id.to_string(),
                "state": carrier.state,
                "known_until": carrier.expires_at.filter(|_| lives).map(|at| at.to_string()),
                "leases": shared.sharers,
                "offered": shared.is_open,
                "on_revoke": carrier.carries.map(OnRevoke::as_str),
            })
        });
        let mut shown = self.shown(lease);
        if let (Some(members), Some(shared)) = (shown.as_object_mut(), shared) {
            members.insert("shared".to_owned(), shared);
        }
        Ok(shown)
    }

    /// A lease as operators see it.
    fn shown(&self, lease: &LeaseView) -> Value {
        let now = self.foundation.leases.now();
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        json!({
            "id": lease.id.to_string(),
            "principal": lease.owner.to_string(),
            "backend": lease.backend,
            "role": lease.role,
            "state": lease.state,
            "reserved_at": lease.reserved_at.to_string(),
            "expires_at": time(lease.expires_at),
            "ends_by": lease.ends_by.to_string(),
            "remaining_seconds": lease.lasts().as_secs(),
            "renewable": lease.renewable,
            "revocable": lease.revocable,
            "renewals": lease.renewals,
            "cause": lease.cause,
            "ending_since": time(lease.ending_since),
            "late_seconds": seconds(lease.late(now)),
            "attempts": lease.attempts,
            "next_attempt_at": time(lease.next_attempt_at),
            "ended_at": time(lease.ended_at),
            "proof": lease.proof.map(Proof::as_str),
            "carrier": lease.carrier.map(|id| id.to_string()),
            "carries": lease.carries.is_some(),
            "plugin": lease.plugin,
        })
    }
}

fn plain(value: Value) -> Answer {
    Answer::Json(value, BTreeMap::new())
}

/// Seconds, to the millisecond.
fn seconds(duration: Duration) -> f64 {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)).as_secs_f64()
}

/// Whose lease it was, for the record: the id is its object.
fn about(lease: &LeaseView) -> String {
    format!("{}/{} of {}", lease.backend, lease.role, lease.owner)
}

/// Of which backend alone a scope is; empty if of several.
fn backend_of(scope: &Scope) -> &str {
    match scope {
        Scope::Backend(backend) | Scope::Role { backend, .. } => backend.as_str(),
        Scope::Everything
        | Scope::Issuer(_)
        | Scope::Principal { .. }
        | Scope::Token { .. }
        | Scope::Carrier(_) => "",
    }
}

pub(super) fn refused(error: LedgerError) -> OperationError {
    if matches!(error, LedgerError::Unknown) {
        return unknown();
    }
    OperationError { kind: error.kind(), code: error.code(), detail: chain(&error) }
}

pub(super) fn unavailable(error: &dyn std::error::Error, code: &'static str) -> OperationError {
    let kind = symbolon_core::error::Kind::Unavailable;
    OperationError { kind, code, detail: chain(error) }
}

fn not_renewed(error: LineError) -> OperationError {
    match error {
        LineError::Lease(error) => refused(error),
        error @ (LineError::Barred(_)
        | LineError::Denied(_)
        | LineError::NoRoom
        | LineError::Undelivered(_)
        | LineError::Withdrawal(_)) => {
            OperationError { kind: error.kind(), code: error.code(), detail: chain(&error) }
        }
    }
}

impl From<StoreError> for OperationError {
    fn from(error: StoreError) -> Self {
        refused(error.into())
    }
}

fn reported(report: &Report, since: Timestamp) -> Value {
    let rows = report.tallies.iter().map(|((backend, trigger), tally)| {
        let mut row = row(tally);
        if let Some(members) = row.as_object_mut() {
            members.insert("backend".to_owned(), json!(backend));
            members.insert("trigger".to_owned(), json!(trigger));
        }
        row
    });
    let oldest = report.oldest.as_ref().map(|oldest| {
        json!({
            "lease": oldest.lease.to_string(),
            "backend": oldest.backend,
            "overdue_seconds": seconds(oldest.late),
        })
    });
    json!({
        "since": since.to_string(),
        "revocations": rows.collect::<Vec<_>>(),
        "oldest": oldest,
        "counts": BTreeMap::from(report.counts.by_state()),
        "damaged": report.damaged,
    })
}

fn row(tally: &Tally) -> Value {
    let lateness = distribution(&tally.lateness);
    let irrevocable = tally.irrevocable.map(|(number, longest)| {
        json!({ "leases": number, "longest_residual_seconds": seconds(longest) })
    });
    let ended = tally.durations.count_ended();
    // Counts of leases are far below what a float holds exactly.
    let share = (ended > 0).then(|| tally.probed as f64 / ended as f64);
    json!({
        "duration": distribution(&tally.durations),
        "verified": tally.verified,
        "probed": tally.probed,
        "probed_share": share,
        "forced": tally.forced,
        "shared": tally.shared,
        "lateness": lateness,
        "irrevocable": irrevocable,
    })
}

/// Nothing where nothing was observed: a zero would be an answer.
fn distribution(durations: &Durations) -> Option<Value> {
    let [p50, p95, p99] = durations.quantiles([500, 950, 990])?;
    Some(json!({
        "ended": durations.count_ended(),
        "unfinished": durations.count_unfinished(),
        "p50": quantile(p50),
        "p95": quantile(p95),
        "p99": quantile(p99),
        "max": durations.longest().map(quantile),
    }))
}

fn quantile(quantile: Quantile) -> Value {
    match quantile {
        Quantile::At(at) => json!({ "seconds": seconds(at), "or_longer": false }),
        Quantile::Beyond(at) => json!({ "seconds": seconds(at), "or_longer": true }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_reached_is_said_to_be_longer() {
        let mut durations = Durations::default();
        durations.ended(Duration::from_millis(1500));
        durations.unfinished(Duration::from_secs(60));
        let shown = distribution(&durations).unwrap();
        assert_eq!(shown["p50"], json!({ "seconds": 1.5, "or_longer": false }));
        assert_eq!(shown["max"], json!({ "seconds": 60.0, "or_longer": true }));
        assert_eq!((&shown["ended"], &shown["unfinished"]), (&json!(1), &json!(1)));
        assert_eq!(distribution(&Durations::default()), None);
    }

    #[test]
    fn the_share_of_probed_ends_is_of_those_that_ended() {
        let mut tally = Tally { probed: 3, ..Tally::default() };
        assert_eq!(row(&tally)["probed_share"], Value::Null);
        (0..4).for_each(|_| tally.durations.ended(Duration::from_secs(1)));
        tally.durations.unfinished(Duration::from_secs(60));
        assert_eq!(row(&tally)["probed_share"], json!(0.75));
    }

    #[test]
    fn what_cannot_be_revoked_has_no_duration() {
        let irrevocable = Some((3, Duration::from_secs(90)));
        let shown = row(&Tally { irrevocable, ..Tally::default() });
        assert_eq!(shown["duration"], Value::Null);
        assert_eq!(shown["irrevocable"], json!({ "leases": 3, "longest_residual_seconds": 90.0 }));
    }
}
