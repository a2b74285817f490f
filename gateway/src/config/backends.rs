//! `[backends.*]` and `[targets.*]`: plugins put to use.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use symbolon_core::id::{PluginName, RoleName, TargetName};

use super::base::Rate;
use super::cursor::{Block, Value};
use super::database::{Database, Role, quota, ttl};
use super::egress::Egress;
use super::exchange::Exchange;
use super::fault::Problem;
use super::parse;
use super::secret::SecretRef;

const SECOND: Duration = Duration::from_secs(1);
const MIB: u64 = 1 << 20;

/// A configured instance of a plugin that keeps secrets or issues credentials.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Which component.
    pub plugin: PluginRef,
    /// What the plugin is told.
    pub settings: Settings,
    /// Where it may send requests.
    pub egress: Vec<Egress>,
    /// What the host adds to its requests.
    pub credentials: Option<Credentials>,
    /// What a call may take.
    pub limits: CallLimits,
    /// The database to which the host logs in for it.
    pub database: Option<Database>,
    /// What it issues.
    pub roles: BTreeMap<RoleName, Role>,
    /// How long anything it issues may last, whatever a role says.
    pub ttl_max: Option<Duration>,
    /// Most leases at a time, over all roles.
    pub max_leases: Option<u64>,
}

/// A configured token exchange.
#[derive(Clone, Debug)]
pub struct Target {
    /// Which component.
    pub plugin: PluginRef,
    /// `aud` of the assertion. No caller can choose it.
    pub audience: String,
    /// `sub` of the assertion.
    pub subject: AssertionSubject,
    /// How long what it gives lasts at most.
    pub ttl: Duration,
    /// What callers get of it.
    pub exchange: Exchange,
    /// What the plugin is told.
    pub settings: Settings,
    /// Where it may send requests.
    pub egress: Vec<Egress>,
    /// What the host adds to its requests.
    pub credentials: Option<Credentials>,
    /// What a call may take.
    pub limits: CallLimits,
}

/// A component, by name and optionally by version and digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginRef {
    /// The plugin's name.
    pub name: PluginName,
    /// Its version; the only one in the catalog if `None`.
    pub version: Option<String>,
    /// SHA-256 of the component, in hex; not pinned if `None`.
    pub digest: Option<String>,
}

/// Whom an assertion names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AssertionSubject {
    /// The gateway.
    Gateway,
    /// The calling workload.
    Caller,
}

/// What a plugin is told: one JSON object. Debug output shows nothing of it, since development
/// backends hold their values there.
#[derive(Clone, PartialEq)]
pub struct Settings(serde_json::Value);

impl Settings {
    /// The JSON object.
    #[must_use]
    pub fn as_json(&self) -> &serde_json::Value {
        &self.0
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{…}")
    }
}

/// What the host adds to requests towards one host, after the plugin has let go of them.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The credential.
    pub source: CredentialSource,
    /// The granted host that gets it.
    pub host: String,
}

/// A credential, or where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialSource {
    /// The short token that a target obtains.
    Target {
        /// The target.
        name: TargetName,
        /// What its keys sign for, if it gives keys of AWS and the plugin's manifest does not say.
        scope: Option<Scope>,
    },
    /// `Authorization: Bearer`.
    Bearer(SecretRef),
    /// One header.
    Header {
        /// Its name, in lower case.
        name: String,
        /// Its value.
        value: SecretRef,
    },
    /// `Authorization: Basic`.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: SecretRef,
    },
    /// AWS Signature Version 4.
    SigV4(SigV4),
    /// A short token that the host signs, as `Authorization: Bearer`.
    Jwt(Jwt),
}

/// What a signature of AWS holds for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Such as `secretsmanager`.
    pub service: String,
    /// Such as `eu-central-1`.
    pub region: String,
}

/// A token of an app that is known by its key, as GitHub Apps are: RS256, and nothing in it but who
/// and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwt {
    /// The private key, PEM.
    pub key: SecretRef,
    /// `iss`: the app's id.
    pub issuer: String,
    /// How long a token lasts from now.
    pub lifetime: Duration,
}

/// Keys for AWS Signature Version 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigV4 {
    /// Access key id.
    pub access_key_id: SecretRef,
    /// Secret access key.
    pub secret_access_key: SecretRef,
    /// Session token, for temporary keys.
    pub session_token: Option<SecretRef>,
    /// Region, as in the credential scope.
    pub region: String,
    /// Service, as in the credential scope.
    pub service: String,
}

/// What one call of a plugin may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// Bytes of memory.
    pub memory: u64,
    /// CPU time.
    pub cpu: Duration,
    /// Time from call to answer.
    pub timeout: Duration,
    /// Calls at a time.
    pub concurrency: u32,
    /// Calls a second.
    pub rate: Option<Rate>,
    /// Bytes of one upstream answer.
    pub response: u64,
}

impl Backend {
    pub(super) fn read(block: &mut Block<'_>) -> Option<Self> {
        let plugin = PluginRef::read(block);
        let settings = settings(block);
        let egress = block.blocks("egress", Egress::read);
        let credentials = credentials(block, &egress);
        let limits = block.section("limits", CallLimits::read);
        let database = block.child("database", Database::read);
        let ttl_max = block.optional("ttl_max", ttl);
        let roles = block.entries("roles", parse::chosen_name, |role| Role::read(role, ttl_max));
        let max_leases = block.optional("max_leases", quota);
        Some(Self {
            plugin: plugin?,
            settings,
            egress,
            credentials,
            limits: limits?,
            database,
            roles,
            ttl_max,
            max_leases,
        })
    }
}

impl Target {
    pub(super) fn read(block: &mut Block<'_>) -> Option<Self> {
        const SUBJECTS: &[(&str, bool)] = &[("gateway", false), ("caller", true)];
        let plugin = PluginRef::read(block);
        let audience = block.required("audience", parse::text);
        let is_caller = block.or("subject", false, parse::one_of(SUBJECTS));
        let ttl = parse::duration(30 * SECOND, 24 * 3600 * SECOND);
        let ttl = block.or("ttl", 300 * SECOND, ttl);
        let exchange = Exchange::read(block);
        let settings = settings(block);
        let egress = block.blocks("egress", Egress::read);
        let credentials = credentials(block, &egress);
        let limits = block.section("limits", CallLimits::read);
        Some(Self {
            plugin: plugin?,
            audience: audience?,
            subject: if is_caller { AssertionSubject::Caller } else { AssertionSubject::Gateway },
            ttl,
            exchange,
            settings,
            egress,
            credentials,
            limits: limits?,
        })
    }
}

impl PluginRef {
    fn read(block: &mut Block<'_>) -> Option<Self> {
        let name = block.required("plugin", parse::name);
        let version = block.optional("version", version);
        let digest = block.optional("digest", digest);
        Some(Self { name: name?, version, digest })
    }
}

fn version(value: &Value<'_>) -> Result<String, Problem> {
    let text = parse::text(value)?;
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+".contains(&b));
    let begins_well = text.bytes().next().is_some_and(|first| first.is_ascii_digit());
    match plain && begins_well && text.len() <= 64 {
        true => Ok(text),
        false => Err(Problem::new("is not a version")
            .with_help("write it as \"0.1.0\"; ranges are not supported")),
    }
}

fn digest(value: &Value<'_>) -> Result<String, Problem> {
    let text = value.text()?;
    let hex = text.strip_prefix("sha256:").filter(|hex| {
        hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    });
    hex.map(str::to_owned).ok_or_else(|| {
        Problem::new("is not a digest")
            .with_help("`sha256:` and 64 lower-case hex digits, as `symbolon plugin inspect` shows")
    })
}

/// What a plugin is told, at the key `config` of `block`.
pub(super) fn settings(block: &mut Block<'_>) -> Settings {
    let object = |value: &Value<'_>| match value.toml.is_table() {
        true => parse::json(value),
        false => Err(value.expected("a table")),
    };
    Settings(block.or("config", serde_json::Value::Object(serde_json::Map::new()), object))
}

fn credentials(block: &mut Block<'_>, egress: &[Egress]) -> Option<Credentials> {
    block.child("credentials", |block| Credentials::read(block, egress))
}

impl Credentials {
    fn read(block: &mut Block<'_>, egress: &[Egress]) -> Option<Self> {
        block.exactly_one(&["target", "bearer", "header", "basic", "sigv4", "jwt"]);
        let scope = Scope::read(block);
        let target = block.optional("target", parse::name);
        let target = target.map(|name| CredentialSource::Target { name, scope });
        let bearer = block.optional("bearer", parse::secret).map(CredentialSource::Bearer);
        let header = block.child("header", header);
        let basic = block.child("basic", basic);
        let sigv4 = block.child("sigv4", SigV4::read).map(CredentialSource::SigV4);
        let jwt = block.child("jwt", Jwt::read).map(CredentialSource::Jwt);
        let named = block.optional("host", parse::host);
        let host = receiver(block, named, egress);
        let source = target.or(bearer).or(header).or(basic).or(sigv4).or(jwt);
        Some(Self { source: source?, host: host? })
    }
}

/// The host that gets the credential: the named one if it is granted, or the only one there is.
fn receiver(block: &Block<'_>, named: Option<String>, egress: &[Egress]) -> Option<String> {
    let of_one = egress.iter().filter(|grant| !grant.host.starts_with("*."));
    let mut hosts: Vec<&str> = of_one.map(|grant| grant.host.as_str()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    match (named, hosts.as_slice()) {
        (Some(named), hosts) if hosts.contains(&named.as_str()) => Some(named),
        (Some(_), _) => {
            block.fault_at("host", Problem::new("is not a host that `egress` grants"));
            None
        }
        (None, [only]) => Some((*only).to_owned()),
        (None, _) if block.has("host") => None,
        (None, []) => {
            let problem = Problem::new("no egress is granted that could carry a credential");
            block.fault(
                problem.with_help("a credential goes to a host that is granted by its name"),
            );
            None
        }
        (None, _) => {
            let problem = Problem::new("several hosts are granted")
                .with_help("say with `host = \"…\"` which of them gets the credential");
            block.fault(problem);
            None
        }
    }
}

fn header(block: &mut Block<'_>) -> Option<CredentialSource> {
    let name = block.required("name", header_name);
    let value = block.required("value", parse::secret);
    Some(CredentialSource::Header { name: name?, value: value? })
}

fn header_name(value: &Value<'_>) -> Result<String, Problem> {
    const FRAMING: &[&str] =
        &["host", "content-length", "transfer-encoding", "connection", "te", "upgrade", "trailer"];
    let name = http::HeaderName::from_bytes(value.text()?.as_bytes())
        .map_err(|_| Problem::new("is not the name of a header"))?;
    match FRAMING.contains(&name.as_str()) {
        true => Err(Problem::new("frames the request and carries no credential")),
        false => Ok(name.as_str().to_owned()),
    }
}

fn basic(block: &mut Block<'_>) -> Option<CredentialSource> {
    let user = block.required("user", |value| match parse::text(value)? {
        user if user.contains(':') => {
            Err(Problem::new("a user of basic authentication has no `:`"))
        }
        user => Ok(user),
    });
    let password = block.required("password", parse::secret);
    Some(CredentialSource::Basic { user: user?, password: password? })
}

impl SigV4 {
    fn read(block: &mut Block<'_>) -> Option<Self> {
        let access_key_id = block.required("access_key_id", parse::secret);
        let secret_access_key = block.required("secret_access_key", parse::secret);
        let session_token = block.optional("session_token", parse::secret);
        let region = block.required("region", parse::text);
        let service = block.required("service", parse::text);
        Some(Self {
            access_key_id: access_key_id?,
            secret_access_key: secret_access_key?,
            session_token,
            region: region?,
            service: service?,
        })
    }
}

impl Scope {
    /// Both keys or neither, and only beside a target.
    fn read(block: &mut Block<'_>) -> Option<Self> {
        let service = block.optional("service", scope_part);
        let region = block.optional("region", scope_part);
        for (key, other) in [("service", "region"), ("region", "service")] {
            if block.has(key) && !block.has("target") {
                block.fault_at(key, Problem::new("belongs to a `target` that gives keys of AWS"));
            } else if block.has(key) && !block.has(other) {
                block.missing(other);
            }
        }
        Some(Self { service: service?, region: region? })
    }
}

/// A part of a credential scope.
fn scope_part(value: &Value<'_>) -> Result<String, Problem> {
    let text = value.text()?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    match (1..=63).contains(&text.len()) && text.bytes().all(plain) {
        true => Ok(text.to_owned()),
        false => Err(Problem::new("is no service or region of AWS")
            .with_help("as in a credential scope: \"secretsmanager\", \"eu-central-1\"")),
    }
}

impl Jwt {
    fn read(block: &mut Block<'_>) -> Option<Self> {
        let key = block.required("key", parse::secret);
        let issuer = block.required("issuer", parse::text);
        // GitHub refuses what ends later than in ten minutes, by its own clock.
        let lifetime = parse::duration(60 * SECOND, 600 * SECOND);
        let lifetime = block.or("lifetime", 540 * SECOND, lifetime);
        Some(Self { key: key?, issuer: issuer?, lifetime })
    }
}

impl CallLimits {
    fn read(block: &mut Block<'_>) -> Option<Self> {
        let milliseconds = Duration::from_millis;
        let timeout = parse::duration(milliseconds(100), 120 * SECOND);
        Some(Self {
            memory: block.or("memory", 64 * MIB, parse::size(MIB, 4096 * MIB)),
            cpu: block.or("cpu", SECOND, parse::duration(milliseconds(10), 60 * SECOND)),
            timeout: block.or("timeout", 10 * SECOND, timeout),
            concurrency: block.or("concurrency", 64, parse::integer(1, 10_000)),
            rate: block.child("rate", Rate::read),
            response: block.or("response", MIB, parse::size(1 << 10, 64 * MIB)),
        })
    }
}
