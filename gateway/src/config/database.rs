//! `[backends.*.database]` and `[backends.*.roles.*]`: a database that the host logs in to for a
//! plugin, and what the backend issues.
//!
//! INVARIANT: without TLS a database is only reached on loopback: every network in `addresses` is
//! loopback, and so is the address in `resolve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use symbolon_core::lease::OnRevoke;

use super::backends::{Settings, settings};
use super::cursor::{Block, Value};
use super::fault::Problem;
use super::parse;
use super::secret::SecretRef;

const SECOND: Duration = Duration::from_secs(1);
/// Of a dynamic credential, unless the role says otherwise.
const TTL: Duration = Duration::from_secs(30 * 60);
const MAX_TTL: Duration = Duration::from_secs(24 * 3600);
const MAX_LEASES: u64 = 100_000_000;
/// PostgreSQL cuts longer identifiers, and would then find another.
const MAX_IDENTIFIER_BYTES: usize = 63;

/// A database that the host logs in to, so that the plugin can send statements.
#[derive(Clone, Debug)]
pub struct Database {
    /// The host: the name that TLS proves, and the one that is resolved.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Which database to open unless a statement says otherwise.
    pub name: String,
    /// The login. Not a superuser.
    pub user: String,
    /// The login's password. One that was rotated since takes its place.
    pub password: SecretRef,
    /// Certificate authorities (PEM) instead of the system's.
    pub ca: Option<PathBuf>,
    /// How the server proves who it is.
    pub tls: DatabaseTls,
    /// Private and loopback networks that may be dialled. Metadata addresses never are.
    pub addresses: Vec<IpNet>,
    /// Where to dial instead of asking the resolver; the name in TLS stays the host's.
    pub resolve: Option<SocketAddr>,
    /// Most connections at a time.
    pub connections: u32,
    /// Whether each issued login is tried after its end.
    pub probe: bool,
}

/// How the server of a database proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseTls {
    /// By a certificate for the host's name.
    VerifyFull,
    /// Not at all: only on loopback.
    Disable,
}

/// What a backend issues under one name.
#[derive(Clone, Debug)]
pub struct Role {
    /// How long a lease lasts unless the caller asks for less.
    pub ttl: Duration,
    /// How long one may last, renewals included.
    pub ttl_max: Duration,
    /// Most leases at a time.
    pub max_leases: Option<u64>,
    /// What the plugin is told of the role.
    pub settings: Settings,
    /// Whether its callers share one credential, and what becomes of that when one of them is revoked.
    pub shared: Option<OnRevoke>,
}

impl Database {
    pub(super) fn read(block: &mut Block<'_>) -> Option<Self> {
        const TLS: &[(&str, DatabaseTls)] =
            &[("verify-full", DatabaseTls::VerifyFull), ("disable", DatabaseTls::Disable)];
        let host = block.required("host", parse::host);
        let port = block.or("port", 5432, parse::integer(1, u16::MAX));
        let name = block.required("name", identifier);
        let user = block.required("user", identifier);
        let password = block.required("password", parse::secret);
        let ca = block.optional("ca", parse::path);
        let tls = block.or("tls", DatabaseTls::VerifyFull, parse::one_of(TLS));
        let addresses = block.list("addresses", parse::network).unwrap_or_default();
        let resolve = block.optional("resolve", parse::socket_address);
        let connections = block.or("connections", 8, parse::integer(1, 1000));
        let probe = block.or("probe", true, parse::boolean);
        check_transport(block, tls, &addresses, resolve);
        Some(Self {
            host: host?,
            port,
            name: name?,
            user: user?,
            password: password?,
            ca,
            tls,
            addresses,
            resolve,
            connections,
            probe,
        })
    }
}

fn check_transport(
    block: &Block<'_>,
    tls: DatabaseTls,
    addresses: &[IpNet],
    resolve: Option<SocketAddr>,
) {
    let loopback = |net: &IpNet| net.network().is_loopback() && net.broadcast().is_loopback();
    let stays = !addresses.is_empty()
        && addresses.iter().all(loopback)
        && resolve.is_none_or(|address| address.ip().is_loopback());
    if tls == DatabaseTls::Disable && !stays {
        let problem = Problem::new("a database is only reached without TLS on loopback")
            .with_help("leave it out, or name loopback alone in `addresses = [\"127.0.0.0/8\"]`");
        block.fault_at("tls", problem);
    }
}

fn identifier(value: &Value<'_>) -> Result<String, Problem> {
    match parse::text(value)? {
        text if text.len() > MAX_IDENTIFIER_BYTES => {
            Err(Problem::new(format!("is longer than {MAX_IDENTIFIER_BYTES} bytes"))
                .with_help("PostgreSQL cuts longer names, and would then find another"))
        }
        text => Ok(text),
    }
}

/// How long something may be leased.
pub(super) fn ttl(value: &Value<'_>) -> Result<Duration, Problem> {
    parse::duration(SECOND, MAX_TTL)(value)
}

/// How many leases there may be at a time.
pub(super) fn quota(value: &Value<'_>) -> Result<u64, Problem> {
    parse::integer(1, MAX_LEASES)(value)
}

impl Role {
    /// Reads a role of a backend with a ceiling of its own.
    pub(super) fn read(block: &mut Block<'_>, of_backend: Option<Duration>) -> Option<Self> {
        let asked = block.optional("ttl", ttl);
        let ceiling = block.optional("ttl_max", ttl);
        for (ceiling, name) in [(ceiling, "`ttl_max`"), (of_backend, "the backend's `ttl_max`")] {
            // The smaller would hold anyway; who wrote both meant one of them.
            if asked.zip(ceiling).is_some_and(|(asked, ceiling)| asked > ceiling) {
                block.fault_at("ttl", Problem::new(format!("is longer than {name}")));
            }
        }
        let ttl_max = ceiling.unwrap_or_else(|| asked.unwrap_or(TTL).max(TTL));
        Some(Self {
            ttl: asked.unwrap_or_else(|| TTL.min(ttl_max).min(of_backend.unwrap_or(MAX_TTL))),
            ttl_max,
            max_leases: block.optional("max_leases", quota),
            settings: settings(block),
            shared: shared(block),
        })
    }
}

fn shared(block: &mut Block<'_>) -> Option<OnRevoke> {
    const WAYS: &[(&str, OnRevoke)] =
        &[("rotate", OnRevoke::Rotate), ("keep", OnRevoke::Keep), ("end", OnRevoke::End)];
    let is_shared = block.or("shared", false, parse::boolean);
    let on_revoke = block.optional("on_revoke", parse::one_of(WAYS));
    if on_revoke.is_some() && !is_shared {
        let problem = Problem::new("says what becomes of a shared credential, and none is shared")
            .with_help("add `shared = true`, or leave it out");
        block.fault_at("on_revoke", problem);
    }
    is_shared.then(|| on_revoke.unwrap_or(OnRevoke::Rotate))
}
