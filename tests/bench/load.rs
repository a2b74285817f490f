//! The load: HTTP/1.1 over TLS with keep-alive, one request at a time on each connection.
//!
//! It shares the machine with the server that it measures, so it is as light as it can be: raw
//! bytes over `tokio-rustls` on one thread, a request written once and an answer only counted. What
//! it costs, it costs value and floor alike.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use symbolon::time::SystemClock;
use symbolon_core::clock::Clock;
use symbolon_tests::harness::plugins;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::report::{median, millis};

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::start())
}

/// A directory beside the build: on a disk, where `/tmp` may be memory.
pub(crate) fn directory() -> TempDir {
    let plugins = plugins();
    tempfile::tempdir_in(plugins.parent().expect("a target directory")).expect("a directory")
}

/// The generator.
pub(crate) struct Load {
    runtime: Runtime,
    connector: TlsConnector,
    clock: Arc<dyn Clock>,
}

impl Load {
    /// Trusts the certificate in `directory`.
    pub(crate) fn new(directory: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(directory.join("tls.pem"));
        roots.add(certificate.expect("tls.pem")).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { runtime, connector: TlsConnector::from(Arc::new(config)), clock: clock() }
    }

    /// One connection for each of the requests.
    pub(crate) fn connect(&self, to: SocketAddr, requests: &[String]) -> Vec<Connection> {
        let connect = async |request: &String| {
            let tcp = TcpStream::connect(to).await.expect("a connection");
            tcp.set_nodelay(true).expect("an option");
            let name = ServerName::try_from("localhost").expect("a name");
            let tls = self.connector.connect(name, tcp).await.expect("a session");
            let request = request.clone().into_bytes();
            let mut connection = Connection { tls, request, answer: Vec::new() };
            connection.ask().await;
            connection
        };
        self.runtime.block_on(async {
            let mut all = Vec::new();
            for request in requests {
                all.push(connect(request).await);
            }
            all
        })
    }

    /// Asks on all connections for as long as `window`; answers a second, and the connections.
    pub(crate) fn drive(
        &self,
        connections: Vec<Connection>,
        window: Duration,
    ) -> (f64, Vec<Connection>) {
        let begun = self.clock.elapsed();
        let done = self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for mut connection in connections {
                let clock = self.clock.clone();
                tasks.spawn(async move {
                    let mut answers = 0_u32;
                    while clock.elapsed().saturating_sub(begun) < window {
                        connection.ask().await;
                        answers += 1;
                    }
                    (answers, connection)
                });
            }
            tasks.join_all().await
        });
        let took = self.clock.elapsed().saturating_sub(begun).as_secs_f64();
        let (answers, connections): (Vec<_>, Vec<_>) = done.into_iter().unzip();
        (answers.into_iter().map(f64::from).sum::<f64>() / took, connections)
    }

    /// Asks on all connections for as long as `window`; how long each answer took, in milliseconds,
    /// and the connections.
    pub(crate) fn latencies(
        &self,
        connections: Vec<Connection>,
        window: Duration,
    ) -> (Vec<f64>, Vec<Connection>) {
        let begun = self.clock.elapsed();
        let done = self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for mut connection in connections {
                let clock = self.clock.clone();
                tasks.spawn(async move {
                    let mut took = Vec::new();
                    while clock.elapsed().saturating_sub(begun) < window {
                        let asked = clock.elapsed();
                        connection.ask().await;
                        took.push(millis(clock.elapsed().saturating_sub(asked)));
                    }
                    (took, connection)
                });
            }
            tasks.join_all().await
        });
        let (took, connections): (Vec<_>, Vec<_>) = done.into_iter().unzip();
        (took.into_iter().flatten().collect(), connections)
    }
}

/// A connection that asks the same again and again.
pub(crate) struct Connection {
    tls: TlsStream<TcpStream>,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Connection {
    async fn ask(&mut self) {
        self.tls.write_all(&self.request).await.expect("a written request");
        self.tls.flush().await.expect("a sent request");
        self.answer.clear();
        while self.answer.len() < self.expected() {
            let read = self.tls.read_buf(&mut self.answer).await.expect("an answer");
            assert_ne!(read, 0, "the server closed the connection");
        }
        let text = || String::from_utf8_lossy(&self.answer);
        assert!(self.answer.starts_with(b"HTTP/1.1 200 "), "{}", text());
    }

    /// How long the answer will be, as far as it can be known.
    fn expected(&self) -> usize {
        let end = self.answer.windows(4).position(|four| four == b"\r\n\r\n");
        let Some(end) = end else { return usize::MAX };
        let name = b"content-length: ";
        let length = self.answer.windows(name.len()).position(|at| at.eq_ignore_ascii_case(name));
        let digits = &self.answer[length.expect("a length") + name.len()..];
        let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
        end + 4 + digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'))
    }
}

/// Drives each of these by turns for so many rounds; the median rate of each.
pub(crate) fn by_turns<const N: usize>(
    all: [(&Load, Vec<Connection>); N],
    (window, rounds): (Duration, usize),
) -> [f64; N] {
    let mut all = all.map(|(load, connections)| (load, connections, Vec::new()));
    for _ in 0..rounds {
        for (load, connections, rates) in &mut all {
            let (rate, back) = load.drive(std::mem::take(connections), window);
            *connections = back;
            rates.push(rate);
        }
    }
    all.map(|(_, _, rates)| median(rates))
}
