//! Reads of a component that behaves, beside ten that trap at every call, after these are in
//! quarantine and while they are still asked for; beside the same reads with nobody around.
//!
//! What is measured is the slowest hundredth of the answers. Somebody asks each of the ten a hundred
//! times a second.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use symbolon_tests::harness::{Gateway, Issuer, Setup};
use tokio::runtime::{Builder, Runtime};

use crate::load::{self, Load};
use crate::read::{BLOCKS, SERVER, requests};
use crate::report::{Report, Row, Unit, median, percentile};

const HOSTILE: usize = 10;
const CONNECTIONS: usize = 16;
const WINDOW: Duration = Duration::from_secs(2);
const ROUNDS: usize = 5;
/// How often each of the hostile is asked.
const PERIOD: Duration = Duration::from_millis(10);
const AIM: f64 = 0.67;

pub(crate) fn run(report: &mut Report) {
    let runtime = Runtime::new().expect("a runtime");
    let gateway = start(&runtime);
    quarantine(&runtime, &gateway);
    let home = gateway.app.config().audit.directory.parent().expect("a directory").to_owned();
    let load = Load::new(&home);
    let mut connections = load.connect(gateway.address, &requests(&gateway, CONNECTIONS));
    let mut slowest = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (beside, back) = beside(&gateway, || load.latencies(connections, WINDOW));
        slowest.0.push(percentile(beside, 99));
        let (alone, back) = load.latencies(back, WINDOW);
        connections = back;
        slowest.1.push(percentile(alone, 99));
    }
    report.add(&Row {
        bench: "hostile-neighbours",
        case: format!("p99 of a read, {CONNECTIONS} connections, {HOSTILE} in quarantine"),
        unit: Unit::Millis,
        value: median(slowest.0),
        floor: median(slowest.1),
        aim: Some(AIM),
    });
    runtime.block_on(gateway.stop());
}

fn start(runtime: &Runtime) -> Gateway {
    let mut blocks = BLOCKS.to_owned();
    for number in 0..HOSTILE {
        writeln!(blocks, "[backends.hostile-{number}]\nplugin = \"hostile\"").expect("text");
    }
    let server = SERVER.to_owned();
    let setup = Setup { blocks, server, ..Setup::default() };
    let issuer = Issuer::new("https://idp.example.test");
    runtime.block_on(Box::pin(Gateway::start_in(load::directory(), issuer, setup)))
}

/// Lets each of the hostile trap until it is taken out of use. Its breaker makes that take a while.
fn quarantine(runtime: &Runtime, gateway: &Gateway) {
    let in_quarantine = || {
        let log = gateway.audit();
        log.iter().filter(|line| line["operation"] == "plugin.quarantine").count()
    };
    runtime.block_on(async {
        while in_quarantine() < HOSTILE {
            ask_hostile(gateway).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
}

async fn ask_hostile(gateway: &Gateway) {
    let token = gateway.token("mallory");
    for number in 0..HOSTILE {
        let path = format!("/v1/secrets/hostile-{number}/trap");
        let answer = gateway.get(&path, &token).await;
        assert!(answer.status.is_server_error(), "{:?}", answer.json);
    }
}

/// Does `work` while somebody asks the hostile.
fn beside<T>(gateway: &Gateway, work: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                while !over.load(Ordering::Acquire) {
                    ask_hostile(gateway).await;
                    tokio::time::sleep(PERIOD).await;
                }
            });
        });
        let done = work();
        over.store(true, Ordering::Release);
        done
    })
}
