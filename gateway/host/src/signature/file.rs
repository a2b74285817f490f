//! The signature file: what is claimed of a component, and who signed that.
//!
//! ```json
//! {
//!   "format": "symbolon plugin signatures 1",
//!   "digest": "sha256:…", "name": "vault", "version": "1.2.3",
//!   "signatures": [{ "key": "sha256:…", "algorithm": "ed25519", "signature": "<base64>" }]
//! }
//! ```
//!
//! What is signed is not this text but [`Claim::message`]: a separator that no other use of a key
//! has, the digest, and name and version, each behind its length. So no signature made for anything
//! else, or for another name or version, can be moved here, however the JSON is written.
//!
//! The file is read strictly: a member that is missing, unknown or there twice, more signatures
//! than [`MAX_SIGNATURES`], or two by one key, and nothing of it counts.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use symbolon_core::id::PluginName;

use super::key::{KeyError, PrivateKey, PublicKey, Scheme};
use crate::manifest::{Digest, Inspection};
use crate::version;

/// Longest signature file, in bytes.
pub const MAX_SIGNATURE_FILE_BYTES: usize = 16 << 10;
/// Most signatures in one file.
pub const MAX_SIGNATURES: usize = 16;

const FORMAT: &str = "symbolon plugin signatures 1";
const SEPARATOR: &[u8] = b"symbolon plugin signature 1\0";
/// Longest signature, in bytes: one of ECDSA P-256 in DER has at most 72.
const MAX_SIGNATURE_BYTES: usize = 80;

/// Why a signature file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Too long.
    #[error("it is longer than {MAX_SIGNATURE_FILE_BYTES} bytes")]
    Long,
    /// Not this JSON.
    #[error("{0}")]
    Form(String),
    /// No signature, or too many.
    #[error("it holds {0} signatures, and may hold 1 to {MAX_SIGNATURES}")]
    Count(usize),
    /// Two signatures by one key.
    #[error("it holds two signatures by the key {0}")]
    Twice(Digest),
    /// It is of another component, name or version.
    #[error("it is of another component: it says {0}")]
    Other(Box<Claim>),
    /// It cannot be signed.
    #[error("it cannot be signed")]
    Key(#[from] KeyError),
}

/// What is signed: these bytes are this version of this plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The component's digest.
    pub digest: Digest,
    /// The plugin's name.
    pub name: PluginName,
    /// The plugin's version.
    pub version: String,
}

impl Claim {
    /// What a component says of itself.
    #[must_use]
    pub fn of(inspection: &Inspection) -> Self {
        let manifest = &inspection.manifest;
        let (name, version) = (manifest.name.clone(), manifest.version.clone());
        Self { digest: inspection.digest, name, version }
    }

    /// The bytes that are signed: the separator, the 32 bytes of the digest, then name and version,
    /// each behind its length as four bytes, most significant first.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        let mut message = [SEPARATOR, self.digest.as_bytes()].concat();
        for text in [self.name.as_str(), &self.version] {
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            message.extend_from_slice(&length.to_be_bytes());
            message.extend_from_slice(text.as_bytes());
        }
        message
    }
}

/// `name@version (digest)`.
impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} ({})", self.name, self.version, self.digest)
    }
}

/// One signature, by whoever it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) key: Digest,
    pub(super) scheme: Scheme,
    pub(super) bytes: Vec<u8>,
}

/// A signature file: a claim and those who signed it. Nothing of it is verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signatures {
    claim: Claim,
    signatures: Vec<Signature>,
}

impl Signatures {
    /// A file in which nobody has signed yet.
    #[must_use]
    pub const fn new(claim: Claim) -> Self {
        Self { claim, signatures: Vec::new() }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`FileError`] names the rule that it breaks.
    pub fn parse(bytes: &[u8]) -> Result<Self, FileError> {
        if bytes.len() > MAX_SIGNATURE_FILE_BYTES {
            return Err(FileError::Long);
        }
        let raw: Raw = serde_json::from_slice(bytes).map_err(|e| FileError::Form(e.to_string()))?;
        let read = raw.read()?;
        let count = read.signatures.len();
        if !(1..=MAX_SIGNATURES).contains(&count) {
            return Err(FileError::Count(count));
        }
        let mut keys = BTreeSet::new();
        match read.signatures.iter().find(|signature| !keys.insert(signature.key)) {
            Some(again) => Err(FileError::Twice(again.key)),
            None => Ok(read),
        }
    }

    /// What is claimed.
    #[must_use]
    pub const fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Adds a signature; one that this key has made before is replaced.
    ///
    /// # Errors
    /// [`FileError`] if the file is full or the key cannot sign.
    pub fn sign(&mut self, key: &PrivateKey) -> Result<(), FileError> {
        let (public, bytes) = (key.public(), key.sign(&self.claim.message())?);
        self.signatures.retain(|signature| signature.key != public.id());
        self.signatures.push(Signature { key: public.id(), scheme: public.scheme(), bytes });
        match self.signatures.len() {
            count if count > MAX_SIGNATURES => Err(FileError::Count(count)),
            _ => Ok(()),
        }
    }

    /// Adds what is signed in `other` by keys that have not signed here, as far as there is room.
    pub(super) fn join(&mut self, other: Self) {
        let own: BTreeSet<Digest> = self.keys().collect();
        let fresh = other.signatures.into_iter().filter(|fresh| !own.contains(&fresh.key));
        self.signatures.extend(fresh.take(MAX_SIGNATURES.saturating_sub(own.len())));
    }

    /// Takes the signature by this key out.
    pub(super) fn strike(&mut self, key: Digest) {
        self.signatures.retain(|signature| signature.key != key);
    }

    /// The ids of the keys that it names.
    pub fn keys(&self) -> impl Iterator<Item = Digest> {
        self.signatures.iter().map(|signature| signature.key)
    }

    /// What `key` has signed here, as it says itself: none if it is not named, or whether the
    /// signature that is said to be by it holds.
    pub(super) fn holds(&self, key: &PublicKey, message: &[u8]) -> Option<bool> {
        let id = key.id();
        let signature = self.signatures.iter().find(|signature| signature.key == id)?;
        Some(signature.scheme == key.scheme() && key.verifies(message, &signature.bytes))
    }
}

/// As [`Signatures::parse`] reads it.
impl fmt::Display for Signatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string_pretty(&Raw::of(self)).map_err(|_| fmt::Error)?;
        writeln!(f, "{text}")
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    format: String,
    digest: String,
    name: String,
    version: String,
    signatures: Vec<RawSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSignature {
    key: String,
    algorithm: Scheme,
    signature: String,
}

impl Raw {
    fn read(self) -> Result<Signatures, FileError> {
        let form = |what: &str| FileError::Form(what.to_owned());
        if self.format != FORMAT {
            return Err(FileError::Form(format!("`format` is not \"{FORMAT}\"")));
        }
        if !version::is_version(&self.version) {
            return Err(form("`version` is not a semantic version such as 1.2.3"));
        }
        let claim = Claim {
            digest: Digest::parse(&self.digest).ok_or_else(|| form("`digest` is no digest"))?,
            name: PluginName::parse(&self.name).map_err(|e| FileError::Form(e.to_string()))?,
            version: self.version,
        };
        let signatures = self.signatures.into_iter().map(RawSignature::read);
        let signatures = signatures.collect::<Option<_>>();
        Ok(Signatures { claim, signatures: signatures.ok_or_else(|| form("a bad signature"))? })
    }

    fn of(file: &Signatures) -> Self {
        let signature = |signature: &Signature| RawSignature {
            key: signature.key.to_string(),
            algorithm: signature.scheme,
            signature: STANDARD.encode(&signature.bytes),
        };
        Self {
            format: FORMAT.to_owned(),
            digest: file.claim.digest.to_string(),
            name: file.claim.name.to_string(),
            version: file.claim.version.clone(),
            signatures: file.signatures.iter().map(signature).collect(),
        }
    }
}

impl RawSignature {
    fn read(self) -> Option<Signature> {
        let bytes = STANDARD.decode(self.signature).ok()?;
        let fits = (1..=MAX_SIGNATURE_BYTES).contains(&bytes.len());
        fits.then_some(Signature { key: Digest::parse(&self.key)?, scheme: self.algorithm, bytes })
    }
}
