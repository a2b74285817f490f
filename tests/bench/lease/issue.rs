//! Leases reserved and made active a second, both durably, beside the same bytes appended and flushed
//! in as many groups.

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use symbolon::time::SystemClock;
use symbolon_core::clock::Clock;
use symbolon_core::policy::Permit;

use super::seed::{self, WAITERS};
use crate::load;
use crate::report::{Report, Row, Unit, median};

const LEASES: u32 = WAITERS * 40;
const ROUNDS: usize = 5;
const CACHE: u64 = 256 << 20;
/// Until which a lease lasts that nothing ends here.
const LASTS: Duration = Duration::from_mins(5);

pub(crate) fn run(report: &mut Report) {
    let permit = seed::permit("kv");
    let mut rates = (Vec::new(), Vec::new());
    let leases = f64::from(LEASES);
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

/// What the store wrote: in how many groups, and how many bytes in all.
struct Written {
    groups: u64,
    bytes: u64,
}

fn issue(home: &Path, permit: &Arc<Permit>) -> (Duration, Written) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let store = seed::store(home, CACHE, &clock);
        let ledger = seed::ledger(&store, &clock).await;
        let groups = store.counters().groups;
        let begun = clock.elapsed();
        seed::many(&ledger, permit, LEASES, ledger.now().plus(LASTS)).await;
        let took = clock.elapsed().saturating_sub(begun);
        let groups = store.counters().groups - groups;
        // Each record was written twice, and each entry of the due index.
        (took, Written { groups, bytes: seed::bytes(&store, 2).await })
    })
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
