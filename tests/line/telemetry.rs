//! Export to a collector: what arrives of a request, and what a collector that is away or hangs
//! costs, which is its own spans and nothing else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use symbolon::telemetry::{LogFormat, Settings, SpanReading};
use symbolon_tests::harness::{Gateway, Setup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tracing::subscriber::DefaultGuard;

use crate::attacks::DEMO;

const READ: &str = "/v1/secrets/demo/app/text";
/// Longer than any limit of these tests, shorter than anybody waits for a test.
const SOON: Duration = Duration::from_secs(20);

/// Head and body of each export.
type Exports = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A collector on loopback that takes what comes, or takes it and says nothing.
struct Collector {
    port: u16,
    exports: Exports,
    _serving: JoinSet<()>,
}

impl Collector {
    async fn start(answers: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let exports = Exports::default();
        let (mut serving, taken) = (JoinSet::new(), exports.clone());
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                let taken = taken.clone();
                connections.spawn(async move {
                    let mut tcp = tcp;
                    while let Some(export) = take(&mut tcp).await {
                        taken.lock().unwrap().push(export);
                        if !answers {
                            std::future::pending::<()>().await;
                        }
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                        let _ = tcp.write_all(answer).await;
                    }
                });
            }
        });
        Self { port, exports, _serving: serving }
    }

    fn exports_to(&self, path: &str) -> Vec<Vec<u8>> {
        let exports = self.exports.lock().unwrap();
        let line = format!("post {path} http/1.1\r\n");
        let fitting = exports.iter().filter(|(head, _)| head.starts_with(&line));
        fitting.map(|(_, body)| body.clone()).collect()
    }
}

/// One request, its head in lower case.
async fn take(tcp: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tcp.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?.to_lowercase();
    let length = head.split("content-length: ").nth(1)?.split('\r').next()?.parse().ok()?;
    let mut body = vec![0; length];
    tcp.read_exact(&mut body).await.ok()?;
    Some((head, body))
}

/// The length-delimited fields of a protocol-buffers message, by number. Others are stepped over.
fn fields(mut message: &[u8]) -> Vec<(u64, &[u8])> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let length = match key & 7 {
            0 => {
                varint(&mut message);
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut message)).expect("a length"),
            5 => 4,
            other => panic!("wire type {other}"),
        };
        let (value, rest) = message.split_at(length);
        if key & 7 == 2 {
            fields.push((key >> 3, value));
        }
        message = rest;
    }
    fields
}

fn varint(message: &mut &[u8]) -> u64 {
    let mut value = 0;
    for place in 0.. {
        let (byte, rest) = message.split_first().expect("a number");
        *message = rest;
        value |= u64::from(byte & 127) << (7 * place);
        if byte & 128 == 0 {
            break;
        }
    }
    value
}

/// The messages at the end of `path`.
fn below<'a>(message: &'a [u8], path: &[u64]) -> Vec<&'a [u8]> {
    let Some((first, rest)) = path.split_first() else { return vec![message] };
    let fitting = fields(message).into_iter().filter(|(number, _)| number == first);
    fitting.flat_map(|(_, value)| below(value, rest)).collect()
}

/// A span, of `opentelemetry.proto.trace.v1`.
#[derive(Clone, Debug)]
struct Span {
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
    name: String,
}

/// The spans of an `ExportTraceServiceRequest`.
fn spans(export: &[u8]) -> Vec<Span> {
    let read = |span: &&[u8]| {
        let field = |number| below(span, &[number]).first().map(|v| v.to_vec()).unwrap_or_default();
        let name = String::from_utf8(field(5)).expect("a name");
        Span { trace: field(1), id: field(2), parent: field(4), name }
    };
    below(export, &[1, 2, 2]).iter().map(read).collect()
}

/// The names of the metrics of an `ExportMetricsServiceRequest`.
fn metrics(export: &[u8]) -> Vec<String> {
    let names = below(export, &[1, 2, 2, 1]).into_iter();
    names.map(|name| String::from_utf8(name.to_vec()).expect("a name")).collect()
}

/// A gateway that exports to `port`. Its spans are taken on this thread, where all of it runs.
async fn gateway(port: u16, queue: usize) -> (Gateway, DefaultGuard) {
    let telemetry = format!("[telemetry]\notlp = \"http://127.0.0.1:{port}\"\nqueue = {queue}\n");
    let blocks = format!("{DEMO}{telemetry}");
    let gateway = Gateway::start(Setup { blocks, ..Setup::default() }).await;
    let settings = Settings {
        service_name: "symbolon".to_owned(),
        log: "info".to_owned(),
        log_format: LogFormat::Json,
        queue,
    };
    let telemetry = &gateway.app.foundation.telemetry;
    let subscriber = telemetry.subscriber(&settings).expect("a subscriber");
    (gateway, tracing::subscriber::set_default(subscriber))
}

async fn read(gateway: &Gateway, times: usize) {
    let token = gateway.token("alice");
    for _ in 0..times {
        assert_eq!(gateway.get(READ, &token).await.json["value"], "plain");
    }
}

#[tokio::test]
async fn a_request_arrives_as_one_trace_with_a_span_for_each_station() {
    let collector = Collector::start(true).await;
    let (gateway, _guard) = gateway(collector.port, 2048).await;
    read(&gateway, 3).await;
    let token = gateway.token("alice");
    let refused = gateway.get(READ, "not.a.token").await;
    assert_eq!(refused.status, 400);
    gateway.stop().await;

    let exports = collector.exports_to("/v1/traces");
    assert!(!exports.is_empty(), "no spans arrived");
    let mut traces = BTreeMap::<Vec<u8>, Vec<Span>>::new();
    for span in exports.iter().flat_map(|export| spans(export)) {
        traces.entry(span.trace.clone()).or_default().push(span);
    }
    let mut shapes = Vec::new();
    for trace in traces.values() {
        let root = trace.iter().find(|span| span.parent.is_empty()).expect("a root");
        assert_eq!(root.name, "request");
        let others = trace.iter().filter(|span| !span.parent.is_empty());
        assert!(others.clone().all(|span| span.parent == root.id), "{trace:#?}");
        let mut names = others.map(|span| span.name.clone()).collect::<Vec<_>>();
        names.sort();
        shapes.push(names.join(" "));
    }
    shapes.sort();
    let whole = "ask audit.close audit.open authenticate decide dispatch respond";
    assert_eq!(shapes, [whole, whole, whole, "ask authenticate"]);

    let exports = collector.exports_to("/v1/metrics");
    let names = exports.iter().flat_map(|export| metrics(export)).collect::<Vec<_>>();
    for name in [
        "symbolon.request.duration",
        "symbolon.authz.decisions",
        "symbolon.backend.request.duration",
        "symbolon.strangers",
        "symbolon.audit.records",
        "symbolon.telemetry.spans",
    ] {
        assert!(names.iter().any(|own| own == name), "{name} is not in {names:?}");
    }
    let taken = collector.exports.lock().unwrap();
    for (head, body) in taken.iter() {
        assert!(head.contains("content-type: application/x-protobuf\r\n"), "{head}");
        let body = String::from_utf8_lossy(body);
        for secret in ["plain", &token, "alice", "app/text"] {
            assert!(!body.contains(secret), "`{secret}` was exported");
        }
    }
}

fn assert_counted(reading: SpanReading) {
    let SpanReading { ended, exported, failed, dropped, waiting } = reading;
    assert_eq!(ended, exported + failed + dropped + waiting, "{reading:?}");
}

#[tokio::test]
async fn a_collector_that_hangs_costs_spans_and_no_time() {
    let collector = Collector::start(false).await;
    let (gateway, _guard) = gateway(collector.port, 16).await;
    read(&gateway, 10).await;
    let sending = async {
        while collector.exports_to("/v1/traces").is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, sending).await.expect("an export that hangs");
    let begun = Instant::now();
    read(&gateway, 100).await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "100 reads took {took:?} beside a hanging collector");
    let reading = gateway.app.foundation.telemetry.spans();
    assert_counted(reading);
    assert_eq!((reading.exported, reading.failed, reading.waiting), (0, 0, 16));
    assert!(reading.dropped >= 700, "{reading:?}");
    let shown = format!("}} {}", reading.dropped);
    let page = gateway.metrics();
    let is_it = |line: &str| line.contains("state=\"dropped\"") && line.ends_with(&shown);
    assert!(page.lines().any(is_it), "{page}");
}

#[tokio::test]
async fn a_collector_that_is_away_fails_spans_and_no_request() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let (gateway, _guard) = gateway(port, 64).await;
    let telemetry = gateway.app.foundation.telemetry.clone();
    read(&gateway, 20).await;
    let failed = async {
        while telemetry.spans().failed == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, failed).await.expect("a failure");
    read(&gateway, 20).await;
    gateway.stop().await;
    let reading = telemetry.spans();
    assert_counted(reading);
    assert_eq!((reading.exported, reading.waiting), (0, 0));
    assert!(reading.failed > 0 && reading.ended >= 300, "{reading:?}");
}
