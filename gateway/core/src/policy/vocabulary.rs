//! What policies can speak of, taken from the configuration.
//!
//! The policies are checked against it when they load, so that a misspelt backend is a message to
//! the operator and not a rule that never matches.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ask::Resource;
use crate::id::{BackendName, IssuerAlias, RoleName, TargetName};
use crate::principal::Attribute;

/// Everything configured that a policy may name, with the limits that go with it.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// The registered issuers.
    pub issuers: BTreeMap<IssuerAlias, IssuerTerms>,
    /// The backends.
    pub backends: BTreeMap<BackendName, BackendTerms>,
    /// The token-exchange targets, each with its own ceiling if it has one.
    pub targets: BTreeMap<TargetName, Option<Duration>>,
    /// The user under which the gateway runs: beside root, the first administrator.
    pub service_uid: Option<u32>,
    /// The longest time anything is granted for, whatever else allows more.
    pub ttl_max: Duration,
    /// How many policies may name neither a principal nor a resource. Each of them is evaluated
    /// for every request with its action.
    pub max_unscoped: usize,
}

/// What policies see of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerTerms {
    /// The profile: the name of the record that holds the attributes.
    pub profile: &'static str,
    /// The mapped claims and their types.
    pub attributes: BTreeMap<String, AttributeType>,
}

/// What policies see of a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendTerms {
    /// The backend's ceiling, if it has one.
    pub ttl_max: Option<Duration>,
    /// Its roles, each with its own ceiling if it has one.
    pub roles: BTreeMap<RoleName, Option<Duration>>,
}

/// The type of a mapped claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttributeType {
    /// Text.
    String,
    /// A 64-bit integer.
    Long,
    /// A truth value.
    Bool,
    /// A set of texts.
    Strings,
}

impl AttributeType {
    /// The type's name in the schema.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "String",
            Self::Long => "Long",
            Self::Bool => "Bool",
            Self::Strings => "Set<String>",
        }
    }

    /// The type of a value.
    #[must_use]
    pub const fn of(value: &Attribute) -> Self {
        match value {
            Attribute::String(_) => Self::String,
            Attribute::Long(_) => Self::Long,
            Attribute::Bool(_) => Self::Bool,
            Attribute::Strings(_) => Self::Strings,
        }
    }
}

/// Nothing configured: thirty minutes at most, 64 policies without a scope.
impl Default for Vocabulary {
    fn default() -> Self {
        Self {
            issuers: BTreeMap::new(),
            backends: BTreeMap::new(),
            targets: BTreeMap::new(),
            service_uid: None,
            ttl_max: Duration::from_secs(30 * 60),
            max_unscoped: 64,
        }
    }
}

impl Vocabulary {
    /// Whether the resource is one of what is configured. Secrets and folders are known by their
    /// backend alone: which of them exist is the backend's to say.
    pub(super) fn knows(&self, resource: &Resource) -> bool {
        match resource {
            Resource::Secret { backend, .. } | Resource::Folder { backend, .. } => {
                self.backends.contains_key(backend)
            }
            Resource::Role { backend, role } => {
                self.backends.get(backend).is_some_and(|terms| terms.roles.contains_key(role))
            }
            Resource::Target(target) => self.targets.contains_key(target),
            Resource::Gateway => true,
            // A lease is decided about as what it was issued for; by itself it is nothing.
            Resource::Lease(_) | Resource::Leases => false,
        }
    }

    /// The smallest ceiling that the configuration sets for the resource.
    pub(super) fn ceiling(&self, resource: &Resource) -> Duration {
        let backend = resource.backend().and_then(|name| self.backends.get(name));
        let own = match resource {
            Resource::Role { role, .. } => {
                backend.and_then(|terms| terms.roles.get(role).copied().flatten())
            }
            Resource::Target(target) => self.targets.get(target).copied().flatten(),
            Resource::Secret { .. }
            | Resource::Folder { .. }
            | Resource::Lease(_)
            | Resource::Leases
            | Resource::Gateway => None,
        };
        let of_backend = backend.and_then(|terms| terms.ttl_max);
        [own, of_backend].into_iter().flatten().fold(self.ttl_max, Duration::min)
    }

    /// One text that differs whenever the vocabulary does in a way that can change an answer which
    /// the schema does not show: what exists, and the ceilings.
    pub(super) fn canonical(&self) -> String {
        format!(
            "{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{}",
            self.issuers,
            self.backends,
            self.targets,
            self.service_uid,
            self.ttl_max,
            self.max_unscoped
        )
    }
}
