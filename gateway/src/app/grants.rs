//! What plugins ask to reach, against what the configuration grants, without starting anything.
//!
//! A request passes if manifest and grant both allow it. So an operator needs three things: what is
//! effective, what is asked and missing (the plugin will fail there), and what is granted and asked
//! by nobody (too much was granted, or the plugin is another than was thought).

use serde_json::{Value, json};
use symbolon_host::egress::{Grant, Methods, Reach, intersect};
use symbolon_host::outbound::asked;
use symbolon_host::{Inspection, Manifest};

use crate::config::{self, Config};

/// One backend's or target's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The backend or target.
    pub backend: String,
    /// What both sides allow.
    pub granted: Vec<String>,
    /// What is asked, and no grant meets.
    pub missing: Vec<String>,
    /// What is granted, and nothing asks.
    pub unused: Vec<String>,
}

/// The parts of every backend and target of `config` that names this plugin.
///
/// # Errors
/// Which grant cannot be read, and why.
pub fn compare(config: &Config, manifest: &Manifest) -> Result<Vec<Comparison>, String> {
    let backends = config
        .backends
        .iter()
        .map(|(name, of)| (name.as_str(), &of.plugin, &of.settings, &of.egress));
    let targets = config
        .targets
        .iter()
        .map(|(name, of)| (name.as_str(), &of.plugin, &of.settings, &of.egress));
    let of_plugin =
        backends.chain(targets).filter(|(_, plugin, _, _)| plugin.name == manifest.name);
    of_plugin.map(|(name, _, settings, egress)| one(name, manifest, settings, egress)).collect()
}

/// A row for each grant, for whoever operates this.
#[must_use]
pub fn rows(compared: &[Comparison]) -> Vec<Value> {
    compared.iter().flat_map(rows_of).collect()
}

fn rows_of(of: &Comparison) -> Vec<Value> {
    let states = [("granted", &of.granted), ("missing", &of.missing), ("unused", &of.unused)];
    let row = |state: &str, grant: &String| json!({ "backend": of.backend, "state": state, "grant": grant });
    states
        .iter()
        .flat_map(|(state, grants)| grants.iter().map(move |grant| row(state, grant)))
        .collect()
}

/// What a component is, and what it asks to reach.
#[must_use]
pub fn asked_by(of: &Inspection) -> Value {
    json!({
        "plugin": of.manifest.name.as_str(),
        "version": of.manifest.version,
        "digest": of.digest.to_string(),
        "asked": of.manifest.egress.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn one(
    backend: &str,
    manifest: &Manifest,
    settings: &config::Settings,
    egress: &[config::Egress],
) -> Result<Comparison, String> {
    let asked = asked(manifest, settings.as_json())
        .map_err(|error| format!("`{backend}`: the manifest's egress: {error}"))?;
    let granted = egress.iter().map(plain).collect::<Result<Vec<_>, _>>()?;
    let both = intersect(&asked, &granted);
    let granted = both.grants.iter().map(ToString::to_string).collect();
    let (missing, unused) = (both.unmet, both.unused);
    Ok(Comparison { backend: backend.to_owned(), granted, missing, unused })
}

/// Where a grant leads.
///
/// # Errors
/// What is wrong with it.
pub(super) fn reach(egress: &config::Egress) -> Result<Reach, String> {
    Reach::new(egress.scheme.as_str(), &egress.host, Some(egress.port), &egress.path_prefix)
        .map_err(|error| format!("the grant for `{}`: {error}", egress.host))
}

/// The grant without the rules of its connections, which name files.
///
/// # Errors
/// What is wrong with it.
pub(super) fn plain(egress: &config::Egress) -> Result<Grant, String> {
    let methods = Methods::parse(egress.methods.iter().map(String::as_str))
        .map_err(|error| format!("the grant for `{}`: {error}", egress.host))?;
    Ok(Grant::new(reach(egress)?, methods))
}

/// What a plugin asks for the backend or target of this name, and no grant meets.
#[must_use]
pub fn missing(config: &Config, backend: &str, manifest: &Manifest) -> Vec<String> {
    let compared = compare(config, manifest).unwrap_or_default();
    let of_backend = compared.into_iter().find(|of| of.backend == backend);
    of_backend.map(|of| of.missing).unwrap_or_default()
}

/// One difference between two versions of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `+` or `-`.
    pub sign: &'static str,
    /// What it is of.
    pub of: &'static str,
    /// What is new or gone.
    pub value: String,
}

/// What `new` asks, imports and exports and `old` does not, and the other way round.
#[must_use]
pub fn changes(old: &Inspection, new: &Inspection) -> Vec<Difference> {
    let egress = |of: &Inspection| of.manifest.egress.iter().map(ToString::to_string).collect();
    let interfaces = |of: &Inspection| -> Vec<String> {
        of.interfaces.iter().map(|interface| interface.as_str().to_owned()).collect()
    };
    [
        differences("egress", egress(old), egress(new)),
        differences("import", old.imports.clone(), new.imports.clone()),
        differences("interface", interfaces(old), interfaces(new)),
    ]
    .concat()
}

fn differences(of: &'static str, old: Vec<String>, new: Vec<String>) -> Vec<Difference> {
    let gone = old.iter().filter(|value| !new.contains(value)).map(|value| ("-", value));
    let added = new.iter().filter(|value| !old.contains(value)).map(|value| ("+", value));
    added.chain(gone).map(|(sign, value)| Difference { sign, of, value: value.clone() }).collect()
}
