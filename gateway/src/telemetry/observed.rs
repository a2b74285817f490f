//! What the store and the audit log count by themselves, shown as metrics.
//!
//! These parts know nothing of telemetry; they are asked when somebody looks.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider};

use super::Telemetry;
use crate::audit::Journal;
use crate::store::SledStore;

impl Telemetry {
    /// Shows the counters of the store and the audit log from now on.
    pub fn observe(&self, store: Arc<SledStore>, journal: Arc<Journal>) {
        let meter = self.meters.meter("symbolon");
        observe_store(&meter, store);
        observe_lines(&meter, journal.clone());
        observe_failures(&meter, journal.clone());
        meter
            .u64_observable_gauge("symbolon.audit.queue")
            .with_unit("{line}")
            .with_description("Audit lines that wait, and places held for closings")
            .with_callback(move |observer| {
                observer.observe(u64::try_from(journal.queued()).unwrap_or(u64::MAX), &[]);
            })
            .build();
    }
}

fn observe_store(meter: &Meter, store: Arc<SledStore>) {
    let counters = store.clone();
    meter
        .u64_observable_counter("symbolon.store.transactions")
        .with_unit("{transaction}")
        .with_description("Transactions, by what became of them")
        .with_callback(move |observer| {
            let reading = counters.counters();
            for (outcome, count) in [
                ("committed", reading.commits),
                ("conflict", reading.conflicts),
                ("abandoned", reading.abandoned),
            ] {
                observer.observe(count, &[KeyValue::new("outcome", outcome)]);
            }
        })
        .build();
    let flushes = store.clone();
    meter
        .f64_observable_counter("symbolon.store.flush.time")
        .with_unit("s")
        .with_description("Time spent making transactions durable")
        .with_callback(move |observer| {
            observer.observe(flushes.counters().flush_time.as_secs_f64(), &[]);
        })
        .build();
    meter
        .u64_observable_gauge("symbolon.store.size")
        .with_unit("By")
        .with_description("Size of the store on disk")
        .with_callback(move |observer| {
            if let Ok(size) = store.size() {
                observer.observe(size, &[]);
            }
        })
        .build();
}

fn observe_lines(meter: &Meter, journal: Arc<Journal>) {
    meter
        .u64_observable_counter("symbolon.audit.records")
        .with_unit("{record}")
        .with_description("Audit records taken, lines and groups that became durable")
        .with_callback(move |observer| {
            let readings = journal.readings();
            for (kind, count) in [
                ("opening", readings.openings),
                ("closing", readings.closings),
                ("event", readings.events),
                ("line", readings.lines),
                ("group", readings.groups),
            ] {
                observer.observe(count, &[KeyValue::new("kind", kind)]);
            }
        })
        .build();
}

fn observe_failures(meter: &Meter, journal: Arc<Journal>) {
    meter
        .u64_observable_counter("symbolon.audit.failures")
        .with_unit("{failure}")
        .with_description("What the audit log could not do: requests failed because of it")
        .with_callback(move |observer| {
            let readings = journal.readings();
            for (kind, count) in [
                ("write", readings.failures),
                ("anchor", readings.anchor_failures),
                ("refused", readings.refused),
                ("late", readings.late),
                ("abandoned", readings.abandoned),
            ] {
                observer.observe(count, &[KeyValue::new("kind", kind)]);
            }
        })
        .build();
}
