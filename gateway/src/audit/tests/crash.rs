//! Killed at any moment, and damaged between two runs.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::*;

/// Remembers the anchor in a file, as a store would: replaced as a whole.
struct OnDisk(PathBuf);

impl OnDisk {
    fn read(path: &Path) -> Option<Anchor> {
        std::fs::read(path).ok().and_then(|bytes| Anchor::from_bytes(&bytes))
    }
}

impl Anchors for OnDisk {
    fn commit(
        &self,
        anchor: Anchor,
    ) -> Pin<Box<dyn Future<Output = Result<(), AnchorError>> + Send + '_>> {
        let new = self.0.with_extension("new");
        Box::pin(async move {
            std::fs::write(&new, anchor.to_bytes()).unwrap();
            std::fs::rename(&new, &self.0).unwrap();
            Ok(())
        })
    }
}

const CHILD: &str = "SYMBOLON_TEST_JOURNAL";

/// Not a test of its own: what [`killed_at_any_moment_…`] runs and kills.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(home) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let path = home.join("anchor");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let anchor = OnDisk::read(&path);
        let parts = Parts { clock, anchors: Arc::new(OnDisk(path)), anchor };
        let settings = Settings { rotate_bytes: 30_000, ..settings(&home.join("log")) };
        let (journal, found) = Journal::start(&settings, parts).unwrap();
        assert_eq!(found.broken, None);
        let (journal, fixture) = (Arc::new(journal), Arc::new(Fixture::new()));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let (journal, fixture) = (journal.clone(), fixture.clone());
            tasks.spawn(async move {
                loop {
                    let receipt = fixture.request(&journal).await.unwrap();
                    println!("\nreceipt {}", receipt.seq());
                }
            });
        }
        tasks.join_next().await;
    });
}

#[test]
fn killed_at_any_moment_the_log_verifies_and_holds_every_receipt() {
    let home = tempfile::tempdir().unwrap();
    let mut receipts = Vec::new();
    for round in 0_usize..12 {
        receipts.extend(run_and_kill(home.path(), 1 + (round * 37) % 150));
        let report = verified(&home.path().join("log"), OnDisk::read(&home.path().join("anchor")));
        assert_ne!(report.verdict(), Verdict::Tampered, "round {round}: {report:?}");
        assert!(report.unanchored.unwrap().groups <= 2, "round {round}: {report:?}");
    }
    let closings: std::collections::BTreeSet<u64> = lines(&home.path().join("log"))
        .iter()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|line| line["kind"] == "request.close")
        .map(|line| line["seq"].as_u64().unwrap())
        .collect();
    assert!(receipts.len() > 500, "{}", receipts.len());
    let missing: Vec<_> = receipts.iter().filter(|seq| !closings.contains(seq)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Runs the child until it has acknowledged `count` requests, kills it, and returns all that it
/// acknowledged.
fn run_and_kill(home: &Path, count: usize) -> Vec<u64> {
    let name = std::thread::current().name().unwrap().to_owned();
    let module = name.rsplit_once("::").unwrap().0.to_owned();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::child_that_writes_until_it_is_killed")])
        .args(["--nocapture", "--test-threads=1"])
        .env(CHILD, home)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while text.matches("receipt ").count() < count {
        assert_ne!(output.read_line(&mut text).unwrap(), 0, "the child ended by itself");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    output.read_to_string(&mut text).unwrap();
    let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
    complete.lines().filter_map(|l| l.strip_prefix("receipt ")?.parse().ok()).collect()
}

/// A log of three requests, not stopped in order, and the anchor of its newest head but one: what a
/// crash leaves that comes before the newest is in the store.
async fn left_behind(home: &Path) -> (Arc<Memory>, Vec<u8>) {
    let (anchors, fixture) = (Arc::<Memory>::default(), Fixture::new());
    let (journal, _) = start(&settings(home), &anchors);
    for _ in 0..3 {
        let mut entry = journal.open(&fixture.opening()).unwrap();
        entry.durable().await.unwrap();
        let _receipt = journal.close(entry, &ALLOWED).await.unwrap();
    }
    let bytes = std::fs::read(home.join("audit.jsonl")).unwrap();
    let before_stop = Arc::new(Memory::default());
    *before_stop.newest.lock().unwrap() = *anchors.before.lock().unwrap();
    journal.stop().await.unwrap();
    (before_stop, bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_tail_is_taken_off_kept_and_recorded_wherever_it_tore() {
    let home = tempfile::tempdir().unwrap();
    let (anchors, bytes) = left_behind(home.path()).await;
    let last_line = bytes[..bytes.len() - 1].iter().rposition(|&b| b == b'\n').unwrap() + 1;
    for end in [last_line + 1, last_line + 90, bytes.len() - 2, bytes.len() - 1] {
        let torn = tempfile::tempdir().unwrap();
        std::fs::write(torn.path().join("audit.jsonl"), &bytes[..end]).unwrap();
        let report = verified(torn.path(), anchors.newest());
        assert_eq!(report.verdict(), Verdict::Torn, "{report:?}");
        let again = Arc::new(Memory::default());
        *again.newest.lock().unwrap() = anchors.newest();
        let (journal, found) = start(&settings(torn.path()), &again);
        assert_eq!((found.torn_bytes, found.broken), ((end - last_line) as u64, None));
        journal.stop().await.unwrap();
        let report = verified(torn.path(), again.newest());
        assert_eq!(report.verdict(), Verdict::Intact, "{report:?}");
        let kept = torn.path().join(format!("audit-torn-{}.bin", 7));
        assert_eq!(std::fs::read(kept).unwrap(), &bytes[last_line..end]);
        assert_eq!(count(torn.path(), "chain.resumed"), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_behind_the_anchor_is_torn_and_damage_before_it_stays_for_verification() {
    let home = tempfile::tempdir().unwrap();
    let (anchors, bytes) = left_behind(home.path()).await;
    let line_starts: Vec<usize> =
        bytes.iter().enumerate().filter_map(|(at, &b)| (b == b'\n').then_some(at + 1)).collect();
    for (line, expected) in [(5, Verdict::Intact), (2, Verdict::Tampered)] {
        let copy = tempfile::tempdir().unwrap();
        let mut damaged = bytes.clone();
        damaged[line_starts[line] + 100] ^= 1;
        std::fs::write(copy.path().join("audit.jsonl"), &damaged).unwrap();
        let again = Arc::new(Memory::default());
        *again.newest.lock().unwrap() = anchors.newest();
        let (journal, found) = start(&settings(copy.path()), &again);
        assert_eq!(found.torn_bytes > 0, expected == Verdict::Intact);
        journal.stop().await.unwrap();
        let report = verified(copy.path(), again.newest());
        assert_eq!(report.verdict(), expected, "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_cut_or_deleted_says_so_for_ever() {
    let home = tempfile::tempdir().unwrap();
    let (anchors, bytes) = left_behind(home.path()).await;
    let third = bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').nth(2).unwrap().0 + 1;
    for keep in [0, third] {
        let cut = tempfile::tempdir().unwrap();
        if keep > 0 {
            std::fs::write(cut.path().join("audit.jsonl"), &bytes[..keep]).unwrap();
        }
        let again = Arc::new(Memory::default());
        *again.newest.lock().unwrap() = anchors.newest();
        let (journal, found) = start(&settings(cut.path()), &again);
        assert_eq!(found.broken, anchors.newest());
        let fixture = Fixture::new();
        let _receipt = fixture.request(&journal).await.unwrap();
        journal.stop().await.unwrap();
        let report = verified(cut.path(), again.newest());
        assert_eq!(report.verdict(), Verdict::Tampered, "{report:?}");
        assert!(report.findings.iter().any(|f| f.code() == "broken"), "{report:?}");
    }
}
