//! Part of a secret's value, for who asks for no more.
//!
//! A backend delivers the whole; what is not asked for ends here. In a secret of named fields the
//! first step of the pointer is a name; any other leads into JSON. A field that is not there, not
//! JSON, or there twice is absent: a reader that takes the first of two and one that takes the last
//! would disagree on the secret.
//!
//! INVARIANT: the value is looked at where it lies; nothing of it is copied but the part that was
//! asked for. (A text with escapes passes through the JSON reader's own buffer.)

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;
use symbolon_core::field::Field;
use symbolon_core::policy::Permit;
use symbolon_core::secret::Secret;
use symbolon_host::answer::{SecretKind, SecretValue, Value};

use super::dispatch::{Delivery, Granted, Undelivered};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";

/// What was granted, narrowed to the field that was asked for.
pub(super) fn narrow(permit: &Permit, mut granted: Granted) -> Result<Granted, Undelivered> {
    if let (Some(field), Delivery::Secret(value)) = (&permit.ask().field, &mut granted.delivery) {
        select(value, field).ok_or(Undelivered::NoField)?;
    }
    Ok(granted)
}

fn select(secret: &mut SecretValue, field: &Field) -> Option<()> {
    let steps: Vec<Cow<'_, str>> = field.steps().collect();
    let (part, content_type) = match (&secret.value, steps.as_slice()) {
        (Value::Opaque(whole), steps) => member(whole, steps)?,
        (Value::Fields(fields), [name, inner @ ..]) => {
            let (_, found) = fields.iter().find(|(known, _)| known == name)?;
            match inner {
                [] if found.expose_str().is_some() => (found.clone(), TEXT),
                [] => (found.clone(), BYTES),
                inner => member(found, inner)?,
            }
        }
        (Value::Fields(_), []) => return None,
    };
    secret.value = Value::Opaque(part);
    secret.kind = SecretKind::Opaque;
    content_type.clone_into(&mut secret.content_type);
    Some(())
}

/// The member of a JSON document: of a text its characters, of anything else its JSON.
fn member(document: &Secret, steps: &[Cow<'_, str>]) -> Option<(Secret, &'static str)> {
    let mut json = serde_json::Deserializer::from_str(document.expose_str()?);
    let found = Find(steps).deserialize(&mut json).ok()??;
    json.end().ok()?;
    match serde_json::from_str::<Text<'_>>(found.get()) {
        Ok(Text(text)) => Some((Secret::from(text.into_owned()), TEXT)),
        Err(_) => Some((Secret::new(found.get().as_bytes().to_vec()), JSON)),
    }
}

/// A text, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Finds what some steps lead to.
struct Find<'s>(&'s [Cow<'s, str>]);

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        match self.0 {
            [] => serde::Deserialize::deserialize(json).map(Some),
            [step, rest @ ..] => json.deserialize_any(Step { step, rest }),
        }
    }
}

/// One step into an object or a list. Anything else has no members, which is an error of the visitor
/// and so a field that is absent.
struct Step<'s> {
    step: &'s str,
    rest: &'s [Cow<'s, str>],
}

impl<'de> Visitor<'de> for Step<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(Text(name)) = members.next_key::<Text<'_>>()? {
            if name != self.step {
                members.next_value::<IgnoredAny>()?;
            } else if found.replace(members.next_value_seed(Find(self.rest))?).is_some() {
                return Err(A::Error::custom("a member is there twice"));
            }
        }
        Ok(found.flatten())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let wanted = position(self.step);
        let (mut found, mut at) = (None, 0);
        loop {
            if wanted == Some(at) {
                let Some(item) = items.next_element_seed(Find(self.rest))? else { break };
                found = item;
            } else if items.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
            at += 1;
        }
        Ok(found)
    }
}

/// RFC 6901 §4: no leading zeros. `-`, the place after the last, holds nothing.
fn position(step: &str) -> Option<usize> {
    let plain = step.bytes().all(|b| b.is_ascii_digit()) && (step == "0" || !step.starts_with('0'));
    plain.then(|| step.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(document: &str, field: &str) -> Option<(String, &'static str)> {
        let field = Field::parse(field).unwrap();
        let steps: Vec<_> = field.steps().collect();
        let (part, content_type) = member(&Secret::from(document.to_owned()), &steps)?;
        Some((part.expose_str().unwrap().to_owned(), content_type))
    }

    #[test]
    fn a_member_is_found_by_its_steps() {
        let document = r#" {"user":"u","pass\u0077ord":"a\"b","port":5432,"on":true,"none":null,
            "hosts":["a",{"name":"b"}],"a/b":{"~":"deep"},"nested":{"x":{"y":[1, 2]}}} "#;
        for (field, expected, content_type) in [
            ("/user", "u", TEXT),
            ("/password", "a\"b", TEXT),
            ("/port", "5432", JSON),
            ("/on", "true", JSON),
            ("/none", "null", JSON),
            ("/hosts/0", "a", TEXT),
            ("/hosts/1/name", "b", TEXT),
            ("/a~1b/~0", "deep", TEXT),
            ("/nested/x/y", "[1, 2]", JSON),
            ("/nested", r#"{"x":{"y":[1, 2]}}"#, JSON),
        ] {
            assert_eq!(
                found(document, field),
                Some((expected.to_owned(), content_type)),
                "{field}"
            );
        }
    }

    #[test]
    fn what_is_not_surely_one_member_is_absent() {
        for (document, field) in [
            (r#"{"a":"x"}"#, "/b"),
            (r#"{"a":"x"}"#, "/A"),
            (r#"{"a":"x"}"#, "/a/b"),
            (r#"{"a":"x","a":"y"}"#, "/a"),
            (r#"{"a":"x","\u0061":"y"}"#, "/a"),
            (r#"{"a":{"b":1,"b":2}}"#, "/a/b"),
            (r#"["x"]"#, "/1"),
            (r#"["x","y"]"#, "/01"),
            (r#"["x"]"#, "/-"),
            (r#"["x"]"#, "/a"),
            (r#""text""#, "/a"),
            ("5", "/a"),
            ("null", "/a"),
            ("", "/a"),
            ("password", "/a"),
            (r#"{"a":"x"} more"#, "/a"),
            (r#"{"a":"x""#, "/a"),
            (r#"{"a":x}"#, "/a"),
        ] {
            assert_eq!(found(document, field), None, "{document} {field}");
        }
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        assert!(found(&deep, "/0/0").is_some(), "what is not looked into costs no stack");
    }
}
