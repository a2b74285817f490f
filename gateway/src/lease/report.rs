//! How long revocation takes: what the ledger remembers of it, by backend and trigger.
//!
//! Durations run from the moment at which the intent was durable to the one at which the backend's
//! word was written down. What has not ended counts with its age ([`survival`]).
//! What an operator forced counts as unfinished: nobody saw it end. What cannot be revoked stands
//! apart, with the life that it still had: asking for its end did nothing, and is never counted as
//! quick.
//!
//! [`survival`]: symbolon_core::lease::survival

use std::collections::BTreeMap;
use std::time::Duration;

use symbolon_core::clock::Timestamp;
use symbolon_core::id::{BackendName, LeaseId};
use symbolon_core::lease::survival::Durations;
use symbolon_core::lease::{
    Active, Cause, Evidence, Lease, Order, Phase, Proof, Revoked, Revoking, index,
};

use super::write::Stored;
use super::{Clocks, Counts, Ledger, LedgerError};
use crate::store::{Namespace, Span};

/// Records that are read at once.
const PAGE: usize = 1000;

/// What is known about revocations at one backend by one trigger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// From the durable intent to the backend's word.
    pub durations: Durations,
    /// Those among them of which the backend was asked again afterwards, or the credential was tried.
    pub verified: u64,
    /// Those among them whose credential was tried afterwards, and refused.
    pub probed: u64,
    /// Those that an operator answered for.
    pub forced: u64,
    /// For expired leases: from their end to the backend's word.
    pub lateness: Durations,
    /// Those that shared a credential: the gateway's decision was its end, and the credential goes on
    /// with its carrier, whose own end is counted as any other.
    pub shared: u64,
    /// What could not be revoked: how many, and the longest life that one had left.
    pub irrevocable: Option<(u64, Duration)>,
}

/// The lease that has been due longest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// The lease.
    pub lease: LeaseId,
    /// Its backend.
    pub backend: BackendName,
    /// For how long.
    pub late: Duration,
}

/// What [`Ledger::report`] finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// By backend and trigger.
    pub tallies: BTreeMap<(BackendName, &'static str), Tally>,
    /// The lease that has been due longest and can be revoked.
    pub oldest: Option<Overdue>,
    /// Leases by state.
    pub counts: Counts,
    /// Records that cannot be read, which are in none of the above.
    pub damaged: u64,
}

impl Ledger {
    /// Revocations whose intent was written down since then, and everything that is still being
    /// ended. Reads every lease there is.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn report(&self, since: Timestamp) -> Result<Report, LedgerError> {
        let orders = self.pending_orders();
        let mut report = Report { counts: self.counts().await?, ..Report::default() };
        let mut rest = Some(Span::all(Namespace::LeaseState));
        while let Some(span) = rest {
            let page = self.store.scan(span, PAGE).await?;
            let at = (since, self.now());
            for (key, bytes) in page.entries {
                let stored = index::lease_of(key.tail()).and_then(|id| Stored::of(id, bytes));
                match stored {
                    Some(stored) => report.take(&stored.lease, at, &orders),
                    None => report.damaged = report.damaged.saturating_add(1),
                }
            }
            rest = page.next;
        }
        Ok(report)
    }
}

impl Report {
    fn take(&mut self, lease: &Lease, (since, now): (Timestamp, Timestamp), orders: &[Order]) {
        match lease.phase() {
            Phase::Reserved(_) => {}
            Phase::Active(active) => {
                let covering = orders.iter().filter(|order| order.covers(active.terms()));
                if let Some(order) = covering.min_by_key(|order| order.given_at) {
                    self.ordered(active, order, now);
                }
            }
            Phase::Revoking(revoking) => self.unfinished(revoking, now),
            Phase::Revoked(revoked) if revoked.since() >= since => self.over(revoked),
            Phase::Revoked(_) => {}
        }
    }

    fn tally(&mut self, backend: &BackendName, cause: Cause) -> &mut Tally {
        self.tallies.entry((backend.clone(), cause.as_str())).or_default()
    }

    /// An order has not reached it yet.
    fn ordered(&mut self, active: &Active, order: &Order, now: Timestamp) {
        let terms = active.terms();
        let tally = self.tally(&terms.backend, order.cause);
        if active.is_revocable() {
            let so_far = now.since(order.given_at);
            tally.durations.unfinished(so_far);
            self.overdue(terms.id, &terms.backend, so_far);
        } else {
            tally.cannot_end(active.expires_at().since(order.given_at));
        }
    }

    fn unfinished(&mut self, revoking: &Revoking, now: Timestamp) {
        let terms = revoking.terms();
        let tally = self.tally(&terms.backend, revoking.cause());
        if !revoking.is_reachable() {
            let ends_at = revoking.ends_at().unwrap_or(terms.ends_by);
            tally.cannot_end(ends_at.since(revoking.since()));
            return;
        }
        tally.durations.unfinished(revoking.late(now));
        if revoking.cause() == Cause::Expired {
            let ends_at = revoking.ends_at().unwrap_or(revoking.since());
            tally.lateness.unfinished(now.since(ends_at));
        }
        self.overdue(terms.id, &terms.backend, revoking.late(now));
    }

    fn over(&mut self, revoked: &Revoked) {
        let tally = self.tally(&revoked.terms().backend, revoked.cause());
        let took = revoked.revoked_at().since(revoked.since());
        match revoked.proof() {
            Proof::NeverIssued => {}
            Proof::Shared => tally.shared = tally.shared.saturating_add(1),
            Proof::RanOut => tally.cannot_end(took),
            Proof::Forced => {
                tally.forced = tally.forced.saturating_add(1);
                tally.durations.unfinished(took);
            }
            Proof::Acknowledged | Proof::Verified | Proof::Probed => {
                Clocks::of(revoked).into_iter().for_each(|clocks| tally.ended(clocks));
            }
        }
    }

    fn overdue(&mut self, lease: LeaseId, backend: &BackendName, late: Duration) {
        if self.oldest.as_ref().is_none_or(|oldest| oldest.late < late) {
            self.oldest = Some(Overdue { lease, backend: backend.clone(), late });
        }
    }
}

impl Tally {
    fn ended(&mut self, clocks: Clocks) {
        let at_least = |evidence| u64::from(clocks.evidence >= evidence);
        self.verified = self.verified.saturating_add(at_least(Evidence::Verified));
        self.probed = self.probed.saturating_add(at_least(Evidence::Probed));
        self.durations.ended(clocks.took);
        if let Some(late) = clocks.late {
            self.lateness.ended(late);
        }
    }

    fn cannot_end(&mut self, left: Duration) {
        let (number, longest) = self.irrevocable.unwrap_or_default();
        self.irrevocable = Some((number.saturating_add(1), longest.max(left)));
    }
}

#[cfg(test)]
mod tests {
    use symbolon_core::id::{IssuerAlias, PluginName, RoleName};
    use symbolon_core::lease::survival::Quantile;
    use symbolon_core::lease::{
        Confirmed, Issued, Maker, Recovery, Reserved, Scope, SealedHandle, Share, Terms,
    };
    use symbolon_core::principal::Identity;

    use super::*;

    const START: i64 = 1_793_520_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(START + seconds)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn active(n: u128, revocable: bool) -> Active {
        let terms = Terms {
            id: LeaseId::new(at(0), n),
            owner: Identity {
                issuer: IssuerAlias::parse("ci").unwrap(),
                subject: "repo:a/b".to_owned(),
            },
            backend: BackendName::parse("db").unwrap(),
            role: RoleName::parse("reader").unwrap(),
            maker: Maker {
                plugin: PluginName::parse("postgresql").unwrap(),
                version: "1".to_owned(),
                digest: String::new(),
            },
            recovery: Recovery::Named,
            token: [0; 32],
            share: Share::Alone,
            reserved_at: at(0),
            issue_by: at(30),
            ends_by: at(3600),
        };
        let handle = SealedHandle::from_wrapped(vec![1]);
        let issued = Issued { handle, expires_at: at(600), renewable: true, revocable };
        Reserved::new(terms).activate(issued, at(1)).unwrap()
    }

    fn gone(revoking: Revoking, evidence: Evidence, now: Timestamp) -> Lease {
        match revoking.confirmed(evidence, now) {
            Confirmed::Gone(revoked) => Lease::following(2, revoked),
            Confirmed::LookAgain(_) => panic!("it is certain"),
        }
    }

    fn reported(leases: &[Lease], orders: &[Order]) -> Report {
        let mut report = Report::default();
        leases.iter().for_each(|lease| report.take(lease, (at(-100), at(1000)), orders));
        report
    }

    fn tally<'a>(report: &'a Report, trigger: &'static str) -> &'a Tally {
        &report.tallies[&(BackendName::parse("db").unwrap(), trigger)]
    }

    #[test]
    fn ended_unfinished_and_forced_ones_are_told_apart() {
        let revoking = |n, since| active(n, true).revoke(Cause::Operator, at(since));
        let report = reported(
            &[
                gone(revoking(1, 10), Evidence::Probed, at(12)),
                gone(revoking(2, 10), Evidence::Acknowledged, at(14)),
                gone(revoking(6, 10), Evidence::Verified, at(14)),
                Lease::following(2, revoking(3, 100)),
                Lease::following(2, revoking(4, 100).force(at(160))),
                Lease::following(1, active(5, true)),
            ],
            &[],
        );
        let tally = tally(&report, "operator");
        assert_eq!((tally.verified, tally.probed), (2, 1));
        assert_eq!((tally.forced, tally.irrevocable), (1, None));
        assert_eq!((tally.durations.count_ended(), tally.durations.count_unfinished()), (3, 2));
        assert_eq!(
            tally.durations.quantiles([200, 500, 990]),
            Some([
                Quantile::At(seconds(2)),
                Quantile::At(seconds(4)),
                Quantile::Beyond(seconds(900))
            ])
        );
        let oldest = report.oldest.unwrap();
        assert_eq!((oldest.lease, oldest.late), (LeaseId::new(at(0), 3), seconds(900)));
    }

    #[test]
    fn lateness_is_from_the_end_of_the_lease_on() {
        let expired = |n, since| active(n, true).revoke(Cause::Expired, at(since));
        let report = reported(
            &[
                gone(expired(1, 601), Evidence::Verified, at(603)),
                Lease::following(2, expired(2, 700)),
            ],
            &[],
        );
        let lateness = &tally(&report, "expired").lateness;
        assert_eq!(
            lateness.quantiles([500, 990]),
            Some([Quantile::At(seconds(3)), Quantile::Beyond(seconds(400))])
        );
    }

    #[test]
    fn what_cannot_be_revoked_has_a_residual_life_and_no_duration() {
        let revoking = |n| active(n, false).revoke(Cause::Owner, at(100));
        let order = Order {
            scope: Scope::Everything,
            cause: Cause::Cascade,
            reserved_until: at(50),
            given_at: at(50),
        };
        let report = reported(
            &[
                gone(revoking(1), Evidence::Acknowledged, at(600)),
                Lease::following(2, revoking(2)),
                Lease::following(1, active(3, false)),
                Lease::following(1, active(4, true)),
            ],
            &[order],
        );
        let tally_of = tally(&report, "owner");
        assert_eq!(tally_of.irrevocable, Some((2, seconds(500))));
        assert_eq!(tally_of.durations.longest(), None);
        let tally_of = tally(&report, "cascade");
        assert_eq!(tally_of.irrevocable, Some((1, seconds(550))));
        assert_eq!(tally_of.durations.longest(), Some(Quantile::Beyond(seconds(950))));
    }

    #[test]
    fn what_ended_before_is_left_out_and_what_goes_on_is_not() {
        let revoking = |n| active(n, true).revoke(Cause::Owner, at(10));
        let mut report = Report::default();
        let now = (at(500), at(1000));
        report.take(&gone(revoking(1), Evidence::Verified, at(12)), now, &[]);
        assert!(report.tallies.is_empty());
        report.take(&Lease::following(2, revoking(2)), now, &[]);
        assert_eq!(tally(&report, "owner").durations.count_unfinished(), 1);
    }
}
