//! The configuration: what an operator writes below `[backends.NAME.config]`.

use serde::Deserialize;
use symbolon_plugin::{Error, http};

/// A backend of this plugin.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Config {
    /// Where the server is: `https://host` or `https://host:port`.
    pub(crate) address: String,
    /// The folder below which everything is.
    #[serde(default)]
    pub(crate) folder: String,
}

impl Config {
    /// The URL of what the server has under a name. Every piece is encoded, so that no name becomes
    /// another URL.
    pub(crate) fn url(&self, kind: &str, path: &str) -> Result<String, Error> {
        let base = http::base("address", &self.address)?;
        let pieces = [self.folder.as_str(), path].map(|piece| piece.trim_matches('/'));
        let whole: Vec<&str> = pieces
            .into_iter()
            .filter(|piece| !piece.is_empty())
            .collect();
        let path = http::encode_path(&whole.join("/"));
        Ok(format!("{base}/v1/{kind}/{path}")
            .trim_end_matches('/')
            .to_owned())
    }
}
