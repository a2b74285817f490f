//! The ledger of a process that is dead, as the next start will find it.
//!
//! Read from a copy of the store, so that looking recovers nothing for the gateway. Whatever a test is
//! about, what is derived from the leases has to fit them: indexes and counts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use symbolon::store::record::decode;
use symbolon::store::{Key, Namespace, Options, SledStore, Span, Store, count_of, read_all};
use symbolon::time::SystemClock;
use symbolon_core::id::LeaseId;
use symbolon_core::lease::Lease;
use symbolon_core::lease::index::{self, Place, Quota};
use symbolon_tests::harness::process::Home;

const INDEXES: [Place; 5] =
    [Place::Due, Place::Owner, Place::Backend, Place::Token, Place::Carrier];

/// The store of a gateway that does not run, or a copy of it.
pub(super) fn open(path: std::path::PathBuf) -> SledStore {
    let options = Options { cache_capacity: 16 << 20, ..Options::at(path) };
    SledStore::open(&options, Arc::new(SystemClock::start())).unwrap()
}

/// Every lease, by its id. Indexes and counts are what follows from them, or the test fails.
pub(super) async fn left(home: &Home) -> BTreeMap<LeaseId, Lease> {
    let store = open(home.copy_of_store());
    let found = read_all(&store, Span::all(Namespace::LeaseState)).await.unwrap();
    let leases: Vec<Lease> = found.iter().map(|(_, bytes)| decode(bytes).unwrap()).collect();
    assert_indexed(&store, &leases).await;
    assert_counted(&store, &leases).await;
    leases.into_iter().map(|lease| (lease.terms().id, lease)).collect()
}

fn namespace(place: Place) -> Namespace {
    match place {
        Place::State => Namespace::LeaseState,
        Place::Due => Namespace::LeaseDue,
        Place::Owner => Namespace::LeaseOwner,
        Place::Backend => Namespace::LeaseBackend,
        Place::Token => Namespace::LeaseToken,
        Place::Carrier => Namespace::LeaseCarrier,
        Place::Quota => Namespace::LeaseQuota,
    }
}

async fn assert_indexed(store: &dyn Store, leases: &[Lease]) {
    for place in INDEXES {
        let found = read_all(store, Span::all(namespace(place))).await.unwrap();
        let found: BTreeSet<Key> = found.into_iter().map(|(key, _)| key).collect();
        let entries = leases.iter().flat_map(index::entries).filter(|(at, _)| *at == place);
        let expected: BTreeSet<Key> = entries.map(|(_, tail)| namespace(place).key(tail)).collect();
        assert_eq!(found, expected, "{place:?}");
    }
}

async fn assert_counted(store: &dyn Store, leases: &[Lease]) {
    let mut expected = BTreeMap::<Key, u64>::new();
    for lease in leases {
        let own = Quota::of(lease.terms()).into_iter().filter(|_| lease.is_live());
        for whose in own.chain([Quota::State(lease.phase().as_str())]) {
            *expected.entry(Namespace::LeaseQuota.key(whose.key())).or_default() += 1;
        }
    }
    let found = read_all(store, Span::all(Namespace::LeaseQuota)).await.unwrap();
    let number = |value: Vec<u8>| count_of(Some(&value)).unwrap();
    let found: BTreeMap<Key, u64> = found.into_iter().map(|(key, v)| (key, number(v))).collect();
    assert_eq!(found, expected, "counts");
}

/// The lease whose user this is.
pub(super) fn lease_of(user: &str) -> LeaseId {
    let id = user.rsplit('_').next().unwrap().to_uppercase();
    LeaseId::parse(&id).unwrap_or_else(|_| panic!("{user} is not named as the gateway names users"))
}
