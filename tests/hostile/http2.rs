//! Upstreams that speak HTTP/2 in order to wear out whoever listens: answers without end, and frames that
//! belong to no answer, which go on when the call is over.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use symbolon_tests::harness::{Gateway, Issuer, Setup};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::scene::NEIGHBOUR;
use super::settings::WELL_BEHAVED;
use super::trial::Fate::{self, Answered, Cut, Refused};
use super::trial::beside;
use super::upstream::{certified, network};
use crate::attacks::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, PUSH, SETTINGS,
    WINDOW, block, frame, next,
};

/// One answer: what comes first, on the stream of the request, and what comes again and again.
pub(super) struct Flood {
    pub(super) name: &'static str,
    first: fn(u32) -> Vec<u8>,
    again: fn(u32) -> Vec<u8>,
    pub(super) fate: Fate,
}

const TOO_LARGE: Fate = Cut("plugin_unavailable", 503, "egress_body_too_large");
const BROKEN: Fate = Refused("plugin_unavailable", 503, "egress_interrupted");
const CUT_BROKEN: Fate = Cut("plugin_unavailable", 503, "egress_interrupted");
const FLOOD: Fate = Refused("plugin_internal", 500, "egress_flood");

impl Flood {
    pub(super) const ALL: &[Self] = &[
        Self::new("h2-body", body, nothing, TOO_LARGE),
        Self::new("h2-empty-data", head, |stream| frame(DATA, 0, stream, &[]), CUT_BROKEN),
        Self::new("h2-tiny-data", head, |stream| frame(DATA, 0, stream, b"x"), CUT_BROKEN),
        Self::new("h2-endless-head", begun, continued, BROKEN),
        Self::new("h2-repeated-field", repeated, nothing, BROKEN),
        Self::new("h2-endless-trailers", trailers, continued, CUT_BROKEN),
        Self::new("h2-informational", nothing, early_hints, FLOOD),
        Self::new("h2-push", nothing, promise, BROKEN),
        Self::new("h2-pings", nothing, ping, FLOOD),
        Self::new("h2-settings", nothing, |_| frame(SETTINGS, 0, 0, &[]), FLOOD),
        Self::new("h2-windows", nothing, |_| frame(WINDOW, 0, 0, &[0, 0, 0, 1]), FLOOD),
        Self::new("h2-unknown", nothing, |_| frame(0xfe, 0, 0, &[b'x'; 16_384]), FLOOD),
        // A whole answer; what comes behind it has no end.
        Self::new("h2-pings-behind", whole, ping, Answered("200 - 0")),
        Self::new("h2-unknown-behind", whole, |_| frame(0xfe, 0, 0, &[0; 64]), Answered("200 - 0")),
        Self::new(
            "h2-data-behind",
            whole,
            |stream| frame(DATA, 0, stream, b"x"),
            Answered("200 - 0"),
        ),
    ];

    const fn new(
        name: &'static str,
        first: fn(u32) -> Vec<u8>,
        again: fn(u32) -> Vec<u8>,
        fate: Fate,
    ) -> Self {
        Self { name, first, again, fate }
    }

    /// Sends it, until nobody takes more of it.
    async fn send(&self, stream: u32, to: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
        to.write_all(&(self.first)(stream)).await?;
        let again = (self.again)(stream).repeat(64);
        while !again.is_empty() {
            to.write_all(&again).await?;
        }
        to.flush().await
    }
}

const fn nothing(_: u32) -> Vec<u8> {
    Vec::new()
}

fn status(code: &[u8]) -> Vec<u8> {
    block(&[(":status", code)])
}

fn head(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &status(b"200"))
}

/// More than an answer may have, and less than the stream's window.
fn body(stream: u32) -> Vec<u8> {
    [head(stream), frame(DATA, 0, stream, &[b'x'; 16_384]).repeat(96)].concat()
}

fn whole(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &status(b"200"))
}

/// A head that is not over.
fn begun(stream: u32) -> Vec<u8> {
    frame(HEADERS, 0, stream, &status(b"200"))
}

fn continued(stream: u32) -> Vec<u8> {
    frame(CONTINUATION, 0, stream, &block(&[("x", &[b'y'; 16_000])]))
}

/// A field of 4,000 bytes that goes into the table, and 16,000 times the byte that means it.
fn repeated(stream: u32) -> Vec<u8> {
    let mut fields = status(b"200");
    let mut once = block(&[("x", &[b'y'; 4_000])]);
    once[0] = 0x40;
    fields.extend(once);
    let more = frame(CONTINUATION, END_HEADERS, stream, &[0xbe; 16_000]);
    [frame(HEADERS, 0, stream, &fields), more].concat()
}

fn trailers(stream: u32) -> Vec<u8> {
    let begun = frame(HEADERS, END_STREAM, stream, &block(&[("x", b"y")]));
    [head(stream), frame(DATA, 0, stream, b"hello"), begun].concat()
}

fn early_hints(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &status(b"103"))
}

fn promise(stream: u32) -> Vec<u8> {
    let request = block(&[(":method", b"GET"), (":scheme", b"https"), (":path", b"/")]);
    frame(PUSH, END_HEADERS, stream, &[&[0, 0, 0, 2], &request[..]].concat())
}

fn ping(_: u32) -> Vec<u8> {
    frame(PING, 0, 0, &[0; 8])
}

/// A server that answers each request with one flood.
struct Server {
    port: u16,
    /// Connections that are open.
    open: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start(flood: &'static Flood, tls: TlsAcceptor) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = Arc::<AtomicUsize>::default();
        let mut tasks = JoinSet::new();
        let counted = open.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                let (tls, counted) = (tls.clone(), counted.clone());
                connections.spawn(async move {
                    counted.fetch_add(1, Ordering::SeqCst);
                    if let Ok(stream) = tls.accept(tcp).await {
                        flooded(flood, stream).await;
                    }
                    counted.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { port, open, _tasks: tasks }
    }

    /// Waits until nobody is connected any more.
    async fn is_left(&self) -> bool {
        let waiting = async {
            while self.open.load(Ordering::SeqCst) > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.is_ok()
    }
}

/// Shorter than a connection without calls is kept.
const PATIENCE: Duration = Duration::from_secs(15);

/// Reads all that comes, so that nothing the client answers holds it up, and floods each request.
async fn flooded(flood: &'static Flood, stream: TlsStream<TcpStream>) {
    let (mut reads, mut writes) = tokio::io::split(stream);
    let mut preface = [0; PREFACE.len()];
    if reads.read_exact(&mut preface).await.is_err() {
        return;
    }
    let (asked, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let reading = async {
        while let Some((kind, _, number, _)) = next(&mut reads).await {
            if kind == HEADERS && asked.send(number).is_err() {
                break;
            }
        }
    };
    let writing = async {
        writes.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
        writes.write_all(&frame(SETTINGS, ACK, 0, &[])).await?;
        while let Some(number) = requests.recv().await {
            flood.send(number, &mut writes).await?;
        }
        std::io::Result::Ok(())
    };
    // The end of either is the end of the connection.
    tokio::select! {
        () = reading => {}
        _ = writing => {}
    }
}

fn backend(name: &str, port: u16) -> String {
    format!(
        "[backends.{name}]\nplugin = \"hostile\"\nlimits = {{ cpu = \"200ms\", timeout = \"1500ms\" }}\n\
         [backends.{name}.config]\nserver = \"https://server.test:{port}\"\n\
         [[backends.{name}.egress]]\nhost = \"server.test\"\nport = {port}\nmethods = [\"GET\"]\n\
         addresses = [\"127.0.0.0/8\"]\nca = \"ca.pem\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flood_of_frames_is_ended_and_does_not_outlast_its_call() {
    let (mut tls, pem) = certified("server.test");
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let tls = TlsAcceptor::from(Arc::new(tls));
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("ca.pem"), pem).unwrap();
    let (mut servers, mut blocks) = (Vec::new(), WELL_BEHAVED.to_owned());
    for flood in Flood::ALL {
        let server = Server::start(flood, tls.clone()).await;
        blocks += &backend(flood.name, server.port);
        servers.push(server);
    }
    let network = Some(network(&[("server.test", "127.0.0.1")]));
    let setup = Setup { blocks, network, ..Setup::default() };
    let issuer = Issuer::new("https://idp.example.test");
    let gateway = Gateway::start_in(directory, issuer, setup).await;
    let mut wrong = Vec::new();
    for (Flood { name, again, fate, .. }, server) in Flood::ALL.iter().zip(&servers) {
        let (token, path) = (gateway.token("alice"), format!("/v1/secrets/{name}/take"));
        let attempt = beside(&gateway, NEIGHBOUR, gateway.get(&path, &token)).await;
        if let Err(fault) = attempt.meets(&gateway, name, *fate) {
            wrong.push(format!("{name}: expected {fate:?}, {fault}"));
        }
        let goes_on = !again(1).is_empty();
        if goes_on && !server.is_left().await {
            wrong.push(format!("{name}: goes on when the call is over"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    gateway.stop().await;
}
