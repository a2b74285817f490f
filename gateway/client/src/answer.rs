//! The answer of a read.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use symbolon_core::secret::Secret;

/// A secret, and what is known about it.
#[derive(Debug)]
pub struct SecretAnswer {
    /// The backend that keeps it.
    pub backend: String,
    /// Its path there.
    pub path: String,
    /// Its version, where the backend has versions.
    pub version: Option<String>,
    /// Its media type.
    pub content_type: Option<String>,
    /// Its bytes; of a map without one value, the JSON object of its text fields.
    pub value: Secret,
    /// Its fields, where the backend's secret is a map; text without quotes, anything else as JSON.
    pub fields: BTreeMap<String, Secret>,
    /// When it ends, where that is known.
    pub expires_at: Option<String>,
    /// The whole answer, as it came.
    pub json: Secret,
}

#[derive(Deserialize)]
struct Raw<'a> {
    backend: String,
    path: String,
    version: Option<String>,
    content_type: Option<String>,
    value: Option<Text>,
    value_base64: Option<Text>,
    #[serde(borrow, default)]
    fields: Option<&'a RawValue>,
    #[serde(default)]
    fields_base64: BTreeMap<String, Text>,
    expires_at: Option<String>,
}

/// A text that goes from the parser into a [`Secret`] without a copy that nobody wipes.
pub(crate) struct Text(pub(crate) Secret);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::from(text)))
    }
}

impl SecretAnswer {
    /// Parses the body of an answer.
    ///
    /// # Errors
    /// What is wrong with it, without quoting it.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        let raw: Raw<'_> = serde_json::from_slice(body).map_err(|error| shape(&error))?;
        let fields = raw.fields.map_or("{}", RawValue::get);
        let value = match (raw.value, raw.value_base64, raw.fields) {
            (Some(text), None, _) => text.0,
            (None, Some(text), _) => decoded("value_base64", &text)?,
            (None, None, Some(_)) => Secret::new(fields.as_bytes().to_vec()),
            (Some(_), Some(_), _) | (None, None, None) => {
                return Err("it has not exactly one of `value` and `value_base64`".to_owned());
            }
        };
        let fields: BTreeMap<String, &RawValue> =
            serde_json::from_str(fields).map_err(|error| shape(&error))?;
        let mut fields: BTreeMap<_, _> =
            fields.into_iter().map(|(name, field)| (name, field_value(field))).collect();
        for (name, text) in raw.fields_base64 {
            fields.insert(name, decoded("fields_base64", &text)?);
        }
        Ok(Self {
            backend: raw.backend,
            path: raw.path,
            version: raw.version,
            content_type: raw.content_type,
            value,
            fields,
            expires_at: raw.expires_at,
            json: Secret::new(body.to_vec()),
        })
    }
}

fn decoded(key: &str, text: &Text) -> Result<Secret, String> {
    let bytes = STANDARD.decode(text.0.expose());
    bytes.map(Secret::new).map_err(|_| format!("`{key}` is not base64"))
}

/// The place of a JSON error. Its text may quote the secret.
pub(crate) fn shape(error: &serde_json::Error) -> String {
    format!("it is not the expected JSON at line {}, column {}", error.line(), error.column())
}

pub(crate) fn field_value(field: &RawValue) -> Secret {
    match serde_json::from_str::<Text>(field.get()) {
        Ok(text) => text.0,
        Err(_) => Secret::new(field.get().as_bytes().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_bytes_and_fields_are_read() {
        let body = br#"{"backend":"kv","path":"a/b","version":"3","value":"{}","fields":{"user":"u\"x","port":5432}}"#;
        let answer = SecretAnswer::parse(body).unwrap();
        assert_eq!(answer.version.as_deref(), Some("3"));
        assert_eq!(answer.fields["user"].expose(), b"u\"x");
        assert_eq!(answer.fields["port"].expose(), b"5432");
        let body = br#"{"backend":"kv","path":"a","value_base64":"AP8="}"#;
        assert_eq!(SecretAnswer::parse(body).unwrap().value.expose(), [0, 255]);
        let body = br#"{"backend":"kv","path":"a","kind":"map","fields":{"user":"u"},"fields_base64":{"key":"AP8="}}"#;
        let map = SecretAnswer::parse(body).unwrap();
        assert_eq!(map.value.expose(), br#"{"user":"u"}"#);
        assert_eq!(
            (map.fields["user"].expose(), map.fields["key"].expose()),
            (&b"u"[..], &[0, 255][..])
        );
    }

    #[test]
    fn a_wrong_answer_is_not_quoted() {
        for body in [
            r#"{"backend":"kv","path":"a","value":["hunter2"]}"#,
            r#"{"backend":"kv","path":"a","value_base64":"hunter2!"}"#,
            r#"{"backend":"kv","path":"a","value":"hunter2","value_base64":"aHVudGVyMg=="}"#,
            r#"{"backend":"kv","path":"a"}"#,
            "hunter2",
        ] {
            let error = SecretAnswer::parse(body.as_bytes()).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
