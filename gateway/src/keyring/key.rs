//! One key: its record in the store, and its material in memory.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use symbolon_core::clock::Timestamp;
use symbolon_core::secret::Secret;

use super::{KeyringError, Status, record_key};
use crate::seal::{Purpose, Seal};
use crate::store::Key;
use crate::store::record::Record;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Assertions towards clouds.
    Assertion,
    /// Access tokens of our own.
    Access,
    /// Hashes of sensitive values in the audit log.
    Audit,
    /// Authentication of compiled components.
    Code,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Assertion, Self::Access, Self::Audit, Self::Code];

    /// The name in commands, records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Assertion => "assertion",
            Self::Access => "access",
            Self::Audit => "audit",
            Self::Code => "code",
        }
    }

    const fn purpose(self) -> Purpose {
        match self {
            Self::Assertion | Self::Access => Purpose::SigningKey,
            Self::Audit | Self::Code => Purpose::MacKey,
        }
    }
}

/// Where in its life a key is. What is over is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Stage {
    /// In the key set, signs nothing yet.
    Published {
        /// When every cache has it.
        usable_from: Timestamp,
    },
    /// Signs.
    Active {
        /// Since when.
        since: Timestamp,
    },
    /// In the key set, signs nothing any more.
    Retiring {
        /// When it is dropped; `None` if it is kept for good.
        until: Option<Timestamp>,
    },
}

/// The record of a key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    pub(super) kind: Kind,
    pub(super) id: String,
    pub(super) stage: Stage,
    pub(super) created_at: Timestamp,
    /// Wrapped for the kind and the id together.
    pub(super) wrapped: String,
}

impl Record for Stored {
    const VERSION: u8 = 1;
}

impl Stored {
    /// Makes a key, off the asynchronous threads: RSA takes a tenth of a second.
    pub(super) async fn generate(
        kind: Kind,
        stage: Stage,
        seal: &Seal,
        now: Timestamp,
    ) -> Result<Self, KeyringError> {
        let made = tokio::task::spawn_blocking(move || generate(kind)).await;
        let secret = made.ok().flatten().ok_or(KeyringError::Generate(kind))?;
        let material = Material::of(kind, &secret).ok_or(KeyringError::Generate(kind))?;
        let id = material.id().to_owned();
        let wrapped = seal.wrap(kind.purpose(), &bound(kind, &id), &secret)?;
        let wrapped = STANDARD_NO_PAD.encode(wrapped);
        Ok(Self { kind, id, stage, created_at: now, wrapped })
    }

    pub(super) fn open(self, seal: &Seal) -> Result<Held, KeyringError> {
        let secret = seal.unwrap(self.kind.purpose(), &self.bound(), &self.wrapped()?)?;
        let material = Material::of(self.kind, &secret).ok_or_else(|| self.damaged())?;
        if material.id() != self.id {
            return Err(self.damaged());
        }
        Ok(Held { stored: self, material })
    }

    pub(super) fn rewrapped(&self, seal: &Seal) -> Result<Option<Self>, KeyringError> {
        let wrapped = seal.rewrap(self.kind.purpose(), &self.bound(), &self.wrapped()?)?;
        Ok(wrapped.map(|bytes| Self { wrapped: STANDARD_NO_PAD.encode(bytes), ..self.clone() }))
    }

    pub(super) fn key(&self) -> Key {
        record_key(self.kind, &self.id)
    }

    pub(super) fn is_active(&self, kind: Kind) -> bool {
        self.kind == kind && matches!(self.stage, Stage::Active { .. })
    }

    /// By kind, the oldest first.
    pub(super) fn order(&self) -> (&'static str, Timestamp, &str) {
        (self.kind.as_str(), self.created_at, &self.id)
    }

    pub(super) fn status(&self) -> Status {
        let Self { kind, id, stage, created_at, .. } = self.clone();
        Status { kind, id, stage, created_at }
    }

    fn wrapped(&self) -> Result<Vec<u8>, KeyringError> {
        STANDARD_NO_PAD.decode(&self.wrapped).map_err(|_| self.damaged())
    }

    fn bound(&self) -> Vec<u8> {
        bound(self.kind, &self.id)
    }

    fn damaged(&self) -> KeyringError {
        KeyringError::Damaged { kind: self.kind, id: self.id.clone() }
    }
}

fn bound(kind: Kind, id: &str) -> Vec<u8> {
    format!("{}/{id}", kind.as_str()).into_bytes()
}

fn generate(kind: Kind) -> Option<Secret> {
    match kind {
        Kind::Assertion => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).ok()?;
            Some(Secret::new(pair.as_der().ok()?.as_ref().to_vec()))
        }
        Kind::Access => {
            let pair = Ed25519KeyPair::generate().ok()?;
            Some(Secret::new(pair.to_pkcs8().ok()?.as_ref().to_vec()))
        }
        Kind::Audit | Kind::Code => {
            let mut bytes = vec![0; 32];
            rand::fill(&mut bytes).ok()?;
            Some(Secret::new(bytes))
        }
    }
}

/// A key in memory.
pub(super) struct Held {
    pub(super) stored: Stored,
    pub(super) material: Material,
}

impl Held {
    pub(super) fn signing(&self) -> Option<Arc<SigningKey>> {
        match &self.material {
            Material::Signing(key) => Some(Arc::clone(key)),
            Material::Mac(_) => None,
        }
    }

    pub(super) fn mac(&self) -> Option<Arc<MacKey>> {
        match &self.material {
            Material::Signing(_) => None,
            Material::Mac(key) => Some(Arc::clone(key)),
        }
    }
}

pub(super) enum Material {
    Signing(Arc<SigningKey>),
    Mac(Arc<MacKey>),
}

impl Material {
    fn of(kind: Kind, secret: &Secret) -> Option<Self> {
        let bytes = secret.expose();
        Some(match kind {
            Kind::Assertion => Self::Signing(Arc::new(SigningKey::rsa(bytes)?)),
            Kind::Access => Self::Signing(Arc::new(SigningKey::ed25519(bytes)?)),
            Kind::Audit | Kind::Code => Self::Mac(Arc::new(MacKey::new(bytes)?)),
        })
    }

    fn id(&self) -> &str {
        match self {
            Self::Signing(key) => &key.kid,
            Self::Mac(key) => &key.id,
        }
    }
}

/// A private key that signs tokens, and its public half as the key set shows it.
pub(super) struct SigningKey {
    kid: String,
    jwk: Value,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    fn rsa(pkcs8: &[u8]) -> Option<Self> {
        let pair = RsaKeyPair::from_pkcs8(pkcs8).ok()?;
        let (n, e) = rsa_components(pair.public_key().as_ref())?;
        let (n, e) = (URL_SAFE_NO_PAD.encode(n), URL_SAFE_NO_PAD.encode(e));
        let kid = thumbprint(&format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#));
        let jwk = json!({
            "kty": "RSA", "n": n, "e": e, "kid": kid, "use": "sig", "alg": "RS256",
        });
        Some(Self { kid, jwk, pair: Pair::Rsa(pair) })
    }

    fn ed25519(pkcs8: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).ok()?;
        let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let kid = thumbprint(&format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
        let jwk = json!({
            "kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "use": "sig", "alg": "EdDSA",
        });
        Some(Self { kid, jwk, pair: Pair::Ed25519(pair) })
    }

    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    pub(super) fn jwk(&self) -> &Value {
        &self.jwk
    }

    pub(super) fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Ed25519(_) => "EdDSA",
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).ok()?;
                Some(signature)
            }
            Pair::Ed25519(pair) => Some(pair.try_sign(message).ok()?.as_ref().to_vec()),
        }
    }
}

/// RFC 7638: SHA-256 over the required members in lexical order.
fn thumbprint(members: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()))
}

/// Modulus and exponent of an `RSAPublicKey` (RFC 8017 §A.1.1), without leading zeros.
fn rsa_components(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sequence, _) = element(der, 0x30)?;
    let (n, rest) = element(sequence, 0x02)?;
    let (e, _) = element(rest, 0x02)?;
    Some((positive(n), positive(e)))
}

/// Content of the DER element with `tag` at the front, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let rest = der.strip_prefix(&[tag])?;
    let (first, rest) = rest.split_first()?;
    if *first < 0x80 {
        return rest.split_at_checked(usize::from(*first));
    }
    let (length, rest) = rest.split_at_checked(usize::from(*first & 0x7f))?;
    let length = length
        .iter()
        .try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))?;
    rest.split_at_checked(length)
}

fn positive(mut integer: &[u8]) -> &[u8] {
    while let Some((0, rest)) = integer.split_first() {
        integer = rest;
    }
    integer
}

/// A symmetric key that authenticates.
pub struct MacKey {
    id: String,
    key: hmac::Key,
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MacKey({})", self.id)
    }
}

impl MacKey {
    fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != 32 {
            return None;
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let name = hmac::sign(&key, b"symbolon keyring: key id");
        let id = hex::encode(name.as_ref().first_chunk::<8>()?);
        Some(Self { id, key })
    }

    /// Its id, which tells nothing about it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// HMAC-SHA-256 of `message`. `domain` keeps uses of one key apart.
    #[must_use]
    pub fn tag(&self, domain: &str, message: &[u8]) -> Vec<u8> {
        self.over(domain, message).sign().as_ref().to_vec()
    }

    /// Whether `tag` is that of `message`, in constant time.
    #[must_use]
    pub fn verifies(&self, domain: &str, message: &[u8], tag: &[u8]) -> bool {
        let expected = self.over(domain, message).sign();
        aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_ref(), tag).is_ok()
    }

    /// The key itself, for what takes an HMAC key.
    #[must_use]
    pub fn hmac(&self) -> &hmac::Key {
        &self.key
    }

    fn over(&self, domain: &str, message: &[u8]) -> hmac::Context {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(domain.as_bytes());
        context.update(&[0]);
        context.update(message);
        context
    }
}
