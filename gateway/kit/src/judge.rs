//! What is right and what is wrong about one run.
//!
//! Pure: it knows outcomes and what was seen, and says why something is wrong, or nothing.

use serde_json::Value;

use crate::check::Check;
use crate::compare::{self, Members, shown};
use crate::misbehaviour::{LARGE_BYTES, Misbehaviour};
use crate::outcome::{End, Outcome};
use crate::report::Report;
use crate::run::Run;
use crate::script::{Call, Case, Exchange};
use crate::terms::Terms;
use crate::words;

/// Why a run is not what the script says.
pub(crate) fn as_scripted(case: &Case, run: &Run) -> Vec<String> {
    let mut all = run.seen.faults.clone();
    all.extend(run.refused.iter().cloned());
    all.extend(unexpected(case, run));
    all
}

/// In what an outcome differs from the expected one.
pub(crate) fn unexpected(case: &Case, run: &Run) -> Vec<String> {
    unexpected_in(case, &run.outcome, &run.terms)
}

fn unexpected_in(case: &Case, outcome: &Outcome, terms: &Terms) -> Vec<String> {
    let wanted = terms.value(&case.expect);
    match (&outcome.end, case.wanted_error()) {
        (End::Answered, None) | (End::Failed { .. }, Some(_)) => {
            compare::differences(&wanted, &outcome.shown, Members::AtLeast, "")
        }
        (End::Answered, Some(error)) => {
            vec![format!("wanted the error {}, found {}", shown(error), shown(&outcome.shown))]
        }
        (
            End::Failed { .. } | End::Refused(_) | End::Stopped(_) | End::Late | End::Uncallable(_),
            _,
        ) => vec![format!("found {}", ended(outcome))],
    }
}

/// How a call ended, in words.
pub(crate) fn ended(outcome: &Outcome) -> String {
    match &outcome.end {
        End::Answered => shown(&outcome.shown),
        End::Failed { .. } => {
            let error = outcome.shown.get("error").unwrap_or(&Value::Null);
            let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
            format!("the error {} ({}): {}", text("kind"), text("code"), text("message"))
        }
        End::Refused(why) => format!("an answer that the host refuses: {why}"),
        End::Stopped(why) => format!("that the host stopped the plugin: {why}"),
        End::Late => "no end before the deadline".to_owned(),
        End::Uncallable(why) => why.clone(),
    }
}

/// Looks at what must hold in every run. `slow` where the upstream leaves a call no time.
pub(crate) fn conduct(case: &Case, run: &Run, place: &str, slow: bool, report: &mut Report) {
    let end = &run.outcome.end;
    let mut said = run.outcome.said.clone();
    said.push(("log", run.log.clone()));
    report.judge(Check::NoLeaks, place, words::leak(&said, run.terms.secrets()));
    let stopped = match end {
        End::Stopped(why) => Some(why.clone()),
        End::Answered | End::Failed { .. } | End::Refused(_) | End::Late | End::Uncallable(_) => {
            None
        }
    };
    report.judge(Check::Limits, place, stopped);
    if !slow {
        let late = (*end == End::Late).then(|| "no end before the deadline".to_owned());
        report.judge(Check::NoHang, place, late);
    }
    if let End::Failed { said_sent, .. } = end {
        report.judge(Check::RequestSent, place, untrue(case, run, *said_sent));
    }
}

/// Looks at what the host says of an answer.
pub(crate) fn answer(run: &Run, place: &str, report: &mut Report) {
    let refused = match &run.outcome.end {
        End::Refused(why) => Some(format!("the host refuses the answer: {why}")),
        End::Answered | End::Failed { .. } | End::Stopped(_) | End::Late | End::Uncallable(_) => {
            None
        }
    };
    report.judge(Check::AnswerRules, place, refused);
}

fn untrue(case: &Case, run: &Run, said_sent: bool) -> Option<String> {
    let seen = &run.seen;
    match said_sent {
        true if seen.requests == 0 && !run.of_database => {
            Some("says that a request was sent; none arrived".to_owned())
        }
        false if case.call.acts() && seen.acting > 0 => Some(
            "says that no request was sent; one that may have had an effect arrived".to_owned(),
        ),
        true | false => None,
    }
}

/// Whether a misbehaviour tells anything where this answer should be.
pub(crate) fn tells(how: Misbehaviour, exchange: &Exchange) -> bool {
    let answer = &exchange.answer;
    let has_body = answer.json.is_some() || answer.body.is_some() || answer.base64.is_some();
    let text = [answer.json.as_ref().map(Value::to_string), answer.body.clone()];
    let has_secret =
        text.iter().flatten().any(|t| t.contains("${secret:") || t.contains("${base64:"));
    match how {
        Misbehaviour::ContentType
        | Misbehaviour::NotJson
        | Misbehaviour::Empty
        | Misbehaviour::Bomb => has_body && !answer.raw,
        Misbehaviour::Huge => !answer.raw,
        Misbehaviour::Large => has_secret,
        Misbehaviour::Slow
        | Misbehaviour::Stalled
        | Misbehaviour::Truncated
        | Misbehaviour::Closed
        | Misbehaviour::Throttled
        | Misbehaviour::Overloaded
        | Misbehaviour::Failing
        | Misbehaviour::Redirected => true,
    }
}

/// Why what a plugin makes of a misbehaviour is wrong.
pub(crate) fn misbehaved(
    case: &Case,
    exchange: &Exchange,
    how: Misbehaviour,
    run: &Run,
) -> Option<String> {
    if let Some(followed) = run.refused.first() {
        return Some(followed.clone());
    }
    if exchange.optional {
        return None;
    }
    let of = Judged { case, exchange, how };
    if let (Call::ReadMany(_), Some(parts)) = (&case.call, run.outcome.parts()) {
        return of.wrong_in_batch(parts, run);
    }
    let terms = of.terms(run);
    let is_wanted = || terms.iter().any(|t| unexpected_in(case, &run.outcome, t).is_empty());
    of.wrong(&run.outcome.end, is_wanted, || ended(&run.outcome))
}

struct Judged<'a> {
    case: &'a Case,
    exchange: &'a Exchange,
    how: Misbehaviour,
}

impl Judged<'_> {
    /// The terms in which an outcome may be the expected one: an answer with large values brings large
    /// ones, and those beside it do not.
    fn terms(&self, run: &Run) -> Vec<Terms> {
        let grown = (self.how == Misbehaviour::Large).then(|| run.terms.grown(LARGE_BYTES));
        std::iter::once(run.terms.clone()).chain(grown).collect()
    }

    /// A batch answers for each of its parts. One that came out as it should is right, unless all did
    /// and one cannot have.
    fn wrong_in_batch(&self, parts: &[(Value, End)], run: &Run) -> Option<String> {
        let terms = self.terms(run);
        let wanted: Vec<Value> = terms.iter().map(|terms| terms.value(&self.case.expect)).collect();
        let is_wanted = |n: usize, found: &Value| {
            let parts = wanted.iter().filter_map(|wanted| wanted.get("secrets")?.get(n));
            let fits = |wanted: &Value| {
                compare::differences(wanted, found, Members::AtLeast, "").is_empty()
            };
            parts.into_iter().any(fits)
        };
        let numbered = || parts.iter().enumerate();
        let mut differing = numbered().filter(|(n, (found, _))| !is_wanted(*n, found)).peekable();
        if differing.peek().is_none() && !self.how.is_of_the_body() {
            return Some("came out as if nothing were wrong".to_owned());
        }
        differing.find_map(|(_, (found, end))| self.wrong(end, || false, || shown(found)))
    }

    fn wrong(
        &self,
        end: &End,
        is_wanted: impl Fn() -> bool,
        found: impl Fn() -> String,
    ) -> Option<String> {
        let wanted = self.how.kinds().join(" or ");
        match end {
            End::Answered if self.how.is_of_the_body() && is_wanted() => None,
            End::Answered => Some(format!("wanted {wanted}, found {}", found())),
            End::Failed { kind, wait, .. } => {
                let asked = self.how.wait_ms().map(u128::from);
                if !self.is_right(kind, is_wanted) {
                    Some(format!("wanted {wanted}, found {}", found()))
                } else if asked.is_some() && *wait != asked {
                    Some("`retry-after` is not handed on in `retry-after-ms`".to_owned())
                } else {
                    None
                }
            }
            End::Uncallable(why) => Some(why.clone()),
            // What these are is looked at in every run.
            End::Late | End::Refused(_) | End::Stopped(_) => None,
        }
    }

    /// Whether a kind is right. A refusal of the script's may be known by its status alone, whatever
    /// its body.
    fn is_right(&self, kind: &str, is_wanted: impl Fn() -> bool) -> bool {
        let of_the_body = self.how.is_of_the_body();
        let refused_anyway =
            self.exchange.answer.status >= 400 || self.case.wanted_error().is_some();
        self.how.kinds().contains(&kind)
            || of_the_body && (self.exchange.answer.status >= 400 || refused_anyway && is_wanted())
    }
}
