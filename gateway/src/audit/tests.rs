use std::net::IpAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use symbolon_core::ask::Ask;
use symbolon_core::audit::{
    AdminEvent, Anchor, AuditKey, Conclusion, Dialect, KeyedHash, Opening, Outcome, Report, Verdict,
};
use symbolon_core::clock::{Clock, ManualClock, Timestamp};
use symbolon_core::id::{BackendName, IssuerAlias, RequestId};
use symbolon_core::path::SecretPath;
use symbolon_core::principal::Identity;
use symbolon_core::secret::Secret;

use super::*;
use crate::time::SystemClock;

mod crash;
mod faults;
mod speed;

/// Remembers anchors in memory; refuses, if told to.
#[derive(Debug, Default)]
struct Memory {
    newest: Mutex<Option<Anchor>>,
    /// The one before the newest.
    before: Mutex<Option<Anchor>>,
    refuses: Mutex<bool>,
}

impl Memory {
    fn newest(&self) -> Option<Anchor> {
        *self.newest.lock().unwrap()
    }

    fn refuse(&self, refuses: bool) {
        *self.refuses.lock().unwrap() = refuses;
    }
}

impl Anchors for Memory {
    fn commit(
        &self,
        anchor: Anchor,
    ) -> Pin<Box<dyn Future<Output = Result<(), AnchorError>> + Send + '_>> {
        Box::pin(async move {
            if *self.refuses.lock().unwrap() {
                return Err(AnchorError("refused".into()));
            }
            let before = self.newest.lock().unwrap().replace(anchor);
            assert!(before.is_none_or(|before| before.seq < anchor.seq), "anchors only grow");
            *self.before.lock().unwrap() = before;
            Ok(())
        })
    }
}

struct Fixture {
    identity: Identity,
    ask: Ask,
    token: KeyedHash,
    next: AtomicU64,
}

impl Fixture {
    fn new() -> Self {
        let key = AuditKey::new("k1", &Secret::from(String::from("key"))).unwrap();
        let identity = Identity {
            issuer: IssuerAlias::parse("github").unwrap(),
            subject: String::from("repo:acme/app:ref:refs/heads/main"),
        };
        let path = SecretPath::parse("prod/db/password").unwrap();
        let ask = Ask::read(BackendName::parse("kv").unwrap(), path, None);
        Self { identity, ask, token: key.hash_value(b"token"), next: AtomicU64::new(1) }
    }

    fn opening(&self) -> Opening<'_> {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        Opening {
            actors: &[],
            request: RequestId::new(Timestamp::from_seconds(1_793_520_000), u128::from(n)),
            identity: &self.identity,
            ask: &self.ask,
            source: Some(IpAddr::from([192, 0, 2, 7])),
            token: &self.token,
            dialect: Dialect::Native,
            marked: &[],
        }
    }

    async fn request(&self, journal: &Journal) -> Result<Receipt, JournalError> {
        let entry = journal.open(&self.opening())?;
        journal.close(entry, &ALLOWED).await
    }
}

const ALLOWED: Conclusion<'_> = Conclusion::bare(Outcome::Allow, "ok");

fn settings(directory: &Path) -> Settings {
    let reserve_bytes = 1 << 16;
    Settings { reserve_bytes, ..Settings::in_directory(directory.to_owned()) }
}

fn parts(anchors: &Arc<Memory>) -> Parts {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    Parts { clock, anchors: anchors.clone(), anchor: anchors.newest() }
}

fn start(settings: &Settings, anchors: &Arc<Memory>) -> (Journal, Resumption) {
    Journal::start(settings, parts(anchors)).unwrap()
}

fn verified(directory: &Path, anchor: Option<Anchor>) -> Report {
    verify_files(&files_in_order(directory).unwrap(), anchor).unwrap()
}

fn lines(directory: &Path) -> Vec<String> {
    let files = files_in_order(directory).unwrap();
    let texts = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn kinds(directory: &Path) -> Vec<String> {
    let kind = |line: String| {
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        value["kind"].as_str().unwrap().to_owned()
    };
    lines(directory).into_iter().map(kind).collect()
}

fn count(directory: &Path, kind: &str) -> usize {
    kinds(directory).iter().filter(|found| *found == kind).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_leaves_two_lines_and_an_orderly_end_leaves_nothing_unanchored() {
    let (home, anchors, fixture) = (tempfile::tempdir().unwrap(), Arc::default(), Fixture::new());
    let (journal, found) = start(&settings(home.path()), &anchors);
    assert_eq!((found.last, found.broken), (None, None));
    let mut entry = journal.open(&fixture.opening()).unwrap();
    entry.durable().await.unwrap();
    assert_eq!(count(home.path(), "request.open"), 1);
    let receipt = journal.close(entry, &ALLOWED).await.unwrap();
    assert_eq!(receipt.seq(), 3);
    let event = AdminEvent {
        administrator: "uid:0",
        operation: "reload",
        object: None,
        outcome: Outcome::Allow,
        code: "ok",
        details: [("listen", String::from("127.0.0.1:1 -> 127.0.0.1:2"))].into(),
    };
    assert_eq!(journal.event(&event).await.unwrap().seq(), 4);
    journal.stop().await.unwrap();
    let expected = ["chain.start", "request.open", "request.close", "admin", "chain.stopped"];
    assert_eq!(kinds(home.path()), expected);
    let report = verified(home.path(), anchors.newest());
    assert_eq!((report.verdict(), report.anchored), (Verdict::Intact, true), "{report:?}");
    assert_eq!(report.unanchored.unwrap().lines, 0);
    let open = &lines(home.path())[1];
    assert!(
        open.contains("\"resource\":\"kv/prod/db/password\"") && open.contains("hmac-sha256:k1:")
    );
    assert_eq!(journal.open(&fixture.opening()).unwrap_err(), JournalError::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_reaches_the_disk_though_nobody_waits_for_it() {
    let (home, anchors, fixture) = (tempfile::tempdir().unwrap(), Arc::default(), Fixture::new());
    let (journal, _) = start(&settings(home.path()), &anchors);
    let _entry = journal.open(&fixture.opening()).unwrap();
    let written = async {
        while journal.readings().lines < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), written).await.unwrap();
    assert_eq!(kinds(home.path()), ["chain.start", "request.open"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_dropped_is_recorded_as_abandoned() {
    let (home, anchors, fixture) = (tempfile::tempdir().unwrap(), Arc::default(), Fixture::new());
    let (journal, _) = start(&settings(home.path()), &anchors);
    drop(journal.open(&fixture.opening()).unwrap());
    journal.stop().await.unwrap();
    assert!(lines(home.path())[2].contains("\"outcome\":\"abandoned\""));
    assert_eq!(journal.readings().abandoned, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_can_be_closed_though_the_queue_is_full() {
    let (home, anchors, fixture) = (tempfile::tempdir().unwrap(), Arc::default(), Fixture::new());
    let settings = Settings { queue: 8, ..settings(home.path()) };
    let (journal, _) = start(&settings, &anchors);
    let mut open = Vec::new();
    let refusal = loop {
        match journal.open(&fixture.opening()) {
            Ok(mut entry) => {
                entry.durable().await.unwrap();
                open.push(entry);
            }
            Err(error) => break error,
        }
    };
    assert_eq!((refusal, open.len()), (JournalError::Busy, 7));
    for entry in open {
        let _receipt = journal.close(entry, &ALLOWED).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_at_a_time_writes_a_log() {
    let (home, anchors) = (tempfile::tempdir().unwrap(), Arc::default());
    let (_journal, _) = start(&settings(home.path()), &anchors);
    let second = Journal::start(&settings(home.path()), parts(&anchors)).unwrap_err();
    assert!(matches!(second, StartError::InUse { .. }), "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chain_goes_on_over_rotation_and_restarts() {
    let (home, anchors, fixture) = (tempfile::tempdir().unwrap(), Arc::default(), Fixture::new());
    let settings = Settings { rotate_bytes: 4000, ..settings(home.path()) };
    for _ in 0..3 {
        let (journal, found) = start(&settings, &anchors);
        assert_eq!((found.torn_bytes, found.broken), (0, None));
        for _ in 0..20 {
            let _receipt = fixture.request(&journal).await.unwrap();
        }
        journal.stop().await.unwrap();
    }
    let files = files_in_order(home.path()).unwrap();
    assert!(files.len() > 5, "{files:?}");
    let report = verified(home.path(), anchors.newest());
    assert_eq!((report.verdict(), report.first_seq), (Verdict::Intact, Some(1)), "{report:?}");
    assert_eq!(count(home.path(), "request.close"), 60);
    std::fs::remove_file(&files[2]).unwrap();
    assert_eq!(verified(home.path(), anchors.newest()).findings[0].code(), "removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_right_after_a_rotation_is_continued_from_the_file_before() {
    let (home, anchors, fixture) = (tempfile::tempdir().unwrap(), Arc::default(), Fixture::new());
    let (journal, _) = start(&settings(home.path()), &anchors);
    let _receipt = fixture.request(&journal).await.unwrap();
    journal.stop().await.unwrap();
    let current = home.path().join("audit.jsonl");
    std::fs::rename(&current, home.path().join("audit-1.jsonl")).unwrap();
    for leave_empty in [false, true] {
        if leave_empty {
            std::fs::rename(&current, home.path().join("audit-5.jsonl")).unwrap();
            std::fs::write(&current, b"").unwrap();
        }
        let (journal, found) = start(&settings(home.path()), &anchors);
        assert_eq!(found.broken, None);
        journal.stop().await.unwrap();
        let report = verified(home.path(), anchors.newest());
        assert_eq!(report.verdict(), Verdict::Intact, "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_by_the_hundred_thousand_are_a_few_lines() {
    let (home, anchors) = (tempfile::tempdir().unwrap(), Arc::default());
    let (journal, _) = start(&settings(home.path()), &anchors);
    for n in 0_u32..100_000 {
        journal.note_stranger("no_token", IpAddr::from((n << 6).to_be_bytes()));
        if n % 25_000 == 24_999 {
            let _receipt = journal.report_strangers().await.unwrap().unwrap();
        }
    }
    assert_eq!(journal.report_strangers().await, Ok(None));
    journal.stop().await.unwrap();
    assert_eq!(count(home.path(), "strangers"), 4);
    let bytes = std::fs::metadata(home.path().join("audit.jsonl")).unwrap().len();
    assert!(bytes < 20_000, "{bytes}");
    assert_eq!(journal.readings().strangers, 100_000);
}

#[test]
fn every_refusal_has_a_code_of_its_own() {
    use JournalError as E;
    let all = [E::Full, E::Failing, E::Unanchored, E::Late, E::Busy, E::TooLong, E::Closed];
    let codes: std::collections::BTreeSet<_> = all.iter().map(|e| e.code()).collect();
    assert_eq!(codes.len(), all.len());
    assert!(all.iter().all(|e| e.kind().public().status >= 500));
}

/// A clock for what waits seconds.
fn manual() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_seconds(1_793_520_000)))
}

const LONG_ENOUGH: Duration = Duration::from_secs(3);
