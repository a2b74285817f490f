//! The gateway's own stations, over a configuration and with keys that the assessment made: the very
//! [`Authenticator`] and [`Bundle`] of the line, without listeners, network and backends.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use symbolon_core::ask::Ask;
use symbolon_core::barrier::{Locked, Scope};
use symbolon_core::clock::{Clock, Timestamp};
use symbolon_core::policy::{Bundle, Circumstances};
use symbolon_core::principal::{Identity, Principal};
use symbolon_core::token::Issuers;
use symbolon_host::egress::Network;
use tempfile::TempDir;

use super::AssessError;
use super::issuer::Issuer;
use crate::app::StartError;
use crate::barriers::{DurableBarriers, OnceSet, Withdrawn};
use crate::config::Config;
use crate::keyring::{self, Keyring};
use crate::line::authenticate::{
    Authenticator, KeySettings, KeySource, Keys, Standing, Unproven, Way,
};
use crate::seal::{Seal, Source};
use crate::store::{Options, SledStore, Store};
use crate::telemetry::{LogFormat, Settings, Telemetry};

/// The store of an assessment holds used proofs and a few locks.
const CACHE_BYTES: u64 = 16 << 20;

/// Stations to send attempts through.
#[derive(Debug)]
pub(super) struct Stage {
    authenticator: Authenticator,
    bundle: Bundle,
    barriers: Arc<DurableBarriers>,
    clock: Arc<dyn Clock>,
    _store: TempDir,
}

/// What became of an attempt.
#[derive(Debug)]
pub(super) enum Answer {
    /// Refused, with the audit code.
    Refused(&'static str),
    /// Let through.
    Accepted,
}

impl Stage {
    /// Builds the stations of `enforced`; `issuers` bring the keys.
    pub(super) async fn build(
        enforced: &Config,
        issuers: &[Issuer],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AssessError> {
        let bundle = crate::app::world::bundle(enforced)?;
        let directory = tempfile::tempdir().map_err(AssessError::Directory)?;
        let options =
            Options { cache_capacity: CACHE_BYTES, ..Options::at(directory.path().join("store")) };
        let store = SledStore::open(&options, clock.clone()).map_err(StartError::Store)?;
        let store: Arc<dyn Store> = Arc::new(store);
        let barriers = DurableBarriers::open(store.clone(), clock.clone()).await;
        let barriers = Arc::new(barriers.map_err(StartError::Barriers)?);
        let replays = OnceSet::open(store.clone(), clock.clone()).await;
        let withdrawn = Withdrawn::open(store.clone(), clock.clone()).await;
        let keyring = Box::pin(keyring(enforced, store, directory.path(), clock.clone())).await?;
        let standing = Standing {
            barriers: barriers.clone(),
            replays: Arc::new(replays.map_err(StartError::Once)?),
            withdrawn: Arc::new(withdrawn.map_err(StartError::Withdrawn)?),
            keyring: Arc::new(keyring),
            clock: clock.clone(),
            metrics: telemetry().map_err(StartError::Telemetry)?.metrics(),
        };
        let authenticator = authenticator(enforced, issuers, standing)?;
        Ok(Self { authenticator, bundle, barriers, clock, _store: directory })
    }

    /// Whom a token proves: the first station, with what was revoked since.
    pub(super) async fn admit(&self, token: &str) -> Result<Arc<Principal>, &'static str> {
        let proven = Box::pin(self.authenticator.prove(token, None)).await;
        let principal = proven.map_err(|unproven: Unproven| unproven.code())?;
        self.authenticator.admits(&principal).map_err(|barred| barred.code())?;
        Ok(principal)
    }

    /// Whether the principal may do this.
    pub(super) fn decide(&self, principal: Arc<Principal>, ask: Ask) -> Answer {
        let now = Circumstances { now: self.clock.now(), source_address: None };
        match self.bundle.decide(principal, Arc::new(ask), &now) {
            Ok(_) => Answer::Accepted,
            Err(denial) => Answer::Refused(denial.code()),
        }
    }

    /// Locks a principal.
    pub(super) async fn lock(&self, identity: Identity) -> Result<(), AssessError> {
        let locked = self.barriers.lock(Locked::Principal(identity), "assess", "assessed").await;
        Ok(locked.map_err(StartError::Barriers)?)
    }

    /// Revokes everything that is issued to a principal until `epoch`.
    pub(super) async fn revoke(
        &self,
        identity: Identity,
        epoch: Timestamp,
    ) -> Result<(), AssessError> {
        let raised = self.barriers.raise(Scope::Principal(identity), epoch).await;
        raised.map_err(StartError::Barriers)?;
        Ok(())
    }

    /// The time.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Keys of a gateway's own, made anew: those of the live one are never opened.
async fn keyring(
    enforced: &Config,
    store: Arc<dyn Store>,
    directory: &Path,
    clock: Arc<dyn Clock>,
) -> Result<Keyring, StartError> {
    let source = Source::File(directory.join("seal.key"));
    let seal = Arc::new(Seal::open_or_create(&source, store.as_ref()).await?);
    let settings = keyring::Settings {
        assertion_issuer: enforced.assertions.origin.as_str().to_owned(),
        policies: keyring::Policies::default(),
    };
    Ok(Keyring::open(store, seal, clock, settings).await?)
}

/// Instruments that nobody reads.
fn telemetry() -> Result<Telemetry, crate::telemetry::TelemetryError> {
    let settings = Settings {
        service_name: "symbolon-assess".to_owned(),
        log: "off".to_owned(),
        log_format: LogFormat::Text,
        queue: 1,
    };
    Telemetry::start(&settings, None)
}

fn authenticator(
    enforced: &Config,
    issuers: &[Issuer],
    standing: Standing,
) -> Result<Authenticator, AssessError> {
    let network = Network::system().map_err(StartError::Roots)?;
    let mut all = HashMap::new();
    for issuer in issuers {
        let alias = &issuer.rules.alias;
        let Some(block) = enforced.issuers.get(alias) else { continue };
        let set = json!({ "keys": [issuer.signer.jwk] }).to_string();
        let way = Way {
            network: network.clone(),
            trust: None,
            addresses: Vec::new(),
            resolve: Default::default(),
        };
        let settings = KeySettings {
            source: KeySource::Inline(set.into_bytes()),
            way,
            refresh: block.refresh,
            max_stale: block.max_stale,
        };
        let (clock, metrics) = (standing.clock.clone(), standing.metrics.clone());
        let keys = Keys::new(Arc::new(block.rules.clone()), settings, clock, metrics);
        let keys = keys.map_err(|error| unusable(alias, &error))?;
        all.insert(alias.clone(), Arc::new(keys));
    }
    let rules = all.values().map(|keys: &Arc<Keys>| keys.rules().clone());
    let registered = Issuers::new(rules).map_err(|(alias, error)| unusable(&alias, &error))?;
    let own = crate::app::world::own(enforced)?;
    Ok(Authenticator::new((registered, own), all, enforced.limits.token_cache, standing))
}

fn unusable(alias: &symbolon_core::id::IssuerAlias, error: &dyn std::fmt::Display) -> AssessError {
    let reason = error.to_string();
    AssessError::Start(StartError::Issuer { alias: alias.clone(), reason })
}
