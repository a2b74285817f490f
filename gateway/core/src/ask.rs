//! What a request wants: parsed and bounded, with nothing proven.
//!
//! Every dialect (native, OAuth, Vault, CSI) becomes one [`Ask`]; the stations behind it do not know
//! which one it came from.

use std::fmt;
use std::time::Duration;

use crate::field::Field;
use crate::id::{BackendName, LeaseId, RoleName, TargetName};
use crate::path::SecretPath;

/// One operation on one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What is to be done.
    pub action: Action,
    /// To what.
    pub resource: Resource,
    /// Which version of a secret; the newest if `None`.
    pub version: Option<Version>,
    /// Lease duration asked for; the decision may shorten it.
    pub ttl: Option<Duration>,
    /// Scopes that a token shall have; all that there are if empty.
    pub scopes: Vec<String>,
    /// Which part of a secret's value; all of it if `None`.
    pub field: Option<Field>,
    /// The alias by which the secret was asked for, if it was.
    pub alias: Option<SecretPath>,
}

impl Ask {
    /// Asks for one thing, without saying more.
    #[must_use]
    pub const fn of(action: Action, resource: Resource) -> Self {
        Self {
            action,
            resource,
            version: None,
            ttl: None,
            scopes: Vec::new(),
            field: None,
            alias: None,
        }
    }

    /// Asks to read a secret.
    #[must_use]
    pub fn read(backend: BackendName, path: SecretPath, version: Option<Version>) -> Self {
        let resource = Resource::Secret { backend, path };
        Self { version, ..Self::of(Action::Read, resource) }
    }

    /// Asks for the names in a folder, or at the top of the backend.
    #[must_use]
    pub fn list(backend: BackendName, folder: Option<SecretPath>) -> Self {
        Self::of(Action::List, Resource::Folder { backend, folder })
    }

    /// Asks for a credential of a role.
    #[must_use]
    pub fn issue(backend: BackendName, role: RoleName, ttl: Option<Duration>) -> Self {
        Self { ttl, ..Self::of(Action::Issue, Resource::Role { backend, role }) }
    }

    /// Asks for a token of a target, or for an access token of the gateway's own.
    #[must_use]
    pub fn exchange(target: Option<TargetName>, scopes: Vec<String>) -> Self {
        let resource = target.map_or(Resource::Gateway, Resource::Target);
        Self { scopes, ..Self::of(Action::Exchange, resource) }
    }

    /// Asks what an access token of the gateway's own says (`list`), or to end one (`revoke`).
    #[must_use]
    pub fn of_token(action: Action) -> Self {
        Self::of(action, Resource::Gateway)
    }

    /// Asks to see (`list`), renew or revoke a lease.
    #[must_use]
    pub fn of_lease(action: Action, lease: LeaseId, ttl: Option<Duration>) -> Self {
        Self { ttl, ..Self::of(action, Resource::Lease(lease)) }
    }

    /// Asks for the asker's own leases.
    #[must_use]
    pub fn leases() -> Self {
        Self::of(Action::List, Resource::Leases)
    }
}

/// The verbs that policies speak of (DESIGN §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Read a secret's value.
    Read,
    /// Issue a new credential.
    Issue,
    /// Exchange an identity for a token of a target.
    Exchange,
    /// Renew a lease.
    Renew,
    /// Revoke a lease.
    Revoke,
    /// List names.
    List,
    /// Operate the gateway.
    Administer,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::Issue,
        Self::Exchange,
        Self::Renew,
        Self::Revoke,
        Self::List,
        Self::Administer,
    ];

    /// The name in policies, audit records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Issue => "issue",
            Self::Exchange => "exchange",
            Self::Renew => "renew",
            Self::Revoke => "revoke",
            Self::List => "list",
            Self::Administer => "administer",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The things that policies speak of (DESIGN §6).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// A secret of a backend.
    Secret {
        /// The backend that holds it.
        backend: BackendName,
        /// Its path there.
        path: SecretPath,
    },
    /// A folder of a backend, or the backend's top.
    Folder {
        /// The backend.
        backend: BackendName,
        /// The folder; the top if `None`.
        folder: Option<SecretPath>,
    },
    /// A role of a backend that issues credentials.
    Role {
        /// The backend.
        backend: BackendName,
        /// The role.
        role: RoleName,
    },
    /// A token-exchange target.
    Target(TargetName),
    /// A lease, of whatever it is. Policies speak of the role or target that it was issued for.
    Lease(LeaseId),
    /// The leases of whoever asks.
    Leases,
    /// The gateway itself: what is administered, and whose access tokens are obtained and looked at.
    Gateway,
}

impl Resource {
    /// The backend in which the resource lies, if it lies in one.
    #[must_use]
    pub fn backend(&self) -> Option<&BackendName> {
        match self {
            Self::Secret { backend, .. }
            | Self::Folder { backend, .. }
            | Self::Role { backend, .. } => Some(backend),
            Self::Target(_) | Self::Lease(_) | Self::Leases | Self::Gateway => None,
        }
    }
}

/// As operators write it: `backend/path`, `backend/` for the top, `target:name`, `lease:id`, `leases`,
/// `gateway`.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret { backend, path } => write!(f, "{backend}/{path}"),
            Self::Folder { backend, folder: Some(folder) } => write!(f, "{backend}/{folder}/"),
            Self::Folder { backend, folder: None } => write!(f, "{backend}/"),
            Self::Role { backend, role } => write!(f, "{backend}/{role}"),
            Self::Target(target) => write!(f, "target:{target}"),
            Self::Lease(lease) => write!(f, "lease:{lease}"),
            Self::Leases => f.write_str("leases"),
            Self::Gateway => f.write_str("gateway"),
        }
    }
}

/// A version of a secret, in the backend's own naming: 1 to 128 bytes of `A-Z a-z 0-9 . _ -`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version(String);

/// The text is not a [`Version`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a version is 1 to 128 of A-Z, a-z, 0-9, `.`, `_` and `-`")]
pub struct VersionError(());

impl Version {
    /// Parses a version.
    ///
    /// # Errors
    /// [`VersionError`] if the text is empty, too long or has another character.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let fits = (1..=128).contains(&text.len()) && text.bytes().all(allowed);
        if fits { Ok(Self(text.to_owned())) } else { Err(VersionError(())) }
    }

    /// The version as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
