//! What lasts: everything that a reload leaves alone, in the order in which it stands on itself.
//!
//! seal and store → our own keys → audit log → epochs, locks and the replay set → component host.
//! Each step that fails is named with what to do; nothing is served before the last.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use symbolon_core::audit::Anchor;
use symbolon_core::barrier::Scope;
use symbolon_core::clock::Clock;
use symbolon_core::id::BackendName;
use symbolon_core::lease::Revoked;
use symbolon_core::secret::Secret;
use symbolon_host::egress::Network;
use symbolon_host::engine::EngineSettings;
use symbolon_host::sql::IssuedLogins;
use symbolon_host::{CompiledCache, Compiler, CompilerProcess, Host};
use tokio::sync::Notify;

use super::{StartError, Surroundings};
use crate::audit::{AnchorError, Anchors, Journal, Parts as JournalParts};
use crate::barriers::{DurableBarriers, OnceSet, Withdrawn};
use crate::catalog::Components;
use crate::config::{self, Config, SecretRef};
use crate::keyring::{self, Keyring};
use crate::lease::{Boot, HandleSeal, Hold, Ledger, Parts, Reason, Watch};
use crate::root_login::RootLogins;
use crate::seal::{KeptSecrets, Seal, Source};
use crate::store::{Key, Namespace, Options, SledStore, Store, Transaction};
use crate::telemetry::{LogFormat, Metrics, Settings as TelemetrySettings, Telemetry};
use crate::time::Ids;

/// Everything that a reload leaves alone.
#[derive(Debug)]
pub struct Foundation {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<Ids>,
    /// The store.
    pub store: Arc<SledStore>,
    /// Our own keys.
    pub keyring: Arc<Keyring>,
    /// The audit log.
    pub journal: Arc<Journal>,
    /// Epochs and locks.
    pub barriers: Arc<DurableBarriers>,
    /// One-shot tokens seen.
    pub replays: Arc<OnceSet>,
    /// Access tokens of our own that were withdrawn.
    pub withdrawn: Arc<Withdrawn>,
    /// Leases.
    pub leases: Arc<Ledger>,
    /// Logins of databases that were rotated.
    pub logins: Arc<RootLogins>,
    /// What revocation handles are wrapped with.
    pub handles: HandleSeal,
    /// Logins that were issued, until their end is proven.
    pub issued: Arc<IssuedLogins>,
    /// Secrets of credentials that several callers share.
    pub kept: KeptSecrets,
    /// The component host.
    pub host: Arc<Host>,
    /// The catalog of components.
    pub components: Arc<Components>,
    /// Told of each failure that is a component's own.
    pub alarm: Arc<Notify>,
    /// Resolver and roots of outgoing requests.
    pub network: Network,
    /// Logs, metrics, traces.
    pub telemetry: Arc<Telemetry>,
}

/// Most logins that are remembered so that their end can be proven: about 10 MB.
const MOST_ISSUED: usize = 50_000;

/// Who is told that a lease is over.
#[derive(Debug)]
struct Ended {
    metrics: Arc<Metrics>,
    issued: Arc<IssuedLogins>,
}

impl Watch for Ended {
    fn ended(&self, lease: &Revoked) {
        self.issued.forget(lease.terms().id);
        self.metrics.ended(lease);
    }

    fn attempted(&self, backend: &BackendName, outcome: &'static str) {
        self.metrics.attempted(backend, outcome);
    }
}

impl Foundation {
    /// Opens everything that `config` names.
    ///
    /// # Errors
    /// [`StartError`] of the first thing that refuses.
    pub async fn open(config: &Config, surroundings: Surroundings) -> Result<Self, StartError> {
        let Surroundings { clock, network, compiler } = surroundings;
        let telemetry = Arc::new(telemetry(config, &network)?);
        let store = open_store(config, clock.clone()).await?;
        let source = seal_source(&config.seal.key)?;
        let seal = Arc::new(Seal::open_or_create(&source, store.as_ref()).await?);
        let settings = keyring::Settings {
            assertion_issuer: config.assertions.origin.as_str().to_owned(),
            policies: keyring::Policies::default(),
        };
        let handles = HandleSeal::new(seal.clone());
        let kept = KeptSecrets::new(store.clone(), seal.clone());
        let logins = Arc::new(RootLogins::open(store.clone(), seal.clone()).await?);
        let keyring = Keyring::open(store.clone(), seal, clock.clone(), settings).await?;
        let journal = open_journal(config, store.clone(), clock.clone()).await?;
        let barriers = DurableBarriers::open(store.clone(), clock.clone()).await?;
        let replays = OnceSet::open(store.clone(), clock.clone()).await?;
        let withdrawn = Withdrawn::open(store.clone(), clock.clone()).await?;
        let ids = Arc::new(Ids::default());
        let issued = Arc::new(IssuedLogins::new(MOST_ISSUED));
        telemetry.observe_issued(issued.clone());
        let watch = Arc::new(Ended { metrics: telemetry.metrics(), issued: issued.clone() });
        let leases =
            open_leases(config, store.clone(), (clock.clone(), ids.clone(), watch)).await?;
        if leases.hold().reason() == Some(Reason::Restored) {
            // Who was locked or logged out after the backup was made does not get back in.
            barriers.raise(Scope::Global, clock.now()).await?;
        }
        let host = open_host(config, &keyring, compiler)?;
        let mut directory = config.store.path.clone().into_os_string();
        directory.push(".plugins");
        let components = Components::new(store.clone(), directory.into(), clock.clone());
        let journal = Arc::new(journal);
        telemetry.observe(store.clone(), journal.clone());
        Ok(Self {
            ids,
            store,
            keyring: Arc::new(keyring),
            journal,
            barriers: Arc::new(barriers),
            replays: Arc::new(replays),
            withdrawn: Arc::new(withdrawn),
            leases: Arc::new(leases),
            logins,
            handles,
            issued,
            kept,
            host: Arc::new(host),
            components: Arc::new(components),
            alarm: Arc::default(),
            network,
            telemetry,
            clock,
        })
    }

    /// The instruments.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        self.telemetry.metrics()
    }
}

fn telemetry(config: &Config, network: &Network) -> Result<Telemetry, StartError> {
    let settings = telemetry_settings(config);
    let otlp = config.telemetry.otlp.as_ref().map(|url| super::otlp::exporter(url, network));
    let telemetry = Telemetry::start(&settings, otlp.transpose()?.as_ref())?;
    // Before anything else starts: what goes wrong while starting is what people look for.
    telemetry.subscribe(&settings)?;
    Ok(telemetry)
}

fn telemetry_settings(config: &Config) -> TelemetrySettings {
    TelemetrySettings {
        service_name: config.telemetry.service_name.clone(),
        log: config.telemetry.log.clone(),
        log_format: match config.telemetry.log_format {
            config::LogFormat::Json => LogFormat::Json,
            config::LogFormat::Text => LogFormat::Text,
        },
        queue: usize::try_from(config.telemetry.queue).unwrap_or(usize::MAX),
    }
}

pub(super) async fn open_store(
    config: &Config,
    clock: Arc<dyn Clock>,
) -> Result<Arc<SledStore>, StartError> {
    let options =
        Options { cache_capacity: config.store.cache, ..Options::at(config.store.path.clone()) };
    let opened = tokio::task::spawn_blocking(move || SledStore::open(&options, clock)).await;
    Ok(Arc::new(opened.map_err(|_| StartError::Interrupted)??))
}

/// The ledger, and whether this store may act.
async fn open_leases(
    config: &Config,
    store: Arc<SledStore>,
    (clock, ids, watch): (Arc<dyn Clock>, Arc<Ids>, Arc<dyn Watch>),
) -> Result<Ledger, StartError> {
    let mut witness = config.store.path.clone().into_os_string();
    witness.push(".witness");
    let time = (&*clock, Boot::read());
    let hold = Hold::assess(store.as_ref(), PathBuf::from(witness), time).await?;
    let parts = Parts { store, clock, ids, watch };
    Ok(Ledger::open(parts, hold).await?)
}

/// Where the seal is. A systemd credential is a file in the directory that systemd names.
pub(super) fn seal_source(key: &SecretRef) -> Result<Source, StartError> {
    match key {
        SecretRef::File(path) => Ok(Source::File(path.clone())),
        SecretRef::Credential(name) => {
            let directory =
                config::variable("CREDENTIALS_DIRECTORY").ok_or(StartError::NoCredentials)?;
            Ok(Source::Credential(PathBuf::from(directory).join(name)))
        }
        SecretRef::Environment(_) => Err(StartError::NoCredentials),
    }
}

async fn open_journal(
    config: &Config,
    store: Arc<SledStore>,
    clock: Arc<dyn Clock>,
) -> Result<Journal, StartError> {
    let settings = crate::audit::Settings {
        rotate_bytes: config.audit.rotate_at,
        reserve_bytes: config.audit.reserve,
        deadline: config.audit.deadline,
        window: config.audit.window,
        ..crate::audit::Settings::in_directory(config.audit.directory.clone())
    };
    let anchor = read_anchor(store.as_ref()).await?;
    let parts = JournalParts { clock, anchors: Arc::new(StoreAnchors(store)), anchor };
    let runtime = tokio::runtime::Handle::current();
    let started = tokio::task::spawn_blocking(move || {
        let _entered = runtime.enter();
        Journal::start(&settings, parts)
    });
    let (journal, resumption) = started.await.map_err(|_| StartError::Interrupted)??;
    tracing::info!(?resumption, "the audit log is open");
    Ok(journal)
}

/// The newest head of the audit chain that the store remembers.
///
/// # Errors
/// [`StartError`] if the store cannot be read or holds something else there.
pub async fn read_anchor(store: &dyn Store) -> Result<Option<Anchor>, StartError> {
    match store.get(&anchor_key()).await? {
        None => Ok(None),
        Some(bytes) => Anchor::from_bytes(&bytes).map(Some).ok_or(StartError::Anchor),
    }
}

fn anchor_key() -> Key {
    Namespace::Audit.key("journal")
}

/// Remembers the audit chain's head in the store.
struct StoreAnchors(Arc<SledStore>);

impl Anchors for StoreAnchors {
    fn commit(
        &self,
        anchor: Anchor,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<(), AnchorError>> + Send + '_>> {
        Box::pin(async move {
            let write = Transaction::new().put(anchor_key(), anchor.to_bytes().to_vec());
            self.0.commit(write).await.map_err(|error| AnchorError(Box::new(error)))
        })
    }
}

/// The component host, with compiled code kept under a key of our own.
fn open_host(config: &Config, keyring: &Keyring, compiler: PathBuf) -> Result<Host, StartError> {
    let key = Secret::new(keyring.code_mac_key().tag("compiled code cache", b""));
    let cache = match &config.plugins.cache {
        Some(directory) => Some(CompiledCache::open(directory, &key)?),
        None => None,
    };
    let largest =
        |limits: &config::CallLimits| usize::try_from(limits.memory).unwrap_or(usize::MAX);
    let backends = config.backends.values().map(|backend| largest(&backend.limits));
    let targets = config.targets.values().map(|target| largest(&target.limits));
    let memory_bytes = backends.chain(targets).max().unwrap_or(64 << 20).max(64 << 20);
    let settings = EngineSettings { memory_bytes, ..EngineSettings::default() };
    let compiler = Compiler::Process(CompilerProcess::new(compiler, config.plugins.compile));
    Ok(Host::start(&settings, compiler, cache, symbolon_host::admit::MAX_COMPONENT_BYTES)?)
}

/// How often our own keys are looked after.
pub(super) const KEY_TICK: Duration = Duration::from_secs(60);
