//! `[aliases]`: what workloads ask for, and where that is.

use symbolon_core::alias::Alias;
use symbolon_core::ask::Version;
use symbolon_core::field::Field;
use symbolon_core::id::BackendName;
use symbolon_core::path::SecretPath;

use super::cursor::{Block, Value};
use super::fault::Problem;
use super::parse;

/// The name of an alias: as a backend and a path in a request, so that it can stand in their place.
pub(super) fn name(text: &str) -> Result<SecretPath, Problem> {
    let path = SecretPath::parse(text).map_err(|error| Problem::new(error.to_string()))?;
    let (first, _) = text.split_once('/').ok_or_else(|| {
        Problem::new("has no `/`").with_help("write it as \"billing/db-password\"")
    })?;
    BackendName::parse(first).map_err(|error| {
        Problem::new(format!(
            "begins with `{}`, which no request can: {error}",
            parse::brief(first)
        ))
    })?;
    Ok(path)
}

pub(super) fn read(block: &mut Block<'_>) -> Option<Alias> {
    let backend = block.required("backend", parse::name);
    let path = block.required("path", |value| checked(value, SecretPath::parse));
    let version = block.optional("version", |value| checked(value, Version::parse));
    let field = block.optional("field", |value| checked(value, Field::parse));
    Some(Alias { backend: backend?, path: path?, version, field })
}

fn checked<T, E: std::fmt::Display>(
    value: &Value<'_>,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, Problem> {
    parse(value.text()?).map_err(|error| Problem::new(error.to_string()))
}
