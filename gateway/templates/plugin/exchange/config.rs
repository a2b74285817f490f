//! The configuration: what an operator writes below `[targets.NAME.config]`.

use serde::Deserialize;
use symbolon_plugin::{Error, http};

/// A target of this plugin.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Config {
    /// Where the token service is: `https://host` or `https://host:port`.
    pub(crate) address: String,
    /// Whom the token service takes the gateway for.
    pub(crate) client_id: String,
}

impl Config {
    /// The token endpoint.
    pub(crate) fn endpoint(&self) -> Result<String, Error> {
        if self.client_id.is_empty() {
            return Err(Error::unsound("`client_id` is empty"));
        }
        Ok(format!(
            "{}/oauth2/token",
            http::base("address", &self.address)?
        ))
    }
}
