//! Placeholders: what stands in a script for what is known only when a case runs.
//!
//! A canary is random text under a name. It is the value of a secret wherever a script says
//! `${secret:NAME}`, so that it is recognised wherever else it turns up.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::Value;
use symbolon_core::clock::Timestamp;
use symbolon_core::id::{LeaseId, RequestId};

/// The moment at which every run stands still: 2030-01-01T00:00:00Z, in seconds.
pub(crate) const NOW_SECONDS: i64 = 1_893_456_000;

/// That moment.
pub(crate) const fn now() -> Timestamp {
    Timestamp::from_seconds(NOW_SECONDS)
}

/// What TOML has no word for.
const NULL: &str = "${null}";

/// The names between `${` and `}` in a text.
pub(crate) fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split("${").skip(1).map(|rest| rest.split_once('}').map_or(rest, |(name, _)| name))
}

/// The name of a canary, if the placeholder is one.
pub(crate) fn secret_name(placeholder: &str) -> Option<&str> {
    let name =
        placeholder.strip_prefix("secret:").or_else(|| placeholder.strip_prefix("base64:"))?;
    (!name.is_empty()).then_some(name)
}

/// Whether there is such a placeholder, beside canaries.
pub(crate) fn is_known(placeholder: &str) -> bool {
    matches!(placeholder, "any" | "null" | "assertion" | "reservation" | "request" | "ttl")
        || offset(placeholder, "now").is_some()
        || offset(placeholder, "time").is_some()
}

/// The seconds in `now`, `now+5` and `now-5`.
fn offset(placeholder: &str, word: &str) -> Option<i64> {
    match placeholder.strip_prefix(word)? {
        "" => Some(0),
        signed if signed.starts_with(['+', '-']) => signed.parse().ok(),
        _ => None,
    }
}

/// What the placeholders of one run stand for.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) canaries: BTreeMap<String, String>,
    pub(crate) assertion: String,
    pub(crate) reservation: LeaseId,
    pub(crate) request: RequestId,
    /// Seconds.
    pub(crate) ttl: u64,
}

impl Terms {
    /// A text with every placeholder replaced but `${any}`.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut pieces = text.split("${");
        let mut whole = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (name, rest) = piece.split_once('}').unwrap_or((piece, ""));
            whole.push_str(&self.value_of(name));
            whole.push_str(rest);
        }
        whole
    }

    /// A value with every placeholder replaced. A text that is a number by its placeholder becomes
    /// that number, and `${null}` becomes null.
    pub(crate) fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) if text == NULL => Value::Null,
            Value::String(text) => {
                let replaced = self.text(text);
                match replaced.parse::<u64>() {
                    Ok(number) if is_number(text) => Value::from(number),
                    Ok(_) | Err(_) => Value::String(replaced),
                }
            }
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| (self.text(name), self.value(value))).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// Everything that must not be seen but where the script puts it.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.canaries.values().chain([&self.assertion]).map(String::as_str)
    }

    /// The same, with canaries of about `bytes`.
    pub(crate) fn grown(&self, bytes: usize) -> Self {
        let grow = |canary: &String| canary.repeat(bytes / canary.len().max(1) + 1);
        let canaries = self.canaries.iter().map(|(name, c)| (name.clone(), grow(c))).collect();
        Self { canaries, ..self.clone() }
    }

    fn value_of(&self, name: &str) -> String {
        let canary = |name: &str| self.canaries.get(name).cloned().unwrap_or_default();
        if let Some(name) = name.strip_prefix("secret:") {
            return canary(name);
        }
        if let Some(name) = name.strip_prefix("base64:") {
            return BASE64_STANDARD.encode(canary(name));
        }
        if let Some(seconds) = offset(name, "now") {
            return NOW_SECONDS.saturating_add(seconds).to_string();
        }
        if let Some(seconds) = offset(name, "time") {
            return rfc3339(NOW_SECONDS.saturating_add(seconds));
        }
        match name {
            "assertion" => self.assertion.clone(),
            "reservation" => self.reservation.to_string(),
            "request" => self.request.to_string(),
            "ttl" => self.ttl.to_string(),
            other => format!("${{{other}}}"),
        }
    }
}

/// Whether a text is one placeholder that stands for a number.
fn is_number(text: &str) -> bool {
    let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| name == "ttl" || offset(name, "now").is_some())
}

fn rfc3339(seconds: i64) -> String {
    let since = std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since).to_string()
}

/// Random letters and digits: long enough to be found nowhere by chance, and without any character
/// that an encoding would change.
///
/// # Errors
/// None in practice: the system has no randomness.
pub(crate) fn random(prefix: &str) -> Result<String, aws_lc_rs::error::Unspecified> {
    let mut bytes = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut bytes)?;
    Ok(format!("{prefix}{}", hex::encode(bytes)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) fn terms() -> Terms {
        Terms {
            canaries: [("a".to_owned(), "canary".to_owned())].into(),
            assertion: "head.body.signature".to_owned(),
            reservation: LeaseId::new(now(), 1),
            request: RequestId::new(now(), 2),
            ttl: 900,
        }
    }

    #[test]
    fn placeholders_are_replaced_and_numbers_become_numbers() {
        let (terms, raw) = (
            terms(),
            json!({
                "a": "x-${secret:a}-${base64:a}", "b": "${ttl}", "c": "${ttl}s", "d": "${now+60}",
                "e": "${time-1}", "f": ["${any}", 1], "g": "${now} s", "h": "${null}",
            }),
        );
        assert_eq!(
            terms.value(&raw),
            json!({
                "a": "x-canary-Y2FuYXJ5", "b": 900, "c": "900s", "d": 1_893_456_060,
                "e": "2029-12-31T23:59:59Z", "f": ["${any}", 1], "g": "1893456000 s", "h": null,
            })
        );
        assert_eq!(terms.text("${assertion}"), "head.body.signature");
    }

    #[test]
    fn what_is_no_placeholder_is_known_to_be_none() {
        for (name, known) in
            [("any", true), ("now+3600", true), ("time", true), ("nowish", false), ("x", false)]
        {
            assert_eq!(is_known(name), known, "{name}");
        }
        assert_eq!(secret_name("secret:"), None);
        assert_eq!(placeholders("a${b}c${d").collect::<Vec<_>>(), ["b", "d"]);
    }

    #[test]
    fn a_canary_grows_and_is_still_found() {
        let grown = terms().grown(1000);
        let value = grown.text("${secret:a}");
        assert!(value.len() >= 1000 && value.contains("canary"));
    }
}
