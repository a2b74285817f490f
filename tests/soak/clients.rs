//! Ten thousand clients at a time on one gateway.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use symbolon_tests::harness::process::Home;

const CLIENTS: usize = 10_000;
/// Beyond what the gateway takes.
const BEYOND: usize = 300;
/// How many connect or ask at a time, when it is not about that.
const AT_A_TIME: usize = 64;
/// What a connection with a session may cost the gateway, in KiB.
const EACH: u64 = 96;
const PATIENCE: Duration = Duration::from_secs(240);

/// A connection that stays.
struct Client(SendRequest<Empty<Bytes>>);

/// What clients are made of.
#[derive(Clone)]
struct Door {
    connector: TlsConnector,
    address: SocketAddr,
    places: Arc<Semaphore>,
}

impl Door {
    fn new(directory: &Path, address: SocketAddr) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(directory.join("tls.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        Self { connector, address, places: Arc::new(Semaphore::new(AT_A_TIME)) }
    }

    /// A client whose session stands. Its connection is driven by a task that ends with it.
    async fn enter(&self) -> Client {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let tls = self.connector.connect(name, tcp).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(tls)).await.unwrap();
        tokio::spawn(connection);
        Client(sender)
    }

    async fn crowd(&self) -> Vec<Client> {
        let mut entering = JoinSet::new();
        for _ in 0..CLIENTS {
            let door = self.clone();
            entering.spawn(async move {
                let _place = door.places.acquire().await.unwrap();
                door.enter().await
            });
        }
        tokio::time::timeout(PATIENCE, entering.join_all()).await.expect("everybody inside")
    }
}

impl Client {
    /// Reads a secret; the status of the answer.
    async fn read(&mut self, token: &str) -> u16 {
        let request = Request::get("/v1/secrets/demo/app/text")
            .header(header::HOST, "localhost")
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Empty::new())
            .unwrap();
        self.0.ready().await.unwrap();
        let answer = self.0.send_request(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let text = std::str::from_utf8(&body).unwrap();
        assert!(text.contains("plain") == (status == 200), "{status}: {text}");
        status
    }
}

/// Everybody asks, so many at a time; how often each status came.
async fn round(
    crowd: Vec<Client>,
    token: &str,
    at_a_time: usize,
) -> (Vec<Client>, BTreeMap<u16, usize>) {
    let (places, mut asking) = (Arc::new(Semaphore::new(at_a_time)), JoinSet::new());
    for mut client in crowd {
        let (places, token) = (places.clone(), token.to_owned());
        asking.spawn(async move {
            let _place = places.acquire().await.unwrap();
            let status = client.read(&token).await;
            (client, status)
        });
    }
    let answers = tokio::time::timeout(PATIENCE, asking.join_all()).await.expect("every answer");
    let mut tally = BTreeMap::new();
    for (_, status) in &answers {
        *tally.entry(*status).or_default() += 1;
    }
    (answers.into_iter().map(|(client, _)| client).collect(), tally)
}

/// This process holds one end of each connection, the gateway the other.
fn open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).unwrap();
    let most = limit.maximum.unwrap_or(u64::MAX);
    let wanted = u64::try_from(CLIENTS + BEYOND + 1000).unwrap();
    assert!(most >= wanted, "the limit of open files is {most}: {wanted} are needed");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: `cargo xtask soak` runs it"]
async fn ten_thousand_clients_are_served_and_whoever_is_beyond_waits() {
    open_files();
    let server = format!(
        "max_connections = {CLIENTS}\nmax_connections_per_source = {}\nidle_timeout = \"10m\"",
        2 * CLIENTS
    );
    let home = Home::serving("", &server);
    let mut running = home.start().await;
    let door = Door::new(home.path(), running.address());
    let (token, empty) = (home.token(), running.memory());

    // One place may still be that of whoever asked whether it is ready.
    let mut crowd = door.crowd().await;
    let each = running.memory().saturating_sub(empty) / u64::try_from(CLIENTS).unwrap();
    println!("soak: {} clients inside, {each} KiB each", crowd.len());
    assert!(each < EACH, "{each} KiB for each client");

    let (back, tally) = round(crowd, &token, AT_A_TIME).await;
    println!("soak: {AT_A_TIME} at a time: {tally:?}");
    assert_eq!(tally, BTreeMap::from([(200, CLIENTS)]));
    let (back, tally) = round(back, &token, CLIENTS).await;
    println!("soak: all at once: {tally:?}");
    let refused = |status: &u16| matches!(status, 429 | 503);
    assert!(tally.keys().all(|status| *status == 200 || refused(status)), "{tally:?}");
    assert!(tally.contains_key(&200), "{tally:?}");
    crowd = back;

    let (inside, mut waiting) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    for _ in 0..BEYOND {
        let (door, inside) = (door.clone(), inside.clone());
        waiting.spawn(async move {
            let client = door.enter().await;
            inside.fetch_add(1, Ordering::Relaxed);
            client
        });
    }
    // The gateway is full: those inside are served, and nobody else comes in.
    let (mut back, tally) = round(crowd, &token, AT_A_TIME).await;
    assert_eq!(tally, BTreeMap::from([(200, CLIENTS)]));
    let early = inside.load(Ordering::Relaxed);
    println!("soak: {early} of {BEYOND} beyond the limit came in before anybody left");
    assert!(early < 10, "{early} came in beyond the limit");
    back.truncate(CLIENTS - BEYOND - 10);
    let waited = tokio::time::timeout(PATIENCE, waiting.join_all()).await.expect("a place each");
    let (_, tally) = round(waited, &token, AT_A_TIME).await;
    assert_eq!(tally, BTreeMap::from([(200, BEYOND)]));
    println!("soak: {} KiB before, {} KiB after", empty, running.memory());
    assert!(running.is_running());
    drop(back);
    running.stop().await;
}
