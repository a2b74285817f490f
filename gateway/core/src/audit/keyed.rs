//! Sensitive values in the log, as keyed hashes.
//!
//! A token, or a value that an operator marks, must be findable in the log by who holds it and
//! worthless to who reads the log. A plain hash of a guessable value is as good as the value, so the
//! hash is keyed, with a key that never leaves the gateway.
//!
//! INVARIANT: a [`KeyedHash`] is made by an [`AuditKey`] alone, so no field of that type can hold
//! the value itself.

use std::fmt;

use aws_lc_rs::{digest, hmac};
use serde::{Serialize, Serializer};

use crate::secret::Secret;

/// The key of the audit log's hashes, and the short id by which lines name it.
pub struct AuditKey {
    id: String,
    key: hmac::Key,
}

/// A key id that would make the written form ambiguous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an audit key id is 1 to 32 of a-z, 0-9 and `-`")]
pub struct KeyIdError(());

impl AuditKey {
    /// Takes the key. 32 random bytes are right; HMAC accepts any length.
    ///
    /// # Errors
    /// [`KeyIdError`] if `id` is not 1 to 32 of `a-z`, `0-9` and `-`.
    pub fn new(id: &str, key: &Secret) -> Result<Self, KeyIdError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !(1..=32).contains(&id.len()) || !id.bytes().all(allowed) {
            return Err(KeyIdError(()));
        }
        Ok(Self { id: id.to_owned(), key: hmac::Key::new(hmac::HMAC_SHA256, key.expose()) })
    }

    /// Takes a key that exists already, as the keyring has it.
    #[must_use]
    pub fn over(id: &str, key: &hmac::Key) -> Self {
        Self { id: id.to_owned(), key: key.clone() }
    }

    /// The hash of any value: what `symbolon audit hash VALUE` prints.
    #[must_use]
    pub fn hash_value(&self, value: &[u8]) -> KeyedHash {
        let tag = hmac::sign(&self.key, value);
        KeyedHash(format!("hmac-sha256:{}:{}", self.id, hex::encode(tag.as_ref())))
    }

    /// The hash of a compact JWS, as [`Opening::token`](super::Opening::token) has it: over the
    /// SHA-256 of its signing input, which is `crate::principal::Proof::digest`. The signature is
    /// left out since an ECDSA signature can be altered without becoming invalid.
    #[must_use]
    pub fn hash_token(&self, compact: &str) -> KeyedHash {
        let signing_input = compact.rsplit_once('.').map_or(compact, |(input, _)| input);
        self.hash_value(digest::digest(&digest::SHA256, signing_input.as_bytes()).as_ref())
    }
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// `hmac-sha256:<key id>:<hex>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedHash(String);

impl fmt::Display for KeyedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for KeyedHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, secret: &str) -> AuditKey {
        AuditKey::new(id, &Secret::from(secret.to_owned())).unwrap()
    }

    #[test]
    fn the_hash_is_the_hmac_of_rfc_4231() {
        let hash = key("k1", "Jefe").hash_value(b"what do ya want for nothing?");
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hash.to_string(), format!("hmac-sha256:k1:{expected}"));
    }

    #[test]
    fn a_token_is_found_whatever_its_signature() {
        let key = key("k1", "s");
        assert_eq!(key.hash_token("h.p.s1"), key.hash_token("h.p.s2"));
        assert_ne!(key.hash_token("h.p.s"), key.hash_token("h.q.s"));
    }

    #[test]
    fn another_key_gives_another_hash_and_debug_shows_none() {
        let (one, other) = (key("k1", "one"), key("k1", "other"));
        assert_ne!(one.hash_value(b"v"), other.hash_value(b"v"));
        assert_eq!(format!("{one:?}"), "AuditKey { id: \"k1\", .. }");
    }

    #[test]
    fn a_key_id_cannot_blur_the_written_form() {
        for id in ["", "a:b", "A", "k 1", &"k".repeat(33)] {
            assert!(AuditKey::new(id, &Secret::from(String::from("s"))).is_err(), "{id:?}");
        }
    }
}
