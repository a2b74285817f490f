//! The real binary, killed and asked to stop.

mod components;
mod damage;
mod leases;
mod ledger;
mod load;
mod quota;
mod recovery;
mod registry;
mod root_login;
mod signals;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use serde_json::Value;
use symbolon::app::offline::audit_anchor;
use symbolon::audit::{files_in_order, verify_files};
use symbolon::config::Config;
use symbolon::time::SystemClock;
use symbolon_core::audit::Verdict;
use symbolon_tests::harness::process::{Client, Home, Running};
use tokio::task::JoinSet;

pub(crate) use self::load::killed_with_leases;
use crate::hostile::upstream::Upstream;

const ROUNDS: usize = 20;
const CLIENTS: usize = 6;

/// Less than `bound`, at random.
fn roll(bound: u64) -> u64 {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).unwrap();
    u64::from_ne_bytes(bytes) % bound
}

/// Between `least` and `least + spread` milliseconds.
fn some_time(least: u64, spread: u64) -> Duration {
    Duration::from_millis(least + roll(spread))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_the_store_opens_the_chain_holds_and_no_answer_is_unrecorded() {
    killed(ROUNDS).await;
}

/// Kills a gateway under load so often, and looks each time at what it left; answers how many
/// requests it had answered.
pub(crate) async fn killed(rounds: usize) -> usize {
    let home = Home::new("");
    let mut answered = BTreeSet::new();
    for round in 0..rounds {
        let mut running = home.start().await;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(ask_without_end(running.client(), home.token(), seen.clone()));
        }
        tokio::time::sleep(some_time(100, 500)).await;
        running.signal(rustix::process::Signal::KILL);
        running.ended().await;
        clients.shutdown().await;
        answered.extend(seen.lock().unwrap().drain(..));
        assert!(!answered.is_empty() || round < 3, "nobody was ever answered");
        assert_whole(home.path(), &answered, round).await;
    }
    assert!(answered.len() >= rounds * CLIENTS, "only {} answers", answered.len());
    // And once more it serves.
    let running = home.start().await;
    assert_eq!(running.read(&home.token(), "demo/app/text").await.unwrap().0, 200);
    running.stop().await;
    assert_whole(home.path(), &answered, rounds).await;
    answered.len()
}

/// Reads until the gateway is gone; remembers the id of each request that was answered.
async fn ask_without_end(client: Client, token: String, seen: Arc<Mutex<Vec<String>>>) {
    while let Ok((status, id, _)) = client.read(&token, "demo/app/text").await {
        assert_eq!(status, 200);
        seen.lock().unwrap().push(id);
    }
}

/// Opens the store as the next start would, verifies the log against it, and looks for the closing
/// line of every answered request.
async fn assert_whole(home: &Path, answered: &BTreeSet<String>, round: usize) {
    let config = Config::load(&home.join("symbolon.toml")).unwrap();
    let anchor = audit_anchor(&config, Arc::new(SystemClock::start())).await.unwrap();
    let files = files_in_order(&config.audit.directory).unwrap();
    let report = verify_files(&files, anchor).unwrap();
    assert_ne!(report.verdict(), Verdict::Tampered, "round {round}: {report:?}");
    let mut closed = BTreeSet::new();
    for file in files {
        for line in std::fs::read_to_string(file).unwrap().lines() {
            // The last line may be torn.
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            if line["kind"] == "request.close" && line["outcome"] == "allow" {
                closed.insert(line["request"].as_str().unwrap().to_owned());
            }
        }
    }
    let lost: Vec<_> = answered.difference(&closed).collect();
    assert!(lost.is_empty(), "round {round}: answered and not on record: {lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_ends_what_runs_and_takes_nothing_new() {
    let upstream = Upstream::start().await;
    let home = Home::new(&gate(upstream.address.port()));
    let mut running = home.start().await;
    let mut open = JoinSet::new();
    for _ in 0..4 {
        let (client, token) = (running.client(), home.token());
        open.spawn(async move { client.read(&token, "gate/fetch").await });
    }
    upstream.reached(4).await;
    running.signal(rustix::process::Signal::TERM);
    // A new connection is refused once the listener is closed, with the old ones still open.
    let refused = async {
        while running.fresh_client().read(&home.token(), "demo/app/text").await.is_ok() {}
    };
    tokio::time::timeout(Duration::from_secs(10), refused).await.unwrap();
    assert!(running.is_running());
    upstream.open_gate();
    let mut answered = BTreeSet::new();
    while let Some(answer) = open.join_next().await {
        let (status, id, _) = answer.unwrap().unwrap();
        assert_eq!(status, 200);
        answered.insert(id);
    }
    assert_eq!(running.ended().await.code(), Some(0));
    assert_whole(home.path(), &answered, 0).await;
    assert!(!home.path().join("admin.sock").exists(), "the socket was left behind");
}

pub(crate) fn gate(port: u16) -> String {
    format!(
        r#"
[backends.gate]
plugin = "hostile"
config = {{ server = "http://127.0.0.1:{port}/gate" }}
[[backends.gate.egress]]
scheme = "http"
host = "127.0.0.1"
port = {port}
methods = ["GET"]
addresses = ["127.0.0.0/8"]
"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_reload_it_takes_the_new_configuration_or_keeps_the_old() {
    let home = Home::new("");
    let mut running = home.start().await;
    let token = home.token();
    let file = home.path().join("symbolon.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let value = async |running: &Running| running.read(&token, "demo/app/text").await.unwrap().2;
    assert_eq!(value(&running).await, "plain");

    std::fs::write(&file, text.replace("\"plain\"", "\"changed\"")).unwrap();
    running.signal(rustix::process::Signal::HUP);
    let taken = async {
        while value(&running).await != "changed" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), taken).await.unwrap();

    std::fs::write(&file, text.replace("[backends.demo]", "[backends.demo]\nnonsense = 1"))
        .unwrap();
    running.signal(rustix::process::Signal::HUP);
    running.logged("nonsense").await;
    assert_eq!(value(&running).await, "changed");
    assert!(running.is_running());
    running.stop().await;
}
