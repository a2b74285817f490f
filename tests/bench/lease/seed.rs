//! Ledgers in this process, and leases put into them many at a time: the way of a request through the
//! ledger, without the request.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use symbolon::lease::{Agreed, Hold, Ledger, Limits, Parts, Unwatched, Watch};
use symbolon::store::{Namespace, Options, SledStore, Span, Store as _};
use symbolon::time::{Ids, SystemClock};
use symbolon_core::ask::Ask;
use symbolon_core::clock::{Clock, Timestamp};
use symbolon_core::id::{BackendName, LeaseId, PluginName, RoleName};
use symbolon_core::lease::{Issued, Maker, Recovery, SealedHandle};
use symbolon_core::policy::Permit;
use tokio::task::JoinSet;

use crate::decide;

/// How many reserve at a time: what fills a group of the store's.
pub(super) const WAITERS: u32 = 256;
/// As large as a handle under the seal is.
const HANDLE: usize = 160;

/// Real time, and what a bench does not wait for.
#[derive(Debug)]
pub(super) struct Ahead {
    system: SystemClock,
    millis: AtomicU64,
}

impl Ahead {
    pub(super) fn start() -> Arc<Self> {
        Arc::new(Self { system: SystemClock::start(), millis: AtomicU64::new(0) })
    }

    pub(super) fn pass(&self, duration: Duration) {
        let millis = u64::try_from(duration.as_millis()).expect("a while");
        self.millis.fetch_add(millis, Ordering::SeqCst);
    }

    fn passed(&self) -> Duration {
        Duration::from_millis(self.millis.load(Ordering::SeqCst))
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        self.system.now().plus(self.passed())
    }

    fn elapsed(&self) -> Duration {
        self.system.elapsed().saturating_add(self.passed())
    }
}

/// The store in `home`, with so much memory for its cache.
pub(super) fn store(home: &Path, cache: u64, clock: &Arc<dyn Clock>) -> Arc<SledStore> {
    let options = Options { cache_capacity: cache, ..Options::at(home.join("store")) };
    Arc::new(SledStore::open(&options, clock.clone()).expect("a store"))
}

/// A ledger over it of which nobody is told.
pub(super) async fn ledger(store: &Arc<SledStore>, clock: &Arc<dyn Clock>) -> Arc<Ledger> {
    watched(store, clock, Arc::new(Unwatched)).await
}

/// A ledger over it.
pub(super) async fn watched(
    store: &Arc<SledStore>,
    clock: &Arc<dyn Clock>,
    watch: Arc<dyn Watch>,
) -> Arc<Ledger> {
    let (store, clock) = (store.clone(), clock.clone());
    let parts = Parts { store, clock, ids: Arc::new(Ids::default()), watch };
    Arc::new(Ledger::open(parts, Hold::none()).await.expect("a ledger"))
}

/// Leave to be issued a role of `backend`.
pub(super) fn permit(backend: &str) -> Arc<Permit> {
    let backend = BackendName::parse(backend).expect("a name");
    let role = RoleName::parse("app").expect("a name");
    Arc::new(decide::permit(Ask::issue(backend, role, None)))
}

fn agreed() -> Agreed {
    Agreed {
        maker: Maker {
            plugin: PluginName::parse("postgresql").expect("a name"),
            version: String::from("0.1.0"),
            digest: format!("sha256:{}", "0".repeat(64)),
        },
        recovery: Recovery::Named,
        ttl: Duration::from_mins(10),
        issue_within: Duration::from_secs(30),
        limits: Limits { principal: Some(10_000_000), role: Some(10_000_000), backend: None },
    }
}

/// A lease that is active until `until`.
pub(super) async fn one(ledger: &Ledger, permit: &Permit, until: Timestamp) -> LeaseId {
    let reservation = ledger.reserve(permit, &agreed()).await.expect("a reservation");
    let id = reservation.id();
    let issued = Issued {
        handle: SealedHandle::from_wrapped(vec![7; HANDLE]),
        expires_at: until,
        renewable: true,
        revocable: true,
    };
    ledger.activate(reservation, issued).await.expect("a lease");
    id
}

/// So many of them, all with the same end.
pub(super) async fn many(ledger: &Arc<Ledger>, permit: &Arc<Permit>, count: u32, until: Timestamp) {
    let mut tasks = JoinSet::new();
    for n in 0..WAITERS.min(count) {
        let (ledger, permit) = (ledger.clone(), permit.clone());
        let own = count / WAITERS + u32::from(n < count % WAITERS);
        tasks.spawn(async move {
            for _ in 0..own {
                one(&ledger, &permit, until).await;
            }
        });
    }
    tasks.join_all().await;
}

/// Bytes of what the store holds of leases, each record counted so often and each entry of the due index
/// too; other entries once.
pub(super) async fn bytes(store: &SledStore, times: u64) -> u64 {
    let mut bytes = 0;
    for (namespace, times) in [
        (Namespace::LeaseState, times),
        (Namespace::LeaseDue, times),
        (Namespace::LeaseOwner, 1),
        (Namespace::LeaseBackend, 1),
        (Namespace::LeaseToken, 1),
    ] {
        let mut rest = Some(Span::all(namespace));
        while let Some(span) = rest {
            let page = store.scan(span, 1000).await.expect("a page");
            let prefix = namespace.prefix().len();
            let size = |key: usize, value: usize| (prefix + key + value) as u64;
            let sizes = page.entries.iter().map(|(key, v)| size(key.tail().len(), v.len()));
            bytes += times * sizes.sum::<u64>();
            rest = page.next;
        }
    }
    bytes
}
