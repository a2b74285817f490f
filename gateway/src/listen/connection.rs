//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::pace::{Pace, Paced};
use super::proxy::{is_within, read_header};
use super::source::Guest;
use super::{
    Arrival, Certificate, ClientCertificates, Failure, Fault, Handler, Peer, Response, Settings,
};

/// Limits of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For the PROXY header and the TLS handshake together.
    pub handshake_timeout: Duration,
    /// For the head of a request, counted from its first byte.
    pub header_timeout: Duration,
    /// How long a connection may have no request.
    pub idle_timeout: Duration,
    /// For the body of a request.
    pub body_timeout: Duration,
    /// For the answer.
    pub request_timeout: Duration,
    /// Most bytes of all headers of a request.
    pub max_header_bytes: usize,
    /// Most bytes of a body.
    pub max_body_bytes: usize,
}

/// Streams of one HTTP/2 connection that may be open at a time.
const MAX_STREAMS: u32 = 100;

pub(super) struct Connection<H> {
    pub(super) settings: Arc<Settings>,
    pub(super) tls: Option<Arc<Certificate>>,
    pub(super) handler: Arc<H>,
    pub(super) tracker: TaskTracker,
    pub(super) stop: CancellationToken,
}

impl<H: Handler> Connection<H> {
    /// Serves the connection to its end; what goes wrong is counted, never an error of ours.
    pub(super) async fn serve(self, stream: TcpStream, peer: SocketAddr) {
        let deadline = self.settings.limits.handshake_timeout;
        // Whose fault it is, as far as is known when it happens.
        let mut client = peer.ip();
        let handshake = self.handshake(stream, peer, &mut client);
        let fault = match tokio::time::timeout(deadline, handshake).await {
            Ok(Ok((stream, guest))) => {
                self.speak(stream, client).await;
                drop(guest);
                return;
            }
            Ok(Err(fault)) => fault,
            Err(_) => Fault::Handshake,
        };
        self.handler.fault(Some(client), fault);
    }

    /// A proxy that names its clients is not a source itself: its clients are counted one by one.
    async fn handshake(
        &self,
        mut stream: TcpStream,
        peer: SocketAddr,
        client: &mut IpAddr,
    ) -> Result<(Stream, Guest), Fault> {
        let _ = stream.set_nodelay(true);
        if is_within(&self.settings.proxy_protocol_from, peer.ip()) {
            *client = read_header(&mut stream, peer).await.map_err(|_| Fault::Proxy)?.ip();
        }
        let guest = self.settings.places.sources.admit(*client).ok_or(Fault::Crowded)?;
        let stream = match &self.tls {
            None => Stream::Plain(stream),
            Some(tls) => {
                let accepted = tls.acceptor().accept(stream).await.map_err(|_| Fault::Handshake)?;
                Stream::Tls(Box::new(accepted))
            }
        };
        Ok((stream, guest))
    }

    async fn speak(self, stream: Stream, client: IpAddr) {
        let exchange = Exchange {
            forwarded_from: self.settings.forwarded_from.clone().into(),
            limits: self.settings.limits,
            handler: self.handler,
            tracker: self.tracker,
            peer: Peer::Address(client),
            certificates: stream.certificates(),
            pace: Arc::default(),
        };
        match stream {
            Stream::Plain(stream) => exchange.http1(stream, &self.stop).await,
            Stream::Tls(stream) => {
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                if is_http2 {
                    exchange.http2(*stream, &self.stop).await;
                } else {
                    exchange.http1(*stream, &self.stop).await;
                }
            }
        }
    }
}

/// What a stream that was accepted elsewhere, such as a Unix socket, is served with.
pub struct Local<H> {
    /// Who answers.
    pub handler: Arc<H>,
    /// Limits of the connection.
    pub limits: Limits,
    /// Where the handler's tasks run.
    pub tracker: TaskTracker,
    /// The other end.
    pub peer: Peer,
}

/// Serves HTTP/1.1 on such a stream until it ends or `stop` is cancelled.
pub async fn serve_stream<H, S>(stream: S, local: Local<H>, stop: &CancellationToken)
where
    H: Handler,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Local { handler, limits, tracker, peer } = local;
    let (forwarded_from, pace) = (Arc::from([]), Arc::default());
    let certificates = None;
    let exchange = Exchange { forwarded_from, limits, handler, tracker, peer, certificates, pace };
    exchange.http1(stream, stop).await;
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
}

impl Stream {
    /// What the client has shown in the handshake.
    fn certificates(&self) -> Option<ClientCertificates> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => ClientCertificates::of(stream.get_ref().1.peer_certificates()),
        }
    }
}

/// Requests and answers on one connection, whichever version of HTTP it speaks.
struct Exchange<H> {
    forwarded_from: Arc<[ipnet::IpNet]>,
    limits: Limits,
    handler: Arc<H>,
    /// Where the handler's tasks run; the drain waits for them.
    tracker: TaskTracker,
    peer: Peer,
    certificates: Option<ClientCertificates>,
    pace: Arc<Pace>,
}

/// Derived by hand: `derive` would demand `H: Clone`.
impl<H> Clone for Exchange<H> {
    fn clone(&self) -> Self {
        Self {
            forwarded_from: self.forwarded_from.clone(),
            limits: self.limits,
            handler: self.handler.clone(),
            tracker: self.tracker.clone(),
            peer: self.peer,
            certificates: self.certificates.clone(),
            pace: self.pace.clone(),
        }
    }
}

impl<H: Handler> Exchange<H> {
    async fn http1<S>(self, stream: S, stop: &CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (handler, peer, pace) = (self.handler.clone(), self.peer, self.pace.clone());
        let limits = self.limits;
        let stream = Paced::new(stream, pace.clone(), self.limits.header_timeout);
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.idle_timeout)
            .max_buf_size(self.limits.max_header_bytes.max(8192));
        let service = service_fn(move |request| self.clone().answer(request));
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let ended = live(connection, &pace, ends(&pace, limits, stop)).await;
        let blame = |error: &hyper::Error| {
            pace.was_late() || error.is_parse() || error.is_parse_too_large()
        };
        note_end(handler.as_ref(), peer, ended, blame);
    }

    async fn http2<S>(self, stream: S, stop: &CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (handler, peer, pace) = (self.handler.clone(), self.peer, self.pace.clone());
        let limits = self.limits;
        let mut builder = http2::Builder::new(Tracked(self.tracker.clone()));
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(u32::try_from(self.limits.max_header_bytes).unwrap_or(u32::MAX))
            .max_send_buf_size(1 << 20)
            .keep_alive_interval(self.limits.header_timeout)
            .keep_alive_timeout(self.limits.header_timeout);
        let service = service_fn(move |request| self.clone().answer(request));
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let ended = live(connection, &pace, ends(&pace, limits, stop)).await;
        note_end(handler.as_ref(), peer, ended, breaks_http2);
    }

    async fn answer(self, request: http::Request<Incoming>) -> Result<Response, Infallible> {
        // Ends with this future, which a client can cut short by resetting its stream.
        let _under_way = self.pace.begin();
        Ok(self.respond(request).await)
    }

    /// Reads the request whole and hands it over. The handler's task outlives this future.
    async fn respond(self, request: http::Request<Incoming>) -> Response {
        let (mut head, body) = request.into_parts();
        if let Some(certificates) = &self.certificates {
            head.extensions.insert(certificates.clone());
        }
        let peer = match self.client(&head) {
            Ok(peer) => peer,
            Err(failure) => return self.handler.failed(self.peer, failure).await,
        };
        let Ok(body) = self.read(body).await else {
            return self.handler.failed(peer, Failure::Body).await;
        };
        let handler = self.handler.clone();
        let task = self.tracker.spawn(handler.handle(Arrival { head, body, peer }));
        match tokio::time::timeout(self.limits.request_timeout, task).await {
            Ok(Ok(response)) => response,
            Ok(Err(_)) | Err(_) => self.handler.failed(peer, Failure::Late).await,
        }
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, ()> {
        if body.is_end_stream() {
            return Ok(Bytes::new());
        }
        let whole = Limited::new(body, self.limits.max_body_bytes).collect();
        let collected = tokio::time::timeout(self.limits.body_timeout, whole).await;
        collected.map_err(|_| ())?.map(|body| body.to_bytes()).map_err(|_| ())
    }

    /// The client behind a proxy that is believed: the last address in `X-Forwarded-For` that is
    /// not such a proxy itself. A proxy that names nobody speaks for itself, as its health checks
    /// do; one whose word cannot be read is not believed to be anybody.
    fn client(&self, head: &Parts) -> Result<Peer, Failure> {
        let Peer::Address(address) = self.peer else { return Ok(self.peer) };
        if !is_within(&self.forwarded_from, address) {
            return Ok(self.peer);
        }
        let values: Vec<_> = head.headers.get_all("x-forwarded-for").iter().collect();
        let hops = values.iter().rev().flat_map(|v| v.as_bytes().rsplit(|byte| *byte == b','));
        for text in hops {
            let hop = hop(text).ok_or(Failure::Forwarded)?;
            if !is_within(&self.forwarded_from, hop) {
                return Ok(Peer::Address(hop));
            }
        }
        Ok(self.peer)
    }
}

/// How long a connection that is to end may take to say goodbye once nothing is under way.
const GRACE: Duration = Duration::from_secs(1);

/// Resolves when a connection is to end: the drain began, or it asks for nothing.
async fn ends(pace: &Pace, limits: Limits, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = pace.idle(limits.header_timeout, limits.idle_timeout) => {}
    }
}

/// Drives a connection to its end: its own, or, once `ends` resolves, as soon as it has said goodbye
/// or nothing is under way any more.
async fn live<C>(connection: C, pace: &Pace, ends: impl Future<Output = ()>) -> hyper::Result<()>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = ends => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        ended = connection => ended,
        () = pace.quiet(GRACE) => Ok(()),
    }
}

/// The address in one hop of `X-Forwarded-For`: alone, or with a port.
fn hop(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let bare = text.parse::<IpAddr>().ok();
    bare.or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// Runs the tasks that HTTP/2 needs where the drain waits for them.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

/// A client that leaves, or stays silent, is no fault; one that breaks the protocol, or does not
/// finish what it began, is.
fn note_end<H: Handler>(
    handler: &H,
    peer: Peer,
    ended: hyper::Result<()>,
    blame: impl FnOnce(&hyper::Error) -> bool,
) {
    let Err(error) = ended else { return };
    if blame(&error) {
        let address = match peer {
            Peer::Address(address) => Some(address),
            Peer::User(_) => None,
        };
        handler.fault(address, Fault::Http);
    }
    tracing::debug!(%error, "connection ended");
}

/// HTTP/2 has one kind of error for everything that is not the end of the stream below, which is an
/// I/O error, or of our patience.
fn breaks_http2(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error);
    let is_gone = cause.is_some_and(<dyn std::error::Error>::is::<io::Error>);
    !(is_gone || error.is_timeout() || error.is_canceled() || error.is_incomplete_message())
}
