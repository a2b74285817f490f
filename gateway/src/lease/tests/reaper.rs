//! The reaper: fair between backends and leases, and never at rest while something is due.

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::*;

const BACKENDS: [&str; 19] = [
    "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9", "n1", "n2", "n3", "n4", "z1", "z2", "z3",
    "z4", "z5", "z6",
];
/// Most endings at a time at one backend.
const WIDEST: usize = 32;

/// So many leases of one backend are due in the same moment as ten of each of nineteen others.
async fn storm(count: usize) {
    let world = World::new().await;
    let large = Wish { backend: "m", ..wish() };
    let big = world.issue_many(count, &large).await;
    let mut others = Vec::new();
    for name in BACKENDS {
        others.extend(world.issue_many(10, &Wish { backend: name, ..wish() }).await);
    }
    world.clock.advance(TTL);
    let scanned = world.memory().scanned();
    world.sweep().await;
    assert!(others.iter().all(|id| !world.database.is_usable(*id)), "in the first sweep");
    let of_big = |inner: &mut Inner| inner.calls.iter().filter(|c| c.0 == large_backend()).count();
    assert!(world.database.with(of_big) <= WIDEST, "while the large one had no more than its lane");
    assert!(
        world.memory().scanned() - scanned <= 20 * (WIDEST + 2),
        "nothing is read but what is due"
    );
    // In the middle of it one more of each of the others.
    let mut later = Vec::new();
    for name in BACKENDS {
        later.push(world.issue(&Wish { backend: name, ..wish() }).await);
        world.ledger.revoke(later[later.len() - 1], Cause::Owner).await.unwrap();
    }
    world.sweep().await;
    assert!(later.iter().all(|id| !world.database.is_usable(*id)));
    assert!(world.database.with(of_big) <= 2 * WIDEST);
    world.drain().await;
    assert!(big.iter().all(|id| !world.database.is_usable(*id)));
    assert_eq!(world.database.calls(), count + others.len() + later.len(), "each was asked once");
    assert!(world.database.with(|inner| inner.most_running) <= 20 * WIDEST);
    let first = world.database.with(|inner| {
        let of_big = inner.calls.iter().filter(|c| c.0 == large_backend()).take(WIDEST);
        of_big.map(|(_, id, _)| *id).collect::<BTreeSet<_>>()
    });
    assert!(first.is_subset(&big.iter().copied().collect()));
    world.check(&BTreeSet::new()).await;
}

fn large_backend() -> BackendName {
    backend("m")
}

#[tokio::test]
async fn a_storm_at_one_backend_delays_no_other() {
    storm(20_000).await;
}

#[tokio::test]
#[ignore = "soak: a hundred thousand leases"]
async fn a_storm_of_a_hundred_thousand_delays_no_other() {
    storm(100_000).await;
}

#[tokio::test]
async fn one_lease_that_never_ends_in_time_does_not_starve_the_others_of_its_backend() {
    let world = World::new().await;
    let stuck = world.issue(&wish()).await;
    world.database.with(|inner| inner.stuck.insert(stuck));
    world.ledger.revoke(stuck, Cause::Owner).await.unwrap();
    let others = world.issue_many(100, &wish()).await;
    for _ in 0..60 {
        world.sweep().await;
        world.clock.advance(Duration::from_secs(2));
    }
    world.clock.advance(TTL);
    for _ in 0..400 {
        world.sweep().await;
        world.clock.advance(Duration::from_secs(2));
    }
    let left = others.iter().filter(|id| world.database.is_usable(**id)).count();
    assert_eq!((left, world.state(stuck).await), (0, "revoking"));
    world.database.with(|inner| inner.stuck.clear());
    world.clock.advance(Duration::from_mins(5));
    world.drain().await;
    assert!(!world.database.is_usable(stuck));
}

#[tokio::test]
async fn an_ending_that_panics_is_tried_again() {
    let world = World::new().await;
    let id = world.issue(&wish()).await;
    world.database.with(|inner| inner.cursed.insert(id));
    world.clock.advance(TTL);
    world.sweep().await;
    assert!(world.database.is_usable(id));
    world.clock.advance(Duration::from_secs(2));
    world.sweep().await;
    assert_eq!((world.database.is_usable(id), world.state(id).await), (false, "revoked"));
}

#[tokio::test]
async fn what_the_backend_refuses_is_tried_again_for_ever_at_growing_intervals() {
    let world = World::new().await;
    world.database.feel("db", Mood::Refuses);
    let id = world.issue(&wish()).await;
    world.ledger.revoke(id, Cause::Owner).await.unwrap();
    for _ in 0..(DAY.as_secs() / 10) {
        world.sweep().await;
        world.clock.advance(Duration::from_secs(10));
    }
    let attempts = world.database.calls_for(id);
    assert!((280..400).contains(&attempts), "{attempts} attempts in a day");
    let lease = world.ledger.find(id).await.unwrap().unwrap();
    assert_eq!((lease.attempts as usize, lease.late(world.now()) >= DAY), (attempts, true));
    world.database.feel("db", Mood::Up);
    world.clock.advance(Duration::from_mins(5));
    world.drain().await;
    assert_eq!(world.proof(id).await, Some(Proof::Verified));
}

#[tokio::test]
async fn a_busy_backend_is_asked_less_and_nothing_is_written() {
    let world = World::new().await;
    world.database.feel("db", Mood::Busy);
    world.issue_many(64, &wish()).await;
    world.clock.advance(TTL);
    world.sweep().await;
    let (calls, commits) = (world.database.calls(), world.memory().commits());
    assert_eq!(calls, WIDEST);
    world.sweep().await;
    assert_eq!(world.database.calls(), calls, "not before a second has passed");
    world.database.feel("db", Mood::Up);
    world.clock.advance(Duration::from_secs(1));
    world.drain().await;
    assert!(world.memory().commits() > commits);
    assert_eq!(world.ledger.count_of_backend(&backend("db")).await.unwrap(), 0);
}

#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_again() {
    let world = World::new().await;
    let id = world.issue(&wish()).await;
    world.database.feel("db", Mood::AnswerLost);
    world.ledger.revoke(id, Cause::Owner).await.unwrap();
    world.sweep().await;
    assert_eq!((world.database.is_usable(id), world.state(id).await), (false, "revoking"));
    let world = world.restart().await;
    world.database.feel("db", Mood::Up);
    world.sweep().await;
    assert_eq!((world.state(id).await, world.database.calls_for(id)), ("revoked", 2));
}

#[tokio::test]
async fn a_lane_that_has_nothing_to_do_is_gone_and_says_nothing() {
    let world = World::new().await;
    world.issue(&wish()).await;
    world.clock.advance(TTL);
    world.reaper.sweep().await;
    assert_eq!(world.reaper.lanes()[0].oldest_due, Some(START.plus(TTL)));
    world.reaper.settle().await;
    world.clock.advance(DAY);
    world.drain().await;
    assert!(world.keys(Namespace::LeaseDue).await.is_empty());
    assert_eq!(world.reaper.lanes(), []);
}

#[tokio::test]
async fn a_running_reaper_is_woken_and_stops_when_it_is_told() {
    let world = World::new().await;
    let ids = world.issue_many(200, &wish()).await;
    let stop = CancellationToken::new();
    let mut running = JoinSet::new();
    running.spawn(Arc::clone(&world.reaper).run(stop.clone()));
    let_others_run().await;
    world.ledger.order(Scope::Everything, Cause::Operator).await.unwrap();
    // No nap of the reaper ends in this: it has to be woken each time.
    let ended = async {
        while ids.iter().any(|id| world.database.is_usable(*id)) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap();
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(20), running.join_next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    world.check(&BTreeSet::new()).await;
}
