//! The configuration: one installation, and how much of it tokens may have.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use symbolon_plugin::Error;

/// What GitHub allows a token to name.
const MOST_REPOSITORIES: usize = 500;

/// A target of this plugin.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Config {
    /// Where the API is: `https://api.github.com`, `https://api.<name>.ghe.com`, or
    /// `https://<host>/api/v3` of an Enterprise Server.
    #[serde(default = "public")]
    #[cfg_attr(test, schemars(extend("format" = "uri", "pattern" = "^https://[^/?#@]+(/api/v3)?/?$")))]
    pub(crate) address: String,
    /// The id of the installation.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub(crate) installation: u64,
    /// Names of repositories, without their owner.
    #[serde(default)]
    pub(crate) repositories: Vec<String>,
    /// Ids of repositories, which outlive a renaming.
    #[serde(default)]
    pub(crate) repository_ids: Vec<u64>,
    /// What tokens may do, by permission: `read`, `write` or `admin`.
    #[cfg_attr(test, schemars(extend("minProperties" = 1)))]
    pub(crate) permissions: BTreeMap<String, Level>,
}

/// How much of a permission; each contains the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum Level {
    Read,
    Write,
    Admin,
}

fn public() -> String {
    "https://api.github.com".to_owned()
}

impl Level {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "read" => Some(Self::Read),
            "write" => Some(Self::Write),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }
}

impl Config {
    /// Checks what becomes part of a URL, and that a token is for something: GitHub gives one for
    /// everything that the installation has to whoever names nothing.
    pub(crate) fn sound(&self) -> Result<(), Error> {
        self.base()?;
        let number = self.repositories.len() + self.repository_ids.len();
        for (holds, otherwise) in [
            (self.installation > 0, "`installation` is not an id"),
            (number > 0, "one of `repositories` and `repository_ids` is needed"),
            (number <= MOST_REPOSITORIES, "a token is for 500 repositories at most"),
            (
                self.repositories.iter().all(|name| is_repository(name)),
                "`repositories` are names without their owner",
            ),
            (!self.permissions.is_empty(), "`permissions` are needed"),
            (
                self.permissions.keys().all(|name| is_permission(name)),
                "`permissions` are named as in GitHub's API: `contents`, `pull_requests`",
            ),
        ] {
            if !holds {
                return Err(Error::unsound(otherwise));
            }
        }
        Ok(())
    }

    /// The URL of the API, without a slash at its end.
    pub(crate) fn base(&self) -> Result<&str, Error> {
        let base = self.address.strip_suffix('/').unwrap_or(&self.address);
        let rest = base.strip_prefix("https://").unwrap_or_default();
        let host = rest.strip_suffix("/api/v3").unwrap_or(rest);
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:".contains(&b);
        let sound = !host.is_empty() && host.bytes().all(plain);
        sound.then_some(base).ok_or_else(|| {
            Error::unsound("`address` is not `https://api.github.com` or `https://<host>/api/v3`")
        })
    }
}

fn is_repository(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

fn is_permission(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}
