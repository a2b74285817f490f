//! A backend that is down for two days.

use super::*;

#[tokio::test]
async fn two_days_without_a_backend_cost_little_and_lose_nothing() {
    const COUNT: usize = 200;
    let world = World::new().await;
    let lost = world.issue_many(COUNT, &wish()).await;
    world.database.feel("db", Mood::Down);
    world.clock.advance(TTL);
    let mut last = (0, 0);
    let minutes = 2 * 24 * 60;
    for minute in 0..minutes {
        world.sweep().await;
        if minute % 60 == 0 {
            let id = world.issue(&Wish { backend: "other", ..wish() }).await;
            world.ledger.revoke(id, Cause::Owner).await.unwrap();
            world.sweep().await;
            assert!(!world.database.is_usable(id), "the others are served");
        }
        if minute == minutes / 2 {
            last = (calls_of(&world, "db"), written(&world).await);
        }
        world.clock.advance(Duration::from_mins(1));
    }
    let attempts = calls_of(&world, "db");
    assert!(attempts < 2 * 24 * 60 / 4 + 64, "{attempts} attempts");
    assert!(attempts - last.0 > 200, "it is never given up");
    let begun = written(&world).await;
    assert!(begun <= COUNT, "{begun} changes of {COUNT} leases");
    assert!(lost.iter().all(|id| world.database.is_usable(*id)));
    assert_eq!(world.ledger.count_of_backend(&backend("db")).await.unwrap(), COUNT as u64);
    let lane = world.reaper.lanes().into_iter().find(|lane| lane.backend == backend("db")).unwrap();
    assert!(lane.failures > 100 && lane.window == 1, "{lane:?}");
    assert!(world.now().since(lane.oldest_due.unwrap()) >= DAY, "and it is seen: {lane:?}");
    world.check(&BTreeSet::new()).await;
    returns_gently(&world).await;
    assert!(lost.iter().all(|id| !world.database.is_usable(*id)));
    world.check(&BTreeSet::new()).await;
}

async fn returns_gently(world: &World) {
    world.database.feel("db", Mood::Up);
    world.clock.advance(Duration::from_mins(5));
    // It doubles with each success.
    for expected in [1, 2, 8, 32, 32] {
        let before = calls_of(world, "db");
        world.sweep().await;
        assert_eq!(calls_of(world, "db") - before, expected);
    }
    world.drain().await;
}

fn calls_of(world: &World, name: &str) -> usize {
    let name = backend(name);
    world.database.with(|inner| inner.calls.iter().filter(|call| call.0 == name).count())
}

/// Changes of the lost backend's leases since they were activated.
async fn written(world: &World) -> usize {
    let leases = world.leases().await;
    let of_db = leases.iter().filter(|lease| lease.terms().backend == backend("db"));
    of_db.map(|lease| usize::try_from(lease.revision()).unwrap() - 2).sum()
}

#[tokio::test]
async fn during_an_outage_a_lease_is_renewed_until_its_last_second_and_not_in_it() {
    let world = World::new().await;
    let (early, late) = (world.issue(&wish()).await, world.issue(&wish()).await);
    let expired = world.issue(&wish()).await;
    world.database.feel("db", Mood::Down);
    world.ledger.revoke(expired, Cause::Owner).await.unwrap();
    world.sweep().await;
    world.clock.advance(TTL - Duration::from_millis(1500));
    world.ledger.renewed(early, world.now().plus(TTL)).await.unwrap();
    world.clock.advance(Duration::from_millis(700));
    assert_eq!(world.ledger.renewable(late).await.unwrap_err().code(), "lease_expired");
    world.clock.advance(DAY);
    let until = world.now().plus(Duration::from_secs(1));
    let resurrected = world.ledger.renewed(late, until).await;
    assert_eq!(resurrected.unwrap_err().code(), "lease_expired", "though nobody has ended it yet");
    world.database.feel("db", Mood::Up);
    world.drain().await;
    assert!([early, late, expired].into_iter().all(|id| !world.database.is_usable(id)));
}
