//! Reading many leases: by pages, and as fast as that is meant to be.

use super::*;
use crate::store::Transaction;

/// Leases that a transaction writes.
const AT_ONCE: usize = 100;

/// Writes active leases as the ledger would, many at once.
async fn fill(world: &World, count: usize) {
    let ids = Ids::default();
    for start in (0..count).step_by(AT_ONCE) {
        let mut write = Transaction::new();
        for n in start..(start + AT_ONCE).min(count) {
            let wish = Wish { subject: format!("workload-{}", n % 1000), ..wish() };
            let now = world.now();
            let reserved = symbolon_core::lease::Reserved::new(terms(ids.lease(now), now, &wish));
            let active = reserved.activate(world.issued(TTL), now).unwrap();
            let stored = Stored::new(Lease::following(1, active)).unwrap();
            let id = stored.lease.terms().id;
            for (place, tail) in index::entries(&stored.lease) {
                write = write.put(namespace(place).key(tail), Vec::new());
            }
            write = write.put(state(id), stored.bytes);
        }
        world.store.commit(write).await.unwrap();
    }
}

#[tokio::test]
async fn a_page_reads_what_it_shows_in_order_and_leaves_damage_out() {
    for world in [World::new().await, World::on_disk().await] {
        let ids = world.issue_many(5, &wish()).await;
        let keys: Vec<_> = ids.iter().rev().map(|id| state(*id)).collect();
        let found = world.store.get_many(keys.clone()).await.unwrap();
        for (key, found) in keys.iter().zip(&found) {
            assert_eq!(world.store.get(key).await.unwrap(), *found);
        }
        let unknown = world.ledger.ids.lease(world.now());
        let wanted = vec![ids[3], unknown, ids[0]];
        let read: Vec<_> = world.ledger.read_many(wanted).await.unwrap();
        let read: Vec<_> = read.into_iter().map(|lease| lease.unwrap().terms().id).collect();
        assert_eq!(read, [ids[3], ids[0]]);
        let torn = Transaction::new().put(state(ids[1]), b"\x01{".to_vec());
        world.store.commit(torn).await.unwrap();
        let swapped = Transaction::new().put(state(ids[2]), found[1].clone().unwrap());
        world.store.commit(swapped).await.unwrap();
        assert_eq!(world.ledger.would_end(&Scope::Backend(backend("db"))).await.unwrap(), 3);
        let report = world.ledger.report(START).await.unwrap();
        assert_eq!((report.damaged, report.counts.active), (2, 5));
    }
}

/// Speed, for whoever wants to know: `cargo test … -- --ignored --nocapture measure`.
#[tokio::test]
#[ignore = "a measurement"]
#[expect(clippy::disallowed_methods, reason = "this measures the machine, not a rule")]
async fn measure() {
    let world = World::on_disk().await;
    let count = 100_000;
    fill(&world, count).await;
    let per_10k = |begun: std::time::Instant| begun.elapsed().as_secs_f64() / 10.0;
    let begun = std::time::Instant::now();
    world.ledger.report(START).await.unwrap();
    let report = per_10k(begun);
    let begun = std::time::Instant::now();
    let number = world.ledger.would_end(&Scope::Backend(backend("db"))).await.unwrap();
    let dry_run = per_10k(begun);
    assert_eq!(number, u64::try_from(count).unwrap());
    let begun = std::time::Instant::now();
    for id in world.leases().await.iter().map(|lease| lease.terms().id) {
        world.ledger.find(id).await.unwrap();
    }
    let in_turn = per_10k(begun);
    println!("seconds for 10,000: report {report:.3}, dry run {dry_run:.3}, in turn {in_turn:.3}");
}
