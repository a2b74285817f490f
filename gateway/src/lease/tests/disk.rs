//! A disk that is full: nothing begins, and nothing is lost.

use symbolon_core::error::Kind;

use super::*;

#[tokio::test]
async fn a_full_disk_issues_nothing_and_loses_nothing() {
    let world = World::new().await;
    let id = world.issue(&wish()).await;
    let reservation = world.reserve(&wish()).await;
    let reserved = reservation.id();
    world.database.create(reserved);
    world.memory().fill_up();
    assert_eq!(world.try_reserve(&wish()).await.unwrap_err().kind(), Kind::Unavailable);
    let issued = world.issued(TTL);
    let refused = world.ledger.activate(reservation, issued).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Unavailable);
    let refused = world.ledger.revoke(id, Cause::Owner).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Unavailable);
    let refused = world.ledger.order(Scope::Everything, Cause::Operator).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Unavailable);
    assert_eq!(world.ledger.pending_orders(), []);
    world.clock.advance(TTL);
    world.drain().await;
    assert_eq!(world.database.calls(), 0, "what cannot be written down is not begun");
    let world = world.restart().await;
    assert_eq!((world.state(id).await, world.state(reserved).await), ("active", "reserved"));
    world.check(&BTreeSet::new()).await;
    world.drain().await;
    assert!(!world.database.is_usable(id) && !world.database.is_usable(reserved));
}

#[tokio::test]
async fn a_disk_that_is_full_when_the_backend_has_answered_asks_it_once_more() {
    let world = World::new().await;
    let id = world.issue(&wish()).await;
    world.ledger.revoke(id, Cause::Owner).await.unwrap();
    world.reaper.sweep().await;
    while world.database.calls() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!world.database.is_usable(id));
    world.memory().fill_up();
    world.reaper.settle().await;
    let world = world.restart().await;
    assert_eq!(world.state(id).await, "revoking");
    world.drain().await;
    assert_eq!((world.state(id).await, world.database.calls_for(id)), ("revoked", 2));
}
