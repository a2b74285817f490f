//! The house: everything put together, started in order, stopped in order.
//!
//! Start: what lasts ([`Foundation`]), the world of the configuration, listeners bound, admin socket,
//! then requests. Stop: no new connection, running requests end, audit log closed, telemetry sent.
//! Every task hangs on one tracker; a signal is the only thing that ends the house from outside.

mod backends;
mod believed;
mod choose;
pub mod demo;
pub mod dev;
pub mod foundation;
pub mod grants;
mod inspect;
mod inventory;
mod issuers;
mod leases;
pub mod offline;
mod operate;
mod otlp;
pub mod outcome;
mod reconcile;
mod reread;
mod serving;
mod signals;
pub mod stock;
mod surroundings;
mod swap;
pub mod targets;
mod tidy;
mod warden;
mod watch;
pub mod workbench;
pub mod world;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use symbolon_core::id::{BackendName, IssuerAlias};
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::choose::{Refused, Running};
use self::foundation::{Foundation, KEY_TICK};
use self::outcome::Outcome;
use self::stock::{Admissions, Stock};
use self::world::{Built, KeptKeys};
use crate::config::{Change, Config, Faults};
use crate::lease::{Boot, Reaper};
use crate::line::Line;
use crate::line::ask::Published;
use crate::line::limits::Buckets;
use crate::line::sharing::Turns;
use crate::listen::Certificate;
use crate::time::Ids;

pub use operate::chain;
pub use serving::{Bound, serve};
pub use signals::Signals;
pub use surroundings::Surroundings;

/// How often the ledger writes down that its store is alive.
const BEAT: Duration = Duration::from_secs(60);
/// Most sources whose refusals are remembered.
const SOURCES: u64 = 100_000;

/// Why the gateway does not start, or a reload is not taken.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration has faults.
    #[error("{0}")]
    Config(Faults),
    /// Policy files cannot be read.
    #[error("the policy files cannot be read; see `policies.files`")]
    PolicyFiles(#[source] std::io::Error),
    /// Policies have faults.
    #[error("the policies are not usable:\n{}", world::faults(.0))]
    Policies(Vec<symbolon_core::policy::Fault>),
    /// An issuer's block is not usable.
    #[error("`issuers.{alias}` is not usable: {reason}")]
    Issuer {
        /// The issuer.
        alias: IssuerAlias,
        /// Why, and what to do.
        reason: String,
    },
    /// The gateway cannot read its own access tokens under this name.
    #[error("`server.public_origin` is not usable as the issuer of access tokens: {reason}")]
    Own {
        /// Why not.
        reason: String,
    },
    /// A document cannot be written.
    #[error("the issuer's documents cannot be exported")]
    Export(#[from] crate::issuer::ExportError),
    /// The store does not open.
    #[error("the store does not open")]
    Store(#[from] crate::store::OpenError),
    /// The store cannot be read.
    #[error("the store cannot be read")]
    Read(#[from] crate::store::StoreError),
    /// The seal does not open.
    #[error("the seal does not open")]
    Seal(#[from] crate::seal::SealError),
    /// Our own keys are not there.
    #[error("the gateway's own keys are not usable")]
    Keyring(#[from] crate::keyring::KeyringError),
    /// The audit log does not open. Without it nothing is served.
    #[error("the audit log does not open")]
    Audit(#[from] crate::audit::StartError),
    /// Epochs and locks cannot be read.
    #[error("epochs and locks cannot be read")]
    Barriers(#[from] crate::barriers::BarrierError),
    /// It cannot be said whether the ledger may act.
    #[error("the ledger of leases does not open")]
    Hold(#[from] crate::lease::HoldError),
    /// The set of one-shot tokens cannot be read.
    #[error("the set of used one-shot tokens cannot be read")]
    Once(#[from] crate::barriers::OnceError),
    /// The withdrawn access tokens cannot be read.
    #[error("the access tokens that were withdrawn cannot be read")]
    Withdrawn(#[from] crate::barriers::WithdrawnError),
    /// There is no component host.
    #[error("the component host does not start")]
    Host(#[from] symbolon_host::HostError),
    /// The cache of compiled code is not usable.
    #[error("the cache of compiled components is not usable; see `plugins.cache`")]
    Cache(#[from] symbolon_host::compiled::CacheError),
    /// Telemetry does not start.
    #[error("telemetry does not start")]
    Telemetry(#[from] crate::telemetry::TelemetryError),
    /// The collector's URL is refused.
    #[error("`telemetry.otlp` is not usable: {0}")]
    Collector(String),
    /// The system's roots, or a CA bundle, are not usable.
    #[error("the roots of trust are not usable")]
    Roots(#[from] symbolon_host::egress::EgressError),
    /// The certificate is not usable.
    #[error("the certificate is not usable; see `server.tls`")]
    Tls(#[from] crate::listen::TlsError),
    /// A secret of the configuration cannot be read.
    #[error("a secret of the configuration cannot be read")]
    Secret(#[from] crate::config::SecretError),
    /// A listener cannot be bound.
    #[error("cannot listen on {address}; see `server.listen`")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The admin socket cannot be made.
    #[error("the admin socket cannot be made")]
    Socket(#[from] crate::admin::SocketError),
    /// A systemd credential is named, and systemd gave none.
    #[error("`seal.key` names a systemd credential, and $CREDENTIALS_DIRECTORY is not set")]
    NoCredentials,
    /// The store holds something that is no head of an audit chain.
    #[error("the store's record of the audit chain is damaged")]
    Anchor,
    /// A reload would change what only a restart can.
    #[error("a reload cannot change {}; restart to change it", .0.join(", "))]
    NeedsRestart(Vec<String>),
    /// A file that is written at start refuses.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// No plugins were found for a development gateway.
    #[error(
        "no plugins found: build them with `cargo xtask plugins` and name their directory with --plugins or SYMBOLON_PLUGINS"
    )]
    NoPlugins,
    /// The demonstration did not show what it should.
    #[error("the demonstration failed at {0}")]
    Demo(&'static str),
    /// The system takes no signal handlers.
    #[error("signals cannot be received")]
    Signals(#[source] std::io::Error),
    /// A blocking step was cut off by the end of the process.
    #[error("interrupted while starting")]
    Interrupted,
}

/// What a reload has done.
#[derive(Clone, Debug)]
pub struct Reloaded {
    /// The keys of the configuration that changed.
    pub changes: Vec<Change>,
    /// What became of the component of each backend and target.
    pub plugins: BTreeMap<BackendName, Outcome>,
}

/// The running gateway.
#[derive(Debug)]
pub struct App {
    /// What lasts.
    pub foundation: Foundation,
    /// The line.
    pub line: Arc<Line>,
    /// What ends leases.
    pub reaper: Arc<Reaper>,
    config: ArcSwap<Config>,
    stock: ArcSwap<Stock>,
    admissions: Arc<Admissions>,
    /// The backends whose component is being changed.
    turns: swap::Turns,
    /// The main listener's certificate, which asks clients for theirs or not.
    certificate: OnceLock<Arc<Certificate>>,
    /// One reload or change of components at a time; with it, the keys in use.
    keys: Mutex<KeptKeys>,
    /// Told of each change after which there may be something to keep or to let go.
    untidy: Notify,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl App {
    /// Builds everything and starts the tasks behind it. Listens to nobody yet.
    ///
    /// # Errors
    /// [`StartError`] of the first thing that refuses.
    pub async fn start(
        config: Config,
        surroundings: Surroundings,
    ) -> Result<Arc<Self>, StartError> {
        symbolon_core::token::install_crypto();
        let foundation = Box::pin(Foundation::open(&config, surroundings)).await?;
        let admissions = Arc::new(Admissions::default());
        let none = (&KeptKeys::new(), &Running::new(), &Refused::new());
        let built = Box::pin(world::build(&config, &foundation, &admissions, none)).await?;
        let Built { world, keys, stock, outcomes: _ } = built;
        let refusals = world::quota(config.limits.strangers_per_source);
        let line = Arc::new(Line {
            world: ArcSwap::from_pointee(world),
            journal: foundation.journal.clone(),
            keyring: foundation.keyring.clone(),
            published: Published::below(config.assertions.origin.url().path())
                .at(config.server.public_origin.as_str()),
            leases: foundation.leases.clone(),
            handles: foundation.handles.clone(),
            kept: foundation.kept.clone(),
            turns: Turns::default(),
            refusals: Buckets::new(refusals, SOURCES, foundation.clock.clone()),
            clock: foundation.clock.clone(),
            ids: Ids::default(),
            metrics: foundation.metrics(),
        });
        let reaper = Reaper::new(foundation.leases.clone(), line.clone());
        let app = Arc::new(Self {
            foundation,
            line,
            reaper,
            config: ArcSwap::from_pointee(config),
            stock: ArcSwap::from_pointee(stock),
            admissions,
            turns: swap::Turns::default(),
            certificate: OnceLock::new(),
            keys: Mutex::new(KeptKeys::new()),
            untidy: Notify::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        app.adopt(&mut *app.keys.lock().await, keys);
        app.observe_leases();
        app.start_chores();
        app.tidy();
        Ok(app)
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// The components that were admitted.
    #[must_use]
    pub fn admissions(&self) -> &Admissions {
        &self.admissions
    }

    /// Reads the configuration file again and puts it in force as a whole. Answers what changed.
    ///
    /// # Errors
    /// [`StartError`]: nothing has changed.
    pub async fn reload(&self) -> Result<Reloaded, StartError> {
        // Compiled before anything is held; under the lock everything is read again.
        let (ahead, _) = self.read_again()?;
        let refused = Box::pin(self.prepare(&ahead)).await;
        let mut keys = self.keys.lock().await;
        let (config, changes) = self.read_again()?;
        let is_same = config.plugins.trust == ahead.plugins.trust;
        let refused = if is_same { refused } else { Refused::new() };
        let plugins = Box::pin(self.rebuild(&mut keys, Arc::new(config), &refused)).await?;
        Ok(Reloaded { changes, plugins })
    }

    /// The configuration file as it is now, and what changed in it.
    fn read_again(&self) -> Result<(Config, Vec<Change>), StartError> {
        let before = self.config.load_full();
        let config = Config::load(before.file()).map_err(StartError::Config)?;
        let changes = crate::config::diff(&before, &config);
        let fixed = changes.iter().filter(|change| change.needs_restart());
        let fixed: Vec<_> = fixed.map(|change| change.key.clone()).collect();
        match fixed.is_empty() {
            true => Ok((config, changes)),
            false => Err(StartError::NeedsRestart(fixed)),
        }
    }

    /// Puts `config` in force as a whole. Answers what became of components.
    async fn rebuild(
        &self,
        keys: &mut KeptKeys,
        config: Arc<Config>,
        refused: &Refused,
    ) -> Result<BTreeMap<BackendName, Outcome>, StartError> {
        let running = choose::running(&self.line.world.load());
        let before = (&*keys, &running, refused);
        let built = world::build(&config, &self.foundation, &self.admissions, before);
        let Built { world, keys: fresh, stock, outcomes } = Box::pin(built).await?;
        drop(running);
        self.adopt(keys, fresh);
        let world = world.continuing(&self.line.world.load());
        self.line.world.store(Arc::new(world));
        self.stock.store(Arc::new(stock));
        self.config.store(config);
        self.ask_clients();
        self.tidy();
        Ok(outcomes)
    }

    /// Takes the main listener's certificate, through which clients are asked for theirs.
    fn listen_with(&self, certificate: &Arc<Certificate>) {
        let _only_once = self.certificate.set(certificate.clone());
        self.ask_clients();
    }

    /// Clients are asked for a certificate where an issuer could do something with it.
    fn ask_clients(&self) {
        if let Some(certificate) = self.certificate.get() {
            certificate.ask_clients(believed::wants_certificates(&self.config()));
        }
    }

    /// Starts fetching for the keys that are new, and stops it for those that are gone.
    fn adopt(&self, current: &mut KeptKeys, fresh: KeptKeys) {
        for (alias, kept) in &fresh {
            let known = current.get(alias).is_some_and(|old| Arc::ptr_eq(&old.keys, &kept.keys));
            if !known {
                self.chore(kept.keys.clone().keep_fresh(kept.stop.clone()));
            }
        }
        for (alias, old) in std::mem::replace(current, fresh) {
            let stays = current.get(&alias).is_some_and(|kept| Arc::ptr_eq(&kept.keys, &old.keys));
            if !stays {
                old.stop.cancel();
            }
        }
    }

    /// What has to be done from time to time.
    fn start_chores(self: &Arc<Self>) {
        self.chore(self.clone().watch_conduct());
        self.chore(self.clone().watch_directory());
        self.chore(self.clone().keep_tidy());
        let journal = self.foundation.journal.clone();
        self.chore(async move { journal.watch_strangers().await });
        let keyring = self.foundation.keyring.clone();
        self.chore(async move {
            loop {
                tokio::time::sleep(KEY_TICK).await;
                if let Err(error) = keyring.tick().await {
                    tracing::error!(%error, "the gateway's keys could not be looked after");
                }
            }
        });
        // Not a chore: what is under way when the house stops is let end.
        self.tasks.spawn(self.reaper.clone().run(self.stop.clone()));
        let leases = self.foundation.leases.clone();
        self.chore(async move {
            loop {
                tokio::time::sleep(BEAT).await;
                if let Err(error) = leases.beat(Boot::read()).await {
                    tracing::warn!(%error, "the ledger's beat is late");
                }
            }
        });
        let (replays, withdrawn) =
            (self.foundation.replays.clone(), self.foundation.withdrawn.clone());
        self.chore(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(30)).await;
                if let Err(error) = withdrawn.sweep().await {
                    tracing::warn!(%error, "withdrawn access tokens could not be swept");
                }
                if let Err(error) = replays.sweep().await {
                    tracing::warn!(%error, "expired one-shot tokens could not be swept");
                }
            }
        });
    }

    fn chore(&self, chore: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! { () = stop.cancelled() => {}, () = chore => {} }
        });
    }

    /// Stops every task, closes the audit log and sends what telemetry holds. The listeners have
    /// drained before. Each step has a deadline and none waits for a lock: a reload that hangs does
    /// not keep the house open.
    pub async fn shut_down(&self) {
        self.stop.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(Duration::from_secs(5), self.tasks.wait()).await;
        if let Err(error) = self.foundation.journal.stop().await {
            tracing::error!(%error, "the audit log did not close in order");
        }
        let telemetry = self.foundation.telemetry.clone();
        let _ = tokio::task::spawn_blocking(move || telemetry.shut_down()).await;
    }
}
