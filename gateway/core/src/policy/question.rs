//! A request in the words of the policies: who, which lane, what, and under which circumstances.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use super::decide::{Circumstances, Denial};
use super::names::{Kind, Lane};
use super::vocabulary::{AttributeType, Vocabulary};
use crate::ask::{Action, Ask, Resource};
use crate::clock::Timestamp;
use crate::principal::{Binding, Subject};

/// One thing to be decided.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) lane: Lane,
    pub(super) who: Who<'a>,
    pub(super) principal: Entity,
    pub(super) resource: Entity,
    pub(super) facts: Facts<'a>,
}

/// The acting side.
#[derive(Clone, Copy, Debug)]
pub(super) enum Who<'a> {
    /// A workload, by issuer, subject and attributes.
    Workload(&'a Subject),
    /// A peer of the admin socket, by its user.
    Peer(u32),
}

/// A type and an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entity {
    pub(super) kind: Kind,
    pub(super) id: String,
}

/// What the context is made of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Facts<'a> {
    /// Of a request on the line.
    Request {
        now: Timestamp,
        source_address: Option<IpAddr>,
        binding: Binding,
        requested_ttl: Option<Duration>,
    },
    /// Of an act of administration.
    Administration { now: Timestamp, operation: &'a str },
}

impl<'a> Question<'a> {
    /// The question an ask raises. What the vocabulary does not know is denied here, so that a
    /// policy without a scope cannot open what is not configured.
    pub(super) fn of_ask(
        vocabulary: &Vocabulary,
        (subject, binding): (&'a Subject, Binding),
        ask: &Ask,
        circumstances: &Circumstances,
    ) -> Result<Self, Denial> {
        conforms(vocabulary, subject)?;
        let resource = Entity::of_resource(&ask.resource);
        let lane = Lane::find(ask.action, resource.kind)
            .filter(|lane| lane.action != Action::Administer)
            .ok_or(Denial::Inapplicable)?;
        if !vocabulary.knows(&ask.resource) {
            return Err(Denial::UnknownResource);
        }
        let facts = Facts::Request {
            now: circumstances.now,
            source_address: circumstances.source_address,
            binding,
            requested_ttl: ask.ttl,
        };
        let principal = Entity::of_subject(subject);
        Ok(Self { lane, who: Who::Workload(subject), principal, resource, facts })
    }

    /// The question an act of administration raises.
    pub(super) fn of_administration(
        vocabulary: &Vocabulary,
        who: Who<'a>,
        operation: &'a str,
        now: Timestamp,
    ) -> Result<Self, Denial> {
        let principal = match who {
            Who::Workload(subject) => {
                conforms(vocabulary, subject)?;
                Entity::of_subject(subject)
            }
            Who::Peer(uid) => Entity { kind: Kind::Admin, id: format!("uid:{uid}") },
        };
        let resource = Entity::of_resource(&Resource::Gateway);
        let lane = Lane { action: Action::Administer, resource: resource.kind };
        Ok(Self { lane, who, principal, resource, facts: Facts::Administration { now, operation } })
    }

    /// What the principal lies in.
    pub(super) fn issuer(&self) -> Option<(Kind, &'a str)> {
        match self.who {
            Who::Workload(subject) => Some((Kind::Issuer, subject.identity.issuer.as_str())),
            Who::Peer(_) => None,
        }
    }
}

impl Entity {
    fn of_subject(subject: &Subject) -> Self {
        // An alias has no `/`, so the first one in the id is always ours: no two identities share
        // an id, whatever the subject contains.
        Self { kind: Kind::Workload, id: subject.identity.to_string() }
    }

    pub(super) fn of_resource(resource: &Resource) -> Self {
        let (kind, id) = match resource {
            Resource::Secret { backend, path } => (Kind::Secret, format!("{backend}/{path}")),
            Resource::Folder { backend, folder: Some(folder) } => {
                (Kind::Folder, format!("{backend}/{folder}"))
            }
            Resource::Folder { backend, folder: None } => (Kind::Backend, backend.to_string()),
            Resource::Role { backend, role } => (Kind::Role, format!("{backend}/{role}")),
            Resource::Target(target) => (Kind::Target, target.to_string()),
            // Never asked: a lease is asked about as what it was issued for.
            Resource::Lease(lease) => (Kind::Role, lease.to_string()),
            Resource::Leases => (Kind::Role, String::new()),
            Resource::Gateway => (Kind::Gateway, String::from("gateway")),
        };
        Self { kind, id }
    }

    /// Everything this resource lies in, nearest first. Every prefix on a `/` is a folder, but for
    /// the shortest, which is the backend: its name has no `/`.
    pub(super) fn containers(&self) -> impl Iterator<Item = (Kind, &str)> {
        let nested = !self.kind.containers().is_empty();
        let prefixes = self.id.rmatch_indices('/').filter_map(|(at, _)| self.id.get(..at));
        prefixes
            .filter(move |_| nested)
            .map(|prefix| (if prefix.contains('/') { Kind::Folder } else { Kind::Backend }, prefix))
    }

    /// The path within the backend.
    pub(super) fn path(&self) -> &str {
        self.id.split_once('/').map_or("", |(_, path)| path)
    }

    /// As it is written in a policy.
    pub(super) fn written(&self) -> String {
        format!("{}::{}", self.kind.as_str(), quoted(&self.id))
    }
}

/// A text as a string literal of a policy.
pub(super) fn quoted(text: &str) -> Cow<'static, str> {
    Cow::Owned(format!("\"{}\"", text.escape_debug()))
}

/// Attributes must be as declared. Cedar compares values of different types as unequal without an
/// error, so that `!=` over an attribute of the wrong type would hold: the types are checked here,
/// once, and an unknown attribute is refused like a wrong one.
fn conforms(vocabulary: &Vocabulary, subject: &Subject) -> Result<(), Denial> {
    let terms = vocabulary.issuers.get(&subject.identity.issuer).ok_or(Denial::UnknownIssuer)?;
    let declared = |(name, value)| terms.attributes.get(name) == Some(&AttributeType::of(value));
    let fits = terms.profile == subject.profile && subject.attributes.iter().all(declared);
    if fits { Ok(()) } else { Err(Denial::SubjectMismatch) }
}
