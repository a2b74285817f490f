//! The instruments, each made once, with a method that says what happened.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;

use super::SpanCounts;
use super::leases::Revocations;

/// Upper bounds of the duration histograms, in seconds: from a decision in microseconds to a backend
/// that needs all of its time.
const BOUNDS: [f64; 16] = [
    0.000_01, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 1.0, 5.0, 30.0,
];

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// `read`, `list`, ….
    pub action: &'static str,
    /// `ok` or the public code of the error.
    pub result: &'static str,
}

/// Every instrument of the line.
#[derive(Debug)]
pub struct Metrics {
    requests: Histogram<f64>,
    exchanges: Histogram<f64>,
    decisions: Counter<u64>,
    decision: Histogram<f64>,
    backend: Histogram<f64>,
    strangers: Counter<u64>,
    cache: Counter<u64>,
    key_fetches: Counter<u64>,
    replays: Counter<u64>,
    egress: Histogram<f64>,
    swaps: Counter<u64>,
    pub(super) revocations: Revocations,
}

fn seconds(meter: &Meter, name: &'static str, description: &'static str) -> Histogram<f64> {
    let builder = meter.f64_histogram(name).with_unit("s").with_description(description);
    builder.with_boundaries(BOUNDS.to_vec()).build()
}

fn count(
    meter: &Meter,
    name: &'static str,
    unit: &'static str,
    what: &'static str,
) -> Counter<u64> {
    meter.u64_counter(name).with_unit(unit).with_description(what).build()
}

impl Metrics {
    pub(super) fn new(provider: &SdkMeterProvider, spans: &Arc<SpanCounts>) -> Self {
        let meter = provider.meter("symbolon");
        observe_spans(&meter, spans.clone());
        Self {
            requests: seconds(
                &meter,
                "symbolon.request.duration",
                "From the request read whole to the answer",
            ),
            exchanges: seconds(
                &meter,
                "symbolon.token.exchange.duration",
                "One token exchange, from the request read whole to the answer",
            ),
            decisions: count(&meter, "symbolon.authz.decisions", "{decision}", "Decisions"),
            decision: seconds(&meter, "symbolon.authz.decision.duration", "One decision"),
            backend: seconds(
                &meter,
                "symbolon.backend.request.duration",
                "One call of a backend's component",
            ),
            strangers: count(
                &meter,
                "symbolon.strangers",
                "{refusal}",
                "Refusals before there was a principal",
            ),
            cache: count(&meter, "symbolon.cache.requests", "{request}", "Look-ups in a cache"),
            key_fetches: count(&meter, "symbolon.issuer.key_fetches", "{fetch}", "Key-set fetches"),
            egress: seconds(
                &meter,
                "symbolon.egress.request.duration",
                "One outgoing request of a component, to the answer's head",
            ),
            replays: count(
                &meter,
                "symbolon.token.replays",
                "{assertion}",
                "One-shot assertions shown again",
            ),
            swaps: count(
                &meter,
                "symbolon.plugin.swaps",
                "{swap}",
                "Components of backends: swapped, passed, rolled back, quarantined",
            ),
            revocations: Revocations::new(&meter),
        }
    }

    /// A request of a principal ended.
    pub fn answered(&self, outcome: Outcome, took: Duration) {
        let labels =
            [KeyValue::new("action", outcome.action), KeyValue::new("result", outcome.result)];
        self.requests.record(took.as_secs_f64(), &labels);
    }

    /// A token was exchanged, or not: `error` is the public code of the failure.
    pub fn exchanged(&self, error: Option<&'static str>, took: Duration) {
        let labels = [
            KeyValue::new("grant.type", "token-exchange"),
            KeyValue::new("error.type", error.unwrap_or("")),
        ];
        self.exchanges.record(took.as_secs_f64(), &labels);
    }

    /// A decision was made: `allow` or `deny`, and the audit code of the reason.
    pub fn decided(&self, outcome: &'static str, reason: &'static str, took: Duration) {
        let labels = [KeyValue::new("outcome", outcome), KeyValue::new("reason", reason)];
        self.decisions.add(1, &labels);
        self.decision.record(took.as_secs_f64(), &[]);
    }

    /// A backend's component was called; `error` is the audit code of the failure, if it failed.
    pub fn called(
        &self,
        backend: &str,
        operation: &'static str,
        error: Option<&'static str>,
        took: Duration,
    ) {
        let labels = [
            KeyValue::new("backend.name", backend.to_owned()),
            KeyValue::new("operation", operation),
            KeyValue::new("error.type", error.unwrap_or("")),
        ];
        self.backend.record(took.as_secs_f64(), &labels);
    }

    /// A stranger was refused.
    pub fn refused(&self, reason: &'static str) {
        self.strangers.add(1, &[KeyValue::new("reason", reason)]);
    }

    /// A cache was asked: `hit`, `miss`, `stale`, `negative` or `coalesced`.
    pub fn cached(&self, cache: &'static str, result: &'static str) {
        self.cache.add(1, &[KeyValue::new("cache", cache), KeyValue::new("result", result)]);
    }

    /// A key set was fetched: `ok` or the code of the failure.
    pub fn fetched_keys(&self, issuer: &str, result: &'static str) {
        let labels = [KeyValue::new("issuer", issuer.to_owned()), KeyValue::new("result", result)];
        self.key_fetches.add(1, &labels);
    }

    /// A component made a request, or tried to: `result` is the status or the code of the error.
    pub fn reached_out(&self, backend: &str, result: String, took: Duration) {
        let labels =
            [KeyValue::new("backend.name", backend.to_owned()), KeyValue::new("result", result)];
        self.egress.record(took.as_secs_f64(), &labels);
    }

    /// The component of a backend was `swapped`, has `passed` its probation, was `rolled_back` or
    /// `quarantined`.
    pub fn swapped(&self, backend: &str, result: &'static str) {
        let labels =
            [KeyValue::new("backend.name", backend.to_owned()), KeyValue::new("result", result)];
        self.swaps.add(1, &labels);
    }

    /// A one-shot assertion came a second time.
    pub fn replayed(&self, issuer: &str) {
        self.replays.add(1, &[KeyValue::new("issuer", issuer.to_owned())]);
    }
}

fn observe_spans(meter: &Meter, spans: Arc<SpanCounts>) {
    let waiting = spans.clone();
    meter
        .u64_observable_counter("symbolon.telemetry.spans")
        .with_unit("{span}")
        .with_description("Spans that ended, were exported, failed to be, or were dropped")
        .with_callback(move |observer| {
            let reading = spans.read();
            for (state, number) in [
                ("ended", reading.ended),
                ("exported", reading.exported),
                ("failed", reading.failed),
                ("dropped", reading.dropped),
            ] {
                observer.observe(number, &[KeyValue::new("state", state)]);
            }
        })
        .build();
    meter
        .u64_observable_gauge("symbolon.telemetry.spans.waiting")
        .with_unit("{span}")
        .with_description("Spans that wait for their export")
        .with_callback(move |observer| observer.observe(waiting.read().waiting, &[]))
        .build();
}
