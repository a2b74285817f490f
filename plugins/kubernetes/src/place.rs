//! Where a path is: the namespace and the name.
//!
//! INVARIANT: a [`Place`] is in a namespace that is granted, and both of its parts are names that
//! Kubernetes could have.

use symbolon_plugin::{Error, ErrorKind};

use crate::config::{Config, is_label};

/// One secret of a cluster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

impl<'a> Place<'a> {
    /// The place of a path: `name` in the one namespace, or `namespace/name`.
    pub(crate) fn of(path: &'a str, config: &'a Config) -> Result<Self, Error> {
        let (namespace, name) = match &config.namespace {
            Some(namespace) => (namespace.as_str(), path),
            None => path.split_once('/').ok_or_else(impossible)?,
        };
        if !is_subdomain(name) {
            return Err(impossible());
        }
        granted(namespace, config).map(|namespace| Self { namespace, name })
    }
}

/// The namespace of a folder; none for the top of several namespaces.
pub(crate) fn folder<'a>(
    folder: Option<&'a str>,
    config: &'a Config,
) -> Result<Option<&'a str>, Error> {
    match (folder, &config.namespace) {
        (None, Some(namespace)) => Ok(Some(namespace)),
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(impossible()),
        (Some(folder), None) => {
            granted(folder.strip_suffix('/').unwrap_or(folder), config).map(Some)
        }
    }
}

/// A namespace that is not granted is not there.
fn granted<'a>(namespace: &'a str, config: &Config) -> Result<&'a str, Error> {
    let is_granted = config.namespace.iter().chain(&config.namespaces).any(|n| n == namespace);
    is_granted.then_some(namespace).ok_or_else(|| Error {
        kind: ErrorKind::NotFound,
        code: "namespace_not_granted".to_owned(),
        message: "the backend is not for this namespace".to_owned(),
        ..Error::absent().sent(false)
    })
}

fn is_subdomain(text: &str) -> bool {
    (1..=253).contains(&text.len()) && text.split('.').all(is_label)
}

fn impossible() -> Error {
    Error::invalid_request(
        "path_impossible",
        "a path is the name of a secret, after its namespace and `/` where there are several",
    )
}
