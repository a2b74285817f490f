//! Orders: what they cover, and that nothing gets past them.

use tokio::task::JoinSet;

use super::*;

fn subject(name: &str) -> Scope {
    Scope::of(&owner(name))
}

#[tokio::test]
async fn an_order_ends_what_it_covers_and_nothing_else() {
    let wishes = [
        wish(),
        Wish { token: 2, ..wish() },
        Wish { role: "writer", ..wish() },
        Wish { backend: "db-a", ..wish() },
        Wish { subject: "bob".to_owned(), ..wish() },
        Wish { subject: "other:alice".to_owned(), ..wish() },
    ];
    let issuer = |name| IssuerAlias::parse(name).unwrap();
    for (scope, covered) in [
        (Scope::Everything, vec![0, 1, 2, 3, 4, 5]),
        (Scope::Backend(backend("db")), vec![0, 1, 2, 4, 5]),
        (Scope::Role { backend: backend("db"), role: role("writer") }, vec![2]),
        (Scope::Issuer(issuer("ci")), vec![0, 1, 2, 3, 4]),
        (subject("alice"), vec![0, 1, 2, 3]),
        (Scope::Token { digest: [2; 32] }, vec![1]),
        (Scope::Backend(backend("d")), vec![]),
    ] {
        let world = World::new().await;
        let mut ids = Vec::new();
        for wish in &wishes {
            ids.push(world.issue(wish).await);
        }
        assert_eq!(world.ledger.would_end(&scope).await.unwrap(), covered.len() as u64, "{scope}");
        world.ledger.order(scope.clone(), Cause::Cascade).await.unwrap();
        world.drain().await;
        let ended: Vec<_> = (0..ids.len()).filter(|n| !world.database.is_usable(ids[*n])).collect();
        assert_eq!(ended, covered, "{scope}");
        assert_eq!(world.ledger.pending_orders(), []);
        assert!(world.keys(Namespace::LeaseOrder).await.is_empty());
        world.check(&BTreeSet::new()).await;
    }
}

#[tokio::test]
async fn from_the_moment_of_an_order_nothing_it_covers_is_renewed() {
    let world = World::new().await;
    let (covered, other) = (
        world.issue(&wish()).await,
        world.issue(&Wish { subject: "bob".to_owned(), ..wish() }).await,
    );
    world.ledger.order(subject("alice"), Cause::Cascade).await.unwrap();
    assert_eq!(world.ledger.renewable(covered).await.unwrap_err().code(), "lease_ending");
    let until = world.now().plus(CEILING);
    assert_eq!(world.ledger.renewed(covered, until).await.unwrap_err().code(), "lease_ending");
    assert_eq!(world.state(covered).await, "revoking");
    world.ledger.renewable(other).await.unwrap();
}

#[tokio::test]
async fn what_is_being_reserved_while_an_order_is_given_does_not_get_past_it() {
    let world = World::new().await;
    // The reservation has its time, and hangs in the store.
    let (gate, ledger) = (world.memory().gate.write().await, Arc::clone(&world.ledger));
    let mut reserving = JoinSet::new();
    reserving.spawn(async move {
        let make = |now| terms(LeaseId::new(now, 9), now, &wish());
        ledger.reserve_with(make, TTL, Limits::default()).await
    });
    let_others_run().await;
    let draft = world.ledger.draft(subject("alice"), Cause::Cascade);
    world.ledger.put_in_force(draft);
    world.reaper.sweep().await;
    let_others_run().await;
    drop(gate);
    let reservation = reserving.join_next().await.unwrap().unwrap().unwrap();
    let id = reservation.id();
    world.database.create(id);
    let _maybe = world.ledger.activate(reservation, world.issued(TTL)).await;
    world.reaper.settle().await;
    world.drain().await;
    world.clock.advance(Duration::from_mins(6));
    world.drain().await;
    assert!(!world.database.is_usable(id));
}

#[tokio::test]
async fn what_is_reserved_after_an_order_is_not_meant() {
    let world = World::new().await;
    let before = world.issue(&wish()).await;
    world.ledger.order(subject("alice"), Cause::Cascade).await.unwrap();
    world.clock.advance(Duration::from_millis(1));
    let after = world.issue(&wish()).await;
    world.ledger.renewable(after).await.unwrap();
    world.drain().await;
    assert!(!world.database.is_usable(before));
    assert_eq!(world.state(after).await, "active");
}

#[tokio::test]
async fn an_order_survives_a_restart_and_means_what_it_meant() {
    let world = World::new().await;
    let before = world.issue(&wish()).await;
    world.ledger.order(subject("alice"), Cause::Cascade).await.unwrap();
    let world = world.restart().await;
    assert_eq!(world.ledger.pending_orders().len(), 1);
    world.clock.advance(Duration::from_mins(2));
    let after = world.issue(&wish()).await;
    world.drain().await;
    assert!(!world.database.is_usable(before));
    assert_eq!(world.state(after).await, "active");
    assert_eq!(world.ledger.pending_orders(), []);
}

#[tokio::test]
async fn a_crash_between_an_orders_bytes_and_its_force_loses_nothing() {
    let world = World::new().await;
    let draft = world.ledger.draft(subject("alice"), Cause::Cascade);
    world.store.commit(draft.write().unwrap()).await.unwrap();
    world.clock.advance(Duration::from_secs(5));
    let meanwhile = world.issue(&wish()).await;
    let world = world.restart().await;
    world.drain().await;
    assert!(!world.database.is_usable(meanwhile));
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_large_order_is_made_up_for() {
    let mut world = World::new().await;
    let ids = world.issue_many(5000, &wish()).await;
    let spared = world.issue(&Wish { subject: "bob".to_owned(), ..wish() }).await;
    world.ledger.order(subject("alice"), Cause::Cascade).await.unwrap();
    for part in [500, 2500] {
        world.reaper.sweep().await;
        while world.ledger.counts().await.unwrap().active > 5001 - part {
            tokio::task::yield_now().await;
        }
        assert!(world.ledger.counts().await.unwrap().active > 1, "in the middle");
        world = world.restart().await;
        assert_eq!(world.ledger.pending_orders().len(), 1);
        world.check(&BTreeSet::new()).await;
    }
    world.drain().await;
    assert!(ids.iter().all(|id| !world.database.is_usable(*id)));
    assert_eq!(world.state(spared).await, "active");
    world.check(&BTreeSet::new()).await;
}

#[tokio::test]
async fn a_large_order_keeps_nothing_waiting_that_is_due() {
    let world = World::new().await;
    let due = world.issue(&Wish { backend: "other", ..wish() }).await;
    world.clock.advance(TTL / 2);
    world.issue_many(2000, &wish()).await;
    world.clock.advance(TTL / 2);
    world.ledger.order(Scope::Backend(backend("db")), Cause::Operator).await.unwrap();
    world.reaper.sweep().await;
    while world.database.is_usable(due) {
        tokio::task::yield_now().await;
    }
    assert!(world.ledger.counts().await.unwrap().active > 0, "the order was not done before");
    world.drain().await;
    assert_eq!(world.ledger.counts().await.unwrap().active, 0);
}

#[tokio::test]
async fn a_damaged_order_stops_neither_the_start_nor_the_others() {
    let world = World::new().await;
    let id = world.issue(&wish()).await;
    world.memory().damage(&Namespace::LeaseOrder.key([1; 16]), Some(b"\x01{\"scope\"".to_vec()));
    world.memory().damage(&Namespace::LeaseOrder.key([2; 3]), Some(Vec::new()));
    world.ledger.order(subject("alice"), Cause::Cascade).await.unwrap();
    let world = world.restart().await;
    assert_eq!(world.ledger.pending_orders().len(), 1);
    world.drain().await;
    assert!(!world.database.is_usable(id));
    assert_eq!(world.keys(Namespace::LeaseOrder).await.len(), 2, "left for the operator");
}

#[tokio::test]
async fn an_order_that_the_store_refuses_is_begun_again() {
    let world = World::new().await;
    let id = world.issue(&wish()).await;
    world.ledger.order(subject("alice"), Cause::Cascade).await.unwrap();
    world.memory().fail_next(Fault::Refused);
    world.sweep().await;
    assert_eq!(world.ledger.pending_orders().len(), 1);
    assert_eq!(world.ledger.renewable(id).await.unwrap_err().code(), "lease_ending");
    world.drain().await;
    assert!(!world.database.is_usable(id));
}

#[tokio::test]
async fn an_order_covers_what_was_reserved_before_the_clock_was_set_back() {
    let world = World::new().await;
    world.clock.advance(Duration::from_mins(4));
    let id = world.issue(&wish()).await;
    // A little: more would be held.
    world.clock.jump_to(START.plus(Duration::from_mins(1)));
    let world = world.restart().await;
    world.ledger.order(subject("alice"), Cause::Cascade).await.unwrap();
    assert_eq!(world.ledger.renewable(id).await.unwrap_err().code(), "lease_ending");
    world.drain().await;
    assert!(!world.database.is_usable(id));
}
