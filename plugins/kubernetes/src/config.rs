//! The configuration: where the cluster is, and which of its namespaces are granted.

use serde::Deserialize;
use symbolon_plugin::Error;

/// A backend of this plugin.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) address: String,
    pub(crate) namespace: Option<String>,
    #[serde(default)]
    pub(crate) namespaces: Vec<String>,
    #[serde(default)]
    pub(crate) list: bool,
}

impl Config {
    /// Checks what becomes part of a URL.
    pub(crate) fn sound(&self) -> Result<(), Error> {
        self.base()?;
        if self.namespace.is_some() != self.namespaces.is_empty() {
            return Err(faulty("one of `namespace` and `namespaces` is needed"));
        }
        let granted = self.namespace.iter().chain(&self.namespaces);
        if !granted.clone().all(|namespace| is_label(namespace)) {
            return Err(faulty("a namespace is 1 to 63 of a-z 0-9 -"));
        }
        Ok(())
    }

    /// The address, without a slash at its end.
    pub(crate) fn base(&self) -> Result<&str, Error> {
        let base = self.address.strip_suffix('/').unwrap_or(&self.address);
        let host = base.strip_prefix("https://").unwrap_or_default();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:[]".contains(&b);
        let sound = !host.is_empty() && host.bytes().all(plain);
        sound
            .then_some(base)
            .ok_or_else(|| faulty("`address` is not an address such as `https://10.0.0.1:6443`"))
    }
}

/// RFC 1123, as Kubernetes has it.
pub(crate) fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn faulty(message: &str) -> Error {
    Error::invalid_config("config_unsound", message)
}
