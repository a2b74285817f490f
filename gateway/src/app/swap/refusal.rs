//! Why components are not changed, each with what to do.

use std::collections::BTreeSet;

use symbolon_core::error::Kind;
use symbolon_core::id::BackendName;
use symbolon_host::Generation;
use symbolon_host::version::Step;

use crate::admin::OperationError;
use crate::app::chain;
use crate::app::stock::Refusal;
use crate::catalog::{CatalogError, Pointed};

/// An older version is what somebody would have run who had a hole in it in mind.
pub(in crate::app) fn refuse_downgrade(
    running: Option<&Generation>,
    to: &Pointed,
) -> Result<(), OperationError> {
    let Some(running) = running else { return Ok(()) };
    let from = &running.manifest().version;
    match Step::between(from, &to.version).is_downgrade() {
        false => Ok(()),
        true => Err(conflict(
            "downgrade",
            format!(
                "{to} is older than {from}, which runs; give --allow-downgrade if that is meant"
            ),
        )),
    }
}

pub(in crate::app) fn pinned(
    backend: &BackendName,
    plugin: &crate::config::PluginRef,
    to: &Pointed,
) -> OperationError {
    let key = if plugin.name.as_str() != to.name {
        format!("plugin = \"{}\"", plugin.name)
    } else if let Some(version) = plugin.version.as_ref().filter(|it| **it != to.version) {
        format!("version = \"{version}\"")
    } else {
        format!("digest = \"sha256:{}\"", plugin.digest.as_deref().unwrap_or_default())
    };
    conflict(
        "pinned",
        format!(
            "the configuration has {key} for `{backend}`, which {to} is not; change that key and reload"
        ),
    )
}

pub(in crate::app) fn in_use(component: &Pointed, users: &BTreeSet<BackendName>) -> OperationError {
    let users: Vec<_> = users.iter().map(|user| format!("`{user}`")).collect();
    conflict(
        "component_in_use",
        format!("{component} is in use for {}; give --force to degrade them", users.join(", ")),
    )
}

pub(in crate::app) fn unknown(backend: &BackendName) -> OperationError {
    malformed("backend_unknown", format!("there is no backend or target `{backend}`"))
}

/// A component that is refused, under the code of the step that refuses it.
pub(in crate::app) fn inadmissible(refusal: Refusal) -> OperationError {
    OperationError { kind: Kind::Conflict, code: refusal.code, detail: refusal.reason }
}

pub(in crate::app) fn refused(reason: impl Into<String>) -> OperationError {
    OperationError { kind: Kind::Conflict, code: "plugin_refused", detail: reason.into() }
}

pub(in crate::app) fn conflict(code: &'static str, detail: String) -> OperationError {
    OperationError { kind: Kind::Conflict, code, detail }
}

pub(in crate::app) fn malformed(code: &'static str, detail: String) -> OperationError {
    OperationError { kind: Kind::Malformed, code, detail }
}

pub(in crate::app) fn unkept(error: &CatalogError) -> OperationError {
    OperationError { kind: error.kind(), code: error.code(), detail: chain(error) }
}
