//! Who a component is, learned without running any of it.
//!
//! A component carries its manifest as the custom section `symbolon:manifest`, so that one digest
//! covers code and claim. Reading it, and the names of what the component imports and exports, is a
//! walk over the section headers: no compilation, no validation of code, no guest.
//!
//! INVARIANT: a [`Manifest`] exists only after every rule of this module held for it. What it
//! *says* is still only the plugin's claim; the smoke call in [`crate::admit`] compares it with
//! what the plugin says of itself, and the operator's grant decides what it gets.

mod parse;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use symbolon_core::id::PluginName;

use crate::admit::AdmitError;
use crate::bindings::guest::describe::{Descriptor, Recovery as GuestRecovery};

/// The one version of the contract that this host speaks.
pub const CONTRACT: &str = "0.1.0";
/// Name of the custom section.
pub const SECTION: &str = "symbolon:manifest";
/// Longest manifest.
pub const MAX_MANIFEST_BYTES: usize = 64 << 10;

/// SHA-256 of a component's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
        let mut digest = [0; 32];
        for (to, from) in digest.iter_mut().zip(hash.as_ref()) {
            *to = *from;
        }
        Self(digest)
    }

    /// Reads what [`Digest`] displays: `sha256:` and 64 hexadecimal digits in lower case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("sha256:")?;
        let mut digest = [0; 32];
        hex::decode_to_slice(hex, &mut digest).ok()?;
        Some(Self(digest)).filter(|digest| digest.hex() == hex)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// The digest of which these are the 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text, &mut digest).ok()?;
        Some(Self(digest))
    }
}

/// `sha256:` and 64 hexadecimal digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An interface that a plugin may export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    /// Who the plugin is; every plugin.
    Describe,
    /// Whether its configuration is usable; every plugin.
    Check,
    /// Secrets that are there and are read.
    Secrets,
    /// Credentials that are made on demand and must end.
    Credentials,
    /// Exchange of an assertion for a foreign token.
    Exchange,
    /// Replacement of a credential that the backend keeps.
    Rotate,
}

impl Interface {
    /// Every interface of the contract.
    pub const ALL: [Self; 6] = [
        Self::Describe,
        Self::Check,
        Self::Secrets,
        Self::Credentials,
        Self::Exchange,
        Self::Rotate,
    ];

    /// The name in the contract.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::Check => "check",
            Self::Secrets => "secrets",
            Self::Credentials => "credentials",
            Self::Exchange => "exchange",
            Self::Rotate => "rotate",
        }
    }

    /// The name of the export.
    #[must_use]
    pub fn export(self) -> String {
        format!("symbolon:plugin/{}@{CONTRACT}", self.as_str())
    }
}

/// How what was issued is found again after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recovery {
    /// By a name derived from the reservation id.
    Named,
    /// By listing what carries the gateway's mark.
    Listable,
    /// Not at all: it ends by itself.
    Expires,
}

/// A host that the plugin asks to reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgressWanted {
    /// `https` or `http`.
    pub scheme: String,
    /// A host name, `*.suffix`, `{key}` for the host of the URL in that key of the configuration, or
    /// a name of which labels are `{key}`, each for the label in that key; the last two are plain.
    pub host: String,
    /// Port; the scheme's own if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// HTTP methods, upper case.
    pub methods: Vec<String>,
    /// Paths begin with this.
    pub path_prefix: String,
}

impl EgressWanted {
    /// The key of the configuration whose URL names the host, if one does.
    #[must_use]
    pub fn url_key(&self) -> Option<&str> {
        let key = self.host.strip_prefix('{')?.strip_suffix('}')?;
        (!key.contains(['{', '}'])).then_some(key)
    }
}

/// As an operator would write a grant: `GET,POST https://host:443/prefix`.
impl fmt::Display for EgressWanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port, methods, path_prefix } = self;
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        write!(f, "{} {scheme}://{host}{port}{path_prefix}", methods.join(","))
    }
}

/// What a component says about itself, checked for form.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Manifest {
    /// Version of the contract it was built for.
    pub contract: String,
    /// The plugin's name.
    pub name: PluginName,
    /// The plugin's version, as semver.
    pub version: String,
    /// One sentence for a person.
    pub summary: String,
    /// JSON Schema of its configuration.
    pub config_schema: serde_json::Value,
    /// The hosts it asks to reach.
    pub egress: Vec<EgressWanted>,
    /// Its recovery class.
    pub recovery: Option<Recovery>,
    /// More, for a person.
    pub metadata: BTreeMap<String, String>,
}

/// Everything that is known of a component without running it: the output of
/// `symbolon plugin inspect`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Size in bytes.
    pub bytes: usize,
    /// Its manifest.
    pub manifest: Manifest,
    /// The interfaces of the contract that it exports.
    pub interfaces: Vec<Interface>,
    /// All imports, as named in the component.
    pub imports: Vec<String>,
    /// All exports, as named in the component.
    pub exports: Vec<String>,
}

impl Inspection {
    /// Reads a component of at most `max_bytes`.
    ///
    /// # Errors
    /// [`AdmitError`] names the rule that the component breaks and what to do about it.
    pub fn of(bytes: &[u8], max_bytes: usize) -> Result<Self, AdmitError> {
        if bytes.len() > max_bytes {
            return Err(AdmitError::TooLarge { bytes: bytes.len(), max: max_bytes });
        }
        Self::known_by(Digest::of(bytes), bytes)
    }

    /// Reads a component whose size and digest are known.
    pub(crate) fn known_by(digest: Digest, bytes: &[u8]) -> Result<Self, AdmitError> {
        let outline = parse::outline(bytes)?;
        let manifest = parse::manifest(&outline.manifests)?;
        for import in &outline.imports {
            crate::imports::check(import)?;
        }
        let interfaces = parse::interfaces(&outline.exports)?;
        if manifest.recovery.is_none() && interfaces.contains(&Interface::Credentials) {
            return Err(AdmitError::manifest(
                "`recovery` is missing, and it exports `credentials`",
            ));
        }
        let (imports, exports) = (outline.imports, outline.exports);
        Ok(Self { digest, bytes: bytes.len(), manifest, interfaces, imports, exports })
    }
}

impl Manifest {
    /// The first field in which what the plugin says when it is called differs from this.
    pub(crate) fn difference(&self, said: &Descriptor) -> Option<&'static str> {
        let schema = serde_json::from_str::<serde_json::Value>(&said.config_schema).ok();
        let metadata: BTreeMap<_, _> = said.metadata.iter().cloned().collect();
        let egress = self.egress.len() == said.egress.len()
            && self.egress.iter().zip(&said.egress).all(|(a, b)| {
                (&a.scheme, &a.host, a.port, &a.methods, &a.path_prefix)
                    == (&b.scheme, &b.host, b.port, &b.methods, &b.path_prefix)
            });
        let same = [
            ("name", self.name.as_str() == said.name),
            ("version", self.version == said.version),
            ("summary", self.summary == said.summary),
            ("config_schema", schema.as_ref() == Some(&self.config_schema)),
            ("egress", egress),
            ("recovery", self.recovery == said.recovery.map(Recovery::from)),
            ("metadata", self.metadata == metadata && metadata.len() == said.metadata.len()),
        ];
        same.into_iter().find_map(|(field, same)| (!same).then_some(field))
    }
}

impl From<GuestRecovery> for Recovery {
    fn from(recovery: GuestRecovery) -> Self {
        match recovery {
            GuestRecovery::Named => Self::Named,
            GuestRecovery::Listable => Self::Listable,
            GuestRecovery::Expires => Self::Expires,
        }
    }
}
