//! Databases: a real server that the vendor names, and servers that are none.
//!
//! Statements are not scripted. What a statement means is known to the server alone, and a script of
//! SQL would only say the plugin's text a second time. So a plugin that imports `sql` is tested against
//! a server, which shows whether a user is really there and really gone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use symbolon_core::secret::Secret;
use symbolon_host::egress::{Network, SystemResolver, Trust};
use symbolon_host::sql::{FixedLogin, Pool, PoolLimits, ServerSettings, Transport};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::place::KitError;
use crate::run::WALL;

/// A server that the vendor names. Users are made and dropped there, and its login's password is
/// replaced and put back: it must be a server for tests.
pub(crate) struct Database {
    pub(crate) pool: Arc<Pool>,
    pub(crate) password: Secret,
    settings: ServerSettings,
    network: Network,
    user: String,
}

impl Database {
    /// Reads `postgresql://USER:PASSWORD@HOST[:PORT]/DATABASE`. Without an authority only loopback is
    /// reached.
    pub(crate) fn named(url: &str, authority: Option<&[u8]>) -> Result<Self, KitError> {
        let odd = || KitError::new("--database is not postgresql://USER:PASSWORD@HOST[:PORT]/NAME");
        let url = url::Url::parse(url).map_err(|_| odd())?;
        let (Some(host), Some(password)) = (url.host_str(), url.password()) else {
            return Err(odd());
        };
        if !matches!(url.scheme(), "postgresql" | "postgres") || url.username().is_empty() {
            return Err(odd());
        }
        let trust = authority.map(Trust::from_pem).transpose().map_err(KitError::new)?;
        let transport = match &trust {
            Some(trust) => Transport::Verified(Some(trust.clone())),
            None => Transport::Loopback,
        };
        let settings = ServerSettings {
            host: host.to_owned(),
            port: url.port().unwrap_or(5432),
            database: url.path().trim_start_matches('/').to_owned(),
            // Whoever names the server means it, wherever it is.
            addresses: ["0.0.0.0/0", "::/0"].iter().filter_map(|net| net.parse().ok()).collect(),
            resolve: None,
            transport,
            statement: WALL,
        };
        let network = match trust {
            Some(trust) => Network::new(Arc::new(SystemResolver), trust),
            None => Network::system().map_err(KitError::new)?,
        };
        let (user, password) = (decoded(url.username()), Secret::from(decoded(password)));
        let pool = Arc::new(pool(&settings, &network, &user, &password)?);
        Ok(Self { pool, password, settings, network, user })
    }

    /// The same server, with another password of the same login.
    pub(crate) fn pool_with(&self, password: &Secret) -> Result<Pool, KitError> {
        pool(&self.settings, &self.network, &self.user, password)
    }

    /// A server at `address` that may not be one.
    pub(crate) fn pool_at(&self, address: SocketAddr) -> Result<Pool, KitError> {
        let settings = ServerSettings {
            resolve: Some(address),
            transport: Transport::Loopback,
            ..self.settings.clone()
        };
        pool(&settings, &self.network, &self.user, &self.password)
    }
}

fn pool(
    settings: &ServerSettings,
    network: &Network,
    user: &str,
    password: &Secret,
) -> Result<Pool, KitError> {
    let login = Arc::new(FixedLogin::new(user.to_owned(), password.clone()));
    let limits = PoolLimits { connect: Duration::from_secs(5), ..PoolLimits::default() };
    Pool::new(settings.clone(), network.clone(), login, limits).map_err(KitError::new)
}

fn decoded(text: &str) -> String {
    let pair = format!("a={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(pair.as_bytes())
        .next()
        .map(|(_, v)| v.into_owned())
        .unwrap_or_default()
}

/// A server that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Nobody listens.
    Away,
    /// It hangs up on whoever comes.
    HangsUp,
    /// It says nothing.
    Silent,
}

impl Broken {
    pub(crate) const ALL: [Self; 3] = [Self::Away, Self::HangsUp, Self::Silent];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Away => "the server is away",
            Self::HangsUp => "the server hangs up",
            Self::Silent => "the server says nothing",
        }
    }

    /// Starts it; it ends with the tasks.
    pub(crate) async fn start(self) -> Result<(SocketAddr, JoinSet<()>), KitError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(KitError::new)?;
        let address = listener.local_addr().map_err(KitError::new)?;
        let mut tasks = JoinSet::new();
        if self != Self::Away {
            tasks.spawn(async move {
                let mut held = Vec::new();
                while let Ok((stream, _)) = listener.accept().await {
                    if self == Self::Silent {
                        held.push(stream);
                    }
                }
            });
        }
        Ok((address, tasks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_a_whole_url() {
        for (url, is_whole) in [
            ("postgresql://u:p@127.0.0.1:5432/app", true),
            ("postgresql://u:p%40@localhost/app", true),
            ("postgresql://u@localhost/app", false),
            ("postgresql://:p@localhost/app", false),
            ("mysql://u:p@localhost/app", false),
            ("localhost", false),
        ] {
            let named = Database::named(url, None);
            assert_eq!(named.is_ok(), is_whole, "{url}");
            if url.contains("%40") {
                assert_eq!(named.unwrap().password.expose_str(), Some("p@"));
            }
        }
    }
}
