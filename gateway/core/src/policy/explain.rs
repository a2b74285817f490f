//! Why a decision came out as it did, for operators.
//!
//! INVARIANT: an explanation comes from the very evaluation that decides; only what is told about
//! it is more. It goes to operators and to the audit log's readers, never to the client that was
//! denied: it quotes policies.

use std::collections::BTreeMap;
use std::fmt;

use cedar_policy::Effect;
use serde::Serialize;

use super::bundle::{Bundle, Rule};
use super::decide::{Circumstances, Denial, Verdict};
use super::names::{Kind, Lane};
use super::question::{Entity, Question, quoted};
use crate::ask::Ask;
use crate::principal::{Attribute, Binding, Subject};

/// A decision with everything that led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Whether it would be permitted.
    pub permitted: bool,
    /// `permitted`, or the code of the denial.
    pub code: &'static str,
    /// The principal as policies name it.
    pub principal: String,
    /// The principal's attributes, by the name policies give them.
    pub attributes: BTreeMap<String, String>,
    /// The action.
    pub action: &'static str,
    /// The resource as policies name it.
    pub resource: String,
    /// What the principal and the resource lie in, nearest first: what may stand behind `in`.
    pub inside: Vec<String>,
    /// The policies that decided.
    pub policies: Vec<Cited>,
    /// Permitting policies whose scope holds and whose condition does not.
    pub near: Vec<Cited>,
    /// The policies that could not be evaluated.
    pub errors: Vec<Erred>,
    /// For a permit, the longest grant in seconds.
    pub ttl_ceiling_seconds: Option<u64>,
    /// What to look at next.
    pub hint: String,
    /// The bundle that decided.
    pub bundle: String,
}

/// A policy, quoted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cited {
    /// Its id.
    pub id: String,
    /// Its file.
    pub file: String,
    /// The line on which it begins.
    pub line: usize,
    /// What it says.
    pub text: String,
}

/// A policy that erred.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Erred {
    /// The policy; `None` if the request could not be put to any.
    pub policy: Option<Cited>,
    /// How.
    pub message: String,
}

impl Cited {
    fn of(rule: &Rule) -> Self {
        Self {
            id: rule.id.to_string(),
            file: rule.map.file.to_string(),
            line: rule.map.place(rule.start).0,
            text: rule.text(),
        }
    }
}

impl Bundle {
    /// Explains what [`Bundle::decide`] would answer a principal with this subject, whose proof had
    /// this binding. Nothing is proven by it: the result is no permit.
    #[must_use]
    pub fn explain(
        &self,
        subject: &Subject,
        binding: Binding,
        ask: &Ask,
        circumstances: &Circumstances,
    ) -> Explanation {
        let mut explanation = self.outline(subject, ask);
        let question =
            match Question::of_ask(&self.vocabulary, (subject, binding), ask, circumstances) {
                Ok(question) => question,
                Err(denial) => {
                    explanation.code = denial.code();
                    explanation.hint = self.hint_before_policies(&denial, subject);
                    return explanation;
                }
            };
        let verdict = self.evaluate(&question);
        explanation.errors = self.erred(&verdict);
        explanation.near = self.near(&question, &verdict);
        match self.settle(&verdict) {
            Ok(permits) => {
                explanation.permitted = true;
                explanation.code = "permitted";
                explanation.ttl_ceiling_seconds = Some(self.ceiling(ask, &permits).as_secs());
                explanation.policies = self.cite(&permits);
                explanation.near.clear();
            }
            Err(denial) => {
                explanation.code = denial.code();
                explanation.policies = self.cite(&verdict.forbids);
                explanation.hint = self.hint(&denial, &question, !explanation.near.is_empty());
            }
        }
        explanation
    }

    fn outline(&self, subject: &Subject, ask: &Ask) -> Explanation {
        let issuer = Entity { kind: Kind::Issuer, id: subject.identity.issuer.to_string() };
        let principal = Entity { kind: Kind::Workload, id: subject.identity.to_string() };
        let resource = Entity::of_resource(&ask.resource);
        let containers = resource.containers().map(|(kind, id)| Entity { kind, id: id.to_owned() });
        let inside = std::iter::once(issuer).chain(containers).map(|e| e.written()).collect();
        let attributes = subject
            .attributes
            .iter()
            .map(|(name, value)| (format!("{}.{name}", subject.profile), shown(value)));
        Explanation {
            permitted: false,
            code: "",
            principal: principal.written(),
            attributes: attributes.collect(),
            action: ask.action.as_str(),
            resource: resource.written(),
            inside,
            policies: Vec::new(),
            near: Vec::new(),
            errors: Vec::new(),
            ttl_ceiling_seconds: None,
            hint: String::new(),
            bundle: self.digest().to_owned(),
        }
    }

    fn cite(&self, numbers: &[usize]) -> Vec<Cited> {
        numbers.iter().filter_map(|number| self.rules.get(*number)).map(Cited::of).collect()
    }

    fn erred(&self, verdict: &Verdict) -> Vec<Erred> {
        let cited = |number: Option<usize>| Some(Cited::of(self.rules.get(number?)?));
        let erred = |(number, message): &(Option<usize>, String)| Erred {
            policy: cited(*number),
            message: message.clone(),
        };
        verdict.errors.iter().map(erred).collect()
    }

    /// Candidates that permit, and did not.
    fn near(&self, question: &Question<'_>, verdict: &Verdict) -> Vec<Cited> {
        let buckets = self.index.candidates(question);
        let mut numbers: Vec<usize> =
            buckets.iter().flat_map(|bucket| bucket.rules.iter().copied()).collect();
        let erred: Vec<usize> = verdict.errors.iter().filter_map(|(number, _)| *number).collect();
        let permits = |number: &usize| {
            self.rules.get(*number).is_some_and(|rule| rule.policy.effect() == Effect::Permit)
        };
        numbers.retain(|number| {
            permits(number) && !verdict.permits.contains(number) && !erred.contains(number)
        });
        numbers.sort_unstable();
        self.cite(&numbers)
    }

    fn hint_before_policies(&self, denial: &Denial, subject: &Subject) -> String {
        match denial {
            Denial::UnknownIssuer => {
                format!("no issuer `{}` is configured", subject.identity.issuer)
            }
            Denial::SubjectMismatch => self.mismatch_hint(subject),
            Denial::UnknownResource => {
                String::from("the backend, role or target is not configured; check its spelling")
            }
            Denial::Inapplicable => String::from("this action is not defined on this resource"),
            Denial::OutOfScope => String::from("the access token was made for less: see its scope"),
            Denial::NoPolicy | Denial::Forbidden { .. } | Denial::Erred { .. } => String::new(),
        }
    }

    fn mismatch_hint(&self, subject: &Subject) -> String {
        let terms = self.vocabulary.issuers.get(&subject.identity.issuer);
        let profile = terms.map_or("", |terms| terms.profile);
        if profile != subject.profile {
            return format!("the issuer's profile is `{profile}`, not `{}`", subject.profile);
        }
        let declared = |name: &str| terms.and_then(|terms| terms.attributes.get(name).copied());
        let wrong = subject.attributes.iter().find(|(name, value)| {
            declared(name) != Some(super::vocabulary::AttributeType::of(value))
        });
        match wrong {
            Some((name, _)) => format!("attribute {} is not mapped with this type", quoted(name)),
            None => String::new(),
        }
    }

    fn hint(&self, denial: &Denial, question: &Question<'_>, near: bool) -> String {
        match denial {
            Denial::Forbidden { .. } => String::from(
                "a `forbid` weighs more than any `permit`: narrow it, or meet its `unless`",
            ),
            Denial::Erred { .. } => String::from(
                "a policy that errs denies, since it might have forbidden: mend the policy",
            ),
            Denial::NoPolicy if near => String::from(
                "the scope of the policies shown holds; compare their conditions with the attributes",
            ),
            Denial::NoPolicy => self.other_actions(question),
            Denial::UnknownIssuer
            | Denial::SubjectMismatch
            | Denial::UnknownResource
            | Denial::Inapplicable
            | Denial::OutOfScope => String::new(),
        }
    }

    /// Permits for the same principal and resource, of another action.
    fn other_actions(&self, question: &Question<'_>) -> String {
        let lanes = Lane::ALL.into_iter().filter(|lane| lane.resource == question.resource.kind);
        let mut allowed = Vec::new();
        for lane in lanes.filter(|lane| *lane != question.lane) {
            let (principal, resource) = (question.principal.clone(), question.resource.clone());
            let other = Question { lane, principal, resource, ..*question };
            if self.settle(&self.evaluate(&other)).is_ok() {
                allowed.push(lane.action.as_str());
            }
        }
        if allowed.is_empty() {
            String::from(
                "no policy has a scope that holds: compare the entity ids above with yours",
            )
        } else {
            format!("permitted here: {}, but not {}", allowed.join(", "), question.lane.action)
        }
    }
}

fn shown(value: &Attribute) -> String {
    match value {
        Attribute::String(text) => quoted(text).into_owned(),
        Attribute::Long(number) => number.to_string(),
        Attribute::Bool(value) => value.to_string(),
        Attribute::Strings(texts) => {
            let texts: Vec<_> = texts.iter().map(|text| quoted(text)).collect();
            format!("[{}]", texts.join(", "))
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decision = if self.permitted { "permitted" } else { "denied" };
        writeln!(f, "{decision} ({})", self.code)?;
        writeln!(f, "  principal  {}", self.principal)?;
        for (name, value) in &self.attributes {
            writeln!(f, "             principal.{name} = {value}")?;
        }
        writeln!(f, "  action     Action::\"{}\"", self.action)?;
        writeln!(f, "  resource   {}", self.resource)?;
        writeln!(f, "  inside     {}", self.inside.join(", "))?;
        if let Some(seconds) = self.ttl_ceiling_seconds {
            let ceiling = std::time::Duration::from_secs(seconds);
            writeln!(f, "  at most    {}", humantime::format_duration(ceiling))?;
        }
        for policy in &self.policies {
            write!(f, "decided by {policy}")?;
        }
        for Erred { policy, message } in &self.errors {
            writeln!(f, "error: {}", message.escape_debug())?;
            policy.as_ref().map_or(Ok(()), |policy| write!(f, "in {policy}"))?;
        }
        for policy in &self.near {
            write!(f, "condition false in {policy}")?;
        }
        if !self.hint.is_empty() {
            writeln!(f, "hint: {}", self.hint)?;
        }
        write!(f, "bundle {}", self.bundle)
    }
}

impl fmt::Display for Cited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "`{}` at {}:{}", self.id, self.file, self.line)?;
        self.text.lines().try_for_each(|line| writeln!(f, "    {line}"))
    }
}
