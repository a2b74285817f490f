//! From the text of a token to a principal, beside the bare check of its signature.

use std::hint::black_box;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use symbolon_core::clock::Timestamp;
use symbolon_core::id::IssuerAlias;
use symbolon_core::token::verify as verify_token;
use symbolon_core::token::{Algorithm, Compact, IssuerRules, KeySet, MAX_TOKEN_BYTES, testing};

use crate::report::{Report, Row, Unit, by_turns};

const ISSUER: &str = "https://idp.example.test";
const AUDIENCE: &str = "https://gw.example.test";
const NOW: i64 = 1_793_520_000;

/// Signs a message.
type Sign = Box<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// An issuer's key: its public half twice, and how it signs.
pub(crate) struct Signer {
    algorithm: Algorithm,
    aim: f64,
    jwk: Value,
    pub(crate) bare: ParsedPublicKey,
    pub(crate) sign: Sign,
}

pub(crate) fn run(report: &mut Report) {
    for signer in [es256(), rs256(), eddsa()] {
        report.add(&measure(&signer));
    }
}

fn measure(signer: &Signer) -> Row {
    let rules = IssuerRules {
        algorithms: vec![signer.algorithm],
        ..IssuerRules::new(
            IssuerAlias::parse("idp").expect("an alias"),
            ISSUER,
            vec![AUDIENCE.to_owned()],
        )
    };
    let set = json!({ "keys": [signer.jwk] }).to_string();
    let keys = KeySet::parse(set.as_bytes(), &[signer.algorithm], 1).expect("a key set");
    let token = token(signer);
    let (input, signature) = token.rsplit_once('.').expect("three parts");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let ours = || {
        let token = Compact::parse(&token, MAX_TOKEN_BYTES).expect("a token");
        let now = Timestamp::from_seconds(NOW);
        black_box(verify_token(&token, &rules, &keys, now).expect("a good token"));
    };
    let floor = || signer.bare.verify_sig(input.as_bytes(), &signature).expect("a good signature");
    let (value, floor) = by_turns(1000, ours, floor);
    let case = signer.algorithm.as_str().to_owned();
    Row { bench: "verify", case, unit: Unit::Micros, value, floor, aim: Some(signer.aim) }
}

fn token(signer: &Signer) -> String {
    let header = json!({ "alg": signer.algorithm.as_str(), "kid": "k1", "typ": "JWT" });
    let claims = json!({
        "iss": ISSUER, "sub": "svc:a", "aud": AUDIENCE, "iat": NOW, "exp": NOW + 300, "jti": "j1",
    });
    let sign = |input: &str| URL_SAFE_NO_PAD.encode((signer.sign)(input.as_bytes()));
    testing::token(header.to_string().as_bytes(), claims.to_string().as_bytes(), &sign)
}

/// With P-256.
pub(crate) fn es256() -> Signer {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let point = key.public_key().as_ref().to_vec();
    let (x, y) = point[1..].split_at(32);
    Signer {
        algorithm: Algorithm::Es256,
        aim: 0.85,
        jwk: json!({ "kty": "EC", "crv": "P-256", "kid": "k1", "x": encode(x), "y": encode(y) }),
        bare: ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).expect("a public key"),
        sign: Box::new(move |input| {
            key.sign(&SystemRandom::new(), input).expect("a signature").as_ref().to_vec()
        }),
    }
}

fn rs256() -> Signer {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let n = key.public_key().modulus().big_endian_without_leading_zero().to_vec();
    let components = RsaPublicKeyComponents { n: n.as_slice(), e: &[1, 0, 1][..] };
    let bare = components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256);
    Signer {
        algorithm: Algorithm::Rs256,
        aim: 0.65,
        jwk: json!({ "kty": "RSA", "kid": "k1", "n": encode(&n), "e": "AQAB" }),
        bare: bare.expect("a public key"),
        sign: Box::new(move |input| {
            let mut signature = vec![0; key.public_modulus_len()];
            key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input, &mut signature)
                .expect("a signature");
            signature
        }),
    }
}

fn eddsa() -> Signer {
    let key = Ed25519KeyPair::generate().expect("a key");
    let public = key.public_key().as_ref().to_vec();
    Signer {
        algorithm: Algorithm::EdDsa,
        aim: 0.85,
        jwk: json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": encode(&public) }),
        bare: ParsedPublicKey::new(&ED25519, &public).expect("a public key"),
        sign: Box::new(move |input| key.sign(input).as_ref().to_vec()),
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
