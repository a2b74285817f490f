//! The configuration: one TOML file, read as a whole or not at all.
//!
//! What can be wrong with a file is found here, before anything listens: every fault at once, each
//! with its line, column and key. Behind this door there are only typed values; nothing else in the
//! gateway reads TOML or the environment.
//!
//! INVARIANT: a [`Config`] is complete and agrees with itself: targets that are named exist, no two
//! issuers share a name, secrets are references, plain HTTP stays on loopback. [`Config::parse`] is
//! its only maker and touches no file but through its argument; [`Config::load`] reads the one file.
//!
//! Not checked here: whether files that are named exist, whether a plugin is in the catalog (a
//! missing one degrades its backends, never the start), whether policies are valid.
//! `symbolon check` asks those too.

mod agreement;
mod aliases;
mod backends;
mod base;
mod cursor;
mod database;
mod diff;
mod egress;
mod environment;
mod exchange;
mod fault;
mod issuers;
mod parse;
mod policies;
mod secret;
mod server;
mod signatures;
mod spelling;
mod url;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use symbolon_core::alias::Alias;
use symbolon_core::id::{BackendName, IssuerAlias, TargetName};
use symbolon_core::path::SecretPath;

pub use self::backends::{
    AssertionSubject, Backend, CallLimits, CredentialSource, Credentials, Jwt, PluginRef, Scope,
    Settings, SigV4, Target,
};
pub use self::base::{
    Admin, Assertions, Audit, Limits, LogFormat, Plugins, Rate, Seal, Store, Telemetry,
};
pub use self::database::{Database, DatabaseTls, Role};
pub use self::diff::{Change, ChangeKind, diff};
pub use self::egress::{Egress, Reach};
pub use self::environment::variable;
pub use self::exchange::{Assertion, Claims, Exchange, LongSubject};
pub use self::fault::{Fault, Faults};
pub use self::issuers::{Issuer, Keys, Review};
pub use self::policies::Policies;
pub use self::secret::{SecretError, SecretRef};
pub use self::server::{Discovery, Server, Tls};
pub use self::url::{Endpoint, Origin};

use self::cursor::{Block, Document};
use self::diff::Fingerprint;

/// Where the admin socket is unless the configuration says otherwise.
pub const ADMIN_SOCKET: &str = "/run/symbolon/admin.sock";

/// A configuration of thousands of backends fits; a disk image named by mistake does not.
const MAX_FILE_BYTES: u64 = 8 << 20;

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[server]`.
    pub server: Server,
    /// `[issuer]`: the gateway as issuer of assertions.
    pub assertions: Assertions,
    /// `[store]`.
    pub store: Store,
    /// `[seal]`.
    pub seal: Seal,
    /// `[audit]`.
    pub audit: Audit,
    /// `[admin]`.
    pub admin: Admin,
    /// `[telemetry]`.
    pub telemetry: Telemetry,
    /// `[limits]`.
    pub limits: Limits,
    /// `[plugins]`.
    pub plugins: Plugins,
    /// `[policies]`.
    pub policies: Policies,
    /// `[issuers.*]`: whose identities are believed.
    pub issuers: BTreeMap<IssuerAlias, Issuer>,
    /// `[backends.*]`.
    pub backends: BTreeMap<BackendName, Backend>,
    /// `[targets.*]`.
    pub targets: BTreeMap<TargetName, Target>,
    /// `[aliases]`: names of secrets that say nothing of where they are.
    pub aliases: BTreeMap<SecretPath, Alias>,
    file: PathBuf,
    fingerprint: Fingerprint,
}

impl Config {
    /// Reads and parses the file at `path`.
    ///
    /// # Errors
    /// [`Faults`], all of them.
    pub fn load(path: &Path) -> Result<Self, Faults> {
        let text = read_text(path).map_err(|error| {
            Faults::new(vec![Fault::of_file(path, format!("cannot be read: {error}"))])
        })?;
        Self::parse(&text, path)
    }

    /// Parses `text` as the content of `file`, against whose directory relative paths are resolved.
    ///
    /// # Errors
    /// [`Faults`], all of them.
    pub fn parse(text: &str, file: &Path) -> Result<Self, Faults> {
        let document = Document::new(text, file);
        let config = document.read(|root| Self::read(root, file));
        // Cross-checks on half a configuration would report the other half as missing.
        if let Some(config) = &config
            && document.is_sound()
        {
            agreement::check(config, &document);
        }
        let config = config.map(|config| Self { fingerprint: Fingerprint::of(text), ..config });
        document.conclude(config)
    }

    /// Every key there is, with `*` for chosen names and `[]` for lists of tables. The documentation
    /// is tested against it.
    #[must_use]
    pub fn keys() -> BTreeSet<String> {
        let document = Document::survey();
        let _faulty = document.read(|root| Self::read(root, Path::new("")));
        document.into_patterns()
    }

    /// The file it came from.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Every secret that is referred to, with its key.
    #[must_use]
    pub fn secrets(&self) -> Vec<(String, &SecretRef)> {
        agreement::secrets(self)
    }

    fn read(root: &mut Block<'_>, file: &Path) -> Option<Self> {
        let server = root.section("server", Server::read);
        let assertions = root.section("issuer", Assertions::read);
        let store = root.section("store", Store::read);
        let seal = root.section("seal", Seal::read);
        let audit = root.section("audit", Audit::read);
        let admin = root.section("admin", Admin::read);
        let telemetry = root.section("telemetry", Telemetry::read);
        let limits = root.section("limits", Limits::read);
        let plugins = root.section("plugins", Plugins::read);
        let policies = root.section("policies", Policies::read);
        let audience = server.as_ref().map(|server| server.public_origin.as_str());
        let alias = parse::chosen_name::<IssuerAlias>;
        let issuers = root.entries("issuers", alias, |block| Issuer::read(block, audience));
        let backends = root.entries("backends", parse::chosen_name, Backend::read);
        let targets = root.entries("targets", parse::chosen_name, Target::read);
        let aliases = root.entries("aliases", aliases::name, aliases::read);
        let server = server?;
        let default_origin = || server.public_origin.below("/assertions");
        let origin = assertions?.unwrap_or_else(default_origin);
        Some(Self {
            assertions: Assertions { origin },
            server,
            store: store?,
            seal: seal?,
            audit: audit?,
            admin: admin?,
            telemetry: telemetry?,
            limits: limits?,
            plugins: plugins?,
            policies: policies?,
            issuers,
            backends,
            targets,
            aliases,
            file: file.to_owned(),
            fingerprint: Fingerprint::default(),
        })
    }
}

fn read_text(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    let read = file.take(MAX_FILE_BYTES.saturating_add(1)).read_to_string(&mut text)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
        return Err(std::io::Error::other("it is larger than 8 MiB"));
    }
    Ok(text)
}
