//! From the start of a process whose predecessor was killed to its first answer, with very many leases
//! in the store, beside a bare `sled::open` of a copy of that store; and the memory that it has then.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use symbolon::time::SystemClock;
use symbolon_core::clock::Clock;
use symbolon_tests::harness::process::{Home, Running};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::seed;
use crate::load::{self, Load};
use crate::report::{Report, Row, Unit, median, millis};

const SIZES: [u32; 2] = [10_000, 100_000];
const ROUNDS: usize = 5;
/// What the configuration of tests says.
const CACHE: u64 = 16 << 20;
/// Part of the store's format: sled opens it with no other.
const SEGMENT: usize = 2 << 20;
const GLANCE: Duration = Duration::from_millis(1);
/// Longer than the bench.
const LASTS: Duration = Duration::from_mins(29);

pub(crate) fn run(report: &mut Report) {
    let runtime = Runtime::new().expect("a runtime");
    let empty = Scene::with(&runtime, 0).measure(&runtime);
    for count in SIZES {
        let scene = Scene::with(&runtime, count);
        let measured = scene.measure(&runtime);
        report.add(&row(
            format!("{count} leases, to the first answer"),
            Unit::Millis,
            (measured.start, measured.open),
            Some(0.8),
        ));
        report.add(&row(
            format!("{count} leases, beside a start with none"),
            Unit::Millis,
            (measured.start, empty.start),
            None,
        ));
        report.add(&row(
            format!("{count} leases, resident memory beside none"),
            Unit::Size("MiB"),
            (measured.memory, empty.memory),
            None,
        ));
    }
}

/// A million leases: more than a bench has time for. Fails if they cost much more memory than is aimed
/// at.
pub(crate) fn million(report: &mut Report) {
    const COUNT: u32 = 1_000_000;
    /// 200 MB.
    const AIM: f64 = 200_000_000.0 / 1_048_576.0;
    const MOST: f64 = 256.0;
    let runtime = Runtime::new().expect("a runtime");
    let measured = Scene::with(&runtime, COUNT).measure(&runtime);
    report.add(&row(
        format!("{COUNT} leases, to the first answer"),
        Unit::Millis,
        (measured.start, measured.open),
        Some(0.8),
    ));
    report.add(&row(
        format!("{COUNT} leases, resident memory beside 200 MB"),
        Unit::Size("MiB"),
        (measured.memory, AIM),
        Some(1.0),
    ));
    assert!(measured.memory < MOST, "{COUNT} leases take {} MiB", measured.memory);
}

fn row(case: String, unit: Unit, (value, floor): (f64, f64), aim: Option<f64>) -> Row {
    Row { bench: "lease-restart", case, unit, value, floor, aim }
}

/// Medians: milliseconds, and mebibytes.
struct Measured {
    start: f64,
    open: f64,
    memory: f64,
}

struct Scene {
    home: Home,
    load: Load,
    clock: Arc<dyn Clock>,
}

impl Scene {
    /// A gateway that was killed, with so many leases.
    fn with(runtime: &Runtime, count: u32) -> Self {
        let home = Home::serving_in(load::directory(), "", "").cached();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        runtime.block_on(async {
            home.start().await.stop().await;
            let store = seed::store(home.path(), CACHE, &clock);
            let ledger = seed::ledger(&store, &clock).await;
            let until = ledger.now().plus(LASTS);
            seed::many(&ledger, &seed::permit("kv"), count, until).await;
            drop((ledger, store));
            kill(home.start().await).await;
        });
        let load = Load::new(home.path());
        Self { home, load, clock }
    }

    fn measure(&self, runtime: &Runtime) -> Measured {
        let mut all = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            all.1.push(millis(self.open_bare()));
            let (took, running) = self.start(runtime);
            all.0.push(millis(took));
            all.2.push(running.memory() as f64 / 1024.0);
            runtime.block_on(kill(running));
        }
        Measured { start: median(all.0), open: median(all.1), memory: median(all.2) }
    }

    /// sled, and the tree that holds leases.
    fn open_bare(&self) -> Duration {
        let copy = self.home.copy_of_store();
        let begun = self.clock.elapsed();
        let config = sled::Config::new().path(copy).segment_size(SEGMENT).cache_capacity(CACHE);
        let db = config.open().expect("a store");
        let tree = db.open_tree("ledger").expect("a tree");
        assert!(tree.first().expect("a read").is_some());
        self.clock.elapsed().saturating_sub(begun)
    }

    /// The first answer is a page of the leases of whom they all are.
    fn start(&self, runtime: &Runtime) -> (Duration, Running) {
        let token = self.home.token_of("app7", Duration::ZERO);
        let request = format!(
            "GET /v1/leases HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        let begun = self.clock.elapsed();
        let running = self.home.spawn();
        runtime.block_on(until_listening(running.address()));
        let _connection = self.load.connect(running.address(), &[request]);
        (self.clock.elapsed().saturating_sub(begun), running)
    }
}

async fn until_listening(address: SocketAddr) {
    while TcpStream::connect(address).await.is_err() {
        tokio::time::sleep(GLANCE).await;
    }
}

async fn kill(mut running: Running) {
    running.signal(Signal::KILL);
    running.ended().await;
}
