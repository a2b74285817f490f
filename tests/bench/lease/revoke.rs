//! Revocations a second of a whole gateway on a real PostgreSQL, beside the bare statements of the
//! plugin over as many connections to the same server.
//!
//! A revocation is the order, the durable intent, the component's call, the question whether it is gone,
//! and the durable end.

use std::time::Duration;

use symbolon_core::lease::{Cause, Scope};
use symbolon_tests::harness::Gateway;
use symbolon_tests::harness::postgres::Postgres;
use tokio::runtime::Runtime;

use super::database::{self, Run};
use crate::load::{self, Load};
use crate::report::{Report, Row, Unit, median};

/// As wide as the lane of a backend is.
const CONNECTIONS: usize = 32;
const WINDOW: Duration = Duration::from_secs(4);
const ROUNDS: usize = 3;
const GLANCE: Duration = Duration::from_millis(2);

pub(crate) fn run(report: &mut Report) {
    let runtime = Runtime::new().expect("a runtime");
    let server = runtime.block_on(database::server());
    let gateway = runtime.block_on(database::gateway(&server, CONNECTIONS));
    let mut rates = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        issue(&gateway);
        let (number, took) = runtime.block_on(revoke(&gateway));
        rates.0.push(number as f64 / took.as_secs_f64());
        let each = usize::try_from(number).expect("a number").div_ceil(CONNECTIONS);
        rates.1.push(runtime.block_on(bare(&server, each)));
    }
    report.add(&Row {
        bench: "lease-revoke",
        case: format!("{CONNECTIONS} connections, beside the bare statements"),
        unit: Unit::PerSecond("leases/s"),
        value: median(rates.0),
        floor: median(rates.1),
        aim: Some(0.6),
    });
    runtime.block_on(gateway.stop());
}

/// As many as can be had within a window.
fn issue(gateway: &Gateway) {
    let load = Load::new(gateway.directory.path());
    let connections = load.connect(gateway.address, &database::requests(gateway, CONNECTIONS));
    let _connections = load.drive(connections, WINDOW);
}

/// Ends every lease; how many there were and how long it took.
async fn revoke(gateway: &Gateway) -> (u64, Duration) {
    let (ledger, clock) = (&gateway.app.foundation.leases, load::clock());
    let number = ledger.counts().await.expect("counts").active;
    let begun = clock.elapsed();
    ledger.order(Scope::Everything, Cause::Operator).await.expect("an order");
    loop {
        let counts = ledger.counts().await.expect("counts");
        if counts.reserved + counts.active + counts.revoking == 0 {
            return (number, clock.elapsed().saturating_sub(begun));
        }
        tokio::time::sleep(GLANCE).await;
    }
}

async fn bare(server: &Postgres, each: usize) -> f64 {
    database::make_users(server, CONNECTIONS, each).await;
    let script = database::revoke_script();
    database::pgbench(server, &script, CONNECTIONS, &Run::Each(each))
}
