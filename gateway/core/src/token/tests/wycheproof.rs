//! Project Wycheproof's JSON Web Signature vectors, all 401, and JSON Web Key vectors, all 26.

use wycheproof_ng_kdf_jose::json_web::{TestName, TestSet};

use super::*;
use crate::token::compact::Jws;
use crate::token::weak;

/// What the payload says is no concern of these vectors: most are not JSON.
fn accepts(token: &str, key: &Value) -> bool {
    let keys = match key.get("keys") {
        Some(_) => KeySet::parse(key.to_string().as_bytes(), &Algorithm::ALL, 1),
        None => set(&[&key.to_string()], &Algorithm::ALL),
    };
    let Ok(keys) = keys else { return false };
    let Ok(jws) = Jws::parse(token, MAX_TOKEN_BYTES) else { return false };
    let Some(algorithm) = Algorithm::parse(&jws.header.algorithm) else { return false };
    let key = keys.select(jws.header.key_id.as_deref(), algorithm);
    key.and_then(|key| key.check(&jws, algorithm)).is_ok()
}

/// Cases labelled valid that must be refused.
fn is_refused_although_valid(case: usize, key: &Value, token: &str) -> bool {
    match case {
        // The key's `alg` is PS256 and the token's PS384.
        346 | 350 => true,
        // The key's `alg` is the misspelt ES521.
        347 | 351 => true,
        // The token has the illegal character `?`.
        372 | 373 => true,
        // Symmetric keys and P-521 are not supported, by decision.
        _ => {
            let header = token.split('.').next().unwrap();
            let header = String::from_utf8(URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
            let unsupported = ["HS256", "HS384", "HS512", "ES512"];
            key["kty"] == "oct"
                || key.is_null()
                || unsupported.iter().any(|alg| header.contains(alg))
        }
    }
}

#[test]
fn the_vectors_of_wycheproof_agree() {
    let set = TestSet::load(TestName::JsonWebSignature).unwrap();
    let (mut count, mut accepted) = (0, 0);
    for group in &set.test_groups {
        // Symmetric groups have only a private half; it is offered as the key all the same.
        let key = group.public_key.clone().or(group.private_key.clone()).unwrap_or_default();
        for test in &group.tests {
            count += 1;
            let Some(Value::String(token)) = &test.jws else { continue };
            let accepts = accepts(token, &key);
            accepted += usize::from(accepts);
            let valid = format!("{:?}", test.result) == "Valid";
            // 367 and 370, labelled invalid, are byte for byte the valid 357, and symmetric.
            let expected = valid && !is_refused_although_valid(test.tc_id, &key, token);
            assert_eq!(accepts, expected, "case {} ({:?})", test.tc_id, test.comment);
        }
    }
    assert_eq!(count, 401);
    assert!(accepted >= 20, "{accepted}");
}

#[test]
fn the_key_vectors_of_wycheproof_agree() {
    let set = TestSet::load(TestName::JsonWebKey).unwrap();
    let mut accepted = Vec::new();
    for test in set.test_groups.iter().flat_map(|group| {
        let key = group.public_key.clone().or(group.private_key.clone()).unwrap_or_default();
        group.tests.iter().map(move |test| (key.clone(), test))
    }) {
        let (key, test) = test;
        let Some(Value::String(token)) = &test.jws else { panic!("case {}", test.tc_id) };
        if accepts(token, &key) {
            accepted.push(test.tc_id);
        }
    }
    // The other cases labelled valid (2, 13, 14, 15) have symmetric keys.
    assert_eq!(accepted, [5]);
}

#[test]
fn the_roca_key_of_wycheproof_has_the_fingerprint() {
    let set = TestSet::load(TestName::JsonWebKey).unwrap();
    let group = set.test_groups.iter().find(|group| group.tests[0].tc_id == 7).unwrap();
    let modulus = group.public_key.as_ref().unwrap()["keys"][0]["n"].as_str().unwrap();
    assert!(weak::is_roca(&URL_SAFE_NO_PAD.decode(modulus).unwrap()));
}
