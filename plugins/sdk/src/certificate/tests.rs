use super::*;
use crate::Value;

const LEAF: &str = include_str!("leaf.pem");
const AUTHORITY: &str = include_str!("authority.pem");
/// Nothing here looks into a key.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n";
/// `notAfter` of the leaf.
const ENDS: u64 = 1827365780;

fn fields(pem: &[&str]) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let pem: Vec<&[u8]> = pem.iter().map(|text| text.as_bytes()).collect();
    let secret = Secret::tls("p", &pem)?;
    assert_eq!(secret.expires_at, Some(ENDS));
    assert_eq!(secret.metadata, [("kind".to_owned(), "tls".to_owned())]);
    let Value::Fields(fields) = secret.value else { panic!("bytes") };
    Ok(fields)
}

#[test]
fn a_certificate_is_its_parts_in_whatever_order_they_come() {
    let named = |name: &str, text: &str| (name.to_owned(), text.as_bytes().to_vec());
    let whole = [named("certificate", LEAF), named("chain", AUTHORITY), named("private_key", KEY)];
    for pem in [
        &[LEAF, AUTHORITY, KEY][..],
        &[KEY, LEAF, AUTHORITY],
        &[&format!("{KEY}Bag Attributes\n  friendlyName: web\n{LEAF}{AUTHORITY}")],
        &[&format!("{LEAF}{AUTHORITY}{KEY}").replace('\n', "\r\n")],
    ] {
        assert_eq!(fields(pem).expect("a certificate"), whole);
    }
    let alone = fields(&[LEAF, &KEY.replace("PRIVATE", "EC PRIVATE")]).expect("a certificate");
    assert_eq!(
        alone.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["certificate", "private_key"]
    );
}

#[test]
fn what_is_not_surely_a_certificate_with_its_key_is_refused() {
    let broken = LEAF.replace("MII", "AAA");
    for pem in [
        &[""][..],
        &[LEAF],
        &[KEY],
        &[LEAF, KEY, KEY],
        &[LEAF, KEY, "-----BEGIN X-----\n-----END X-----\n"],
        &[&broken, KEY],
        &[LEAF.trim_end_matches("-----\n"), KEY],
        &["-----BEGIN CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n", KEY],
        &["-----END CERTIFICATE-----\n", LEAF, KEY],
        &["-----BEGIN CERTIFICATE-----\n-----END PRIVATE KEY-----\n", KEY],
    ] {
        assert_eq!(fields(pem).expect_err("refused").code, "certificate_unreadable", "{pem:?}");
    }
    assert!(Secret::tls("p", &[&[0xff, 0xfe]]).is_err());
}
