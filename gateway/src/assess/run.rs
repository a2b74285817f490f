//! One attempt after the other.

use std::sync::Arc;
use std::time::Duration;

use symbolon_core::clock::Clock;
use symbolon_core::principal::Principal;
use symbolon_oracle::Policies;

use super::cast::{Cast, Source, Workload, Wrong};
use super::evidence::Evidence;
use super::mutate::actor;
use super::random::Random;
use super::report::{Finding, Report};
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
    cast: Cast,
    sources: Vec<Source>,
    stage: Stage,
    policies: Policies,
    wishes: Wishes,
    /// Workloads that are locked, and whose sessions are revoked.
    locked: Vec<(Source, Workload)>,
    revoked: Vec<(Source, Workload)>,
}

impl Assessment {
    /// Makes keys, stations and the few principals that are locked.
    pub(super) async fn prepare(
        stated: &Config,
        enforced: &Config,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AssessError> {
        let cast = Cast::of(stated, clock.now().seconds())?;
        let stage = Box::pin(Stage::build(enforced, &cast, clock, REVOKED_AHEAD)).await?;
        let sources = stated.policies.sources().map_err(StartError::PolicyFiles)?;
        let texts = sources.iter().map(std::fs::read_to_string).collect::<Result<Vec<_>, _>>();
        let policies = Policies::read(&texts.map_err(StartError::PolicyFiles)?);
        // Policies that the oracle does not understand: it is certain of nothing, and asks nothing.
        let wishes = policies.as_ref().map(|policies| Wishes::of(stated, policies));
        let mut assessment = Self {
            sources: cast.sources(),
            cast,
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
        for source in self.sources.clone() {
            let drawn = [(); 3].map(|()| self.cast.workload(source, &mut random));
            let [Some(locked), Some(revoked), Some(other)] = drawn else { continue };
            let mut proven = Vec::new();
            for workload in [&locked, &revoked, &other] {
                let evidence = self.cast.good(workload, self.seconds(), &mut random)?;
                let principal = self.stage.admit(&evidence).await;
                proven.extend(principal.map(|principal| principal.identity().clone()));
            }
            let [first, second, third] = proven.as_slice() else { continue };
            if first == second || first == third || second == third {
                continue;
            }
            self.stage.lock(first.clone()).await?;
            let epoch = self.stage.now().plus(REVOKED_AHEAD);
            self.stage.revoke(second.clone(), epoch).await?;
            self.locked.push((source, locked));
            self.revoked.push((source, revoked));
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
            self.attempt(&mut report, &mut random).await?;
            // Signing never waits: without this the other tasks of a thread would.
            tokio::task::yield_now().await;
        }
        Ok(report)
    }

    async fn attempt(&self, report: &mut Report, random: &mut Random) -> Result<(), AssessError> {
        let now = self.seconds();
        let wrong = match random.below(40) {
            0 | 1 => return self.barred(report, random).await,
            2 | 3 => return self.replay(report, random).await,
            4..=7 => return self.tenant(report, random).await,
            8 => return self.wall(report, random).await,
            9 => return self.delegation(report, random).await,
            10..=12 => self.cast.wrong_certificate(now, random)?,
            13..=15 => self.cast.wrong_request(now, random),
            16 => self.cast.wrong_review(now, random)?,
            _ => self.cast.wrong_token(now, random)?,
        };
        match wrong {
            Some(wrong) => self.wrong(report, wrong).await,
            None => Ok(()),
        }
    }

    /// Somebody of some issuer, and a good proof.
    fn anybody(
        &self,
        random: &mut Random,
    ) -> Result<Option<(Source, Workload, Evidence)>, AssessError> {
        let Some(source) = random.pick(&self.sources).copied() else { return Ok(None) };
        let Some(workload) = self.cast.workload(source, random) else { return Ok(None) };
        let evidence = self.cast.good(&workload, self.seconds(), random)?;
        Ok(Some((source, workload, evidence)))
    }

    /// A good proof, which the gateway must accept and of which the oracle must not say otherwise.
    async fn sample(&self, report: &mut Report, random: &mut Random) -> Result<(), AssessError> {
        let Some((source, _, evidence)) = self.anybody(random)? else { return Ok(()) };
        let admitted = self.stage.admit(&evidence).await;
        report.samples += 1;
        match (admitted, self.cast.must_deny(&evidence, self.seconds())) {
            (Ok(_), None) => {}
            (Ok(_), Some(reason)) => {
                let what = (Kind::Sample, reason);
                report.count(self.finding(what, source, &evidence, Finding::ACCEPTED), false);
            }
            (Err(code), _) => {
                *report.false_denials.entry((self.cast.alias(source), code)).or_default() += 1;
            }
        }
        Ok(())
    }

    /// A proof with one thing made wrong.
    async fn wrong(&self, report: &mut Report, wrong: Wrong) -> Result<(), AssessError> {
        if self.cast.must_deny(&wrong.evidence, self.seconds()).is_none() {
            report.uncertain += 1;
            return Ok(());
        }
        let outcome = outcome(self.stage.admit(&wrong.evidence).await);
        let expected = wrong.expected.contains(&outcome);
        let (kind, attempt, issuer) = (wrong.kind, wrong.name.to_owned(), wrong.issuer);
        let proof = wrong.evidence.name();
        report.count(Finding { kind, attempt, proof, issuer, outcome }, expected);
        Ok(())
    }

    /// A good proof of somebody who is locked, or whose sessions are revoked.
    async fn barred(&self, report: &mut Report, random: &mut Random) -> Result<(), AssessError> {
        let (kind, barred, code) = match random.below(2) {
            0 => (Kind::Locked, &self.locked, "locked_principal"),
            _ => (Kind::Revoked, &self.revoked, "epoch_principal"),
        };
        let Some((source, workload)) = random.pick(barred) else { return Ok(()) };
        let evidence = self.cast.good(workload, self.seconds(), random)?;
        let outcome = outcome(self.stage.admit(&evidence).await);
        let finding = self.finding((kind, kind.name()), *source, &evidence, outcome);
        report.count(finding, outcome == code);
        Ok(())
    }

    /// A good proof, where an issuer is locked or sessions are revoked of an issuer or of everybody.
    async fn wall(&self, report: &mut Report, random: &mut Random) -> Result<(), AssessError> {
        let Some((source, _, evidence)) = self.anybody(random)? else { return Ok(()) };
        let Some(wall) = random.pick(self.stage.walls()) else { return Ok(()) };
        let outcome = outcome(self.stage.admit_to(wall, &evidence).await);
        let finding = self.finding((wall.kind, wall.name), source, &evidence, outcome);
        report.count(finding, outcome == wall.code);
        Ok(())
    }

    /// A proof that is good once, twice.
    async fn replay(&self, report: &mut Report, random: &mut Random) -> Result<(), AssessError> {
        let once: Vec<_> =
            self.sources.iter().copied().filter(|source| self.is_once(*source)).collect();
        let Some(source) = random.pick(&once).copied() else { return Ok(()) };
        let Some(workload) = self.cast.workload(source, random) else { return Ok(()) };
        let evidence = self.cast.good(&workload, self.seconds(), random)?;
        if self.stage.admit(&evidence).await.is_err() {
            return Ok(());
        }
        let outcome = outcome(self.stage.admit(&evidence).await);
        let what = (Kind::Replay, "shown twice");
        report.count(self.finding(what, source, &evidence, outcome), outcome == "replayed");
        Ok(())
    }

    fn is_once(&self, source: Source) -> bool {
        match source {
            Source::Token(place) => {
                self.cast.forger.issuers.get(place).is_some_and(|issuer| issuer.rules.one_shot)
            }
            Source::Signed(_) => true,
            Source::Certificate(_) => false,
        }
    }

    /// Two good tokens, of which one must not act for the other.
    async fn delegation(
        &self,
        report: &mut Report,
        random: &mut Random,
    ) -> Result<(), AssessError> {
        let Some(place) = random.pick(&self.tokens()).copied() else { return Ok(()) };
        let (Some(mutation), Some((_, _, actor))) =
            (random.pick(actor::ALL), self.anybody(random)?)
        else {
            return Ok(());
        };
        let source = Source::Token(place);
        let Some(Workload::Token(_, claims)) = self.cast.workload(source, random) else {
            return Ok(());
        };
        let now = self.seconds();
        let mut choices = random.clone();
        let subject = self.cast.token((place, &claims), now, random, |claims| {
            (mutation.make)(claims, &mut choices);
        })?;
        if Cast::must_not_act(&subject, &actor).is_none() {
            // An actor that shows no token is none.
            return Ok(());
        }
        let outcome = self.stage.delegate(&subject, &actor).await;
        let outcome = outcome.err().unwrap_or(Finding::ACCEPTED);
        let finding = self.finding((mutation.kind, mutation.name), source, &subject, outcome);
        report.count(finding, mutation.expected.contains(&outcome));
        Ok(())
    }

    fn tokens(&self) -> Vec<usize> {
        (0..self.cast.forger.issuers.len()).collect()
    }

    /// A good proof, for what no policy can permit to its principal.
    async fn tenant(&self, report: &mut Report, random: &mut Random) -> Result<(), AssessError> {
        let Some((source, _, evidence)) = self.anybody(random)? else { return Ok(()) };
        let Ok(principal) = self.stage.admit(&evidence).await else { return Ok(()) };
        let identity = principal.identity();
        let who = (identity.issuer.as_str(), identity.subject.as_str());
        let Some(ask) = self.wishes.denied(&self.policies, who, random) else { return Ok(()) };
        let outcome = match self.stage.decide(principal, ask) {
            Answer::Refused(code) => code,
            Answer::Accepted => Finding::ACCEPTED,
        };
        let expected = ["no_rule", "rule_deny", "policy_error"].contains(&outcome);
        let what = (Kind::Tenant, "somebody else's");
        report.count(self.finding(what, source, &evidence, outcome), expected);
        Ok(())
    }

    fn finding(
        &self,
        (kind, attempt): (Kind, &str),
        source: Source,
        evidence: &Evidence,
        outcome: &'static str,
    ) -> Finding {
        let (attempt, issuer) = (attempt.to_owned(), self.cast.alias(source));
        Finding { kind, attempt, proof: evidence.name(), issuer, outcome }
    }
}

fn outcome(admitted: Result<Arc<Principal>, &'static str>) -> &'static str {
    admitted.err().unwrap_or(Finding::ACCEPTED)
}
