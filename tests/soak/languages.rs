//! Components in JavaScript and Python: made by their own toolchains, unchanged, and held against what
//! `static` answers.
//!
//! They come through admission as every component does: examined, compiled in the limited child, linked
//! with what [`LINKED`] names and nothing else, called once.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use symbolon_host::Inspection;
use symbolon_host::admit::MAX_COMPONENT_BYTES;
use symbolon_host::imports::LINKED;
use symbolon_tests::harness::{Answer, Asked, Gateway, Issuer, Setup, Upstream, plugins};

const HOST: &str = "store.example.test";
/// Calls that are in flight at a time, each in an instance of its own.
const TOGETHER: usize = 8;
/// Reads of which the middle one is said.
const READS: usize = 200;
/// As much memory as the documentation says to be enough for either runtime.
const ENOUGH: &str = "16MiB";
/// Less memory than either runtime starts with.
const NARROW: &str = "4MiB";
/// What is on record of a call that ended in an exception.
const DEFECT: &str = "trap";
/// What the server has of everybody: the name of whoever is asked for.
const MET: &str = "/v1/met/";
/// Longest that the server waits for the others; less than a call may take.
const MEETING: Duration = Duration::from_secs(5);

/// Who is asked for at a time: nobody is answered before all are there.
#[derive(Default)]
struct Meeting {
    arrived: Mutex<usize>,
    all: Condvar,
    /// The resident memory of this process, in KiB, when all were there.
    memory: Mutex<Option<u64>>,
}

impl Meeting {
    /// Whether everybody came.
    fn attend(&self) -> bool {
        let mut arrived = self.arrived.lock().unwrap();
        *arrived += 1;
        if *arrived == TOGETHER {
            *self.memory.lock().unwrap() = Some(resident());
        }
        self.all.notify_all();
        let missing = |arrived: &mut usize| *arrived < TOGETHER;
        let waited = self.all.wait_timeout_while(arrived, MEETING, missing).unwrap();
        !waited.1.timed_out()
    }
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The server of a store: `one`, and whoever is met.
fn answer(asked: &Asked, meeting: &Meeting) -> Response<Full<Bytes>> {
    let path = asked.line.strip_prefix("GET ").expect("a GET");
    let (status, body) = match (path, path.strip_prefix(MET)) {
        ("/v1/one", _) => (200, "far away".to_owned()),
        (_, Some(name)) if meeting.attend() => (200, format!("for {name}")),
        (_, Some(_)) => (503, String::new()),
        _ => (404, String::new()),
    };
    Response::builder().status(status).body(Full::new(Bytes::from(body))).unwrap()
}

/// A gateway with a component in one language, a neighbour in Rust, and the server of a store.
struct Scene {
    gateway: Gateway,
    server: Upstream,
    meeting: Arc<Meeting>,
    language: &'static str,
}

impl Scene {
    async fn start(language: &'static str) -> Self {
        let meeting = Arc::new(Meeting::default());
        let met = meeting.clone();
        let server = Upstream::start(&[HOST], move |asked| answer(asked, &met)).await;
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("store.pem"), &server.pem).unwrap();
        let components = directory.path().join("components");
        std::fs::create_dir(&components).unwrap();
        let static_ = plugins().join("static.wasm");
        for component in [static_, component(language)] {
            std::fs::copy(&component, components.join(component.file_name().unwrap())).unwrap();
        }
        let setup = Setup {
            blocks: blocks(language, &server),
            plugins: Some(components),
            ..Setup::default()
        };
        let issuer = Issuer::new("https://idp.example.test");
        let gateway = Gateway::start_in(directory, issuer, setup).await;
        Self { gateway, server, meeting, language }
    }

    async fn read(&self, backend: &str, path: &str) -> Answer {
        self.read_as("alice", backend, path).await
    }

    async fn read_as(&self, who: &str, backend: &str, path: &str) -> Answer {
        let token = self.gateway.token(who);
        self.gateway.get(&format!("/v1/secrets/{backend}/{path}"), &token).await
    }

    /// Status, and the code that is on record.
    async fn refused(&self, backend: &str, path: &str) -> (u16, Value) {
        let answer = self.read(backend, path).await;
        (answer.status.as_u16(), self.gateway.closing(&answer)["code"].clone())
    }

    /// How long the middle one of many reads takes, listener to audit log.
    async fn middle(&self, backend: &str) -> Duration {
        let mut took = Vec::new();
        for _ in 0..READS {
            let start = Instant::now();
            let answer = self.read(backend, "app/text").await;
            took.push(start.elapsed());
            assert_eq!(answer.json["value"], "plain", "{:?}", answer.json);
        }
        took.sort_unstable();
        took[READS / 2]
    }
}

/// A built component in this language, as `cargo xtask soak` says where.
fn component(language: &str) -> PathBuf {
    let named = symbolon::config::variable("SYMBOLON_LANGUAGES").map(PathBuf::from);
    let directory = named.expect("SYMBOLON_LANGUAGES is set by `cargo xtask soak`");
    directory.join(format!("in-{language}.wasm"))
}

/// The neighbour, the component with enough memory, and the same with less than its runtime needs.
fn blocks(language: &str, server: &Upstream) -> String {
    let rate = "{ rate = 1000000, burst = 1000000 }";
    let secrets = "{ \"app/text\" = \"plain\", \"app/deep/text\" = \"naïve\" }";
    let (port, at) = (server.address.port(), server.address);
    format!(
        r#"
[limits]
per_principal = {rate}
per_issuer = {rate}

[backends.neighbour]
plugin = "static"
config = {{ secrets = {secrets} }}

[backends.foreign]
plugin = "in-{language}"
config = {{ address = "https://{HOST}:{port}", secrets = {secrets} }}
limits = {{ memory = "{ENOUGH}" }}

[[backends.foreign.egress]]
host = "{HOST}"
port = {port}
methods = ["GET"]
addresses = ["127.0.0.0/8"]
ca = "store.pem"
resolve = {{ "{HOST}" = "{at}" }}

[backends.narrow]
plugin = "in-{language}"
config = {{ secrets = {secrets} }}
limits = {{ memory = "{NARROW}" }}
"#
    )
}

/// What is answered by the component, but for whose it is, is what `static` answers.
async fn answers_what_static_answers(scene: &Scene) {
    for path in ["app/text", "app/deep/text"] {
        let mut answers = [Value::Null, Value::Null];
        for (answer, backend) in answers.iter_mut().zip(["foreign", "neighbour"]) {
            let got = scene.read(backend, path).await;
            assert_eq!(got.status, StatusCode::OK, "{backend}: {:?}", got.json);
            assert_eq!(scene.gateway.closing(&got)["code"], "ok");
            *answer = got.json;
            let members = answer.as_object_mut().unwrap();
            assert_eq!(members.remove("backend"), Some(json!(backend)));
            members.remove("metadata");
        }
        assert_eq!(answers[0], answers[1], "{path}");
    }
    let list = async |backend| scene.read(backend, "app/?list").await.json["names"].clone();
    assert_eq!(list("foreign").await, json!(["deep/", "text"]));
    assert_eq!(list("foreign").await, list("neighbour").await);
}

/// A request over the host's HTTP, with the id that the audit log has.
async fn reads_over_the_hosts_http(scene: &Scene) {
    let answer = scene.read("foreign", "remote/one").await;
    assert_eq!(answer.json["value"], "far away", "{:?}", answer.json);
    let asked = scene.server.asked().pop().expect("a request");
    assert_eq!(asked.line, "GET /v1/one");
    assert_eq!(asked.headers["x-request-id"], answer.headers["x-request-id"]);
}

async fn refuses_what_is_not_there(scene: &Scene) {
    for path in ["app/absent", "remote/absent", "app/text?version=7"] {
        assert_eq!(scene.refused("foreign", path).await, (403, json!("absent")), "{path}");
    }
    let asked = ["app/text", "app/absent", "remote/one", "remote/absent"];
    let asked = asked.map(|path| json!({ "backend": "foreign", "path": path }));
    let body = Bytes::from(json!({ "secrets": asked }).to_string());
    let token = scene.gateway.token("alice");
    let batch = scene.gateway.ask(Method::POST, "/v1/secrets:batch", Some(&token), body).await;
    let results = batch.json["results"].as_array().unwrap();
    let values = results.iter().map(|result| result["secret"]["value"].clone());
    assert_eq!(values.collect::<Value>(), json!(["plain", null, "far away", null]));
    assert_eq!(results[1]["problem"]["code"], "denied");
}

/// An exception that is no error of the contract ends that call, is on record, and nothing else.
async fn a_defect_ends_one_call(scene: &Scene) {
    assert_eq!(scene.refused("foreign", "defect").await, (500, json!(DEFECT)));
    assert_eq!(scene.read("neighbour", "app/text").await.json["value"], "plain");
    assert_eq!(scene.read("foreign", "app/text").await.json["value"], "plain");
}

/// Several callers at a time, none of whom is answered before all are there: each has their own. What
/// one of them costs in memory, in KiB.
async fn callers_do_not_meet(scene: &Scene) -> u64 {
    let before = resident();
    let reads = (0..TOGETHER).map(async |number| {
        let (who, path) = (format!("caller-{number}"), format!("remote/met/{number}"));
        (number, scene.read_as(&who, "foreign", &path).await)
    });
    for (number, answer) in futures_util::future::join_all(reads).await {
        assert_eq!(answer.json["value"], format!("for {number}"), "{:?}", answer.json);
    }
    let during = scene.meeting.memory.lock().unwrap().expect("a meeting");
    during.saturating_sub(before) / u64::try_from(TOGETHER).unwrap()
}

/// Every call begins from the same image of memory, and yet none repeats what is random in another.
async fn chance_is_never_repeated(scene: &Scene) {
    let drawn = async || scene.read("foreign", "chance").await.json["value"].to_string();
    let (one, other) = (drawn().await, drawn().await);
    assert!(one.contains(' '), "{one}");
    for (one, other) in one.split(' ').zip(other.split(' ')) {
        assert_ne!(one, other, "drawn twice");
    }
}

/// With less memory than the runtime needs the backend is degraded, and says so; the others are served.
async fn too_little_memory_degrades_one_backend(scene: &Scene) {
    assert_eq!(scene.refused("narrow", "app/text").await, (503, json!("backend_degraded")));
    assert_eq!(scene.read("neighbour", "app/text").await.json["value"], "plain");
}

/// Everything that it imports is in the table of what is linked.
fn imports_what_is_linked(bytes: &[u8]) -> usize {
    let inspection = Inspection::of(bytes, MAX_COMPONENT_BYTES).expect("an admissible component");
    let names = inspection.imports.iter().map(|import| import.split_once('@').unwrap().0);
    let names: BTreeSet<_> = names.collect();
    let linked: BTreeSet<_> = LINKED.iter().map(|row| row.name).collect();
    assert!(names.is_subset(&linked), "{:?}", names.difference(&linked));
    assert!(names.contains("wasi:http/outgoing-handler"), "{names:?}");
    assert!(names.contains("wasi:filesystem/preopens"), "a language runtime: {names:?}");
    names.len()
}

async fn serves(language: &'static str) {
    let bytes = std::fs::read(component(language)).expect("a built component");
    let imports = imports_what_is_linked(&bytes);
    let start = Instant::now();
    let scene = Scene::start(language).await;
    let ready = start.elapsed();
    answers_what_static_answers(&scene).await;
    reads_over_the_hosts_http(&scene).await;
    refuses_what_is_not_there(&scene).await;
    a_defect_ends_one_call(&scene).await;
    chance_is_never_repeated(&scene).await;
    too_little_memory_degrades_one_backend(&scene).await;
    let each = callers_do_not_meet(&scene).await;
    let (own, rust) = (scene.middle("foreign").await, scene.middle("neighbour").await);
    println!(
        "soak: {}: {} bytes, {imports} imports, ready after {:.1} s, a read {} us (static: {} us), \
         {each} KiB a call in flight",
        scene.language,
        bytes.len(),
        ready.as_secs_f64(),
        own.as_micros(),
        rust.as_micros()
    );
    scene.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
#[ignore = "takes minutes: `cargo xtask soak` runs it"]
async fn a_component_in_javascript_serves_as_one_in_rust() {
    serves("javascript").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
#[ignore = "takes minutes: `cargo xtask soak` runs it"]
async fn a_component_in_python_serves_as_one_in_rust() {
    serves("python").await;
}
