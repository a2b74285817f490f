//! The floor of whatever answers over TLS: hyper over rustls, with an answer that it knows already and
//! as much work before it as a bench says.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response, header};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What is done before an answer.
pub(crate) type Work = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A server that answers everybody the same.
pub(crate) struct Bare {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    answering: Answering,
}

#[derive(Clone)]
struct Answering {
    headers: HeaderMap,
    body: Bytes,
    work: Option<Work>,
}

impl Bare {
    /// On `listener`, with the certificate in `home`.
    pub(crate) fn new(
        listener: TcpListener,
        home: &Path,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Self {
        // hyper writes these two itself.
        for name in [header::DATE, header::CONTENT_LENGTH] {
            headers.remove(name);
        }
        let answering = Answering { headers, body, work: None };
        Self { listener, acceptor: acceptor(home), answering }
    }

    /// On any port of loopback.
    pub(crate) async fn bind(home: &Path, headers: HeaderMap, body: Bytes) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        Self::new(listener, home, headers, body)
    }

    /// With something to do for each request.
    pub(crate) fn doing(mut self, work: Work) -> Self {
        self.answering.work = Some(work);
        self
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("an address")
    }

    pub(crate) async fn run(self) {
        let mut connections = JoinSet::new();
        loop {
            let (tcp, _) = self.listener.accept().await.expect("a connection");
            connections.spawn(serve(tcp, self.acceptor.clone(), self.answering.clone()));
        }
    }
}

async fn serve(tcp: TcpStream, acceptor: TlsAcceptor, answering: Answering) {
    tcp.set_nodelay(true).expect("an option");
    let Ok(tls) = acceptor.accept(tcp).await else { return };
    let answer = service_fn(|_| {
        let Answering { headers, body, work } = answering.clone();
        async move {
            if let Some(work) = work {
                work().await;
            }
            let mut response = Response::new(Full::new(body));
            *response.headers_mut() = headers;
            Ok::<_, Infallible>(response)
        }
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
