//! Keys that an assessment makes for itself, so that it can sign what an issuer would.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use symbolon_core::token::Algorithm;

/// The `kid` of every key made here, so that an issuer's key is never told from another's by name.
pub(super) const KEY_ID: &str = "assessed";

/// One key and the algorithm that it is used with.
#[derive(Debug)]
pub(super) struct Signer {
    pub(super) algorithm: Algorithm,
    /// The public key.
    pub(super) jwk: Value,
    pair: Pair,
}

#[derive(Debug)]
enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    /// A new key for the cheapest of the algorithms; `usage` is the key's `use`.
    pub(super) fn new(algorithms: &[Algorithm], usage: &str) -> Result<Self, Unspecified> {
        const CHEAPEST: [Algorithm; 3] = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Es384];
        let cheap = CHEAPEST.into_iter().find(|algorithm| algorithms.contains(algorithm));
        let algorithm = cheap.or(algorithms.first().copied()).ok_or(Unspecified)?;
        let pair = Pair::new(algorithm)?;
        let mut jwk = pair.jwk();
        if let Some(members) = jwk.as_object_mut() {
            members.insert("kid".to_owned(), KEY_ID.into());
            members.insert("use".to_owned(), usage.into());
        }
        Ok(Self { algorithm, jwk, pair })
    }

    /// The signature of a message, as JWS has it.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding(self.algorithm), &random, message, &mut signature)?;
                Ok(signature)
            }
            Pair::Ecdsa(pair) => Ok(pair.sign(&random, message)?.as_ref().to_vec()),
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

impl Pair {
    fn new(algorithm: Algorithm) -> Result<Self, Unspecified> {
        Ok(match algorithm {
            Algorithm::Es256 => {
                Self::Ecdsa(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?)
            }
            Algorithm::Es384 => {
                Self::Ecdsa(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING)?)
            }
            Algorithm::EdDsa => Self::Ed25519(Ed25519KeyPair::generate()?),
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048)?)),
        })
    }

    fn jwk(&self) -> Value {
        match self {
            Self::Rsa(pair) => {
                let key = pair.public_key();
                let n = URL_SAFE_NO_PAD.encode(key.modulus().big_endian_without_leading_zero());
                let e = URL_SAFE_NO_PAD.encode(key.exponent().big_endian_without_leading_zero());
                json!({ "kty": "RSA", "n": n, "e": e })
            }
            Self::Ecdsa(pair) => {
                // SEC 1 §2.3.3: 4, then both coordinates.
                let point = pair.public_key().as_ref();
                let coordinates = point.get(1..).unwrap_or_default();
                let (x, y) = coordinates.split_at(coordinates.len() / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
                json!({ "kty": "EC", "crv": curve, "x": x, "y": y })
            }
            Self::Ed25519(pair) => {
                let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
                json!({ "kty": "OKP", "crv": "Ed25519", "x": x })
            }
        }
    }
}

fn encoding(algorithm: Algorithm) -> &'static dyn RsaEncoding {
    match algorithm {
        Algorithm::Rs384 => &RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &RSA_PSS_SHA256,
        Algorithm::Ps384 => &RSA_PSS_SHA384,
        Algorithm::Ps512 => &RSA_PSS_SHA512,
        Algorithm::Rs256 | Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => {
            &RSA_PKCS1_SHA256
        }
    }
}
