//! One connection to a database: address, TLS, login, settings.
//!
//! INVARIANT: the same rules as for HTTP: every resolved address is checked, the checked one is
//! dialled, TLS proves the configured host's name. Without TLS only loopback is dialled, whatever
//! resolves. The login is given to nobody before that.
//!
//! INVARIANT: a server sends no more than it was asked for: bytes of an answer are counted as they
//! come in, before anything is kept of them.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ipnet::IpNet;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::{Client, Config, Connection};
use tokio_rustls::TlsConnector;

use super::error::{ServerError, SqlError};
use super::login::Login;
use crate::egress::address::{self, Class, Special};
use crate::egress::{
    BoxFuture, EgressError, Host, Network, Trust, addresses, client_config, dial, find_source,
    server_name, tls_error,
};

/// Bytes that a server may send until a connection is ready.
const GREETING_BYTES: u64 = 256 << 10;

/// Where a database is and how it proves who it is.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The host: a name in lower case, or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database to open unless a statement says otherwise.
    pub database: String,
    /// Private and loopback networks that may be dialled.
    pub addresses: Vec<IpNet>,
    /// Where to dial instead of asking the resolver.
    pub resolve: Option<SocketAddr>,
    /// How the server proves who it is.
    pub transport: Transport,
    /// The longest that any statement may take.
    pub statement: Duration,
}

/// How a server proves who it is.
#[derive(Clone, Debug)]
pub enum Transport {
    /// By a certificate for the host's name, from these roots or the system's.
    Verified(Option<Trust>),
    /// Not at all: only loopback is dialled.
    Loopback,
}

/// Connects to one server.
pub(super) struct Connector {
    settings: ServerSettings,
    host: Host,
    network: Network,
    tls: Option<Arc<ClientConfig>>,
}

/// A connection that is ready, and what drives it.
pub(super) struct Opened {
    pub(super) client: Client,
    pub(super) driver: Driver,
    pub(super) meter: Arc<Meter>,
}

type Driver = Connection<Metered, Secured>;

impl Connector {
    pub(super) fn new(settings: ServerSettings, network: Network) -> Result<Self, SqlError> {
        let unreachable = SqlError::Unreachable;
        let host = Host::parse(&settings.host).map_err(|e| unreachable(EgressError::Uri(e)))?;
        if let Some(address) = settings.resolve {
            refuse_unless(&settings.transport, address).map_err(unreachable)?;
        }
        let tls = match &settings.transport {
            Transport::Loopback => None,
            Transport::Verified(trust) => {
                let trust = trust.as_ref().unwrap_or(network.trust());
                let config = client_config(trust, None).map_err(unreachable)?;
                let mut config = ClientConfig::clone(&config);
                config.alpn_protocols = vec![b"postgresql".to_vec()];
                Some(Arc::new(config))
            }
        };
        Ok(Self { settings, host, network, tls })
    }

    pub(super) fn database(&self) -> &str {
        &self.settings.database
    }

    pub(super) fn server(&self) -> String {
        format!("{}:{}", self.settings.host, self.settings.port)
    }

    /// Connects and logs in. Nothing that is undone by dropping the future needs undoing.
    pub(super) async fn open(
        &self,
        login: &Login,
        database: &str,
        deadline: Instant,
    ) -> Result<Opened, SqlError> {
        let stream = self.dial(deadline).await.map_err(SqlError::Unreachable)?;
        let meter = Arc::new(Meter::default());
        meter.allow(GREETING_BYTES);
        let stream = Metered { stream, meter: Arc::clone(&meter) };
        let config = self.config(login, database);
        let opening = Box::pin(config.connect_raw(stream, self.secure()?));
        let opened = timeout_at(deadline, opening).await.map_err(|_| SqlError::Deadline)?;
        let (client, driver) = opened.map_err(|error| failure(&error, &meter))?;
        // Literals are quoted by the rules of the standard; a server that follows others would
        // read them differently.
        if driver.parameter("standard_conforming_strings") != Some("on") {
            return Err(SqlError::Settings);
        }
        Ok(Opened { client, driver, meter })
    }

    async fn dial(&self, deadline: Instant) -> Result<TcpStream, EgressError> {
        let ServerSettings { port, addresses: granted, resolve, transport, .. } = &self.settings;
        let found = match resolve {
            Some(address) => vec![*address],
            None => {
                let resolver = self.network.resolver();
                addresses(resolver, (&self.host, *port), granted, deadline).await?
            }
        };
        found.iter().try_for_each(|address| refuse_unless(transport, *address))?;
        let stream = dial(&found, deadline).await?;
        // Statements are small and latency matters; a socket without the option works as well.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    fn config(&self, login: &Login, database: &str) -> Config {
        let limit = self.settings.statement.as_millis();
        let mut config = Config::new();
        config
            .user(&login.user)
            .password(login.password.expose())
            .dbname(database)
            .application_name("symbolon")
            // Names without a schema are the system's own: nobody can put a function of theirs
            // in the way of a statement that runs with this login's rights.
            .options(format!(
                "-c standard_conforming_strings=on -c search_path=pg_catalog,pg_temp \
                 -c statement_timeout={limit} -c idle_in_transaction_session_timeout={limit}"
            ))
            .ssl_mode(if self.tls.is_some() { SslMode::Require } else { SslMode::Disable });
        config
    }

    fn secure(&self) -> Result<Secure, SqlError> {
        let name = server_name(&self.host).map_err(SqlError::Unreachable)?;
        Ok(Secure { tls: self.tls.clone(), name })
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What the operator names is dialled as it is, but metadata; without TLS nothing but loopback.
fn refuse_unless(transport: &Transport, address: SocketAddr) -> Result<(), EgressError> {
    let address = address.ip();
    let class = address::classify(address);
    let is_allowed = match transport {
        Transport::Verified(_) => class != Class::Metadata,
        Transport::Loopback => class == Class::Special(Special::Loopback),
    };
    if is_allowed { Ok(()) } else { Err(EgressError::AddressRefused { address, class }) }
}

/// What the library says, in our words. Its own texts may quote what was sent.
pub(super) fn failure(error: &tokio_postgres::Error, meter: &Meter) -> SqlError {
    if let Some(answered) = error.as_db_error() {
        return ServerError::new(answered).into();
    }
    if meter.is_spent() {
        return SqlError::TooLarge;
    }
    match find_source::<EgressError>(error) {
        Some(ours) => SqlError::Unreachable(ours.clone()),
        // The library does not say of which kind its errors are, but in words.
        None if error.to_string().starts_with("error performing TLS handshake") => {
            SqlError::Unreachable(EgressError::Tls(Arc::new(NoTls)))
        }
        None => SqlError::Lost,
    }
}

/// How many bytes a server may still send.
#[derive(Debug, Default)]
pub(super) struct Meter {
    left: AtomicU64,
    spent: AtomicBool,
}

impl Meter {
    /// Lets the server send this much from now.
    pub(super) fn allow(&self, bytes: u64) {
        self.left.store(bytes, Ordering::Release);
    }

    pub(super) fn is_spent(&self) -> bool {
        self.spent.load(Ordering::Acquire)
    }

    fn take(&self, bytes: usize) -> io::Result<()> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let less = |left: u64| left.checked_sub(bytes);
        match self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, less) {
            Ok(_) => Ok(()),
            Err(_) => {
                self.spent.store(true, Ordering::Release);
                Err(io::Error::other("the server sends more than it may"))
            }
        }
    }
}

/// A stream whose reading is counted. Below TLS, so that its handshake counts too.
pub(super) struct Metered {
    stream: TcpStream,
    meter: Arc<Meter>,
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let read = buffer.filled().len().saturating_sub(before);
        Poll::Ready(self.meter.take(read))
    }
}

impl AsyncWrite for Metered {
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

/// TLS as the library asks for it.
pub(super) struct Secure {
    tls: Option<Arc<ClientConfig>>,
    name: rustls_pki_types::ServerName<'static>,
}

impl TlsConnect<Metered> for Secure {
    type Stream = Secured;
    type Error = EgressError;
    type Future = BoxFuture<'static, Result<Secured, EgressError>>;

    fn connect(self, stream: Metered) -> Self::Future {
        Box::pin(async move {
            let tls = self.tls.ok_or_else(|| EgressError::Tls(Arc::new(NoTls)))?;
            let connected = TlsConnector::from(tls).connect(self.name, stream).await;
            connected.map(Secured).map_err(tls_error)
        })
    }
}

/// One of the two does not want TLS.
#[derive(Debug, thiserror::Error)]
#[error("one side does not speak TLS")]
struct NoTls;

/// A stream within TLS. No channel binding is offered: the certificate is verified already.
pub(super) struct Secured(tokio_rustls::client::TlsStream<Metered>);

impl TlsStream for Secured {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
