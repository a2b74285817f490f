//! SPIFFE bundles: the keys and authorities of one trust domain, as a key set.
//!
//! INVARIANT: a key counts for what its `use` says and for nothing else. What is for WIT-SVIDs, or for
//! nothing that is known, is left out.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{DropReason, Key, KeySet, KeySetError, Purpose, document, members};
use crate::token::algorithm::Algorithm;
use crate::token::json::{Object, Value};

impl KeySet {
    /// Reads a SPIFFE bundle of one trust domain (SPIFFE Trust Domain and Bundle §4): keys for
    /// JWT-SVIDs, which must have a `kid`, and authorities for X.509-SVIDs. An empty bundle is one:
    /// everything is revoked.
    ///
    /// # Errors
    /// [`KeySetError`] if the bundle as a whole is refused.
    pub fn bundle(
        bytes: &[u8],
        allowed: &[Algorithm],
        generation: u64,
    ) -> Result<Self, KeySetError> {
        let document = document(bytes)?;
        let mut set = Self::empty(generation);
        set.sequence = count(&document, "spiffe_sequence")?;
        set.refresh_hint = count(&document, "spiffe_refresh_hint")?.map(Duration::from_secs);
        for (index, jwk) in members(&document)?.iter().enumerate() {
            let taken = match jwk.get("use").and_then(Value::as_str) {
                Some("x509-svid") => authority(jwk).map(|der| set.authorities.push(der)),
                Some(_) | None => match Key::parse(jwk, allowed, Purpose::JwtSvid) {
                    Ok(key) => {
                        set.add(key)?;
                        Ok(())
                    }
                    Err(reason) => Err(reason),
                },
            };
            set.dropped.extend(taken.err().map(|reason| (index, reason)));
        }
        Ok(set)
    }
}

/// A whole number that is not negative, if it is there.
fn count(document: &Object, name: &str) -> Result<Option<u64>, KeySetError> {
    let Some(found) = document.get(name) else { return Ok(None) };
    let number = match found {
        Value::Number(number) => number.as_integer_text().and_then(|text| text.parse().ok()),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    };
    number.map(Some).ok_or(KeySetError::Sequence)
}

/// The certificate of an authority: the first of `x5c`, in the base64 of RFC 4648 §4.
fn authority(jwk: &Object) -> Result<Vec<u8>, DropReason> {
    let first = jwk.get("x5c").and_then(Value::as_array).and_then(<[Value]>::first);
    let der = first.and_then(Value::as_str).and_then(|text| STANDARD.decode(text).ok());
    match der {
        Some(der) if !jwk.has("kid") => Ok(der),
        Some(_) | None => Err(DropReason::Certificate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;

    fn bundle(keys: &[String], rest: &str) -> Result<KeySet, KeySetError> {
        let text = format!(r#"{{"keys":[{}]{rest}}}"#, keys.join(","));
        KeySet::bundle(text.as_bytes(), &Algorithm::ALL, 1)
    }

    #[test]
    fn a_key_counts_for_what_its_use_says() {
        for (members, expected) in [
            (r#","use":"jwt-svid","kid":"a""#, None),
            (r#","use":"jwt-svid""#, Some(DropReason::KeyId)),
            (r#","use":"sig","kid":"a""#, Some(DropReason::Use)),
            (r#","kid":"a""#, Some(DropReason::Use)),
            (r#","use":"wit-svid","kid":"a""#, Some(DropReason::Use)),
            (r#","use":"JWT-SVID","kid":"a""#, Some(DropReason::Use)),
            (r#","use":"x509-svid","x5c":["MIIB"],"kid":"a""#, Some(DropReason::Certificate)),
            (r#","use":"x509-svid""#, Some(DropReason::Certificate)),
            (r#","use":"x509-svid","x5c":["*"]"#, Some(DropReason::Certificate)),
        ] {
            let set = bundle(&[format!("{{{KEY}{members}}}")], "").unwrap();
            assert_eq!(set.dropped().first().map(|(_, reason)| *reason), expected, "{members}");
            assert_eq!(set.key_ids().count(), usize::from(expected.is_none()), "{members}");
            assert!(set.authorities().is_empty());
        }
        let authority = format!(r#"{{{KEY},"use":"x509-svid","x5c":["MIIB","AAAA"]}}"#);
        let set = bundle(&[authority], "").unwrap();
        assert_eq!(set.authorities(), [vec![0x30, 0x82, 0x01]]);
    }

    #[test]
    fn an_empty_bundle_is_one_and_its_numbers_are_numbers() {
        let set = bundle(&[], r#","spiffe_sequence":12,"spiffe_refresh_hint":300"#).unwrap();
        assert!(set.is_empty());
        assert_eq!(
            (set.sequence(), set.refresh_hint()),
            (Some(12), Some(Duration::from_secs(300)))
        );
        assert_eq!(bundle(&[], "").unwrap().sequence(), None);
        for bad in ["-1", "1.5", "\"12\"", "null", "1e3"] {
            let rest = format!(r#","spiffe_sequence":{bad}"#);
            assert_eq!(bundle(&[], &rest).err(), Some(KeySetError::Sequence), "{bad}");
        }
    }
}
