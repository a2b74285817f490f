//! What an administrator can ask of components.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde::Deserialize;
use symbolon_host::{Digest, Package};

use super::{OperationError, body, malformed, no_route};
use crate::catalog::Pointed;
use crate::listen::Arrival;

/// Where all of these are; what follows is nothing, `:verb` or `/{component}`.
pub(super) const PATH: &str = "/v1/plugins";
/// Fewest digits of a digest that name a component.
const FEWEST_DIGITS: usize = 6;
/// Longest name of the file that a component was read from.
const MAX_SOURCE_BYTES: usize = 1024;

/// What can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Show components and the backends that they serve.
    List,
    /// Show what one component says of itself.
    Inspect(Wanted),
    /// Show what one asks to reach, what of it is granted, and how it differs from what runs.
    Grants(Wanted),
    /// Put a component into the catalog.
    Install(Upload),
    /// Take one out; the flag: also one that is in use.
    Remove(Wanted, bool),
    /// End the quarantine of one.
    Release(Wanted),
}

/// A component that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its bytes.
    pub package: Package,
    /// The file that they were read from, as whoever sends them says.
    pub source: String,
}

/// Which component is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// By name and version.
    Version {
        /// The plugin's name.
        name: String,
        /// Its version.
        version: String,
    },
    /// By the beginning of its digest, in hexadecimal.
    Digest(String),
}

impl Wanted {
    /// Reads `NAME@VERSION`, or the beginning of a digest with or without `sha256:`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((name, version)) = text.split_once('@') {
            let (name, version) = (name.to_owned(), version.to_owned());
            return (!name.is_empty() && !version.is_empty())
                .then_some(Self::Version { name, version });
        }
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let is_hex = digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let fits = (FEWEST_DIGITS..=64).contains(&digits.len());
        (is_hex && fits).then(|| Self::Digest(digits.to_owned()))
    }

    /// Whether `component` is meant.
    #[must_use]
    pub fn is(&self, component: &Pointed) -> bool {
        match self {
            Self::Version { name, version } => {
                component.name == *name && component.version == *version
            }
            Self::Digest(digits) => component.digest.starts_with(digits),
        }
    }

    /// Whether the component with this digest is meant, whatever it is called.
    #[must_use]
    pub fn is_digest(&self, digest: &Digest) -> bool {
        match self {
            Self::Version { .. } => false,
            Self::Digest(digits) => digest.hex().starts_with(digits),
        }
    }

    /// Whether it says the plugin's name.
    #[must_use]
    pub const fn has_name(&self) -> bool {
        matches!(self, Self::Version { .. })
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Version { name, version } => write!(f, "{name}@{version}"),
            Self::Digest(digits) => write!(f, "sha256:{digits}"),
        }
    }
}

/// Which component a backend is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    /// The component.
    pub wanted: Wanted,
    /// Whether it may be older than the one that runs.
    pub allow_downgrade: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ComponentBody {
    component: String,
    #[serde(default)]
    allow_downgrade: bool,
    #[serde(default)]
    force: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InstallBody {
    component: String,
    #[serde(default)]
    signatures: Option<String>,
    source: String,
}

impl Activation {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, OperationError> {
        let told: ComponentBody = body(bytes)?;
        if told.force {
            return Err(malformed("`force` is for removing"));
        }
        let allow_downgrade = told.allow_downgrade;
        Ok(Self { wanted: wanted(&told.component)?, allow_downgrade })
    }
}

impl Verb {
    /// The name in policies and in the audit log.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::List => "plugin.ls",
            Self::Inspect(_) => "plugin.inspect",
            Self::Grants(_) => "plugin.grants",
            Self::Install(_) => "plugin.install",
            Self::Remove(..) => "plugin.remove",
            Self::Release(_) => "plugin.release",
        }
    }

    /// The component.
    #[must_use]
    pub fn object(&self) -> Option<String> {
        match self {
            Self::List => None,
            Self::Install(upload) => Some(upload.package.digest().to_string()),
            Self::Inspect(wanted)
            | Self::Grants(wanted)
            | Self::Remove(wanted, _)
            | Self::Release(wanted) => Some(wanted.to_string()),
        }
    }

    /// Whether it changes something.
    #[must_use]
    pub const fn changes(&self) -> bool {
        match self {
            Self::List | Self::Inspect(_) | Self::Grants(_) => false,
            Self::Install(_) | Self::Remove(..) | Self::Release(_) => true,
        }
    }
}

/// What follows [`PATH`] in the path.
pub(super) fn parse(arrival: &Arrival, rest: &str) -> Result<Verb, OperationError> {
    let method = &arrival.head.method;
    let (get, post) = (*method == Method::GET, *method == Method::POST);
    match rest {
        "" if get => Ok(Verb::List),
        "" if post => install(&arrival.body),
        ":remove" if post => {
            let told: ComponentBody = body(&arrival.body)?;
            Ok(Verb::Remove(wanted(&told.component)?, told.force))
        }
        ":release" if post => {
            let told: ComponentBody = body(&arrival.body)?;
            Ok(Verb::Release(wanted(&told.component)?))
        }
        _ if get => one(rest),
        _ => Err(no_route()),
    }
}

/// `/{component}` or `/{component}/grants`.
fn one(rest: &str) -> Result<Verb, OperationError> {
    let component = rest.strip_prefix('/').ok_or_else(no_route)?;
    match component.split_once('/') {
        None => wanted(component).map(Verb::Inspect),
        Some((component, "grants")) => wanted(component).map(Verb::Grants),
        Some(_) => Err(no_route()),
    }
}

fn install(bytes: &[u8]) -> Result<Verb, OperationError> {
    let told: InstallBody = body(bytes)?;
    if told.source.len() > MAX_SOURCE_BYTES {
        return Err(malformed("a `source` has at most 1024 bytes"));
    }
    let decoded = |text: String| {
        STANDARD.decode(text).map_err(|_| malformed("`component` and `signatures` are base64"))
    };
    let component = decoded(told.component)?;
    let signatures = told.signatures.map(decoded).transpose()?;
    Ok(Verb::Install(Upload { package: Package::new(component, signatures), source: told.source }))
}

fn wanted(text: &str) -> Result<Wanted, OperationError> {
    Wanted::parse(text).ok_or_else(|| {
        malformed("a component is written NAME@VERSION, or as six or more digits of its digest")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_named_by_its_version_or_its_digest() {
        let digest = Digest::of(b"a");
        let component =
            Pointed { name: "vault".to_owned(), version: "0.1.0".to_owned(), digest: digest.hex() };
        let short: String = digest.hex().chars().take(6).collect();
        for (text, is_it) in [
            ("vault@0.1.0", Some(true)),
            ("vault@0.1.1", Some(false)),
            ("kv@0.1.0", Some(false)),
            (short.as_str(), Some(true)),
            (&format!("sha256:{}", digest.hex()), Some(true)),
            ("sha256:000000", Some(false)),
            ("00000", None),
            ("vault", None),
            ("@0.1.0", None),
            ("vault@", None),
            ("ABCDEF01", None),
        ] {
            let found = Wanted::parse(text).map(|wanted| wanted.is(&component));
            assert_eq!(found, is_it, "{text}");
        }
    }

    #[test]
    fn what_is_sent_is_not_printed() {
        let told = br#"{"component":"bWFya2Vy","source":"a.wasm"}"#;
        let verb = install(told).unwrap();
        assert!(!format!("{verb:?}").contains("109"), "{verb:?}");
        assert!(install(br#"{"component":"!","source":"a"}"#).is_err());
    }
}
