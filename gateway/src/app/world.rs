//! From a configuration to a [`World`]: what a reload replaces as one.
//!
//! INVARIANT: a world is built whole before it is put in force, or not at all. What belongs to one
//! backend only (see `backends`) cannot stop it; what belongs to everybody (policies, issuers) does.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use symbolon_core::alias::Aliases;
use symbolon_core::id::{BackendName, IssuerAlias};
use symbolon_core::policy::{
    AttributeType as PolicyType, BackendTerms, Bundle, Fault, IssuerTerms, Source, Vocabulary,
};
use symbolon_core::token::{AttributeType, IssuerRules, MAX_TOKEN_BYTES, own_rules};
use symbolon_host::Catalog;
use tokio_util::sync::CancellationToken;

use super::backends::{All, Builder};
use super::choose::{Chooser, Refused, Running};
use super::foundation::Foundation;
use super::outcome::Outcome;
use super::stock::{Admissions, Judge, Stock};
use super::{StartError, believed};
use crate::config::{self, Config};
use crate::issuer::{self, Origins};
use crate::lease::Carriage;
use crate::line::ask::Public;
use crate::line::authenticate::{Authenticator, Keys, Standing};
use crate::line::credentials::{Role, Roles, Sharing};
use crate::line::dispatch::Dispatcher;
use crate::line::limits::{Buckets, Quota};
use crate::line::{Documents, World};

/// Most principals whose rate is remembered.
const PRINCIPALS: u64 = 100_000;

/// The keys of an issuer, kept over reloads that leave its block alone.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) block: String,
    pub(super) keys: Arc<Keys>,
    pub(super) stop: CancellationToken,
}

/// All keys in use.
pub(super) type KeptKeys = HashMap<IssuerAlias, Kept>;

/// A world and what goes with it.
pub(super) struct Built {
    pub(super) world: World,
    pub(super) keys: KeptKeys,
    pub(super) stock: Stock,
    pub(super) outcomes: BTreeMap<BackendName, Outcome>,
}

/// Builds the world of `config`. Keys of issuers that did not change are taken from before, and what
/// runs goes on where what is to run does not.
pub(super) async fn build(
    config: &Config,
    foundation: &Foundation,
    admissions: &Admissions,
    (before, running, refused): (&KeptKeys, &Running, &Refused),
) -> Result<Built, StartError> {
    let bundle = bundle(config)?;
    let (issuers, keys) = believed::issuers(config, foundation, before)?;
    let online = believed::online(config, foundation)?;
    let judge = Judge { host: &foundation.host, trust: &config.plugins.trust };
    let directory = &config.plugins.directory;
    let stock = Stock::take(directory, &foundation.components, (admissions, judge)).await;
    let chooser = Chooser { foundation, admissions, judge, stock: &stock, running };
    let chosen = Box::pin(chooser.all(config, refused)).await;
    let made = Box::pin(Builder::new(foundation, config, chosen).all()).await;
    let All { targets, exchangers, sources, connections, backends, outcomes } = made;
    let (clock, metrics) = (foundation.clock.clone(), foundation.metrics());
    let standing = Standing {
        barriers: foundation.barriers.clone(),
        replays: foundation.replays.clone(),
        withdrawn: foundation.withdrawn.clone(),
        keyring: foundation.keyring.clone(),
        clock: clock.clone(),
        metrics: metrics.clone(),
    };
    let in_use = keys.iter().map(|(alias, kept)| (alias.clone(), kept.keys.clone())).collect();
    let limits = &config.limits;
    let world = World {
        authenticator: Authenticator::new(
            (issuers, own(config)?),
            in_use,
            limits.token_cache,
            standing,
        )
        .asking(online),
        targets,
        exchangers,
        sources,
        connections,
        access_token: limits.access_token,
        bundle,
        dispatcher: Dispatcher::new(Arc::new(Catalog::new(backends)), clock.clone(), metrics),
        aliases: Aliases::new(config.aliases.clone()),
        roles: roles(config),
        documents: documents(config, foundation),
        per_principal: Buckets::new(quota(limits.per_principal), PRINCIPALS, clock.clone()),
        per_issuer: Buckets::new(quota(limits.per_issuer), PRINCIPALS, clock),
        request_timeout: config.server.request_timeout,
    };
    Ok(Built { world, keys, stock, outcomes })
}

/// How our own access tokens are read. The alias is no issuer's: a token speaks for the issuer that it
/// names.
pub(crate) fn own(config: &Config) -> Result<Arc<IssuerRules>, StartError> {
    let origin = config.server.public_origin.as_str();
    let failed = |reason: String| StartError::Own { reason };
    let alias = IssuerAlias::parse("symbolon").map_err(|error| failed(error.to_string()))?;
    let rules = own_rules(alias, origin, MAX_TOKEN_BYTES);
    rules.check().map_err(|error| failed(error.to_string()))?;
    Ok(Arc::new(rules))
}

/// What can be issued, and how much of it.
fn roles(config: &Config) -> Roles {
    let mut roles = Roles { per_principal: config.limits.leases_per_principal, ..Roles::default() };
    for (backend, block) in &config.backends {
        if let Some(max) = block.max_leases {
            roles.per_backend.insert(backend.clone(), max);
        }
        for (name, role) in &block.roles {
            let told = Role {
                ttl: role.ttl,
                max_leases: role.max_leases,
                config: role.settings.as_json().to_string(),
                sharing: sharing(block, role, config.policies.ttl_max),
            };
            roles.roles.insert((backend.clone(), name.clone()), told);
        }
    }
    roles
}

/// How a role shares, if it does.
fn sharing(block: &config::Backend, role: &config::Role, ttl_max: Duration) -> Option<Sharing> {
    let on_revoke = role.shared?;
    let of_backend = block.ttl_max.unwrap_or(role.ttl_max);
    let plan = Carriage { on_revoke, ceiling: role.ttl_max.min(of_backend).min(ttl_max) };
    let made_by = (&block.plugin, &block.egress, &block.credentials, &block.database, plan);
    let told = (block.settings.as_json(), role.settings.as_json());
    let digest = digest(&SHA256, format!("{made_by:?} {told:?}").as_bytes());
    let mut configured = [0; 32];
    configured.copy_from_slice(digest.as_ref());
    Some(Sharing { plan, configured })
}

pub(super) fn quota(rate: config::Rate) -> Quota {
    Quota { rate: rate.rate, burst: rate.burst }
}

/// Where the gateway's issuers are, by the configuration.
#[must_use]
pub fn origins(config: &Config) -> Origins {
    Origins {
        access: config.server.public_origin.as_str().to_owned(),
        assertions: config.assertions.origin.as_str().to_owned(),
    }
}

fn documents(config: &Config, foundation: &Foundation) -> Documents {
    let origins = origins(config);
    let keyring = foundation.keyring.clone();
    Documents::new(move |public| match public {
        Public::Configuration => issuer::document(&issuer::access_configuration(&origins)),
        Public::AssertionConfiguration => {
            issuer::document(&issuer::assertion_configuration(&origins))
        }
        Public::Keys => issuer::document(&keyring.access_jwks()),
        Public::AssertionKeys => issuer::document(&keyring.assertion_jwks()),
        Public::Health | Public::Ready => Bytes::new(),
    })
}

/// The policies of the configuration.
///
/// # Errors
/// [`StartError::Policies`] with every fault.
pub fn bundle(config: &Config) -> Result<Bundle, StartError> {
    let files = config.policies.sources().map_err(StartError::PolicyFiles)?;
    let read = |file: &std::path::PathBuf| {
        let text = std::fs::read_to_string(file)?;
        Ok(Source { file: file.display().to_string(), text })
    };
    let sources = files.iter().map(read).collect::<Result<Vec<_>, std::io::Error>>();
    let sources = sources.map_err(StartError::PolicyFiles)?;
    Bundle::load(&sources, &vocabulary(config)).map_err(StartError::Policies)
}

/// What policies can speak of.
fn vocabulary(config: &Config) -> Vocabulary {
    let backends = config.backends.iter().map(|(name, backend)| (name.clone(), terms(backend)));
    let targets = config.targets.iter().map(|(name, target)| (name.clone(), Some(target.ttl)));
    let issuers = config.issuers.iter().map(|(alias, issuer)| {
        let attributes = issuer.rules.attribute_types();
        let attributes = attributes.map(|(name, kind)| (name.to_owned(), policy_type(kind)));
        let profile = issuer.rules.form.record();
        (alias.clone(), IssuerTerms { profile, attributes: attributes.collect() })
    });
    Vocabulary {
        issuers: issuers.collect(),
        backends: backends.collect::<BTreeMap<_, _>>(),
        targets: targets.collect(),
        service_uid: Some(rustix::process::geteuid().as_raw()),
        ttl_max: config.policies.ttl_max,
        max_unscoped: usize::try_from(config.policies.unscoped_cap).unwrap_or(usize::MAX),
    }
}

fn terms(backend: &config::Backend) -> BackendTerms {
    let roles = backend.roles.iter().map(|(name, role)| (name.clone(), Some(role.ttl_max)));
    BackendTerms { ttl_max: backend.ttl_max, roles: roles.collect() }
}

fn policy_type(kind: AttributeType) -> PolicyType {
    match kind {
        AttributeType::String => PolicyType::String,
        AttributeType::Long => PolicyType::Long,
        AttributeType::Bool => PolicyType::Bool,
        AttributeType::Strings => PolicyType::Strings,
    }
}

/// The faults of policies, a line each.
pub(super) fn faults(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
