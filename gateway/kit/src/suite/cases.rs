//! The cases of a script: as they are written, once more, with less time, and with an upstream that
//! misbehaves at each of its answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::check::Check;
use crate::database::Broken;
use crate::judge;
use crate::misbehaviour::Misbehaviour;
use crate::outcome::{End, Outcome};
use crate::place::KitError;
use crate::report::Report;
use crate::run::{Before, Bench, Plan, Run, WALL};
use crate::script::{Call, Case};
use crate::upstream::Mode;

/// Runs at a time, where they have nothing in common.
const AT_ONCE: usize = 16;
/// Into how many parts the time is cut for the check of it.
const LESS_TIME: u64 = 4;

/// All cases, in the order of the script.
pub(crate) struct Cases<'a> {
    pub(crate) bench: &'a Bench<'a>,
    /// Whether a check was asked for.
    pub(crate) wants: &'a (dyn Fn(Check) -> bool + Sync),
    /// What the cases so far have brought.
    done: BTreeMap<String, Before>,
    /// What was made in a database.
    made: Vec<(&'a Case, Before)>,
    /// Cases whose upstream is yet to misbehave.
    waiting: Vec<(&'a Case, Before)>,
}

impl<'a> Cases<'a> {
    pub(crate) const fn new(
        bench: &'a Bench<'a>,
        wants: &'a (dyn Fn(Check) -> bool + Sync),
    ) -> Self {
        Self { bench, wants, done: BTreeMap::new(), made: Vec::new(), waiting: Vec::new() }
    }

    /// Runs one case in every way in which its upstream behaves.
    pub(crate) async fn case(
        &mut self,
        case: &'a Case,
        report: &mut Report,
    ) -> Result<(), KitError> {
        let place = format!("case \"{}\"", case.name);
        let Some(before) = Box::pin(self.before(case)).await? else {
            let why = Some("the case before it did not get so far".to_owned());
            report.judge(Check::Cases, &place, why);
            return Ok(());
        };
        let (run, is_right) = self.as_written(case, &before, &place, report).await?;
        if self.bench.is_of_database(case) {
            self.broken_databases(case, &before, &place, report).await?;
        } else {
            self.once_more(case, &before, &run, report).await?;
            self.with_less_time(case, &before, report).await?;
            // What becomes of a case that is wrong already tells nothing.
            if is_right {
                self.waiting.push((case, before));
            }
        }
        Ok(())
    }

    /// What there is before a case. For a database the case before it is run anew: what it made may
    /// be gone by now.
    async fn before(&mut self, case: &'a Case) -> Result<Option<Before>, KitError> {
        let Some(after) = case.after.as_ref().and_then(|after| self.bench.script.case(after))
        else {
            return self.bench.nothing_before().map(Some);
        };
        if !self.bench.is_of_database(case)
            && let Some(done) = self.done.get(&after.name)
        {
            return Ok(Some(done.clone()));
        }
        let Some(before) = Box::pin(self.before(after)).await? else { return Ok(None) };
        let run = self.bench.run(Plan::strict(after, &after.upstream, &before)).await?;
        Ok((run.outcome.end == End::Answered).then(|| self.remember(after, &before, &run)))
    }

    /// Keeps what a case has brought for those after it.
    fn remember(&mut self, case: &'a Case, before: &Before, run: &Run) -> Before {
        let is_made = matches!(case.call, Call::Issue { .. });
        let mut carried = run.outcome.carried.clone();
        if !is_made {
            carried.handle.clone_from(&before.carried.handle);
            carried.role.clone_from(&before.carried.role);
        }
        let done = Before { carried, ..before.clone() };
        if is_made && self.bench.is_of_database(case) {
            self.made.push((case, done.clone()));
        }
        self.done.insert(case.name.clone(), done.clone());
        done
    }

    async fn as_written(
        &mut self,
        case: &'a Case,
        before: &Before,
        place: &str,
        report: &mut Report,
    ) -> Result<(Run, bool), KitError> {
        let run = self.bench.run(Plan::strict(case, &case.upstream, before)).await?;
        let wrong = judge::as_scripted(case, &run).join("; ");
        let is_right = wrong.is_empty();
        report.judge(Check::Cases, place, (!is_right).then_some(wrong));
        judge::conduct(case, &run, place, false, report);
        judge::answer(&run, place, report);
        if is_right {
            self.remember(case, before, &run);
        }
        self.of_revocations(case, before, is_right, report).await?;
        if let (Call::List { .. } | Call::ListIssued { .. }, Some(_)) = (&case.call, &case.after) {
            report.judge(Check::Paging, place, overlap(before, &run.outcome));
        }
        Ok((run, is_right))
    }

    /// The same call once more, and for the same lease.
    async fn of_revocations(
        &self,
        case: &Case,
        before: &Before,
        is_right: bool,
        report: &mut Report,
    ) -> Result<(), KitError> {
        let place = format!("case \"{}\", again", case.name);
        let is_revoke = matches!(case.call, Call::Revoke { .. }) && case.wanted_error().is_none();
        if is_revoke && case.after.is_none() {
            let why = (!is_right).then(|| "see `cases`".to_owned());
            report.judge(Check::RevokeAbsent, &format!("case \"{}\"", case.name), why);
        }
        let by_itself = is_revoke && self.bench.is_of_database(case);
        let again = match &case.again {
            Some(again) => again.as_slice(),
            None if by_itself => &[],
            None => return Ok(()),
        };
        let run = self.bench.run(Plan::strict(case, again, before)).await?;
        let wrong = judge::as_scripted(case, &run).join("; ");
        let check = if is_revoke { Check::RevokeTwice } else { Check::Cases };
        report.judge(check, &place, (!wrong.is_empty()).then_some(wrong));
        judge::conduct(case, &run, &place, false, report);
        Ok(())
    }

    async fn once_more(
        &self,
        case: &Case,
        before: &Before,
        first: &Run,
        report: &mut Report,
    ) -> Result<(), KitError> {
        let second = self.bench.run(Plan::strict(case, &case.upstream, before)).await?;
        let (one, other) = (&first.outcome.shown, &second.outcome.shown);
        let differs = || {
            format!(
                "first {}, then {}",
                judge::ended(&first.outcome),
                judge::ended(&second.outcome)
            )
        };
        let why = (one != other).then(differs);
        report.judge(Check::Deterministic, &format!("case \"{}\"", case.name), why);
        Ok(())
    }

    /// Asks for less time than what the upstream gives.
    async fn with_less_time(
        &self,
        case: &Case,
        before: &Before,
        report: &mut Report,
    ) -> Result<(), KitError> {
        let Some(ttl) = case.call.ttl().filter(|_| case.wanted_error().is_none()) else {
            return Ok(());
        };
        let less = ttl / LESS_TIME;
        let plan = Plan {
            mode: Mode::Lenient,
            ttl: Some(less),
            ..Plan::strict(case, &case.upstream, before)
        };
        let run = self.bench.run(plan).await?;
        let place = format!("case \"{}\", asked for {less} s", case.name);
        let why = match (&run.outcome.end, run.outcome.lasts()) {
            (End::Answered, Some(lasts)) if lasts > less => Some(format!("it lasts {lasts} s")),
            (End::Answered, Some(_)) | (End::Failed { .. }, _) => None,
            (End::Answered, None) => Some("it has no end".to_owned()),
            (End::Refused(_) | End::Stopped(_) | End::Late | End::Uncallable(_), _) => {
                Some(format!("found {}", judge::ended(&run.outcome)))
            }
        };
        report.judge(Check::Ttl, &place, why);
        judge::conduct(case, &run, &place, false, report);
        Ok(())
    }

    /// Each answer of each case, gone bad in each way.
    pub(crate) async fn misbehaving(&self, report: &mut Report) -> Result<(), KitError> {
        let every = self.waiting.iter().flat_map(|(case, before)| {
            case.upstream.iter().enumerate().flat_map(move |(at, exchange)| {
                let told = Misbehaviour::ALL.into_iter().filter(|how| judge::tells(*how, exchange));
                told.map(move |how| (*case, before, at, how))
            })
        });
        let wanted = every.filter(|(_, _, _, how)| (self.wants)(Check::Upstream(*how)));
        let runs = stream::iter(wanted)
            .map(|(case, before, at, how)| self.misbehaves(case, before, at, how));
        let reports: Vec<Report> = runs.buffered(AT_ONCE).try_collect().await?;
        reports.into_iter().for_each(|of_one| report.merge(of_one));
        Ok(())
    }

    async fn misbehaves(
        &self,
        case: &Case,
        before: &Before,
        at: usize,
        how: Misbehaviour,
    ) -> Result<Report, KitError> {
        let mut report = Report::default();
        let Some(exchange) = case.upstream.get(at) else { return Ok(report) };
        let slow = how.takes_all_time();
        let within = |wall| {
            let mode = Mode::Misbehave(at, how);
            let plan = Plan { mode, wall, ..Plan::strict(case, &case.upstream, before) };
            Box::pin(self.bench.run(plan))
        };
        let mut run = within(if slow { self.bench.patience } else { WALL }).await?;
        if slow && run.seen.hits == 0 {
            // A machine that is busy: the time was over before the request came.
            run = within(WALL).await?;
        }
        let place = format!("case \"{}\", answer {}", case.name, at.saturating_add(1));
        let wrong = judge::misbehaved(case, exchange, how, &run);
        report.judge(Check::Upstream(how), &place, wrong);
        let place = format!("{place}, {}", Check::Upstream(how).name());
        judge::conduct(case, &run, &place, slow, &mut report);
        judge::answer(&run, &place, &mut report);
        report.judge(Check::NoRetries, &place, restless(case, at, &run));
        Ok(report)
    }

    /// The call with servers that are none.
    async fn broken_databases(
        &self,
        case: &Case,
        before: &Before,
        place: &str,
        report: &mut Report,
    ) -> Result<(), KitError> {
        let Some(database) = &self.bench.database else { return Ok(()) };
        for broken in Broken::ALL {
            let (address, _tasks) = broken.start().await?;
            let plan = Plan {
                wall: if broken == Broken::Silent { self.bench.patience } else { WALL },
                pool: Some(Arc::new(database.pool_at(address)?)),
                ..Plan::strict(case, &[], before)
            };
            let run = Box::pin(self.bench.run(plan)).await?;
            let place = format!("{place}, {}", broken.name());
            let why = match &run.outcome.end {
                End::Failed { kind: "unavailable" | "timeout", said_sent, .. } => {
                    let lies = broken == Broken::Away && *said_sent;
                    lies.then(|| "says that something was sent; nobody was there".to_owned())
                }
                End::Late if broken == Broken::Silent => None,
                End::Answered
                | End::Failed { .. }
                | End::Refused(_)
                | End::Stopped(_)
                | End::Late
                | End::Uncallable(_) => Some(format!(
                    "wanted unavailable or timeout, found {}",
                    judge::ended(&run.outcome)
                )),
            };
            report.judge(Check::Database, &place, why);
            judge::conduct(case, &run, &place, true, report);
        }
        Ok(())
    }

    /// Ends what cases have made in a database and not ended.
    pub(crate) async fn tidy(&self) -> Result<(), KitError> {
        for (case, made) in &self.made {
            let revoke = Case { call: Call::Revoke { role: None }, after: None, ..(*case).clone() };
            self.bench.run(Plan::strict(&revoke, &[], made)).await?;
        }
        Ok(())
    }
}

/// Names of a page that were on the page before it.
fn overlap(before: &Before, outcome: &Outcome) -> Option<String> {
    let twice = outcome.carried.names.iter().find(|name| before.carried.names.contains(name));
    twice.map(|name| format!("`{name}` was on the page before it"))
}

/// Whether the plugin asked more often than it and the host may.
fn restless(case: &Case, at: usize, run: &Run) -> Option<String> {
    let asked = case.upstream.get(at)?;
    let same = |other: &&crate::script::Exchange| {
        (&other.request.method, &other.request.url) == (&asked.request.method, &asked.request.url)
    };
    let alike = case.upstream.iter().filter(same).count();
    // The host asks once more itself, where that has no effect.
    let most = if case.call.acts() { alike } else { alike.saturating_mul(2) };
    let hits = run.seen.hits;
    (hits > most).then(|| format!("the request was sent {hits} times, {most} at most are right"))
}
