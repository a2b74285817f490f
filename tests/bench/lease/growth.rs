//! How much room the store takes while leases come and go: for days, which pass at once.
//!
//! Each lease is reserved, active, given back, over, and forgotten a day later, so that what lives is a
//! day of leases that are over. The floor is what these weigh.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use symbolon::lease::{BoxFuture, EndError, Ended, Ending, Ends, Ledger, Reaper};
use symbolon::store::SledStore;
use symbolon_core::clock::Clock;
use symbolon_core::lease::{Cause, Evidence, Scope};

use super::seed::{self, Ahead};
use crate::load;
use crate::report::{Report, Row, Unit};

/// As many times a day so many leases come and go.
const TIMES: u32 = 12;
const LEASES: u32 = 400;
const DAYS: u32 = 10;
const CACHE: u64 = 64 << 20;
const LASTS: Duration = Duration::from_mins(5);
const MEBIBYTE: f64 = 1_048_576.0;

/// What a record and its entry of the due index are written as: reserved, active, being ended, over.
const WRITTEN: u64 = 4;

/// A backend that ends everything at once.
#[derive(Debug)]
struct Willing;

impl Ends for Willing {
    fn end<'a>(&'a self, _: Ending<'a>) -> BoxFuture<'a, Result<Ended, EndError>> {
        Box::pin(async { Ok(Ended { evidence: Evidence::Verified }) })
    }
}

pub(crate) fn run(report: &mut Report) {
    let (runtime, home) = (tokio::runtime::Runtime::new().expect("a runtime"), load::directory());
    let churned = runtime.block_on(churn(home.path()));
    let row = |case: String, unit: &'static str, (value, floor): (f64, f64)| Row {
        bench: "lease-growth",
        case,
        unit: Unit::Size(unit),
        value,
        floor,
        aim: None,
    };
    let cycles = f64::from(LEASES * TIMES * DAYS);
    let most = |days: &[f64]| days.iter().copied().fold(0.0, f64::max) / MEBIBYTE;
    let (earlier, later) = churned.days.split_at(churned.days.len() / 2);
    report.add(&row(
        format!("most on disk after {DAYS} days, {} leases a day", LEASES * TIMES),
        "MiB",
        (most(later), churned.live / MEBIBYTE),
    ));
    report.add(&row(
        "most on disk, the later half of the days beside the earlier".to_owned(),
        "MiB",
        (most(later), most(earlier)),
    ));
    let (written, weighs) = (churned.written / cycles / 1024.0, churned.cycle / 1024.0);
    report.add(&row("written a lease".to_owned(), "KiB", (written, weighs)));
}

/// In bytes.
struct Churned {
    /// On disk at the end of each day.
    days: Vec<f64>,
    /// What is remembered at the end.
    live: f64,
    /// What was written in all.
    written: f64,
    /// What the records and entries of one lease weigh, each as often as it is written.
    cycle: f64,
}

async fn churn(home: &Path) -> Churned {
    let ahead = Ahead::start();
    let clock: Arc<dyn Clock> = ahead.clone();
    let store = seed::store(home, CACHE, &clock);
    let ledger = seed::ledger(&store, &clock).await;
    let reaper = Reaper::new(ledger.clone(), Arc::new(Willing));
    let permit = seed::permit("kv");
    let (mut days, before) = (Vec::new(), written());
    for _ in 0..DAYS {
        for _ in 0..TIMES {
            seed::many(&ledger, &permit, LEASES, ledger.now().plus(LASTS)).await;
            ledger.order(Scope::Everything, Cause::Operator).await.expect("an order");
            drain(&ledger, &reaper).await;
            ahead.pass(Duration::from_hours(24) / TIMES);
            drain(&ledger, &reaper).await;
        }
        days.push(on_disk(&store));
        eprintln!("lease-growth: {:.0} MiB after {} days", on_disk(&store) / MEBIBYTE, days.len());
    }
    let remembered = ledger.counts().await.expect("counts").revoked;
    let cycle = seed::bytes(&store, WRITTEN).await as f64 / remembered as f64;
    let (live, written) = (seed::bytes(&store, 1).await as f64, written() - before);
    Churned { days, live, written, cycle }
}

/// Until nothing is due any more.
async fn drain(ledger: &Arc<Ledger>, reaper: &Arc<Reaper>) {
    loop {
        let before = ledger.counts().await.expect("counts");
        let nap = reaper.sweep().await;
        reaper.settle().await;
        let after = ledger.counts().await.expect("counts");
        let is_done = after.active + after.reserved + after.revoking == 0;
        if is_done && before == after && !nap.is_zero() {
            return;
        }
    }
}

fn on_disk(store: &SledStore) -> f64 {
    store.size().expect("a size") as f64
}

/// Bytes that this process has had written to a disk.
fn written() -> f64 {
    let io = std::fs::read_to_string("/proc/self/io").expect("the process's input and output");
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).expect("a number")
}
