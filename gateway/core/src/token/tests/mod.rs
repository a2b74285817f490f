//! The verifier against the vectors, tables and properties that its rules were written down with.

mod algorithms;
mod claims;
mod keys;
mod mapping;
mod own;
mod properties;
mod structure;
mod vectors;
mod wycheproof;

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::clock::Timestamp;
use crate::id::IssuerAlias;
use crate::principal::Principal;

pub(super) const ISSUED: i64 = 1_793_520_000;
pub(super) const EXPIRES: i64 = 1_793_520_300;
pub(super) const NOW: i64 = 1_793_520_100;
pub(super) const ISSUER: &str = "https://idp.example";
pub(super) const AUDIENCE: &str = "https://gw.example.com";
/// The key of RFC 7515 A.3.
pub(super) const K1: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","kid":"k1"}"#;
const K1_D: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";

pub(super) fn rules() -> IssuerRules {
    let alias = IssuerAlias::parse("idp").unwrap();
    IssuerRules::new(alias, ISSUER, vec![AUDIENCE.to_owned()])
}

pub(super) fn set(keys: &[&str], allowed: &[Algorithm]) -> Result<KeySet, KeySetError> {
    KeySet::parse(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes(), allowed, 1)
}

pub(super) fn k1() -> KeySet {
    set(&[K1], &Algorithm::ALL).unwrap()
}

pub(super) fn at(
    token: &str,
    rules: &IssuerRules,
    keys: &KeySet,
    now: i64,
) -> Result<Principal, Refusal> {
    let token = Compact::parse(token, MAX_TOKEN_BYTES)?;
    verify(&token, rules, keys, Timestamp::from_seconds(now))
}

pub(super) fn refusal(token: &str, rules: &IssuerRules, keys: &KeySet) -> Option<Refusal> {
    at(token, rules, keys, NOW).err()
}

pub(super) fn header() -> Value {
    json!({"alg": "ES256", "kid": "k1", "typ": "JWT"})
}

pub(super) fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "svc:a", "aud": AUDIENCE, "iat": ISSUED, "exp": EXPIRES, "jti": "j1",
    })
}

/// Claims with one member set to raw JSON, or left out.
pub(super) fn claims_with(name: &str, raw: Option<&str>) -> String {
    let mut members = claims().as_object().unwrap().clone();
    members.remove(name);
    let mut members: Vec<_> =
        members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    members.extend(raw.map(|raw| format!("\"{name}\":{raw}")));
    format!("{{{}}}", members.join(","))
}

/// Signs as K1's owner.
pub(super) struct Ec(EcdsaKeyPair);

impl Ec {
    pub(super) fn k1() -> Self {
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let jwk: Value = serde_json::from_str(K1).unwrap();
        let public =
            [vec![4], decode(jwk["x"].as_str().unwrap()), decode(jwk["y"].as_str().unwrap())];
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            algorithm,
            &decode(K1_D),
            &public.concat(),
        );
        Self(pair.unwrap())
    }

    pub(super) fn p384() -> Self {
        Self::generate(&ECDSA_P384_SHA384_FIXED_SIGNING)
    }

    pub(super) fn generate(algorithm: &'static EcdsaSigningAlgorithm) -> Self {
        Self(EcdsaKeyPair::generate(algorithm).unwrap())
    }

    pub(super) fn sign(&self, input: &str) -> String {
        let signature = self.0.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        URL_SAFE_NO_PAD.encode(signature.as_ref())
    }

    pub(super) fn jwk(&self, crv: &str, kid: &str) -> String {
        let point = self.0.public_key().as_ref();
        let (x, y) = point[1..].split_at(point.len() / 2);
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({"kty": "EC", "crv": crv, "x": encode(x), "y": encode(y), "kid": kid}).to_string()
    }
}

pub(super) struct Rsa(RsaKeyPair);

impl Rsa {
    pub(super) fn generate() -> Self {
        Self(RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap())
    }

    pub(super) fn sign(&self, encoding: &'static dyn RsaEncoding, input: &str) -> String {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(encoding, &SystemRandom::new(), input.as_bytes(), &mut signature).unwrap();
        URL_SAFE_NO_PAD.encode(signature)
    }

    pub(super) fn rs256(&self, input: &str) -> String {
        self.sign(&RSA_PKCS1_SHA256, input)
    }

    pub(super) fn ps256(&self, input: &str) -> String {
        self.sign(&RSA_PSS_SHA256, input)
    }

    pub(super) fn modulus(&self) -> Vec<u8> {
        self.0.public_key().modulus().big_endian_without_leading_zero().to_vec()
    }

    pub(super) fn jwk(&self, alg: Option<&str>, kid: &str) -> String {
        rsa_jwk(&self.modulus(), &[1, 0, 1], alg, kid)
    }
}

pub(super) fn rsa_jwk(n: &[u8], e: &[u8], alg: Option<&str>, kid: &str) -> String {
    let (n, e) = (URL_SAFE_NO_PAD.encode(n), URL_SAFE_NO_PAD.encode(e));
    let mut jwk = json!({"kty": "RSA", "n": n, "e": e, "kid": kid});
    if let Some(alg) = alg {
        jwk["alg"] = alg.into();
    }
    jwk.to_string()
}

pub(super) struct Ed(Ed25519KeyPair);

impl Ed {
    pub(super) fn generate() -> Self {
        Self(Ed25519KeyPair::generate().unwrap())
    }

    pub(super) fn sign(&self, input: &str) -> Vec<u8> {
        self.0.sign(input.as_bytes()).as_ref().to_vec()
    }

    pub(super) fn jwk(&self, kid: &str) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.0.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid}).to_string()
    }
}

/// A token of K1's owner with the good header.
pub(super) fn signed(claims: &str) -> String {
    signed_with(&header().to_string(), claims)
}

pub(super) fn signed_with(header: &str, claims: &str) -> String {
    let key = Ec::k1();
    testing::token(header.as_bytes(), claims.as_bytes(), &|input| key.sign(input))
}

pub(super) const LEEWAY: Duration = Duration::from_secs(30);
