//! Components swapped under full load: a real store behind the `vault` plugin, 64 connections that never
//! stop asking, a swap every second, one in three of them broken on purpose.
//!
//! Nobody may notice: each request is answered as it would have been without the swaps. A broken build
//! is refused before it is in force (truncated, or another than it says), or it traps once it is, and
//! then the one before answers in its place until it is put back.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use symbolon_core::id::{BackendName, LeaseId};
use symbolon_host::Generation;
use symbolon_tests::harness::component::{built, lying, trapping, versioned, write};
use symbolon_tests::harness::process::resident;
use symbolon_tests::harness::{Gateway, Setup, client};
use tokio::task::JoinSet;

use super::parts::Bao;
use crate::attacks::wire::admin;

const CONNECTIONS: usize = 64;
const PERIOD: Duration = Duration::from_secs(1);
/// After so many requests a caller shows a new token: one lasts for minutes, and a soak for longer.
const A_TOKEN: usize = 32;
/// Every how many swaps the memory is read.
pub(crate) const LEVEL: usize = 10;
/// Longer than a probation, at whose end the last of what was swapped out goes.
const PATIENCE: Duration = Duration::from_secs(180);

const BLOCKS: &str = r#"
[limits]
per_principal = { rate = 1000000, burst = 1000000 }
per_issuer = { rate = 1000000, burst = 1000000 }

[backends.iss]
plugin = "issuer"

[backends.iss.roles.app]
ttl = "30m"
ttl_max = "2h"
"#;

/// What a run has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) answers: usize,
    pub(crate) swaps: usize,
    pub(crate) refused: usize,
    pub(crate) put_back: usize,
    /// Resident memory every ten swaps, in KiB, and once what was swapped out is gone.
    pub(crate) levels: Vec<u64>,
    failures: Vec<String>,
    generations: Vec<Weak<Generation>>,
}

struct Scene {
    bao: Bao,
    gateway: Gateway,
    _directory: tempfile::TempDir,
}

impl Scene {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["vault", "issuer"] {
            write(directory.path(), &format!("{name}.wasm"), &built(name));
        }
        let bao = Bao::start().await;
        let setup = Setup {
            blocks: format!("{BLOCKS}{}", bao.blocks("gateway")),
            server: "max_connections_per_source = 4096".to_owned(),
            plugins: Some(directory.path().to_owned()),
            trust: Some("unsigned = [\"vault\", \"issuer\"]\ncache = \"code\"".to_owned()),
            ..Setup::default()
        };
        let gateway = Gateway::start(setup).await;
        bao.trust(&gateway).await;
        bao.put("app/db", &json!({ "password": "p" })).await;
        Self { bao, gateway, _directory: directory }
    }

    async fn call(&self, path: &str, body: Value) -> (u16, Value) {
        let reply = admin(&self.gateway, "POST", path, &body.to_string()).await;
        (reply.status, reply.json())
    }

    async fn install(&self, bytes: &[u8]) -> (u16, Value) {
        let body = json!({ "component": STANDARD.encode(bytes), "source": "test.wasm" });
        self.call("/v1/plugins", body).await
    }

    async fn installed(&self, bytes: &[u8]) {
        let (status, answer) = self.install(bytes).await;
        assert_eq!(status, 200, "{answer}");
    }

    async fn activated(&self, backend: &str, component: &str) {
        let body = json!({ "component": component, "allow_downgrade": true });
        let (status, answer) = self.call(&format!("/v1/backends/{backend}/activate"), body).await;
        assert_eq!(status, 200, "{answer}");
    }

    fn generation(&self) -> Arc<Generation> {
        let kv = BackendName::parse("kv").unwrap();
        self.gateway.app.line.world.load().dispatcher.catalog().find(&kv).unwrap()
    }

    async fn until(&self, what: &str, done: impl Fn() -> bool) {
        let waiting = async {
            while !done() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "{what}");
    }

    /// One swap; every third is to a broken build, of which there are three kinds.
    async fn swap(&self, number: usize, seen: &mut Seen) {
        let broken = number / 3;
        match (number % 3, broken % 3) {
            (2, 0) => self.refuses(&built("vault")[..built("vault").len() / 2], seen).await,
            (2, 1) => self.refuses(&lying(built("vault"), &version(broken)), seen).await,
            (2, _) => self.takes_back(&version(broken), seen).await,
            (turn, _) => {
                let component = if turn == 0 { "vault@0.1.1" } else { "vault@0.1.2" };
                self.activated("kv", component).await;
                seen.generations.push(Arc::downgrade(&self.generation()));
                seen.swaps += 1;
            }
        }
    }

    async fn refuses(&self, bytes: &[u8], seen: &mut Seen) {
        let (status, answer) = self.install(bytes).await;
        assert_eq!(status, 409, "{answer}");
        seen.refused += 1;
    }

    /// A build that passes everything and traps at the first read.
    async fn takes_back(&self, version: &str, seen: &mut Seen) {
        let bad = trapping(versioned(built("vault"), version), "secrets", "read");
        self.installed(&bad).await;
        let component = format!("vault@{version}");
        self.activated("kv", &component).await;
        seen.swaps += 1;
        let is_back = || self.generation().manifest().version != version;
        seen.generations.push(Arc::downgrade(&self.generation()));
        self.until(&format!("{component} is put back"), is_back).await;
        seen.put_back += 1;
        // It is not to be had again, and its bytes are not kept for ever.
        let body = json!({ "component": component });
        let remove = async || self.call("/v1/plugins:remove", body.clone()).await.0 == 200;
        let removing = async { while !remove().await {} };
        tokio::time::timeout(PATIENCE, removing).await.expect("it is removed");
    }

    /// The component of the target that is in force now gets a token.
    async fn logs_in_again(&self) {
        self.bao.revoke_logins().await;
        let token = self.gateway.token("alice");
        let read = async || self.gateway.get("/v1/secrets/kv/app/db", &token).await.status;
        let reading = async { while read().await != StatusCode::OK {} };
        tokio::time::timeout(PATIENCE, reading).await.expect("a new login");
        assert_eq!(self.bao.logins().await.len(), 1, "by one login");
    }

    async fn lease(&self) -> String {
        let token = self.gateway.token("alice");
        let path = "/v1/credentials/iss/app";
        let issued = self.gateway.ask(Method::POST, path, Some(&token), Bytes::new()).await;
        assert_eq!(issued.status, StatusCode::OK, "{:?}", issued.json);
        issued.json["lease"]["id"].as_str().unwrap().to_owned()
    }

    async fn renewed_and_revoked(&self, lease: &str) {
        let token = self.gateway.token("alice");
        let path = format!("/v1/leases/{lease}/renew");
        let renewed = self.gateway.ask(Method::POST, &path, Some(&token), Bytes::new()).await;
        assert_eq!(renewed.status, StatusCode::OK, "{:?}", renewed.json);
        let path = format!("/v1/leases/{lease}");
        let ended = self.gateway.ask(Method::DELETE, &path, Some(&token), Bytes::new()).await;
        assert_eq!(ended.status, StatusCode::OK, "{:?}", ended.json);
        let (id, ledger) = (LeaseId::parse(lease).unwrap(), &self.gateway.app.foundation.leases);
        let over = async {
            while ledger.find(id).await.unwrap().is_none_or(|found| found.state != "revoked") {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, over).await.expect("its end");
    }
}

/// A version that no other broken build has.
fn version(broken: usize) -> String {
    format!("{}.{}.{}", 2 + broken / 100, broken / 10 % 10, broken % 10)
}

/// Reads until it is told to stop; what was not answered as it should is written down.
async fn ask(
    scene: Arc<Scene>,
    number: usize,
    (stop, answers, failures): (Arc<AtomicBool>, Arc<AtomicUsize>, Arc<Mutex<Vec<String>>>),
) {
    let gateway = &scene.gateway;
    let client = client(gateway.directory.path(), gateway.address);
    let mut asked_with = 0;
    let mut token = String::new();
    while !stop.load(Ordering::Acquire) {
        if asked_with % A_TOKEN == 0 {
            token = gateway.token(&format!("load-{number}"));
        }
        asked_with += 1;
        let asked = (Method::GET, "/v1/secrets/kv/app/db");
        let answer = gateway.ask_with(&client, asked, Some(&token), Bytes::new()).await;
        if answer.status == StatusCode::OK && answer.json["fields"]["password"] == "p" {
            answers.fetch_add(1, Ordering::Relaxed);
        } else {
            failures.lock().unwrap().push(format!("{} {}", answer.status, answer.json));
        }
    }
}

/// Swaps for as long as `window` under load.
pub(crate) async fn swapped_under_load(window: Duration) -> Seen {
    let scene = Arc::new(Scene::start().await);
    let early = scene.lease().await;
    for build in ["0.1.1", "0.1.2"] {
        scene.installed(&versioned(built("vault"), build)).await;
    }
    scene.installed(&versioned(built("issuer"), "0.1.1")).await;
    let shared = (Arc::default(), Arc::default(), Arc::default());
    let mut load = JoinSet::new();
    for number in 0..CONNECTIONS {
        load.spawn(ask(scene.clone(), number, shared.clone()));
    }
    let mut seen = Seen::default();
    let mut period = tokio::time::interval(PERIOD);
    let rounds = usize::try_from(window.as_secs()).unwrap();
    for number in 0..rounds {
        period.tick().await;
        if number % LEVEL == 0 {
            seen.levels.push(resident(std::process::id()));
        }
        scene.swap(number, &mut seen).await;
    }
    scene.activated("iss", "issuer@0.1.1").await;
    scene.renewed_and_revoked(&early).await;
    // The component of the target, by whose tokens the store is asked.
    scene.activated("bao", "vault@0.1.1").await;
    let (stop, answers, failures) = shared;
    stop.store(true, Ordering::Release);
    load.join_all().await;
    seen.answers = answers.load(Ordering::Relaxed);
    seen.failures.append(&mut failures.lock().unwrap());
    scene.logs_in_again().await;
    let later = scene.lease().await;
    scene.activated("iss", "issuer@0.1.0").await;
    scene.renewed_and_revoked(&later).await;
    ended(&scene, &seen).await;
    seen.levels.push(resident(std::process::id()));
    let scene = Arc::try_unwrap(scene).unwrap_or_else(|_| panic!("nobody else holds it"));
    scene.gateway.stop().await;
    drop(scene.bao);
    seen
}

/// What must hold at the end.
async fn ended(scene: &Scene, seen: &Seen) {
    let few: Vec<_> = seen.failures.iter().take(5).collect();
    assert!(seen.failures.is_empty(), "{} failed: {few:?}", seen.failures.len());
    // The one in force, and the one that may come back.
    let alive = || {
        let held = seen.generations.iter().filter(|weak| weak.strong_count() > 0);
        held.map(Weak::as_ptr).collect::<HashSet<_>>().len()
    };
    scene.until("what was swapped out is gone", || alive() <= 2).await;
    // Two of `vault`, one of them for the target too, and two of `issuer`.
    let held = || scene.gateway.app.admissions().held();
    scene.until("and so is its code", || held() <= 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_every_second_under_load_fails_nobody() {
    let seen = swapped_under_load(Duration::from_secs(15)).await;
    assert!(seen.answers > 500, "{seen:?}");
    assert_eq!((seen.swaps, seen.refused, seen.put_back), (11, 4, 1), "{seen:?}");
}
