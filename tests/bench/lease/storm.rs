//! How late the leases of nineteen backends end while a hundred thousand of a twentieth are due in the
//! same moment, beside the same nineteen alone.
//!
//! A backend answers after two milliseconds, as a database does that is near. Lateness is measured from
//! the end that the lease was given to the durable record of its being over.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use symbolon::lease::{BoxFuture, EndError, Ended, Ending, Ends, Reaper, Watch};
use symbolon_core::clock::Clock;
use symbolon_core::id::BackendName;
use symbolon_core::lease::{Evidence, Revoked};
use tokio_util::sync::CancellationToken;

use super::seed::{self, Ahead};
use crate::load;
use crate::report::{Report, Row, Unit, millis, percentile};

const LARGE: u32 = 100_000;
const OTHERS: u32 = 19;
/// Leases of each of the others, and how far apart their ends are.
const EACH: u32 = 100;
const APART: Duration = Duration::from_millis(50);
/// How long a lease lasts; passes at once.
const LASTS: Duration = Duration::from_mins(20);
const ANSWERS_AFTER: Duration = Duration::from_millis(2);
const CACHE: u64 = 256 << 20;

pub(crate) fn run(report: &mut Report) {
    let (alone, beside) = (lateness(0), lateness(LARGE));
    for percent in [50, 99] {
        report.add(&Row {
            bench: "lease-storm",
            case: format!("{OTHERS} backends beside {LARGE} due at once, p{percent}"),
            unit: Unit::Millis,
            value: percentile(beside.clone(), percent),
            floor: percentile(alone.clone(), percent),
            aim: None,
        });
    }
}

/// The backends, and what becomes of their leases.
#[derive(Debug)]
struct Backends {
    clock: Arc<Ahead>,
    /// Of the others, in milliseconds.
    lateness: Mutex<Vec<f64>>,
    of_large: AtomicU32,
}

impl Ends for Backends {
    fn end<'a>(&'a self, _: Ending<'a>) -> BoxFuture<'a, Result<Ended, EndError>> {
        Box::pin(async {
            tokio::time::sleep(ANSWERS_AFTER).await;
            Ok(Ended { evidence: Evidence::Verified })
        })
    }
}

impl Watch for Backends {
    fn ended(&self, lease: &Revoked) {
        if lease.terms().backend.as_str() == "large" {
            self.of_large.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let late = self.clock.now().since(lease.ends_at().expect("an end"));
        self.lateness.lock().expect("a lock").push(millis(late));
    }

    fn attempted(&self, _: &BackendName, _: &'static str) {}
}

impl Backends {
    fn ended(&self) -> usize {
        self.lateness.lock().expect("a lock").len()
    }
}

fn lateness(large: u32) -> Vec<f64> {
    let (runtime, home) = (tokio::runtime::Runtime::new().expect("a runtime"), load::directory());
    runtime.block_on(async {
        let ahead = Ahead::start();
        let backends = Arc::new(Backends {
            clock: ahead.clone(),
            lateness: Mutex::default(),
            of_large: AtomicU32::new(0),
        });
        let clock: Arc<dyn Clock> = ahead.clone();
        let store = seed::store(home.path(), CACHE, &clock);
        let ledger = seed::watched(&store, &clock, backends.clone()).await;
        let begun = clock.elapsed();
        let due = ledger.now().plus(LASTS);
        seed::many(&ledger, &seed::permit("large"), large, due).await;
        for backend in 0..OTHERS {
            let permit = seed::permit(&format!("other-{backend}"));
            for n in 0..EACH {
                seed::one(&ledger, &permit, due.plus(APART * n)).await;
            }
        }
        let reaper = Reaper::new(ledger, backends.clone());
        let stop = CancellationToken::new();
        let running = tokio::spawn(reaper.run(stop.clone()));
        ahead.pass(LASTS.saturating_sub(clock.elapsed().saturating_sub(begun)));
        let all = usize::try_from(OTHERS * EACH).expect("a number");
        while backends.ended() < all {
            tokio::time::sleep(APART).await;
        }
        let ended = backends.of_large.load(Ordering::Relaxed);
        stop.cancel();
        running.await.expect("an end");
        eprintln!("lease-storm: {ended} of {large} ended while the others did");
        assert!(large == 0 || ended < large, "the storm was over before the others");
        backends.lateness.lock().expect("a lock").clone()
    })
}
