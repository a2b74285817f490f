//! Components changed while the gateway runs: installed, activated, put back, taken out; what the
//! configuration pins, what the directory holds, and what misbehaves only once it is in use.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use symbolon_core::clock::{ManualClock, Timestamp};
use symbolon_host::Digest;
use symbolon_tests::harness::component::{built, claiming, lying, trapping, versioned, write};
use symbolon_tests::harness::process::binary;
use symbolon_tests::harness::{Gateway, Setup};
use tempfile::TempDir;

use crate::attacks::wire::admin;
use crate::hostile::compile::with_functions;
use crate::hostile::upstream::network;

const BLOCKS: &str = r#"
[backends.demo]
plugin = "static"
config = { secrets = { "app/text" = "plain" } }
"#;
const UNSIGNED: &str = r#"unsigned = ["static"]"#;
const PATIENCE: Duration = Duration::from_secs(60);

fn setup(blocks: &str, plugins: &Path) -> Setup {
    Setup {
        blocks: blocks.to_owned(),
        plugins: Some(plugins.to_owned()),
        trust: Some(UNSIGNED.to_owned()),
        ..Setup::default()
    }
}

struct Scene {
    gateway: Gateway,
    directory: TempDir,
}

impl Scene {
    async fn start() -> Self {
        Self::with(BLOCKS, None).await
    }

    async fn with(blocks: &str, clock: Option<Arc<ManualClock>>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), "static.wasm", &built("static"));
        let setup = setup(blocks, directory.path());
        let setup = Setup { clock: clock.map(|clock| clock as _), ..setup };
        Self { gateway: Gateway::start(setup).await, directory }
    }

    /// The next start, after something has happened in the directory of plugins.
    async fn restarted(self, happens: impl FnOnce(&Path)) -> Self {
        let Self { gateway, directory } = self;
        let (home, issuer) = gateway.stop().await;
        happens(directory.path());
        let setup = setup(BLOCKS, directory.path());
        Self { gateway: Gateway::start_in(home, issuer, setup).await, directory }
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply = admin(&self.gateway, method, path, &body).await;
        (reply.status, reply.json())
    }

    async fn install(&self, bytes: &[u8]) -> (u16, Value) {
        let body = json!({ "component": STANDARD.encode(bytes), "source": "test.wasm" });
        self.call("POST", "/v1/plugins", body).await
    }

    async fn installed(&self, bytes: &[u8]) {
        let (status, answer) = self.install(bytes).await;
        assert_eq!(status, 200, "{answer}");
    }

    async fn activate(&self, component: &str) -> (u16, Value) {
        let body = json!({ "component": component });
        self.call("POST", "/v1/backends/demo/activate", body).await
    }

    async fn shown(&self) -> Value {
        self.call("GET", "/v1/plugins", Value::Null).await.1
    }

    async fn demo(&self) -> Value {
        let shown = self.shown().await;
        let backends = shown["backends"].as_array().unwrap();
        backends.iter().find(|backend| backend["backend"] == "demo").unwrap().clone()
    }

    async fn version(&self) -> String {
        self.demo().await["version"].as_str().unwrap_or("none").to_owned()
    }

    /// Status and audit code of a read.
    async fn read(&self) -> (u16, String) {
        let token = self.gateway.token("alice");
        let answer = self.gateway.get("/v1/secrets/demo/app/text", &token).await;
        let code = self.gateway.closing(&answer)["code"].as_str().unwrap().to_owned();
        (answer.status.as_u16(), code)
    }

    async fn reads(&self) {
        assert_eq!(self.read().await, (200, "ok".to_owned()));
    }

    async fn until(&self, what: &str, done: impl AsyncFn() -> bool) {
        let waiting = async {
            while !done().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "{what}: {:#}", self.shown().await);
    }

    fn events(&self, operation: &str) -> Vec<Value> {
        let lines = self.gateway.audit().into_iter();
        lines.filter(|line| line["operation"] == operation).collect()
    }

    fn edit(&self, from: &str, to: &str) {
        let file = self.gateway.directory.path().join("symbolon.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from}");
        std::fs::write(&file, text.replacen(from, to, 1)).unwrap();
    }

    async fn reload(&self) -> String {
        let (status, answer) = self.call("POST", "/v1/reload", Value::Null).await;
        assert_eq!(status, 200, "{answer}");
        answer["plugins"]["demo"].as_str().unwrap().to_owned()
    }

    /// Whether the catalog has this version of `static`.
    async fn is_kept(&self, version: &str) -> bool {
        let shown = self.call("GET", &format!("/v1/plugins/static@{version}"), Value::Null).await;
        let components = self.gateway.app.foundation.components.snapshot().await.unwrap();
        let mut kept = components.components.values().map(|of| &of.component.version);
        shown.0 == 200 && kept.any(|kept| kept == version)
    }

    /// Does something while a component is being compiled, which is ended then.
    async fn during_compilation(&self, done: impl AsyncFnOnce()) {
        self.until("a compiler", async || !compilers().is_empty()).await;
        let at_work = compilers();
        done().await;
        // One that has ended has none, also before it is waited for.
        let command = |id: &i32| std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let ended: Vec<_> = at_work.iter().filter(|id| command(id).is_empty()).collect();
        assert!(ended.is_empty(), "it waited for {ended:?}");
        for id in at_work {
            let id = rustix::process::Pid::from_raw(id).unwrap();
            rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
        }
    }

    fn compiled(&self) -> usize {
        self.gateway.app.admissions().held()
    }
}

#[tokio::test]
async fn a_component_is_installed_activated_put_back_and_removed() {
    let scene = Scene::start().await;
    let newer = versioned(built("static"), "0.1.1");
    scene.installed(&newer).await;
    scene.reads().await;
    assert_eq!(scene.version().await, "0.1.0", "nobody asked for it yet");

    let (status, answer) = scene.activate("static@0.1.1").await;
    assert_eq!((status, &answer["outcome"]), (200, &json!("swapped")), "{answer}");
    scene.reads().await;
    let demo = scene.demo().await;
    assert_eq!((&demo["version"], &demo["state"]), (&json!("0.1.1"), &json!("probation")));
    assert!(demo["previous"].as_str().unwrap().starts_with("static@0.1.0"), "{demo}");

    let (status, answer) = scene.call("POST", "/v1/backends/demo/rollback", Value::Null).await;
    assert_eq!(status, 200, "{answer}");
    scene.reads().await;
    assert_eq!(scene.version().await, "0.1.0");
    assert_eq!(scene.compiled(), 1, "the other one was let go");

    let remove = json!({ "component": "static@0.1.1" });
    let (status, answer) = scene.call("POST", "/v1/plugins:remove", remove.clone()).await;
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = scene.call("POST", "/v1/plugins:remove", remove).await;
    assert_eq!((status, &answer["code"]), (400, &json!("malformed")), "{answer}");
    scene.reads().await;
    let done = scene.events("backend.activate");
    assert_eq!(done.len(), 2, "begun and done: {done:?}");
    assert!(done[1]["details"]["to"].as_str().unwrap().starts_with("static@0.1.1"), "{done:?}");
    scene.gateway.stop().await;
}

#[tokio::test]
async fn what_was_activated_is_activated_after_a_restart_also_without_its_file() {
    let scene = Scene::start().await;
    scene.installed(&versioned(built("static"), "0.1.1")).await;
    assert_eq!(scene.activate("static@0.1.1").await.0, 200);
    let gone = |directory: &Path| std::fs::remove_file(directory.join("static.wasm")).unwrap();
    let scene = scene.restarted(gone).await;
    scene.reads().await;
    assert_eq!(scene.version().await, "0.1.1");
    let (status, answer) = scene.call("POST", "/v1/backends/demo/rollback", Value::Null).await;
    assert_eq!(status, 200, "the copy of what was in use: {answer}");
    assert_eq!(scene.version().await, "0.1.0");
    scene.gateway.stop().await;
}

#[tokio::test]
async fn what_cannot_serve_is_refused_and_what_runs_goes_on() {
    let scene = Scene::start().await;
    let (status, answer) = scene.install(b"\0asm\x0d\0\x01\0").await;
    assert_eq!((status, &answer["code"]), (409, &json!("conflict")), "{answer}");
    let (status, answer) = scene.install(&lying(built("static"), "0.1.2")).await;
    assert_eq!(status, 409, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("smoke call"), "{answer}");
    // It is admitted, and refuses the configuration of this backend.
    scene.installed(&trapping(versioned(built("static"), "0.1.3"), "check", "validate")).await;
    let (status, answer) = scene.activate("static@0.1.3").await;
    assert_eq!(status, 409, "{answer}");
    let detail = answer["detail"].as_str().unwrap();
    assert!(detail.contains("static@0.1.0") && detail.contains("goes on"), "{detail}");
    for (component, status, says) in [
        ("static@9.9.9", 400, "no component here"),
        ("vault@0.1.0", 400, "no component here"),
        ("static", 400, "NAME@VERSION"),
    ] {
        let (found, answer) = scene.activate(component).await;
        assert_eq!(found, status, "{component}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(says), "{component}: {answer}");
    }
    let body = json!({ "component": "static@0.1.0" });
    let (status, answer) = scene.call("POST", "/v1/backends/none/activate", body).await;
    assert_eq!(status, 400, "{answer}");
    scene.reads().await;
    assert_eq!(scene.version().await, "0.1.0");
    scene.gateway.stop().await;
}

#[tokio::test]
async fn an_older_version_needs_to_be_meant() {
    let scene = Scene::start().await;
    scene.installed(&versioned(built("static"), "0.0.9")).await;
    let (status, answer) = scene.activate("static@0.0.9").await;
    assert_eq!(status, 409, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("--allow-downgrade"), "{answer}");
    let body = json!({ "component": "static@0.0.9", "allow_downgrade": true });
    let (status, answer) = scene.call("POST", "/v1/backends/demo/activate", body).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(scene.version().await, "0.0.9");
    scene.gateway.stop().await;
}

#[tokio::test]
async fn an_older_file_is_not_taken_by_a_reload_unless_the_configuration_names_it() {
    let scene = Scene::start().await;
    write(scene.directory.path(), "static.wasm", &versioned(built("static"), "0.0.9"));
    let outcome = scene.reload().await;
    assert!(outcome.starts_with("rolled back: static@0.0.9"), "{outcome}");
    assert!(outcome.contains("older than 0.1.0"), "{outcome}");
    assert_eq!(scene.version().await, "0.1.0");
    scene.reads().await;
    scene.edit("plugin = \"static\"", "plugin = \"static\"\nversion = \"0.0.9\"");
    let outcome = scene.reload().await;
    assert!(outcome.starts_with("swapped static@0.1.0"), "{outcome}");
    assert_eq!(scene.version().await, "0.0.9");
    scene.reads().await;
    scene.gateway.stop().await;
}

#[tokio::test]
async fn what_the_configuration_pins_wins_over_what_is_activated() {
    let scene = Scene::start().await;
    scene.installed(&versioned(built("static"), "0.1.1")).await;
    scene.edit("plugin = \"static\"", "plugin = \"static\"\nversion = \"0.1.0\"");
    assert!(scene.reload().await.starts_with("kept static@0.1.0"));
    let (status, answer) = scene.activate("static@0.1.1").await;
    assert_eq!(status, 409, "{answer}");
    let detail = answer["detail"].as_str().unwrap();
    assert!(detail.contains("version = \"0.1.0\""), "it says what to change: {detail}");
    scene.edit("version = \"0.1.0\"", "version = \"0.1.1\"");
    let outcome = scene.reload().await;
    assert!(outcome.starts_with("swapped static@0.1.0"), "{outcome}");
    assert_eq!(scene.version().await, "0.1.1");
    scene.reads().await;
    // One that is not there: what runs goes on.
    scene.edit("version = \"0.1.1\"", "version = \"0.7.7\"");
    let outcome = scene.reload().await;
    assert!(outcome.starts_with("rolled back: no component"), "{outcome}");
    scene.reads().await;
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_backend_that_waits_for_its_component_starts_when_that_is_installed() {
    let pinned = "plugin = \"static\"\nversion = \"0.1.1\"";
    let scene = Scene::with(&BLOCKS.replace("plugin = \"static\"", pinned), None).await;
    assert_eq!(scene.read().await, (503, "backend_degraded".to_owned()));
    let (_, other) = scene.install(&versioned(built("static"), "0.1.2")).await;
    assert_eq!(other["started"], json!({}), "{other}");
    let (_, waited_for) = scene.install(&versioned(built("static"), "0.1.1")).await;
    let started = waited_for["started"]["demo"].as_str().unwrap();
    assert!(started.starts_with("started static@0.1.1"), "{started}");
    scene.reads().await;
    assert_eq!(scene.events("plugin.reconcile").len(), 2, "begun and done");
    scene.gateway.stop().await;
}

#[tokio::test]
async fn what_is_in_use_is_removed_by_force_only_and_then_degrades_its_backends() {
    let scene = Scene::start().await;
    scene.installed(&built("static")).await;
    let remove = json!({ "component": "static@0.1.0" });
    let (status, answer) = scene.call("POST", "/v1/plugins:remove", remove).await;
    assert_eq!(status, 409, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("`demo`"), "{answer}");
    scene.reads().await;
    let remove = json!({ "component": "static@0.1.0", "force": true });
    let (status, answer) = scene.call("POST", "/v1/plugins:remove", remove).await;
    assert_eq!((status, &answer["degraded"]), (200, &json!(["demo"])), "{answer}");
    assert!(answer["still_in_directory"].as_str().unwrap().ends_with("static.wasm"), "{answer}");
    assert_eq!(scene.read().await, (503, "backend_degraded".to_owned()));
    assert_eq!(scene.demo().await["state"], "degraded");
    assert_eq!(scene.activate("static@0.1.0").await.0, 200);
    scene.reads().await;
    scene.gateway.stop().await;
}

#[tokio::test]
async fn one_that_traps_after_the_swap_fails_nobody_and_is_put_into_quarantine() {
    let scene = Scene::start().await;
    let bad = trapping(versioned(built("static"), "0.2.0"), "secrets", "read");
    scene.installed(&bad).await;
    assert_eq!(scene.activate("static@0.2.0").await.0, 200);
    let before = scene.gateway.app.line.world.load().dispatcher.catalog().entries();
    drop(before);
    // What the new one fails at, the one before does: nobody is told.
    scene.reads().await;
    scene
        .until("it is put back", async || {
            scene.reads().await;
            scene.version().await == "0.1.0"
        })
        .await;
    scene.until("it is on record", async || !scene.events("plugin.quarantine").is_empty()).await;
    let event = scene.events("plugin.quarantine").remove(0);
    assert_eq!((&event["administrator"], &event["object"]), (&json!("symbolon"), &json!("demo")));
    assert!(event["details"]["reason"].as_str().unwrap().contains("trapped"), "{event}");
    let metrics = scene.gateway.metrics();
    let line = metrics
        .lines()
        .find(|l| l.starts_with("symbolon_plugin_swaps") && l.contains("quarantined"));
    assert!(line.is_some_and(|line| line.ends_with(" 1")), "{line:?}");

    let (status, answer) = scene.activate("static@0.2.0").await;
    assert_eq!(status, 409, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("plugin release"), "{answer}");
    // Over a restart too.
    let Scene { gateway, directory } = scene;
    let (home, issuer) = gateway.stop().await;
    let setup = Setup {
        blocks: BLOCKS.to_owned(),
        plugins: Some(directory.path().to_owned()),
        trust: Some(UNSIGNED.to_owned()),
        ..Setup::default()
    };
    let gateway = Gateway::start_in(home, issuer, setup).await;
    let scene = Scene { gateway, directory };
    scene.reads().await;
    assert_eq!(scene.version().await, "0.1.0");
    assert_eq!(scene.activate("static@0.2.0").await.0, 409);
    let release = json!({ "component": "static@0.2.0" });
    let (status, answer) = scene.call("POST", "/v1/plugins:release", release.clone()).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(scene.call("POST", "/v1/plugins:release", release).await.0, 400);
    assert_eq!(scene.activate("static@0.2.0").await.0, 200);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn one_that_traps_and_has_none_before_degrades_its_backend_alone() {
    let directory = tempfile::tempdir().unwrap();
    let bad = trapping(built("static"), "secrets", "read");
    write(directory.path(), "static.wasm", &bad);
    write(directory.path(), "hostile.wasm", &built("hostile"));
    let twin = BLOCKS.replace("backends.demo", "backends.twin");
    let blocks = format!("{BLOCKS}{twin}[backends.other]\nplugin = \"hostile\"\n");
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
    let setup = Setup {
        blocks,
        plugins: Some(directory.path().to_owned()),
        clock: Some(clock.clone() as _),
        ..Setup::default()
    };
    let scene = Scene { gateway: Gateway::start(setup).await, directory };
    scene
        .until("it is in quarantine", async || {
            // The breaker lets one through from time to time.
            clock.advance(Duration::from_secs(10));
            scene.read().await.1 == "backend_degraded"
        })
        .await;
    let demo = scene.demo().await;
    assert!(demo["reason"].as_str().unwrap().contains("quarantine"), "{demo}");
    assert!(scene.reload().await.starts_with("degraded"), "a reload does not bring it back");
    let shown = scene.shown().await;
    let twin = shown["backends"].as_array().unwrap().iter().find(|of| of["backend"] == "twin");
    assert_eq!(twin.unwrap()["state"], "ready", "nobody has made it trap there: {shown:#}");
    let token = scene.gateway.token("alice");
    let other = scene.gateway.get("/v1/secrets/other/ok", &token).await;
    assert_eq!(other.status, 200, "{:?}", other.json);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_probation_that_is_passed_lets_the_one_before_go() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
    let scene = Scene::with(BLOCKS, Some(clock.clone())).await;
    let name = symbolon_core::id::BackendName::parse("demo").unwrap();
    let world = scene.gateway.app.line.world.load_full();
    let before = Arc::downgrade(&world.dispatcher.catalog().find(&name).unwrap());
    scene.installed(&versioned(built("static"), "0.1.1")).await;
    assert_eq!(scene.activate("static@0.1.1").await.0, 200);
    for _ in 0..20 {
        scene.reads().await;
    }
    assert!(before.upgrade().is_some(), "it may have to come back");
    clock.advance(Duration::from_secs(61));
    scene.until("its probation is over", async || scene.demo().await["state"] == "ready").await;
    scene.until("the one before is gone", async || before.upgrade().is_none()).await;
    scene.until("and its code", async || scene.compiled() == 1).await;
    scene.gateway.stop().await;
}

#[tokio::test]
async fn calls_in_flight_end_on_the_one_that_they_began_with() {
    let scene = Scene::start().await;
    let name = symbolon_core::id::BackendName::parse("demo").unwrap();
    let world = scene.gateway.app.line.world.load_full();
    let held = world.dispatcher.catalog().find(&name).unwrap();
    scene.installed(&versioned(built("static"), "0.1.1")).await;
    scene.installed(&versioned(built("static"), "0.1.2")).await;
    assert_eq!(scene.activate("static@0.1.1").await.0, 200);
    assert_eq!(scene.activate("static@0.1.2").await.0, 200);
    assert_eq!(held.manifest().version, "0.1.0");
    let path = symbolon_core::path::SecretPath::parse("app/text").unwrap();
    let context = symbolon_host::CallContext {
        request_id: scene.gateway.app.foundation.ids.request(Timestamp::from_seconds(0)),
        deadline: Duration::from_secs(3600),
        on_behalf: None,
    };
    let read = Box::pin(held.read(&context, &path, None)).await;
    assert!(read.is_ok(), "{read:?}");
    scene.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_at_once_one_is_made_and_the_other_is_told() {
    let scene = Scene::start().await;
    for version in ["0.1.1", "0.1.2", "0.1.3"] {
        scene.installed(&versioned(built("static"), version)).await;
    }
    let reload = scene.call("POST", "/v1/reload", Value::Null);
    let activations = async {
        tokio::join!(
            scene.activate("static@0.1.1"),
            scene.activate("static@0.1.2"),
            scene.activate("static@0.1.3"),
        )
    };
    let (reload, (a, b, c)) = tokio::join!(reload, activations);
    assert_eq!(reload.0, 200, "{}", reload.1);
    let all = [a, b, c];
    let done = all.iter().filter(|(status, _)| *status == 200).count();
    assert!(done >= 1, "{all:?}");
    for (status, answer) in all.iter().filter(|(status, _)| *status != 200) {
        assert_eq!(*status, 409, "{answer}");
        let detail = answer["detail"].as_str().unwrap();
        assert!(detail.contains("under way") || detail.contains("older"), "{detail}");
    }
    scene.reads().await;
    let demo = scene.demo().await;
    let version = demo["version"].as_str().unwrap();
    assert_ne!(version, "0.1.0");
    assert!(
        demo["activated"].as_str().unwrap().starts_with(&format!("static@{version}")),
        "{demo}"
    );
    scene.gateway.stop().await;
}

/// The compilers that are at work for this process.
fn compilers() -> Vec<i32> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let of = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.ok()?.path().join("children")).ok()
    };
    let children = tasks.filter_map(of).collect::<String>();
    children.split_whitespace().map(|id| id.parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_what_is_being_compiled() {
    let directory = tempfile::tempdir().unwrap();
    let trust = "unsigned = [\"static\", \"slow\"]\nwatch = false\ncompile = { memory = \"4GiB\", cpu = \"10m\", timeout = \"10m\" }";
    let blocks = format!("{BLOCKS}\n[backends.slow]\nplugin = \"slow\"\nconfig = {{}}\n");
    write(directory.path(), "static.wasm", &built("static"));
    let setup = Setup { trust: Some(trust.to_owned()), ..setup(&blocks, directory.path()) };
    let scene = Scene { gateway: Gateway::start(setup).await, directory };
    let later = with_functions(versioned(built("static"), "0.1.9"));
    write(scene.directory.path(), "later.wasm", &later);

    let activation = scene.activate("static@0.1.9");
    let upgrade = versioned(built("static"), "0.1.1");
    let install = scene.during_compilation(async || scene.installed(&upgrade).await);
    let ((status, refused), ()) = tokio::join!(activation, install);
    assert_eq!(status, 409, "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("SIGKILL"), "{refused}");

    let slow = claiming(&built("static"), |manifest| manifest["name"] = json!("slow"));
    let slow = with_functions(slow);
    write(scene.directory.path(), "slow.wasm", &slow);
    let change = async || assert_eq!(scene.activate("static@0.1.1").await.0, 200);
    let (reload, ()) = tokio::join!(scene.reload(), scene.during_compilation(change));
    assert!(reload.starts_with("kept static@0.1.1"), "{reload}");
    scene.reads().await;
    scene.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_in_the_directory_is_taken_up_and_what_vanishes_goes_on() {
    let scene = Scene::start().await;
    let file = |name: &str| -> PathBuf { scene.directory.path().join(name) };
    // Half of a file is no component; the whole one follows.
    let newer = versioned(built("static"), "0.1.1");
    std::fs::write(file("static.wasm"), &newer[..newer.len() / 2]).unwrap();
    let taken = scene.gateway.app.take_up_directory().await;
    assert!(taken.is_empty(), "{taken:?}");
    scene.reads().await;
    assert_eq!(scene.version().await, "0.1.0");
    std::fs::write(file("static.wasm"), &newer).unwrap();
    scene.until("it is taken up", async || scene.version().await == "0.1.1").await;
    scene.reads().await;
    assert_eq!(scene.events("plugin.reconcile").len(), 2, "begun and done");
    // A broken one is named, and what runs goes on.
    write(scene.directory.path(), "static.wasm", &lying(built("static"), "0.1.2"));
    scene.until("it is refused", async || scene.events("plugin.reconcile").len() == 3).await;
    scene.reads().await;
    assert_eq!(scene.version().await, "0.1.1");
    // An older one is somebody's wish, or somebody's trick.
    write(scene.directory.path(), "static.wasm", &versioned(built("static"), "0.0.9"));
    scene.until("it is refused", async || scene.events("plugin.reconcile").len() == 4).await;
    assert_eq!(scene.version().await, "0.1.1");
    std::fs::remove_file(file("static.wasm")).unwrap();
    assert!(scene.gateway.app.take_up_directory().await.is_empty());
    assert!(scene.reload().await.starts_with("kept static@0.1.1"));
    scene.reads().await;
    scene.gateway.stop().await;
}

#[tokio::test]
async fn an_operator_sees_which_grant_a_component_asks_for_and_has_not() {
    let grant = |prefix: &str| {
        format!(
            "[[backends.kv.egress]]\nhost = \"bao.example.test\"\nmethods = [\"GET\"]\n\
             path_prefix = \"{prefix}\"\n"
        )
    };
    for (granted, is_missing) in [(String::new(), true), (grant("/"), false)] {
        let block = format!(
            "[backends.kv]\nplugin = \"vault\"\nconfig = {{ address = \"https://bao.example.test\" }}\n{granted}"
        );
        let gateway = Gateway::start(Setup { blocks: block, ..Setup::default() }).await;
        let shown = admin(&gateway, "GET", "/v1/plugins", "").await.json();
        let missing = shown["backends"][0]["missing_grants"].clone();
        let missing = missing.as_array().unwrap_or_else(|| panic!("{shown}"));
        let named = |grant: &Value| grant.as_str().is_some_and(|text| text.contains("GET"));
        assert_eq!(missing.iter().any(named), is_missing, "{shown}");
        let all = missing.iter().all(|grant| grant.to_string().contains("bao.example.test"));
        assert!(all, "{shown}");
        gateway.stop().await;
    }
}

/// The program's own verb, against the gateway of `scene`.
async fn program(scene: &Scene, verb: &str, component: &str) -> std::process::Output {
    let socket = scene.gateway.app.config().admin.socket.clone();
    let mut program = tokio::process::Command::new(binary());
    program.args(["plugin", verb, component, "--output", "json", "--socket"]).arg(socket);
    program.output().await.unwrap()
}

#[tokio::test]
async fn what_an_upgrade_asks_beyond_is_seen_before_it_is_activated() {
    let scene = Scene::start().await;
    let asks_more = claiming(&built("hostile"), |manifest| {
        manifest["name"] = json!("static");
        manifest["version"] = json!("0.2.0");
    });
    write(scene.directory.path(), "static-next.wasm", &asks_more);
    scene.installed(&versioned(built("static"), "0.1.1")).await;

    for component in ["static@0.1.1", "static@0.2.0"] {
        let path = format!("/v1/plugins/{component}");
        let (status, shown) = scene.call("GET", &path, Value::Null).await;
        let (name, version) = component.split_once('@').unwrap();
        assert_eq!((status, &shown["manifest"]["name"]), (200, &json!(name)), "{shown}");
        assert_eq!(shown["manifest"]["version"], version);
        let said = program(&scene, "inspect", component).await;
        assert_eq!(serde_json::from_slice::<Value>(&said.stdout).unwrap(), shown);
    }

    let path = "/v1/plugins/static@0.2.0/grants";
    let (status, shown) = scene.call("GET", path, Value::Null).await;
    assert_eq!(status, 200, "{shown}");
    let has = |rows: &str, is_it: &dyn Fn(&Value) -> bool| {
        shown[rows].as_array().unwrap().iter().any(is_it)
    };
    let missing =
        |row: &Value| (&row["backend"], &row["state"]) == (&json!("demo"), &json!("missing"));
    assert!(has("grants", &missing), "{shown:#}");
    let beyond = |row: &Value| {
        (&row["since"], &row["change"], &row["of"])
            == (&json!("0.1.0"), &json!("+"), &json!("egress"))
    };
    assert!(has("changes", &beyond), "{shown:#}");
    let said = program(&scene, "grants", "static@0.2.0").await;
    assert_eq!(serde_json::from_slice::<Value>(&said.stdout).unwrap(), shown);
    let same = scene.call("GET", "/v1/plugins/static@0.1.1/grants", Value::Null).await.1;
    assert_eq!((&same["grants"], &same["changes"]), (&json!([]), &json!([])));

    let (status, answer) = scene.call("GET", "/v1/plugins/static@9.9.9", Value::Null).await;
    assert_eq!((status, &answer["code"]), (400, &json!("malformed")), "{answer}");
    let said = program(&scene, "inspect", "static@9.9.9").await;
    let text = String::from_utf8(said.stderr).unwrap();
    assert!(!said.status.success() && text.contains("no component here"), "{text}");
    assert_eq!(scene.events("plugin.grants").len(), 3, "each is on record");
    assert_eq!(scene.version().await, "0.1.0", "looking changes nothing");
    scene.gateway.stop().await;
}

#[tokio::test]
async fn an_older_file_is_not_taken_by_a_restart_either() {
    let scene = Scene::start().await;
    scene.until("it is kept", async || scene.is_kept("0.1.0").await).await;
    let older = versioned(built("static"), "0.0.9");
    let replaced = |directory: &Path| drop(write(directory, "static.wasm", &older));
    let scene = scene.restarted(replaced).await;
    let reason = scene.demo().await["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.contains("older than 0.1.0, which runs or ran here"), "{reason}");
    let (status, answer) = scene.activate("static@0.0.9").await;
    assert_eq!(status, 200, "who names it means it: {answer}");
    scene.reads().await;
    scene.gateway.stop().await;
}

/// A server that accepts and says nothing: what asks it waits before anything was sent.
const SILENT: &str = r#"
[backends.quiet]
plugin = "hostile"
config = { server = "https://server.test:PORT/" }
limits = { timeout = "200ms" }
[[backends.quiet.egress]]
host = "server.test"
port = PORT
methods = ["GET"]
addresses = ["127.0.0.0/8"]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_silent_server_is_not_put_into_quarantine() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let accepting = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = silent.accept().await {
            held.push(connection);
        }
    });
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
    let setup = Setup {
        blocks: SILENT.replace("PORT", &port),
        network: Some(network(&[("server.test", "127.0.0.1")])),
        clock: Some(clock.clone() as _),
        ..Setup::default()
    };
    let gateway = Gateway::start(setup).await;
    let scene = Scene { gateway, directory: tempfile::tempdir().unwrap() };
    let mut late = 0;
    while late < 12 {
        // The breaker lets one through from time to time.
        clock.advance(Duration::from_secs(10));
        let token = scene.gateway.token("alice");
        let answer = scene.gateway.get("/v1/secrets/quiet/fetch", &token).await;
        let closing = scene.gateway.closing(&answer);
        match closing["code"].as_str().unwrap() {
            "plugin_deadline" | "plugin_unavailable" | "unavailable" | "timeout" => late += 1,
            code => assert_eq!(code, "backend_breaker_open", "{closing}"),
        }
    }
    let shown = scene.shown().await;
    let quiet = shown["backends"].as_array().unwrap().iter().find(|of| of["backend"] == "quiet");
    assert_eq!(quiet.unwrap()["state"], "ready", "{shown:#}");
    assert!(scene.events("plugin.quarantine").is_empty());
    scene.gateway.stop().await;
    accepting.abort();
}

#[tokio::test]
async fn what_was_removed_is_not_gone_back_to() {
    let scene = Scene::start().await;
    scene.installed(&built("static")).await;
    scene.installed(&versioned(built("static"), "0.1.1")).await;
    assert_eq!(scene.activate("static@0.1.1").await.0, 200);
    assert_eq!(scene.demo().await["state"], "probation");
    let remove = json!({ "component": "static@0.1.0" });
    let (status, answer) = scene.call("POST", "/v1/plugins:remove", remove).await;
    assert_eq!((status, &answer["degraded"]), (200, &json!([])), "{answer}");
    assert_eq!(answer["without_way_back"], json!(["demo"]), "{answer}");
    assert_eq!(scene.demo().await["state"], "ready", "nothing stands in any more");
    scene.reads().await;
    scene.gateway.stop().await;
}

#[tokio::test]
async fn activating_what_runs_keeps_the_way_back() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
    let scene = Scene::with(BLOCKS, Some(clock.clone())).await;
    scene.installed(&versioned(built("static"), "0.1.1")).await;
    assert_eq!(scene.activate("static@0.1.1").await.0, 200);
    for _ in 0..20 {
        scene.reads().await;
    }
    clock.advance(Duration::from_secs(61));
    scene.until("its probation is over", async || scene.demo().await["state"] == "ready").await;
    assert_eq!(scene.activate("static@0.1.1").await.0, 200);
    let (status, answer) = scene.call("POST", "/v1/backends/demo/rollback", Value::Null).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(scene.version().await, "0.1.0");
    scene.gateway.stop().await;
}

#[tokio::test]
async fn what_is_installed_during_a_probation_does_not_undo_the_upgrade() {
    let scene = Scene::start().await;
    write(scene.directory.path(), "static.wasm", &versioned(built("static"), "0.1.1"));
    assert!(scene.reload().await.starts_with("swapped static@0.1.0"));
    assert_eq!(scene.demo().await["state"], "probation");
    scene.installed(&versioned(built("static"), "0.1.2")).await;
    let outcome = scene.reload().await;
    assert!(outcome.starts_with("kept static@0.1.1"), "{outcome}");
    scene.reads().await;
    scene.gateway.stop().await;
}

#[tokio::test]
async fn one_quarantined_elsewhere_gives_way_to_the_one_before() {
    let other = BLOCKS.replace("backends.demo", "backends.other");
    let scene = Scene::with(&format!("{BLOCKS}{other}"), None).await;
    let bad = trapping(versioned(built("static"), "0.2.0"), "secrets", "read");
    scene.installed(&bad).await;
    for backend in ["demo", "other"] {
        let body = json!({ "component": "static@0.2.0" });
        let path = format!("/v1/backends/{backend}/activate");
        assert_eq!(scene.call("POST", &path, body).await.0, 200);
    }
    scene
        .until("it is put back", async || {
            scene.reads().await;
            scene.version().await == "0.1.0"
        })
        .await;
    scene.until("it is held", async || !scene.events("plugin.quarantine").is_empty()).await;
    let (status, answer) = scene.call("POST", "/v1/reload", Value::Null).await;
    assert_eq!(status, 200, "{answer}");
    let outcome = answer["plugins"]["other"].as_str().unwrap();
    assert!(outcome.contains("static@0.1.0") && !outcome.contains("degraded"), "{outcome}");
    let token = scene.gateway.token("alice");
    let answer = scene.gateway.get("/v1/secrets/other/app/text", &token).await;
    assert_eq!(answer.status, 200, "{:?}", answer.json);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn one_whose_bytes_are_gone_gives_way_to_the_one_before_at_a_restart() {
    let scene = Scene::start().await;
    let newer = versioned(built("static"), "0.1.1");
    scene.installed(&newer).await;
    assert_eq!(scene.activate("static@0.1.1").await.0, 200);
    scene.until("it is kept", async || scene.is_kept("0.1.0").await).await;
    let mut shelf = scene.gateway.app.config().store.path.clone().into_os_string();
    shelf.push(".plugins");
    let bytes = Path::new(&shelf).join(format!("{}.wasm", Digest::of(&newer).hex()));
    let scene = scene.restarted(|_| std::fs::remove_file(bytes).unwrap()).await;
    assert_eq!(scene.version().await, "0.1.0");
    scene.reads().await;
    scene.gateway.stop().await;
}
