//! Disks that are full, sinks that hang, stores that refuse.

use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Command;

use super::*;

/// A small file system of its own, gone with the value. Needs root, as the project's tests do.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(kib: u32) -> Self {
        let home = tempfile::tempdir().unwrap();
        let size = format!("size={kib}k");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "symbolon-test"])
            .arg(home.path())
            .status()
            .unwrap();
        assert!(mounted.success(), "mounting a tmpfs needs root");
        Self(home)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn fill(&self) -> std::path::PathBuf {
        let path = self.path().join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        for size in [4096, 1] {
            while file.write_all(&vec![b'x'; size]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the writer may not have let go of the directory yet.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_what_is_open_is_closed_and_nothing_new_is_opened() {
    let (disk, anchors, fixture) = (SmallDisk::new(512), Arc::<Memory>::default(), Fixture::new());
    let clock = manual();
    let parts = Parts { clock: clock.clone(), anchors: anchors.clone(), anchor: None };
    let (journal, _) = Journal::start(&settings(disk.path()), parts).unwrap();
    let mut open = Vec::new();
    for _ in 0..20 {
        let mut entry = journal.open(&fixture.opening()).unwrap();
        entry.durable().await.unwrap();
        open.push(entry);
    }
    let filler = disk.fill();
    // Some more fit into the page that the file already has.
    let refused = loop {
        match fixture.request(&journal).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!((refused, journal.health()), (JournalError::Full, Health::Full));
    assert_eq!(journal.open(&fixture.opening()).unwrap_err(), JournalError::Full);
    for entry in open {
        let _receipt = journal.close(entry, &ALLOWED).await.unwrap();
    }
    let reserve = || std::fs::metadata(disk.path().join("audit.reserve")).unwrap().len();
    assert_eq!(reserve(), 0, "the closings needed the reserve");
    let report = verified(disk.path(), anchors.newest());
    assert_eq!(report.verdict(), Verdict::Intact, "{report:?}");

    std::fs::remove_file(filler).unwrap();
    clock.advance(LONG_ENOUGH);
    let _entry = recovered(&journal, &fixture).await;
    assert_eq!(count(disk.path(), "chain.restored"), 1);
    assert_eq!(reserve(), 1 << 16);
    assert_eq!(verified(disk.path(), anchors.newest()).verdict(), Verdict::Intact);
}

/// Asks until the probe that the first refusal caused has been written.
async fn recovered(journal: &Journal, fixture: &Fixture) -> Entry {
    let asking = async {
        loop {
            match journal.open(&fixture.opening()) {
                Ok(entry) => return entry,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asking).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_takes_no_anchor_closes_the_journal_until_it_does() {
    let home = tempfile::tempdir().unwrap();
    let (anchors, fixture, clock) = (Arc::<Memory>::default(), Fixture::new(), manual());
    let parts = Parts { clock: clock.clone(), anchors: anchors.clone(), anchor: None };
    let (journal, _) = Journal::start(&settings(home.path()), parts).unwrap();
    let _receipt = fixture.request(&journal).await.unwrap();
    anchors.refuse(true);
    // One group more may be acknowledged: the head below it was anchored before.
    let refused = loop {
        match fixture.request(&journal).await {
            Ok(_) => assert!(journal.readings().groups < 6, "groups go on without anchors"),
            Err(error) => break error,
        }
    };
    assert_eq!(refused, JournalError::Unanchored);
    assert_eq!(journal.open(&fixture.opening()).unwrap_err(), JournalError::Unanchored);
    anchors.refuse(false);
    clock.advance(LONG_ENOUGH);
    let entry = recovered(&journal, &fixture).await;
    let _receipt = journal.close(entry, &ALLOWED).await.unwrap();
    journal.stop().await.unwrap();
    // The closing that was written but not vouched for is marked.
    assert_eq!(count(home.path(), "request.late"), 1);
    assert_eq!(verified(home.path(), anchors.newest()).verdict(), Verdict::Intact);
}

/// A store that never answers.
struct Stuck;

impl Anchors for Stuck {
    fn commit(
        &self,
        _anchor: Anchor,
    ) -> Pin<Box<dyn Future<Output = Result<(), AnchorError>> + Send + '_>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_never_answers_is_a_refusal_at_the_deadline() {
    let (home, fixture) = (tempfile::tempdir().unwrap(), Fixture::new());
    let settings = Settings { deadline: Duration::from_millis(50), ..settings(home.path()) };
    let parts = Parts { clock: manual(), anchors: Arc::new(Stuck), anchor: None };
    let (journal, _) = Journal::start(&settings, parts).unwrap();
    let refused = fixture.request(&journal).await.unwrap_err();
    assert!(matches!(refused, JournalError::Late | JournalError::Unanchored), "{refused}");
    // What is closed now waits for the writer, which has given up on the store by then.
    assert!(journal.stop().await.is_err());
    // It may be waiting for the store once more, with the line that says that one was late.
    let closed = async {
        while journal.open(&fixture.opening()).unwrap_err() != JournalError::Closed {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), closed).await.unwrap();
}

/// A pipe: it takes what its buffer holds, then hangs until somebody reads.
struct Pipe(std::fs::File);

impl Sink for Pipe {
    fn append(&mut self, group: &[u8]) -> io::Result<()> {
        self.0.write_all(group)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_hangs_refuses_within_the_deadline_and_marks_what_comes_late() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    // Opened for both, so that neither end waits for the other; filled without blocking.
    let mut both = std::fs::OpenOptions::new();
    both.read(true).write(true);
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap();
    let mut outside = both.custom_flags(nonblocking).open(&path).unwrap();
    let sink = Pipe(std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap());
    for size in [4096, 1] {
        while outside.write_all(&vec![b'\n'; size]).is_ok() {}
    }
    let (anchors, fixture, clock) = (Arc::<Memory>::default(), Fixture::new(), manual());
    let settings = Settings { deadline: Duration::from_millis(100), ..settings(home.path()) };
    let parts = Parts { clock: clock.clone(), anchors, anchor: None };
    let journal = Journal::with_sink(&settings, parts, sink, |_| Ok(())).unwrap();

    assert_eq!(fixture.request(&journal).await, Err(JournalError::Late));
    clock.advance(LONG_ENOUGH);
    assert_eq!(journal.health(), Health::Hung);
    assert_eq!(journal.open(&fixture.opening()).unwrap_err(), JournalError::Late);

    let mut drained = vec![0; 1 << 20];
    let mut text = String::new();
    while !text.contains("request.late") {
        match outside.read(&mut drained) {
            Ok(length) => text.push_str(std::str::from_utf8(&drained[..length]).unwrap()),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
        tokio::task::yield_now().await;
    }
    let _entry = recovered(&journal, &fixture).await;
    assert_eq!(journal.readings().late, 1);
}

/// Fails every write while `broken` says so.
struct Moody(Vec<u8>, Arc<Mutex<bool>>);

impl Sink for Moody {
    fn append(&mut self, group: &[u8]) -> io::Result<()> {
        if *self.1.lock().unwrap() {
            return Err(io::Error::other("the device does not answer"));
        }
        self.0.extend_from_slice(group);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_fails_its_group_and_the_journal_until_a_probe_is_written() {
    let broken = Arc::new(Mutex::new(false));
    let home = tempfile::tempdir().unwrap();
    let (anchors, fixture, clock) = (Arc::<Memory>::default(), Fixture::new(), manual());
    let parts = Parts { clock: clock.clone(), anchors, anchor: None };
    let sink = Moody(Vec::new(), broken.clone());
    let journal = Journal::with_sink(&settings(home.path()), parts, sink, |_| Ok(())).unwrap();
    let held = journal.open(&fixture.opening()).unwrap();
    *broken.lock().unwrap() = true;
    assert_eq!(fixture.request(&journal).await, Err(JournalError::Failing));
    assert_eq!(journal.open(&fixture.opening()).unwrap_err(), JournalError::Failing);
    *broken.lock().unwrap() = false;
    clock.advance(LONG_ENOUGH);
    let _entry = recovered(&journal, &fixture).await;
    let closed = journal.close(held, &ALLOWED).await;
    assert!(closed.is_ok() || closed == Err(JournalError::Failing), "{closed:?}");
}
