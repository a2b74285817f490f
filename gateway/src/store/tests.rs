mod crash;
mod durable;

use std::sync::Arc;

use symbolon_core::clock::{Clock, ManualClock, Timestamp};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::embedded::open_trees;
use super::format::{self, Migration};
use super::*;

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(Timestamp::from_seconds(1_793_520_000)))
}

fn small(directory: &std::path::Path) -> Options {
    Options { cache_capacity: 16 * 1024 * 1024, ..Options::at(directory) }
}

fn open(directory: &TempDir) -> SledStore {
    SledStore::open(&small(directory.path()), clock()).unwrap()
}

fn meta(tail: &str) -> Key {
    Namespace::Meta.key(tail)
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    let write = Transaction::new().put(meta("a"), b"1".to_vec()).put(meta("b"), b"2".to_vec());
    store.commit(write).await.unwrap();
    store.commit(Transaction::new().delete(meta("b"))).await.unwrap();
    drop(store);
    let store = open(&directory);
    assert_eq!(store.get(&meta("a")).await, Ok(Some(b"1".to_vec())));
    assert_eq!(store.get(&meta("b")).await, Ok(None));
}

#[tokio::test]
async fn a_broken_expectation_refuses_the_whole_transaction() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    store.commit(Transaction::new().put(meta("a"), b"1".to_vec())).await.unwrap();
    let base = || Transaction::new().put(meta("written"), b"x".to_vec());
    for (what, transaction, holds) in [
        ("absent", base().expect_absent(meta("a")), false),
        ("absent", base().expect_absent(meta("z")), true),
        ("present", base().expect_present(meta("a")), true),
        ("present", base().expect_present(meta("z")), false),
        ("equals", base().expect_equals(meta("a"), b"1".to_vec()), true),
        ("equals", base().expect_equals(meta("a"), b"2".to_vec()), false),
        ("unchanged", base().expect_unchanged(meta("z"), None), true),
        ("both", base().expect_present(meta("a")).expect_present(meta("z")), false),
    ] {
        store.commit(Transaction::new().delete(meta("written"))).await.unwrap();
        let outcome = store.commit(transaction).await;
        assert_eq!(outcome.is_ok(), holds, "{what}: {outcome:?}");
        assert_eq!(store.get(&meta("written")).await.unwrap().is_some(), holds, "{what}");
    }
}

#[tokio::test]
async fn of_many_who_expect_absence_exactly_one_wins() {
    let directory = TempDir::new().unwrap();
    let store = Arc::new(open(&directory));
    let mut tasks = JoinSet::new();
    for n in 0..64_u8 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let claim = Transaction::new().expect_absent(meta("one")).put(meta("one"), vec![n]);
            store.commit(claim).await
        });
    }
    let outcomes = tasks.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(
        outcomes.iter().filter(|o| **o == Err(StoreError::Conflict(meta("one")))).count(),
        63
    );
    assert_eq!(store.counters().conflicts, 63);
}

#[tokio::test]
async fn a_scan_goes_in_order_page_by_page_and_stays_in_its_span() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    let mut write = Transaction::new().put(Namespace::Lock.key("x"), vec![]);
    for n in (0..25_u8).rev() {
        write = write.put(Namespace::Epoch.key([b"p/".as_slice(), &[n]].concat()), vec![n]);
    }
    store.commit(write.put(Namespace::Epoch.key("q"), vec![])).await.unwrap();

    let span = Span::with_prefix(Namespace::Epoch, "p/");
    let page = store.scan(span.clone(), 10).await.unwrap();
    assert_eq!(page.entries.len(), 10);
    let all = read_all(&store, span.clone()).await.unwrap();
    let values = all.iter().map(|(_, value)| value[0]).collect::<Vec<_>>();
    assert_eq!(values, (0..25).collect::<Vec<_>>());
    let exact = store.scan(span.clone(), 25).await.unwrap();
    assert_eq!((exact.entries.len(), exact.next), (25, None));
    let first = store.scan(span.before([b"p/".as_slice(), &[3]].concat()), 10).await.unwrap();
    assert_eq!(first.entries.len(), 3);
}

#[tokio::test]
async fn the_sealed_tree_is_apart_from_the_ledger() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    let key = Namespace::Sealed.key("x");
    store.commit(Transaction::new().put(key.clone(), b"s".to_vec())).await.unwrap();
    assert_eq!(store.get(&key).await, Ok(Some(b"s".to_vec())));
    let both = Transaction::new().delete(key).delete(meta("a"));
    assert_eq!(store.commit(both).await, Err(StoreError::TwoTrees));
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_queued() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    let mut many = Transaction::new();
    for n in 0..=MAX_OPERATIONS {
        many = many.delete(meta(&n.to_string()));
    }
    for (what, transaction) in [
        ("value", Transaction::new().put(meta("a"), vec![0; MAX_VALUE_BYTES + 1])),
        ("key", Transaction::new().expect_absent(meta(&"k".repeat(MAX_KEY_BYTES + 1)))),
        ("transaction", many),
    ] {
        assert_eq!(store.commit(transaction).await, Err(StoreError::TooLarge(what)));
    }
}

/// A page that outgrows a quarter of a segment goes to `blobs/`, which sled never flushes.
#[tokio::test]
async fn values_of_the_largest_size_never_leave_the_data_file() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    for round in 0..3_u8 {
        for n in 0..120_u16 {
            let key = meta(&format!("{n:05}{}", "k".repeat(MAX_KEY_BYTES - 5)));
            let value = vec![round; MAX_VALUE_BYTES];
            store.commit(Transaction::new().put(key, value)).await.unwrap();
        }
    }
    drop(store);
    assert_eq!(std::fs::read_dir(directory.path().join("blobs")).unwrap().count(), 0);
}

#[test]
fn a_newer_format_a_foreign_database_and_a_held_lock_are_refused_by_name() {
    let directory = TempDir::new().unwrap();
    let options = small(directory.path());
    let store = open(&directory);
    // Another process (here: another open file) has it.
    let mut impatient = sled::Config::new().path(directory.path());
    impatient = impatient.segment_size(2 * 1024 * 1024);
    let locked = super::embedded::open_error(directory.path(), impatient.open().unwrap_err());
    assert!(locked.to_string().contains("in use by another process"), "{locked}");
    drop(store);

    let trees = open_trees(&options).unwrap();
    let mut batch = sled::Batch::default();
    batch.insert("meta/format", "7");
    trees.ledger.apply_batch(batch).unwrap();
    drop(trees);
    let newer = SledStore::open(&options, clock()).unwrap_err().to_string();
    assert!(newer.contains("has format 7, this version knows formats up to 1"), "{newer}");
    assert!(newer.contains(directory.path().to_str().unwrap()), "{newer}");

    let trees = open_trees(&options).unwrap();
    let mut batch = sled::Batch::default();
    batch.remove("meta/format");
    batch.insert("someone's", "data");
    trees.ledger.apply_batch(batch).unwrap();
    drop(trees);
    let foreign = SledStore::open(&options, clock()).unwrap_err().to_string();
    assert!(foreign.contains("not a store of this program"), "{foreign}");
}

#[test]
fn a_damaged_store_is_refused_by_name() {
    let directory = TempDir::new().unwrap();
    drop(open(&directory));
    std::fs::write(directory.path().join("conf"), "segment_size: nonsense\n").unwrap();
    let damaged = SledStore::open(&small(directory.path()), clock()).unwrap_err();
    assert!(matches!(damaged, OpenError::Corrupt { .. }), "{damaged:?}");
    assert!(damaged.to_string().contains("restore a backup"), "{damaged}");
}

#[test]
fn migrations_run_in_order_and_only_once() {
    const STEPS: &[Migration] = &[
        Migration { from: 2, step: |ledger, batch| append(ledger, batch, "2") },
        Migration { from: 1, step: |ledger, batch| append(ledger, batch, "1") },
    ];
    fn append(ledger: &sled::Tree, batch: &mut sled::Batch, step: &str) -> sled::Result<()> {
        let mut trace = ledger.get("meta/trace")?.map(|v| v.to_vec()).unwrap_or_default();
        trace.extend(step.as_bytes());
        batch.insert("meta/trace", trace);
        Ok(())
    }
    let directory = TempDir::new().unwrap();
    drop(open(&directory));
    let trees = open_trees(&small(directory.path())).unwrap();
    for _ in 0..2 {
        format::settle(directory.path(), &trees, 3, STEPS).unwrap();
        assert_eq!(trees.ledger.get("meta/trace").unwrap().unwrap(), b"12");
    }
    let gap = format::settle(directory.path(), &trees, 4, STEPS).unwrap_err();
    assert!(matches!(gap, OpenError::NoUpgrade { found: 3, .. }), "{gap:?}");
}

#[tokio::test]
async fn counts_are_exact_under_many_adders_and_never_pass_their_limit() {
    let directory = TempDir::new().unwrap();
    let store = Arc::new(open(&directory));
    let (key, limit) = (Namespace::LeaseQuota.key("principal\0x"), 40);
    let mut adders = JoinSet::new();
    for n in 0..64_u32 {
        let (store, key) = (store.clone(), key.clone());
        adders.spawn(async move {
            let write = Transaction::new().expect_below(key.clone(), limit).add(key.clone(), 1);
            store.commit(write.put(meta(&n.to_string()), Vec::new())).await
        });
    }
    let outcomes = adders.join_all().await;
    let refused = Err(StoreError::Conflict(key.clone()));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 40);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == refused).count(), 24);
    assert_eq!(store.get(&key).await.unwrap(), Some(40_u64.to_be_bytes().to_vec()));
    for _ in 0..40 {
        store.commit(Transaction::new().add(key.clone(), -1)).await.unwrap();
    }
    assert_eq!(store.get(&key).await, Ok(None), "a count of zero takes no room");
    store.commit(Transaction::new().add(key.clone(), -1)).await.unwrap();
    assert_eq!(store.get(&key).await, Ok(None), "a count does not fall below zero");
}

#[tokio::test]
async fn a_damaged_count_lets_nothing_begin_and_does_not_stop_what_ends() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    let key = Namespace::LeaseQuota.key("principal\0x");
    store.commit(Transaction::new().put(key.clone(), b"?".to_vec())).await.unwrap();
    let begin = Transaction::new().expect_below(key.clone(), u64::MAX).add(key.clone(), 1);
    assert_eq!(store.commit(begin).await, Err(StoreError::Conflict(key.clone())));
    let end = Transaction::new().add(key.clone(), -1).put(meta("ended"), Vec::new());
    store.commit(end).await.unwrap();
    assert_eq!(store.get(&key).await, Ok(Some(b"?".to_vec())));
}
