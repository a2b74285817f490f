//! TLS for parts, and a client that asks them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use symbolon_host::egress::{
    ClientLimits, EgressClient, EgressError, FetchLimits, Grant, Methods, Network, Reach, Trust,
};
use tempfile::TempDir;

/// A certificate of a part, with its files.
#[derive(Debug)]
pub struct Identity {
    directory: TempDir,
}

impl Identity {
    /// A certificate for `name` and for loopback.
    pub fn new(name: &str) -> Self {
        let names = [name, "localhost", "127.0.0.1"].map(str::to_owned);
        Self::of(&names)
    }

    /// A certificate for these names and no others.
    pub fn of(names: &[String]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        std::fs::write(directory.path().join("tls.pem"), made.cert.pem()).expect("tls.pem");
        let key = made.signing_key.serialize_pem();
        std::fs::write(directory.path().join("tls.key"), key).expect("tls.key");
        Self { directory }
    }

    /// A certificate for loopback that is good in these years, from January to January.
    pub fn dated(from: i32, until: i32) -> Self {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let mut asked = rcgen::CertificateParams::new(names).expect("names");
        asked.not_before = rcgen::date_time_ymd(from, 1, 1);
        asked.not_after = rcgen::date_time_ymd(until, 1, 1);
        let directory = tempfile::tempdir().expect("a directory");
        let key = rcgen::KeyPair::generate().expect("a key");
        let made = asked.self_signed(&key).expect("a certificate");
        std::fs::write(directory.path().join("tls.pem"), made.pem()).expect("tls.pem");
        std::fs::write(directory.path().join("tls.key"), key.serialize_pem()).expect("tls.key");
        Self { directory }
    }

    /// The file with the certificate.
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("tls.pem")
    }

    /// The file with its key.
    pub fn key(&self) -> PathBuf {
        self.directory.path().join("tls.key")
    }

    /// Where its files are; room for those of the part.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

/// A client of one origin on loopback, `https://localhost:port`.
#[derive(Debug)]
pub struct Web {
    client: Arc<EgressClient>,
    origin: String,
}

impl Web {
    /// A client that trusts the certificate in `certificate` and nothing else.
    pub fn new(port: u16, certificate: &Path) -> Self {
        let pem = std::fs::read(certificate).expect("a certificate");
        let trust = Trust::from_pem(&pem).expect("roots");
        Self::reaching(&format!("https://localhost:{port}"), port, Some(trust))
    }

    /// A client without TLS.
    pub fn plain(port: u16) -> Self {
        Self::reaching(&format!("http://localhost:{port}"), port, None)
    }

    fn reaching(origin: &str, port: u16, trust: Option<Trust>) -> Self {
        let methods = Methods::parse(["GET", "POST", "PUT", "DELETE"]).expect("methods");
        let grant = Grant::new(Reach::parse(origin).expect("a reach"), methods);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let grant = grant.resolve_to(address).expect("an address");
        let grant = match trust {
            Some(trust) => grant.trusting(trust),
            None => grant.at(vec!["127.0.0.0/8".parse().expect("a network")]),
        };
        let network = Network::system().expect("roots");
        let client = EgressClient::new(network, vec![grant], ClientLimits::default());
        Self { client, origin: origin.to_owned() }
    }

    /// Sends a request, whose URI is a path.
    ///
    /// # Errors
    /// What became of the connection.
    pub async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, EgressError> {
        let url = format!("{}{}", self.origin, request.uri());
        *request.uri_mut() = url.parse().expect("a URL");
        let limits = FetchLimits { deadline: Duration::from_secs(30), max_body: 1 << 20 };
        Box::pin(self.client.fetch(request, limits)).await
    }

    /// Gets a path; the answer must come.
    pub async fn get(&self, path: &str) -> Response<Bytes> {
        let request = Request::get(path).body(Bytes::new()).expect("a request");
        self.send(request).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}
