//! One wrapped secret: `version (1) | key id (8) | salt (16) | nonce (12) | ciphertext and tag`.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{hmac, rand};
use symbolon_core::secret::Secret;

use super::{KEY_ID_BYTES, SealError};

const VERSION: u8 = 1;
const SALT: usize = 16;
const NONCE: usize = 12;
const HEADER: usize = 1 + KEY_ID_BYTES + SALT + NONCE;

/// Bytes of a key of the seal.
pub(super) const KEY_BYTES: usize = 32;

/// Names a key without telling anything about it.
pub(super) type KeyId = [u8; 8];

/// One key of the seal.
pub(super) struct SealKey {
    id: KeyId,
    /// Only ever used to derive: the MAC's key is the seal's.
    derive: hmac::Key,
    /// Kept to be written again when the file is rotated.
    pub(super) bytes: Secret,
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealKey({})", hex::encode(self.id))
    }
}

impl SealKey {
    /// Takes 32 bytes.
    pub(super) fn new(bytes: Secret) -> Option<Self> {
        if bytes.len() != KEY_BYTES {
            return None;
        }
        let derive = hmac::Key::new(hmac::HMAC_SHA256, bytes.expose());
        let tag = hmac::sign(&derive, b"symbolon seal v1: key id");
        let id = *tag.as_ref().first_chunk::<KEY_ID_BYTES>()?;
        Some(Self { id, derive, bytes })
    }

    pub(super) fn generate() -> Result<Self, SealError> {
        let mut bytes = vec![0; KEY_BYTES];
        rand::fill(&mut bytes).map_err(|_| SealError::Crypto)?;
        Self::new(Secret::new(bytes)).ok_or(SealError::Crypto)
    }

    pub(super) fn id(&self) -> &[u8] {
        &self.id
    }

    pub(super) fn wrap(
        &self,
        purpose: &str,
        id: &[u8],
        secret: &Secret,
    ) -> Result<Vec<u8>, SealError> {
        let mut random = [0; SALT + NONCE];
        rand::fill(&mut random).map_err(|_| SealError::Crypto)?;
        let mut wrapped = [&[VERSION], self.id.as_slice(), &random].concat();
        let (header, salt, nonce) = parse(&wrapped).ok_or(SealError::Crypto)?;
        let aad = Aad::from(associated(header, purpose, id));
        let key = self.key_for(salt)?;
        // The plaintext is encrypted where it is copied to; no second copy is left behind.
        let mut body = Vec::with_capacity(secret.len().saturating_add(AES_256_GCM.tag_len()));
        body.extend_from_slice(secret.expose());
        let nonce = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(nonce, aad, &mut body).map_err(|_| SealError::Crypto)?;
        wrapped.extend_from_slice(&body);
        Ok(wrapped)
    }

    pub(super) fn unwrap(
        &self,
        purpose: &str,
        id: &[u8],
        wrapped: &[u8],
    ) -> Result<Secret, SealError> {
        let (header, salt, nonce) = parse(wrapped).ok_or(SealError::Refused)?;
        let aad = Aad::from(associated(header, purpose, id));
        let key = self.key_for(salt)?;
        let mut body = wrapped.get(HEADER..).unwrap_or_default().to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let length =
            key.open_in_place(nonce, aad, &mut body).map_err(|_| SealError::Refused)?.len();
        body.truncate(length);
        Ok(Secret::new(body))
    }

    /// The key of one blob.
    fn key_for(&self, salt: &[u8]) -> Result<LessSafeKey, SealError> {
        let mut derive = hmac::Context::with_key(&self.derive);
        derive.update(b"symbolon seal v1: blob key");
        derive.update(salt);
        let unbound = UnboundKey::new(&AES_256_GCM, derive.sign().as_ref());
        unbound.map(LessSafeKey::new).map_err(|_| SealError::Crypto)
    }
}

/// Which key a blob was wrapped under.
pub(super) fn key_id(wrapped: &[u8]) -> Option<&[u8]> {
    parse(wrapped)?;
    wrapped.get(1..=KEY_ID_BYTES)
}

/// Header, salt and nonce of a blob of this version.
fn parse(wrapped: &[u8]) -> Option<(&[u8], &[u8], [u8; NONCE])> {
    let header = wrapped.get(..HEADER)?;
    let (rest, nonce) = header.split_last_chunk::<NONCE>()?;
    let (_, salt) = rest.split_last_chunk::<SALT>()?;
    (wrapped.first() == Some(&VERSION)).then_some((header, salt.as_slice(), *nonce))
}

/// Purpose and id, their boundary unambiguous (no purpose holds a zero), and the header.
fn associated(header: &[u8], purpose: &str, id: &[u8]) -> Vec<u8> {
    [header, purpose.as_bytes(), &[0], id].concat()
}
