//! An upstream that misbehaves, by the path it is asked for, and remembers who came.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use symbolon_host::egress::{BoxFuture, Network, Resolver, Trust};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::bombs::Bomb;

/// What is told at `/tell`.
pub(crate) const TOLD: &str = "n8Lp-canary-of-the-answer-t3Wc";

/// The server, until dropped.
pub(crate) struct Upstream {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    heads: Mutex<Vec<String>>,
    requests: Mutex<Vec<String>>,
    gate: Semaphore,
}

impl Upstream {
    /// Plain HTTP on loopback.
    pub(crate) async fn start() -> Self {
        Self::with(None).await
    }

    /// HTTPS with a certificate for `name`; answers the certificate too, as PEM.
    pub(crate) async fn start_tls(name: &str) -> (Self, String) {
        let (config, pem) = certified(name);
        (Self::with(Some(TlsAcceptor::from(Arc::new(config)))).await, pem)
    }

    async fn with(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            heads: Mutex::default(),
            requests: Mutex::default(),
            gate: Semaphore::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, tls, shared.clone()));
        Self { address, shared, _tasks: tasks }
    }

    /// All requests so far, byte for byte.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The heads of all requests so far, in lower case.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.shared.heads.lock().unwrap().clone()
    }

    /// Waits until `number` requests have come.
    pub(crate) async fn reached(&self, number: usize) {
        let waiting = async {
            while self.heads().len() < number {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap();
    }

    /// Lets what waits at `/gate` go on.
    pub(crate) fn open_gate(&self) {
        self.open_gate_for(1000);
    }

    /// Lets so many go on.
    pub(crate) fn open_gate_for(&self, number: usize) {
        self.shared.gate.add_permits(number);
    }
}

/// A server's side of TLS with a certificate for `name`, and the certificate as PEM.
pub(super) fn certified(name: &str) -> (rustls::ServerConfig, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (config, made.cert.pem())
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        let (tls, shared) = (tls.clone(), shared.clone());
        connections.spawn(async move {
            let _ = match tls {
                Some(tls) => match tls.accept(tcp).await {
                    Ok(stream) => serve(stream, &shared).await,
                    Err(error) => Err(error),
                },
                None => serve(tcp, &shared).await,
            };
        });
    }
}

/// One request, one answer, and the end of the connection.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, shared: &Shared) -> io::Result<()> {
    let (head, request) = read_request(&mut stream).await?;
    shared.requests.lock().unwrap().push(request);
    shared.heads.lock().unwrap().push(head.clone());
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    answer(&mut stream, &path, shared).await?;
    stream.shutdown().await
}

/// The head of the request, in lower case, and all of it as it came.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(String, String)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
    let length: usize = length.map_or(0, |text| text.parse().unwrap());
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok((head, String::from_utf8_lossy(&bytes).into_owned()))
}

async fn answer(
    stream: &mut (impl AsyncWrite + Unpin),
    path: &str,
    shared: &Shared,
) -> io::Result<()> {
    let is = |name: &str| path.split('/').any(|segment| segment == name);
    let status = path.split('/').find_map(|segment| segment.strip_prefix("status-"));
    let whole = |status: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    if let Some(bomb) = Bomb::ALL.iter().find(|bomb| is(bomb.name)) {
        return bomb.send(stream).await;
    } else if is("hang") {
        return std::future::pending().await;
    } else if is("drip") || is("endless") {
        return endless(stream, is("drip")).await;
    } else if is("gate") {
        shared.gate.acquire().await.unwrap().forget();
    }
    let text = if is("tell") {
        whole("200 OK", TOLD)
    } else if is("redirect") {
        whole("302 Found\r\nlocation: http://169.254.169.254/latest/", "")
    } else if is("shorter") {
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 100\r\n\r\nshort".to_owned()
    } else if is("longer") {
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nlonger than that"
            .to_owned()
    } else if is("two-lengths") {
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nlonger".to_owned()
    } else if is("not-http") {
        "SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned()
    } else if is("slow-down") {
        whole("429 Too Many Requests\r\nretry-after: 7", "")
    } else if let Some(status) = status {
        whole(&format!("{status} Of-The-Test"), "{\"errors\":[\"words of the server\"]}")
    } else {
        whole("200 OK", "hello")
    };
    stream.write_all(text.as_bytes()).await
}

/// A body without end: a byte at a time, or as much as the other side takes.
async fn endless(stream: &mut (impl AsyncWrite + Unpin), slowly: bool) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
    loop {
        if slowly {
            stream.write_all(b"1\r\nx\r\n").await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        } else {
            let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
            stream.write_all(&chunk).await?;
        }
    }
}

/// Names that resolve to what the test says; no other name resolves.
#[derive(Debug)]
struct Script(Vec<(&'static str, IpAddr)>);

impl Resolver for Script {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let known = self.0.iter().filter(|(known, _)| *known == name);
        let found: Vec<IpAddr> = known.map(|(_, address)| *address).collect();
        Box::pin(async move {
            if found.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(found) }
        })
    }
}

/// A network in which the names of `script` resolve as it says.
pub(crate) fn network(script: &[(&'static str, &str)]) -> Network {
    let parsed = script.iter().map(|(name, address)| (*name, address.parse().unwrap()));
    Network::new(Arc::new(Script(parsed.collect())), Trust::native().unwrap())
}
