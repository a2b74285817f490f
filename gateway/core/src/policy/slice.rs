//! The index: which policies can apply to a request at all.
//!
//! Cedar evaluates every policy it is given, so ten thousand policies cost ten thousand
//! evaluations. Here each policy is filed under what its scope demands: a lane (action and type of
//! resource), an entity that the principal must be or lie in, an entity that the resource must be
//! or lie in. A request is looked up under its own principal and resource and everything they lie
//! in, which is a handful of keys; each key's policies are a set that was built at load.
//!
//! INVARIANT: a policy that is not among the candidates of a question has a scope that is false for
//! it, so leaving it out changes neither the decision nor the deciding policies (a scope cannot err
//! and Cedar evaluates it first). A property test compares with the evaluation of everything. The
//! one exception is on purpose and only ever denies: see [`administers_on_purpose`].

use std::collections::{BTreeMap, HashMap};

use cedar_policy::{
    ActionConstraint, Effect, EntityUid, Policy, PolicySet, PolicySetError, PrincipalConstraint,
    ResourceConstraint,
};

use super::bundle::Rule;
use super::names::{Kind, Lane};
use super::needs::Needs;
use super::question::Question;
use crate::ask::Action;

/// An entity that some scope names, by number. [`ANY`] stands for no demand.
type Node = u32;
const ANY: Node = 0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    lane: Lane,
    principal: Node,
    resource: Node,
}

/// The policies of one key.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    pub(super) set: PolicySet,
    /// Their numbers in the bundle.
    pub(super) rules: Vec<usize>,
    /// What any of them can look at.
    pub(super) needs: Needs,
}

/// The index of a bundle.
#[derive(Debug, Default)]
pub(super) struct Index {
    nodes: BTreeMap<Kind, HashMap<Box<str>, Node>>,
    buckets: HashMap<Key, Bucket>,
    last_node: Node,
}

impl Index {
    pub(super) fn build(rules: &[Rule]) -> Result<Self, Box<PolicySetError>> {
        let mut index = Self::default();
        for (number, rule) in rules.iter().enumerate() {
            index.add(number, rule)?;
        }
        Ok(index)
    }

    fn add(&mut self, number: usize, rule: &Rule) -> Result<(), Box<PolicySetError>> {
        let principal = self.enter(principal_demand(&rule.policy).as_ref());
        let resource = self.enter(resource_demand(&rule.policy).as_ref());
        for lane in lanes(&rule.policy) {
            let bucket = self.buckets.entry(Key { lane, principal, resource }).or_default();
            bucket.set.add(rule.policy.clone()).map_err(Box::new)?;
            bucket.rules.push(number);
            bucket.needs = bucket.needs.union(rule.needs);
        }
        Ok(())
    }

    fn enter(&mut self, demand: Option<&EntityUid>) -> Node {
        let Some(uid) = demand else { return ANY };
        // A type that is not ours is refused by validation; under a number of its own it is never
        // looked up.
        let fresh = self.last_node + 1;
        let Some(kind) = Kind::of(uid.type_name()) else {
            self.last_node = fresh;
            return fresh;
        };
        let ids = self.nodes.entry(kind).or_default();
        let node = *ids.entry(uid.id().unescaped().into()).or_insert(fresh);
        self.last_node = self.last_node.max(node);
        node
    }

    /// The sets of policies whose scope may hold for the question.
    pub(super) fn candidates(&self, question: &Question<'_>) -> Vec<&Bucket> {
        let own = |entity: &super::question::Entity| self.node(entity.kind, &entity.id);
        let issuer = question.issuer().and_then(|(kind, id)| self.node(kind, id));
        let principals = [Some(ANY), own(&question.principal), issuer];
        let containers = question.resource.containers().map(|(kind, id)| self.node(kind, id));
        let resources: Vec<Node> =
            [Some(ANY), own(&question.resource)].into_iter().chain(containers).flatten().collect();
        let lane = question.lane;
        let keys = principals.into_iter().flatten().flat_map(|principal| {
            resources.iter().map(move |&resource| Key { lane, principal, resource })
        });
        keys.filter_map(|key| self.buckets.get(&key)).collect()
    }

    fn node(&self, kind: Kind, id: &str) -> Option<Node> {
        self.nodes.get(&kind)?.get(id).copied()
    }
}

/// Whether the scope names neither a principal nor a resource: such a policy is a candidate for
/// every request of its actions, however many there are.
pub(super) fn is_unscoped(policy: &Policy) -> bool {
    principal_demand(policy).is_none() && resource_demand(policy).is_none()
}

fn principal_demand(policy: &Policy) -> Option<EntityUid> {
    match policy.principal_constraint() {
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) => None,
        PrincipalConstraint::In(uid)
        | PrincipalConstraint::Eq(uid)
        | PrincipalConstraint::IsIn(_, uid) => Some(uid),
    }
}

fn resource_demand(policy: &Policy) -> Option<EntityUid> {
    match policy.resource_constraint() {
        ResourceConstraint::Any | ResourceConstraint::Is(_) => None,
        ResourceConstraint::In(uid)
        | ResourceConstraint::Eq(uid)
        | ResourceConstraint::IsIn(_, uid) => Some(uid),
    }
}

/// The lanes in which the scope can hold.
pub(super) fn lanes(policy: &Policy) -> Vec<Lane> {
    let action = policy.action_constraint();
    let principal = policy.principal_constraint();
    let resource = policy.resource_constraint();
    Lane::ALL
        .into_iter()
        .filter(|lane| action_fits(&action, *lane) && administers_on_purpose(policy, *lane))
        .filter(|lane| lane.principals().iter().any(|kind| principal_fits(&principal, *kind)))
        .filter(|lane| resource_fits(&resource, lane.resource))
        .collect()
}

/// A broad `permit (principal in …, action, resource)` is written with secrets in mind: it must not
/// make every workload of an issuer an administrator. Where Cedar would let it, this does not; a
/// `forbid` without an action forbids administration like everything else.
fn administers_on_purpose(policy: &Policy, lane: Lane) -> bool {
    lane.action != Action::Administer
        || policy.effect() == Effect::Forbid
        || policy.action_constraint() != ActionConstraint::Any
}

fn action_fits(constraint: &ActionConstraint, lane: Lane) -> bool {
    let is_ours = |uid: &EntityUid| uid.id().unescaped() == lane.action.as_str();
    match constraint {
        ActionConstraint::Any => true,
        ActionConstraint::In(uids) => uids.iter().any(is_ours),
        ActionConstraint::Eq(uid) => is_ours(uid),
    }
}

fn principal_fits(constraint: &PrincipalConstraint, kind: Kind) -> bool {
    match constraint {
        PrincipalConstraint::Any => true,
        PrincipalConstraint::Is(name) | PrincipalConstraint::IsIn(name, _) => {
            Kind::of(name) == Some(kind)
        }
        PrincipalConstraint::Eq(uid) => Kind::of(uid.type_name()) == Some(kind),
        PrincipalConstraint::In(uid) => {
            Kind::of(uid.type_name()).is_some_and(|container| kind.can_be_in(container))
        }
    }
}

fn resource_fits(constraint: &ResourceConstraint, kind: Kind) -> bool {
    match constraint {
        ResourceConstraint::Any => true,
        ResourceConstraint::Is(name) | ResourceConstraint::IsIn(name, _) => {
            Kind::of(name) == Some(kind)
        }
        ResourceConstraint::Eq(uid) => Kind::of(uid.type_name()) == Some(kind),
        ResourceConstraint::In(uid) => {
            Kind::of(uid.type_name()).is_some_and(|container| kind.can_be_in(container))
        }
    }
}
