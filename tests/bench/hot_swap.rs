//! Reads while the component behind them is swapped twice a second, beside the same reads without.
//!
//! What is measured is the slowest hundredth of the answers, which is where a swap would be seen. Value and floor take
//! turns; a swap is the whole operation of the admin socket: examined, checked with the backend's
//! configuration, written down, put in force. Both builds are compiled before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};
use symbolon_client::Admin;
use symbolon_tests::harness::component::{built, versioned, write};
use symbolon_tests::harness::{Gateway, Issuer, Setup};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::load::{self, Load};
use crate::read::{BLOCKS, SERVER, requests};
use crate::report::{Report, Row, Unit, median, percentile};

const CONNECTIONS: usize = 16;
const WINDOW: Duration = Duration::from_secs(2);
const ROUNDS: usize = 5;
const PERIOD: Duration = Duration::from_millis(500);
const AIM: f64 = 0.67;

pub(crate) fn run(report: &mut Report) {
    let runtime = Runtime::new().expect("a runtime");
    let gateway = start(&runtime);
    let home = gateway.app.config().audit.directory.parent().expect("a directory").to_owned();
    let admin = Admin::at(home.join("admin.sock"));
    runtime.block_on(install(&admin));
    let load = Load::new(&home);
    let mut connections = load.connect(gateway.address, &requests(&gateway, CONNECTIONS));
    let mut slowest = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let swaps = Swaps::begin(&runtime, &admin);
        let (latencies, back) = load.latencies(connections, WINDOW);
        swaps.end(&runtime);
        slowest.0.push(percentile(latencies, 99));
        let (latencies, back) = load.latencies(back, WINDOW);
        connections = back;
        slowest.1.push(percentile(latencies, 99));
    }
    report.add(&Row {
        bench: "hot-swap",
        case: format!("p99 of a read, {CONNECTIONS} connections, a swap every 500 ms"),
        unit: Unit::Millis,
        value: median(slowest.0),
        floor: median(slowest.1),
        aim: Some(AIM),
    });
    runtime.block_on(gateway.stop());
}

fn start(runtime: &Runtime) -> Gateway {
    let directory = load::directory();
    let plugins = directory.path().join("plugins");
    std::fs::create_dir(&plugins).expect("a directory");
    write(&plugins, "static.wasm", &built("static"));
    let setup = Setup {
        blocks: BLOCKS.to_owned(),
        server: SERVER.to_owned(),
        plugins: Some(plugins),
        trust: Some("unsigned = [\"static\"]\ncache = \"code\"".to_owned()),
        ..Setup::default()
    };
    let issuer = Issuer::new("https://idp.example.test");
    runtime.block_on(Box::pin(Gateway::start_in(directory, issuer, setup)))
}

/// Two builds, each compiled and in the cache.
async fn install(admin: &Admin) {
    for version in ["0.1.1", "0.1.2"] {
        let component = STANDARD.encode(versioned(built("static"), version));
        let body = json!({ "component": component, "source": "bench" });
        call(admin, "/v1/plugins", &body).await;
        activate(admin, version).await;
    }
}

async fn activate(admin: &Admin, version: &str) {
    let body = json!({ "component": format!("static@{version}"), "allow_downgrade": true });
    call(admin, "/v1/backends/demo/activate", &body).await;
}

async fn call(admin: &Admin, path: &str, body: &Value) {
    admin.call(Method::POST, path, Some(body)).await.expect("it is done");
}

/// Swaps in the background.
struct Swaps {
    stop: Arc<AtomicBool>,
    task: JoinHandle<u32>,
}

impl Swaps {
    fn begin(runtime: &Runtime, admin: &Admin) -> Self {
        let (stop, admin) = (Arc::new(AtomicBool::new(false)), admin.clone());
        let until = stop.clone();
        let task = runtime.spawn(async move {
            let mut period = tokio::time::interval(PERIOD);
            let mut swaps = 0;
            while !until.load(Ordering::Acquire) {
                period.tick().await;
                activate(&admin, if swaps % 2 == 0 { "0.1.1" } else { "0.1.2" }).await;
                swaps += 1;
            }
            swaps
        });
        Self { stop, task }
    }

    fn end(self, runtime: &Runtime) {
        self.stop.store(true, Ordering::Release);
        let swaps = runtime.block_on(self.task).expect("they end");
        assert!(swaps >= 2, "{swaps} swaps");
    }
}
