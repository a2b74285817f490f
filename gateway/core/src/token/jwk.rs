//! The keys of one issuer (RFC 7517), read strictly and made ready for use.
//!
//! A key that could verify what it should not is dropped, with a reason that operators can see; a
//! set that cannot be trusted as a whole is refused, so that the caller keeps the last good one.
//! A SPIFFE bundle is such a set too, with certificate authorities beside the keys.
//!
//! INVARIANT: every key in a [`KeySet`] is public, for signatures, strong enough, on its curve, and
//! fits at least one algorithm that the issuer's rules allow. No two have the same `kid`.

mod bundle;

use std::time::Duration;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ParsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;

use super::algorithm::{Algorithm, install_crypto};
use super::compact::{Jws, is_printable};
use super::json::{self, Fault, Limits, Object, Value};
use super::refusal::Refusal;
use super::weak;
use crate::error::Kind;

const MAX_SET_BYTES: usize = 512 * 1024;
const MAX_KEYS: usize = 100;
const MAX_KEY_ID_BYTES: usize = 256;
const SET: Limits = Limits { depth: 8, top: 64, members: 64, items: 1024, string: 64 * 1024 };

/// Why a key set is refused as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Over 512 KiB.
    #[error("the key set is over 512 KiB")]
    TooLarge,
    /// Not strict JSON.
    #[error("the key set is refused: {0}")]
    Json(Fault),
    /// No array `keys` of objects.
    #[error("the key set has no array `keys` of objects")]
    NotASet,
    /// Over 100 keys.
    #[error("the key set has more than 100 keys")]
    TooManyKeys,
    /// Two usable keys of one `kid`: which of them verifies would be chance.
    #[error("two usable keys have the same `kid`")]
    DuplicateKeyId,
    /// Nothing left after dropping.
    #[error("the key set has no usable key")]
    NoUsableKey,
    /// A bundle whose sequence number or refresh hint is not a number.
    #[error("the bundle's sequence number or refresh hint is malformed")]
    Sequence,
}

impl KeySetError {
    /// The reason in the audit record and in metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "key_set_too_large",
            Self::Json(_) => "key_set_json",
            Self::NotASet => "key_set_shape",
            Self::TooManyKeys => "key_set_too_many_keys",
            Self::DuplicateKeyId => "key_set_duplicate_kid",
            Self::NoUsableKey => "key_set_no_usable_key",
            Self::Sequence => "key_set_sequence",
        }
    }

    /// What the caller is told: the issuer's keys are not to be had now.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::TooLarge
            | Self::Json(_)
            | Self::NotASet
            | Self::TooManyKeys
            | Self::DuplicateKeyId
            | Self::NoUsableKey
            | Self::Sequence => Kind::Unavailable,
        }
    }
}

/// Why a key is left out of its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DropReason {
    /// `kty` is missing or not supported.
    #[error("its type is not supported")]
    Type,
    /// A symmetric key: whoever can read the set could sign.
    #[error("it is symmetric")]
    Symmetric,
    /// A private key: whoever can read the set can sign.
    #[error("it has private members")]
    Private,
    /// `use` is not what the set is for.
    #[error("its `use` is not what the set is for")]
    Use,
    /// `key_ops` has no `verify`.
    #[error("its `key_ops` do not include `verify`")]
    Operations,
    /// `kid` is not a text of at most 256 bytes without control characters.
    #[error("its `kid` is malformed")]
    KeyId,
    /// An authority with a `kid` or without a certificate.
    #[error("it is an authority with a `kid` or without a certificate")]
    Certificate,
    /// A coordinate, modulus or exponent is missing, not canonical base64url, or not minimal.
    #[error("a number of it is missing or malformed")]
    Number,
    /// RSA below 2048 or above 8192 bits.
    #[error("its size is not between 2048 and 8192 bits")]
    Size,
    /// RSA with an even modulus.
    #[error("its modulus is even")]
    EvenModulus,
    /// RSA with an even exponent, or one below 65537 or above 2^32.
    #[error("its exponent is even, below 65537 or above 2^32")]
    Exponent,
    /// `crv` is not supported (P-521 and secp256k1 are not).
    #[error("its curve is not supported")]
    Curve,
    /// The point is not on the curve.
    #[error("its point is not on the curve")]
    Point,
    /// Of small order (Ed25519) or with the ROCA fingerprint (RSA).
    #[error("it is known to be weak")]
    Weak,
    /// `alg` is unknown or does not fit the type, or no allowed algorithm fits the key.
    #[error("no algorithm that is allowed for the issuer fits it")]
    Algorithm,
}

/// The usable keys of an issuer.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Key>,
    authorities: Vec<Vec<u8>>,
    dropped: Vec<(usize, DropReason)>,
    sequence: Option<u64>,
    refresh_hint: Option<Duration>,
    generation: u64,
}

/// What a key is for, by the `use` that it must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// `sig`, or none.
    Signature,
    /// `jwt-svid`, exactly.
    JwtSvid,
}

impl KeySet {
    /// Reads a JWK set, keeping the keys that fit one of the `allowed` algorithms. `generation` is
    /// the caller's count of sets of this issuer; a remembered token is as good as its generation.
    ///
    /// Also makes sure that a cryptography provider is installed: without keys nothing is verified.
    ///
    /// # Errors
    /// [`KeySetError`] if the set as a whole is refused.
    pub fn parse(
        bytes: &[u8],
        allowed: &[Algorithm],
        generation: u64,
    ) -> Result<Self, KeySetError> {
        let mut set = Self::empty(generation);
        for (index, jwk) in members(&document(bytes)?)?.iter().enumerate() {
            match Key::parse(jwk, allowed, Purpose::Signature) {
                Ok(key) => set.add(key)?,
                Err(reason) => set.dropped.push((index, reason)),
            }
        }
        if set.keys.is_empty() { Err(KeySetError::NoUsableKey) } else { Ok(set) }
    }

    /// A set of certificate authorities (DER) and no keys.
    #[must_use]
    pub fn of_authorities(authorities: Vec<Vec<u8>>, generation: u64) -> Self {
        Self { authorities, ..Self::empty(generation) }
    }

    fn empty(generation: u64) -> Self {
        install_crypto();
        Self {
            keys: Vec::new(),
            authorities: Vec::new(),
            dropped: Vec::new(),
            sequence: None,
            refresh_hint: None,
            generation,
        }
    }

    /// Whether there is nothing in it that verifies anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.authorities.is_empty()
    }

    /// The certificate authorities, DER.
    #[must_use]
    pub fn authorities(&self) -> &[Vec<u8>] {
        &self.authorities
    }

    /// The number that a bundle carries, which never falls.
    #[must_use]
    pub fn sequence(&self) -> Option<u64> {
        self.sequence
    }

    /// How soon the bundle's owner would have it fetched again.
    #[must_use]
    pub fn refresh_hint(&self) -> Option<Duration> {
        self.refresh_hint
    }

    /// The caller's count.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The `kid` of every usable key.
    pub fn key_ids(&self) -> impl Iterator<Item = Option<&str>> {
        self.keys.iter().map(|key| key.id.as_deref())
    }

    /// Whether a usable key has this `kid`.
    #[must_use]
    pub fn has(&self, key_id: &str) -> bool {
        self.find(key_id).is_some()
    }

    /// The keys left out, by their place in the set.
    #[must_use]
    pub fn dropped(&self) -> &[(usize, DropReason)] {
        &self.dropped
    }

    /// The key that a token means.
    pub(super) fn select(
        &self,
        key_id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<&Key, Refusal> {
        match key_id {
            Some(id) => self.find(id).ok_or(Refusal::UnknownKey),
            None => self.only(algorithm).ok_or(Refusal::AmbiguousKey),
        }
    }

    fn find(&self, key_id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.id.as_deref() == Some(key_id))
    }

    fn only(&self, algorithm: Algorithm) -> Option<&Key> {
        let mut fitting = self.keys.iter().filter(|key| key.fits(algorithm));
        let first = fitting.next();
        if fitting.next().is_some() { None } else { first }
    }

    fn add(&mut self, key: Key) -> Result<(), KeySetError> {
        if key.id.as_deref().is_some_and(|id| self.has(id)) {
            return Err(KeySetError::DuplicateKeyId);
        }
        self.keys.push(key);
        Ok(())
    }
}

fn document(bytes: &[u8]) -> Result<Object, KeySetError> {
    if bytes.len() > MAX_SET_BYTES {
        return Err(KeySetError::TooLarge);
    }
    json::object(bytes, SET).map_err(KeySetError::Json)
}

fn members(set: &Object) -> Result<Vec<Object>, KeySetError> {
    let keys = set.get("keys").and_then(Value::as_array).ok_or(KeySetError::NotASet)?;
    if keys.len() > MAX_KEYS {
        return Err(KeySetError::TooManyKeys);
    }
    let jwks = keys.iter().map(|key| key.as_object().cloned());
    jwks.collect::<Option<_>>().ok_or(KeySetError::NotASet)
}

/// A public key, ready to verify.
#[derive(Debug)]
pub(super) struct Key {
    id: Option<String>,
    shape: Shape,
    /// The one algorithm the issuer wants it used for, if it says so.
    algorithm: Option<Algorithm>,
    decoding: DecodingKey,
}

/// Type, curve and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Rsa { bytes: usize },
    P256,
    P384,
    Ed25519,
}

impl Key {
    fn parse(jwk: &Object, allowed: &[Algorithm], purpose: Purpose) -> Result<Self, DropReason> {
        check_purpose(jwk, purpose)?;
        let id = parse_id(jwk)?;
        if purpose == Purpose::JwtSvid && id.is_none() {
            return Err(DropReason::KeyId);
        }
        let (shape, decoding) = match jwk.get("kty").and_then(Value::as_str) {
            Some("RSA") => parse_rsa(jwk)?,
            Some("EC") => parse_ec(jwk)?,
            Some("OKP") => parse_okp(jwk)?,
            Some("oct") => return Err(DropReason::Symmetric),
            Some(_) | None => return Err(DropReason::Type),
        };
        let algorithm = parse_algorithm(jwk)?;
        let key = Self { id, shape, algorithm, decoding };
        let is_useful = allowed.iter().any(|algorithm| key.fits(*algorithm));
        if is_useful { Ok(key) } else { Err(DropReason::Algorithm) }
    }

    /// Checks the signature of a token that names `algorithm`.
    pub(super) fn check(&self, jws: &Jws<'_>, algorithm: Algorithm) -> Result<(), Refusal> {
        if !self.fits(algorithm) {
            return Err(Refusal::KeyMismatch);
        }
        // Fixed width: neither DER nor a stripped zero nor a second encoding passes.
        if jws.signature.len() != (self.shape.signature_bytes() * 4).div_ceil(3) {
            return Err(Refusal::Signature);
        }
        let message = jws.signing_input.as_bytes();
        let jose = algorithm.jose();
        match jsonwebtoken::crypto::verify(jws.signature, message, &self.decoding, jose) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Refusal::Signature),
        }
    }

    /// Whether type, curve and the key's own `alg` all permit the algorithm.
    fn fits(&self, algorithm: Algorithm) -> bool {
        self.shape.fits(algorithm) && self.algorithm.is_none_or(|own| own == algorithm)
    }
}

impl Shape {
    fn fits(self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => matches!(self, Self::Rsa { .. }),
            Algorithm::Es256 => self == Self::P256,
            Algorithm::Es384 => self == Self::P384,
            Algorithm::EdDsa => self == Self::Ed25519,
        }
    }

    const fn signature_bytes(self) -> usize {
        match self {
            Self::Rsa { bytes } => bytes,
            Self::P256 | Self::Ed25519 => 64,
            Self::P384 => 96,
        }
    }
}

fn check_purpose(jwk: &Object, purpose: Purpose) -> Result<(), DropReason> {
    if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|name| jwk.has(name)) {
        return Err(match jwk.get("kty").and_then(Value::as_str) {
            Some("oct") => DropReason::Symmetric,
            Some(_) | None => DropReason::Private,
        });
    }
    let stated = jwk.get("use").map(Value::as_str);
    let fits = match purpose {
        Purpose::Signature => stated.is_none_or(|stated| stated == Some("sig")),
        Purpose::JwtSvid => stated.flatten() == Some("jwt-svid"),
    };
    if !fits {
        return Err(DropReason::Use);
    }
    let permits = |operations: &Value| {
        let operations = operations.as_array().unwrap_or_default();
        operations.iter().any(|operation| operation.as_str() == Some("verify"))
    };
    if jwk.get("key_ops").is_some_and(|operations| !permits(operations)) {
        return Err(DropReason::Operations);
    }
    Ok(())
}

fn parse_id(jwk: &Object) -> Result<Option<String>, DropReason> {
    let fits = |id: &&str| id.len() <= MAX_KEY_ID_BYTES && is_printable(id);
    match jwk.get("kid") {
        None => Ok(None),
        Some(id) => match id.as_str().filter(fits) {
            Some(id) => Ok(Some(id.to_owned())),
            None => Err(DropReason::KeyId),
        },
    }
}

fn parse_algorithm(jwk: &Object) -> Result<Option<Algorithm>, DropReason> {
    match jwk.get("alg") {
        None => Ok(None),
        Some(name) => match name.as_str().and_then(Algorithm::parse) {
            Some(algorithm) => Ok(Some(algorithm)),
            None => Err(DropReason::Algorithm),
        },
    }
}

fn parse_rsa(jwk: &Object) -> Result<(Shape, DecodingKey), DropReason> {
    let modulus = minimal(number(jwk, "n")?)?;
    let exponent = minimal(number(jwk, "e")?)?;
    let bits = modulus.first().map_or(0, |first| modulus.len() * 8 - zeros(*first));
    if !(2048..=8192).contains(&bits) {
        return Err(DropReason::Size);
    }
    if modulus.last().is_none_or(|last| last % 2 == 0) {
        return Err(DropReason::EvenModulus);
    }
    // An exponent of eight bytes is legal and only costs time: a way to slow the gateway down.
    let value = exponent.iter().take(5).fold(0_u64, |sum, byte| sum * 256 + u64::from(*byte));
    if !(65_537..=1 << 32).contains(&value) || value % 2 == 0 {
        return Err(DropReason::Exponent);
    }
    if weak::is_roca(&modulus) {
        return Err(DropReason::Weak);
    }
    let decoding = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
    Ok((Shape::Rsa { bytes: modulus.len() }, decoding))
}

fn zeros(byte: u8) -> usize {
    usize::try_from(byte.leading_zeros()).unwrap_or(0)
}

fn parse_ec(jwk: &Object) -> Result<(Shape, DecodingKey), DropReason> {
    let (shape, width, algorithm): (_, _, &'static dyn VerificationAlgorithm) =
        match jwk.get("crv").and_then(Value::as_str) {
            Some("P-256") => (Shape::P256, 32, &ECDSA_P256_SHA256_FIXED),
            Some("P-384") => (Shape::P384, 48, &ECDSA_P384_SHA384_FIXED),
            Some(_) | None => return Err(DropReason::Curve),
        };
    let (x, y) = (number(jwk, "x")?, number(jwk, "y")?);
    if x.len() != width || y.len() != width {
        return Err(DropReason::Number);
    }
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    // The library checks that the point is on the curve; on these curves that is all there is.
    ParsedPublicKey::new(algorithm, &point).map_err(|_| DropReason::Point)?;
    Ok((shape, DecodingKey::from_ec_der(&point)))
}

fn parse_okp(jwk: &Object) -> Result<(Shape, DecodingKey), DropReason> {
    if jwk.get("crv").and_then(Value::as_str) != Some("Ed25519") {
        return Err(DropReason::Curve);
    }
    let point: [u8; 32] = number(jwk, "x")?.try_into().map_err(|_| DropReason::Number)?;
    if weak::is_weak_ed25519(&point) {
        return Err(DropReason::Weak);
    }
    Ok((Shape::Ed25519, DecodingKey::from_ed_der(&point)))
}

fn number(jwk: &Object, name: &str) -> Result<Vec<u8>, DropReason> {
    let text = jwk.get(name).and_then(Value::as_str).ok_or(DropReason::Number)?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| DropReason::Number)
}

/// RFC 7518 §2, `Base64urlUInt`: no leading zero, so that a number has one text.
fn minimal(number: Vec<u8>) -> Result<Vec<u8>, DropReason> {
    match number.first() {
        Some(0) | None => Err(DropReason::Number),
        Some(_) => Ok(number),
    }
}
