//! An issuer of tokens whose key is known and whose tokens can be wrong in any way.

use aws_lc_rs::encoding::{AsBigEndian, EcPublicKeyUncompressedBin};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// An ES256 issuer with one key, `k1`.
#[derive(Debug)]
pub struct Issuer {
    key: EcdsaKeyPair,
    /// `iss` of its tokens.
    pub name: String,
}

impl Issuer {
    /// A new key for `name`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        Self { key, name: name.to_owned() }
    }

    /// Its public key set.
    #[must_use]
    pub fn key_set(&self) -> Value {
        let point: EcPublicKeyUncompressedBin<'_> =
            self.key.public_key().as_be_bytes().expect("a point");
        let (x, y) = point.as_ref().get(1..65).expect("two coordinates").split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "kid": "k1", "use": "sig", "alg": "ES256", "x": x, "y": y,
        }] })
    }

    /// The key set as the inline table of the configuration.
    #[must_use]
    pub fn inline(&self) -> String {
        let set = self.key_set();
        let key = &set["keys"][0];
        format!(
            r#"{{ keys = [{{ kty = "EC", crv = "P-256", kid = "k1", use = "sig", alg = "ES256", x = {}, y = {} }}] }}"#,
            key["x"], key["y"]
        )
    }

    /// Signs `message` as JWS does: `r` and `s`, base64url.
    #[must_use]
    pub fn sign(&self, message: &str) -> String {
        let signature = self.key.sign(&SystemRandom::new(), message.as_bytes());
        URL_SAFE_NO_PAD.encode(signature.expect("a signature").as_ref())
    }

    /// A token of this header and these claims.
    #[must_use]
    pub fn token_of(&self, header: &Value, claims: &Value) -> String {
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = self.sign(&message);
        format!("{message}.{signature}")
    }

    /// The header of a good token.
    #[must_use]
    pub fn header() -> Value {
        json!({ "alg": "ES256", "kid": "k1", "typ": "JWT" })
    }

    /// The claims of a good token for `subject`, issued at `now` (seconds) for five minutes.
    #[must_use]
    pub fn claims(&self, subject: &str, audience: &str, now: i64) -> Value {
        json!({
            "iss": self.name,
            "sub": subject,
            "aud": audience,
            "iat": now,
            "exp": now + 300,
            "jti": format!("{subject}-{now}"),
            "team": "payments",
        })
    }
}
