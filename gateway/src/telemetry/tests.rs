use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_http::{HttpClient, HttpError};

use super::*;

fn settings(queue: usize) -> Settings {
    Settings {
        service_name: "symbolon-under-test".to_owned(),
        log: "info".to_owned(),
        log_format: LogFormat::Text,
        queue,
    }
}

/// A collector that takes one request whenever the test lets it, and answers as the test says.
#[derive(Debug)]
struct Collector {
    bodies: Mutex<Vec<(String, Bytes)>>,
    /// A status for each request; the end of the channel lets all go on with `503`.
    verdicts: Mutex<Receiver<u16>>,
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let path = request.uri().path().to_owned();
        // Metrics are exported beside the spans, and are not what these tests are about.
        let verdict = match path.as_str() {
            "/v1/traces" => self.verdicts.lock().unwrap().recv().unwrap_or(503),
            _ => 200,
        };
        self.bodies.lock().unwrap().push((path, request.into_body()));
        Ok(http::Response::builder().status(verdict).body(Bytes::new())?)
    }
}

/// Telemetry that exports to such a collector, and what lets the collector answer.
fn exporting(queue: usize) -> (Telemetry, Arc<Collector>, SyncSender<u16>) {
    let (sender, verdicts) = sync_channel(100);
    let collector = Arc::new(Collector { bodies: Mutex::default(), verdicts: verdicts.into() });
    let otlp = Otlp { endpoint: "http://collector.test".to_owned(), client: collector.clone() };
    (Telemetry::start(&settings(queue), Some(&otlp)).unwrap(), collector, sender)
}

fn spans(telemetry: &Telemetry, number: usize) {
    let subscriber = telemetry.subscriber(&settings(1)).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..number {
            tracing::info_span!(target: STATION, "decide").in_scope(|| ());
        }
    });
}

fn contains(body: &Bytes, text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn the_page_shows_a_decision_under_its_documented_name() {
    let telemetry = Telemetry::start(&settings(16), None).unwrap();
    telemetry.metrics().decided("deny", "no_rule", Duration::from_micros(40));
    let page = String::from_utf8(telemetry.page()).unwrap();
    assert!(page.contains("symbolon_authz_decisions_total{"), "{page}");
    assert!(page.contains("reason=\"no_rule\""), "{page}");
    assert!(page.contains("symbolon_authz_decision_duration_seconds_bucket"), "{page}");
}

#[test]
fn each_span_is_exported_failed_dropped_or_waiting_and_only_one_of_these() {
    let (telemetry, _collector, verdicts) = exporting(10);
    // Nobody lets the collector answer: what is waiting, or being sent, is all there is room for.
    spans(&telemetry, 25);
    let stuck = SpanReading { ended: 25, dropped: 15, waiting: 10, exported: 0, failed: 0 };
    assert_eq!(telemetry.spans(), stuck);
    let page = String::from_utf8(telemetry.page()).unwrap();
    let shows = |state: &str, number: u64| {
        page.lines().any(|line| {
            line.starts_with("symbolon_telemetry_spans_total{")
                && line.contains(&format!("state=\"{state}\""))
                && line.ends_with(&format!(" {number}"))
        })
    };
    assert!(shows("dropped", 15) && shows("ended", 25), "{page}");
    assert!(page.contains("symbolon_telemetry_spans_waiting"), "{page}");

    // One request takes them all, and there is room again.
    verdicts.send(200).unwrap();
    telemetry.traces.as_ref().unwrap().force_flush().unwrap();
    assert_eq!(telemetry.spans(), SpanReading { waiting: 0, exported: 10, ..stuck });
    spans(&telemetry, 4);
    // A collector that is gone: what was sent failed, which is not to be dropped.
    drop(verdicts);
    let _ = telemetry.traces.as_ref().unwrap().force_flush();
    let gone = SpanReading { ended: 29, exported: 10, failed: 4, dropped: 15, waiting: 0 };
    assert_eq!(telemetry.spans(), gone);
    telemetry.shut_down();
    spans(&telemetry, 1);
    assert_eq!(
        telemetry.spans(),
        SpanReading { ended: 29, ..gone },
        "after the end there are none"
    );
}

#[test]
fn only_stations_are_exported_and_nothing_of_the_log() {
    let (telemetry, collector, verdicts) = exporting(100);
    verdicts.send(200).unwrap();
    let subscriber = telemetry.subscriber(&settings(100)).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        let _station = tracing::info_span!(target: STATION, "dispatch").entered();
        let _library = tracing::info_span!(target: "h2::codec", "of-a-library").entered();
        tracing::error!(plugin_message = "words-of-a-plugin", "a line of the log");
    });
    telemetry.shut_down();
    let bodies = collector.bodies.lock().unwrap();
    let traces = bodies.iter().filter(|(path, _)| path == "/v1/traces");
    let bodies = traces.map(|(_, body)| body).collect::<Vec<_>>();
    assert_eq!(bodies.len(), 1);
    for (text, expected) in [
        ("dispatch", true),
        ("symbolon-under-test", true),
        ("of-a-library", false),
        ("words-of-a-plugin", false),
        ("a line of the log", false),
    ] {
        assert_eq!(contains(bodies[0], text), expected, "{text}");
    }
}

#[test]
fn without_an_export_nobody_makes_the_spans_of_stations() {
    let telemetry = Telemetry::start(&settings(16), None).unwrap();
    let subscriber = telemetry.subscriber(&settings(16)).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        assert!(tracing::info_span!(target: STATION, "decide").is_disabled());
        assert!(!tracing::info_span!("another").is_disabled());
    });
}
