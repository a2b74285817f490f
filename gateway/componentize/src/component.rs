//! From a core module to a component that carries its manifest.
//!
//! The manifest is a custom section of the component itself, so that one digest covers both and the
//! host learns who a component is without running it.
//!
//! INVARIANT: a component that is encoded here imports nothing but the contract and the WASI that it
//! allows.

use serde::Deserialize;
use serde_json::Value;
use wit_component::{ComponentEncoder, DecodedWasm};

use crate::Error;

/// The name of the custom section.
const SECTION: &str = "symbolon:manifest";

/// What a component may import; the host links nothing else.
const ALLOWED: [&str; 5] =
    ["symbolon:plugin/", "wasi:http/", "wasi:clocks/", "wasi:random/", "wasi:io/"];

/// The manifest's shape, so that a mistake in one fails the build and not the host.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read for its shape only")]
struct Manifest {
    contract: String,
    name: String,
    version: String,
    summary: String,
    config_schema: Value,
    egress: Vec<Egress>,
    recovery: Option<Recovery>,
    metadata: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read for its shape only")]
struct Egress {
    scheme: String,
    host: String,
    port: Option<u16>,
    methods: Vec<String>,
    path_prefix: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Recovery {
    Named,
    Listable,
    Expires,
}

/// A finished component.
pub struct Component {
    /// Its bytes, manifest included.
    pub bytes: Vec<u8>,
    /// What it imports, as named in it.
    pub imports: Vec<String>,
}

/// The name in a manifest, which must be whole.
///
/// # Errors
/// [`Error::Manifest`].
pub fn name(manifest: &[u8]) -> Result<String, Error> {
    let manifest: Manifest = serde_json::from_slice(manifest).map_err(Error::Manifest)?;
    Ok(manifest.name)
}

/// Makes a component of a core module and a manifest.
///
/// # Errors
/// [`Error`] if the module is not of the contract, or wants more than a host gives.
pub fn encode(module: &[u8], manifest: &[u8]) -> Result<Component, Error> {
    name(manifest)?;
    let mut encoder = ComponentEncoder::default();
    let encoded = encoder.validate(true).module(module).and_then(|encoder| encoder.encode());
    let mut bytes = encoded.map_err(|error| faulty(&error))?;
    let imports = imports(&bytes)?;
    if let Some(import) = imports.iter().find(|import| !is_allowed(import)) {
        return Err(Error::Import(import.clone()));
    }
    append(&mut bytes, manifest);
    Ok(Component { bytes, imports })
}

/// Gives a finished component a manifest. What it imports is not looked at: language runtimes want more
/// than [`encode`] allows, and the host says what of it is linked.
///
/// # Errors
/// [`Error::Manifest`].
pub fn with_manifest(mut component: Vec<u8>, manifest: &[u8]) -> Result<Vec<u8>, Error> {
    name(manifest)?;
    append(&mut component, manifest);
    Ok(component)
}

/// The encoder's error is of a type of its own, whose alternate form has all causes.
fn faulty(error: &dyn std::fmt::Display) -> Error {
    Error::Encode(format!("{error:#}"))
}

fn is_allowed(import: &str) -> bool {
    ALLOWED.iter().any(|prefix| import.starts_with(prefix))
}

fn imports(component: &[u8]) -> Result<Vec<String>, Error> {
    let decoded = wit_component::decode(component).map_err(|error| faulty(&error))?;
    let DecodedWasm::Component(resolve, world) = decoded else {
        return Err(Error::Encode("it is a package of types".to_owned()));
    };
    let world = resolve.worlds.get(world).ok_or_else(|| faulty(&"it has no world"))?;
    Ok(world.imports.keys().map(|key| resolve.name_world_key(key)).collect())
}

/// Appends the custom section: id 0, its size, its name, its contents.
fn append(component: &mut Vec<u8>, manifest: &[u8]) {
    let mut section = leb128(SECTION.len());
    section.extend_from_slice(SECTION.as_bytes());
    section.extend_from_slice(manifest);
    component.push(0);
    component.extend(leb128(section.len()));
    component.extend(section);
}

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            bytes.push(low & 0x7f);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_the_format_wants() {
        for (number, bytes) in [
            (0, vec![0]),
            (127, vec![127]),
            (128, vec![0x80, 1]),
            (624_485, vec![0xE5, 0x8E, 0x26]),
        ] {
            assert_eq!(leb128(number), bytes, "{number}");
        }
    }

    #[test]
    fn a_manifest_with_a_key_too_many_or_too_few_is_refused() {
        let whole = r#"{"contract":"0.1.0","name":"n","version":"1.0.0","summary":"s",
            "config_schema":{},"egress":[],"recovery":null,"metadata":{}}"#;
        assert_eq!(name(whole.as_bytes()).expect("whole"), "n");
        assert!(name(whole.replace("\"summary\":\"s\",", "").as_bytes()).is_err());
        assert!(name(whole.replace("\"egress\"", "\"more\":1,\"egress\"").as_bytes()).is_err());
    }

    #[test]
    fn only_the_contract_and_harmless_wasi_may_be_imported() {
        assert!(is_allowed("symbolon:plugin/log@0.1.0"));
        assert!(is_allowed("wasi:http/types@0.2.12"));
        for import in ["wasi:filesystem/types@0.2.12", "wasi:sockets/tcp@0.2.12", "env"] {
            assert!(!is_allowed(import), "{import}");
        }
    }
}
