//! Listeners and signals: from a configuration to requests answered, and back to silence.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use symbolon_core::clock::Clock;
use symbolon_host::admit::MAX_COMPONENT_BYTES;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{App, Signals, StartError, Surroundings};
use crate::admin::{AdminSocket, Administration};
use crate::config::{self, Config};
use crate::line::discovery::Discovery;
use crate::listen::{Certificate, Limits, Listener, Places, Settings};
use crate::time::SystemClock;

/// How often the certificate's files are looked at.
const CERTIFICATE_WATCH: Duration = Duration::from_secs(30);
/// Admin operations may take longer than requests: a reload compiles components.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(120);

/// A component as base64, and what stands around it.
const MAX_ADMIN_BODY: usize = MAX_COMPONENT_BYTES / 3 * 4 + (4 << 20);

/// The gateway with its listeners bound.
#[derive(Debug)]
pub struct Bound {
    /// The gateway.
    pub app: Arc<App>,
    main: Vec<TcpListener>,
    discovery: Vec<TcpListener>,
    certificate: Option<Arc<Certificate>>,
    discovery_certificate: Option<Arc<Certificate>>,
    socket: AdminSocket,
}

/// Serves `config` until SIGTERM or SIGINT, also while it starts; SIGHUP reloads.
///
/// # Errors
/// [`StartError`] if the gateway does not start.
pub async fn serve(config: Config, mut signals: Signals) -> Result<(), StartError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let surroundings = Surroundings::of_process(clock)?;
    let bound = tokio::select! {
        bound = Box::pin(Bound::start(config, surroundings)) => bound?,
        () = signals.stop() => return Ok(()),
    };
    for address in bound.addresses() {
        tracing::info!(%address, "listening");
    }
    let (app, stop) = (bound.app.clone(), CancellationToken::new());
    let serving = bound.run(stop.clone());
    let obeying = async {
        signals.obey(&app).await;
        stop.cancel();
    };
    tokio::join!(Box::pin(serving), obeying);
    Ok(())
}

impl Bound {
    /// Starts the gateway and binds its listeners; nothing is accepted yet.
    ///
    /// # Errors
    /// [`StartError`] of the first thing that refuses.
    pub async fn start(config: Config, surroundings: Surroundings) -> Result<Self, StartError> {
        let certificate = certificate(config.server.tls.as_ref())?;
        let discovery = config.server.discovery.as_ref();
        let discovery_certificate = certificate_of(discovery)?;
        let main = bind(&config.server.listen).await?;
        let discovery = match discovery {
            Some(discovery) => bind(&discovery.listen).await?,
            None => Vec::new(),
        };
        let socket = AdminSocket::bind(&config.admin.socket)?;
        let app = Box::pin(App::start(config, surroundings)).await?;
        if let Some(certificate) = &certificate {
            app.listen_with(certificate);
        }
        Ok(Self { app, main, discovery, certificate, discovery_certificate, socket })
    }

    /// The addresses of the main listeners, with the ports that were bound.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.main.iter().filter_map(|tcp| tcp.local_addr().ok()).collect()
    }

    /// The addresses of the discovery-only listeners.
    #[must_use]
    pub fn discovery_addresses(&self) -> Vec<SocketAddr> {
        self.discovery.iter().filter_map(|tcp| tcp.local_addr().ok()).collect()
    }

    /// Serves until `stop`, drains, and shuts the house down.
    pub async fn run(self, stop: CancellationToken) {
        let listening = self.main.len() + self.discovery.len();
        let settings = Arc::new(settings(&self.app.config(), listening));
        let listeners = TaskTracker::new();
        for tcp in self.main {
            let listener = Listener {
                tcp,
                tls: self.certificate.clone(),
                settings: settings.clone(),
                handler: self.app.line.clone(),
            };
            listeners.spawn(listener.run(stop.clone()));
        }
        let public = Arc::new(Discovery(self.app.line.clone()));
        for tcp in self.discovery {
            let (tls, handler) = (self.discovery_certificate.clone(), public.clone());
            let listener = Listener { tcp, tls, settings: settings.clone(), handler };
            listeners.spawn(listener.run(stop.clone()));
        }
        let admin = Arc::new(Administration(self.app.clone()));
        let limits = Limits {
            request_timeout: ADMIN_TIMEOUT,
            max_body_bytes: MAX_ADMIN_BODY,
            ..settings.limits
        };
        listeners.spawn(self.socket.run(admin, limits, (stop.clone(), settings.drain_timeout)));
        let config = self.app.config();
        let discovery = config.server.discovery.as_ref().and_then(|d| d.tls.clone());
        for (certificate, tls) in [
            (&self.certificate, config.server.tls.clone()),
            (&self.discovery_certificate, discovery),
        ] {
            if let (Some(certificate), Some(tls)) = (certificate, tls) {
                self.app.chore(watch_certificate(tls, certificate.clone()));
            }
        }
        listeners.close();
        listeners.wait().await;
        self.app.shut_down().await;
    }
}

fn settings(config: &Config, listeners: usize) -> Settings {
    let server = &config.server;
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    Settings {
        limits: Limits {
            handshake_timeout: server.handshake_timeout,
            header_timeout: server.header_timeout,
            idle_timeout: server.idle_timeout,
            body_timeout: server.body_timeout,
            request_timeout: server.request_timeout,
            max_header_bytes: size(server.max_header_bytes),
            max_body_bytes: size(server.max_body_bytes),
        },
        places: Places::new(
            count(server.max_connections),
            count(server.max_connections_per_source),
            listeners,
        ),
        proxy_protocol_from: server.proxy_protocol_from.clone(),
        forwarded_from: server.forwarded_from.clone(),
        drain_timeout: server.drain_timeout,
    }
}

async fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, StartError> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        let bound = TcpListener::bind(address).await;
        listeners.push(bound.map_err(|source| StartError::Listen { address: *address, source })?);
    }
    Ok(listeners)
}

fn certificate(tls: Option<&config::Tls>) -> Result<Option<Arc<Certificate>>, StartError> {
    let Some(tls) = tls else { return Ok(None) };
    let key = tls.key.load()?;
    Ok(Some(Arc::new(Certificate::load(&tls.certificate, &key)?)))
}

fn certificate_of(
    discovery: Option<&config::Discovery>,
) -> Result<Option<Arc<Certificate>>, StartError> {
    certificate(discovery.and_then(|discovery| discovery.tls.as_ref()))
}

/// Takes a new certificate up when its file changes: what renews certificates writes files, and
/// tells nobody.
async fn watch_certificate(tls: config::Tls, certificate: Arc<Certificate>) {
    let changed = |path: &std::path::Path| std::fs::metadata(path).and_then(|m| m.modified()).ok();
    let mut seen = changed(&tls.certificate);
    loop {
        tokio::time::sleep(CERTIFICATE_WATCH).await;
        let now = changed(&tls.certificate);
        if now == seen {
            continue;
        }
        let replaced =
            tls.key.load().map_err(StartError::from).and_then(|key| {
                certificate.replace(&tls.certificate, &key).map_err(StartError::from)
            });
        match replaced {
            Ok(()) => {
                seen = now;
                tracing::info!("the certificate was replaced");
            }
            // The key may not be there yet: looked at again next time.
            Err(error) => tracing::error!(%error, "the new certificate is not usable"),
        }
    }
}
