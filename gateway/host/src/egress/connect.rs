//! One connection: resolve, check, dial, TLS.
//!
//! INVARIANT: the address that is dialled is the very value that was checked; nothing resolves the
//! name a second time. The name that TLS proves is the URI's host, also where a grant names the
//! address.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::BoxFuture;
use super::address::Checked;
use super::allowance::Allowance;
use super::destination::{Destination, Host, Scheme};
use super::error::EgressError;
use super::grant::Grant;
use super::resolver::{Resolver, check_all};

/// How connections of one grant are made.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) grant: Arc<Grant>,
    pub(super) allowance: Arc<Allowance>,
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) connections: Arc<Semaphore>,
    pub(super) timeout: Duration,
}

impl Connector {
    async fn connect(self, uri: Uri) -> Result<Made, EgressError> {
        let destination = Destination::parse(&uri)?;
        let deadline = Instant::now() + self.timeout;
        let permit = self.permit(deadline).await?;
        let addresses = self.addresses(&destination, deadline).await?;
        let stream = dial(&addresses, deadline).await?;
        // Credentials are small and latency matters; a socket without the option works as well.
        let _ = stream.set_nodelay(true);
        match destination.scheme() {
            Scheme::Http => Ok(self.link(Box::new(stream), false, permit)),
            Scheme::Https => self.secure(stream, destination.host(), deadline, permit).await,
        }
    }

    /// Waits, at most as long as a connection may take to make, for a place among the scope's
    /// connections. Idle ones hold their places until the pool lets go of them.
    async fn permit(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, EgressError> {
        let acquire = Arc::clone(&self.connections).acquire_owned();
        match timeout_at(deadline, acquire).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(EgressError::ConnectionLimit),
        }
    }

    async fn addresses(
        &self,
        destination: &Destination,
        deadline: Instant,
    ) -> Result<Vec<SocketAddr>, EgressError> {
        if let Some(address) = self.grant.resolve() {
            // Refused as metadata when the grant was read; the operator named it otherwise.
            return Ok(vec![address]);
        }
        let (host, granted) = (destination.host(), self.grant.addresses());
        addresses(&*self.resolver, (host, destination.port()), granted, deadline).await
    }

    async fn secure(
        &self,
        stream: TcpStream,
        host: &Host,
        deadline: Instant,
        permit: OwnedSemaphorePermit,
    ) -> Result<Made, EgressError> {
        let name = server_name(host)?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let handshake = Box::pin(connector.connect(name, stream));
        let stream = timeout_at(deadline, handshake).await;
        let stream = stream.map_err(|late| EgressError::Tls(Arc::new(late)))?.map_err(tls_error)?;
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(self.link(Box::new(stream), is_h2, permit))
    }

    fn link(&self, stream: Box<dyn Stream>, is_h2: bool, permit: OwnedSemaphorePermit) -> Made {
        let allowance = Arc::clone(&self.allowance);
        TokioIo::new(Link { stream, is_h2, allowance, _permit: permit })
    }
}

/// Every address of `host` at which it may be dialled: all of them checked, before any is used.
pub(crate) async fn addresses(
    resolver: &dyn Resolver,
    (host, port): (&Host, u16),
    granted: &[IpNet],
    deadline: Instant,
) -> Result<Vec<SocketAddr>, EgressError> {
    let found = match host {
        Host::Address(address) => vec![*address],
        Host::Name(name) => look_up(resolver, name, deadline).await?,
    };
    let checked = check_all(&found, granted)?;
    Ok(checked.into_iter().map(|c| to_socket(c, port)).collect())
}

async fn look_up(
    resolver: &dyn Resolver,
    name: &str,
    deadline: Instant,
) -> Result<Vec<IpAddr>, EgressError> {
    let failed = |cause: io::Error| EgressError::Resolve(Arc::new(cause));
    let found = timeout_at(deadline, resolver.resolve(name)).await;
    let found = found.map_err(|late| failed(late.into()))?.map_err(failed)?;
    if found.is_empty() { Err(failed(io::ErrorKind::NotFound.into())) } else { Ok(found) }
}

fn to_socket(checked: Checked, port: u16) -> SocketAddr {
    SocketAddr::new(checked.address(), port)
}

/// The name that the host's certificate must prove.
pub(crate) fn server_name(host: &Host) -> Result<ServerName<'static>, EgressError> {
    match host {
        Host::Address(address) => Ok(ServerName::from(*address)),
        Host::Name(name) => {
            ServerName::try_from(name.clone()).map_err(|cause| EgressError::Tls(Arc::new(cause)))
        }
    }
}

/// Tries the addresses in order, sharing what is left of the time between those left.
pub(crate) async fn dial(
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<TcpStream, EgressError> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for (index, address) in addresses.iter().enumerate() {
        let left = addresses.len().saturating_sub(index).max(1);
        let share = deadline.saturating_duration_since(Instant::now())
            / u32::try_from(left).unwrap_or(u32::MAX);
        match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(cause)) => last = cause,
            Err(late) => last = late.into(),
        }
    }
    Err(EgressError::Connect(Arc::new(last)))
}

/// A handshake that failed: for the certificate, or otherwise.
pub(crate) fn tls_error(error: io::Error) -> EgressError {
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    if matches!(inner, Some(rustls::Error::InvalidCertificate(_))) {
        EgressError::Certificate(Arc::new(error))
    } else {
        EgressError::Tls(Arc::new(error))
    }
}

/// What hyper's client asks for a connection.
impl tower::Service<Uri> for Connector {
    type Response = Made;
    type Error = EgressError;
    type Future = BoxFuture<'static, Result<Made, EgressError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), EgressError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// A connection as hyper takes it.
type Made = TokioIo<Link>;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open connection, which holds its place among the scope's connections.
pub(super) struct Link {
    stream: Box<dyn Stream>,
    is_h2: bool,
    allowance: Arc<Allowance>,
    _permit: OwnedSemaphorePermit,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("is_h2", &self.is_h2).finish_non_exhaustive()
    }
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        if self.is_h2 { Connected::new().negotiated_h2() } else { Connected::new() }
    }
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        Poll::Ready(self.allowance.take(buffer.filled().len().saturating_sub(before)))
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
