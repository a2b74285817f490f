//! One fetch of an issuer's key set: discovery, if configured, then the keys.
//!
//! Both requests go through the host's outgoing client with a grant for exactly that URL, made here
//! from the operator's issuer block: the issuer's word chooses the URL of the keys, never the
//! addresses that may be dialled. OpenID Connect Discovery 1.0 §4; limits of `wire-formats.md` §1.8.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, header};
use ipnet::IpNet;
use serde::Deserialize;
use symbolon_host::egress::{
    ClientLimits, EgressClient, EgressError, FetchLimits, Grant, GrantError, Methods, Network,
    Reach, Trust,
};

/// Most bytes of a discovery document or key set.
const MAX_BODY: u64 = 512 * 1024;
/// A fetch takes no longer than this, each request of it.
const DEADLINE: Duration = Duration::from_secs(10);

/// Where an issuer's keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// From the `jwks_uri` of the issuer's discovery document.
    Discovery {
        /// The issuer, exactly as its tokens say it.
        issuer: String,
    },
    /// From a URL.
    Url(Uri),
    /// From the configuration: the JSON of a key set, never fetched.
    Inline(Vec<u8>),
    /// From the configuration: certificate authorities (DER) and no keys; neither, where proofs are
    /// not verified with keys.
    Authorities(Vec<Vec<u8>>),
}

/// How the fetch may reach the issuer.
#[derive(Clone, Debug)]
pub struct Way {
    /// Resolver and default trust.
    pub network: Network,
    /// Roots of the issuer, if not the system's.
    pub trust: Option<Trust>,
    /// Private or loopback networks in which it may be.
    pub addresses: Vec<IpNet>,
    /// Fixed addresses, by host name.
    pub resolve: BTreeMap<String, SocketAddr>,
}

/// A key set as it came.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) body: Bytes,
    /// `max-age` of the answer, if it said one.
    pub(super) max_age: Option<Duration>,
    /// Where it came from.
    pub(super) host: Option<String>,
}

/// Why there are no new keys.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL is not one that can be fetched.
    #[error("the URL of the keys is refused")]
    Url(#[source] GrantError),
    /// The request failed or was refused on the way out.
    #[error("the request for the keys failed")]
    Egress(#[from] EgressError),
    /// Another status than 200.
    #[error("the answer has status {0} instead of 200")]
    Status(StatusCode),
    /// The discovery document is not one.
    #[error("the discovery document is not the expected JSON")]
    Document(#[source] serde_json::Error),
    /// The discovery document is that of another issuer.
    #[error("the discovery document names another issuer")]
    Issuer,
    /// The discovery document points somewhere else than it did before.
    #[error(
        "the keys moved to another host; restart, or change the issuer's block and reload, to accept that"
    )]
    Moved,
    /// The bundle has a lower sequence number than the one in force.
    #[error("the bundle is older than the one in force")]
    Older,
    /// The key set is refused as a whole.
    #[error("the key set is refused")]
    Keys(#[from] symbolon_core::token::KeySetError),
}

impl FetchError {
    /// The name in metrics and the log.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Url(_) => "url",
            Self::Egress(error) => error.code(),
            Self::Status(_) => "status",
            Self::Document(_) => "document",
            Self::Issuer => "issuer",
            Self::Moved => "moved",
            Self::Older => "older",
            Self::Keys(_) => "keys",
        }
    }
}

/// The members we need. Others are the issuer's business.
#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: String,
}

pub(super) async fn fetch(source: &KeySource, way: &Way) -> Result<Fetched, FetchError> {
    let url = match source {
        KeySource::Inline(keys) => {
            let body = Bytes::copy_from_slice(keys);
            return Ok(Fetched { body, max_age: None, host: None });
        }
        KeySource::Authorities(_) => {
            return Ok(Fetched { body: Bytes::new(), max_age: None, host: None });
        }
        KeySource::Url(url) => url.clone(),
        KeySource::Discovery { issuer } => discover(issuer, way).await?,
    };
    let response = request(&url, way).await?;
    let max_age = max_age(&response);
    let host = url.host().map(str::to_owned);
    Ok(Fetched { body: response.into_body(), max_age, host })
}

async fn discover(issuer: &str, way: &Way) -> Result<Uri, FetchError> {
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    let url = uri(&format!("{base}{}", crate::issuer::CONFIGURATION_PATH))?;
    let response = request(&url, way).await?;
    let document: Configuration =
        serde_json::from_slice(response.body()).map_err(FetchError::Document)?;
    if document.issuer != issuer {
        return Err(FetchError::Issuer);
    }
    let keys = uri(&document.jwks_uri)?;
    // An issuer on HTTPS cannot send us to its keys in the clear.
    if url.scheme() == Some(&http::uri::Scheme::HTTPS) && keys.scheme() != url.scheme() {
        return Err(FetchError::Url(symbolon_host::egress::UriError::Scheme.into()));
    }
    Ok(keys)
}

/// A fragment, which the parser drops without a word, is what other parsers end a host at.
fn uri(text: &str) -> Result<Uri, FetchError> {
    if text.contains('#') {
        return Err(FetchError::Url(symbolon_host::egress::UriError::Character.into()));
    }
    text.parse().map_err(|_| FetchError::Url(symbolon_host::egress::UriError::Host.into()))
}

async fn request(url: &Uri, way: &Way) -> Result<Response<Bytes>, FetchError> {
    let grant = grant(url, way).map_err(FetchError::Url)?;
    let client = EgressClient::new(way.network.clone(), vec![grant], ClientLimits::default());
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = url.clone();
    request.headers_mut().insert(
        header::ACCEPT,
        http::HeaderValue::from_static("application/json, application/jwk-set+json"),
    );
    let limits = FetchLimits { deadline: DEADLINE, max_body: MAX_BODY };
    let response = Box::pin(client.fetch(request, limits)).await?;
    match response.status() {
        StatusCode::OK => Ok(response),
        status => Err(FetchError::Status(status)),
    }
}

fn grant(url: &Uri, way: &Way) -> Result<Grant, GrantError> {
    let methods = Methods::parse([Method::GET.as_str()])?;
    let mut grant = Grant::new(Reach::of(url)?, methods).at(way.addresses.clone());
    if let Some(address) = url.host().and_then(|host| way.resolve.get(host)) {
        grant = grant.resolve_to(*address)?;
    }
    Ok(match &way.trust {
        Some(trust) => grant.trusting(trust.clone()),
        None => grant,
    })
}

/// `max-age` of `Cache-Control` (RFC 9111 §5.2.2.1); `no-store` and `no-cache` count as zero.
fn max_age(response: &Response<Bytes>) -> Option<Duration> {
    let values = response.headers().get_all(header::CACHE_CONTROL).iter();
    let directives = values.filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','));
    directives.map(str::trim).find_map(|directive| match directive.split_once('=') {
        Some(("max-age", seconds)) => seconds.parse().ok().map(Duration::from_secs),
        Some(_) => None,
        None => matches!(directive, "no-store" | "no-cache").then_some(Duration::ZERO),
    })
}
