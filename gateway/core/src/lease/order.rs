//! Many leases to be ended at once.
//!
//! A lock, an epoch, a withdrawn token or an operator ends leases by the thousand. The order to do so
//! is one durable record, written together with what caused it, and carried out page by page: a crash
//! in the middle loses nothing, and from the moment the record is durable no lease that it covers is
//! renewed.

use serde::{Deserialize, Serialize};

use super::index::{self, Place};
use super::terms::{Cause, Terms};
use crate::clock::Timestamp;
use crate::id::{BackendName, IssuerAlias, LeaseId, RoleName};
use crate::principal::Identity;

/// Which leases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Scope {
    /// All there are.
    Everything,
    /// Those of a backend.
    Backend(BackendName),
    /// Those of a role.
    Role {
        /// Its backend.
        backend: BackendName,
        /// The role.
        role: RoleName,
    },
    /// Those of everyone an issuer vouches for.
    Issuer(IssuerAlias),
    /// Those of a principal.
    Principal {
        /// The issuer that vouches for it.
        issuer: IssuerAlias,
        /// The subject.
        subject: String,
    },
    /// Those that one token asked for.
    Token {
        /// SHA-256 of the token's signing input.
        digest: [u8; 32],
    },
    /// Those that share the credential of this lease; not the lease itself.
    Carrier(LeaseId),
}

impl Scope {
    /// The leases of one principal.
    #[must_use]
    pub fn of(owner: &Identity) -> Self {
        Self::Principal { issuer: owner.issuer.clone(), subject: owner.subject.clone() }
    }

    /// Whether a lease with these terms is meant.
    #[must_use]
    pub fn covers(&self, terms: &Terms) -> bool {
        match self {
            Self::Everything => true,
            Self::Backend(backend) => terms.backend == *backend,
            Self::Role { backend, role } => terms.backend == *backend && terms.role == *role,
            Self::Issuer(issuer) => terms.owner.issuer == *issuer,
            Self::Principal { issuer, subject } => {
                terms.owner.issuer == *issuer && terms.owner.subject == *subject
            }
            // What the gateway holds for many was asked for by none of their tokens.
            Self::Token { digest } => terms.token == *digest && terms.carries().is_none(),
            Self::Carrier(carrier) => terms.carrier() == Some(*carrier),
        }
    }

    /// Where its leases are found, and with which prefix.
    #[must_use]
    pub fn span(&self) -> (Place, Vec<u8>) {
        match self {
            Self::Everything => (Place::State, Vec::new()),
            Self::Backend(backend) => (Place::Backend, index::backend_prefix(backend)),
            Self::Role { backend, role } => (Place::Backend, index::role_prefix(backend, role)),
            Self::Issuer(issuer) => (Place::Owner, index::issuer_prefix(issuer)),
            Self::Principal { issuer, subject } => {
                let owner = Identity { issuer: issuer.clone(), subject: subject.clone() };
                (Place::Owner, index::owner_prefix(&owner))
            }
            Self::Token { digest } => (Place::Token, digest.to_vec()),
            Self::Carrier(carrier) => (Place::Carrier, carrier.to_bytes().to_vec()),
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Everything => f.write_str("everything"),
            Self::Backend(backend) => write!(f, "{backend}/"),
            Self::Role { backend, role } => write!(f, "{backend}/{role}"),
            Self::Issuer(issuer) => write!(f, "issuer:{issuer}"),
            Self::Principal { issuer, subject } => write!(f, "principal:{issuer}/{subject}"),
            Self::Token { .. } => f.write_str("token"),
            Self::Carrier(carrier) => write!(f, "carrier:{carrier}"),
        }
    }
}

/// The order to end them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Which.
    pub scope: Scope,
    /// Why.
    pub cause: Cause,
    /// Those that were reserved until then: what is issued afterwards is not meant.
    pub reserved_until: Timestamp,
    /// When it was given.
    pub given_at: Timestamp,
}

impl Order {
    /// Whether a lease with these terms is to be ended.
    #[must_use]
    pub fn covers(&self, terms: &Terms) -> bool {
        terms.reserved_at <= self.reserved_until && self.scope.covers(terms)
    }
}
