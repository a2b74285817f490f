//! The promise of the ADR: nobody is answered before the device has the bytes.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::super::flusher::{DataFile, Device};
use super::*;

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
    at_gate.recv().unwrap();
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
    entered.recv().unwrap();
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
    entered.recv().unwrap();
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
            entered.recv().unwrap();
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
    entered.recv().unwrap();
    let late = store.commit(put(3)).await;
    assert_eq!(late, Err(StoreError::Deadline));
    (0..4).for_each(|_| verdict.send(Ok(())).unwrap());
    store.commit(put(4)).await.unwrap();
    assert_eq!(store.get(&meta("3")).await, Ok(None));
    assert!(store.counters().abandoned >= 1);
}

/// Not a check but a measurement: `cargo test -- --ignored --nocapture group_commit_against`.
#[test]
#[ignore = "prints a measurement"]
#[expect(clippy::disallowed_methods, reason = "measures real time")]
fn group_commit_against_bare_append_and_fdatasync() {
    const WAITERS: u32 = 256;
    const ROUNDS: u32 = 40;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let directory = TempDir::new_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let store = Arc::new(open(&directory));
    let started = Instant::now();
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for waiter in 0..WAITERS {
            let store = Arc::clone(&store);
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
    let took = started.elapsed();
    let counted = store.counters();
    let commits = f64::from(WAITERS * ROUNDS);

    let floor_path = directory.path().join("floor");
    let mut floor = std::fs::File::create(&floor_path).unwrap();
    let mean_group = usize::try_from(counted.commits / counted.groups).unwrap();
    let started = Instant::now();
    for _ in 0..counted.groups {
        io::Write::write_all(&mut floor, &vec![7; 316 * mean_group]).unwrap();
        floor.sync_data().unwrap();
    }
    let floor_took = started.elapsed();
    let rate = commits / took.as_secs_f64();
    let floor_rate = commits / floor_took.as_secs_f64();
    println!(
        "{rate:.0} commits/s in {} groups of {mean_group}; floor {floor_rate:.0}/s; ratio {:.2}; file {:?}",
        counted.groups,
        rate / floor_rate,
        DataFile::open(directory.path()).is_ok(),
    );
}
