//! One request over one connection: TCP with or without TLS, or a Unix socket.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::error::ClientError;

/// No answer of the gateway is larger: a batch is a hundred secrets of at most 1 MiB, and those who
/// ask for such a batch stream it.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// How long a call may take, from connecting to the last byte.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Where a request goes.
pub(crate) struct Place<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

impl Place<'_> {
    fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// Sends a request over TCP. Cancelling it closes the connection.
pub(crate) async fn over_tcp(
    place: &Place<'_>,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, ClientError> {
    within(place.name(), async {
        let name = place.name();
        let bare = place.host.trim_start_matches('[').trim_end_matches(']');
        let connected = TcpStream::connect((bare, place.port)).await;
        let stream =
            connected.map_err(|source| ClientError::Connect { place: name.clone(), source })?;
        let Some(tls) = &place.tls else { return http1(&name, stream, request).await };
        let stream = secured(bare, &name, tls, stream).await?;
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => http2(&name, stream, request).await,
            Some(_) | None => http1(&name, stream, request).await,
        }
    })
    .await
}

/// Sends a request over a Unix socket. Cancelling it closes the connection.
pub(crate) async fn over_socket(
    socket: &Path,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, ClientError> {
    let name = socket.display().to_string();
    within(name.clone(), async {
        let stream = UnixStream::connect(socket).await.map_err(|source| {
            if source.kind() == std::io::ErrorKind::NotFound {
                return ClientError::NoSocket(socket.to_owned());
            }
            ClientError::Connect { place: name.clone(), source }
        })?;
        http1(&name, stream, request).await
    })
    .await
}

async fn within<T>(
    place: String,
    call: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    match tokio::time::timeout(LIMIT, Box::pin(call)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(ClientError::Timeout { place, limit: LIMIT }),
    }
}

async fn secured(
    host: &str,
    place: &str,
    tls: &Arc<ClientConfig>,
    stream: TcpStream,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, ClientError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| ClientError::Url {
        url: place.to_owned(),
        reason: "the host has no valid name",
    })?;
    let connector = TlsConnector::from(Arc::clone(tls));
    let failed = |source| ClientError::Tls { place: place.to_owned(), source };
    connector.connect(name, stream).await.map_err(failed)
}

async fn http1(
    place: &str,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, ClientError> {
    // HTTP/1.1 names the host in a header and the path alone in the target (RFC 9112 §3.2.1).
    if let Some(target) = request.uri().path_and_query() {
        *request.uri_mut() = target.clone().into();
    }
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(|error| broken(place, error))?;
    let exchange = async { collect(place, sender.send_request(request).await).await };
    beside(exchange, connection).await
}

async fn http2(
    place: &str,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, ClientError> {
    request.headers_mut().remove(http::header::HOST);
    let executor = TokioExecutor::new();
    let handshake = hyper::client::conn::http2::handshake(executor, TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(|error| broken(place, error))?;
    let exchange = async { collect(place, sender.send_request(request).await).await };
    beside(exchange, connection).await
}

/// Drives the connection while the exchange runs. The connection may end first (`Connection:
/// close`) with the rest of the answer still to be read.
async fn beside<T>(exchange: impl Future<Output = T>, connection: impl Future) -> T {
    let mut exchange = pin!(exchange);
    tokio::select! {
        biased;
        outcome = &mut exchange => outcome,
        _ = connection => exchange.await,
    }
}

async fn collect(
    place: &str,
    answer: hyper::Result<Response<Incoming>>,
) -> Result<Response<Bytes>, ClientError> {
    let (head, body) = answer.map_err(|error| broken(place, error))?.into_parts();
    let limited = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
    let body = limited.map_err(|error| broken(place, error))?.to_bytes();
    Ok(Response::from_parts(head, body))
}

fn broken(place: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
    ClientError::Exchange { place: place.to_owned(), source: error.into() }
}
