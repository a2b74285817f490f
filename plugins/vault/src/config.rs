//! The configuration: where the server is, and where in it.

use serde::Deserialize;
use symbolon_plugin::{Error, http};

/// A backend of this plugin.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Config {
    /// Where the server is: `https://host` or `https://host:port`.
    #[cfg_attr(test, schemars(extend("format" = "uri", "pattern" = "^https://[^/?#@]+/?$")))]
    pub(crate) address: String,
    /// Where the KV version 2 engine is mounted.
    #[serde(default = "secret")]
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub(crate) mount: String,
    /// The namespace, where the server has them.
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub(crate) namespace: Option<String>,
    /// Where the JWT auth method is mounted.
    #[serde(default = "jwt")]
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub(crate) auth_mount: String,
    /// The role of the auth method to log in as; the method's own default if none.
    #[cfg_attr(test, schemars(length(min = 1)))]
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
                return Err(Error::unsound(format!("`{key}` is not a path such as `team/kv`")));
            }
        }
        match &self.namespace {
            Some(namespace) if !is_path(namespace.trim_end_matches('/')) => {
                Err(Error::unsound("`namespace` is not a path such as `team/a`"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The address, without a slash at its end.
    pub(crate) fn base(&self) -> Result<&str, Error> {
        http::base("address", &self.address)
    }
}

/// Segments of plain characters, none of them a step back.
pub(crate) fn is_path(text: &str) -> bool {
    text.split('/').all(|segment| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    })
}
