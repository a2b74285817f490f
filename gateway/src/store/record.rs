//! How records become bytes: one version byte, then JSON.
//!
//! JSON and not a binary encoding, since a ledger entry is a few hundred bytes whose cost is the
//! flush; since fields can be added with a default; and since an operator with a broken store can
//! read what is in it. The version byte belongs to the kind of record: it changes when old bytes can
//! no longer be read as the new type, and then a migration of the store rewrites them, so that only
//! the newest version is ever read here.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;

/// A kind of record.
pub trait Record: Serialize + DeserializeOwned {
    /// The version of its encoding.
    const VERSION: u8;
}

/// The bytes of `record`.
///
/// # Errors
/// [`StoreError::Record`] if it has no JSON form.
pub fn encode<R: Record>(record: &R) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![R::VERSION];
    serde_json::to_writer(&mut bytes, record).map_err(|cause| fault("written", &cause))?;
    Ok(bytes)
}

/// The record in `bytes`.
///
/// # Errors
/// [`StoreError::Record`] if the version is another, or the bytes do not fit the type.
pub fn decode<R: Record>(bytes: &[u8]) -> Result<R, StoreError> {
    match bytes.split_first() {
        Some((version, json)) if *version == R::VERSION => {
            serde_json::from_slice(json).map_err(|cause| fault("read", &cause))
        }
        Some((version, _)) => Err(StoreError::Record {
            doing: "read",
            cause: format!("its version is {version} and not {}", R::VERSION),
        }),
        None => Err(StoreError::Record { doing: "read", cause: String::from("it is empty") }),
    }
}

/// Only the place and class of the fault: serde's message may quote the value.
fn fault(doing: &'static str, cause: &serde_json::Error) -> StoreError {
    let cause = format!("{:?} at column {}", cause.classify(), cause.column());
    StoreError::Record { doing, cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Note {
        text: String,
    }

    impl Record for Note {
        const VERSION: u8 = 3;
    }

    #[test]
    fn a_record_survives_its_bytes_and_another_version_does_not_pass_for_it() {
        let note = Note { text: String::from("x") };
        let mut bytes = encode(&note).unwrap();
        assert_eq!(decode::<Note>(&bytes), Ok(note));
        bytes[0] = 4;
        assert!(decode::<Note>(&bytes).is_err());
        assert!(decode::<Note>(&[]).is_err());
    }

    #[test]
    fn a_fault_does_not_quote_the_value() {
        let error = decode::<Note>(b"\x03{\"text\":12345}").unwrap_err();
        assert!(!error.to_string().contains("12345"), "{error}");
    }
}
