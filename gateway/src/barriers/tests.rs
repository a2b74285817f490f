use symbolon_core::clock::ManualClock;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::*;
use crate::store::{BoxFuture, Options, Page, SledStore};

const START: i64 = 1_793_520_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(START + seconds)
}

fn issuer() -> IssuerAlias {
    IssuerAlias::parse("prod").unwrap()
}

fn identity(subject: &str) -> Identity {
    Identity { issuer: issuer(), subject: subject.to_owned() }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(at(0)))
}

fn store(directory: &TempDir) -> Arc<SledStore> {
    let options = Options { cache_capacity: 16 << 20, ..Options::at(directory.path()) };
    Arc::new(SledStore::open(&options, clock()).unwrap())
}

/// A store that reads and, from some moment on, does not say whether it has written.
#[derive(Debug)]
struct Doubtful(Arc<SledStore>);

impl Store for Doubtful {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        self.0.get(key)
    }
    fn scan(&self, span: Span, limit: usize) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.0.scan(span, limit)
    }
    fn commit(&self, _: Transaction) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { Err(StoreError::Deadline) })
    }
}

#[tokio::test]
async fn epochs_and_locks_are_in_force_at_once_and_after_a_restart() {
    let directory = TempDir::new().unwrap();
    let long = "s".repeat(4000);
    let me = Locked::Principal(identity(&long));
    {
        let barriers = DurableBarriers::open(store(&directory), clock()).await.unwrap();
        barriers.raise(Scope::Global, at(-100)).await.unwrap();
        barriers.raise(Scope::Issuer(issuer()), at(-50)).await.unwrap();
        barriers.raise(Scope::Principal(identity(&long)), at(0)).await.unwrap();
        barriers.lock(me.clone(), "uid:0", "stolen laptop").await.unwrap();
        barriers.lock(Locked::Principal(identity("b")), "uid:0", "x").await.unwrap();
        assert!(barriers.unlock(&Locked::Principal(identity("b"))).await.unwrap());
        assert!(!barriers.unlock(&Locked::Principal(identity("b"))).await.unwrap());
        let now = barriers.snapshot();
        assert_eq!(now.admits_proof(&identity(&long), None), Err(Barred::PrincipalLocked));
    }
    let barriers = DurableBarriers::open(store(&directory), clock()).await.unwrap();
    let now = barriers.snapshot();
    assert_eq!(now.lock_of(&me).unwrap().reason, "stolen laptop");
    assert_eq!(now.epoch(&Scope::Global), Some(at(-100)));
    assert_eq!(now.admits_proof(&identity(&long), None), Err(Barred::PrincipalLocked));
    assert_eq!(now.admits_proof(&identity("b"), Some(at(-50))), Err(Barred::IssuerEpoch));
    assert_eq!(now.admits_proof(&identity("b"), Some(at(-49))), Ok(()));
    barriers.unlock(&me).await.unwrap();
    let now = barriers.snapshot();
    assert_eq!(now.admits_proof(&identity(&long), Some(at(0))), Err(Barred::PrincipalEpoch));
}

#[tokio::test]
async fn an_epoch_never_falls_and_is_not_set_into_the_far_future() {
    let directory = TempDir::new().unwrap();
    let barriers = DurableBarriers::open(store(&directory), clock()).await.unwrap();
    assert_eq!(barriers.raise(Scope::Global, at(0)).await, Ok(at(0)));
    assert_eq!(barriers.raise(Scope::Global, at(-10)).await, Ok(at(0)));
    let far = barriers.raise(Scope::Global, at(3601)).await;
    assert_eq!(far, Err(BarrierError::TooFarAhead));
    assert_eq!(barriers.snapshot().epoch(&Scope::Global), Some(at(0)));
}

#[tokio::test]
async fn in_doubt_the_stricter_state_holds() {
    let directory = TempDir::new().unwrap();
    let store = store(&directory);
    let me = Locked::Principal(identity("a"));
    let before = DurableBarriers::open(store.clone(), clock()).await.unwrap();
    before.lock(me.clone(), "uid:0", "x").await.unwrap();
    let doubtful = Arc::new(Doubtful(store));
    let barriers = DurableBarriers::open(doubtful, clock()).await.unwrap();
    assert!(barriers.unlock(&me).await.is_err());
    assert!(barriers.snapshot().lock_of(&me).is_some(), "the lock stays");
    assert!(barriers.raise(Scope::Global, at(0)).await.is_err());
    assert_eq!(barriers.snapshot().epoch(&Scope::Global), Some(at(0)));
    let other = Locked::Issuer(issuer());
    assert!(barriers.lock(other.clone(), "uid:0", "x").await.is_err());
    assert!(barriers.snapshot().lock_of(&other).is_some());
}

#[tokio::test]
async fn of_identical_proofs_exactly_one_is_accepted() {
    let directory = TempDir::new().unwrap();
    let set = Arc::new(OnceSet::open(store(&directory), clock()).await.unwrap());
    let mut tasks = JoinSet::new();
    for _ in 0..32 {
        let set = Arc::clone(&set);
        tasks.spawn(async move { set.remember(&issuer(), &[7; 32], at(300)).await });
    }
    let outcomes = tasks.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(outcomes.iter().filter(|o| **o == Err(OnceError::Replayed)).count(), 31);
}

#[tokio::test]
async fn a_used_proof_stays_used_across_a_restart_and_for_its_issuer_only() {
    let directory = TempDir::new().unwrap();
    let set = OnceSet::open(store(&directory), clock()).await.unwrap();
    set.remember(&issuer(), &[7; 32], at(300)).await.unwrap();
    drop(set);
    let set = OnceSet::open(store(&directory), clock()).await.unwrap();
    assert_eq!(set.remember(&issuer(), &[7; 32], at(300)).await, Err(OnceError::Replayed));
    assert_eq!(set.remember(&issuer(), &[7; 32], at(999)).await, Err(OnceError::Replayed));
    let other = IssuerAlias::parse("dev").unwrap();
    assert_eq!(set.remember(&other, &[7; 32], at(300)).await, Ok(()));
}

#[tokio::test]
async fn what_has_expired_is_swept_in_bounded_steps() {
    let directory = TempDir::new().unwrap();
    let clock = clock();
    let store = store(&directory);
    let set = Arc::new(OnceSet::open(store.clone(), clock.clone()).await.unwrap());
    let mut tasks = JoinSet::new();
    for n in 0..1500_u16 {
        let set = Arc::clone(&set);
        tasks.spawn(async move {
            let mut digest = [0; 32];
            digest[..2].copy_from_slice(&n.to_be_bytes());
            set.remember(&issuer(), &digest, at(60)).await
        });
    }
    assert!(tasks.join_all().await.into_iter().all(|outcome| outcome.is_ok()));
    set.remember(&issuer(), &[9; 32], at(600)).await.unwrap();
    assert_eq!(set.sweep().await, Ok(0), "nothing has expired");
    clock.advance(Duration::from_secs(61));
    let mut swept = Vec::new();
    for _ in 0..3 {
        swept.push(set.sweep().await.unwrap());
    }
    assert_eq!(swept, [1000, 500, 0]);
    assert_eq!(set.remember(&issuer(), &[9; 32], at(600)).await, Err(OnceError::Replayed));
    let left = read_all(&*store, Span::all(Namespace::OnceSeen)).await.unwrap();
    assert_eq!(left.len(), 1);
}

#[tokio::test]
async fn a_clock_that_steps_back_frees_nothing() {
    let directory = TempDir::new().unwrap();
    let clock = clock();
    let set = OnceSet::open(store(&directory), clock.clone()).await.unwrap();
    set.remember(&issuer(), &[7; 32], at(300)).await.unwrap();
    clock.advance(Duration::from_secs(301));
    assert_eq!(set.sweep().await, Ok(1));
    clock.jump_to(at(301 - 600));
    assert_eq!(set.remember(&issuer(), &[7; 32], at(300)).await, Err(OnceError::Forgotten));
    // Not after a restart either, and honest proofs pass.
    drop(set);
    let set = OnceSet::open(store(&directory), clock).await.unwrap();
    assert_eq!(set.remember(&issuer(), &[7; 32], at(300)).await, Err(OnceError::Forgotten));
    assert_eq!(set.remember(&issuer(), &[8; 32], at(302)).await, Ok(()));
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_sweeps_nothing_until_the_jump_has_lasted() {
    let directory = TempDir::new().unwrap();
    let clock = clock();
    let set = OnceSet::open(store(&directory), clock.clone()).await.unwrap();
    set.remember(&issuer(), &[7; 32], at(300)).await.unwrap();
    clock.jump_to(at(36_000));
    assert_eq!(set.sweep().await, Ok(0));
    clock.jump_to(at(0));
    assert_eq!(set.remember(&issuer(), &[7; 32], at(300)).await, Err(OnceError::Replayed));
    assert_eq!(set.remember(&issuer(), &[8; 32], at(300)).await, Ok(()));
    clock.jump_to(at(36_000_000));
    assert_eq!(set.sweep().await, Ok(0));
    clock.advance(MAX_LIFE);
    assert_eq!(set.sweep().await, Ok(2));
}

#[tokio::test]
async fn a_proof_that_lives_too_long_or_cannot_be_remembered_is_refused() {
    let directory = TempDir::new().unwrap();
    let store = store(&directory);
    let set = OnceSet::open(store.clone(), clock()).await.unwrap();
    let day = i64::try_from(MAX_LIFE.as_secs()).unwrap();
    assert_eq!(set.remember(&issuer(), &[1; 32], at(day + 1)).await, Err(OnceError::TooLong));
    let doubtful = OnceSet::open(Arc::new(Doubtful(store)), clock()).await.unwrap();
    let refused = doubtful.remember(&issuer(), &[1; 32], at(60)).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Unavailable);
}

#[tokio::test]
async fn what_goes_with_a_barrier_is_written_with_it_or_not_at_all() {
    let directory = TempDir::new().unwrap();
    let store = store(&directory);
    let barriers = DurableBarriers::open(store.clone(), clock()).await.unwrap();
    let order = |n: u8| Namespace::LeaseOrder.key([n; 16]);
    let beside = |n: u8| Transaction::new().put(order(n), vec![n]);
    barriers.raise_with(Scope::Global, at(0), beside(1)).await.unwrap();
    let me = Locked::Principal(identity("me"));
    barriers.lock_with(me.clone(), ("uid:0", "x"), beside(2)).await.unwrap();
    assert_eq!(store.get(&order(1)).await.unwrap(), Some(vec![1]));
    assert_eq!(store.get(&order(2)).await.unwrap(), Some(vec![2]));

    let refused = Transaction::new().expect_absent(order(1)).put(order(3), vec![3]);
    let other = Locked::Principal(identity("other"));
    barriers.lock_with(other.clone(), ("uid:0", "x"), refused.clone()).await.unwrap_err();
    barriers.raise_with(Scope::Issuer(issuer()), at(0), refused).await.unwrap_err();
    let far = at(0).plus(MAX_AHEAD).plus(Duration::from_secs(1));
    barriers.raise_with(Scope::Global, far, beside(3)).await.unwrap_err();
    assert_eq!(store.get(&order(3)).await.unwrap(), None);
    assert!(barriers.snapshot().lock_of(&other).is_none());
}
