//! A whole read over TLS, recorded durably, beside a bare server that answers the same bytes.
//!
//! Gateway, floor and load are one process: the servers on as many threads as there are
//! processors, the load on one more. Every connection has a workload of its own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, header};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use symbolon_tests::harness::{Answer, Gateway, Issuer, Setup};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::load::{self, Load};
use crate::report::{Report, Row, Unit, median};

const PATH: &str = "/v1/secrets/demo/app/db/password";
const WINDOW: Duration = Duration::from_millis(700);
const ROUNDS: usize = 5;
/// How long the gateway is driven for a profiler.
const ALONE: Duration = Duration::from_secs(10);

/// Nobody is slowed down, and there is an instance for everybody.
const SERVER: &str = "max_connections_per_source = 4096";
const BLOCKS: &str = r#"
[limits]
per_principal = { rate = 10000000, burst = 10000000 }
per_issuer = { rate = 10000000, burst = 10000000 }

[backends.demo]
plugin = "static"

[backends.demo.limits]
concurrency = 256

[backends.demo.config.secrets]
"app/db/password" = "a password"
"#;

pub(crate) fn run(report: &mut Report) {
    let runtime = Runtime::new().expect("a runtime");
    let gateway = start(&runtime);
    let secret = runtime.block_on(gateway.get(PATH, &gateway.token("first")));
    let home = gateway.app.config().audit.directory.parent().expect("a directory").to_owned();
    let floor = runtime.block_on(Bare::bind(&home, secret));
    let floor_at = floor.address();
    let bare = runtime.spawn(floor.run());
    for (connections, aim) in [(16, None), (256, Some(0.4))] {
        let load = Load::new(&home);
        report.add(&measure(&load, &gateway, floor_at, (connections, aim)));
    }
    bare.abort();
    runtime.block_on(gateway.stop());
}

/// The gateway under 256 connections and nothing beside it, for a profiler to look at.
pub(crate) fn alone() {
    let runtime = Runtime::new().expect("a runtime");
    let gateway = start(&runtime);
    let load = Load::new(gateway.directory.path());
    let requests = (0..256).map(|n| request(&gateway.token(&format!("load-{n}"))));
    let connections = load.connect(gateway.address, &requests.collect::<Vec<_>>());
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

fn start(runtime: &Runtime) -> Gateway {
    let setup = Setup { blocks: BLOCKS.to_owned(), server: SERVER.to_owned(), ..Setup::default() };
    let issuer = Issuer::new("https://idp.example.test");
    runtime.block_on(Box::pin(Gateway::start_in(load::directory(), issuer, setup)))
}

fn measure(
    load: &Load,
    gateway: &Gateway,
    floor: SocketAddr,
    (connections, aim): (usize, Option<f64>),
) -> Row {
    let requests = (0..connections).map(|n| request(&gateway.token(&format!("load-{n}"))));
    let requests = requests.collect::<Vec<_>>();
    let mut ours = load.connect(gateway.address, &requests);
    let mut bare = load.connect(floor, &requests);
    let mut rates = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (rate, back) = load.drive(ours, WINDOW);
        ours = back;
        rates.0.push(rate);
        let (rate, back) = load.drive(bare, WINDOW);
        bare = back;
        rates.1.push(rate);
    }
    Row {
        bench: "read",
        case: format!("{connections} connections, TLS, keep-alive"),
        unit: Unit::PerSecond("requests/s"),
        value: median(rates.0),
        floor: median(rates.1),
        aim,
    }
}

fn request(token: &str) -> String {
    format!("GET {PATH} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n")
}

/// hyper over rustls, and an answer that it knows already.
struct Bare {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    headers: HeaderMap,
    body: Bytes,
}

impl Bare {
    async fn bind(home: &Path, mut answer: Answer) -> Self {
        // hyper writes these two itself.
        for name in [header::DATE, header::CONTENT_LENGTH] {
            answer.headers.remove(name);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let (headers, body) = (answer.headers, answer.body);
        Self { listener, acceptor: acceptor(home), headers, body }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("an address")
    }

    async fn run(self) {
        let mut connections = JoinSet::new();
        loop {
            let (tcp, _) = self.listener.accept().await.expect("a connection");
            let (headers, body) = (self.headers.clone(), self.body.clone());
            connections.spawn(serve(tcp, self.acceptor.clone(), headers, body));
        }
    }
}

async fn serve(tcp: TcpStream, acceptor: TlsAcceptor, headers: HeaderMap, body: Bytes) {
    tcp.set_nodelay(true).expect("an option");
    let Ok(tls) = acceptor.accept(tcp).await else { return };
    let answer = service_fn(|_| {
        let mut response = Response::new(Full::new(body.clone()));
        *response.headers_mut() = headers.clone();
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let io = TokioIo::new(tls);
    // An error is the load going away.
    let _gone = http1::Builder::new().timer(TokioTimer::new()).serve_connection(io, answer).await;
}

fn acceptor(home: &Path) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(home.join("tls.pem")).expect("tls.pem");
    let key = PrivateKeyDer::from_pem_file(home.join("tls.key")).expect("tls.key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a certificate");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}
