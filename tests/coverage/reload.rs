//! A reload is taken as a whole or not at all, and says what it changed or what is wrong where.

use std::path::PathBuf;
use std::sync::Arc;

use http::StatusCode;
use symbolon_core::clock::{ManualClock, Timestamp};
use symbolon_tests::harness::{Gateway, Setup};

use crate::attacks::DEMO;
use crate::attacks::wire::admin;

const READ: &str = "/v1/secrets/demo/app/text";

fn edit(file: PathBuf, from: &str, to: &str) {
    let text = std::fs::read_to_string(&file).expect("a file");
    assert!(text.contains(from), "{from} is not in {}", file.display());
    std::fs::write(&file, text.replacen(from, to, 1)).expect("written");
}

async fn value(gateway: &Gateway) -> String {
    let answer = gateway.get(READ, &gateway.token("alice")).await;
    assert_eq!(answer.status, StatusCode::OK);
    answer.json["value"].as_str().expect("a value").to_owned()
}

#[tokio::test]
async fn a_good_configuration_is_taken_and_its_changes_are_shown() {
    let gateway = Gateway::start(Setup { blocks: DEMO.to_owned(), ..Setup::default() }).await;
    let file = gateway.directory.path().join("symbolon.toml");
    assert_eq!(value(&gateway).await, "plain");
    edit(file, "= \"plain\"", "= \"changed\"");
    let reply = admin(&gateway, "POST", "/v1/reload", "").await;
    let changes = reply.json()["changes"].to_string();
    assert_eq!(reply.status, 200, "{changes}");
    assert!(changes.contains("~ backends.demo.config"), "{changes}");
    assert!(!changes.contains("changed\\\""), "values are not shown: {changes}");
    assert_eq!(value(&gateway).await, "changed");
    let lines = gateway.audit();
    let done = lines.iter().rfind(|line| line["operation"] == "reload").expect("on record");
    let shown = done["details"]["changes"].as_str().expect("what changed");
    assert!(shown.contains("backends.demo.config"), "{done}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_broken_configuration_is_refused_at_its_line_and_the_old_stays() {
    for (name, from, to, place, key) in [
        ("syntax", "[admin]", "[admin", "symbolon.toml:", ""),
        (
            "an unknown key",
            "[limits]",
            "[limits]\nper_proncipal = 1",
            "symbolon.toml:",
            "per_proncipal",
        ),
        ("a bad value", "rate = 1000000", "rate = \"many\"", "symbolon.toml:", "rate"),
    ] {
        let gateway = Gateway::start(Setup { blocks: DEMO.to_owned(), ..Setup::default() }).await;
        let file = gateway.directory.path().join("symbolon.toml");
        edit(file.clone(), "= \"plain\"", "= \"changed\"");
        edit(file, from, to);
        refused(&gateway, name, place, key).await;
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_broken_policy_is_refused_at_its_line_and_the_old_stays() {
    let gateway = Gateway::start(Setup { blocks: DEMO.to_owned(), ..Setup::default() }).await;
    let directory = gateway.directory.path().to_owned();
    edit(directory.join("symbolon.toml"), "= \"plain\"", "= \"changed\"");
    edit(directory.join("test.cedar"), "permit (", "\n\npermit (principle == 1, ");
    refused(&gateway, "syntax", "test.cedar:", "").await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_reload_gives_nobody_a_new_burst_unless_the_rate_is_another() {
    // A drop an hour: nothing comes back while the test runs.
    let limits = "[limits]\nper_principal = { rate = 1, burst = 3 }\n";
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
    let backend = "[backends.demo]\nplugin = \"static\"\nconfig = { secrets = { \"app/text\" = \"plain\" } }\n";
    let blocks = format!("{limits}{backend}");
    let gateway = Gateway::start(Setup { blocks, clock: Some(clock), ..Setup::default() }).await;
    let token = gateway.token("alice");
    let status = async || gateway.get(READ, &token).await.status.as_u16();
    let until_refused = [status().await, status().await, status().await, status().await];
    assert_eq!(until_refused, [200, 200, 200, 429]);
    let file = gateway.directory.path().join("symbolon.toml");
    edit(file.clone(), "= \"plain\"", "= \"changed\"");
    assert_eq!(admin(&gateway, "POST", "/v1/reload", "").await.status, 200);
    assert_eq!(status().await, 429, "what was charged counts on");
    edit(file, "burst = 3", "burst = 4");
    assert_eq!(admin(&gateway, "POST", "/v1/reload", "").await.status, 200);
    assert_eq!(status().await, 200);
    gateway.stop().await;
}

#[tokio::test]
async fn what_only_a_restart_can_change_is_refused_by_name() {
    let gateway = Gateway::start(Setup { blocks: DEMO.to_owned(), ..Setup::default() }).await;
    let directory = gateway.directory.path().to_owned();
    edit(directory.join("symbolon.toml"), "= \"plain\"", "= \"changed\"");
    edit(directory.join("symbolon.toml"), "\"16MiB\"", "\"32MiB\"");
    refused(&gateway, "the store's cache", "store.cache", "restart").await;
    gateway.stop().await;
}

async fn refused(gateway: &Gateway, name: &str, place: &str, key: &str) {
    let bundle = |reply: serde_json::Value| reply["policy_bundle"].clone();
    let before = bundle(admin(gateway, "GET", "/v1/status", "").await.json());
    let reply = admin(gateway, "POST", "/v1/reload", "").await;
    let detail = reply.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert_eq!(reply.status, 400, "{name}: {detail}");
    assert!(detail.contains(place) && detail.contains(key), "{name}: {detail}");
    if let Some((_, rest)) = detail.split_once(place).filter(|_| place.ends_with(':')) {
        assert!(rest.starts_with(|c: char| c.is_ascii_digit()), "{name}: no line in {detail}");
    }
    assert_eq!(value(gateway).await, "plain", "{name}: half of it was taken");
    assert_eq!(before, bundle(admin(gateway, "GET", "/v1/status", "").await.json()), "{name}");
    let lines = gateway.audit();
    let last = lines.iter().rfind(|line| line["operation"] == "reload").expect("on record");
    assert_eq!((last["outcome"].as_str(), last["code"].as_str()), (Some("error"), Some("refused")));
}
