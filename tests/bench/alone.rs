//! A gateway and its load with nothing beside them: what `--alone` shows to a profiler.

use std::time::Duration;

use symbolon_tests::harness::Gateway;
use tokio::runtime::Runtime;

use crate::load::Load;

/// How long the gateway is driven.
const ALONE: Duration = Duration::from_secs(10);

/// A gateway under 256 connections and nothing beside it, for a profiler to look at.
pub(crate) fn drive(runtime: &Runtime, gateway: Gateway, requests: &[String]) {
    let load = Load::new(gateway.directory.path());
    let connections = load.connect(gateway.address, requests);
    let before = processor_time();
    let (rate, _connections) = load.drive(connections, ALONE);
    let took = processor_time() - before;
    let each = took / (rate * ALONE.as_secs_f64()) * 1e6;
    println!("{rate:.0} requests/s, {each:.1} us of processor time each");
    runtime.block_on(gateway.stop());
}

/// User and system time of this process so far, in seconds; ticks are a hundredth of one.
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("the process's state");
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.map(|field| field.parse::<f64>().expect("ticks")).sum::<f64>() / 100.0
}
