//! Where connections come in: accept, PROXY protocol, TLS, HTTP, and the limits of each.
//!
//! Everything before a request is read whole belongs to somebody unknown, so every step has a bound
//! and a deadline, and a place is taken *before* `accept`: a flood waits in the kernel's queue, not
//! in our memory. What a request means is not known here; it is handed to a [`Handler`] whole.
//!
//! The handler runs in a task of its own: a client that hangs up does not stop what it began.
//!
//! INVARIANT: connections are counted over all listeners that share their [`Places`], which are all of
//! a process: another listener is no way around the limit, for all or for one source.

mod client_certificates;
mod connection;
mod pace;
mod proxy;
mod source;
mod tls;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http_body_util::Full;
use ipnet::IpNet;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use client_certificates::ClientCertificates;
pub use connection::{Limits, Local, serve_stream};
pub use source::{Guest, Sources};
pub use tls::{Certificate, TlsError};

/// The answer to a request: always whole, never streamed.
pub type Response = http::Response<Full<Bytes>>;

/// A request that was read whole.
#[derive(Debug)]
pub struct Arrival {
    /// Method, target and headers.
    pub head: Parts,
    /// The body, within the configured limit.
    pub body: Bytes,
    /// Where it came from.
    pub peer: Peer,
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An address, as the transport or a trusted proxy states it.
    Address(IpAddr),
    /// A process on this machine, by the user it runs as.
    User(u32),
}

/// What can go wrong with a connection before there is a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The PROXY header is missing, malformed or late.
    Proxy,
    /// The TLS handshake failed or took too long.
    Handshake,
    /// The peer does not speak HTTP, or broke its limits.
    Http,
    /// The body is too large or came too slowly.
    Body,
    /// One source has too many connections.
    Crowded,
}

impl Fault {
    /// The code under which strangers are counted.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Proxy => "proxy_header",
            Self::Handshake => "tls_handshake",
            Self::Http => "http_protocol",
            Self::Body => "http_body",
            Self::Crowded => "connections",
        }
    }
}

/// Who answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. Runs in a task of its own and is not cancelled when the client leaves.
    fn handle(self: Arc<Self>, arrival: Arrival) -> impl Future<Output = Response> + Send;

    /// The answer when a request could not be read, or [`Handler::handle`] did not end in time. Ends
    /// with the connection: what must happen happens before the first wait.
    fn failed(&self, peer: Peer, failure: Failure) -> impl Future<Output = Response> + Send;

    /// A connection ended badly before a request could be read.
    fn fault(&self, peer: Option<IpAddr>, fault: Fault);
}

/// Why there is a connection to answer on, and no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The request's body is too large or came too slowly.
    Body,
    /// A proxy that is believed names its client in a way that cannot be read.
    Forwarded,
    /// The answer took too long, or the task that made it ended.
    Late,
}

/// What a listener needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Limits of each connection.
    pub limits: Limits,
    /// How many connections there may be, together with other listeners.
    pub places: Places,
    /// Peers that must begin with a PROXY v2 header, whose word is believed.
    pub proxy_protocol_from: Vec<IpNet>,
    /// Peers whose `X-Forwarded-For` is believed.
    pub forwarded_from: Vec<IpNet>,
    /// How long connections may go on after the drain began.
    pub drain_timeout: Duration,
}

/// How many connections there may be at a time, over all listeners.
#[derive(Clone, Debug)]
pub struct Places {
    all: Arc<Semaphore>,
    sources: Arc<Sources>,
}

impl Places {
    /// At most `most` connections, and `per_source` of one source. Each of the `listeners` keeps one
    /// place for the connection that it waits for, so that none of them starves; with fewer places
    /// than listeners, there are as many as listeners.
    #[must_use]
    pub fn new(most: usize, per_source: usize, listeners: usize) -> Self {
        let all = Semaphore::new(most.max(listeners).min(Semaphore::MAX_PERMITS));
        Self { all: Arc::new(all), sources: Arc::new(Sources::new(per_source)) }
    }

    async fn take(&self) -> Option<OwnedSemaphorePermit> {
        self.all.clone().acquire_owned().await.ok()
    }
}

/// A bound TCP listener with everything that its connections need.
pub struct Listener<H> {
    /// The socket.
    pub tcp: TcpListener,
    /// TLS; plain HTTP/1.1 if none, which `config` allows on loopback only.
    pub tls: Option<Arc<Certificate>>,
    /// Settings.
    pub settings: Arc<Settings>,
    /// Who answers.
    pub handler: Arc<H>,
}

impl<H: Handler> Listener<H> {
    /// Accepts until `stop`, then drains: no new connection, running requests end, idle connections
    /// close. Returns when the last connection is gone or the drain time is over.
    pub async fn run(self, stop: CancellationToken) {
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = accept(&self.tcp, &self.settings.places) => accepted,
            };
            let Some((stream, peer, place)) = accepted else { continue };
            let connection = connection::Connection {
                settings: self.settings.clone(),
                tls: self.tls.clone(),
                handler: self.handler.clone(),
                tracker: connections.clone(),
                stop: stop.clone(),
            };
            connections.spawn(async move {
                connection.serve(stream, peer).await;
                drop(place);
            });
        }
        // Refused at once from here on, instead of waiting in the kernel's queue for the end.
        drop(self.tcp);
        connections.close();
        let _ = tokio::time::timeout(self.settings.drain_timeout, connections.wait()).await;
    }
}

type Accepted = (tokio::net::TcpStream, SocketAddr, OwnedSemaphorePermit);

/// Takes a place first and accepts then. An error of `accept` (out of descriptors, mostly) costs a
/// moment's pause, since trying again at once would spin.
async fn accept(tcp: &TcpListener, places: &Places) -> Option<Accepted> {
    let place = places.take().await?;
    match tcp.accept().await {
        Ok((stream, peer)) => Some((stream, peer, place)),
        Err(error) => {
            tracing::warn!(%error, "accept failed");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}
