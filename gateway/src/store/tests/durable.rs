//! The promise of the ADR: nobody is answered before the device has the bytes.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::super::flusher::Device;
use super::*;

/// How long a test waits before it fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(20);

/// A device that stops at each call until it is told what to answer.
struct Gate {
    entered: SyncSender<()>,
    verdict: Receiver<io::Result<()>>,
}

impl Device for Gate {
    fn make_durable(&self) -> io::Result<()> {
        self.entered.send(()).unwrap();
        self.verdict.recv().unwrap()
    }
}

struct Gated {
    store: Arc<SledStore>,
    entered: Receiver<()>,
    verdict: SyncSender<io::Result<()>>,
    _directory: TempDir,
}

fn gated(deadline: Duration) -> Gated {
    let directory = TempDir::new().unwrap();
    let options = Options { deadline, ..small(directory.path()) };
    let (entered, at_gate) = sync_channel(16);
    let (verdict, verdicts) = sync_channel(16);
    verdict.send(Ok(())).unwrap();
    let gate = Box::new(Gate { entered, verdict: verdicts });
    let store = SledStore::over(&options, open_trees(&options).unwrap(), gate, clock()).unwrap();
    at_gate.recv_timeout(PATIENCE).unwrap();
    Gated { store: Arc::new(store), entered: at_gate, verdict, _directory: directory }
}

fn put(n: u16) -> Transaction {
    Transaction::new().put(meta(&n.to_string()), b"x".to_vec())
}

async fn let_others_run() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_commit_is_acknowledged_after_fdatasync_and_not_before() {
    let Gated { store, entered, verdict, _directory } = gated(Duration::from_secs(60));
    let mut tasks = JoinSet::new();
    let committer = Arc::clone(&store);
    tasks.spawn(async move { committer.commit(put(1)).await });
    let_others_run().await;
    entered.recv_timeout(PATIENCE).unwrap();
    let_others_run().await;
    assert!(tasks.try_join_next().is_none(), "acknowledged while fdatasync was still running");
    verdict.send(Ok(())).unwrap();
    assert_eq!(tasks.join_next().await.unwrap().unwrap(), Ok(()));
    assert_eq!(store.counters().groups, 1);
}

#[tokio::test]
async fn all_who_wait_during_one_flush_share_the_next() {
    let Gated { store, entered, verdict, _directory } = gated(Duration::from_secs(60));
    let mut tasks = JoinSet::new();
    let spawn = |tasks: &mut JoinSet<_>, n| {
        let store = Arc::clone(&store);
        tasks.spawn(async move { store.commit(put(n)).await });
    };
    spawn(&mut tasks, 0);
    let_others_run().await;
    entered.recv_timeout(PATIENCE).unwrap();
    (1..=256).for_each(|n| spawn(&mut tasks, n));
    let_others_run().await;
    assert_eq!(store.counters().queued, 256);
    verdict.send(Ok(())).unwrap();
    verdict.send(Ok(())).unwrap();
    assert!(tasks.join_all().await.into_iter().all(|outcome| outcome.is_ok()));
    let counted = store.counters();
    assert_eq!((counted.commits, counted.groups), (257, 2));
}

#[tokio::test]
async fn a_failed_flush_fails_its_group_and_everything_after() {
    let Gated { store, entered: _entered, verdict, _directory } = gated(Duration::from_secs(60));
    verdict.send(Err(io::Error::other("the disk is gone"))).unwrap();
    let refused = store.commit(put(1)).await.unwrap_err();
    assert!(refused.to_string().contains("the disk is gone"), "{refused}");
    assert_eq!(store.commit(put(2)).await, Err(refused.clone()));
    assert_eq!(store.get(&meta("1")).await, Err(refused.clone()));
    assert_eq!(store.scan(Span::all(Namespace::Meta), 1).await, Err(refused.clone()));
    assert_eq!(store.health(), Err(refused));
}

#[tokio::test]
async fn a_conflict_waits_for_the_write_that_caused_it_and_falls_with_it() {
    let Gated { store, entered, verdict, _directory } = gated(Duration::from_secs(60));
    let mut tasks = JoinSet::new();
    for n in 0..3_u8 {
        let store = Arc::clone(&store);
        let key = meta(if n == 0 { "other" } else { "same" });
        let claim = Transaction::new().expect_absent(key.clone()).put(key, vec![n]);
        tasks.spawn(async move { store.commit(claim).await });
        let_others_run().await;
        if n == 0 {
            entered.recv_timeout(PATIENCE).unwrap();
        }
    }
    verdict.send(Ok(())).unwrap();
    verdict.send(Err(io::Error::other("gone"))).unwrap();
    let outcomes = tasks.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let poisoned = outcomes.iter().filter(|o| matches!(o, Err(StoreError::Poisoned(_)))).count();
    assert_eq!(poisoned, 2, "{outcomes:?}");
}

#[tokio::test]
async fn a_commit_past_its_deadline_leaves_doubt_and_is_skipped_if_it_had_not_begun() {
    let Gated { store, entered, verdict, _directory } = gated(Duration::from_millis(50));
    let (first, second) = tokio::join!(store.commit(put(1)), store.commit(put(2)));
    assert_eq!((&first, &second), (&Err(StoreError::Deadline), &Err(StoreError::Deadline)));
    assert!(StoreError::Deadline.leaves_doubt());
    entered.recv_timeout(PATIENCE).unwrap();
    let late = store.commit(put(3)).await;
    assert_eq!(late, Err(StoreError::Deadline));
    (0..4).for_each(|_| verdict.send(Ok(())).unwrap());
    store.commit(put(4)).await.unwrap();
    assert_eq!(store.get(&meta("3")).await, Ok(None));
    assert!(store.counters().abandoned >= 1);
}

/// Not a check but a measurement: `cargo test -- --ignored --nocapture group_commit_against`. The floor
/// is taken before and after, since disks have moods.
#[test]
#[ignore = "prints a measurement"]
fn group_commit_against_bare_append_and_fdatasync() {
    let directory = TempDir::new_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let (groups, size) = (80, 316 * 128);
    let before = bare_appends(&directory, groups, size);
    let store = Arc::new(open(&directory));
    let took = timed(|| commit_from_many(&store));
    let after = bare_appends(&directory, groups, size);
    let counted = store.counters();
    let group = took.as_secs_f64() / f64::from(u32::try_from(counted.groups).unwrap());
    println!(
        "{:.0} commits/s, {} groups of {}, {:.2} ms a group; bare {:.2} ms before, {:.2} ms after",
        f64::from(WAITERS * ROUNDS) / took.as_secs_f64(),
        counted.groups,
        counted.commits / counted.groups,
        group * 1000.0,
        before.as_secs_f64() * 1000.0,
        after.as_secs_f64() * 1000.0,
    );
}

const WAITERS: u32 = 256;
const ROUNDS: u32 = 40;

fn commit_from_many(store: &Arc<SledStore>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for waiter in 0..WAITERS {
            let store = Arc::clone(store);
            tasks.spawn(async move {
                for round in 0..ROUNDS {
                    let key = Namespace::LeaseState.key(format!("{waiter:08}{round:08}"));
                    let write = Transaction::new().expect_absent(key.clone());
                    store.commit(write.put(key, vec![7; 300])).await.unwrap();
                }
            });
        }
        tasks.join_all().await;
    });
}

/// Mean time of appending `size` bytes and making them durable.
fn bare_appends(directory: &TempDir, count: u32, size: usize) -> Duration {
    let mut file = tempfile::tempfile_in(directory.path()).unwrap();
    let bytes = vec![7; size];
    let took = timed(|| {
        for _ in 0..count {
            io::Write::write_all(&mut file, &bytes).unwrap();
            file.sync_data().unwrap();
        }
    });
    took / count
}

#[expect(clippy::disallowed_methods, reason = "measures real time")]
fn timed(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}
