//! Real servers on loopback, real certificates, and a resolver that answers by script.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, KeyPair};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use symbolon_core::secret::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::BoxFuture;
use super::client::{ClientLimits, EgressClient, Network};
use super::grant::{Grant, Methods, Reach};
use super::inject::{Credential, CredentialSource, SourceError};
use super::resolver::Resolver;
use super::tls::{ClientIdentity, Trust};
use crate::call::CallContext;

/// A certificate authority.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn trust(&self) -> Trust {
        Trust::from_pem(self.0.pem().as_bytes()).unwrap()
    }

    fn issue(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    pub(super) fn client(&self, name: &str) -> Arc<ClientIdentity> {
        let (chain, key) = self.issue(name, ExtendedKeyUsagePurpose::ClientAuth);
        Arc::new(ClientIdentity::from_pem(chain.as_bytes(), &Secret::from(key)).unwrap())
    }

    /// A server for `name`; if `demands`, one that wants a client certificate of this authority.
    pub(super) fn server(&self, name: &str, demands: bool) -> Arc<ServerConfig> {
        use rustls_pki_types::pem::PemObject;
        let (chain, key) = self.issue(name, ExtendedKeyUsagePurpose::ServerAuth);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain =
            vec![rustls_pki_types::CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()];
        let key = rustls_pki_types::PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if demands {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(self.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

/// A server that lives as long as this value.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    accepted: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Runs `serve` on each connection, all in one task.
    async fn on<F, S>(serve: S) -> Self
    where
        S: Fn(TcpStream, Arc<Mutex<Vec<String>>>) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, accepted) =
            (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicUsize>::default());
        let (log, counter) = (Arc::clone(&seen), Arc::clone(&accepted));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(stream, Arc::clone(&log)));
            }
        });
        Self { address, seen, accepted, _tasks: tasks }
    }

    /// Answers the first request of each connection with these bytes, and closes it.
    pub(super) async fn raw(answer: impl Into<Bytes>) -> Self {
        let answer = answer.into();
        Self::on(move |mut stream, seen| {
            let answer = answer.clone();
            async move {
                let head = read_head(&mut stream).await;
                seen.lock().unwrap().push(head);
                // The client may hang up half-way: that is what some tests are about.
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            }
        })
        .await
    }

    /// Writes these bytes and then says nothing more.
    pub(super) async fn stalling(beginning: &'static [u8]) -> Self {
        Self::on(move |mut stream, seen| async move {
            let head = read_head(&mut stream).await;
            seen.lock().unwrap().push(head);
            let _ = stream.write_all(beginning).await;
            std::future::pending::<()>().await;
        })
        .await
    }

    /// Speaks HTTP/2 or 1.1 over TLS, and says in the body which.
    pub(super) async fn tls(config: Arc<ServerConfig>) -> Self {
        let acceptor = tokio_rustls::TlsAcceptor::from(config);
        Self::on(move |stream, seen| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(move |request| respond(request, Arc::clone(&seen)));
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            }
        })
        .await
    }

    /// What the requests looked like: method, path, headers, body, one line each.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.windows(4).any(|part| part == b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

async fn respond(
    request: Request<Incoming>,
    seen: Arc<Mutex<Vec<String>>>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let mut text = format!("{} {}\n", parts.method, parts.uri);
    for (name, value) in &parts.headers {
        text.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
    }
    text.push_str(&String::from_utf8_lossy(&body));
    seen.lock().unwrap().push(text);
    let version = format!("{:?}", parts.version);
    let mut response = Response::new(Full::new(Bytes::from(version)));
    if let Some(echo) = parts.headers.get("authorization") {
        response.headers_mut().insert("x-echo", echo.clone());
        response.headers_mut().insert("set-cookie", echo.clone());
    }
    match parts.uri.path() {
        "/refused" => *response.status_mut() = StatusCode::UNAUTHORIZED,
        "/large" => *response.body_mut() = Full::new(vec![b'x'; 8 << 20].into()),
        _ => {}
    }
    Ok(response)
}

/// Answers in order; the last answer is repeated.
#[derive(Debug)]
pub(super) struct Script {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Script {
    pub(super) fn new<const N: usize>(answers: [&[&str]; N]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|a| a.parse().unwrap()).collect();
        let answers = answers.iter().map(parse).collect();
        Arc::new(Self { answers: Mutex::new(answers), asked: AtomicUsize::new(0) })
    }

    pub(super) fn loopback() -> Arc<Self> {
        Self::new([&["127.0.0.1"]])
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolver for Script {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answer = answers.front().cloned().unwrap_or_default();
        if answers.len() > 1 {
            answers.pop_front();
        }
        Box::pin(async move { Ok(answer) })
    }
}

/// `GET` and `POST` on a URL, at loopback addresses.
pub(super) fn local(url: &str) -> Grant {
    granted(url).at(vec!["127.0.0.0/8".parse().unwrap()])
}

/// `GET` and `POST` on a URL, at public addresses only.
pub(super) fn granted(url: &str) -> Grant {
    Grant::new(Reach::parse(url).unwrap(), Methods::parse(["GET", "POST", "HEAD"]).unwrap())
}

pub(super) fn client(
    resolver: Arc<dyn Resolver>,
    authority: &Authority,
    grants: Vec<Grant>,
) -> Arc<EgressClient> {
    let network = Network::new(resolver, authority.trust());
    EgressClient::new(network, grants, ClientLimits::default())
}

/// Hands out one credential and remembers complaints.
#[derive(Debug)]
pub(super) struct Fixed {
    credential: Arc<Credential>,
    pub(super) complaints: Mutex<Vec<StatusCode>>,
}

impl Fixed {
    pub(super) fn new(credential: Credential) -> Arc<Self> {
        Arc::new(Self { credential: Arc::new(credential), complaints: Mutex::default() })
    }

    pub(super) fn token(text: &str) -> Arc<Self> {
        Self::new(Credential::Token(Secret::from(text.to_owned())))
    }
}

impl CredentialSource for Fixed {
    fn credential<'a>(
        &'a self,
        _: &'a CallContext,
        _: Instant,
    ) -> BoxFuture<'a, Result<Arc<Credential>, SourceError>> {
        Box::pin(async { Ok(Arc::clone(&self.credential)) })
    }

    fn invalidate(&self, _: &CallContext, used: &Arc<Credential>, status: StatusCode) -> bool {
        assert!(Arc::ptr_eq(used, &self.credential));
        self.complaints.lock().unwrap().push(status);
        false
    }
}
