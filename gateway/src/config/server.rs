//! `[server]`: what listens, for whom, and how much of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::cursor::Block;
use super::parse;
use super::secret::SecretRef;
use super::url::Origin;

const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The main listener and, if configured, the one for discovery documents only.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where to listen.
    pub listen: Vec<SocketAddr>,
    /// What callers call the gateway: default audience of tokens, and our name as issuer.
    pub public_origin: Origin,
    /// Certificate and key; `None` only on loopback, on request.
    pub tls: Option<Tls>,
    /// Peers that speak the PROXY protocol v2, and must.
    pub proxy_protocol_from: Vec<IpNet>,
    /// Peers whose `X-Forwarded-For` is believed.
    pub forwarded_from: Vec<IpNet>,
    /// Most connections at a time.
    pub max_connections: u32,
    /// Most connections at a time from one source.
    pub max_connections_per_source: u32,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// How long the head of a request may take to arrive.
    pub header_timeout: Duration,
    /// How long the body of a request may take to arrive.
    pub body_timeout: Duration,
    /// How long a request may take from its head to the answer.
    pub request_timeout: Duration,
    /// How long a connection may lie idle.
    pub idle_timeout: Duration,
    /// Largest head of a request.
    pub max_header_bytes: u64,
    /// Largest body of a request.
    pub max_body_bytes: u64,
    /// How long a shutdown waits for requests in flight.
    pub drain_timeout: Duration,
    /// The listener for public documents.
    pub discovery: Option<Discovery>,
}

/// A server certificate and its key. Both are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// PEM file with the certificate and its chain.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: SecretRef,
}

/// A listener that serves the two public documents of the assertion issuer and nothing else.
#[derive(Clone, Debug)]
pub struct Discovery {
    /// Where to listen.
    pub listen: Vec<SocketAddr>,
    /// Certificate and key; plain HTTP without, for a balancer that ends TLS.
    pub tls: Option<Tls>,
}

impl Server {
    pub(super) fn read(block: &mut Block<'_>) -> Option<Self> {
        let duration = parse::duration;
        let listen = listeners(block);
        let public_origin = block.required("public_origin", parse::origin);
        let tls = block.child("tls", Tls::read);
        let insecure = block.or("insecure_loopback", false, parse::boolean);
        check_transport(block, listen.as_deref().unwrap_or_default(), insecure);
        let proxy_protocol_from = block.list("proxy_protocol_from", parse::network);
        let forwarded_from = block.list("forwarded_from", parse::network);
        let max_connections = block.or("max_connections", 4096, parse::integer(1, 1_000_000));
        let per_source = block.or("max_connections_per_source", 256, parse::integer(1, 1_000_000));
        let short = || duration(MILLISECOND.saturating_mul(100), MINUTE);
        let handshake_timeout = block.or("handshake_timeout", Duration::from_secs(5), short());
        let header_timeout = block.or("header_timeout", Duration::from_secs(10), short());
        let body_timeout = block.or("body_timeout", Duration::from_secs(10), short());
        let long = || duration(MILLISECOND.saturating_mul(100), MINUTE.saturating_mul(10));
        let request_timeout = block.or("request_timeout", Duration::from_secs(30), long());
        let idle_timeout = block.or("idle_timeout", Duration::from_secs(75), long());
        let drain_timeout = block.or("drain_timeout", Duration::from_secs(30), long());
        let max_header_bytes =
            block.or("max_header_bytes", 32 << 10, parse::size(4 << 10, 1 << 20));
        let max_body_bytes = block.or("max_body_bytes", 256 << 10, parse::size(1 << 10, 16 << 20));
        let discovery = block.child("discovery", Discovery::read);
        Some(Self {
            listen: listen?,
            public_origin: public_origin?,
            tls,
            proxy_protocol_from: proxy_protocol_from.unwrap_or_default(),
            forwarded_from: forwarded_from.unwrap_or_default(),
            max_connections,
            max_connections_per_source: per_source,
            handshake_timeout,
            header_timeout,
            body_timeout,
            request_timeout,
            idle_timeout,
            max_header_bytes,
            max_body_bytes,
            drain_timeout,
            discovery,
        })
    }
}

impl Tls {
    pub(super) fn read(block: &mut Block<'_>) -> Option<Self> {
        let certificate = block.required("certificate", parse::path);
        let key = block.required("key", parse::secret);
        Some(Self { certificate: certificate?, key: key? })
    }
}

impl Discovery {
    fn read(block: &mut Block<'_>) -> Option<Self> {
        let listen = listeners(block);
        let tls = block.child("tls", Tls::read);
        Some(Self { listen: listen?, tls })
    }
}

fn listeners(block: &mut Block<'_>) -> Option<Vec<SocketAddr>> {
    let listen = block.list("listen", parse::socket_address);
    match &listen {
        None if !block.has("listen") => block.missing("listen"),
        Some(none) if none.is_empty() => {
            block.fault_at("listen", super::fault::Problem::new("names no usable address"));
        }
        Some(_) | None => {}
    }
    listen
}

/// Tokens and secrets travel in plain text without TLS, so that must be asked for, and stays on the
/// machine.
fn check_transport(block: &Block<'_>, listen: &[SocketAddr], insecure: bool) {
    if block.has("tls") {
        return;
    }
    let problem = |message: String| super::fault::Problem::new(message);
    let outside = listen.iter().find(|address| !address.ip().is_loopback());
    match (insecure, outside) {
        (true, None) => {}
        (true, Some(address)) => block.fault_at(
            "insecure_loopback",
            problem(format!("is for loopback only, but `{address}` is reachable from outside"))
                .with_help("set `tls`, or listen on 127.0.0.1"),
        ),
        (false, _) => block.fault_at(
            "tls",
            problem("is missing".to_owned()).with_help(
                "add `tls = { certificate = \"…\", key = \"file:…\" }`; on loopback only, \
                 `insecure_loopback = true` does without",
            ),
        ),
    }
}
