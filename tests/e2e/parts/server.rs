//! A server over TLS on loopback whose answers a test makes, until it is dropped.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::web::Identity;

/// What a server says.
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

    /// JSON with another status than that of success.
    pub(in crate::e2e) fn refusal(status: u16, body: &serde_json::Value) -> Self {
        let status = StatusCode::from_u16(status).expect("a status");
        Self { status, ..Self::json(body) }
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

/// How requests are answered.
type Answer = dyn Fn(&Parts, &Bytes) -> Reply + Send + Sync;

/// A running server, which ends when dropped.
#[derive(Debug)]
pub(in crate::e2e) struct Server {
    pub(in crate::e2e) port: u16,
    pub(in crate::e2e) identity: Identity,
    stop: tokio_util::sync::CancellationToken,
}

impl Server {
    /// One that shows `identity` and answers by `answer`.
    pub(in crate::e2e) async fn start(
        identity: Identity,
        answer: impl Fn(&Parts, &Bytes) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let stop = tokio_util::sync::CancellationToken::new();
        let (served, serving) =
            (stop.clone(), serve(listener, acceptor(&identity), Arc::new(answer)));
        #[expect(clippy::disallowed_methods, reason = "it ends with the server")]
        tokio::spawn(async move { served.run_until_cancelled(serving).await });
        Self { port, identity, stop }
    }
}

impl Server {
    /// A grant of `of` (a backend or a target) to reach this server under the name `host`.
    pub(in crate::e2e) fn egress(
        &self,
        of: &str,
        host: &str,
        method: &str,
        prefix: &str,
    ) -> String {
        format!(
            r#"
            [[{of}.egress]]
            host = "{host}"
            methods = ["{method}"]
            path_prefix = "{prefix}"
            ca = "{ca}"
            addresses = ["127.0.0.0/8"]
            resolve = {{ "{host}" = "127.0.0.1:{port}" }}
            "#,
            ca = self.identity.certificate().display(),
            port = self.port,
        )
    }

    /// Its origin, by loopback's own name.
    pub(in crate::e2e) fn origin(&self) -> String {
        format!("https://localhost:{}", self.port)
    }
}

impl Drop for Server {
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

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, answer: Arc<Answer>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((tcp, _)) = listener.accept().await else { return };
        let (acceptor, answer) = (acceptor.clone(), answer.clone());
        connections.spawn(async move {
            let Ok(tls) = acceptor.accept(tcp).await else { return };
            let respond = service_fn(|request| respond(&*answer, request));
            let http = hyper::server::conn::http1::Builder::new();
            let _ = http.serve_connection(TokioIo::new(tls), respond).await;
        });
    }
}

async fn respond(
    answer: &Answer,
    request: Request<Incoming>,
) -> Result<Response<Content>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(answer(&head, &body).response())
}
