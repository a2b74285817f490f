//! The walk over a component's sections, and the strict reading of its manifest.

use std::collections::BTreeMap;

use serde::Deserialize;
use symbolon_core::id::PluginName;
use wasmparser::{Encoding, Parser, Payload};

use super::{CONTRACT, EgressWanted, Interface, MAX_MANIFEST_BYTES, Manifest, Recovery, SECTION};
use crate::admit::AdmitError;
use crate::facade;
use crate::version;

/// Most imports and exports of a component; a plugin has dozens.
const MAX_NAMES: usize = 1000;

/// Longest reason of the parser that is told, in bytes.
const MAX_REASON_BYTES: usize = 512;

/// Names and manifest sections of a component.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
    pub(super) manifests: Vec<Vec<u8>>,
}

/// Walks the sections. Only names of the outermost component count: what is nested is wired inside.
/// A manifest may lie at any depth (linkers leave it in the core module), but there is one.
pub(super) fn outline(bytes: &[u8]) -> Result<Outline, AdmitError> {
    let mut outline = Outline::default();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| not_component(&error))?;
        if let Payload::Version { encoding: Encoding::Module, .. } = payload
            && depth == 0
        {
            return Err(AdmitError::CoreModule);
        }
        if let Payload::ModuleSection { .. } | Payload::ComponentSection { .. } = payload {
            depth = depth.saturating_add(1);
        }
        if let Payload::End(_) = payload {
            depth = depth.saturating_sub(1);
        }
        outline.note(payload, depth).map_err(|error| not_component(&error))?;
        if outline.imports.len().max(outline.exports.len()) > MAX_NAMES {
            return Err(AdmitError::NotComponent(format!("more than {MAX_NAMES} names")));
        }
    }
    Ok(outline)
}

/// In one line and bounded: some of the parser's texts have several, and names of the component.
fn not_component(error: &wasmparser::BinaryReaderError) -> AdmitError {
    let text = error.to_string();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    AdmitError::NotComponent(facade::escape(&line, MAX_REASON_BYTES))
}

impl Outline {
    fn note(&mut self, payload: Payload<'_>, depth: u32) -> wasmparser::Result<()> {
        if let Payload::CustomSection(section) = &payload
            && section.name() == SECTION
        {
            self.manifests.push(section.data().to_owned());
        }
        if depth > 0 {
            return Ok(());
        }
        if let Payload::ComponentImportSection(section) = payload {
            for import in section {
                self.imports.push(import?.name.name.to_owned());
            }
        } else if let Payload::ComponentExportSection(section) = payload {
            for export in section {
                self.exports.push(export?.name.name.to_owned());
            }
        }
        Ok(())
    }
}

/// The interfaces of the contract among `exports`. Others are ignored: nothing calls them.
pub(super) fn interfaces(exports: &[String]) -> Result<Vec<Interface>, AdmitError> {
    let mut found = Vec::new();
    for export in exports {
        let Some(rest) = export.strip_prefix("symbolon:plugin/") else { continue };
        let (name, version) = rest.split_once('@').unwrap_or((rest, "none"));
        if version != CONTRACT {
            return Err(AdmitError::Contract { found: version.to_owned() });
        }
        found.extend(Interface::ALL.into_iter().find(|interface| interface.as_str() == name));
    }
    found.sort_unstable();
    for required in [Interface::Describe, Interface::Check] {
        if !found.contains(&required) {
            return Err(AdmitError::Missing(required));
        }
    }
    Ok(found)
}

/// The raw twin of [`Manifest`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    contract: String,
    name: String,
    version: String,
    summary: String,
    config_schema: serde_json::Value,
    egress: Vec<EgressWanted>,
    #[serde(default)]
    recovery: Option<Recovery>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

/// Only the contract, read first: a manifest of another contract may have another form.
#[derive(Deserialize)]
struct Contract {
    contract: String,
}

/// Parses the one manifest.
pub(super) fn manifest(sections: &[Vec<u8>]) -> Result<Manifest, AdmitError> {
    let [section] = sections else {
        return Err(AdmitError::Manifests(sections.len()));
    };
    if section.len() > MAX_MANIFEST_BYTES {
        return Err(AdmitError::manifest(format!("it is longer than {MAX_MANIFEST_BYTES} bytes")));
    }
    let malformed = |error: serde_json::Error| AdmitError::Manifest(error.to_string());
    let contract: Contract = serde_json::from_slice(section).map_err(malformed)?;
    if contract.contract != CONTRACT {
        return Err(AdmitError::Contract { found: facade::escape(&contract.contract, 40) });
    }
    check(serde_json::from_slice(section).map_err(malformed)?)
}

fn check(raw: Raw) -> Result<Manifest, AdmitError> {
    let name = PluginName::parse(&raw.name).map_err(|e| AdmitError::manifest(e.to_string()))?;
    let rules = [
        (version::is_version(&raw.version), "`version` is not a semantic version such as 1.2.3"),
        (is_line(&raw.summary, 200), "`summary` is not one line of 1 to 200 bytes"),
        (raw.config_schema.is_object(), "`config_schema` is not a JSON object"),
        (raw.egress.len() <= 32, "`egress` has more than 32 entries"),
        (raw.egress.iter().all(is_egress), "an entry of `egress` is malformed"),
        (
            facade::metadata_fits(raw.metadata.iter().map(|(k, v)| (k.as_str(), v.as_str()))),
            "`metadata` breaks the grammar of metadata",
        ),
    ];
    if let Some((_, broken)) = rules.into_iter().find(|(holds, _)| !holds) {
        return Err(AdmitError::manifest(broken));
    }
    Ok(Manifest {
        contract: raw.contract,
        name,
        version: raw.version,
        summary: raw.summary,
        config_schema: raw.config_schema,
        egress: raw.egress,
        recovery: raw.recovery,
        metadata: raw.metadata,
    })
}

fn is_line(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn is_egress(entry: &EgressWanted) -> bool {
    let key_byte = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    let host = match entry.url_key() {
        Some(key) => !key.is_empty() && key.bytes().all(key_byte),
        None => is_host(entry.host.strip_prefix("*.").unwrap_or(&entry.host)),
    };
    let method =
        |m: &String| (1..=16).contains(&m.len()) && m.bytes().all(|b| b.is_ascii_uppercase());
    host && matches!(entry.scheme.as_str(), "https" | "http")
        && (1..=9).contains(&entry.methods.len())
        && entry.methods.iter().all(method)
        && entry.path_prefix.starts_with('/')
        && is_line(&entry.path_prefix, 512)
}

/// A name, some of whose labels may be `{key}`: not the last two, or the configuration would choose
/// whose host it is.
fn is_host(name: &str) -> bool {
    let host_byte = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let key_byte = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
    let key = |label: &str| {
        let key = label.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        key.is_some_and(|key| !key.is_empty() && key.bytes().all(key_byte))
    };
    let last_are_plain = name.rsplit('.').take(2).all(|label| !label.starts_with('{'));
    let plain = |label: &str| label.bytes().all(host_byte);
    (1..=253).contains(&name.len())
        && last_are_plain
        && name.split('.').all(|label| plain(label) || key(label))
}
