//! One attempt after the other.

use std::sync::Arc;
use std::time::Duration;

use symbolon_core::clock::Clock;
use symbolon_oracle::Policies;

use super::draft::Draft;
use super::forge::{Forger, good, signed};
use super::issuer::Issuer;
use super::random::Random;
use super::report::{Finding, Report};
use super::sample::{Claims, fresh, workload};
use super::stage::{Answer, Stage};
use super::wish::Wishes;
use super::{AssessError, Kind};
use crate::app::StartError;
use crate::config::Config;

/// One good token is shown for so many attempts.
const SAMPLE_EVERY: u64 = 50;
/// How often something is drawn anew that does not apply.
const DRAWS: u64 = 1000;
/// How far ahead sessions are revoked, so that an assessment ends before.
const REVOKED_AHEAD: Duration = Duration::from_secs(50 * 60);

/// A configuration made ready for attempts.
pub(super) struct Assessment {
    pub(super) forger: Forger,
    stage: Stage,
    policies: Policies,
    wishes: Wishes,
    /// Workloads that are locked, and whose sessions are revoked, by the issuer's place.
    locked: Vec<(usize, Claims)>,
    revoked: Vec<(usize, Claims)>,
}

impl Assessment {
    /// Makes keys, stations and the few principals that are locked.
    pub(super) async fn prepare(
        stated: &Config,
        enforced: &Config,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AssessError> {
        let forger = Forger::new(stated)?;
        let stage = Box::pin(Stage::build(enforced, &forger.issuers, clock)).await?;
        let sources = stated.policies.sources().map_err(StartError::PolicyFiles)?;
        let texts = sources.iter().map(std::fs::read_to_string).collect::<Result<Vec<_>, _>>();
        let policies = Policies::read(&texts.map_err(StartError::PolicyFiles)?);
        // Policies that the oracle does not understand: it is certain of nothing, and asks nothing.
        let wishes = policies.as_ref().map(|policies| Wishes::of(stated, policies));
        let mut assessment = Self {
            forger,
            stage,
            wishes: wishes.unwrap_or_default(),
            policies: policies.unwrap_or_default(),
            locked: Vec::new(),
            revoked: Vec::new(),
        };
        Box::pin(assessment.bar()).await?;
        Ok(assessment)
    }

    /// Locks one workload of each issuer, and revokes the sessions of another, where an issuer has
    /// more than one.
    async fn bar(&mut self) -> Result<(), AssessError> {
        let mut random = Random::new(0, u64::MAX);
        for (place, issuer) in self.forger.issuers.iter().enumerate() {
            let [locked, revoked, other] = [(); 3].map(|()| workload(&issuer.rules, &mut random));
            let mut proven = Vec::new();
            for claims in [&locked, &revoked, &other] {
                let claims = fresh(&issuer.rules, claims, self.seconds(), &mut random);
                let token = signed(issuer, Draft::of(issuer, claims))?;
                let principal = self.stage.admit(&token).await;
                proven.extend(principal.map(|principal| principal.identity().clone()));
            }
            let [first, second, third] = proven.as_slice() else { continue };
            if first == second || first == third || second == third {
                continue;
            }
            self.stage.lock(first.clone()).await?;
            let epoch = self.stage.now().plus(REVOKED_AHEAD);
            self.stage.revoke(second.clone(), epoch).await?;
            self.locked.push((place, locked));
            self.revoked.push((place, revoked));
        }
        Ok(())
    }

    fn seconds(&self) -> i64 {
        self.stage.now().seconds()
    }

    /// Makes so many attempts.
    pub(super) async fn run(
        &self,
        attempts: u64,
        (seed, worker): (u64, u64),
    ) -> Result<Report, AssessError> {
        let mut random = Random::new(seed, worker);
        let mut report = Report::default();
        let draws = attempts.saturating_mul(DRAWS);
        for draw in 0..draws {
            if report.attempts() >= attempts {
                break;
            }
            if draw % SAMPLE_EVERY == 0 {
                self.sample(&mut report, &mut random).await?;
            }
            match random.below(20) {
                0 => self.barred(&mut report, &mut random).await?,
                1 => self.replay(&mut report, &mut random).await?,
                2 | 3 => self.tenant(&mut report, &mut random).await?,
                _ => self.mutation(&mut report, &mut random).await?,
            }
            // Signing never waits: without this the other tasks of a thread would.
            tokio::task::yield_now().await;
        }
        Ok(report)
    }

    /// A good token, which the gateway must accept and of which the oracle must not say otherwise.
    async fn sample(&self, report: &mut Report, random: &mut Random) -> Result<(), AssessError> {
        let Some(issuer) = random.pick(&self.forger.issuers) else { return Ok(()) };
        let token = signed(issuer, good(issuer, self.seconds(), random))?;
        let admitted = self.stage.admit(&token).await;
        report.samples += 1;
        let alias = issuer.rules.alias.to_string();
        match (admitted, self.forger.must_deny(&token, self.seconds())) {
            (Ok(_), None) => {}
            (Ok(_), Some(reason)) => {
                let finding = finding((Kind::Sample, reason), issuer, Finding::ACCEPTED);
                report.count(finding, false);
            }
            (Err(code), _) => *report.false_denials.entry((alias, code)).or_default() += 1,
        }
        Ok(())
    }

    /// A good token with one thing made wrong.
    async fn mutation(&self, report: &mut Report, random: &mut Random) -> Result<(), AssessError> {
        let Some(forged) = self.forger.forge(self.seconds(), random)? else { return Ok(()) };
        if self.forger.must_deny(&forged.token, self.seconds()).is_none() {
            report.uncertain += 1;
            return Ok(());
        }
        let outcome = self.stage.admit(&forged.token).await.err().unwrap_or(Finding::ACCEPTED);
        let (kind, attempt, issuer) = (forged.kind, forged.name.to_owned(), forged.issuer);
        let finding = Finding { kind, attempt, issuer, outcome };
        report.count(finding, forged.expected.contains(&outcome));
        Ok(())
    }

    /// A good token of somebody who is locked, or whose sessions are revoked.
    async fn barred(&self, report: &mut Report, random: &mut Random) -> Result<(), AssessError> {
        let (kind, barred, code) = match random.below(2) {
            0 => (Kind::Locked, &self.locked, "locked_principal"),
            _ => (Kind::Revoked, &self.revoked, "epoch_principal"),
        };
        let Some((place, claims)) = random.pick(barred) else { return Ok(()) };
        let Some(issuer) = self.forger.issuers.get(*place) else { return Ok(()) };
        let claims = fresh(&issuer.rules, claims, self.seconds(), random);
        let token = signed(issuer, Draft::of(issuer, claims))?;
        let outcome = self.stage.admit(&token).await.err().unwrap_or(Finding::ACCEPTED);
        report.count(finding((kind, kind.name()), issuer, outcome), outcome == code);
        Ok(())
    }

    /// A token that is good once, twice.
    async fn replay(&self, report: &mut Report, random: &mut Random) -> Result<(), AssessError> {
        let once: Vec<_> =
            self.forger.issuers.iter().filter(|issuer| issuer.rules.one_shot).collect();
        let Some(issuer) = random.pick(&once) else { return Ok(()) };
        let token = signed(issuer, good(issuer, self.seconds(), random))?;
        if self.stage.admit(&token).await.is_err() {
            return Ok(());
        }
        let outcome = self.stage.admit(&token).await.err().unwrap_or(Finding::ACCEPTED);
        let what = (Kind::Replay, "shown twice");
        report.count(finding(what, issuer, outcome), outcome == "replayed");
        Ok(())
    }

    /// A good token, for what no policy can permit to its principal.
    async fn tenant(&self, report: &mut Report, random: &mut Random) -> Result<(), AssessError> {
        let Some(issuer) = random.pick(&self.forger.issuers) else { return Ok(()) };
        let token = signed(issuer, good(issuer, self.seconds(), random))?;
        let Ok(principal) = self.stage.admit(&token).await else { return Ok(()) };
        let identity = principal.identity();
        let who = (identity.issuer.as_str(), identity.subject.as_str());
        let Some(ask) = self.wishes.denied(&self.policies, who, random) else { return Ok(()) };
        let outcome = match self.stage.decide(principal, ask) {
            Answer::Refused(code) => code,
            Answer::Accepted => Finding::ACCEPTED,
        };
        let expected = ["no_rule", "rule_deny", "policy_error"].contains(&outcome);
        report.count(finding((Kind::Tenant, "somebody else's"), issuer, outcome), expected);
        Ok(())
    }
}

fn finding((kind, attempt): (Kind, &str), issuer: &Issuer, outcome: &'static str) -> Finding {
    let (attempt, issuer) = (attempt.to_owned(), issuer.rules.alias.to_string());
    Finding { kind, attempt, issuer, outcome }
}
