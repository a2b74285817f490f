//! Quotas: exact, whoever comes at the same time and however a lease ends.

use tokio::task::JoinSet;

use super::*;

fn all() -> [Quota; 3] {
    let reader = Quota::Role(backend("db"), role("reader"));
    [Quota::Principal(owner("alice")), reader, Quota::Backend(backend("db"))]
}

#[tokio::test]
async fn a_quota_is_exact_under_many_creators_and_across_a_restart() {
    let of = |principal, role, backend| Limits { principal, role, backend };
    for (limits, whose) in [
        (of(Some(40), None, None), "principal"),
        (of(Some(60), Some(40), Some(41)), "role"),
        (of(None, None, Some(40)), "backend"),
    ] {
        let world = World::on_disk().await;
        let mut creators = JoinSet::new();
        for n in 0..64_u128 {
            let ledger = Arc::clone(&world.ledger);
            creators.spawn(async move {
                let make = |now| terms(LeaseId::new(now, n), now, &wish());
                ledger.reserve_with(make, TTL, limits).await
            });
        }
        let outcomes = creators.join_all().await;
        let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
        let refused: Vec<_> = refused.map(ToString::to_string).collect();
        assert_eq!(refused, vec![format!("the {whose} has as many leases as it may have"); 24]);
        let world = world.restart().await;
        let wish = Wish { limits, ..wish() };
        let error = world.try_reserve(&wish).await.unwrap_err();
        assert_eq!(error.kind(), symbolon_core::error::Kind::Exhausted);
        for quota in all() {
            assert_eq!(world.count(quota).await, 40);
        }
        world.check(&BTreeSet::new()).await;
        world.clock.advance(HOUR);
        world.sweep().await;
        world.sweep().await;
        world.clock.advance(HOUR);
        world.sweep().await;
        world.sweep().await;
        assert_eq!(world.count(Quota::Backend(backend("db"))).await, 0);
        world.issue(&wish).await;
        world.check(&BTreeSet::new()).await;
    }
}

#[tokio::test]
async fn counts_are_zero_again_however_a_lease_ends() {
    let world = World::new().await;
    let mut forced = BTreeSet::new();
    let failed = world.reserve(&wish()).await;
    world.ledger.fail(failed, false).await;
    let lost = world.reserve(&wish()).await;
    world.ledger.fail(lost, true).await;
    let dropped = world.reserve(&wish()).await;
    world.database.create(dropped.id());
    drop(dropped);
    world.issue(&wish()).await;
    let revoked = world.issue(&wish()).await;
    world.ledger.revoke(revoked, Cause::Owner).await.unwrap();
    let condemned = world.issue(&wish()).await;
    world.ledger.condemn(condemned).await;
    let answered = world.issue(&wish()).await;
    world.ledger.revoke(answered, Cause::Owner).await.unwrap();
    world.ledger.force(answered).await.unwrap();
    forced.insert(answered);
    for quota in all() {
        assert_eq!(world.count(quota).await, 5);
    }
    for _ in 0..10 {
        world.clock.advance(TTL);
        world.drain().await;
        world.check(&forced).await;
    }
    for quota in all() {
        assert_eq!(world.count(quota).await, 0);
    }
    let counts = world.ledger.counts().await.unwrap();
    assert_eq!((counts.reserved, counts.active, counts.revoking), (0, 0, 0));
    world.clock.advance(DAY);
    world.drain().await;
    assert!(world.keys(Namespace::LeaseQuota).await.is_empty());
}

#[tokio::test]
async fn a_limit_of_none_is_no_limit_and_of_zero_is_nothing() {
    let world = World::new().await;
    let none = Limits { role: Some(0), ..Limits::default() };
    let error = world.try_reserve(&Wish { limits: none, ..wish() }).await.unwrap_err();
    assert!(matches!(error, LedgerError::Quota("role")), "{error:?}");
    assert!(world.leases().await.is_empty());
    world.issue_many(50, &wish()).await;
}
