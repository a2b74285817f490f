//! The configuration: where the upstream is, and which rule is broken.

use serde::Deserialize;
use serde_json::{Map, Value};
use symbolon_plugin::Error;

/// As tolerant as the lies need it: what is wrong is said by `sound`.
#[derive(Deserialize)]
pub(crate) struct Config {
    server: Option<Value>,
    #[serde(default)]
    lie: Value,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Config {
    /// Whether this lie is told.
    pub(crate) fn lies(&self, lie: &str) -> bool {
        self.lie.as_str() == Some(lie)
    }

    /// A URL at the upstream.
    pub(crate) fn url(&self, path: &str) -> String {
        let server = self.server.as_ref().and_then(Value::as_str).unwrap_or_default();
        format!("{}{path}", server.trim_end_matches('/'))
    }

    pub(crate) fn sound(&self) -> Result<(), Error> {
        let faulty = |message: String| Err(Error::invalid_config("config_unsound", message));
        if self.lies("refuses-config") {
            return faulty("there is nothing that it would take".to_owned());
        }
        if !self.rest.is_empty() && !self.lies("unknown-keys") {
            return faulty("there is an unknown key".to_owned());
        }
        match &self.server {
            Some(Value::String(_)) => Ok(()),
            None if self.lies("required") => Ok(()),
            Some(other) if self.lies("leaks-config") => faulty(format!("{other} is no URL")),
            Some(_) | None => faulty("`server` is no URL".to_owned()),
        }
    }
}
