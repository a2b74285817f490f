//! The answer of `describe`, from the same file that becomes the component's static manifest.
//!
//! INVARIANT: what `describe` says and what the host reads without running anything are one text.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::bindings::base::exports::symbolon::plugin::describe::{Descriptor, Egress, Recovery};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(rename = "contract")]
    _contract: String,
    name: String,
    version: String,
    summary: String,
    config_schema: Value,
    egress: Vec<Host>,
    recovery: Option<Class>,
    metadata: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Host {
    scheme: String,
    host: String,
    port: Option<u16>,
    methods: Vec<String>,
    path_prefix: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Class {
    Named,
    Listable,
    Expires,
}

/// A manifest that does not parse gives a descriptor without a name, which no host admits. The
/// build tool refuses such a manifest before that.
pub(crate) fn descriptor(text: &str) -> Descriptor {
    serde_json::from_str::<Manifest>(text).map_or_else(|_| nameless(), Descriptor::from)
}

fn nameless() -> Descriptor {
    Descriptor {
        name: String::new(),
        version: String::new(),
        summary: String::new(),
        config_schema: String::new(),
        egress: Vec::new(),
        recovery: None,
        metadata: Vec::new(),
    }
}

impl From<Manifest> for Descriptor {
    fn from(manifest: Manifest) -> Self {
        Self {
            name: manifest.name,
            version: manifest.version,
            summary: manifest.summary,
            config_schema: manifest.config_schema.to_string(),
            egress: manifest.egress.into_iter().map(Egress::from).collect(),
            recovery: manifest.recovery.map(Recovery::from),
            metadata: manifest.metadata.into_iter().collect(),
        }
    }
}

impl From<Host> for Egress {
    fn from(host: Host) -> Self {
        Self {
            scheme: host.scheme,
            host: host.host,
            port: host.port,
            methods: host.methods,
            path_prefix: host.path_prefix,
        }
    }
}

impl From<Class> for Recovery {
    fn from(class: Class) -> Self {
        match class {
            Class::Named => Self::Named,
            Class::Listable => Self::Listable,
            Class::Expires => Self::Expires,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_becomes_the_descriptor() {
        let described = descriptor(
            r#"{"contract":"0.1.0","name":"n","version":"1.0.0","summary":"s",
                "config_schema":{"type":"object"},
                "egress":[{"scheme":"https","host":"{address}","port":null,"methods":["GET"],"path_prefix":"/v1/"}],
                "recovery":"expires","metadata":{"vendor":"v"}}"#,
        );
        assert_eq!(described.name, "n");
        assert_eq!(described.config_schema, r#"{"type":"object"}"#);
        assert_eq!(described.egress.len(), 1);
        assert!(matches!(described.recovery, Some(Recovery::Expires)));
        assert_eq!(described.metadata, vec![("vendor".to_owned(), "v".to_owned())]);
    }

    #[test]
    fn a_manifest_with_an_unknown_key_describes_nobody() {
        assert_eq!(descriptor(r#"{"name":"n","surprise":1}"#).name, "");
    }
}
