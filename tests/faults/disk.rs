//! The disk of the audit log: full, and hung.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use symbolon::app::foundation::read_anchor;
use symbolon::audit::{files_in_order, verify_files};
use symbolon_core::audit::Verdict;
use symbolon_tests::harness::{Answer, Gateway, Setup};
use tokio::task::JoinSet;

use crate::hostile::upstream::{Upstream, network};

/// A file system of its own, gone with the value. Needs root, as the project's tests do.
struct Disk {
    home: tempfile::TempDir,
}

impl Disk {
    /// In memory, and small.
    fn small() -> Self {
        let home = tempfile::tempdir().unwrap();
        run("mount", &["-t", "tmpfs", "-o", "size=4m", "symbolon-test"], home.path());
        Self { home }
    }

    /// In a file, so that it can be frozen; `None` where the machine has no loop devices.
    fn in_file(image: &Path) -> Option<Self> {
        std::fs::File::create(image).unwrap().set_len(32 << 20).unwrap();
        run("mkfs.ext4", &["-q", "-F"], image);
        let home = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop"]).arg(image).arg(home.path()).stderr(Stdio::null());
        mount.status().unwrap().success().then_some(Self { home })
    }

    fn setup(&self, blocks: String) -> Setup {
        let directory = self.home.path().join("audit");
        let audit = format!("directory = \"{}\"\ndeadline = \"500ms\"", directory.display());
        let network = Some(network(&[("server.test", "127.0.0.1")]));
        Setup { audit, blocks, network, ..Setup::default() }
    }

    fn fill(&self) -> PathBuf {
        let path = self.home.path().join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        for size in [4096, 1] {
            while file.write_all(&vec![b'x'; size]).is_ok() {}
        }
        path
    }

    fn freeze(&self) {
        run("fsfreeze", &["--freeze"], self.home.path());
    }

    fn thaw(&self) {
        run("fsfreeze", &["--unfreeze"], self.home.path());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A test that failed may have left it frozen, and a frozen one cannot be let go of.
        let mut thaw = Command::new("fsfreeze");
        let _ = thaw.arg("--unfreeze").arg(self.home.path()).stderr(Stdio::null()).status();
        // Lazily: the writer may not have let go of the directory yet.
        let _ = Command::new("umount").arg("--lazy").arg(self.home.path()).status();
    }
}

fn run(program: &str, arguments: &[&str], path: &Path) {
    let status = Command::new(program).args(arguments).arg(path).status().unwrap();
    assert!(status.success(), "{program} {}: these tests need root", path.display());
}

/// A backend whose reads wait for the test.
fn waiting(port: u16) -> String {
    format!(
        r#"
[backends.demo]
plugin = "static"
config = {{ secrets = {{ "app/text" = "plain" }} }}
[backends.gate]
plugin = "hostile"
config = {{ server = "http://server.test:{port}/gate" }}
limits = {{ timeout = "60s" }}
[[backends.gate.egress]]
scheme = "http"
host = "server.test"
port = {port}
methods = ["GET"]
addresses = ["127.0.0.0/8"]
"#
    )
}

async fn read(gateway: &Gateway) -> Answer {
    gateway.get("/v1/secrets/demo/app/text", &gateway.token("alice")).await
}

async fn ready(gateway: &Gateway) -> u16 {
    gateway.ask(http::Method::GET, "/readyz", None, bytes::Bytes::new()).await.status.as_u16()
}

/// Asks until a request is answered with `status`.
async fn until(gateway: &Gateway, status: u16) -> Answer {
    let asking = async {
        loop {
            let answer = read(gateway).await;
            if answer.status == status {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asking).await.unwrap()
}

async fn assert_intact(gateway: &Gateway) {
    let anchor = read_anchor(gateway.app.foundation.store.as_ref()).await.unwrap();
    let files = files_in_order(&gateway.app.config().audit.directory).unwrap();
    let report = verify_files(&files, anchor).unwrap();
    assert_eq!(report.verdict(), Verdict::Intact, "{report:?}");
}

fn kinds(gateway: &Gateway, kind: &str) -> usize {
    gateway.audit().iter().filter(|line| line["kind"] == kind).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_audit_disk_full_open_requests_end_new_ones_wait_for_space() {
    let (disk, server) = (Disk::small(), Upstream::start().await);
    let gateway = Gateway::start(disk.setup(waiting(server.address.port()))).await;
    let gateway = std::sync::Arc::new(gateway);
    let mut open = JoinSet::new();
    for _ in 0..8 {
        let gateway = gateway.clone();
        open.spawn(
            async move { gateway.get("/v1/secrets/gate/fetch", &gateway.token("bob")).await },
        );
    }
    server.reached(8).await;
    // The upstream may be reached before the opening is on disk, and one that is not, fails.
    while kinds(&gateway, "request.open") < 8 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let filler = disk.fill();
    // The last page of the file may have room for some more.
    let refused = until(&gateway, 503).await;
    assert_eq!(refused.json["code"], "unavailable", "{:?}", refused.json);
    assert_eq!((ready(&gateway).await, refused.json["value"].clone()), (503, Value::Null));

    server.open_gate();
    while let Some(answer) = open.join_next().await {
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200, "{:?}", answer.json);
        assert_eq!(gateway.closing(&answer)["code"], "ok");
    }
    assert_eq!(read(&gateway).await.status, 503, "the reserve is not for new requests");
    assert_intact(&gateway).await;

    std::fs::remove_file(filler).unwrap();
    let answer = until(&gateway, 200).await;
    assert_eq!(answer.json["value"], "plain");
    assert_eq!((ready(&gateway).await, kinds(&gateway, "chain.restored")), (200, 1));
    assert_intact(&gateway).await;
    std::sync::Arc::into_inner(gateway).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_audit_disk_hangs_nothing_is_answered_and_afterwards_everything() {
    let image = tempfile::NamedTempFile::new().unwrap();
    let Some(disk) = Disk::in_file(image.path()) else {
        eprintln!("SKIPPED: this machine has no loop devices, so no disk can be frozen");
        return;
    };
    let server = Upstream::start().await;
    let gateway = Gateway::start(disk.setup(waiting(server.address.port()))).await;
    assert_eq!(read(&gateway).await.status, 200);
    disk.freeze();
    let begun = gateway.app.foundation.clock.elapsed();
    for _ in 0..3 {
        let answer = read(&gateway).await;
        assert_eq!((answer.status.as_u16(), &answer.json["value"]), (503, &Value::Null));
    }
    let took = gateway.app.foundation.clock.elapsed().checked_sub(begun).unwrap();
    assert!(took < Duration::from_secs(5), "each was refused at its deadline: {took:?}");
    assert_eq!(ready(&gateway).await, 503);
    disk.thaw();
    let answer = until(&gateway, 200).await;
    assert_eq!(answer.json["value"], "plain");
    assert_eq!(ready(&gateway).await, 200);
    assert_intact(&gateway).await;
    gateway.stop().await;
}
