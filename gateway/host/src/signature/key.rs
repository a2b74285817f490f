//! Keys with which components are signed: Ed25519 and ECDSA on P-256 with SHA-256.
//!
//! A public key is written as the base64 of its X.509 `SubjectPublicKeyInfo` (RFC 5280 §4.1), on
//! one line, in the one encoding that RFC 8410 and RFC 5480 give it: so one key has one text, and
//! the same key under two names is seen. A private key is PKCS#8 in PEM, as OpenSSL writes it.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, ParsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use symbolon_core::secret::Secret;
use zeroize::Zeroizing;

use crate::manifest::Digest;

/// What stands before the 32 bytes of an Ed25519 key (RFC 8410 §4).
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
/// What stands before the 65 bytes of an uncompressed point on P-256 (RFC 5480 §2).
pub(super) const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 3, 1, 7, 3, 0x42, 0,
];

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scheme {
    /// Ed25519 (RFC 8032); 64 bytes.
    #[serde(rename = "ed25519")]
    Ed25519,
    /// ECDSA on P-256 with SHA-256; DER, as OpenSSL and key services write it.
    #[serde(rename = "ecdsa-p256-sha256")]
    EcdsaP256,
}

impl Scheme {
    /// Its name in signature files and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa-p256-sha256",
        }
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Ed25519 => &ED25519,
            Self::EcdsaP256 => &ECDSA_P256_SHA256_ASN1,
        }
    }

    const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Ed25519 => &ED25519_PREFIX,
            Self::EcdsaP256 => &P256_PREFIX,
        }
    }

    const fn length(self) -> usize {
        match self {
            Self::Ed25519 => 32,
            Self::EcdsaP256 => 65,
        }
    }
}

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a public key that can verify.
    #[error(
        "is not the base64 of a public key (SubjectPublicKeyInfo) of Ed25519 or ECDSA P-256, as `symbolon plugin keygen` prints it"
    )]
    Public,
    /// Not a private key that can sign.
    #[error("is not a private key (PKCS#8 in PEM) of Ed25519 or ECDSA P-256")]
    Private,
    /// The system gives no randomness, or a key refuses to sign.
    #[error("the cryptographic library failed")]
    Library,
}

/// A key that verifies.
#[derive(Clone)]
pub struct PublicKey {
    scheme: Scheme,
    spki: Vec<u8>,
    parsed: ParsedPublicKey,
}

impl PublicKey {
    /// Reads the base64 of a `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// [`KeyError::Public`] if it is of another kind or encoding, or no point of its curve.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        Self::from_spki(&STANDARD.decode(text).map_err(|_| KeyError::Public)?)
    }

    fn from_spki(spki: &[u8]) -> Result<Self, KeyError> {
        [Scheme::Ed25519, Scheme::EcdsaP256]
            .into_iter()
            .find_map(|scheme| Some((scheme, spki.strip_prefix(scheme.prefix())?)))
            .ok_or(KeyError::Public)
            .and_then(|(scheme, raw)| Self::of(scheme, raw))
    }

    fn of(scheme: Scheme, raw: &[u8]) -> Result<Self, KeyError> {
        if raw.len() != scheme.length() {
            return Err(KeyError::Public);
        }
        let parsed = ParsedPublicKey::new(scheme.verification(), raw);
        let spki = [scheme.prefix(), raw].concat();
        Ok(Self { scheme, spki, parsed: parsed.map_err(|_| KeyError::Public)? })
    }

    /// How it signs.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// What signature files call it: the SHA-256 of its `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn id(&self) -> Digest {
        Digest::of(&self.spki)
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki == other.spki
    }
}

impl Eq for PublicKey {}

/// As [`PublicKey::parse`] reads it.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(&self.spki))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// A key that signs.
pub struct PrivateKey {
    pair: Pair,
    public: PublicKey,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    EcdsaP256(EcdsaKeyPair),
}

impl PrivateKey {
    /// Makes a key, and the PEM to keep it in.
    ///
    /// # Errors
    /// [`KeyError::Library`] if the system gives no randomness.
    pub fn generate(scheme: Scheme) -> Result<(Self, Secret), KeyError> {
        let library = |_| KeyError::Library;
        let pkcs8 = match scheme {
            Scheme::Ed25519 => {
                let pair = Ed25519KeyPair::generate().map_err(library)?;
                pair.to_pkcs8v1().map_err(library)?
            }
            Scheme::EcdsaP256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING);
                pair.map_err(library)?.to_pkcs8v1().map_err(library)?
            }
        };
        let pem = Zeroizing::new(STANDARD.encode(pkcs8.as_ref()));
        let lines = pem.as_bytes().chunks(64).map(String::from_utf8_lossy);
        let body = Zeroizing::new(lines.collect::<Vec<_>>().join("\n"));
        let text = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", *body);
        Ok((Self::from_pkcs8(pkcs8.as_ref())?, Secret::from(text)))
    }

    /// Reads a key from PEM.
    ///
    /// # Errors
    /// [`KeyError::Private`] if it is none, or of another kind.
    pub fn from_pem(pem: &Secret) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.expose());
        Self::from_pkcs8(der.map_err(|_| KeyError::Private)?.secret_pkcs8_der())
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            let public = PublicKey::of(Scheme::Ed25519, pair.public_key().as_ref())?;
            return Ok(Self { pair: Pair::Ed25519(pair), public });
        }
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der);
        let pair = pair.map_err(|_| KeyError::Private)?;
        let public = PublicKey::of(Scheme::EcdsaP256, pair.public_key().as_ref())?;
        Ok(Self { pair: Pair::EcdsaP256(pair), public })
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = match &self.pair {
            Pair::Ed25519(pair) => pair.try_sign(message),
            Pair::EcdsaP256(pair) => pair.sign(&SystemRandom::new(), message),
        };
        Ok(signature.map_err(|_| KeyError::Library)?.as_ref().to_vec())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey(of {})", self.public)
    }
}
