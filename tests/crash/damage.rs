//! A store that lacks room, and one that holds a record that is cut: what the process makes of it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use symbolon::store::{Namespace, Store as _, Transaction};
use symbolon_core::id::LeaseId;
use symbolon_tests::harness::process::{Home, Running};

use super::leases::wait;
use super::ledger;
use super::registry::Registry;

const ISSUE: &str = "/v1/credentials/reg/app";

async fn issue(home: &Home, running: &Running) -> (u16, Option<LeaseId>) {
    let asked = running.client().send("POST", ISSUE, &home.token(), "").await;
    let (status, json) = asked.unwrap();
    (status, json["lease"]["id"].as_str().map(|id| LeaseId::parse(id).unwrap()))
}

async fn give_back(home: &Home, running: &Running, lease: LeaseId) -> u16 {
    let path = format!("/v1/leases/{lease}");
    running.client().send("DELETE", &path, &home.token(), "").await.unwrap().0
}

#[tokio::test]
async fn a_cut_record_is_named_and_set_aside_and_the_others_serve_and_end() {
    let registry = Registry::start().await;
    let home = Home::serving(&registry.blocks("issuer", "ttl = \"10m\""), "").cached();
    let running = home.start().await;
    let mut leases = Vec::new();
    for _ in 0..3 {
        leases.push(issue(&home, &running).await.1.unwrap());
    }
    running.stop().await;
    let cut = leases[0];
    {
        let store = ledger::open(home.path().join("store"));
        let key = Namespace::LeaseState.key(cut.to_bytes());
        let bytes = store.get(&key).await.unwrap().unwrap();
        let write = Transaction::new().put(key, bytes[..bytes.len() / 2].to_vec());
        store.commit(write).await.unwrap();
    }
    let running = home.start().await;
    let (_, json) = running.client().send("GET", "/v1/leases", &home.token(), "").await.unwrap();
    let listed = json["leases"].as_array().unwrap().iter();
    let listed: Vec<_> = listed.map(|lease| lease["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(listed, [leases[1].to_string(), leases[2].to_string()]);
    assert_ne!(give_back(&home, &running, cut).await, 200, "nobody is revoked on its word");
    for lease in &leases[1..] {
        assert_eq!(give_back(&home, &running, *lease).await, 200);
    }
    wait("the others end", async || registry.issued().len() == 1).await;
    assert!(registry.issued().contains(&cut));
    running.logged(&cut.to_string()).await;
    assert_eq!(issue(&home, &running).await.0, 200);
    running.stop().await;
}

/// A small file system in memory under the store, gone with the value. Needs root, as the project's
/// tests do.
struct Disk(PathBuf);

impl Disk {
    fn under(path: &Path) -> Self {
        fs::create_dir_all(path).unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=24m", "symbolon-test"];
        let mounted = Command::new("mount").args(mount).arg(path).status().unwrap();
        assert!(mounted.success(), "mount: these tests need root");
        Self(path.to_owned())
    }

    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = fs::File::create(&path).unwrap();
        for size in [4096, 1] {
            while file.write_all(&vec![b'x'; size]).is_ok() {}
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn with_no_room_for_the_store_nothing_is_issued_and_a_restart_finds_everything() {
    let registry = Registry::start().await;
    let home = Home::serving(&registry.blocks("issuer", "ttl = \"10m\""), "").cached();
    let disk = Disk::under(&home.path().join("ledger"));
    let file = home.path().join("symbolon.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("path = \"store\"", "path = \"ledger/store\"")).unwrap();
    let mut running = home.start().await;
    let mut answered = Vec::new();
    for _ in 0..3 {
        answered.push(issue(&home, &running).await.1.unwrap());
    }
    let filler = disk.fill();
    // What sled has room for in its file it still takes.
    let mut refused = 0;
    while refused < 3 && running.is_running() {
        match running.client().send("POST", ISSUE, &home.token(), "").await {
            Ok((200, json)) => {
                answered.push(LeaseId::parse(json["lease"]["id"].as_str().unwrap()).unwrap());
            }
            Ok((status, json)) => {
                assert_eq!(status, 503, "{json}");
                refused += 1;
            }
            Err(error) => panic!("{error}\n{}", running.log()),
        }
    }
    let issued = registry.issued();
    assert!(answered.iter().all(|lease| issued.contains(lease)));
    running.signal(Signal::KILL);
    running.ended().await;
    fs::remove_file(filler).unwrap();

    let running = home.start().await;
    for lease in &answered {
        let path = format!("/v1/leases/{lease}");
        let (status, json) = running.client().send("GET", &path, &home.token(), "").await.unwrap();
        assert_eq!((status, json["state"].as_str()), (200, Some("active")), "{json}");
        assert_eq!(give_back(&home, &running, *lease).await, 200);
    }
    // What was asked for when the room gave out and could not be put on record ends too.
    wait("everything ends", async || registry.issued().is_empty()).await;
    assert_eq!(issue(&home, &running).await.0, 200);
    running.stop().await;
}
