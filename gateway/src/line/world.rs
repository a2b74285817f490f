//! What a reload replaces, as one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use symbolon_core::alias::Aliases;
use symbolon_core::id::TargetName;
use symbolon_core::policy::Bundle;
use symbolon_host::Catalog;
use symbolon_host::egress::CredentialSource;

use super::ask::Public;
use super::authenticate::Authenticator;
use super::connections::Connections;
use super::credentials::Roles;
use super::dispatch::Dispatcher;
use super::limits::Buckets;
use crate::issuer::CallerTargets;

/// Everything of the line that a reload replaces, as one.
#[derive(Debug)]
pub struct World {
    /// Issuers and their keys.
    pub authenticator: Authenticator,
    /// Policies.
    pub bundle: Bundle,
    /// Backends.
    pub dispatcher: Dispatcher,
    /// Where what is asked for by aliases is.
    pub aliases: Aliases,
    /// What can be issued.
    pub roles: Roles,
    /// What tokens are exchanged for.
    pub targets: CallerTargets,
    /// The components of the targets.
    pub exchangers: Arc<Catalog>,
    /// Tokens of targets in the gateway's own name.
    pub sources: BTreeMap<TargetName, Arc<dyn CredentialSource>>,
    /// Connections to backends and targets, which outlive a component.
    pub connections: Arc<Connections>,
    /// How long an access token of our own lasts.
    pub access_token: Duration,
    /// The gateway's own documents.
    pub documents: Documents,
    /// How often one principal may ask.
    pub per_principal: Buckets<symbolon_core::principal::Identity>,
    /// How often the principals of one issuer may ask.
    pub per_issuer: Buckets<symbolon_core::id::IssuerAlias>,
    /// How long an answer may take in all.
    pub request_timeout: Duration,
}

impl World {
    /// This world after `before`: what was charged to principals and issuers counts on.
    #[must_use]
    pub fn continuing(self, before: &Self) -> Self {
        let per_principal = self.per_principal.continuing(&before.per_principal);
        let per_issuer = self.per_issuer.continuing(&before.per_issuer);
        Self { per_principal, per_issuer, ..self }
    }
}

/// Makes the public documents: those of the issuers name keys, which rotate.
pub struct Documents(Box<dyn Fn(Public) -> bytes::Bytes + Send + Sync>);

impl Documents {
    /// Documents made by `make`.
    pub fn new(make: impl Fn(Public) -> bytes::Bytes + Send + Sync + 'static) -> Self {
        Self(Box::new(make))
    }

    pub(super) fn get(&self, document: Public) -> bytes::Bytes {
        (self.0)(document)
    }
}

impl std::fmt::Debug for Documents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Documents")
    }
}
