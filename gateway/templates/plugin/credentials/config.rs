//! The configuration: what an operator writes below `[backends.NAME.config]`, and of each role below
//! `[backends.NAME.roles.ROLE.config]`.

use serde::Deserialize;
use symbolon_plugin::{Error, http};

/// A backend of this plugin.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Config {
    /// Where the server is: `https://host` or `https://host:port`.
    pub(crate) address: String,
}

/// A role: what logins may do.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Role {
    /// The group that logins are members of.
    pub(crate) group: String,
}

impl Config {
    /// All logins.
    pub(crate) fn logins(&self) -> Result<String, Error> {
        Ok(format!(
            "{}/v1/logins",
            http::base("address", &self.address)?
        ))
    }

    /// One login, by a name that is derived from the reservation alone: so it is found again, even if
    /// the answer to its making never arrived.
    pub(crate) fn login(&self, reservation: &str) -> Result<String, Error> {
        Ok(format!("{}/{}", self.logins()?, http::encode(reservation)))
    }
}
