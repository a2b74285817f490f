//! The configuration: where the cluster is, and which of its namespaces are granted.

use serde::Deserialize;
use symbolon_plugin::{Error, http};

/// A backend of this plugin.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Config {
    /// Where the API server is: `https://host` or `https://host:port`.
    #[cfg_attr(test, schemars(extend("format" = "uri", "pattern" = "^https://[^/?#@]+/?$")))]
    pub(crate) address: String,
    /// The one namespace; a path is the name of a secret.
    pub(crate) namespace: Option<String>,
    /// Several namespaces; a path is `namespace/name`.
    #[serde(default)]
    pub(crate) namespaces: Vec<String>,
    /// Whether names may be listed. Kubernetes gives whoever may list secrets their values too.
    #[serde(default)]
    pub(crate) list: bool,
}

impl Config {
    /// Checks what becomes part of a URL.
    pub(crate) fn sound(&self) -> Result<(), Error> {
        self.base()?;
        if self.namespace.is_some() != self.namespaces.is_empty() {
            return Err(Error::unsound("one of `namespace` and `namespaces` is needed"));
        }
        let granted = self.namespace.iter().chain(&self.namespaces);
        if !granted.clone().all(|namespace| is_label(namespace)) {
            return Err(Error::unsound("a namespace is 1 to 63 of a-z 0-9 -"));
        }
        Ok(())
    }

    /// The address, without a slash at its end.
    pub(crate) fn base(&self) -> Result<&str, Error> {
        http::base("address", &self.address)
    }
}

/// RFC 1123, as Kubernetes has it.
pub(crate) fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}
