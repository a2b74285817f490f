//! What a gateway keeps on its disk of components that come and go, and what it lets go.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use symbolon_tests::harness::component::{built, versioned, write};
use symbolon_tests::harness::{Gateway, Setup};
use tempfile::TempDir;

use crate::attacks::wire::admin;

const BLOCKS: &str =
    "[backends.demo]\nplugin = \"static\"\nconfig = { secrets = { \"app/text\" = \"plain\" } }\n";
const TRUST: &str = "unsigned = [\"static\"]\ncache = \"code\"\n";
const PATIENCE: Duration = Duration::from_secs(60);
/// Copies that nobody needs: `symbolon::catalog::SPARE_COPIES`.
const SPARE: usize = 3;

fn setup(directory: &TempDir) -> Setup {
    Setup {
        blocks: BLOCKS.to_owned(),
        plugins: Some(directory.path().to_owned()),
        trust: Some(TRUST.to_owned()),
        ..Setup::default()
    }
}

/// The versions that there are bytes of, and the state of each.
async fn versions(gateway: &Gateway) -> Vec<(String, String)> {
    let shown = admin(gateway, "GET", "/v1/plugins", "").await.json();
    let text = |of: &Value| of.as_str().unwrap_or_default().to_owned();
    let kept = shown["components"].as_array().unwrap().iter();
    let kept = kept.filter(|of| of["signed_by"].is_array());
    kept.map(|of| (text(&of["version"]), text(&of["state"]))).collect()
}

async fn until(what: &str, done: impl AsyncFn() -> bool) {
    let waiting = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what}");
}

fn count(directory: &Path, end: &str) -> usize {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    entries.filter(|name| name.to_str().unwrap().ends_with(end)).count()
}

fn places(gateway: &Gateway) -> (PathBuf, PathBuf) {
    let home = gateway.directory.path();
    (home.join("code"), home.join("store.plugins"))
}

async fn reads(gateway: &Gateway) {
    let answer = gateway.get("/v1/secrets/demo/app/text", &gateway.token("alice")).await;
    assert_eq!(answer.status, 200, "{:?}", answer.json);
}

#[tokio::test]
async fn a_directory_that_changes_again_and_again_does_not_fill_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "static.wasm", &built("static"));
    let gateway = Gateway::start(setup(&directory)).await;
    let (code, copies) = places(&gateway);
    for patch in 1..=6 {
        let before = format!("0.1.{}", patch - 1);
        let is_kept = async || versions(&gateway).await.iter().any(|(of, _)| *of == before);
        until("what is in use is kept", is_kept).await;
        let newer = versioned(built("static"), &format!("0.1.{patch}"));
        write(directory.path(), "static.wasm", &newer);
        gateway.app.reload().await.unwrap();
        reads(&gateway).await;
    }
    // The last one, the first one, to which it would go back, and the newest others.
    let expected = ["0.1.0", "0.1.3", "0.1.4", "0.1.5", "0.1.6"];
    assert_eq!(expected.len(), 2 + SPARE);
    let is_tidy = async || {
        let mut kept: Vec<_> = versions(&gateway).await.into_iter().map(|(of, _)| of).collect();
        kept.sort();
        kept == expected && count(&copies, ".wasm") == 5 && count(&code, ".cwasm") == 5
    };
    until("what is superfluous goes", is_tidy).await;
    reads(&gateway).await;

    // What crashes and other builds have left goes after a start.
    let (home, issuer) = gateway.stop().await;
    let one = std::fs::read_dir(&code).unwrap().next().unwrap().unwrap().path();
    let name = one.file_name().unwrap().to_str().unwrap();
    let (digest, _) = name.split_once('-').unwrap();
    std::fs::write(code.join(format!("{digest}-0123456789abcdef.cwasm")), "older").unwrap();
    std::fs::write(code.join(format!("{}-0123456789abcdef.cwasm", "0".repeat(64))), "").unwrap();
    std::fs::write(code.join(format!("{name}.17.draft")), "half").unwrap();
    std::fs::write(copies.join(format!("{digest}.wasm.sig.draft")), "half").unwrap();
    let gateway = Gateway::start_in(home, issuer, setup(&directory)).await;
    let is_clean = async || {
        count(&code, "") == count(&code, ".cwasm")
            && count(&code, "-0123456789abcdef.cwasm") == 0
            && count(&copies, ".draft") == 0
    };
    until("what was left goes", is_clean).await;
    reads(&gateway).await;
    gateway.stop().await;
}
