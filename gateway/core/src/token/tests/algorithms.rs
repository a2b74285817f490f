//! Test list §5.4.1, rows 1 to 6 and 8: algorithms and signatures.

use super::*;

#[test]
fn row_1_an_algorithm_is_an_exact_allowed_name() {
    for (raw, expected) in [
        (r#""none""#, Refusal::Algorithm),
        (r#""None""#, Refusal::Algorithm),
        (r#""NONE""#, Refusal::Algorithm),
        (r#""nOnE""#, Refusal::Algorithm),
        (r#""""#, Refusal::Algorithm),
        ("null", Refusal::HeaderMember),
        (r#"["RS256"]"#, Refusal::HeaderMember),
        (r#""RS256 ""#, Refusal::Algorithm),
        (r#""rs256""#, Refusal::Algorithm),
        (r#""ES256K""#, Refusal::Algorithm),
        (r#""ES512""#, Refusal::Algorithm),
        (r#""HS256""#, Refusal::Algorithm),
        (r#""ES384""#, Refusal::Algorithm), // known, but not in this issuer's rules
    ] {
        let token = signed_with(&format!(r#"{{"alg":{raw},"kid":"k1"}}"#), &claims().to_string());
        assert_eq!(refusal(&token, &rules(), &k1()), Some(expected), "{raw}");
    }
    let token = signed_with(r#"{"kid":"k1"}"#, &claims().to_string());
    assert_eq!(refusal(&token, &rules(), &k1()), Some(Refusal::HeaderMember));
}

#[test]
fn row_2_no_public_key_is_ever_a_shared_secret() {
    use aws_lc_rs::hmac::{HMAC_SHA256, HMAC_SHA384, HMAC_SHA512, Key, sign};
    let x = URL_SAFE_NO_PAD.decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU").unwrap();
    let mut rules = rules();
    rules.algorithms = Algorithm::ALL.to_vec();
    for secret in
        [b"".as_slice(), K1.as_bytes(), &x, b"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"]
    {
        for (alg, hash) in [("HS256", HMAC_SHA256), ("HS384", HMAC_SHA384), ("HS512", HMAC_SHA512)]
        {
            let header = json!({"alg": alg, "kid": "k1"}).to_string();
            let key = Key::new(hash, secret);
            let mac = |input: &str| URL_SAFE_NO_PAD.encode(sign(&key, input.as_bytes()));
            let token = testing::token(header.as_bytes(), claims().to_string().as_bytes(), &mac);
            assert_eq!(refusal(&token, &rules, &k1()), Some(Refusal::Algorithm));
        }
    }
}

#[test]
fn row_3_a_key_verifies_only_what_fits_its_type_curve_and_algorithm() {
    let (rsa, p256, p384) = (Rsa::generate(), Ec::k1(), Ec::p384());
    let mut rules = rules();
    rules.algorithms = Algorithm::ALL.to_vec();
    let pss = |input: &str| rsa.ps256(input);
    let pkcs1 = |input: &str| rsa.rs256(input);
    let es256 = |input: &str| p256.sign(input);
    let es384 = |input: &str| p384.sign(input);
    let p384_jwk = p384.jwk("P-384", "k1");
    let cases: [(&str, String, testing::Sign<'_>, Option<Refusal>); 10] = [
        ("RS256", rsa.jwk(None, "k1"), &pkcs1, None),
        ("RS256", rsa.jwk(Some("RS256"), "k1"), &pkcs1, None),
        ("PS256", rsa.jwk(Some("PS256"), "k1"), &pss, None),
        ("ES384", p384_jwk.clone(), &es384, None),
        ("RS256", rsa.jwk(Some("PS256"), "k1"), &pkcs1, Some(Refusal::KeyMismatch)),
        ("PS256", rsa.jwk(Some("RS256"), "k1"), &pss, Some(Refusal::KeyMismatch)),
        ("RS256", K1.to_owned(), &pkcs1, Some(Refusal::KeyMismatch)),
        ("ES256", p384_jwk, &es384, Some(Refusal::KeyMismatch)),
        ("ES384", K1.to_owned(), &es256, Some(Refusal::KeyMismatch)),
        ("PS256", rsa.jwk(None, "k1"), &pkcs1, Some(Refusal::Signature)),
    ];
    for (alg, jwk, sign, expected) in cases {
        let header = json!({"alg": alg, "kid": "k1"}).to_string();
        let token = testing::token(header.as_bytes(), claims().to_string().as_bytes(), sign);
        let keys = set(&[&jwk], &Algorithm::ALL).unwrap();
        assert_eq!(refusal(&token, &rules, &keys), expected, "{alg} {jwk}");
    }
}

/// The order of P-256.
const N: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

#[test]
fn row_4_an_es256_signature_is_two_numbers_of_32_bytes_in_range() {
    let good = signed(&claims().to_string());
    let (input, signature) = good.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let (r, s) = bytes.split_at(32);
    let n = hex::decode(N).unwrap();
    let mut above = n.clone();
    above[31] += 1;
    let (zero, most) = (vec![0; 32], vec![0xff; 32]);
    for (what, signature) in [
        ("r = 0", [&zero, s].concat()),
        ("s = 0", [r, &zero].concat()),
        ("both 0", [zero.clone(), zero.clone()].concat()),
        ("r = n", [&n, s].concat()),
        ("s = n", [r, &n].concat()),
        ("r = n + 1", [&above, s].concat()),
        ("r > n", [&most, s].concat()),
        ("s > n", [r, &most].concat()),
        ("63 bytes", bytes[..63].to_vec()),
        ("a leading byte stripped", bytes[1..].to_vec()),
        ("65 bytes", [&bytes, [0].as_slice()].concat()),
        ("a zero in front", [[0].as_slice(), &bytes].concat()),
        ("no bytes", Vec::new()),
        ("128 bytes", [bytes.clone(), bytes.clone()].concat()),
        ("swapped", [s, r].concat()),
    ] {
        let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature));
        assert_eq!(refusal(&token, &rules(), &k1()), Some(Refusal::Signature), "{what}");
    }
}

#[test]
fn row_5_an_rsa_signature_is_as_long_as_the_modulus_and_below_it() {
    let rsa = Rsa::generate();
    let keys = set(&[&rsa.jwk(None, "k1")], &Algorithm::ALL).unwrap();
    let header = r#"{"alg":"RS256","kid":"k1"}"#;
    let good =
        testing::token(header.as_bytes(), claims().to_string().as_bytes(), &|i| rsa.rs256(i));
    assert_eq!(refusal(&good, &rules(), &keys), None);
    let (input, signature) = good.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    for (what, signature) in [
        ("shorter", bytes[..255].to_vec()),
        ("longer", [[0].as_slice(), &bytes].concat()),
        ("zero", vec![0; 256]),
        ("one", [vec![0; 255], vec![1]].concat()),
        ("the modulus", rsa.modulus()),
        ("above the modulus", vec![0xff; 256]),
    ] {
        let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature));
        assert_eq!(refusal(&token, &rules(), &keys), Some(Refusal::Signature), "{what}");
    }
}

/// The order of the base point of edwards25519, little-endian.
const L: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

#[test]
fn row_6_an_eddsa_signature_has_64_bytes_and_a_canonical_s() {
    let ed = Ed::generate();
    let mut rules = rules();
    rules.algorithms = vec![Algorithm::EdDsa];
    let keys = set(&[&ed.jwk("k1")], &rules.algorithms).unwrap();
    let sign = |input: &str| URL_SAFE_NO_PAD.encode(ed.sign(input));
    let header = r#"{"alg":"EdDSA","kid":"k1"}"#;
    let good = testing::token(header.as_bytes(), claims().to_string().as_bytes(), &sign);
    assert_eq!(refusal(&good, &rules, &keys), None);
    let (input, _) = good.rsplit_once('.').unwrap();
    let bytes = ed.sign(input);
    for (what, signature) in [
        ("S + L", [&bytes[..32], &plus(&bytes[32..], &hex::decode(L).unwrap())].concat()),
        ("63 bytes", bytes[..63].to_vec()),
        ("65 bytes", [&bytes, [0].as_slice()].concat()),
        ("zeros", vec![0; 64]),
    ] {
        let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature));
        assert_eq!(refusal(&token, &rules, &keys), Some(Refusal::Signature), "{what}");
    }
}

fn plus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut carry = 0_u16;
    let sum = a.iter().zip(b).map(|(a, b)| {
        carry += u16::from(*a) + u16::from(*b);
        let [low, high] = carry.to_le_bytes();
        carry = u16::from(high);
        low
    });
    sum.collect()
}

#[test]
fn row_8_the_sender_does_not_choose_the_key() {
    let long = quote(&"k".repeat(64 * 1024));
    for (name, raw, expected) in [
        ("jwk", K1, Refusal::EmbeddedKey),
        ("x5c", r#"["MIIB"]"#, Refusal::EmbeddedKey),
        ("jku", r#""https://evil.example""#, Refusal::EmbeddedKey),
        ("x5u", r#""https://evil.example""#, Refusal::EmbeddedKey),
        ("kid", r#""../../../../dev/null""#, Refusal::UnknownKey),
        ("kid", r#""/proc/self/environ""#, Refusal::UnknownKey),
        ("kid", r#""' OR 1=1--""#, Refusal::UnknownKey),
        ("kid", r#""$(id)""#, Refusal::UnknownKey),
        ("kid", r#""https://evil.example/k1""#, Refusal::UnknownKey),
        ("kid", r#""K1""#, Refusal::UnknownKey),
        ("kid", r#""""#, Refusal::UnknownKey),
        ("kid", "1", Refusal::HeaderMember),
        ("kid", r#"["k1"]"#, Refusal::HeaderMember),
        ("kid", "null", Refusal::HeaderMember),
        ("kid", r#""k1\u0000""#, Refusal::HeaderMember),
        ("kid", &quote(&"k".repeat(257)), Refusal::HeaderMember),
        ("kid", &quote(&"k".repeat(2048)), Refusal::HeaderTooLong),
    ] {
        let header = match name {
            "kid" => format!(r#"{{"alg":"ES256","kid":{raw}}}"#),
            _ => format!(r#"{{"alg":"ES256","kid":"k1","{name}":{raw}}}"#),
        };
        let token = signed_with(&header, &claims().to_string());
        assert_eq!(refusal(&token, &rules(), &k1()), Some(expected), "{name} {raw}");
    }
    let header = format!(r#"{{"alg":"ES256","kid":{long}}}"#);
    let token = signed_with(&header, &claims().to_string());
    assert_eq!(refusal(&token, &rules(), &k1()), Some(Refusal::TooLong));
}

fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

#[test]
fn a_token_without_kid_needs_exactly_one_fitting_key() {
    let other = Ec::p384();
    let (second, p384) = (K1.replace("k1", "k2"), other.jwk("P-384", "k3"));
    let token = signed_with(r#"{"alg":"ES256"}"#, &claims().to_string());
    for (keys, expected) in [
        (vec![K1], None),
        (vec![K1, &p384], None),
        (vec![K1, &second], Some(Refusal::AmbiguousKey)),
        (vec![&p384], Some(Refusal::AmbiguousKey)),
    ] {
        let keys = set(&keys, &Algorithm::ALL).unwrap();
        assert_eq!(refusal(&token, &rules(), &keys), expected);
    }
}
