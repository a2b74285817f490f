//! Key sets: test list §5.4.1, rows 5, 7 and 9, and the rules of §1.8.

use super::*;

/// The reason for which the only key of a set is dropped.
fn dropped(jwk: &str) -> DropReason {
    let keys = set(&[jwk, &K1.replace("k1", "good")], &Algorithm::ALL).unwrap();
    assert_eq!(keys.key_ids().collect::<Vec<_>>(), [Some("good")], "{jwk}");
    keys.dropped()[0].1
}

fn k1_with(name: &str, value: Value) -> String {
    let mut jwk: Value = serde_json::from_str(K1).unwrap();
    jwk[name] = value;
    jwk.to_string()
}

#[test]
fn row_7_a_key_that_could_verify_what_it_should_not_is_dropped() {
    let x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    for (name, value, expected) in [
        ("kty", json!("RSA"), DropReason::Number),
        ("kty", json!("OKP"), DropReason::Curve),
        ("kty", json!("XYZ"), DropReason::Type),
        ("kty", json!(1), DropReason::Type),
        ("kty", json!("oct"), DropReason::Symmetric),
        ("crv", json!("P-384"), DropReason::Number),
        ("crv", json!("P-521"), DropReason::Curve),
        ("crv", json!("secp256k1"), DropReason::Curve),
        ("crv", json!("p-256"), DropReason::Curve),
        ("x", json!(URL_SAFE_NO_PAD.encode([1; 31])), DropReason::Number),
        ("x", json!(URL_SAFE_NO_PAD.encode([1; 33])), DropReason::Number),
        ("x", json!(URL_SAFE_NO_PAD.encode([1; 32])), DropReason::Point),
        ("x", json!(URL_SAFE_NO_PAD.encode([0xff; 32])), DropReason::Point),
        ("x", json!(format!("{x}=")), DropReason::Number),
        ("x", json!(format!(" {x}")), DropReason::Number),
        ("x", json!(x.replace('U', "V")), DropReason::Number),
        ("x", json!(1), DropReason::Number),
        ("d", json!("AA"), DropReason::Private),
        ("k", json!("AA"), DropReason::Private),
        ("use", json!("enc"), DropReason::Use),
        ("use", json!("SIG"), DropReason::Use),
        ("use", json!(null), DropReason::Use),
        ("key_ops", json!(["sign"]), DropReason::Operations),
        ("key_ops", json!([]), DropReason::Operations),
        ("key_ops", json!("verify"), DropReason::Operations),
        ("alg", json!("none"), DropReason::Algorithm),
        ("alg", json!("RS256"), DropReason::Algorithm),
        ("alg", json!("ES384"), DropReason::Algorithm),
        ("alg", json!("ECDH-ES"), DropReason::Algorithm),
        ("alg", json!(null), DropReason::Algorithm),
        ("kid", json!(1), DropReason::KeyId),
        ("kid", json!("k".repeat(257)), DropReason::KeyId),
        ("kid", json!("a\nb"), DropReason::KeyId),
    ] {
        assert_eq!(dropped(&k1_with(name, value.clone())), expected, "{name} {value}");
    }
    for zero in ["x", "y"] {
        let both = k1_with(zero, json!(URL_SAFE_NO_PAD.encode([0; 32])));
        assert_eq!(dropped(&both), DropReason::Point, "{zero}");
    }
}

#[test]
fn keys_with_more_than_is_needed_are_kept() {
    for (name, value) in [
        ("use", json!("sig")),
        ("key_ops", json!(["verify"])),
        ("alg", json!("ES256")),
        ("x5c", json!(["M".repeat(5000)])),
        ("x5t", json!("AA")),
        ("vendor", json!({"a": [1]})),
    ] {
        assert!(set(&[&k1_with(name, value)], &[Algorithm::Es256]).is_ok(), "{name}");
    }
}

#[test]
fn row_5_an_rsa_key_is_of_sound_size_modulus_and_exponent() {
    let good = Rsa::generate().modulus();
    let mut even = good.clone();
    even[255] &= 0xfe;
    let mut bits_2047 = good.clone();
    bits_2047[0] = 0x7f;
    let padded = [[0].as_slice(), &good].concat();
    let huge = [good.clone(), good.clone(), good.clone(), good.clone(), vec![1]].concat();
    let e = [1, 0, 1];
    for (what, jwk, expected) in [
        ("512 bits", rsa_jwk(&good[..64], &e, None, "k"), DropReason::Size),
        ("1024 bits", rsa_jwk(&good[..128], &e, None, "k"), DropReason::Size),
        ("2047 bits", rsa_jwk(&bits_2047, &e, None, "k"), DropReason::Size),
        ("over 8192 bits", rsa_jwk(&huge, &e, None, "k"), DropReason::Size),
        ("16384 bits", rsa_jwk(&good.repeat(8), &e, None, "k"), DropReason::Size),
        ("an even modulus", rsa_jwk(&even, &e, None, "k"), DropReason::EvenModulus),
        ("a leading zero", rsa_jwk(&padded, &e, None, "k"), DropReason::Number),
        ("no modulus", rsa_jwk(&[], &e, None, "k"), DropReason::Number),
        ("no exponent", rsa_jwk(&good, &[], None, "k"), DropReason::Number),
        ("e = 1", rsa_jwk(&good, &[1], None, "k"), DropReason::Exponent),
        ("e = 3", rsa_jwk(&good, &[3], None, "k"), DropReason::Exponent),
        ("e = 65536", rsa_jwk(&good, &[1, 0, 0], None, "k"), DropReason::Exponent),
        ("e = 2^32 + 1", rsa_jwk(&good, &[1, 0, 0, 0, 1], None, "k"), DropReason::Exponent),
        ("e of 9 bytes", rsa_jwk(&good, &[1; 9], None, "k"), DropReason::Exponent),
        ("another type's alg", rsa_jwk(&good, &e, Some("ES256"), "k"), DropReason::Algorithm),
    ] {
        assert_eq!(dropped(&jwk), expected, "{what}");
    }
    assert!(set(&[&rsa_jwk(&good, &e, None, "k")], &[Algorithm::Ps512]).is_ok());
}

#[test]
fn row_9_an_rsa_modulus_with_the_roca_fingerprint_is_dropped() {
    // 65537^128 has 2049 bits and is a power of 65537 modulo every prime.
    let mut power = vec![1_u8];
    for _ in 0..128 {
        power = times_65537(&power);
    }
    power.reverse();
    assert_eq!(dropped(&rsa_jwk(&power, &[1, 0, 1], None, "k")), DropReason::Weak);
}

/// `n * 65537`, little-endian.
fn times_65537(n: &[u8]) -> Vec<u8> {
    let mut product = Vec::new();
    let mut carry = 0_u16;
    for index in 0..n.len() + 2 {
        let low = n.get(index).copied().map_or(0, u16::from);
        let high = index.checked_sub(2).and_then(|i| n.get(i)).copied().map_or(0, u16::from);
        let [byte, over] = (low + high + carry).to_le_bytes();
        carry = u16::from(over);
        product.push(byte);
    }
    if carry > 0 {
        product.extend(carry.to_le_bytes().first());
    }
    while product.last() == Some(&0) {
        product.pop();
    }
    product
}

#[test]
fn row_6_an_ed25519_key_of_small_order_is_dropped() {
    let okp = |x: &[u8], crv: &str| {
        json!({"kty": "OKP", "crv": crv, "x": URL_SAFE_NO_PAD.encode(x), "kid": "k"}).to_string()
    };
    let mut identity = [0; 32];
    identity[0] = 1;
    for (jwk, expected) in [
        (okp(&[0; 32], "Ed25519"), DropReason::Weak),
        (okp(&identity, "Ed25519"), DropReason::Weak),
        (okp(&[0xff; 32], "Ed25519"), DropReason::Weak),
        (okp(&[1; 31], "Ed25519"), DropReason::Number),
        (okp(&[1; 33], "Ed25519"), DropReason::Number),
        (okp(&[1; 57], "Ed448"), DropReason::Curve),
        (okp(&[1; 32], "X25519"), DropReason::Curve),
    ] {
        assert_eq!(dropped(&jwk), expected, "{jwk}");
    }
}

#[test]
fn a_set_is_refused_as_a_whole_when_it_cannot_be_trusted() {
    let key = |index: usize| K1.replace("k1", &format!("k{index}"));
    let many = |n: usize| (0..n).map(key).collect::<Vec<_>>().join(",");
    let of = |text: &str| KeySet::parse(text.as_bytes(), &Algorithm::ALL, 1).err();
    let large = format!(r#"{{"keys":[{K1}],"x":"{}"}}"#, "x".repeat(512 * 1024));
    for (text, expected) in [
        (String::new(), KeySetError::Json(Fault::Syntax)),
        ("<html>".to_owned(), KeySetError::Json(Fault::Syntax)),
        ("[]".to_owned(), KeySetError::Json(Fault::NotAnObject)),
        ("{}".to_owned(), KeySetError::NotASet),
        (r#"{"keys":{}}"#.to_owned(), KeySetError::NotASet),
        (format!(r#"{{"keys":[{K1},1]}}"#), KeySetError::NotASet),
        (r#"{"keys":[]}"#.to_owned(), KeySetError::NoUsableKey),
        (r#"{"keys":[{"kty":"oct","k":"AA"}]}"#.to_owned(), KeySetError::NoUsableKey),
        (format!(r#"{{"keys":[{K1},{K1}]}}"#), KeySetError::DuplicateKeyId),
        (format!(r#"{{"keys":[{K1}],"keys":[]}}"#), KeySetError::Json(Fault::Duplicate)),
        (format!(r#"{{"keys":[{}]}}"#, many(101)), KeySetError::TooManyKeys),
        (large, KeySetError::TooLarge),
    ] {
        assert_eq!(of(&text), Some(expected), "{}", text.chars().take(60).collect::<String>());
    }
    assert_eq!(of(&format!(r#"{{"keys":[{}]}}"#, many(100))), None);
}

#[test]
fn a_dropped_twin_does_not_spoil_the_set() {
    let enc = k1_with("use", json!("enc"));
    let keys = set(&[&enc, K1], &[Algorithm::Es256]).unwrap();
    assert_eq!(keys.dropped(), [(0, DropReason::Use)]);
    assert!(keys.has("k1") && !keys.has("k2"));
}

#[test]
fn a_key_that_no_allowed_algorithm_fits_is_dropped() {
    assert_eq!(set(&[K1], &[Algorithm::Rs256]).err(), Some(KeySetError::NoUsableKey));
    assert!(set(&[K1], &[Algorithm::Rs256, Algorithm::Es256]).is_ok());
}
