//! What a test tells the guest.

use serde::Deserialize;
use symbolon_plugin::Error;

/// All of it optional; a behaviour that needs what is not there says so.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) server: Option<String>,
    pub(crate) elsewhere: Option<String>,
    pub(crate) rebinding: Option<String>,
    pub(crate) undeclared: Option<String>,
    pub(crate) canary_reversed: Option<String>,
    pub(crate) at_check: Option<String>,
    /// What it is told and must leave to nobody.
    pub(crate) confided: Option<String>,
}

/// The value of a key that the behaviour cannot do without.
pub(crate) fn needed(value: Option<&String>, key: &str) -> Result<String, Error> {
    value.map(|url| url.trim_end_matches('/').to_owned()).ok_or_else(|| {
        Error::invalid_config("key_missing", format!("the behaviour needs the key `{key}`"))
    })
}
