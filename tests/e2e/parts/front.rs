//! TLS before a part that speaks only plain HTTP, under the names of the real services: the gateway
//! is configured as for them, and only `resolve` and `ca` say that they are elsewhere.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::server::acceptor;
use super::web::Identity;

/// A front, which ends when dropped.
#[derive(Debug)]
pub(super) struct Front {
    port: u16,
    identity: Identity,
    stop: CancellationToken,
}

impl Front {
    /// One for these names, before the part that listens on `to`.
    pub(super) async fn start(names: &[String], to: u16) -> Self {
        let identity = Identity::of(names);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let stop = CancellationToken::new();
        let (stopped, serving) = (stop.clone(), serve(listener, acceptor(&identity), to));
        tokio::spawn(async move { stopped.run_until_cancelled(serving).await });
        Self { port, identity, stop }
    }

    /// A grant of `POST` to `host` for the backend or target `of`.
    pub(super) fn egress(&self, of: &str, host: &str) -> String {
        format!(
            r#"
            [[{of}.egress]]
            host = "{host}"
            methods = ["POST"]
            addresses = ["127.0.0.0/8"]
            {}
            "#,
            self.found_at(host),
        )
    }

    /// The lines that say that `host` is here.
    pub(super) fn found_at(&self, host: &str) -> String {
        format!(
            "ca = \"{}\"\nresolve = {{ \"{host}\" = \"127.0.0.1:{}\" }}\n",
            self.identity.certificate().display(),
            self.port,
        )
    }

    /// The lines of an issuer whose tokens `host` reviews, with the credential in `file`.
    pub(super) fn review(&self, host: &str, file: &str) -> String {
        format!(
            r#"
            review = {{ url = "https://{host}", credential = "file:{file}" }}
            ca = "{ca}"
            addresses = ["127.0.0.0/8"]
            resolve = {{ "{host}" = "127.0.0.1:{port}" }}
            "#,
            ca = self.identity.certificate().display(),
            port = self.port,
        )
    }

    pub(super) fn directory(&self) -> &std::path::Path {
        self.identity.directory()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, to: u16) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((tcp, _)) = listener.accept().await else { return };
        let acceptor = acceptor.clone();
        connections.spawn(async move {
            let Ok(mut outside) = acceptor.accept(tcp).await else { return };
            let part = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, to))).await;
            let Ok(mut inside) = part else { return };
            let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
        });
    }
}
