//! From a permit to the thing permitted, through a backend's component.
//!
//! INVARIANT: only a [`Permit`] gets here, and what is asked of the component is what the permit
//! names: the path was parsed once and is the one that was decided about.

use std::sync::Arc;

use symbolon_core::ask::{Ask, Resource, Version};
use symbolon_core::clock::Clock;
use symbolon_core::error::{Kind, OauthError};
use symbolon_core::id::LeaseId;
use symbolon_core::policy::Permit;
use symbolon_host::answer::{Listing, SecretValue};
use symbolon_host::catalog::CatalogError;
use symbolon_host::{CallContext, CallError, Catalog, Generation};

use super::ask::Page;
use super::authenticate::Unproven;
use super::credentials::{Credential, Leases, lease_of};
use super::tokens::{AccessToken, Inspection, TargetToken};
use crate::issuer::CallerError;
use crate::keyring::SignError;
use crate::lease::LeaseView;
use crate::telemetry::Metrics;

/// What was delivered, and by which plugin.
#[derive(Debug)]
pub struct Granted {
    /// The thing itself.
    pub delivery: Delivery,
    /// Digest of the component that answered; none if the ledger did.
    plugin: Option<String>,
}

/// What can be delivered.
#[derive(Debug)]
pub enum Delivery {
    /// A secret.
    Secret(SecretValue),
    /// Names.
    Listing(Listing),
    /// A credential.
    Credential(Credential),
    /// A lease.
    Lease(LeaseView),
    /// Leases.
    Leases(Leases),
    /// A token of a target.
    Token(Box<TargetToken>),
    /// An access token of our own.
    Access(AccessToken),
    /// What a token is.
    Inspection(Inspection),
    /// A token was ended.
    Withdrawn,
}

impl Granted {
    /// What a component delivered.
    pub(super) fn new(delivery: Delivery, generation: &Generation) -> Self {
        Self { delivery, plugin: Some(generation.digest().to_string()) }
    }

    /// What the ledger says.
    pub(super) fn of_ledger(delivery: Delivery) -> Self {
        Self { delivery, plugin: None }
    }

    /// Digest of the component that answered; none if the ledger did.
    #[must_use]
    pub fn plugin(&self) -> Option<&str> {
        self.plugin.as_deref()
    }

    /// The lease that it is or comes with.
    #[must_use]
    pub fn lease(&self) -> Option<LeaseId> {
        lease_of(&self.delivery)
    }

    /// The lease whose credential that one shares.
    #[must_use]
    pub fn carrier(&self) -> Option<LeaseId> {
        match &self.delivery {
            Delivery::Credential(credential) => credential.lease.carrier,
            Delivery::Lease(lease) => lease.carrier,
            Delivery::Secret(_)
            | Delivery::Listing(_)
            | Delivery::Leases(_)
            | Delivery::Token(_)
            | Delivery::Access(_)
            | Delivery::Inspection(_)
            | Delivery::Withdrawn => None,
        }
    }

    /// Version of the secret, if it is one that has versions.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        match &self.delivery {
            Delivery::Secret(secret) => secret.version.as_ref().map(Version::as_str),
            Delivery::Listing(_)
            | Delivery::Credential(_)
            | Delivery::Lease(_)
            | Delivery::Leases(_)
            | Delivery::Token(_)
            | Delivery::Access(_)
            | Delivery::Inspection(_)
            | Delivery::Withdrawn => None,
        }
    }
}

/// Why something permitted was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum Undelivered {
    /// The backend has no plugin that takes calls.
    #[error("no plugin for the backend")]
    Catalog(#[from] CatalogError),
    /// The call failed.
    #[error("the backend's plugin did not deliver")]
    Call(#[from] CallError),
    /// Nothing on this gateway delivers this kind of thing.
    #[error("nothing delivers this kind of thing")]
    Unsupported,
    /// The secret has no such field.
    #[error("the secret has no such field")]
    NoField,
    /// A listing was to go on where no listing of the same folder for the same principal ended.
    #[error("the continuation is not of this listing")]
    Continuation,
    /// The target has no plugin that takes calls.
    #[error("the target is degraded")]
    Degraded,
    /// No assertion can be made for this caller.
    #[error("no assertion for the caller")]
    Caller(#[source] CallerError),
    /// The scope is unknown, or more than what was shown is good for.
    #[error("the scope is unknown or more than there is")]
    Scope,
    /// A token of another type was asked for than there is.
    #[error("the type of token is not one that there is")]
    TokenType,
    /// What was shown has ended meanwhile.
    #[error("what was shown has ended")]
    Ended,
    /// The target's tokens last longer than this permit allows, and nothing makes them shorter.
    #[error("the target's tokens last longer than is permitted")]
    Outlasts,
    /// The token would be longer than any that is accepted.
    #[error("the token would be too long")]
    TooLarge,
    /// The token could not be signed.
    #[error("the token could not be signed")]
    Sign(#[source] SignError),
    /// It could not be looked at the token.
    #[error("the token could not be looked at")]
    Unproven(#[source] Unproven),
}

impl Undelivered {
    /// What the caller is told.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Catalog(error) => error.kind(),
            Self::Call(error) => error.kind(),
            Self::Unsupported => Kind::NoRoute,
            Self::NoField => Kind::Absent,
            Self::Continuation | Self::TokenType => Kind::Malformed,
            Self::Degraded => Kind::Unavailable,
            Self::Caller(error) => error.kind(),
            Self::Scope | Self::Outlasts => Kind::Denied,
            Self::Ended => Kind::Unauthenticated,
            Self::TooLarge => Kind::Exhausted,
            Self::Sign(error) => error.kind(),
            Self::Unproven(error) => error.kind(),
        }
    }

    /// The audit code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Catalog(error) => error.code(),
            Self::Call(error) => error.code(),
            Self::Unsupported => "unsupported",
            Self::NoField => "field_absent",
            Self::Continuation => "continuation",
            Self::Degraded => "target_degraded",
            Self::Caller(error) => error.code(),
            Self::Scope => "scope",
            Self::TokenType => "token_type_urn",
            Self::Ended => "ended",
            Self::Outlasts => "token_outlasts_permit",
            Self::TooLarge => "token_too_long",
            Self::Sign(error) => error.code(),
            Self::Unproven(error) => error.code(),
        }
    }

    /// What the OAuth face tells of it.
    #[must_use]
    pub fn oauth(&self) -> OauthError {
        match self {
            Self::Scope | Self::Caller(CallerError::Scope) => OauthError::Scope,
            Self::Catalog(_)
            | Self::Call(_)
            | Self::Unsupported
            | Self::NoField
            | Self::Continuation
            | Self::Degraded
            | Self::Caller(CallerError::Subject | CallerError::Attribute | CallerError::Sign(_))
            | Self::TokenType
            | Self::Ended
            | Self::Outlasts
            | Self::TooLarge
            | Self::Sign(_)
            | Self::Unproven(_) => OauthError::Of(self.kind()),
        }
    }
}

/// The backends, as one generation of the configuration has them.
#[derive(Debug)]
pub struct Dispatcher {
    catalog: Arc<Catalog>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

impl Dispatcher {
    /// A dispatcher over `catalog`.
    #[must_use]
    pub fn new(catalog: Arc<Catalog>, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        Self { catalog, clock, metrics }
    }

    /// The backends.
    #[must_use]
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Delivers what `permit` permits.
    ///
    /// Not cancel-safe as far as the backend goes: what was sent was sent.
    ///
    /// # Errors
    /// [`Undelivered`] says why not.
    pub async fn dispatch(
        &self,
        permit: &Permit,
        page: &Page,
        context: &CallContext,
    ) -> Result<Granted, Undelivered> {
        let ask = permit.ask();
        let backend = ask.resource.backend().ok_or(Undelivered::Unsupported)?;
        let generation = self.catalog.find(backend)?;
        let started = self.clock.elapsed();
        let context = &on_behalf(permit, context);
        let delivered = deliver(&generation, ask, page, context).await;
        let error = delivered.as_ref().err();
        if let Some(error) = error {
            log(context, backend.as_str(), error);
        }
        let took = self.clock.elapsed().saturating_sub(started);
        let operation = ask.action.as_str();
        self.metrics.called(backend.as_str(), operation, error.map(Undelivered::code), took);
        delivered.map(|delivery| Granted::new(delivery, &generation))
    }
}

/// The call, made in the name of who may.
pub(super) fn on_behalf(permit: &Permit, context: &CallContext) -> CallContext {
    CallContext { on_behalf: Some(permit.on_behalf()), ..context.clone() }
}

async fn deliver(
    generation: &Generation,
    ask: &Ask,
    page: &Page,
    context: &CallContext,
) -> Result<Delivery, Undelivered> {
    match &ask.resource {
        Resource::Secret { path, .. } => {
            let secret = Box::pin(generation.read(context, path, ask.version.as_ref())).await?;
            Ok(Delivery::Secret(secret))
        }
        Resource::Folder { folder, .. } => {
            let listing = generation.list(context, folder.as_ref(), page.0.as_deref());
            Ok(Delivery::Listing(Box::pin(listing).await?))
        }
        Resource::Role { .. }
        | Resource::Target(_)
        | Resource::Lease(_)
        | Resource::Leases
        | Resource::Gateway => Err(Undelivered::Unsupported),
    }
}

/// The plugin's own words go to the operator's log, where they were cut and escaped.
pub(super) fn log(context: &CallContext, backend: &str, error: &Undelivered) {
    let request_id = context.request_id;
    let fault = match error {
        Undelivered::Call(error) => error.fault(),
        Undelivered::Catalog(_)
        | Undelivered::Unsupported
        | Undelivered::NoField
        | Undelivered::Continuation
        | Undelivered::Degraded
        | Undelivered::Caller(_)
        | Undelivered::Scope
        | Undelivered::TokenType
        | Undelivered::Ended
        | Undelivered::Outlasts
        | Undelivered::TooLarge
        | Undelivered::Sign(_)
        | Undelivered::Unproven(_) => None,
    };
    let (plugin_code, plugin_message) =
        fault.map_or(("", ""), |fault| (fault.code.as_str(), fault.message.as_str()));
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    tracing::warn!(
        %request_id, backend, code = error.code(), cause, plugin_code,
        "the backend did not deliver"
    );
    // What a plugin says may hold what it has just read, and nobody can know: not at a level that
    // anyone has on by default.
    tracing::debug!(%request_id, backend, plugin_message, "the plugin's own words");
}
