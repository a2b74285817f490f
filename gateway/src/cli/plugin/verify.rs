//! `symbolon plugin verify`: whether a configuration would take a component, by its signatures and
//! its form. Nothing of it is compiled or run.

use std::path::Path;

use serde_json::json;
use symbolon_core::id::KeyName;
use symbolon_host::Endorsement;
use symbolon_host::admit::MAX_COMPONENT_BYTES;

use super::super::ConfigArgs;
use super::super::failure::Failure;
use super::super::output::{self, Form};
use super::package;
use crate::config::Config;

pub(super) fn run(file: &Path, config: &ConfigArgs, form: Form) -> Result<(), Failure> {
    let trust = Config::load(&config.config)?.plugins.trust;
    let package = package(file)?;
    let examined = package
        .examine(&trust, MAX_COMPONENT_BYTES)
        .map_err(|refused| Failure::of(&refused.error))?;
    let (known, endorsement) = (examined.inspection(), examined.endorsement());
    let shown = json!({
        "name": known.manifest.name.as_str(),
        "version": known.manifest.version,
        "digest": known.digest.to_string(),
        "endorsement": match endorsement {
            Endorsement::Signed(_) => "signed",
            Endorsement::Unsigned => "unsigned, and the configuration lets it be",
        },
        "signed_by": endorsement.keys().map(KeyName::as_str).collect::<Vec<_>>(),
    });
    output::value(&shown, form, &[])
}
