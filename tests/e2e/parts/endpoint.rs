//! An issuer's documents, over TLS, as wrong as a test wants them. Strict in what it is asked: only
//! `GET`, only the two documents, only without a body and without credentials.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::web::Identity;

/// What the endpoint says.
#[derive(Clone, Debug)]
pub(in crate::e2e) struct Reply {
    status: StatusCode,
    headers: Vec<(&'static str, String)>,
    body: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Whole(Bytes),
    /// More and more of it.
    Endless,
    /// A beginning, and then nothing.
    Stalled,
}

impl Reply {
    pub(in crate::e2e) fn json(body: &serde_json::Value) -> Self {
        Self::text(StatusCode::OK, "application/json", &body.to_string())
    }

    pub(in crate::e2e) fn text(status: StatusCode, kind: &str, body: &str) -> Self {
        let body = Content::Whole(Bytes::copy_from_slice(body.as_bytes()));
        Self { status, headers: vec![("content-type", kind.to_owned())], body }
    }

    pub(in crate::e2e) fn status(status: u16) -> Self {
        Self::text(StatusCode::from_u16(status).expect("a status"), "text/plain", "")
    }

    pub(in crate::e2e) fn redirect(status: u16, to: &str) -> Self {
        Self::status(status).with("location", to)
    }

    pub(in crate::e2e) fn endless() -> Self {
        Self { body: Content::Endless, ..Self::status(200) }
    }

    pub(in crate::e2e) fn stalled() -> Self {
        Self { body: Content::Stalled, ..Self::status(200) }
    }

    pub(in crate::e2e) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn response(&self) -> Response<Content> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in &self.headers {
            response = response.header(*name, value);
        }
        response.body(self.body.clone()).expect("a response")
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Endless => {
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; 16 * 1024])))))
            }
            Self::Stalled => Poll::Pending,
        }
    }
}

#[derive(Debug)]
struct State {
    configuration: Mutex<Option<Reply>>,
    keys: Mutex<Reply>,
    fetches: AtomicUsize,
    faults: Mutex<Vec<String>>,
}

/// A running endpoint, which ends when dropped.
#[derive(Debug)]
pub(in crate::e2e) struct Endpoint {
    pub(in crate::e2e) port: u16,
    identity: Identity,
    state: Arc<State>,
    stop: tokio_util::sync::CancellationToken,
}

impl Endpoint {
    /// One that answers `keys` at `/jwks`, and no discovery document.
    pub(in crate::e2e) async fn start(keys: Reply) -> Self {
        Self::named("idp.example.test", keys).await
    }

    /// One whose certificate is for `name` and loopback.
    pub(in crate::e2e) async fn named(name: &str, keys: Reply) -> Self {
        Self::with(Identity::new(name), keys).await
    }

    /// One with this certificate.
    pub(in crate::e2e) async fn with(identity: Identity, keys: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State {
            configuration: Mutex::new(None),
            keys: Mutex::new(keys),
            fetches: AtomicUsize::new(0),
            faults: Mutex::default(),
        });
        let stop = tokio_util::sync::CancellationToken::new();
        let serving = serve(listener, acceptor(&identity), state.clone());
        let (served, stopped) = (stop.clone(), serving);
        #[expect(clippy::disallowed_methods, reason = "it ends with the endpoint")]
        tokio::spawn(async move { served.run_until_cancelled(stopped).await });
        Self { port, identity, state, stop }
    }

    /// Says `keys` from now on.
    pub(in crate::e2e) fn say(&self, keys: Reply) {
        *self.state.keys.lock().unwrap() = keys;
    }

    /// Says this discovery document from now on.
    pub(in crate::e2e) fn configure(&self, document: Reply) {
        *self.state.configuration.lock().unwrap() = Some(document);
    }

    /// How often keys were fetched.
    pub(in crate::e2e) fn fetches(&self) -> usize {
        self.state.fetches.load(Ordering::SeqCst)
    }

    /// That nothing was asked of it but what it is for.
    pub(in crate::e2e) fn assert_asked_properly(&self) {
        let faults = self.state.faults.lock().unwrap();
        assert!(faults.is_empty(), "{faults:?}");
    }

    pub(in crate::e2e) fn certificate(&self) -> std::path::PathBuf {
        self.identity.certificate()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(super) fn acceptor(identity: &Identity) -> TlsAcceptor {
    let chain = CertificateDer::from_pem_file(identity.certificate()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(identity.key()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().expect("versions");
    let config = config.with_no_client_auth().with_single_cert(vec![chain], key).expect("TLS");
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<State>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((tcp, _)) = listener.accept().await else { return };
        let (acceptor, state) = (acceptor.clone(), state.clone());
        connections.spawn(async move {
            let Ok(tls) = acceptor.accept(tcp).await else { return };
            let answer = service_fn(|request| std::future::ready(answer(&state, &request)));
            let http = hyper::server::conn::http1::Builder::new();
            let _ = http.serve_connection(TokioIo::new(tls), answer).await;
        });
    }
}

fn answer(state: &State, request: &Request<Incoming>) -> Result<Response<Content>, Infallible> {
    let is_proper = request.method() == Method::GET
        && request.uri().query().is_none()
        && request.body().is_end_stream()
        && !request.headers().contains_key(header::AUTHORIZATION)
        && !request.headers().contains_key(header::COOKIE);
    let document = match request.uri().path() {
        _ if !is_proper => None,
        "/jwks" => {
            state.fetches.fetch_add(1, Ordering::SeqCst);
            Some(state.keys.lock().unwrap().clone())
        }
        "/.well-known/openid-configuration" => state.configuration.lock().unwrap().clone(),
        _ => None,
    };
    let reply = document.unwrap_or_else(|| {
        state.faults.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
        Reply::status(400)
    });
    Ok(reply.response())
}
