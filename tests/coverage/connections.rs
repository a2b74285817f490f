//! Who is believed about where a request comes from, a certificate that is renewed, and the end.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use symbolon::listen::{
    Arrival, Certificate, Failure, Fault, Handler, Limits, Listener, Peer, Places, Response,
    Settings,
};
use symbolon_core::secret::Secret;
use symbolon_tests::harness::{Gateway, Setup};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::attacks::DEMO;
use crate::attacks::wire::{closed, connect, get, over, proxy_header, reply, request, send};

const READ: &str = "/v1/secrets/demo/app/text";

async fn gateway(server: &str) -> Gateway {
    let (blocks, server) = (DEMO.to_owned(), server.to_owned());
    Gateway::start(Setup { blocks, server, ..Setup::default() }).await
}

fn last_source(gateway: &Gateway) -> String {
    let lines = gateway.audit();
    let last = lines.iter().rfind(|line| line["kind"] == "request.open").expect("an entry");
    last["source"].as_str().expect("a source").to_owned()
}

#[tokio::test]
async fn forwarded_addresses_are_believed_of_configured_peers_only() {
    for (server, sent, expected) in [
        ("", "192.0.2.1", "127.0.0.1"),
        ("forwarded_from = [\"10.0.0.0/8\"]", "192.0.2.1", "127.0.0.1"),
        ("forwarded_from = [\"127.0.0.0/8\"]", "192.0.2.1", "192.0.2.1"),
        // The last hop that is not one of ours: what stands before it anybody can have written.
        ("forwarded_from = [\"127.0.0.0/8\"]", "198.51.100.9, 192.0.2.1", "192.0.2.1"),
        ("forwarded_from = [\"127.0.0.0/8\"]", "192.0.2.1, 127.0.0.2", "192.0.2.1"),
    ] {
        let gateway = gateway(server).await;
        let bearer = format!("Bearer {}", gateway.token("alice"));
        let headers = [("authorization", bearer.as_str()), ("x-forwarded-for", sent)];
        let mut stream = connect(&gateway, "http/1.1").await;
        let reply = send(&mut stream, &request("GET", READ, &headers, "")).await;
        assert_eq!(reply.expect("an answer").status, 200);
        assert_eq!(last_source(&gateway), expected, "{server} {sent}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_forwarded_address_that_cannot_be_read_is_nobodys() {
    let gateway = gateway("forwarded_from = [\"127.0.0.0/8\"]").await;
    let bearer = format!("Bearer {}", gateway.token("alice"));
    for sent in ["192.0.2.1, garbage", "192.0.2.1, garbage, 127.0.0.2", ""] {
        let headers = [("authorization", bearer.as_str()), ("x-forwarded-for", sent)];
        let mut stream = connect(&gateway, "http/1.1").await;
        let reply = send(&mut stream, &request("GET", READ, &headers, "")).await;
        assert_eq!(reply.expect("an answer").status, 400, "{sent}");
    }
    assert!(gateway.metrics().contains("reason=\"forwarded_for\""));
    assert!(!gateway.audit().iter().any(|line| line["kind"] == "request.open"));
    gateway.stop().await;
}

#[tokio::test]
async fn a_configured_peer_must_speak_the_proxy_protocol_and_others_cannot() {
    let gateway_ = gateway("proxy_protocol_from = [\"127.0.0.0/8\"]").await;
    let directory = gateway_.directory.path();
    let client = Ipv4Addr::new(192, 0, 2, 7);
    let mut tcp = TcpStream::connect(gateway_.address).await.expect("a connection");
    tcp.write_all(&proxy_header(client)).await.expect("sent");
    let mut stream = over(tcp, directory, "http/1.1").await.expect("a handshake");
    let reply = send(&mut stream, &get(READ, &gateway_.token("alice"))).await;
    assert_eq!(reply.expect("an answer").status, 200);
    assert_eq!(last_source(&gateway_), client.to_string());

    let tcp = TcpStream::connect(gateway_.address).await.expect("a connection");
    assert!(over(tcp, directory, "http/1.1").await.is_err(), "without the header");
    assert!(gateway_.metrics().contains("reason=\"proxy_header\""));
    gateway_.stop().await;

    let gateway = gateway("").await;
    let mut tcp = TcpStream::connect(gateway.address).await.expect("a connection");
    tcp.write_all(&proxy_header(client)).await.expect("sent");
    let directory = gateway.directory.path();
    assert!(over(tcp, directory, "http/1.1").await.is_err(), "a header that nobody asked for");
    gateway.stop().await;
}

#[tokio::test]
async fn a_request_in_flight_is_answered_after_stop_and_no_other_begins() {
    let gateway = gateway("").await;
    let (address, token) = (gateway.address, gateway.token("alice"));
    let body = r#"{"secrets":[{"backend":"demo","path":"app/text"}]}"#;
    let bytes = request(
        "POST",
        "/v1/secrets:batch",
        &[("authorization", &format!("Bearer {token}"))],
        body,
    );
    let (first, rest) = bytes.split_at(bytes.len() - 10);
    let mut stream = connect(&gateway, "http/1.1").await;
    let mut idle = connect(&gateway, "http/1.1").await;
    assert_eq!(send(&mut idle, &get(READ, &token)).await.expect("an answer").status, 200);
    stream.write_all(first).await.expect("sent");
    stream.flush().await.expect("sent");
    // Answered after the head of the other has been read: both are on one runtime thread each.
    assert_eq!(send(&mut idle, &get(READ, &token)).await.expect("an answer").status, 200);

    let mut stopping = JoinSet::new();
    stopping.spawn(gateway.stop());
    assert!(closed(&mut idle).await.is_empty(), "an idle connection is closed");
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), refused).await.expect("nobody listens");
    assert!(stopping.try_join_next().is_none(), "it waits for the request");
    stream.write_all(rest).await.expect("sent");
    stream.flush().await.expect("sent");
    let answer = reply(&mut stream).await.expect("an answer");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["results"][0]["secret"]["value"], "plain");
    let (directory, _) = stopping.join_next().await.expect("one task").expect("an end");
    let log = symbolon::audit::files_in_order(&directory.path().join("audit")).expect("the log");
    let text = std::fs::read_to_string(log.last().expect("a file")).expect("the log");
    let count = |kind: &str| text.matches(&format!("\"kind\":\"{kind}\"")).count();
    assert_eq!((count("request.open"), count("request.close")), (3, 3));
}

struct Hello;

impl Handler for Hello {
    async fn handle(self: Arc<Self>, _: Arrival) -> Response {
        Response::new(Full::new(Bytes::from_static(b"hello")))
    }

    async fn failed(&self, _: Peer, _: Failure) -> Response {
        Response::new(Full::new(Bytes::new()))
    }

    fn fault(&self, _: Option<IpAddr>, _: Fault) {}
}

fn make(directory: &TempDir) -> Secret {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    std::fs::write(directory.path().join("tls.pem"), made.cert.pem()).expect("written");
    Secret::from(made.signing_key.serialize_pem())
}

#[tokio::test]
async fn a_certificate_is_replaced_while_connections_are_open() {
    let directory = tempfile::tempdir().expect("a directory");
    let chain = directory.path().join("tls.pem");
    let key = make(&directory);
    let certificate = Arc::new(Certificate::load(&chain, &key).expect("a certificate"));
    let second = Duration::from_secs(1);
    let settings = Settings {
        limits: Limits {
            handshake_timeout: 10 * second,
            header_timeout: 10 * second,
            idle_timeout: 10 * second,
            body_timeout: 10 * second,
            request_timeout: 10 * second,
            max_header_bytes: 16 << 10,
            max_body_bytes: 16 << 10,
        },
        places: Places::new(16, 16, 1),
        proxy_protocol_from: Vec::new(),
        forwarded_from: Vec::new(),
        drain_timeout: second,
    };
    let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = tcp.local_addr().expect("an address");
    let listener = Listener {
        tcp,
        tls: Some(certificate.clone()),
        settings: Arc::new(settings),
        handler: Arc::new(Hello),
    };
    let stop = CancellationToken::new();
    let mut running = JoinSet::new();
    running.spawn(listener.run(stop.clone()));
    let open = async || {
        let tcp = TcpStream::connect(address).await.expect("a connection");
        over(tcp, directory.path(), "http/1.1").await
    };
    let mut before = open().await.expect("the first certificate");
    let key = make(&directory);
    assert!(open().await.is_err(), "the new certificate is not in use yet");
    certificate.replace(&chain, &key).expect("replaced");
    let mut after = open().await.expect("the second certificate");
    for stream in [&mut before, &mut after] {
        let reply = send(stream, &request("GET", "/", &[], "")).await.expect("an answer");
        assert_eq!(reply.body, b"hello");
    }
    drop((before, after));
    stop.cancel();
    running.join_next().await.expect("one task").expect("an end");
}
