//! Whose signatures of plugins count: `[plugins.keys]`, `[plugins.signatures]`, `plugins.unsigned`.

use std::collections::BTreeSet;

use symbolon_core::id::{KeyName, PluginName};
use symbolon_host::Trust;
use symbolon_host::signature::{AnyOf, Policy, PublicKey, TrustError, TrustedKey};

use super::cursor::{Block, Value};
use super::fault::Problem;
use super::parse;

/// Reads the three keys of `[plugins]`. What is not said is not trusted.
pub(super) fn read(block: &mut Block<'_>) -> Trust {
    let unsigned = block.list("unsigned", parse::name::<PluginName>).unwrap_or_default();
    let keys = block.entries("keys", parse::chosen_name::<KeyName>, key);
    let policy = block.child("signatures", policy).unwrap_or_default();
    let trust = Trust::default().with_unsigned(unsigned);
    match trust.clone().with_keys(keys, policy) {
        Ok(trust) => trust,
        Err((name, error)) => {
            block.fault_at(&place(name.as_ref(), &error), Problem::new(error.to_string()));
            trust
        }
    }
}

fn place(key: Option<&KeyName>, error: &TrustError) -> String {
    match (key, error) {
        (Some(name), _) => format!("keys.{name}"),
        (None, TrustError::Undecided) => "keys".to_owned(),
        (None, TrustError::SameKey(_) | TrustError::NoKey(_) | TrustError::Minimum(_)) => {
            "signatures".to_owned()
        }
    }
}

fn key(block: &mut Block<'_>) -> Option<TrustedKey> {
    let key = block.required("public_key", public_key);
    let plugins = block.list("plugins", parse::name::<PluginName>);
    if plugins.as_ref().is_some_and(Vec::is_empty) {
        let problem = Problem::new("names no plugin: the key would count for nothing");
        block.fault_at("plugins", problem.with_help("leave it out, and the key counts for any"));
    }
    Some(TrustedKey { key: key?, plugins: plugins.map(|names| names.into_iter().collect()) })
}

fn public_key(value: &Value<'_>) -> Result<PublicKey, Problem> {
    PublicKey::parse(&parse::text(value)?).map_err(|error| Problem::new(error.to_string()))
}

fn policy(block: &mut Block<'_>) -> Option<Policy> {
    let all_of = key_names(block, "all_of").unwrap_or_default();
    let any_of = block.child("any_of", |block| {
        let minimum = block.required("minimum", parse::integer(1, 1000));
        let keys = key_names(block, "keys");
        if keys.is_none() && !block.has("keys") {
            block.missing("keys");
        }
        Some(AnyOf { minimum: minimum?, keys: keys? })
    });
    if all_of.is_empty() && any_of.is_none() {
        block.fault(Problem::new("one of `all_of` and `any_of` is needed"));
    }
    Some(Policy { all_of, any_of })
}

fn key_names(block: &mut Block<'_>, key: &'static str) -> Option<BTreeSet<KeyName>> {
    let names = block.list(key, parse::name::<KeyName>)?;
    let distinct: BTreeSet<_> = names.iter().cloned().collect();
    if distinct.len() != names.len() {
        block.fault_at(key, Problem::new("names a key twice: it counts once"));
    }
    Some(distinct)
}
