//! The gateway's own login of a database, replaced: what works is known at every moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use symbolon::root_login::{Account, RootLoginError, RootLogins};
use symbolon::seal::{Seal, Source};
use symbolon::store::{
    BoxFuture, Key, Options, Page, SledStore, Span, Store, StoreError, Transaction,
};
use symbolon::time::SystemClock;
use symbolon_core::clock::{ManualClock, Timestamp};
use symbolon_core::id::{BackendName, PluginName, RequestId};
use symbolon_core::secret::Secret;
use symbolon_host::egress::{Network, SystemResolver, Trust};
use symbolon_host::engine::EngineSettings;
use symbolon_host::sql::{LoginSource, Pool, PoolLimits, ServerSettings, Transport};
use symbolon_host::{
    BackendSpec, CallContext, Compiler, Generation, Host, Limits, NoEgress, Package,
    Trust as PluginTrust,
};
use symbolon_tests::harness::plugins;
use tempfile::TempDir;

use super::parts::Postgres;
use super::parts::postgres::{ADMIN, DATABASE, HOST, Version};

/// A store that can be made to take nothing any more, as if the process had died.
#[derive(Debug)]
struct Mortal {
    inner: SledStore,
    /// Whether the next commit but one is the last that is taken.
    dies_after_next: AtomicBool,
    is_dead: AtomicBool,
}

impl Store for Mortal {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        self.inner.get(key)
    }

    fn scan(&self, span: Span, limit: usize) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.inner.scan(span, limit)
    }

    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<(), StoreError>> {
        if self.is_dead.load(Ordering::Acquire) {
            return Box::pin(async { Err(StoreError::Closed) });
        }
        self.is_dead.store(self.dies_after_next.load(Ordering::Acquire), Ordering::Release);
        self.inner.commit(transaction)
    }
}

struct Scene {
    server: Postgres,
    store: Arc<Mortal>,
    seal: Arc<Seal>,
    backend: BackendName,
    _directory: TempDir,
}

/// A gateway's part in it, from one start to the next.
struct Run {
    logins: RootLogins,
    source: Arc<dyn LoginSource>,
    generation: Generation,
}

impl Scene {
    async fn with(version: Version) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_793_520_000)));
        let path = directory.path().join("store");
        let options = Options { cache_capacity: 16 << 20, ..Options::at(&path) };
        let store = Arc::new(Mortal {
            inner: SledStore::open(&options, clock).unwrap(),
            dies_after_next: AtomicBool::default(),
            is_dead: AtomicBool::default(),
        });
        let source = Source::File(directory.path().join("seal"));
        let seal = Arc::new(Seal::open_or_create(&source, &*store).await.unwrap());
        let backend = BackendName::parse("db").unwrap();
        let server = Postgres::start(version).await;
        Self { server, store, seal, backend, _directory: directory }
    }

    /// What a start finds and makes.
    async fn start(&self) -> Run {
        self.start_as("postgresql").await
    }

    async fn start_as(&self, plugin: &str) -> Run {
        self.store.dies_after_next.store(false, Ordering::Release);
        self.store.is_dead.store(false, Ordering::Release);
        let logins = RootLogins::open(self.store.clone(), self.seal.clone()).await.unwrap();
        let port = self.server.port();
        let account = Account { user: ADMIN.0.to_owned(), server: format!("{HOST}:{port}") };
        let configured = Some(Secret::from(ADMIN.1.to_owned()));
        let source = logins.source(&self.backend, account, configured);
        let trust = std::fs::read(self.server.certificate()).unwrap();
        let trust = Trust::from_pem(&trust).unwrap();
        let settings = ServerSettings {
            host: HOST.to_owned(),
            port,
            database: DATABASE.to_owned(),
            addresses: vec!["127.0.0.0/8".parse().unwrap()],
            resolve: Some(([127, 0, 0, 1], port).into()),
            transport: Transport::Verified(None),
            statement: Duration::from_secs(10),
        };
        let network = Network::new(Arc::new(SystemResolver), trust);
        let pool = Pool::new(settings, network, source.clone(), PoolLimits::default()).unwrap();
        logins.settle(&self.backend, &pool).await.unwrap();
        let generation = generation(self.backend.clone(), plugin, pool).await;
        Run { logins, source, generation }
    }

    async fn rotate(&self, run: &Run) -> Result<(), RootLoginError> {
        let request_id = RequestId::new(Timestamp::from_seconds(1_793_520_000), 1);
        let context =
            CallContext { request_id, deadline: Duration::from_hours(1), on_behalf: None };
        run.logins.rotate_root(&self.backend, &run.generation, &context).await
    }

    /// The first login that is tried: it must work.
    async fn first(&self, run: &Run) -> String {
        let first = run.source.candidates().remove(0);
        let password = first.password.expose_str().unwrap().to_owned();
        assert!(self.lets_in(&password).await, "the first login that is tried does not work");
        password
    }

    async fn lets_in(&self, password: &str) -> bool {
        self.server.sql_as((ADMIN.0, password), DATABASE, "SELECT 1").await.is_ok()
    }
}

/// The component `plugin` with this database.
async fn generation(name: BackendName, plugin: &str, pool: Pool) -> Generation {
    let most = symbolon_host::admit::MAX_COMPONENT_BYTES;
    let host = Host::start(&EngineSettings::default(), Compiler::Here, None, most).unwrap();
    let package = Package::read(&plugins().join(format!("{plugin}.wasm")), most).unwrap();
    let trust = PluginTrust::default().with_unsigned([PluginName::parse(plugin).unwrap()]);
    let admitted = host.admit(package, &trust).await.unwrap();
    let spec = BackendSpec {
        name,
        config: serde_json::json!({}),
        roles: Vec::new(),
        limits: Limits::default(),
        outbound: Box::new(NoEgress),
        database: Some(Arc::new(pool)),
    };
    Generation::new(&admitted, spec, Arc::new(SystemClock::start()))
}

#[tokio::test]
async fn a_rotated_login_is_known_to_the_gateway_alone_and_survives_restarts() {
    for version in Version::ALL {
        let scene = Scene::with(version).await;
        let run = scene.start().await;
        assert_eq!(scene.first(&run).await, ADMIN.1);
        scene.rotate(&run).await.unwrap();
        let first = scene.first(&run).await;
        assert!(!scene.lets_in(ADMIN.1).await, "the configured password still works");
        assert!(!scene.server.log().contains(&first), "the server has logged the password");
        // Again, by the login that was made.
        scene.rotate(&run).await.unwrap();
        let second = scene.first(&run).await;
        assert!(!scene.lets_in(&first).await);
        drop(run);
        assert_eq!(scene.first(&scene.start().await).await, second);
    }
}

#[tokio::test]
async fn a_crash_between_the_change_and_its_record_leaves_a_login_that_works() {
    let scene = Scene::with(Version::V15).await;
    let run = scene.start().await;
    scene.rotate(&run).await.unwrap();
    let old = scene.first(&run).await;
    // The intent is written down; what follows is not.
    scene.store.dies_after_next.store(true, Ordering::Release);
    assert!(matches!(scene.rotate(&run).await, Err(RootLoginError::Store(_))));
    assert!(!scene.lets_in(&old).await, "the server has the new one");
    drop(run);
    let run = scene.start().await;
    let new = scene.first(&run).await;
    assert_ne!(new, old);
    assert!(!run.logins.is_pending(&scene.backend), "the start has settled it");
    drop(run);
    assert_eq!(scene.first(&scene.start().await).await, new);
}

#[tokio::test]
async fn a_crash_before_the_change_leaves_the_former_login() {
    let mut scene = Scene::with(Version::V18).await;
    let run = scene.start().await;
    scene.rotate(&run).await.unwrap();
    let old = scene.first(&run).await;
    scene.server.kill();
    // Nothing can be sent, so that nothing has to stay pending; but the process dies before it says so.
    scene.store.dies_after_next.store(true, Ordering::Release);
    assert!(scene.rotate(&run).await.is_err());
    drop(run);
    scene.server.resume().await;
    let run = scene.start().await;
    assert!(run.logins.is_pending(&scene.backend));
    assert!(scene.lets_in(&old).await);
    assert!(run.source.candidates().iter().any(|login| login.password.expose_str() == Some(&old)));
    // The pending one is set again, not replaced by another.
    let pending = run.source.candidates().remove(0).password;
    scene.rotate(&run).await.unwrap();
    assert_eq!(scene.first(&run).await.as_bytes(), pending.expose());
    assert!(!scene.lets_in(&old).await);
}

#[tokio::test]
async fn without_a_plugin_that_can_nothing_is_begun() {
    let scene = Scene::with(Version::V15).await;
    let run = scene.start_as("static").await;
    assert!(matches!(scene.rotate(&run).await, Err(RootLoginError::NotRotatable)));
    assert!(!run.logins.is_pending(&scene.backend));
    assert_eq!(scene.first(&run).await, ADMIN.1);
}
