//! Key endpoints that answer in bytes of their own, certificates that are good at another time, and
//! names that lead somewhere else the next time they are asked for.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use symbolon::time::SystemClock;
use symbolon_core::clock::{Clock, ManualClock};
use symbolon_host::egress::{BoxFuture, Network, Resolver, Trust};
use symbolon_tests::harness::{Gateway, Issuer, ORIGIN, Setup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::jwks::{fetched, read, verdict};
use super::parts::{Endpoint, Identity, Reply};

/// How an endpoint answers.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// A body of which a byte comes each second.
    Dripping,
    /// A head without end, as fast as it is taken.
    EndlessHead,
    /// A head of which a line comes each second.
    SlowHead,
    /// A small body that a decoder would make a large one of.
    Bomb,
    /// The same as a coding of the transfer.
    TransferBomb,
    /// A status line and nothing more.
    Silent,
}

/// An endpoint on loopback, until dropped; sent is what the gateway took of it.
struct Raw {
    port: u16,
    identity: Identity,
    sent: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Raw {
    async fn start(manner: Manner) -> Self {
        let identity = Identity::new("idp.example.test");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let (acceptor, sent) = (acceptor(&identity), Arc::new(AtomicUsize::new(0)));
        let mut serving = JoinSet::new();
        let counter = sent.clone();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, sent) = (acceptor.clone(), counter.clone());
                connections.spawn(async move {
                    if let Ok(stream) = acceptor.accept(tcp).await {
                        let _ = answer(stream, manner, &sent).await;
                    }
                });
            }
        });
        Self { port, identity, sent, _serving: serving }
    }

    fn block(&self, alias: &str) -> String {
        block(alias, &format!("https://localhost:{}/jwks", self.port), &self.identity.certificate())
    }
}

fn acceptor(identity: &Identity) -> TlsAcceptor {
    let chain = CertificateDer::from_pem_file(identity.certificate()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(identity.key()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().expect("versions");
    let config = config.with_no_client_auth().with_single_cert(vec![chain], key).expect("TLS");
    TlsAcceptor::from(Arc::new(config))
}

async fn answer(
    mut stream: TlsStream<TcpStream>,
    manner: Manner,
    sent: &AtomicUsize,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head).to_lowercase();
    assert!(!text.contains("accept-encoding"), "the gateway decodes nothing: {text}");
    let mut say = async |bytes: &[u8]| {
        stream.write_all(bytes).await?;
        stream.flush().await?;
        sent.fetch_add(bytes.len(), Ordering::SeqCst);
        io::Result::Ok(())
    };
    let second = || tokio::time::sleep(Duration::from_secs(1));
    match manner {
        Manner::Dripping => {
            say(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{").await?;
            loop {
                second().await;
                say(b" ").await?;
            }
        }
        Manner::EndlessHead => {
            say(b"HTTP/1.1 200 OK\r\n").await?;
            loop {
                say(format!("x-more: {}\r\n", "y".repeat(4000)).as_bytes()).await?;
            }
        }
        Manner::SlowHead => {
            say(b"HTTP/1.1 200 OK\r\n").await?;
            loop {
                second().await;
                say(b"x-more: y\r\n").await?;
            }
        }
        Manner::Bomb => say(&whole("content-encoding: gzip", &bomb())).await,
        Manner::TransferBomb => {
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n";
            let body = bomb();
            let size = format!("{:x}\r\n", body.len());
            say(&[head, size.as_bytes(), &body, b"\r\n0\r\n\r\n"].concat()).await
        }
        Manner::Silent => {
            say(b"HTTP/1.1 200 OK\r\n").await?;
            std::future::pending().await
        }
    }
}

fn whole(header: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\n{header}\r\ncontent-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// 160 KB of gzip (RFC 1952) that are 26 MB of `0`: one literal, and then again and again "258 times
/// the byte before" in the fixed code of RFC 1951 §3.2.6. Its sum is left out: whoever misses it has
/// decoded all of it already.
fn bomb() -> Vec<u8> {
    let mut bits = vec![1, 1, 0];
    let mut code = |text: &str| bits.extend(text.bytes().map(|bit| bit - b'0'));
    code("01100000");
    (0..100_000).for_each(|_| code("1100010100000"));
    code("0000000");
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    bytes.extend(
        bits.chunks(8).map(|eight| {
            eight.iter().enumerate().fold(0, |byte, (place, bit)| byte | bit << place)
        }),
    );
    bytes
}

fn block(alias: &str, url: &str, ca: &Path) -> String {
    format!(
        "[issuers.{alias}]\nissuer = \"https://{alias}.example.test\"\n\
         keys = {{ url = \"{url}\" }}\nca = \"{}\"\naddresses = [\"127.0.0.0/8\"]\n",
        ca.display(),
    )
}

const DEMO: &str = "[limits]\nstrangers_per_source = { rate = 100000, burst = 100000 }\n\
    [backends.demo]\nplugin = \"static\"\nconfig = { secrets = { \"app/text\" = \"plain\" } }\n";

async fn gateway(blocks: &str, network: Option<Network>) -> (Gateway, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(SystemClock::start().now()));
    let setup = Setup {
        blocks: format!("{DEMO}{blocks}"),
        policies: Some("@id(\"all\")\npermit (principal, action, resource);".to_owned()),
        clock: Some(clock.clone()),
        network,
        ..Setup::default()
    };
    (Gateway::start(setup).await, clock)
}

fn token(issuer: &Issuer, kid: &str, now: i64) -> String {
    let header = json!({ "alg": "ES256", "kid": kid, "typ": "JWT" });
    issuer.token_of(&header, &issuer.claims("bob", ORIGIN, now))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_endpoint_that_wears_the_gateway_out_is_left_in_time_and_within_bounds() {
    let table = [
        ("dripping", Manner::Dripping, "egress_deadline", 1000),
        ("endless-head", Manner::EndlessHead, "egress_head_too_large", 32 << 20),
        ("slow-head", Manner::SlowHead, "egress_deadline", 1000),
        ("bomb", Manner::Bomb, "egress_content_coding", 4 << 20),
        ("transfer-bomb", Manner::TransferBomb, "keys", 4 << 20),
        ("silent", Manner::Silent, "egress_deadline", 100),
    ];
    let mut raws = Vec::new();
    for (alias, manner, result, most) in table {
        raws.push((alias, Raw::start(manner).await, result, most));
    }
    let blocks = raws.iter().map(|(alias, raw, ..)| raw.block(alias)).collect::<String>();
    let (gateway, clock) = gateway(&blocks, None).await;
    // Meanwhile, and afterwards, everybody else is served.
    let alice = gateway.token("alice");
    assert_eq!(read(&gateway, &alice).await, StatusCode::OK);
    for (alias, raw, result, most) in &raws {
        fetched(&gateway, alias, result).await;
        let issuer = Issuer::new(&format!("https://{alias}.example.test"));
        let token = token(&issuer, "k1", clock.now().seconds());
        assert_eq!(verdict(&gateway, &token).await, "jwks_stale", "{alias}");
        let sent = raw.sent.load(Ordering::SeqCst);
        assert!(sent <= *most, "{alias}: {sent} bytes were taken");
    }
    assert_eq!(read(&gateway, &alice).await, StatusCode::OK);
    gateway.stop().await;
}

#[tokio::test]
async fn a_certificate_that_is_good_at_another_time_is_good_for_nothing() {
    let (mut endpoints, mut blocks) = (Vec::new(), String::new());
    for (alias, from, until) in
        [("expired", 2020, 2021), ("early", 2190, 2191), ("current", 2020, 2190)]
    {
        let issuer = Issuer::new(&format!("https://{alias}.example.test"));
        let endpoint =
            Endpoint::with(Identity::dated(from, until), Reply::json(&issuer.key_set())).await;
        let url = format!("https://localhost:{}/jwks", endpoint.port);
        blocks.push_str(&block(alias, &url, &endpoint.certificate()));
        endpoints.push((alias, issuer, endpoint));
    }
    let (gateway, clock) = gateway(&blocks, None).await;
    for (alias, issuer, endpoint) in &endpoints {
        let is_good = *alias == "current";
        fetched(&gateway, alias, if is_good { "ok" } else { "egress_certificate" }).await;
        let token = token(issuer, "k1", clock.now().seconds());
        let expected = if is_good { "ok" } else { "jwks_stale" };
        assert_eq!(verdict(&gateway, &token).await, expected, "{alias}");
        assert_eq!(endpoint.fetches(), usize::from(is_good), "{alias}");
    }
    gateway.stop().await;
}

/// Answers one list of addresses after the other for a name, the last of them for ever.
#[derive(Debug, Default)]
struct Script {
    answers: HashMap<&'static str, Vec<Vec<IpAddr>>>,
    asked: Mutex<HashMap<String, usize>>,
}

impl Script {
    fn say(&mut self, name: &'static str, answers: &[&[&str]]) {
        let parse = |list: &&[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        self.answers.insert(name, answers.iter().map(parse).collect());
    }

    fn asked(&self, name: &str) -> usize {
        self.asked.lock().unwrap().get(name).copied().unwrap_or_default()
    }
}

impl Resolver for Script {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let mut asked = self.asked.lock().unwrap();
        let times = asked.entry(name.to_owned()).or_default();
        let known = self.answers.get(name).and_then(|all| all.get(*times).or(all.last()));
        *times += 1;
        let found = known.cloned().ok_or_else(|| io::ErrorKind::NotFound.into());
        Box::pin(async move { found })
    }
}

#[tokio::test]
async fn a_name_that_is_rebound_keeps_its_keys_and_leads_nowhere_new() {
    const NAMES: [&str; 4] = ["private.test", "metadata.test", "both.test", "elsewhere.test"];
    let mut script = Script::default();
    script.say("private.test", &[&["127.0.0.1"], &["10.0.0.7"]]);
    script.say("metadata.test", &[&["127.0.0.1"], &["169.254.169.254"]]);
    script.say("both.test", &[&["127.0.0.1"], &["127.0.0.1", "169.254.169.254"]]);
    script.say("elsewhere.test", &[&["127.0.0.1"], &["::ffff:10.0.0.7"]]);
    let script = Arc::new(script);
    let (mut endpoints, mut blocks) = (Vec::new(), String::new());
    for name in NAMES {
        let alias = name.trim_end_matches(".test");
        let issuer = Issuer::new(&format!("https://{alias}.example.test"));
        let endpoint = Endpoint::named(name, Reply::json(&issuer.key_set())).await;
        let url = format!("https://{name}:{}/jwks", endpoint.port);
        blocks.push_str(&block(alias, &url, &endpoint.certificate()));
        endpoints.push((name, alias, issuer, endpoint));
    }
    let network = Network::new(script.clone(), Trust::native().unwrap());
    let (gateway, clock) = gateway(&blocks, Some(network)).await;
    for (name, alias, issuer, endpoint) in &endpoints {
        let now = clock.now().seconds();
        assert_eq!(verdict(&gateway, &token(issuer, "k1", now)).await, "ok", "{alias}");
        // Checked and dialled by one answer: a second one would be another.
        assert_eq!((script.asked(name), endpoint.fetches()), (1, 1), "{alias}");
        let unknown = token(issuer, "unknown", now);
        assert_eq!(verdict(&gateway, &unknown).await, "key_unknown", "{alias}");
        fetched(&gateway, alias, "egress_address_refused").await;
        assert_eq!((script.asked(name), endpoint.fetches()), (2, 1), "{alias}");
        assert_eq!(verdict(&gateway, &token(issuer, "k1", now)).await, "ok", "{alias}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_discovery_document_cannot_name_a_host_that_lies_where_the_operator_did_not_allow() {
    let mut script = Script::default();
    script.say("localhost", &[&["127.0.0.1"]]);
    let wrong: [(&str, &'static str, &str); 5] = [
        ("private", "private.test", "10.0.0.7"),
        ("metadata", "metadata.test", "169.254.169.254"),
        ("local", "local.test", "fe80::1"),
        ("unique", "unique.test", "fc00::7"),
        ("shared", "shared.test", "100.64.0.7"),
    ];
    let (mut endpoints, mut blocks) = (Vec::new(), String::new());
    for (alias, name, address) in wrong {
        script.say(name, &[&[address]]);
        let mut issuer = Issuer::new("to be named");
        let endpoint = Endpoint::start(Reply::json(&issuer.key_set())).await;
        let origin = format!("https://localhost:{}", endpoint.port);
        let keys = format!("https://{name}:{}/jwks", endpoint.port);
        endpoint.configure(Reply::json(&json!({ "issuer": origin, "jwks_uri": keys })));
        blocks.push_str(&format!(
            "[issuers.{alias}]\nissuer = \"{origin}\"\nkeys = {{ discovery = true }}\n\
             ca = \"{}\"\naddresses = [\"127.0.0.0/8\"]\n",
            endpoint.certificate().display(),
        ));
        issuer.name = origin;
        endpoints.push((alias, issuer, endpoint));
    }
    let network = Network::new(Arc::new(script), Trust::native().unwrap());
    let (gateway, clock) = gateway(&blocks, Some(network)).await;
    for (alias, issuer, endpoint) in &endpoints {
        fetched(&gateway, alias, "egress_address_refused").await;
        let token = token(issuer, "k1", clock.now().seconds());
        assert_eq!(verdict(&gateway, &token).await, "jwks_stale", "{alias}");
        assert_eq!(endpoint.fetches(), 0, "{alias}");
        endpoint.assert_asked_properly();
    }
    gateway.stop().await;
}
