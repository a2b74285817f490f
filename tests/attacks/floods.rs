//! Floods, slow and broken clients: they are refused cheaply, and the others are served meanwhile.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use symbolon::time::SystemClock;
use symbolon_core::clock::{Clock, ManualClock, Timestamp};
use symbolon_tests::harness::{Gateway, Setup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::wire::{closed, connect, get, over, proxy_header, reply, request, send};
use super::{DEMO, LIMITED};

const READ: &str = "/v1/secrets/demo/app/text";
/// Longer than any limit of these tests, shorter than anybody waits for a test.
const SOON: Duration = Duration::from_secs(20);

/// A gateway whose time stands still, so that a quota is a number.
async fn still(blocks: &str, server: &str) -> Gateway {
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_793_520_100)));
    let (blocks, server) = (blocks.to_owned(), server.to_owned());
    Gateway::start(Setup { blocks, server, clock: Some(clock), ..Setup::default() }).await
}

async fn forwarded(stream: &mut TlsStream<TcpStream>, source: &str, token: &str) -> u16 {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("x-forwarded-for", source)];
    send(stream, &request("GET", READ, &headers, "")).await.expect("an answer").status
}

fn count(page: &str, reason: &str) -> u64 {
    let wanted = format!("reason=\"{reason}\"");
    let line = page
        .lines()
        .find(|line| line.starts_with("symbolon_strangers_total") && line.contains(&wanted));
    line.and_then(|line| line.rsplit(' ').next()).map_or(0, |n| n.parse().expect("a count"))
}

/// Waits for something that happens in another task after the answer.
async fn eventually(what: impl Fn() -> bool) {
    let wait = async {
        while !what() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, wait).await.expect("it happens soon");
}

#[tokio::test]
async fn a_flood_from_one_source_is_refused_before_cryptography_and_leaves_others_alone() {
    let gateway = still(LIMITED, "forwarded_from = [\"127.0.0.0/8\"]").await;
    let good = gateway.token("alice");
    // Well formed, and signed by nobody: refused by the signature as long as it is looked at.
    let bad = format!("{}AAAA", &good[..good.len() - 4]);
    let mut flood = connect(&gateway, "http/1.1").await;
    let mut other = connect(&gateway, "http/1.1").await;
    let mut statuses = Vec::new();
    for round in 0..3000 {
        statuses.push(forwarded(&mut flood, "192.0.2.1", &bad).await);
        if round % 300 == 0 {
            assert_eq!(forwarded(&mut other, "192.0.2.2", &good).await, 200);
        }
    }
    assert!(statuses[..50].iter().all(|status| *status == 401), "the quota is 50");
    assert!(statuses[50..].iter().all(|status| *status == 429));
    let page = gateway.metrics();
    assert_eq!((count(&page, "signature"), count(&page, "source_bucket")), (50, 2950));
    // Not even a good token is looked at, unless it was a moment ago: whoever shares the address and
    // was there before stays served.
    assert_eq!(forwarded(&mut flood, "192.0.2.1", &gateway.token("carol")).await, 429);
    assert_eq!(forwarded(&mut flood, "192.0.2.1", &good).await, 200);
    gateway.app.line.journal.report_strangers().await.expect("a line");
    let lines = gateway.audit();
    let strangers: Vec<_> = lines.iter().filter(|line| line["kind"] == "strangers").collect();
    assert!(strangers.len() <= 3 && lines.len() < 40, "{} lines", lines.len());
    assert_eq!(strangers.iter().filter_map(|line| line["total"].as_u64()).sum::<u64>(), 3001);
    gateway.stop().await;
}

#[tokio::test]
async fn one_principal_cannot_use_up_what_others_have() {
    let blocks = format!("{LIMITED}\n[limits]\nper_principal = {{ rate = 1, burst = 5 }}\n");
    let gateway = still(&blocks, "").await;
    let (alice, bob) = (gateway.token("alice"), gateway.token("bob"));
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(gateway.get(READ, &alice).await.status);
    }
    assert!(statuses[..5].iter().all(|status| *status == StatusCode::OK), "{statuses:?}");
    assert!(statuses[5..].iter().all(|status| *status == StatusCode::TOO_MANY_REQUESTS));
    assert_eq!(gateway.get(READ, &bob).await.status, StatusCode::OK);
    assert_eq!(count(&gateway.metrics(), "rate_bucket"), 3);
    // A batch counts as what it asks for.
    let item = r#"{"backend":"demo","path":"app/text"}"#;
    let body = format!(r#"{{"secrets":[{}]}}"#, [item; 5].join(","));
    let batch = gateway.ask(Method::POST, "/v1/secrets:batch", Some(&bob), Bytes::from(body)).await;
    assert_eq!(batch.status, StatusCode::TOO_MANY_REQUESTS);
    gateway.stop().await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_nothing_of_it_is_audited() {
    let server = "max_header_bytes = \"16KiB\"\nmax_body_bytes = \"4KiB\"";
    let gateway = still(DEMO, server).await;
    let token = gateway.token("alice");
    let bearer = format!("Bearer {token}");
    let huge = "a".repeat(64 << 10);
    for headers in [
        vec![("authorization", bearer.as_str()), ("x-huge", &huge)],
        vec![("authorization", huge.as_str())],
    ] {
        let mut stream = connect(&gateway, "http/1.1").await;
        let reply = send(&mut stream, &request("GET", READ, &headers, "")).await;
        assert!(reply.as_ref().is_none_or(|reply| reply.status == 431), "{reply:?}");
    }
    let many: Vec<_> = (0..200).map(|n| (format!("x-{n}"), "1".to_owned())).collect();
    let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut stream = connect(&gateway, "http/1.1").await;
    let reply = send(&mut stream, &request("GET", READ, &many, "")).await;
    assert!(reply.as_ref().is_none_or(|reply| reply.status == 431), "{reply:?}");

    let body = " ".repeat(5 << 10);
    let headers = [("authorization", bearer.as_str())];
    let mut stream = connect(&gateway, "http/1.1").await;
    let bytes = request("POST", "/v1/secrets:batch", &headers, &body);
    let reply = send(&mut stream, &bytes).await.expect("an answer");
    assert_eq!((reply.status, reply.code()), (400, "malformed".to_owned()));
    assert_eq!(count(&gateway.metrics(), "body_unreadable"), 1);
    assert!(!gateway.audit().iter().any(|line| line["kind"] == "request.open"));
    gateway.stop().await;
}

#[tokio::test]
async fn half_a_request_is_closed_in_time_and_counted() {
    let server = "header_timeout = \"1s\"\nbody_timeout = \"1s\"\nhandshake_timeout = \"1s\"";
    let gateway = still(DEMO, server).await;
    // A head that goes on and on: its time runs from its first byte, whatever comes later.
    let mut slow = connect(&gateway, "http/1.1").await;
    slow.write_all(b"GET / HTTP/1.1\r\n").await.expect("sent");
    let (mut reading, mut writing) = tokio::io::split(slow);
    let dripping = async {
        let mut drip = tokio::time::interval(Duration::from_millis(100));
        loop {
            drip.tick().await;
            if writing.write_all(b"x: y\r\n").await.is_err() || writing.flush().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let ended = tokio::time::timeout(SOON, async {
        tokio::select! { said = closed(&mut reading) => said, () = dripping => Vec::new() }
    });
    ended.await.expect("the slow head is cut off");
    eventually(|| count(&gateway.metrics(), "http_protocol") == 1).await;

    // A body that never comes.
    let token = gateway.token("alice");
    let mut stream = connect(&gateway, "http/1.1").await;
    let head = format!(
        "POST /v1/secrets:batch HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\ncontent-length: 100\r\n\r\n{{"
    );
    let answer = tokio::time::timeout(SOON, send(&mut stream, head.as_bytes())).await;
    assert_eq!(answer.expect("in time").expect("an answer").status, 400);

    // A handshake that stops half way, and one that is none.
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"GET / HTTP/1.1\r\n\r\n", b""] {
        let mut tcp = TcpStream::connect(gateway.address).await.expect("a connection");
        tcp.write_all(bytes).await.expect("sent");
        let said = tokio::time::timeout(SOON, closed(&mut tcp)).await.expect("closed in time");
        assert!(!said.starts_with(b"HTTP"), "{said:?}");
    }
    eventually(|| count(&gateway.metrics(), "tls_handshake") == 3).await;
    assert_eq!(gateway.get(READ, &token).await.status, StatusCode::OK);
    gateway.stop().await;
}

#[tokio::test]
async fn a_connection_kept_for_later_is_closed_and_is_no_offence() {
    let gateway = still(DEMO, "header_timeout = \"1s\"\nidle_timeout = \"2s\"").await;
    let token = gateway.token("alice");
    let mut stream = connect(&gateway, "http/1.1").await;
    let first = send(&mut stream, &get(READ, &token)).await.expect("an answer");
    assert_eq!(first.status, 200);
    let clock = SystemClock::start();
    let end = tokio::time::timeout(SOON, closed(&mut stream)).await.expect("closed");
    assert!(end.is_empty() && clock.elapsed() > Duration::from_millis(1500));
    let silent = tokio::time::timeout(SOON, async {
        closed(&mut connect(&gateway, "http/1.1").await).await
    });
    assert!(silent.await.expect("closed").is_empty());
    assert_eq!(count(&gateway.metrics(), "http_protocol"), 0);
    gateway.stop().await;
}

#[tokio::test]
async fn malformed_http2_ends_the_connection_and_is_counted() {
    let gateway = still(DEMO, "handshake_timeout = \"1s\"").await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let oversized = [&preface[..], b"\xff\xff\xff\x04\0\0\0\0\0"].concat();
    let headers_on_zero = [&preface[..], b"\0\0\0\x04\0\0\0\0\0", b"\0\0\x01\x01\x05\0\0\0\0\x82"];
    let headers_on_zero = headers_on_zero.concat();
    let cases: [(&str, &[u8]); 4] = [
        ("HTTP/1 on an HTTP/2 connection", b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
        ("a wrong preface", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"),
        ("an oversized frame", &oversized),
        ("headers on stream zero", &headers_on_zero),
    ];
    for (name, bytes) in cases {
        let mut stream = connect(&gateway, "h2").await;
        stream.write_all(bytes).await.expect("sent");
        stream.flush().await.expect("sent");
        let ended = tokio::time::timeout(SOON, closed(&mut stream)).await;
        assert!(ended.is_ok(), "{name}: still open");
    }
    eventually(|| count(&gateway.metrics(), "http_protocol") == 4).await;
    gateway.stop().await;
}

#[tokio::test]
async fn one_source_has_only_so_many_connections() {
    let server = "max_connections_per_source = 3\nproxy_protocol_from = [\"127.0.0.1/32\"]";
    let gateway = still(DEMO, server).await;
    let directory = gateway.directory.path();
    let from = async |client: Ipv4Addr| {
        let mut tcp = TcpStream::connect(gateway.address).await.expect("a connection");
        tcp.write_all(&proxy_header(client)).await.expect("sent");
        over(tcp, directory, "http/1.1").await
    };
    let greedy = Ipv4Addr::new(192, 0, 2, 1);
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(from(greedy).await.expect("within the limit"));
    }
    assert!(from(greedy).await.is_err(), "the fourth");
    // The proxy is not a source: its other clients are not in the greedy one's way, nor it in theirs.
    for last in 2..6 {
        let mut stream = from(Ipv4Addr::new(192, 0, 2, last)).await.expect("another source");
        let reply = send(&mut stream, &get(READ, &gateway.token("alice"))).await;
        assert_eq!(reply.expect("an answer").status, 200);
        held.push(stream);
    }
    eventually(|| count(&gateway.metrics(), "connections") == 1).await;
    drop(held);
    let again = async {
        while from(greedy).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, again).await.expect("places are given back");
    gateway.stop().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_no_entry_open() {
    let gateway = still(DEMO, "").await;
    let token = gateway.token("alice");
    for _ in 0..50 {
        let mut stream = connect(&gateway, "http/1.1").await;
        stream.write_all(&get(READ, &token)).await.expect("sent");
        stream.flush().await.expect("sent");
    }
    // One that is answered, and one whose answer is half read.
    let mut stream = connect(&gateway, "http/1.1").await;
    stream.write_all(&get(READ, &token)).await.expect("sent");
    let _ = stream.read_u8().await;
    drop(stream);
    assert_eq!(gateway.get(READ, &token).await.status, StatusCode::OK);
    let directory = gateway.app.config().audit.directory.clone();
    let (kept, _) = gateway.stop().await;
    let files = symbolon::audit::files_in_order(&directory).expect("the log");
    let text = files.iter().map(|file| std::fs::read_to_string(file).expect("a file"));
    let text = text.collect::<String>();
    let count = |kind: &str| text.matches(&format!("\"kind\":\"{kind}\"")).count();
    assert!(count("request.open") >= 2, "{}", count("request.open"));
    assert_eq!(count("request.open"), count("request.close"));
    drop(kept);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let gateway = still(DEMO, "").await;
    let token = gateway.token("alice");
    let both = [get(READ, &token), get("/v1/secrets/demo/app/absent", &token)].concat();
    let mut stream = connect(&gateway, "http/1.1").await;
    let first = send(&mut stream, &both).await.expect("an answer");
    let second = reply(&mut stream).await.expect("another");
    assert_eq!((first.status, second.status), (200, 403));
    gateway.stop().await;
}
