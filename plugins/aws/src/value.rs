//! Values: text as it is, or the members of a JSON object where the configuration says so.

use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::Value as Json;
use symbolon_plugin::{Error, Secret};

/// The secret of a text.
pub(crate) fn text(path: &str, text: &str, as_json: bool) -> Result<Secret, Error> {
    if !as_json {
        return Ok(Secret::text(path, text));
    }
    let mut parser = serde_json::Deserializer::from_str(text);
    let fields = parser.deserialize_map(Members).and_then(|fields| parser.end().map(|()| fields));
    let fields = fields.map_err(|_| {
        Error::invalid_config("value_not_json", "the value is no JSON object with distinct members")
            .sent(true)
    })?;
    Ok(Secret::fields(path, fields))
}

/// Members in their order. Of a name that is there twice, readers take different ones, so it is
/// refused.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, Vec<u8>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Self::Value = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Json>()? {
            if members.iter().any(|(known, _)| *known == name) {
                return Err(serde::de::Error::custom("a member is there twice"));
            }
            members.push((name, bytes(value)));
        }
        Ok(members)
    }
}

/// Text as it is; anything else as the JSON that it was.
fn bytes(value: Json) -> Vec<u8> {
    match value {
        Json::String(text) => text.into_bytes(),
        other @ (Json::Null
        | Json::Bool(_)
        | Json::Number(_)
        | Json::Array(_)
        | Json::Object(_)) => other.to_string().into_bytes(),
    }
}
