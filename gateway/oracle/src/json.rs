//! JSON in which every name of an object stands once (RFC 7519 §4: claim names must be unique).

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The object that the bytes are, if they are one and no name repeats anywhere in it.
pub(crate) fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice::<Unique>(bytes).ok()?.0 {
        Value::Object(members) => Some(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            None
        }
    }
}

/// What a JSON pointer names: through objects only.
pub(crate) fn at<'a>(claims: &'a Map<String, Value>, pointer: &str) -> Option<&'a Value> {
    let mut steps = pointer.strip_prefix('/')?.split('/').map(|step| {
        // RFC 6901 §4: `~1` first, then `~0`.
        step.replace("~1", "/").replace("~0", "~")
    });
    let mut found = claims.get(&steps.next()?)?;
    for step in steps {
        found = found.as_object()?.get(&step)?;
    }
    Some(found)
}

struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some((name, Unique(value))) = members.next_entry::<String, Unique>()? {
            if all.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_repeats_is_no_object() {
        assert!(object(br#"{"a":1,"b":{"c":[true,null,1.5,"x"]}}"#).is_some());
        for text in [r#"{"a":1,"a":1}"#, r#"{"b":{"c":1,"\u0063":2}}"#, "[]", "{} x", ""] {
            assert!(object(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn a_pointer_goes_through_objects() {
        let claims = object(br#"{"https://a/":{"b~":"c"}}"#).unwrap();
        assert_eq!(at(&claims, "/https:~1~1a~1/b~0"), Some(&Value::from("c")));
        assert_eq!(at(&claims, "/x"), None);
    }
}
