//! The configuration: values by path.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use symbolon_plugin::{Error, Secret, Timestamp};

/// Everything there is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Config {
    /// A value by path: text, or an object with `text`, `base64` or `fields`; or a list of these, oldest
    /// first, for versions.
    pub(crate) secrets: BTreeMap<String, Versions>,
}

impl Config {
    pub(crate) fn size(&self) -> String {
        format!("{} secrets in the configuration", self.secrets.len())
    }
}

/// The versions of one secret.
#[derive(Deserialize)]
#[serde(untagged)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum Versions {
    One(Entry),
    Several(Vec<Entry>),
}

impl Versions {
    pub(crate) fn oldest_first(&self) -> &[Entry] {
        match self {
            Self::One(entry) => std::slice::from_ref(entry),
            Self::Several(entries) => entries,
        }
    }

    /// The newest, if none is asked for.
    pub(crate) fn find(&self, version: Option<&str>) -> Option<&Entry> {
        let mut newest_first = self.oldest_first().iter().rev();
        match version {
            None => newest_first.next(),
            Some(_) => newest_first.find(|entry| entry.version() == version),
        }
    }
}

/// One value.
#[derive(Deserialize)]
#[serde(untagged)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum Entry {
    Text(String),
    Detailed(Detailed),
}

/// One value, with what is known about it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Detailed {
    /// The value, as text.
    text: Option<String>,
    /// The value, in base64.
    base64: Option<String>,
    /// The value, as named fields.
    fields: Option<BTreeMap<String, String>>,
    /// What kind of text or bytes it is.
    content_type: Option<String>,
    /// Its version.
    version: Option<String>,
    /// When it ends: seconds since the Unix epoch.
    expires_at: Option<Timestamp>,
}

impl Entry {
    fn version(&self) -> Option<&str> {
        match self {
            Self::Text(_) => None,
            Self::Detailed(detailed) => detailed.version.as_deref(),
        }
    }

    pub(crate) fn secret(&self, path: &str) -> Result<Secret, Error> {
        match self {
            Self::Text(text) => Ok(Secret::text(path, text)),
            Self::Detailed(detailed) => detailed.secret(path),
        }
    }
}

impl Detailed {
    fn secret(&self, path: &str) -> Result<Secret, Error> {
        let mut secret = match (&self.text, &self.base64, &self.fields) {
            (Some(text), None, None) => Secret::text(path, text),
            (None, Some(base64), None) => decoded(path, base64)?,
            (None, None, Some(fields)) => Secret::fields(
                path,
                fields.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect(),
            ),
            (_, _, _) => return Err(faulty(path, "wants one of `text`, `base64` and `fields`")),
        };
        if let Some(content_type) = &self.content_type {
            secret.content_type.clone_from(content_type);
        }
        Ok(secret.expires(self.expires_at).version(self.version.clone()))
    }
}

fn decoded(path: &str, base64: &str) -> Result<Secret, Error> {
    let bytes = STANDARD.decode(base64).map_err(|_| faulty(path, "is not base64"))?;
    Ok(Secret::opaque(path, "application/octet-stream", bytes))
}

fn faulty(path: &str, fault: &str) -> Error {
    Error::invalid_config("secret_malformed", format!("the secret `{path}` {fault}"))
}
