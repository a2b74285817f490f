//! Commands that give tokens of targets to libraries of clouds, as they are typed; and assertions for
//! those libraries that exchange themselves.

use std::path::PathBuf;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Value, json};
use symbolon_tests::harness::{Gateway, Setup, private};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::commands::binary;
use super::tokens::{JWT, error, exchange};

const TARGETS: &str = r#"
[targets.cloud]
plugin = "hostile"
audience = "https://cloud.example.test"
ttl = "10m"

[targets.handed]
plugin = "hostile"
audience = "https://handed.example.test"
subject = "caller"
assertion = "deliver"
ttl = "30m"
scopes = ["ok"]
"#;

fn setup() -> Setup {
    Setup { blocks: TARGETS.to_owned(), ..Setup::default() }
}

fn claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).expect("claims");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64")).expect("JSON")
}

#[tokio::test]
async fn an_assertion_is_handed_out_by_the_targets_whose_operator_says_so_alone() {
    let gateway = Gateway::start(setup()).await;
    let alice = gateway.token("alice");
    let asked = |target: &'static str| [("audience", target), ("requested_token_type", JWT)];
    let answer = exchange(&gateway, &alice, &asked("handed")).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.json);
    assert_eq!(
        (&answer.json["issued_token_type"], &answer.json["token_type"]),
        (&json!(JWT), &json!("N_A"))
    );
    assert_eq!(answer.json["revocable"], false);
    let claims = claims(answer.json["access_token"].as_str().expect("a token"));
    assert_eq!(
        (&claims["aud"], &claims["sub"]),
        (&json!("https://handed.example.test"), &json!("test/alice"))
    );
    let lasts = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(lasts, 900, "not the half hour that the target's tokens have");
    let listed = gateway.get("/v1/leases", &alice).await;
    assert_eq!(listed.json["leases"][0]["id"], answer.json["lease_id"]);
    assert_eq!(listed.json["leases"][0]["backend"], "handed");
    assert_eq!(gateway.closing(&answer)["lease"], answer.json["lease_id"]);

    let kept = exchange(&gateway, &alice, &asked("cloud")).await;
    assert_eq!(error(&kept), (400, "invalid_request"), "{:?}", kept.json);
    let scoped = [&asked("handed")[..], &[("scope", "ok")]].concat();
    let scoped = exchange(&gateway, &alice, &scoped).await;
    assert_eq!(error(&scoped), (400, "invalid_scope"), "an assertion has none");
    let plain = exchange(&gateway, &alice, &[("audience", "handed")]).await;
    assert_eq!(plain.json["access_token"], "fine", "who asks for nothing else gets the token");
    gateway.stop().await;
}

#[tokio::test]
async fn an_assertion_lasts_no_longer_than_a_policy_permits() {
    let policies = r#"@id("short") @ttl_max("2m")
permit (principal == Workload::"test/alice", action == Action::"exchange", resource == Target::"handed");"#;
    let gateway = Gateway::start(Setup { policies: Some(policies.to_owned()), ..setup() }).await;
    let asked = [("audience", "handed"), ("requested_token_type", JWT)];
    let answer = exchange(&gateway, &gateway.token("alice"), &asked).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.json);
    let claims = claims(answer.json["access_token"].as_str().expect("a token"));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 120);
    let denied = exchange(&gateway, &gateway.token("bob"), &asked).await;
    assert_eq!(error(&denied), (400, "invalid_target"));
    gateway.stop().await;
}

/// `symbolon credential serve`, running.
struct Sidecar {
    process: Child,
    address: String,
    authorization: String,
}

fn face(gateway: &Gateway) -> Vec<String> {
    let file = |name: &str| gateway.directory.path().join(name).to_str().unwrap().to_owned();
    private(&PathBuf::from(file("platform-token")), &gateway.token("alice"));
    let url = format!("https://localhost:{}", gateway.address.port());
    ["--url", &url, "--ca", &file("tls.pem"), "--token-file", &file("platform-token")]
        .map(str::to_owned)
        .to_vec()
}

impl Sidecar {
    async fn start(gateway: &Gateway, arguments: &[&str]) -> Self {
        let mut command = Command::new(binary());
        command.args(["credential", "serve", "--output", "json"]).args(arguments);
        command.args(face(gateway)).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().expect("it runs");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let mut text = String::new();
        let told: Value = loop {
            text += &lines.next_line().await.expect("a line").expect("more");
            if let Ok(told) = serde_json::from_str(&text) {
                break told;
            }
        };
        let file = told["authorization_file"].as_str().expect("a file");
        let authorization = std::fs::read_to_string(file).expect("the token");
        let address = told["listen"].as_str().expect("an address").to_owned();
        Self { process, address, authorization }
    }

    /// Status and body of what is answered to these lines.
    async fn raw(&self, path: &str, lines: &[String]) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).await.expect("a connection");
        let request = format!("GET {path} HTTP/1.1\r\n{}\r\n\r\n", lines.join("\r\n"));
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains("cache-control: no-store"), "{head}");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), serde_json::from_str(body).expect("JSON"))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let host = format!("host: {}", self.address);
        self.raw(path, &[host, format!("authorization: {}", self.authorization)]).await
    }
}

#[tokio::test]
async fn a_token_is_served_to_who_shows_the_authorization_and_exchanged_once() {
    let gateway = Gateway::start(setup()).await;
    let mut sidecar = Sidecar::start(&gateway, &["cloud", "handed"]).await;
    let asked = || sidecar.get("/credentials/cloud");
    let answers = tokio::join!(asked(), asked(), asked(), asked());
    for (status, body) in [answers.0, answers.1, answers.2, answers.3, asked().await] {
        assert_eq!((status, &body["access_token"]), (200, &json!("fine")), "{body}");
        assert!((590..=600).contains(&body["expires_in"].as_u64().unwrap()), "{body}");
    }
    let leases = gateway.get("/v1/leases", &gateway.token("alice")).await;
    assert_eq!(leases.json["leases"].as_array().unwrap().len(), 1, "one exchange for all");

    let (status, body) = sidecar.get("/assertions/handed").await;
    assert_eq!(status, 200, "{body}");
    let token = body["id_token"].as_str().expect("an assertion");
    assert_eq!(claims(token)["sub"], "test/alice");
    let ends = claims(token)["exp"].as_i64().unwrap();
    let said = body["expiration_time"].as_i64().unwrap();
    assert!((ends - 5..=ends).contains(&said), "{said} is not {ends}, or later");
    let (status, body) = sidecar.get("/assertions/cloud").await;
    assert_eq!(status, 502, "it keeps its assertions: {body}");

    let host = format!("host: {}", sidecar.address);
    let shown = format!("authorization: {}", sidecar.authorization);
    for (lines, expected) in [
        (vec![host.clone()], 401),
        (vec![host.clone(), "authorization: guessed".to_owned()], 401),
        (vec!["host: rebound.example".to_owned(), shown.clone()], 403),
        (vec![host.clone(), shown.clone(), "x-forwarded-for: 192.0.2.1".to_owned()], 403),
    ] {
        assert_eq!(sidecar.raw("/credentials/cloud", &lines).await.0, expected, "{lines:?}");
    }
    assert_eq!(sidecar.get("/credentials/unserved").await.0, 404);

    let id = sidecar.process.id().and_then(|id| i32::try_from(id).ok()).expect("it runs");
    let id = rustix::process::Pid::from_raw(id).expect("an id");
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("told");
    assert!(sidecar.process.wait().await.expect("an end").success());
    gateway.stop().await;
}

#[tokio::test]
async fn a_file_has_an_assertion_from_the_start_on() {
    let gateway = Gateway::start(setup()).await;
    let file = gateway.directory.path().join("azure-token");
    let kept = format!("handed={}", file.display());
    let sidecar = Sidecar::start(&gateway, &["--assertion-file", &kept]).await;
    let served = async { sidecar.get("/assertions/handed").await.1 };
    let token = served.await["id_token"].as_str().expect("an assertion").to_owned();
    let written = async {
        loop {
            match std::fs::read_to_string(&file) {
                Ok(text) => break text,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    assert_eq!(written.await, token, "what is in hand is what is served");
    gateway.stop().await;
}

async fn run(arguments: Vec<String>) -> (bool, String, String) {
    let output = Command::new(binary()).args(arguments).output().await.expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.success(), text(output.stdout), text(output.stderr))
}

fn line(text: &str, more: Vec<String>) -> Vec<String> {
    text.split(' ').map(str::to_owned).chain(more).collect()
}

#[tokio::test]
async fn what_fails_leaves_standard_output_empty() {
    let gateway = Gateway::start(setup()).await;
    for command in ["credential aws cloud", "credential aws nowhere", "credential google cloud"] {
        let (succeeded, out, err) = run(line(command, face(&gateway))).await;
        assert!(!succeeded && out.is_empty(), "{command}: {out}");
        assert!(err.starts_with("error: "), "{command}: {err}");
        assert!(!err.contains("fine"), "{command}: {err}");
    }
    let (succeeded, out, err) = run(line("credential google handed", face(&gateway))).await;
    assert!(succeeded, "{err}");
    let shown: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&shown["version"], &shown["success"]), (&json!(1), &json!(true)));
    let open = line("credential serve cloud --listen 0.0.0.0:0", face(&gateway));
    assert!(!run(open).await.0, "loopback only");
    gateway.stop().await;
}

#[tokio::test]
async fn targets_are_shown_as_they_are_in_force_and_as_they_are_written() {
    let gateway = Gateway::start(setup()).await;
    let file = |name: &str| gateway.directory.path().join(name).to_str().unwrap().to_owned();
    let live = vec!["--socket".to_owned(), file("admin.sock")];
    let written = vec!["--config".to_owned(), file("symbolon.toml")];
    for (source, state) in [(live, json!("ready")), (written, Value::Null)] {
        let (succeeded, out, err) = run(line("target ls --output json", source.clone())).await;
        assert!(succeeded, "{err}");
        let shown: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!((&shown[0]["target"], &shown[0]["state"]), (&json!("cloud"), &state));
        assert_eq!(shown[1]["delivers_assertion"], true);
        let (succeeded, out, err) = run(line("target trust cloud", source.clone())).await;
        assert!(succeeded, "{err}");
        for part in
            ["gateway:cloud", "https://cloud.example.test", "https://gw.example.test/assertions"]
        {
            assert!(out.contains(part), "{part}: {out}");
        }
        let (succeeded, out, _) = run(line("target configure cloud --for aws-sdk", source)).await;
        assert!(!succeeded && out.is_empty(), "it gives no keys of AWS");
    }
    gateway.stop().await;
}
