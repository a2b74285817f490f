//! The properties of §5.6, and the list that the whole line is tested with.

use super::*;
use proptest::prelude::*;

#[test]
fn every_mutation_of_an_accepted_token_is_refused() {
    let (header, claims) = (header(), claims());
    let (header, claims) = (header.as_object().unwrap(), claims.as_object().unwrap());
    let key = Ec::k1();
    let all = testing::mutations(header, claims, &|input| key.sign(input));
    assert!(all.len() > 250, "{}", all.len());
    let keys = k1();
    for mutation in all {
        assert!(
            refusal(&mutation.token, &rules(), &keys).is_some(),
            "accepted: {} {}",
            mutation.description,
            mutation.token
        );
    }
}

#[test]
fn the_list_is_not_refused_for_its_signatures() {
    let (header, claims) = (header(), claims());
    let key = Ec::k1();
    let all =
        testing::mutations(header.as_object().unwrap(), claims.as_object().unwrap(), &|input| {
            key.sign(input)
        });
    let keys = k1();
    let blunt = all
        .iter()
        .filter(|mutation| refusal(&mutation.token, &rules(), &keys) == Some(Refusal::Signature));
    let blunt: Vec<_> = blunt.map(|mutation| mutation.description.as_str()).collect();
    assert!(blunt.len() <= 8, "{blunt:?}");
}

#[test]
fn property_1_an_accepted_token_is_the_only_text_of_its_bytes() {
    let token = signed(&claims().to_string());
    assert_eq!(refusal(&token, &rules(), &k1()), None);
    let again = token
        .split('.')
        .map(|segment| URL_SAFE_NO_PAD.encode(URL_SAFE_NO_PAD.decode(segment).unwrap()));
    assert_eq!(again.collect::<Vec<_>>().join("."), token);
}

#[test]
fn property_2_no_single_byte_of_an_accepted_token_can_be_changed() {
    let (rules, keys) = (rules(), k1());
    let token = signed(&claims().to_string());
    assert_eq!(refusal(&token, &rules, &keys), None);
    let mut bytes = token.clone().into_bytes();
    for index in 0..bytes.len() {
        let original = bytes[index];
        for byte in (0..=255).filter(|byte| *byte != original) {
            bytes[index] = byte;
            // What is not UTF-8 does not even become a `&str`.
            if let Ok(text) = std::str::from_utf8(&bytes) {
                assert!(refusal(text, &rules, &keys).is_some(), "{index} {byte:x}");
            }
        }
        bytes[index] = original;
    }
}

proptest! {
    #[test]
    fn property_3_the_order_of_members_decides_nothing(
        order in Just([0_usize, 1, 2, 3, 4, 5]).prop_shuffle(),
        spoil in proptest::option::of(0_usize..6),
    ) {
        let claims = claims();
        let claims: Vec<_> = claims.as_object().unwrap().iter().collect();
        let write = |order: &[usize]| {
            let members = order.iter().map(|index| {
                let (name, value) = claims[*index];
                let value = if spoil == Some(*index) { &Value::Null } else { value };
                format!("{}:{value}", Value::from(name.as_str()))
            });
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        };
        let sorted = refusal(&signed(&write(&[0, 1, 2, 3, 4, 5])), &rules(), &k1());
        prop_assert_eq!(refusal(&signed(&write(&order)), &rules(), &k1()), sorted);
    }

    #[test]
    fn property_4_what_is_accepted_an_independent_verifier_accepts(
        index in 0_usize..330,
        byte in proptest::sample::select(b"ABab01-_.".to_vec()),
    ) {
        let mut bytes = signed(&claims().to_string()).into_bytes();
        if let Some(place) = bytes.get_mut(index) {
            *place = byte;
        }
        let token = String::from_utf8(bytes).unwrap();
        if refusal(&token, &rules(), &k1()).is_none() {
            let (input, signature) = token.rsplit_once('.').unwrap();
            let jwk: Value = serde_json::from_str(K1).unwrap();
            let decode = |v: &Value| URL_SAFE_NO_PAD.decode(v.as_str().unwrap()).unwrap();
            let point = [vec![4], decode(&jwk["x"]), decode(&jwk["y"])].concat();
            let oracle = aws_lc_rs::signature::UnparsedPublicKey::new(
                &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED,
                point,
            );
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            prop_assert!(oracle.verify(input.as_bytes(), &signature).is_ok());
        }
    }

    #[test]
    fn any_bytes_as_a_key_set_end_in_a_verdict(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _verdict = KeySet::parse(&bytes, &Algorithm::ALL, 0);
    }

    #[test]
    fn any_members_of_a_key_end_in_a_verdict(
        kty in "RSA|EC|OKP|oct|",
        crv in "P-256|P-384|Ed25519|",
        n in "[A-Za-z0-9_-]{0,44}",
        e in "[A-Za-z0-9_-]{0,44}",
    ) {
        let jwk = json!({"kty": kty, "crv": crv, "n": n, "e": e, "x": n, "y": e}).to_string();
        let _verdict = set(&[&jwk], &Algorithm::ALL);
    }
}
