//! A gateway that must not start, and what it says instead.

use std::path::Path;
use std::sync::Arc;

use symbolon::app::{Bound, Surroundings, chain};
use symbolon::config::Config;
use symbolon::time::SystemClock;
use symbolon_host::egress::Network;
use symbolon_tests::harness::{Gateway, Issuer, Setup, binary, lay_out, private};
use tempfile::TempDir;

/// Tries to start what `file` configures and answers why that fails.
async fn refusal(file: &Path) -> String {
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(faults) => return faults.to_string(),
    };
    let network = Network::system().unwrap();
    let clock = Arc::new(SystemClock::start());
    let surroundings = Surroundings { clock, network, compiler: binary() };
    match Box::pin(Bound::start(config, surroundings)).await {
        Ok(_) => panic!("it started"),
        Err(error) => chain(&error),
    }
}

/// The number of the line of `file` that holds `text`.
fn line_of(file: &Path, text: &str) -> usize {
    let content = std::fs::read_to_string(file).unwrap();
    content.lines().position(|line| line.contains(text)).unwrap() + 1
}

fn fresh(setup: &Setup) -> (TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let file = lay_out(directory.path(), &Issuer::new("https://idp.example.test"), setup);
    (directory, file)
}

#[tokio::test]
async fn every_fault_of_a_configuration_is_named_with_file_line_and_key() {
    let setup = Setup {
        server: "request_timout = \"3s\"\nheader_timeout = \"soon\"".to_owned(),
        blocks: "[backends.demo]\nplugin = \"static\"\nlimits = { memory = \"2 kB\" }\n".to_owned(),
        ..Setup::default()
    };
    let (_directory, file) = fresh(&setup);
    let said = refusal(&file).await;
    for (text, key) in [
        ("request_timout", "server.request_timout"),
        ("soon", "server.header_timeout"),
        ("2 kB", "backends.demo.limits.memory"),
    ] {
        let place = format!("{}:{}:", file.display(), line_of(&file, text));
        let found = said.lines().any(|line| line.starts_with(&place) && line.contains(key));
        assert!(found, "no `{place}…{key}` in:\n{said}");
    }
}

#[tokio::test]
async fn a_broken_policy_is_named_with_file_and_line() {
    for (policy, line) in [
        ("@id(\"a\")\npermit (principal, action, resource)\nwhen { principal.team == }", 3),
        ("@id(\"a\")\npermit (principal, action, resource)\nwhen { principal.taem == \"x\" };", 3),
    ] {
        let setup = Setup { policies: Some(policy.to_owned()), ..Setup::default() };
        let (_directory, file) = fresh(&setup);
        let said = refusal(&file).await;
        assert!(said.contains(&format!("test.cedar:{line}")), "{said}");
    }
}

/// A directory in which a gateway has run, and its configuration.
async fn used() -> (TempDir, std::path::PathBuf) {
    let (directory, _) = Gateway::start(Setup::default()).await.stop().await;
    let file = directory.path().join("symbolon.toml");
    (directory, file)
}

#[tokio::test]
async fn without_its_seal_a_store_stays_shut_and_nothing_new_is_made() {
    let (directory, file) = used().await;
    let seal = directory.path().join("seal.key");
    let kept = std::fs::read_to_string(&seal).unwrap();
    std::fs::remove_file(&seal).unwrap();
    let said = refusal(&file).await;
    let expected = format!("the seal `{}` is missing and the store needs it", seal.display());
    assert!(said.contains(&expected), "{said}");
    assert!(!seal.exists(), "a new seal was made over a store that has one");

    let (other, _) = used().await;
    private(&seal, &std::fs::read_to_string(other.path().join("seal.key")).unwrap());
    let said = refusal(&file).await;
    assert!(said.contains("is not the one that this store was sealed with"), "{said}");

    std::fs::write(&seal, "not a key\n").unwrap();
    let said = refusal(&file).await;
    assert!(said.contains("line 1 of the seal"), "{said}");
    assert!(!said.contains("not a key\n"), "{said}");

    std::fs::write(&seal, &kept).unwrap();
    std::process::Command::new("chmod").arg("644").arg(&seal).status().unwrap();
    let said = refusal(&file).await;
    assert!(said.contains("chmod"), "{said}");

    private(&seal, &kept);
    let gateway =
        Gateway::start_in(directory, Issuer::new("https://idp.example.test"), Setup::default());
    gateway.await.stop().await;
}

#[tokio::test]
async fn what_another_process_uses_is_not_shared() {
    let gateway = Gateway::start(Setup::default()).await;
    let file = gateway.directory.path().join("symbolon.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let said = refusal(&file).await;
    assert!(said.contains("admin.sock"), "{said}");
    let second = gateway.directory.path().join("second.toml");
    std::fs::write(&second, text.replace("admin.sock", "second.sock")).unwrap();
    let said = refusal(&second).await;
    assert!(said.contains("is in use by another process"), "{said}");
    gateway.stop().await;
}
