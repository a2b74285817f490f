//! The sections about the gateway itself: where it keeps things, who operates it, how much it takes.

use std::path::PathBuf;
use std::time::Duration;

use symbolon_host::CompileLimits;

use super::cursor::{Block, Value};
use super::fault::Problem;
use super::parse;
use super::secret::SecretRef;
use super::url::Endpoint;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// `[store]`: the ledger.
#[derive(Clone, Debug)]
pub struct Store {
    /// Directory of the store.
    pub path: PathBuf,
    /// Bytes that the store's cache may take.
    pub cache: u64,
}

/// `[seal]`: under which everything secret at rest is kept.
#[derive(Clone, Debug)]
pub struct Seal {
    /// The key. A file that is not there is made at the first start.
    pub key: SecretRef,
}

/// `[audit]`: the evidence.
#[derive(Clone, Debug)]
pub struct Audit {
    /// Directory of the audit files.
    pub directory: PathBuf,
    /// Size at which a new file is begun.
    pub rotate_at: u64,
    /// How long an entry may take to become durable before the request fails.
    pub deadline: Duration,
    /// Disk space kept for closing what is open.
    pub reserve: u64,
    /// Over how long refusals of strangers are put together into one line.
    pub window: Duration,
}

/// `[admin]`: the operators' door.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The Unix socket.
    pub socket: PathBuf,
}

/// `[telemetry]`: what the gateway says about itself.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// Where to send traces and metrics by OTLP over HTTP; nowhere if `None`.
    pub otlp: Option<String>,
    /// `service.name` of the resource.
    pub service_name: String,
    /// Filter of the log, in the syntax of `tracing`.
    pub log: String,
    /// Form of the log.
    pub log_format: LogFormat,
    /// Spans that may wait for export; more are dropped and counted.
    pub queue: u32,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For eyes.
    Text,
}

/// `[limits]`: how often who may ask.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Requests of one principal.
    pub per_principal: Rate,
    /// Requests of all principals of one issuer.
    pub per_issuer: Rate,
    /// Refused requests from one source, before any cryptography.
    pub strangers_per_source: Rate,
    /// How long a verified token may be remembered; at most a minute.
    pub token_cache: Duration,
    /// How long an access token of the gateway's own lasts; at most fifteen minutes.
    pub access_token: Duration,
    /// Leases of one principal at a time, over all backends.
    pub leases_per_principal: u64,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second in the long run.
    pub rate: u32,
    /// Requests at once.
    pub burst: u32,
}

/// `[plugins]`: where components are.
#[derive(Clone, Debug)]
pub struct Plugins {
    /// Directory of the components.
    pub directory: PathBuf,
    /// Directory of compiled components; not kept if `None`.
    pub cache: Option<PathBuf>,
    /// What compiling one component may take.
    pub compile: CompileLimits,
    /// Whose signatures count, and what may be unsigned.
    pub trust: symbolon_host::Trust,
    /// Whether what changes in the directory is put in force without a reload.
    pub watch: bool,
}

impl Store {
    pub(super) fn read(block: &mut Block<'_>) -> Option<Self> {
        let path = block.or("path", PathBuf::from("/var/lib/symbolon/store"), parse::path);
        let cache = block.or("cache", GIB, parse::size(MIB, 1024 * GIB));
        Some(Self { path, cache })
    }
}

impl Seal {
    pub(super) fn read(block: &mut Block<'_>) -> Option<Self> {
        let default = SecretRef::File(PathBuf::from("/var/lib/symbolon/seal.key"));
        Some(Self { key: block.or("key", default, seal_key) })
    }
}

/// The seal must outlive the process and stay out of `/proc/…/environ`.
fn seal_key(value: &Value<'_>) -> Result<SecretRef, Problem> {
    match parse::secret(value)? {
        SecretRef::Environment(_) => Err(Problem::new("the seal cannot come from the environment")
            .with_help("use \"file:/path\" or \"credential:name\"")),
        place @ (SecretRef::File(_) | SecretRef::Credential(_)) => Ok(place),
    }
}

impl Audit {
    pub(super) fn read(block: &mut Block<'_>) -> Option<Self> {
        let directory = PathBuf::from("/var/log/symbolon");
        let deadline = parse::duration(Duration::from_millis(50), 30 * SECOND);
        Some(Self {
            directory: block.or("directory", directory, parse::path),
            rotate_at: block.or("rotate_at", 256 * MIB, parse::size(MIB, 64 * GIB)),
            deadline: block.or("deadline", 2 * SECOND, deadline),
            reserve: block.or("reserve", 64 * MIB, parse::size(MIB, 64 * GIB)),
            window: block.or("window", 10 * SECOND, parse::duration(SECOND, HOUR)),
        })
    }
}

impl Admin {
    pub(super) fn read(block: &mut Block<'_>) -> Option<Self> {
        Some(Self { socket: block.or("socket", PathBuf::from(super::ADMIN_SOCKET), parse::path) })
    }
}

impl Telemetry {
    pub(super) fn read(block: &mut Block<'_>) -> Option<Self> {
        const FORMATS: &[(&str, LogFormat)] =
            &[("json", LogFormat::Json), ("text", LogFormat::Text)];
        Some(Self {
            otlp: block.optional("otlp", collector),
            service_name: block.or("service_name", "symbolon".to_owned(), parse::text),
            log: block.or("log", "info".to_owned(), log_filter),
            log_format: block.or("log_format", LogFormat::Json, parse::one_of(FORMATS)),
            queue: block.or("queue", 2048, parse::integer(1, 65_536)),
        })
    }
}

/// A collector commonly stands beside the gateway without TLS; what is sent there holds no secret.
fn collector(value: &Value<'_>) -> Result<String, Problem> {
    let text = parse::text(value)?;
    let url = url::Url::parse(&text).ok();
    let fits = url.is_some_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.password().is_none()
    });
    if fits { Ok(text) } else { Err(Problem::new("is not an http or https URL")) }
}

fn log_filter(value: &Value<'_>) -> Result<String, Problem> {
    let text = parse::text(value)?;
    match tracing_subscriber::EnvFilter::builder().parse(&text) {
        Ok(_) => Ok(text),
        Err(_) => Err(Problem::new(format!("`{}` is not a log filter", parse::brief(&text)))
            .with_help("write a level (\"info\") or levels by target (\"info,symbolon=debug\")")),
    }
}

impl Limits {
    pub(super) fn read(block: &mut Block<'_>) -> Option<Self> {
        let rate = |rate, burst| Rate { rate, burst };
        Some(Self {
            per_principal: limited(block, "per_principal", rate(50, 100)),
            per_issuer: limited(block, "per_issuer", rate(1000, 2000)),
            strangers_per_source: limited(block, "strangers_per_source", rate(10, 50)),
            access_token: block.or(
                "access_token",
                5 * MINUTE,
                parse::duration(MINUTE / 2, 15 * MINUTE),
            ),
            token_cache: block.or("token_cache", MINUTE, parse::duration(Duration::ZERO, MINUTE)),
            leases_per_principal: block.or("leases_per_principal", 1000, super::database::quota),
        })
    }
}

fn limited(block: &mut Block<'_>, key: &'static str, default: Rate) -> Rate {
    block.child(key, Rate::read).unwrap_or(default)
}

impl Rate {
    pub(super) fn read(block: &mut Block<'_>) -> Option<Self> {
        let rate = block.required("rate", parse::integer(1, 10_000_000));
        let burst = block.required("burst", parse::integer(1, 10_000_000));
        Some(Self { rate: rate?, burst: burst? })
    }
}

fn compile(block: &mut Block<'_>) -> Option<CompileLimits> {
    let default = CompileLimits::default();
    let time = parse::duration(SECOND, HOUR);
    Some(CompileLimits {
        memory: block.or("memory", default.memory, parse::size(256 * MIB, 1024 * GIB)),
        cpu: block.or("cpu", default.cpu, &time),
        wall: block.or("timeout", default.wall, &time),
        ..default
    })
}

impl Plugins {
    pub(super) fn read(block: &mut Block<'_>) -> Option<Self> {
        let directory = PathBuf::from("/usr/lib/symbolon/plugins");
        Some(Self {
            directory: block.or("directory", directory, parse::path),
            cache: block.optional("cache", parse::path),
            compile: block.section("compile", compile).unwrap_or_default(),
            trust: super::signatures::read(block),
            watch: block.or("watch", true, parse::boolean),
        })
    }
}

/// `[issuer]`: the gateway as issuer of assertions.
#[derive(Clone, Debug)]
pub struct Assertions {
    /// The issuer URL in assertions: clouds fetch our public keys below it.
    pub origin: Endpoint,
}

impl Assertions {
    /// The default origin depends on `[server]`, so it is filled in by the caller.
    pub(super) fn read(block: &mut Block<'_>) -> Option<Option<Endpoint>> {
        Some(block.optional("origin", issuer_url))
    }
}

fn issuer_url(value: &Value<'_>) -> Result<Endpoint, Problem> {
    let endpoint = parse::endpoint(value)?;
    if endpoint.url().query().is_some() {
        return Err(Problem::new("an issuer URL has no query"));
    }
    let path = endpoint.url().path().trim_end_matches('/');
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let is_plain = |segment: &str| !segment.is_empty() && segment.bytes().all(allowed);
    let mut segments = path.split('/').skip(1);
    // A URL that is normalised on the way would not be the issuer of the assertions any more.
    let after_host = endpoint.as_str().split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    let written = after_host.map_or("", |(_, path)| path);
    if !segments.clone().all(is_plain) || written != path.trim_start_matches('/') {
        return Err(Problem::new("the path of an issuer URL is made of plain segments")
            .with_help("use letters, digits and `-._~`; no `..`, `//` or `%`"));
    }
    match segments.next().filter(|first| TAKEN.contains(first)) {
        None => Ok(endpoint),
        Some(first) => Err(Problem::new(format!("`/{first}` is a path of the gateway's own"))
            .with_help("use another path, such as `/assertions`, or a host of its own")),
    }
}

/// First segments of paths that mean something else.
const TAKEN: [&str; 7] = [".well-known", "healthz", "metrics", "oauth2", "readyz", "v1", "vault"];
