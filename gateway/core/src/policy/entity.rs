//! A question as Cedar takes it: a request, and no more entities than can matter.
//!
//! Two entities suffice. Cedar answers `in` from the ancestors that an entity carries, and ours
//! carry all of theirs; the containers themselves have no attributes, so nothing else is ever
//! looked up. Both are built from values that [`super::question`] has checked against the
//! vocabulary, which is why the schema is not consulted again.
//!
//! INVARIANT: an entity names every ancestor as its parent, so that the hierarchy is transitively
//! closed as it is built. Cedar is told so: closing it again is most of what a decision would cost,
//! and only `cedar-policy-core` has a way to say so.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use cedar_policy::{Context, Entities, Entity, EntityUid, Request, RestrictedExpression};
use cedar_policy_core::entities::{
    Entities as Hierarchy, NoEntitiesSchema, TCComputation as Closure,
};
use cedar_policy_core::extensions::Extensions;

use super::names::{Kind, Names};
use super::needs::Needs;
use super::question::{Facts, Question, Who};
use crate::principal::{Attribute, Subject};

/// Cedar refused a value. The inputs are checked before, so this is an evaluation error like any
/// other, and denies like any other.
#[derive(Debug)]
pub(super) struct Refused(String);

impl Refused {
    fn by(error: &impl ToString) -> Self {
        Self(error.to_string())
    }

    pub(super) fn message(&self) -> &str {
        &self.0
    }
}

/// The request, with as much context as is needed.
pub(super) fn request(
    names: &Names,
    question: &Question<'_>,
    needs: Needs,
) -> Result<Request, Refused> {
    let context = context(&question.facts, needs)?;
    Request::new(
        names.uid(question.principal.kind, &question.principal.id),
        names.action(question.lane.action),
        names.uid(question.resource.kind, &question.resource.id),
        context,
        None,
    )
    .map_err(|error| Refused::by(&error))
}

/// The principal and the resource, each with everything it lies in.
pub(super) fn entities(
    names: &Names,
    question: &Question<'_>,
    needs: Needs,
) -> Result<Entities, Refused> {
    let entities = [principal(names, question, needs)?, resource(names, question, needs)?];
    let entities = entities.iter().map(|entity| entity.as_ref().clone());
    let (schema, closure) = (None::<&NoEntitiesSchema>, Closure::AssumeAlreadyComputed);
    Hierarchy::from_entities(entities, schema, closure, Extensions::all_available())
        .map(Entities::from)
        .map_err(|error| Refused::by(&error))
}

fn principal(names: &Names, question: &Question<'_>, needs: Needs) -> Result<Entity, Refused> {
    let uid = names.uid(question.principal.kind, &question.principal.id);
    let parents: HashSet<EntityUid> =
        question.issuer().map(|(kind, id)| names.uid(kind, id)).into_iter().collect();
    match question.who {
        Who::Workload(subject) if needs.includes(Needs::PRINCIPAL) => {
            Entity::new_with_tags(uid, attributes(subject)?, parents, [])
                .map_err(|error| Refused::by(&error))
        }
        Who::Workload(_) | Who::Peer(_) => Ok(Entity::new_no_attrs(uid, parents)),
    }
}

fn attributes(subject: &Subject) -> Result<Vec<(String, RestrictedExpression)>, Refused> {
    let record = subject.attributes.iter().map(|(name, value)| (name.clone(), value_of(value)));
    let record = RestrictedExpression::new_record(record).map_err(|error| Refused::by(&error))?;
    Ok(vec![
        (String::from("issuer"), text(subject.identity.issuer.as_str())),
        (String::from("subject"), text(&subject.identity.subject)),
        (subject.profile.to_owned(), record),
    ])
}

fn value_of(attribute: &Attribute) -> RestrictedExpression {
    match attribute {
        Attribute::String(value) => text(value),
        Attribute::Long(value) => RestrictedExpression::new_long(*value),
        Attribute::Bool(value) => RestrictedExpression::new_bool(*value),
        Attribute::Strings(values) => {
            RestrictedExpression::new_set(values.iter().map(|value| text(value)))
        }
    }
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

fn resource(names: &Names, question: &Question<'_>, needs: Needs) -> Result<Entity, Refused> {
    let resource = &question.resource;
    let uid = names.uid(resource.kind, &resource.id);
    let parents: HashSet<EntityUid> =
        resource.containers().map(|(kind, id)| names.uid(kind, id)).collect();
    if !needs.includes(Needs::RESOURCE) {
        return Ok(Entity::new_no_attrs(uid, parents));
    }
    let mut attributes = Vec::new();
    if matches!(resource.kind, Kind::Secret | Kind::Folder) {
        attributes.push((String::from("path"), text(resource.path())));
    }
    if resource.kind == Kind::Secret {
        let name = resource.path().rsplit('/').next().unwrap_or_default();
        attributes.push((String::from("name"), text(name)));
    }
    Entity::new_with_tags(uid, attributes, parents, []).map_err(|error| Refused::by(&error))
}

fn context(facts: &Facts<'_>, needs: Needs) -> Result<Context, Refused> {
    let mut pairs = Vec::new();
    let mut add = |part: Needs, name: &str, value: &dyn Fn() -> Option<RestrictedExpression>| {
        let wanted = needs.includes(part).then(value).flatten();
        pairs.extend(wanted.map(|value| (name.to_owned(), value)));
    };
    match *facts {
        Facts::Administration { now, operation } => {
            add(Needs::TIME, "time", &|| Some(time(now)));
            add(Needs::OPERATION, "operation", &|| Some(text(operation)));
        }
        Facts::Request { now, source_address, binding, requested_ttl } => {
            add(Needs::TIME, "time", &|| Some(time(now)));
            add(Needs::BINDING, "binding", &|| Some(text(binding.as_str())));
            add(Needs::SOURCE_ADDRESS, "source_address", &|| source_address.map(address));
            add(Needs::REQUESTED_TTL, "requested_ttl", &|| requested_ttl.map(seconds));
        }
    }
    if pairs.is_empty() {
        return Ok(Context::empty());
    }
    Context::from_pairs(pairs).map_err(|error| Refused::by(&error))
}

/// An IPv4 address in IPv6 clothes must not slip past `isInRange(ip("10.0.0.0/8"))`.
fn address(address: IpAddr) -> RestrictedExpression {
    RestrictedExpression::new_ip(address.to_canonical().to_string())
}

fn seconds(duration: Duration) -> RestrictedExpression {
    RestrictedExpression::new_long(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX))
}

fn time(now: crate::clock::Timestamp) -> RestrictedExpression {
    RestrictedExpression::new_datetime(now.to_string())
}
