//! The configuration: where the server is, and where in it.

use serde::Deserialize;
use symbolon_plugin::Error;

/// A backend of this plugin.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) address: String,
    #[serde(default = "secret")]
    pub(crate) mount: String,
    pub(crate) namespace: Option<String>,
    #[serde(default = "jwt")]
    pub(crate) auth_mount: String,
    pub(crate) role: Option<String>,
}

fn secret() -> String {
    "secret".to_owned()
}

fn jwt() -> String {
    "jwt".to_owned()
}

impl Config {
    /// Checks what becomes part of a URL or a header.
    pub(crate) fn sound(&self) -> Result<(), Error> {
        self.base()?;
        for (key, mount) in [("mount", &self.mount), ("auth_mount", &self.auth_mount)] {
            if !is_path(mount) {
                return Err(faulty(format!("`{key}` is not a path such as `team/kv`")));
            }
        }
        match &self.namespace {
            Some(namespace) if !is_path(namespace.trim_end_matches('/')) => {
                Err(faulty("`namespace` is not a path such as `team/a`"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The address, without a slash at its end.
    pub(crate) fn base(&self) -> Result<&str, Error> {
        let base = self.address.strip_suffix('/').unwrap_or(&self.address);
        let host = base.strip_prefix("https://").unwrap_or_default();
        let sound = !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
        sound
            .then_some(base)
            .ok_or_else(|| faulty("`address` is not an address such as `https://vault.example`"))
    }
}

/// Segments of plain characters, none of them a step back.
pub(crate) fn is_path(text: &str) -> bool {
    text.split('/').all(|segment| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    })
}

fn faulty(message: impl Into<String>) -> Error {
    Error::invalid_config("config_unsound", message)
}
