//! Who may operate the gateway.
//!
//! The first administrator is whoever reaches the admin socket as root or as the gateway's own
//! user: a built-in policy, `builtin:admin`, admits those two, and an operator's policies may
//! forbid even them. Over the network, administrators are principals like any other.

use std::sync::Arc;

use super::bundle::Bundle;
use super::decide::{Denial, in_scope};
use super::question::{Question, Who};
use crate::ask::Action;
use crate::clock::Timestamp;
use crate::principal::Principal;

/// Somebody at the admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Administrator(Origin);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Peer(u32),
    Proven(Arc<Principal>),
}

impl Administrator {
    /// The peer of a Unix socket. `uid` must be what the kernel says of the connected peer
    /// (`SO_PEERCRED`), never anything the peer has sent: the caller is the admin listener alone.
    #[must_use]
    pub const fn from_peer(uid: u32) -> Self {
        Self(Origin::Peer(uid))
    }

    /// A principal that has proven itself at the network's admin listener.
    #[must_use]
    pub const fn proven(principal: Arc<Principal>) -> Self {
        Self(Origin::Proven(principal))
    }

    /// The principal, for those who are one.
    #[must_use]
    pub fn principal(&self) -> Option<&Arc<Principal>> {
        match &self.0 {
            Origin::Peer(_) => None,
            Origin::Proven(principal) => Some(principal),
        }
    }
}

/// `uid:N` or `<issuer>/<subject>`, as the audit log names them.
impl std::fmt::Display for Administrator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Origin::Peer(uid) => write!(f, "uid:{uid}"),
            Origin::Proven(principal) => principal.identity().fmt(f),
        }
    }
}

/// The decision to allow one operation to one administrator.
///
/// INVARIANT: only [`Bundle::decide_administration`] makes one.
#[derive(Clone, Debug)]
pub struct AdminPermit {
    administrator: Administrator,
    operation: String,
    policies: Vec<Arc<str>>,
    bundle: Arc<str>,
}

impl AdminPermit {
    /// Who may.
    #[must_use]
    pub fn administrator(&self) -> &Administrator {
        &self.administrator
    }

    /// What they may do.
    #[must_use]
    pub fn operation(&self) -> &str {
        &self.operation
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

impl Bundle {
    /// Decides whether an administrator may do an operation (`reload`, `plugin.ls` …; policies see
    /// its name as `context.operation`).
    ///
    /// # Errors
    /// [`Denial`] as for [`Bundle::decide`].
    pub fn decide_administration(
        &self,
        administrator: &Administrator,
        operation: &str,
        now: Timestamp,
    ) -> Result<AdminPermit, Denial> {
        let who = match &administrator.0 {
            Origin::Peer(uid) => Who::Peer(*uid),
            Origin::Proven(principal) => {
                in_scope(principal, Action::Administer)?;
                Who::Workload(principal.subject())
            }
        };
        let question = Question::of_administration(&self.vocabulary, who, operation, now)?;
        let permits = self.settle(&self.evaluate(&question))?;
        Ok(AdminPermit {
            administrator: administrator.clone(),
            operation: operation.to_owned(),
            policies: self.ids(permits),
            bundle: Arc::clone(&self.digest),
        })
    }
}
