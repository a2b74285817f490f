//! Signatures (RFC 7518 §3, RFC 8037), with the keys of a JWK set.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, EcdsaVerificationAlgorithm,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// Whether the signature is that of the message under the key, by this algorithm.
pub(crate) fn verifies(key: &Value, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
    let number = |name: &str| URL_SAFE_NO_PAD.decode(key.get(name)?.as_str()?).ok();
    let kind = key.get("kty").and_then(Value::as_str);
    let curve = key.get("crv").and_then(Value::as_str);
    match (algorithm, kind, curve) {
        ("EdDSA", Some("OKP"), Some("Ed25519")) => number("x").is_some_and(|x| {
            UnparsedPublicKey::new(&ED25519, x).verify(message, signature).is_ok()
        }),
        ("ES256", Some("EC"), Some("P-256")) => {
            ecdsa(&ECDSA_P256_SHA256_FIXED, number("x").zip(number("y")), message, signature)
        }
        ("ES384", Some("EC"), Some("P-384")) => {
            ecdsa(&ECDSA_P384_SHA384_FIXED, number("x").zip(number("y")), message, signature)
        }
        (_, Some("RSA"), _) => {
            let parts = number("n").zip(number("e"));
            rsa(algorithm).zip(parts).is_some_and(|(parameters, (n, e))| {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            })
        }
        (_, _, _) => false,
    }
}

fn rsa(algorithm: &str) -> Option<&'static RsaParameters> {
    match algorithm {
        "RS256" => Some(&RSA_PKCS1_2048_8192_SHA256),
        "RS384" => Some(&RSA_PKCS1_2048_8192_SHA384),
        "RS512" => Some(&RSA_PKCS1_2048_8192_SHA512),
        "PS256" => Some(&RSA_PSS_2048_8192_SHA256),
        "PS384" => Some(&RSA_PSS_2048_8192_SHA384),
        "PS512" => Some(&RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

fn ecdsa(
    algorithm: &'static EcdsaVerificationAlgorithm,
    point: Option<(Vec<u8>, Vec<u8>)>,
    message: &[u8],
    signature: &[u8],
) -> bool {
    point.is_some_and(|(x, y)| {
        // SEC 1 §2.3.3: a point that is not compressed begins with 4.
        let point = [vec![4], x, y].concat();
        UnparsedPublicKey::new(algorithm, point).verify(message, signature).is_ok()
    })
}
