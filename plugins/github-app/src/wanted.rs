//! What a token is asked for: what the target has, or as much of it as the scopes name.
//!
//! Scopes: `<permission>:<level>`, `repository:<name>`, `repository_id:<id>`. Those of one kind narrow
//! that kind: with `contents:read` alone the token reads contents of all of the target's repositories.
//!
//! INVARIANT: nothing is wanted that the configuration does not have, and always both repositories
//! and permissions are named.

use std::collections::BTreeMap;

use serde::Serialize;
use symbolon_plugin::Error;

use crate::config::{Config, Level};

/// The body of the request.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Wanted {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) repositories: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) repository_ids: Vec<u64>,
    pub(crate) permissions: BTreeMap<String, Level>,
}

impl Wanted {
    /// What `scopes` name of what `config` has.
    pub(crate) fn of(config: &Config, scopes: &[String]) -> Result<Self, Error> {
        let mut wanted = Self::default();
        for scope in scopes {
            wanted.add(scope, config).ok_or_else(not_granted)?;
        }
        if wanted.repositories.is_empty() && wanted.repository_ids.is_empty() {
            wanted.repositories.clone_from(&config.repositories);
            wanted.repository_ids.clone_from(&config.repository_ids);
        }
        if wanted.permissions.is_empty() {
            wanted.permissions.clone_from(&config.permissions);
        }
        Ok(wanted)
    }

    /// One scope, if the target has it. The same permission twice could mean either level.
    fn add(&mut self, scope: &str, config: &Config) -> Option<()> {
        let (name, value) = scope.split_once(':')?;
        match name {
            "repository" => {
                let known = config.repositories.iter().find(|known| *known == value)?;
                self.repositories.push(known.clone());
            }
            "repository_id" => {
                let known =
                    config.repository_ids.iter().find(|known| known.to_string() == value)?;
                self.repository_ids.push(*known);
            }
            _ => {
                let level = Level::parse(value)?;
                let granted = *config.permissions.get(name)?;
                let before = self.permissions.insert(name.to_owned(), level);
                return (level <= granted && before.is_none()).then_some(());
            }
        }
        Some(())
    }

    /// Whether a permission of a token is no more than what was wanted. Every token may see the
    /// metadata of its repositories.
    pub(crate) fn has(&self, permission: &str, level: &str) -> bool {
        let Some(level) = Level::parse(level) else { return false };
        let wanted = self.permissions.get(permission).copied();
        let always = (permission == "metadata").then_some(Level::Read);
        wanted.max(always).is_some_and(|wanted| level <= wanted)
    }
}

fn not_granted() -> Error {
    Error::invalid_request("scope_not_granted", "the target does not have this scope")
}
