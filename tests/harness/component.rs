//! Builds of a component that differ: another version, one that lies about itself, one that traps.
//!
//! They are made from a built component by changing bytes in place, so that each is what a vendor
//! could have shipped: its manifest reads, its code validates, its digest is its own.

use std::path::Path;

use symbolon_host::manifest::SECTION;
use wasmparser::{ExternalKind, FunctionBody, Operator, Parser, Payload, TypeRef};

use super::plugins;

/// The version of every component in this repository, as its manifest spells it.
const VERSION: &str = r#""version": "0.1.0""#;

/// The bytes of a built component.
#[must_use]
pub fn built(name: &str) -> Vec<u8> {
    std::fs::read(plugins().join(format!("{name}.wasm"))).expect("a built component")
}

/// The same component as another version, which has as many characters as `0.1.0`.
#[must_use]
pub fn versioned(mut bytes: Vec<u8>, version: &str) -> Vec<u8> {
    for at in places(&bytes) {
        put(&mut bytes, at, version);
    }
    bytes
}

/// One whose manifest says this version, and whose code says the one before: it fails the smoke call.
#[must_use]
pub fn lying(mut bytes: Vec<u8>, version: &str) -> Vec<u8> {
    // The manifest was appended.
    let last = *places(&bytes).last().expect("a manifest");
    put(&mut bytes, last, version);
    bytes
}

/// The same code under another manifest: what its own manifest has become after `change`.
///
/// # Panics
/// If the component has none, or one that is not JSON.
#[must_use]
pub fn claiming(bytes: &[u8], change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let (code, claim) = apart(bytes);
    let mut claim = serde_json::from_slice(&claim).expect("JSON");
    change(&mut claim);
    with_manifest(code, &claim)
}

/// A component with one more section: a manifest.
#[must_use]
pub fn with_manifest(mut component: Vec<u8>, manifest: &serde_json::Value) -> Vec<u8> {
    let text = manifest.to_string().into_bytes();
    let data = [leb128(SECTION.len()), SECTION.into(), text].concat();
    component.push(0);
    component.extend(leb128(data.len()));
    component.extend(data);
    component
}

/// A component and its manifest, each for itself: what a toolchain makes that knows of no manifests.
///
/// # Panics
/// If the component has none.
#[must_use]
pub fn apart(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::CustomSection(section) = payload.expect("a component")
            && section.name() == SECTION
        {
            // It was appended: what comes before it, but for its id and its size, is the component.
            let size = leb128(section.range().len());
            return (bytes[..section.range().start - size.len() - 1].into(), section.data().into());
        }
    }
    panic!("no manifest");
}

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(u8::try_from(number & 0x7f).expect("seven bits") | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).expect("seven bits"));
    bytes
}

/// One that traps whenever `function` is called: `secrets`, `read`, say. All else works.
#[must_use]
pub fn trapping(mut bytes: Vec<u8>, interface: &str, function: &str) -> Vec<u8> {
    let export = format!("symbolon:plugin/{interface}@0.1.0#{function}");
    let (from, to) = first_operator(&bytes, &export);
    // `unreachable`, and `nop` in the place of what the operator was followed by.
    bytes[from..to].fill(0x01);
    bytes[from] = 0x00;
    bytes
}

/// Writes a component where nobody sees half of it.
pub fn write(directory: &Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = directory.join(name);
    let draft = directory.join(format!("{name}.draft"));
    std::fs::write(&draft, bytes).expect("a draft");
    std::fs::rename(&draft, &path).expect("its name");
    path
}

fn put(bytes: &mut [u8], at: usize, version: &str) {
    let text = VERSION.replace("0.1.0", version);
    assert_eq!(text.len(), VERSION.len(), "a version of five characters");
    bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
}

fn places(bytes: &[u8]) -> Vec<usize> {
    let sought = VERSION.as_bytes();
    let found = bytes.windows(sought.len()).enumerate();
    found.filter(|(_, window)| *window == sought).map(|(at, _)| at).collect()
}

/// Where the first operator of an exported function begins and ends.
fn first_operator(bytes: &[u8], export: &str) -> (usize, usize) {
    let (mut imported, mut defined, mut exported) = (0, 0, None);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.expect("a component") {
            Payload::Version { .. } => (imported, defined, exported) = (0, 0, None),
            Payload::ImportSection(section) => {
                let imports = section.into_imports().map(|import| import.expect("an import"));
                let functions = imports
                    .filter(|import| matches!(import.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)));
                imported += u32::try_from(functions.count()).expect("a count");
            }
            Payload::ExportSection(section) => {
                for found in section {
                    let found = found.expect("an export");
                    if found.name == export && found.kind == ExternalKind::Func {
                        exported = Some(found.index);
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                if exported == Some(imported + defined) {
                    return operator(&body);
                }
                defined += 1;
            }
            _ => {}
        }
    }
    panic!("no core module exports {export}");
}

fn operator(body: &FunctionBody<'_>) -> (usize, usize) {
    let reader = body.get_operators_reader().expect("operators");
    let mut operators = reader.into_iter_with_offsets().map(|found| found.expect("an operator"));
    let (first, from) = operators.next().expect("an operator");
    let is_block =
        matches!(first, Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. });
    assert!(!is_block, "a function that begins with a block");
    (from, operators.next().expect("another operator").1)
}
