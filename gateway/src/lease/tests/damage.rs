//! Records and entries that are not what they should be: named, put aside, and the rest goes on.

use super::*;

/// What damage makes of a record, and whether its state can still be told.
fn damages(bytes: &[u8], other: &[u8]) -> Vec<(&'static str, Vec<u8>, bool)> {
    let text = String::from_utf8(bytes[1..].to_vec()).unwrap();
    let garbled = text.replace("\"backend\":\"db\"", "\"backend\":\"d b\"");
    let version = |text: String| [&[1], text.as_bytes()].concat();
    vec![
        ("truncated", bytes[..bytes.len() / 2].to_vec(), false),
        ("empty", Vec::new(), false),
        ("garbled", version(garbled), true),
        ("of another version", [&[9], &bytes[1..]].concat(), true),
        ("another's", other.to_vec(), true),
    ]
}

async fn bytes_of(world: &World, id: LeaseId) -> Vec<u8> {
    world.store.get(&state(id)).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_damaged_record_is_set_aside_and_the_rest_is_served() {
    for kind in 0..5 {
        let world = World::new().await;
        let ids = world.issue_many(3, &wish()).await;
        let (bytes, other) = (bytes_of(&world, ids[0]).await, bytes_of(&world, ids[1]).await);
        let (what, damaged, is_told) = damages(&bytes, &other).swap_remove(kind);
        world.memory().damage(&state(ids[0]), Some(damaged.clone()));
        let world = world.restart().await;
        let error = world.ledger.find(ids[0]).await.unwrap_err();
        assert!(matches!(error, LedgerError::Damaged(id) if id == ids[0]), "{what}: {error:?}");
        assert_eq!(
            world.ledger.revoke(ids[0], Cause::Owner).await.unwrap_err().code(),
            "lease_damaged"
        );
        world.ledger.renewable(ids[1]).await.unwrap();
        world.clock.advance(TTL);
        world.drain().await;
        assert!(!world.database.is_usable(ids[1]) && !world.database.is_usable(ids[2]), "{what}");
        assert_eq!(world.database.calls_for(ids[0]), 0, "{what}: nobody is revoked on its word");
        let aside = Namespace::LeaseDamaged.key(ids[0].to_bytes());
        assert_eq!(world.store.get(&aside).await.unwrap(), Some(damaged), "{what}");
        assert_eq!(world.state(ids[0]).await, "forgotten");
        let left = u64::from(!is_told);
        for quota in [
            Quota::Principal(owner("alice")),
            Quota::Role(backend("db"), role("reader")),
            Quota::Backend(backend("db")),
        ] {
            assert_eq!(world.count(quota).await, left, "{what}");
        }
        if is_told {
            world.check(&BTreeSet::from([ids[0]])).await;
        }
        for place in INDEXES.into_iter().filter(|place| *place != Namespace::LeaseCarrier) {
            assert_eq!(world.keys(place).await.len(), 2, "{what}");
        }
    }
}

#[tokio::test]
async fn a_damaged_record_stops_no_order_and_no_list() {
    let world = World::new().await;
    let ids = world.issue_many(5, &wish()).await;
    for id in [ids[0], ids[2], ids[4]] {
        world.memory().damage(&state(id), Some(b"\x01{".to_vec()));
    }
    for scope in [
        Scope::Everything,
        Scope::Backend(backend("db")),
        Scope::Role { backend: backend("db"), role: role("reader") },
        Scope::Issuer(IssuerAlias::parse("ci").unwrap()),
        Scope::of(&owner("alice")),
        Scope::Token { digest: [1; 32] },
    ] {
        let filter = Filter { scope, state: None, with_over: false };
        let (mut seen, mut after) = (BTreeSet::new(), After { lease: None, limit: 1 });
        for _ in 0..5 {
            let page = world.ledger.list(&filter, after).await.unwrap();
            seen.extend(page.leases.iter().map(|lease| lease.id));
            after.lease = page.next;
        }
        assert_eq!((seen, after.lease), (BTreeSet::from([ids[1], ids[3]]), None), "{filter:?}");
    }
    world.ledger.order(Scope::Everything, Cause::Operator).await.unwrap();
    world.drain().await;
    assert!(!world.database.is_usable(ids[1]) && !world.database.is_usable(ids[3]));
    assert_eq!(world.ledger.pending_orders(), []);
}

#[tokio::test]
async fn a_list_goes_on_behind_a_lease_that_was_forgotten() {
    let world = World::new().await;
    let mut ids = world.issue_many(4, &wish()).await;
    ids.sort();
    let first = world.ledger.of(&owner("alice"), After { lease: None, limit: 2 }).await.unwrap();
    assert_eq!(first.next, Some(ids[1]));
    world.ledger.revoke(ids[1], Cause::Owner).await.unwrap();
    world.sweep().await;
    world.ledger.renewed(ids[3], world.now().plus(CEILING)).await.unwrap();
    world.clock.advance(DAY);
    world.drain().await;
    let second = After { lease: first.next, limit: 2 };
    let second = world.ledger.of(&owner("alice"), second).await.unwrap();
    assert_eq!(second.next, None);
}

#[tokio::test]
async fn an_entry_that_points_to_nothing_is_removed_and_not_found_again() {
    let world = World::new().await;
    let id = world.issue(&wish()).await;
    let put = |key: Vec<u8>| world.memory().damage(&Namespace::LeaseDue.key(key), Some(Vec::new()));
    // Of no lease; of one that is not due; unreadable; in front of a backend that has something due.
    let queue = index::Queue::Backend(backend("db"));
    put(queue.entry(START, LeaseId::new(START, 1)));
    put(queue.entry(START, id));
    put(index::Queue::Ledger.entry(START, id));
    put(b"\x01".to_vec());
    put(b"no zero byte in this one at all".to_vec());
    put(b"aaa\0\0\0".to_vec());
    let revoked = world.issue(&Wish { backend: "z", ..wish() }).await;
    world.ledger.revoke(revoked, Cause::Owner).await.unwrap();
    world.drain().await;
    assert!(!world.database.is_usable(revoked));
    assert_eq!((world.state(id).await, world.database.calls_for(id)), ("active", 0));
    world.check(&BTreeSet::new()).await;
    let commits = world.memory().commits();
    world.sweep().await;
    assert_eq!(world.memory().commits(), commits, "the reaper rests");
}

#[tokio::test]
async fn a_lease_whose_entry_is_garbled_gets_its_own_again() {
    let world = World::new().await;
    let id = world.issue(&wish()).await;
    let right = world.keys(Namespace::LeaseDue).await.pop_first().unwrap();
    world.memory().damage(&right, None);
    let garbled = [&[0xff; 3], id.to_bytes().as_slice()].concat();
    world.memory().damage(&Namespace::LeaseDue.key(garbled), Some(Vec::new()));
    world.drain().await;
    world.check(&BTreeSet::new()).await;
    world.clock.advance(TTL);
    world.drain().await;
    assert!(!world.database.is_usable(id));
}
