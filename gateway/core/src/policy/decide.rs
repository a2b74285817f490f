//! The station of the line: from a principal and an ask to a permit or a denial.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use cedar_policy::{AuthorizationError, Effect, Response};

use super::bundle::Bundle;
use super::entity::{entities, request};
use super::needs::Needs;
use super::question::Question;
use crate::ask::{Action, Ask};
use crate::clock::Timestamp;
use crate::error::Kind;
use crate::principal::Principal;

/// What a decision depends on beside who asks for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// The time, as policies see it (`context.time`).
    pub now: Timestamp,
    /// Where the request came from (`context.source_address`), if that is known.
    pub source_address: Option<IpAddr>,
}

/// The decision to allow one ask of one principal.
///
/// INVARIANT: only [`Bundle::decide`] makes one.
#[derive(Clone, Debug)]
pub struct Permit {
    principal: Arc<Principal>,
    ask: Arc<Ask>,
    ttl_ceiling: Duration,
    policies: Vec<Arc<str>>,
    bundle: Arc<str>,
}

/// Who is behind a call of a component: a principal that was permitted something.
///
/// INVARIANT: only a [`Permit`] gives one, so that nothing is done in the name of somebody who was
/// not decided about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnBehalf(Arc<Principal>);

impl OnBehalf {
    /// Who that is.
    #[must_use]
    pub fn principal(&self) -> &Arc<Principal> {
        &self.0
    }
}

impl Permit {
    /// The proof that something is done for who may.
    #[must_use]
    pub fn on_behalf(&self) -> OnBehalf {
        OnBehalf(self.principal.clone())
    }

    /// Who may.
    #[must_use]
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// What they may.
    #[must_use]
    pub fn ask(&self) -> &Arc<Ask> {
        &self.ask
    }

    /// The longest time for which anything may be granted on this permit.
    #[must_use]
    pub fn ttl_ceiling(&self) -> Duration {
        self.ttl_ceiling
    }

    /// The ids of the policies that permit it, in the order of the bundle.
    #[must_use]
    pub fn policies(&self) -> &[Arc<str>] {
        &self.policies
    }

    /// The digest of the bundle that decided.
    #[must_use]
    pub fn bundle_digest(&self) -> &Arc<str> {
        &self.bundle
    }
}

/// The decision not to allow something. Policy ids are for the audit log: a client learns nothing
/// but that it was denied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// No policy permits it.
    #[error("no policy permits this")]
    NoPolicy,
    /// A policy forbids it.
    #[error("a policy forbids this")]
    Forbidden {
        /// The policies that do.
        policies: Vec<Arc<str>>,
    },
    /// A policy that applies could not be evaluated. It may have been a prohibition.
    #[error("a policy could not be evaluated")]
    Erred {
        /// The policies that erred; none if the request itself could not be put to them.
        policies: Vec<Arc<str>>,
    },
    /// The principal's issuer is not known to this bundle.
    #[error("the issuer is not known to the policies")]
    UnknownIssuer,
    /// The principal's attributes are not what the schema says.
    #[error("the principal's attributes differ from the schema")]
    SubjectMismatch,
    /// The backend, role or target is not configured.
    #[error("the resource is not configured")]
    UnknownResource,
    /// The access token is not good for this action.
    #[error("the access token's scope does not hold this action")]
    OutOfScope,
    /// The action does not go with this type of resource.
    #[error("the action is not defined on this resource")]
    Inapplicable,
}

impl Denial {
    /// What the client is told.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::NoPolicy
            | Self::Forbidden { .. }
            | Self::Erred { .. }
            | Self::UnknownIssuer
            | Self::SubjectMismatch
            | Self::UnknownResource
            | Self::OutOfScope
            | Self::Inapplicable => Kind::Denied,
        }
    }

    /// What the audit log says.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoPolicy => "no_rule",
            Self::Forbidden { .. } => "rule_deny",
            Self::Erred { .. } => "policy_error",
            Self::UnknownIssuer => "issuer_unknown",
            Self::SubjectMismatch => "subject_mismatch",
            Self::UnknownResource => "resource_unknown",
            Self::OutOfScope => "out_of_scope",
            Self::Inapplicable => "action_inapplicable",
        }
    }

    /// The policies that brought it about, for the audit log.
    #[must_use]
    pub fn policies(&self) -> &[Arc<str>] {
        match self {
            Self::Forbidden { policies } | Self::Erred { policies } => policies,
            Self::NoPolicy
            | Self::UnknownIssuer
            | Self::SubjectMismatch
            | Self::UnknownResource
            | Self::OutOfScope
            | Self::Inapplicable => &[],
        }
    }
}

/// Whether what the principal has shown is good for an action at all.
pub(super) fn in_scope(principal: &Principal, action: Action) -> Result<(), Denial> {
    let allowed = principal.proof().scope().is_none_or(|scope| scope.allows(action));
    if allowed { Ok(()) } else { Err(Denial::OutOfScope) }
}

/// How the candidate policies came out, as numbers in the bundle.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) permits: Vec<usize>,
    pub(super) forbids: Vec<usize>,
    /// Which policies erred, and how. Without a number: the request itself could not be built.
    pub(super) errors: Vec<(Option<usize>, String)>,
}

impl Bundle {
    /// Decides. Deterministic; no state is kept between calls.
    ///
    /// The binding that policies see is the one of the principal's proof.
    ///
    /// # Errors
    /// [`Denial`] unless a policy permits the ask, none forbids it, and all that apply could be
    /// evaluated.
    pub fn decide(
        &self,
        principal: Arc<Principal>,
        ask: Arc<Ask>,
        circumstances: &Circumstances,
    ) -> Result<Permit, Denial> {
        in_scope(&principal, ask.action)?;
        let who = (principal.subject(), principal.proof().binding);
        let question = Question::of_ask(&self.vocabulary, who, &ask, circumstances)?;
        let permits = self.settle(&self.evaluate(&question))?;
        let ttl_ceiling = self.ceiling(&ask, &permits);
        let policies = self.ids(permits);
        Ok(Permit { principal, ask, ttl_ceiling, policies, bundle: Arc::clone(&self.digest) })
    }

    /// Evaluates the slice of policies that can apply.
    pub(super) fn evaluate(&self, question: &Question<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        let buckets = self.index.candidates(question);
        if buckets.is_empty() {
            return verdict;
        }
        let needs = buckets.iter().fold(Needs::default(), |all, bucket| all.union(bucket.needs));
        let request = request(&self.names, question, needs);
        match request.and_then(|request| Ok((request, entities(&self.names, question, needs)?))) {
            Err(refused) => verdict.errors.push((None, refused.message().to_owned())),
            Ok((request, entities)) => {
                for bucket in buckets {
                    let response = self.authorizer.is_authorized(&request, &bucket.set, &entities);
                    self.note(&mut verdict, &response);
                }
            }
        }
        verdict.permits.sort_unstable();
        verdict.forbids.sort_unstable();
        verdict.errors.sort();
        verdict
    }

    /// Adds the outcome of one set. The union over sets is the outcome of their union, with one
    /// exception that cannot show: a set with a `forbid` that holds names no permits, and then the
    /// decision is a denial whatever they are.
    pub(super) fn note(&self, verdict: &mut Verdict, response: &Response) {
        for id in response.diagnostics().reason() {
            match self.rule_named(id.as_ref()) {
                Some((number, rule)) => match rule.policy.effect() {
                    Effect::Permit => verdict.permits.push(number),
                    Effect::Forbid => verdict.forbids.push(number),
                },
                None => verdict.errors.push((None, String::from("an unknown policy decided"))),
            }
        }
        for error in response.diagnostics().errors() {
            let AuthorizationError::PolicyEvaluationError(error) = error;
            let number = self.rule_named(error.policy_id().as_ref()).map(|(number, _)| number);
            verdict.errors.push((number, error.inner().to_string()));
        }
    }

    /// The permitting policies, unless anything stands against them. An error weighs most: the
    /// policy that erred may be the one that would have forbidden.
    pub(super) fn settle(&self, verdict: &Verdict) -> Result<Vec<usize>, Denial> {
        if !verdict.errors.is_empty() {
            let mut erred: Vec<usize> = verdict.errors.iter().filter_map(|(n, _)| *n).collect();
            erred.dedup();
            return Err(Denial::Erred { policies: self.ids(erred) });
        }
        if !verdict.forbids.is_empty() {
            return Err(Denial::Forbidden { policies: self.ids(verdict.forbids.clone()) });
        }
        if verdict.permits.is_empty() { Err(Denial::NoPolicy) } else { Ok(verdict.permits.clone()) }
    }

    /// The smallest of what the configuration and the permitting policies allow.
    pub(super) fn ceiling(&self, ask: &Ask, permits: &[usize]) -> Duration {
        let of_policies = permits.iter().filter_map(|number| self.rules.get(*number)?.ttl_max);
        of_policies.fold(self.vocabulary.ceiling(&ask.resource), Duration::min)
    }

    pub(super) fn ids(&self, numbers: Vec<usize>) -> Vec<Arc<str>> {
        numbers
            .into_iter()
            .filter_map(|number| self.rules.get(number))
            .map(|rule| Arc::clone(&rule.id))
            .collect()
    }
}
