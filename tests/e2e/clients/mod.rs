//! Clients of others at the token endpoint: they take what it answers for what the RFCs say.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use symbolon_tests::harness::{Gateway, ORIGIN, Setup};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::parts::part;

/// Runs the script with what it is asked, and answers what it prints.
async fn run(asked: &Value, certificate: &Path) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/clients/exchange.py");
    let mut python = Command::new(part("SYMBOLON_OAUTH_CLIENTS"));
    python.arg(script).env("REQUESTS_CA_BUNDLE", certificate).env("NO_PROXY", "localhost");
    python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut running = python.spawn().expect("the clients start");
    let mut input = running.stdin.take().expect("standard input");
    input.write_all(asked.to_string().as_bytes()).await.expect("the clients read");
    drop(input);
    let output = running.wait_with_output().await.expect("the clients end");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test]
async fn clients_of_others_exchange_tokens_and_understand_refusals() {
    let gateway = Gateway::start(Setup::default()).await;
    let asked = json!({
        "url": format!("https://localhost:{}", gateway.address.port()),
        "token": gateway.token("alice"),
        "client": "test/alice",
        "audience": ORIGIN,
    });
    let got = run(&asked, &gateway.directory.path().join("tls.pem")).await;
    for client in ["google", "authlib"] {
        let answer = &got[client];
        assert_eq!(answer["token_type"], "Bearer", "{client}: {got}");
        let token = answer["access_token"].as_str().expect("a token");
        let listed = gateway.get("/v1/leases", token).await;
        assert_eq!(listed.status, 200, "{client}: {:?}", listed.json);
    }
    assert_eq!(got["refused"], "invalid_target");
    gateway.stop().await;
}
