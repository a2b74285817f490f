//! Where the gateway may go: grants of backends and targets, and how a host is reached.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use symbolon_host::egress::{Reach as GrantedReach, Scheme};

use super::cursor::{Block, Value};
use super::fault::Problem;
use super::parse;
use super::server::Tls;

/// How a host is reached: beyond the system's roots, resolver and the ban on private addresses.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// Certificate authorities (PEM) instead of the system's.
    pub ca: Option<PathBuf>,
    /// Private and loopback networks that may be dialled. Metadata addresses never are.
    pub addresses: Vec<IpNet>,
    /// Where to dial for a host, as `curl --resolve` does; the checks stay on the URI.
    pub resolve: BTreeMap<String, SocketAddr>,
}

/// One permission to send requests.
#[derive(Clone, Debug)]
pub struct Egress {
    /// `https`, or `http` to loopback networks.
    pub scheme: Scheme,
    /// The one host, or `*.suffix` for every name below one.
    pub host: String,
    /// The one port.
    pub port: u16,
    /// Methods that may be used.
    pub methods: Vec<String>,
    /// What the path must begin with, on a segment boundary.
    pub path_prefix: String,
    /// How the host is reached.
    pub reach: Reach,
    /// The certificate to show.
    pub client_certificate: Option<Tls>,
}

impl Reach {
    /// Reads the keys of a [`Reach`], which stand beside others in their table.
    pub(super) fn read(block: &mut Block<'_>) -> Self {
        Self {
            ca: block.optional("ca", parse::path),
            addresses: block.list("addresses", parse::network).unwrap_or_default(),
            resolve: block.pairs("resolve", override_of).into_iter().collect(),
        }
    }

    fn is_loopback_only(&self) -> bool {
        let loopback = |net: &IpNet| net.network().is_loopback() && net.broadcast().is_loopback();
        !self.addresses.is_empty() && self.addresses.iter().all(loopback)
    }
}

fn override_of(host: &str, value: &Value<'_>) -> Result<(String, SocketAddr), Problem> {
    Ok((parse::checked_host(host)?, parse::socket_address(value)?))
}

impl Egress {
    pub(super) fn read(block: &mut Block<'_>) -> Option<Self> {
        const SCHEMES: &[(&str, Scheme)] = &[("https", Scheme::Https), ("http", Scheme::Http)];
        let scheme = block.or("scheme", Scheme::Https, parse::one_of(SCHEMES));
        let host = block.required("host", host_pattern);
        let port = block.or("port", scheme.default_port(), parse::integer(1, u16::MAX));
        let methods = block.list("methods", method);
        if methods.as_ref().is_none_or(Vec::is_empty) && !block.has("methods") {
            block.missing("methods");
        }
        let path_prefix = block.or("path_prefix", "/".to_owned(), path_prefix);
        let reach = Reach::read(block);
        let client_certificate = block.child("client_certificate", Tls::read);
        if scheme == Scheme::Http && !reach.is_loopback_only() {
            let problem = Problem::new("plain http is only granted to loopback networks")
                .with_help("use https, or name loopback in `addresses = [\"127.0.0.0/8\"]`");
            block.fault_at("scheme", problem);
        }
        if host.as_ref().is_some_and(|host| host.starts_with("*.")) {
            named_hosts_only(block);
        }
        let methods = methods?;
        Some(Self { scheme, host: host?, port, methods, path_prefix, reach, client_certificate })
    }
}

/// What belongs to one host has no place at a grant for many.
fn named_hosts_only(block: &Block<'_>) {
    for key in ["resolve", "client_certificate"] {
        if block.has(key) {
            let problem =
                Problem::new("belongs to one host, and this grant is for every name below one")
                    .with_help("grant that host by its name");
            block.fault_at(key, problem);
        }
    }
}

/// A host, or `*.` before a name of at least two labels: a wildcard below a top-level domain would
/// be a grant for strangers.
fn host_pattern(value: &Value<'_>) -> Result<String, Problem> {
    let text = value.text()?;
    if !text.contains('*') {
        return parse::checked_host(text);
    }
    match GrantedReach::new("https", text, None, "/") {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(Problem::new(error.to_string())
            .with_help("write it as \"*.vault.example.com\", or name the host")),
    }
}

fn method(value: &Value<'_>) -> Result<String, Problem> {
    let text = value.text()?;
    if !text.is_empty() && text.len() <= 16 && text.bytes().all(|b| b.is_ascii_uppercase()) {
        return Ok(text.to_owned());
    }
    Err(Problem::new("is not a method").with_help("in capitals: \"GET\", \"POST\", \"LIST\""))
}

fn path_prefix(value: &Value<'_>) -> Result<String, Problem> {
    let text = parse::text(value)?;
    let segments_are_plain = text.split('/').all(|segment| segment != "." && segment != "..");
    let plain =
        text.is_ascii() && !text.contains(['%', '?', '#', '\\', ' ']) && !text.contains("//");
    if text.starts_with('/') && plain && segments_are_plain {
        return Ok(text);
    }
    Err(Problem::new("is not the beginning of a path")
        .with_help("begin with `/`; no `..`, `//`, `%`, query or fragment"))
}
