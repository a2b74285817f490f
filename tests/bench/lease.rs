//! Leases reserved and made active a second, both durably, beside the same bytes appended and flushed
//! in as many groups.

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use symbolon::lease::{Agreed, Hold, Ledger, Limits, Parts, Unwatched};
use symbolon::store::{Namespace, Options, SledStore, Span, Store as _};
use symbolon::time::{Ids, SystemClock};
use symbolon_core::ask::Ask;
use symbolon_core::clock::Clock;
use symbolon_core::id::{BackendName, PluginName, RoleName};
use symbolon_core::lease::{Issued, Maker, Recovery, SealedHandle};
use symbolon_core::policy::Permit;
use tokio::task::JoinSet;

use crate::decide;
use crate::load;
use crate::report::{Report, Row, Unit, median};

const WAITERS: u32 = 256;
const LEASES: u32 = 40;
const ROUNDS: usize = 5;
/// As large as a handle under the seal is.
const HANDLE: usize = 160;

pub(crate) fn run(report: &mut Report) {
    let permit = Arc::new(permit());
    let mut rates = (Vec::new(), Vec::new());
    let leases = f64::from(WAITERS * LEASES);
    for _ in 0..ROUNDS {
        let home = load::directory();
        let (took, written) = issue(home.path(), &permit);
        rates.0.push(leases / took.as_secs_f64());
        rates.1.push(leases / append(home.path(), &written).as_secs_f64());
    }
    report.add(&Row {
        bench: "lease-issue",
        case: format!("{WAITERS} waiters, reserved and active"),
        unit: Unit::PerSecond("leases/s"),
        value: median(rates.0),
        floor: median(rates.1),
        aim: Some(0.4),
    });
}

fn permit() -> Permit {
    let backend = BackendName::parse("kv").expect("a name");
    decide::permit(Ask::issue(backend, RoleName::parse("app").expect("a name"), None))
}

/// What the store wrote: in how many groups, and how many bytes in all.
struct Written {
    groups: u64,
    bytes: u64,
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
        limits: Limits { principal: Some(1_000_000), role: Some(1_000_000), backend: None },
    }
}

fn issue(home: &Path, permit: &Arc<Permit>) -> (Duration, Written) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let options = Options { cache_capacity: 256 << 20, ..Options::at(home.join("store")) };
        let store = Arc::new(SledStore::open(&options, clock.clone()).expect("a store"));
        let parts = Parts {
            store: store.clone(),
            clock: clock.clone(),
            ids: Arc::new(Ids::default()),
            watch: Arc::new(Unwatched),
        };
        let ledger = Arc::new(Ledger::open(parts, Hold::none()).await.expect("a ledger"));
        let groups = store.counters().groups;
        let begun = clock.elapsed();
        let mut tasks = JoinSet::new();
        for _ in 0..WAITERS {
            let (ledger, permit) = (ledger.clone(), permit.clone());
            tasks.spawn(async move {
                for _ in 0..LEASES {
                    one(&ledger, &permit).await;
                }
            });
        }
        tasks.join_all().await;
        let took = clock.elapsed().saturating_sub(begun);
        let groups = store.counters().groups - groups;
        (took, Written { groups, bytes: bytes(&store).await })
    })
}

async fn one(ledger: &Ledger, permit: &Permit) {
    let reservation = ledger.reserve(permit, &agreed()).await.expect("a reservation");
    let issued = Issued {
        handle: SealedHandle::from_wrapped(vec![7; HANDLE]),
        expires_at: ledger.now().plus(Duration::from_mins(5)),
        renewable: true,
        revocable: true,
    };
    ledger.activate(reservation, issued).await.expect("a lease");
}

/// Each lease was written twice: its record, and its entry in the due index; the other entries once.
async fn bytes(store: &SledStore) -> u64 {
    let mut bytes = 0;
    for (namespace, times) in [
        (Namespace::LeaseState, 2),
        (Namespace::LeaseDue, 2),
        (Namespace::LeaseOwner, 1),
        (Namespace::LeaseBackend, 1),
        (Namespace::LeaseToken, 1),
    ] {
        let mut rest = Some(Span::all(namespace));
        while let Some(span) = rest {
            let page = store.scan(span, 1000).await.expect("a page");
            let size = |key: usize, value: usize| (key + value) as u64;
            let sizes = page.entries.iter().map(|(key, v)| size(key.tail().len() + 12, v.len()));
            bytes += times * sizes.sum::<u64>();
            rest = page.next;
        }
    }
    bytes
}

fn append(home: &Path, written: &Written) -> Duration {
    let group = usize::try_from(written.bytes / written.groups.max(1)).expect("a size");
    let (bytes, file) = (vec![b'x'; group], home.join("floor"));
    let file = std::fs::File::create(file).expect("a file");
    let clock = load::clock();
    let begun = clock.elapsed();
    for n in 0..written.groups {
        file.write_all_at(&bytes, n * group as u64).expect("room");
        file.sync_data().expect("a disk");
    }
    clock.elapsed().saturating_sub(begun)
}
