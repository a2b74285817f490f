//! A whole read over TLS, recorded durably, beside a bare server that answers the same bytes.
//!
//! Gateway, floor and load are one process: the servers on as many threads as there are
//! processors, the load on one more. Every connection has a workload of its own.

use std::net::SocketAddr;
use std::time::Duration;

use symbolon_tests::harness::{Gateway, Issuer, Setup};
use tokio::runtime::Runtime;

use crate::bare::Bare;
use crate::load::{self, Load, by_turns};
use crate::report::{Report, Row, Unit};

const PATH: &str = "/v1/secrets/demo/app/db/password";
const WINDOW: Duration = Duration::from_millis(700);
const ROUNDS: usize = 5;

/// Nobody is slowed down, and there is an instance for everybody.
pub(crate) const SERVER: &str = "max_connections_per_source = 4096";
pub(crate) const BLOCKS: &str = r#"
[limits]
per_principal = { rate = 10000000, burst = 10000000 }
per_issuer = { rate = 10000000, burst = 10000000 }

[backends.demo]
plugin = "static"

[backends.demo.limits]
concurrency = 256

[backends.demo.config.secrets]
"app/db/password" = "a password"
"#;

pub(crate) fn run(report: &mut Report) {
    let runtime = Runtime::new().expect("a runtime");
    let gateway = start(&runtime);
    let secret = runtime.block_on(gateway.get(PATH, &gateway.token("first")));
    let home = gateway.app.config().audit.directory.parent().expect("a directory").to_owned();
    let floor = runtime.block_on(Bare::bind(&home, secret.headers, secret.body));
    let floor_at = floor.address();
    let bare = runtime.spawn(floor.run());
    for (connections, aim) in [(16, None), (256, Some(0.4))] {
        let load = Load::new(&home);
        report.add(&measure(&load, &gateway, floor_at, (connections, aim)));
    }
    bare.abort();
    runtime.block_on(gateway.stop());
}

/// The gateway under 256 connections and nothing beside it, for a profiler to look at.
pub(crate) fn alone() {
    let runtime = Runtime::new().expect("a runtime");
    let gateway = start(&runtime);
    let requests = requests(&gateway, 256);
    crate::alone::drive(&runtime, gateway, &requests);
}

fn start(runtime: &Runtime) -> Gateway {
    let setup = Setup { blocks: BLOCKS.to_owned(), server: SERVER.to_owned(), ..Setup::default() };
    let issuer = Issuer::new("https://idp.example.test");
    runtime.block_on(Box::pin(Gateway::start_in(load::directory(), issuer, setup)))
}

fn measure(
    load: &Load,
    gateway: &Gateway,
    floor: SocketAddr,
    (connections, aim): (usize, Option<f64>),
) -> Row {
    let requests = requests(gateway, connections);
    let ours = load.connect(gateway.address, &requests);
    let bare = load.connect(floor, &requests);
    let rates = by_turns([(load, ours), (load, bare)], (WINDOW, ROUNDS));
    Row {
        bench: "read",
        case: format!("{connections} connections, TLS, keep-alive"),
        unit: Unit::PerSecond("requests/s"),
        value: rates[0],
        floor: rates[1],
        aim,
    }
}

/// Reads of so many workloads.
pub(crate) fn requests(gateway: &Gateway, workloads: usize) -> Vec<String> {
    let request = |number| {
        let token = gateway.token(&format!("load-{number}"));
        format!("GET {PATH} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n")
    };
    (0..workloads).map(request).collect()
}
