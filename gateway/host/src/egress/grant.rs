//! What an operator lets a plugin reach.
//!
//! A [`Reach`] is a set of URIs; a [`Grant`] is a reach with methods and the rules of its
//! connections. What a plugin may do is the intersection of what its manifest asks and what the
//! operator grants: the smaller of the two, pair by pair.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Method, Uri};
use ipnet::IpNet;

use super::address::{self, Class};
use super::destination::{Destination, Host, Scheme, UriError, check_name, check_path};
use super::tls::{ClientIdentity, Trust};

/// Why a grant cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// A part of the pattern would be refused in a request's URI too.
    #[error(transparent)]
    Uri(#[from] UriError),
    /// `*` anywhere but as `*.` before a name of at least two labels.
    #[error("a wildcard stands only as `*.` before a name of two labels or more")]
    Wildcard,
    /// An escape in the prefix: prefixes are compared as text.
    #[error("a path prefix has no escapes")]
    Prefix,
    /// A query or fragment in the pattern.
    #[error("a grant has no query")]
    Query,
    /// No method, or something that is not one, or CONNECT or TRACE.
    #[error("`{0}` is not a method that can be granted")]
    Method(String),
    /// `resolve` with a wildcard host.
    #[error("an address to resolve to belongs to one host, not to a wildcard")]
    Resolve,
    /// `resolve` to a cloud metadata address.
    #[error("cloud metadata addresses cannot be granted")]
    Metadata,
}

/// Which hosts a [`Reach`] covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// This host and no other.
    Exactly(Host),
    /// Every name below this one, at any depth; not the name itself.
    Below(String),
}

impl HostPattern {
    fn parse(text: &str) -> Result<Self, GrantError> {
        let Some(suffix) = text.strip_prefix("*.") else {
            let host = Host::parse(text);
            return if text.contains('*') {
                Err(GrantError::Wildcard)
            } else {
                Ok(Self::Exactly(host?))
            };
        };
        if suffix.contains('*') || !suffix.contains('.') {
            return Err(GrantError::Wildcard);
        }
        check_name(suffix)?;
        Ok(Self::Below(suffix.to_owned()))
    }

    fn covers(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Exactly(granted), _) => granted == host,
            (Self::Below(suffix), Host::Name(name)) => is_below(name, suffix),
            (Self::Below(_), Host::Address(_)) => false,
        }
    }

    /// The smaller of the two, if one lies in the other.
    fn narrower<'a>(&'a self, other: &'a Self) -> Option<&'a Self> {
        match (self, other) {
            (Self::Exactly(host), _) => other.covers(host).then_some(self),
            (Self::Below(_), Self::Exactly(host)) => self.covers(host).then_some(other),
            (Self::Below(mine), Self::Below(theirs)) if mine == theirs => Some(self),
            (Self::Below(mine), Self::Below(theirs)) if is_below(mine, theirs) => Some(self),
            (Self::Below(mine), Self::Below(theirs)) => is_below(theirs, mine).then_some(other),
        }
    }
}

fn is_below(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix).is_some_and(|head| head.len() > 1 && head.ends_with('.'))
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(host) => host.fmt(f),
            Self::Below(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

/// A set of URIs: one scheme, a host pattern, one port, a path prefix on a segment boundary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    scheme: Scheme,
    host: HostPattern,
    port: u16,
    prefix: String,
}

impl Reach {
    /// Makes a reach of its parts, as a manifest states them. An empty prefix is `/`.
    ///
    /// # Errors
    /// [`GrantError`] names the part that is not understood.
    pub fn new(
        scheme: &str,
        host: &str,
        port: Option<u16>,
        prefix: &str,
    ) -> Result<Self, GrantError> {
        let scheme = Scheme::parse(scheme)?;
        let host = HostPattern::parse(host)?;
        let port = port.unwrap_or(scheme.default_port());
        if port == 0 {
            return Err(UriError::Port.into());
        }
        let prefix = if prefix.is_empty() { "/" } else { prefix };
        if prefix.contains('%') {
            return Err(GrantError::Prefix);
        }
        if prefix.contains(['?', '#']) {
            return Err(GrantError::Query);
        }
        check_path(prefix)?;
        Ok(Self { scheme, host, port, prefix: prefix.to_owned() })
    }

    /// Reads `https://host[:port][/prefix]`, where the host may be `*.suffix`.
    ///
    /// # Errors
    /// [`GrantError`] names the part that is not understood.
    pub fn parse(text: &str) -> Result<Self, GrantError> {
        let (scheme, rest) = text.split_once("://").ok_or(UriError::Scheme)?;
        let path_at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, prefix) = rest.split_at_checked(path_at).ok_or(UriError::Host)?;
        if authority.contains('@') {
            return Err(UriError::UserInformation.into());
        }
        let (host, port) = match authority.rsplit_once(':') {
            // The last colon of a bare IPv6 literal is inside the brackets.
            Some((host, port)) if !port.ends_with(']') => (host, Some(parse_port(port)?)),
            Some(_) | None => (authority, None),
        };
        Self::new(scheme, host, port, prefix)
    }

    /// Exactly the origin and path of a URI (and what lies below that path).
    ///
    /// # Errors
    /// [`GrantError`] if the URI is not a plain one.
    pub fn of(uri: &Uri) -> Result<Self, GrantError> {
        let destination = Destination::parse(uri)?;
        let host = destination.host().to_string();
        let scheme = destination.scheme().as_str();
        Self::new(scheme, &host, Some(destination.port()), destination.path())
    }

    /// Whether a request to `destination` lies in this reach.
    #[must_use]
    pub fn covers(&self, destination: &Destination) -> bool {
        self.same_origin(destination) && prefix_covers(&self.prefix, destination.path())
    }

    /// Whether it is of one host, and not of every one below a name.
    #[must_use]
    pub const fn is_of_one_host(&self) -> bool {
        matches!(self.host, HostPattern::Exactly(_))
    }

    /// Whether `destination` has a scheme, host and port of this reach, whatever its path.
    #[must_use]
    pub fn same_origin(&self, destination: &Destination) -> bool {
        self.scheme == destination.scheme()
            && self.port == destination.port()
            && self.host.covers(destination.host())
    }

    fn narrower(&self, other: &Self) -> Option<Self> {
        if self.scheme != other.scheme || self.port != other.port {
            return None;
        }
        let host = self.host.narrower(&other.host)?.clone();
        let prefix = if prefix_covers(&other.prefix, &self.prefix) {
            &self.prefix
        } else if prefix_covers(&self.prefix, &other.prefix) {
            &other.prefix
        } else {
            return None;
        };
        Some(Self { scheme: self.scheme, host, port: self.port, prefix: prefix.clone() })
    }
}

fn parse_port(text: &str) -> Result<u16, UriError> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    if plain { text.parse().map_err(|_| UriError::Port) } else { Err(UriError::Port) }
}

/// `/v1/kv` covers itself and `/v1/kv/a`, not `/v1/kvs`; `/v1/kv/` covers only what is below it.
fn prefix_covers(prefix: &str, path: &str) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/'),
        None => false,
    }
}

/// As [`Reach::parse`] reads it, with the port written out.
impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port, prefix } = self;
        write!(f, "{}://{host}:{port}{prefix}", scheme.as_str())
    }
}

/// A set of methods, never empty, never with CONNECT or TRACE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Methods(Vec<Method>);

impl Methods {
    /// Reads methods, upper case. Vault's `LIST` and its like are welcome.
    ///
    /// # Errors
    /// [`GrantError::Method`] with the one that is not a method or cannot be granted.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, GrantError> {
        let methods: Result<Vec<_>, _> = names.into_iter().map(parse_method).collect();
        let methods = methods?;
        if methods.is_empty() { Err(GrantError::Method(String::new())) } else { Ok(Self(methods)) }
    }

    fn contains(&self, method: &Method) -> bool {
        self.0.contains(method)
    }

    fn narrower(&self, other: &Self) -> Option<Self> {
        self.kept(|method| other.contains(method))
    }

    fn kept(&self, keep: impl Fn(&Method) -> bool) -> Option<Self> {
        let kept: Vec<_> = self.0.iter().filter(|method| keep(method)).cloned().collect();
        (!kept.is_empty()).then_some(Self(kept))
    }
}

fn parse_method(name: &str) -> Result<Method, GrantError> {
    let refused = || GrantError::Method(name.chars().take(32).collect());
    let plain = (1..=16).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_uppercase());
    if !plain || matches!(name, "CONNECT" | "TRACE") {
        return Err(refused());
    }
    Method::from_bytes(name.as_bytes()).map_err(|_| refused())
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(Method::as_str).collect();
        f.write_str(&names.join(","))
    }
}

/// One thing that may be reached, and how.
#[derive(Clone, Debug)]
pub struct Grant {
    reach: Reach,
    methods: Methods,
    addresses: Vec<IpNet>,
    resolve: Option<SocketAddr>,
    encoded_slashes: bool,
    trust: Option<Trust>,
    identity: Option<Arc<ClientIdentity>>,
}

impl Grant {
    /// Grants `methods` on `reach`, at public addresses, trusting the system's roots.
    #[must_use]
    pub const fn new(reach: Reach, methods: Methods) -> Self {
        Self {
            reach,
            methods,
            addresses: Vec::new(),
            resolve: None,
            encoded_slashes: false,
            trust: None,
            identity: None,
        }
    }

    /// Also lets the host be at private, loopback or other special addresses within `networks`.
    /// Metadata addresses stay refused.
    #[must_use]
    pub fn at(mut self, networks: Vec<IpNet>) -> Self {
        self.addresses = networks;
        self
    }

    /// Dials `address` instead of asking the resolver, as `curl --resolve` does. All other checks,
    /// and the name in TLS, stay on the URI. The operator names the address, so it needs no
    /// further grant; a metadata address is refused all the same.
    ///
    /// # Errors
    /// [`GrantError::Resolve`] for a wildcard host, [`GrantError::Metadata`].
    pub fn resolve_to(mut self, address: SocketAddr) -> Result<Self, GrantError> {
        if matches!(self.reach.host, HostPattern::Below(_)) {
            return Err(GrantError::Resolve);
        }
        if address::classify(address.ip()) == Class::Metadata {
            return Err(GrantError::Metadata);
        }
        self.resolve = Some(address);
        Ok(self)
    }

    /// Lets `%2F` stand in a path, for services whose ids contain slashes.
    #[must_use]
    pub const fn with_encoded_slashes(mut self) -> Self {
        self.encoded_slashes = true;
        self
    }

    /// Trusts these roots instead of the system's.
    #[must_use]
    pub fn trusting(mut self, trust: Trust) -> Self {
        self.trust = Some(trust);
        self
    }

    /// Presents this client certificate.
    #[must_use]
    pub fn presenting(mut self, identity: Arc<ClientIdentity>) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Which URIs.
    #[must_use]
    pub const fn reach(&self) -> &Reach {
        &self.reach
    }

    pub(super) fn addresses(&self) -> &[IpNet] {
        &self.addresses
    }

    pub(super) const fn resolve(&self) -> Option<SocketAddr> {
        self.resolve
    }

    pub(super) const fn trust(&self) -> Option<&Trust> {
        self.trust.as_ref()
    }

    pub(super) const fn identity(&self) -> Option<&Arc<ClientIdentity>> {
        self.identity.as_ref()
    }

    /// Whether the grant allows `method` on `destination`.
    #[must_use]
    pub fn allows(&self, method: &Method, destination: &Destination) -> bool {
        let slashes_fit = self.encoded_slashes || !destination.path().contains("%2F");
        slashes_fit && self.methods.contains(method) && self.reach.covers(destination)
    }

    /// What `asked` and this grant have in common, with this grant's rules of connection.
    fn narrowed_to(&self, asked: &Self) -> Option<Self> {
        let reach = self.reach.narrower(&asked.reach)?;
        let methods = self.methods.narrower(&asked.methods)?;
        Some(Self { reach, methods, ..self.clone() })
    }
}

/// As an operator would write it: `GET,POST https://host:443/prefix`.
impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.methods, self.reach)
    }
}

/// What a plugin may do of what it asks.
#[derive(Clone, Debug)]
pub struct Intersection {
    /// In the order of the operator's grants: of two that fit a request, the first decides.
    pub grants: Vec<Grant>,
    /// What the manifest asks and no grant meets, for the operator to read: with the methods that
    /// are missing.
    pub unmet: Vec<String>,
    /// What the operator grants and the manifest does not ask.
    pub unused: Vec<String>,
}

/// Intersects what a manifest asks with what the operator grants.
#[must_use]
pub fn intersect(asked: &[Grant], granted: &[Grant]) -> Intersection {
    let grants = granted
        .iter()
        .flat_map(|grant| asked.iter().filter_map(|ask| grant.narrowed_to(ask)))
        .collect();
    let unmet = asked.iter().filter_map(|ask| missing(ask, granted)).collect();
    let is_unused = |grant: &&Grant| asked.iter().all(|ask| grant.narrowed_to(ask).is_none());
    let unused = granted.iter().filter(is_unused).map(ToString::to_string).collect();
    Intersection { grants, unmet, unused }
}

/// What of `ask` no grant meets.
fn missing(ask: &Grant, granted: &[Grant]) -> Option<String> {
    let near: Vec<_> = granted.iter().filter(|g| g.reach.narrower(&ask.reach).is_some()).collect();
    let methods = ask.methods.kept(|method| !near.iter().any(|g| g.methods.contains(method)))?;
    Some(format!("{methods} {}", ask.reach))
}

#[cfg(test)]
mod tests;
