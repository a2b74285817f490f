//! Components of every released version of the contract keep loading, and keep answering.
//!
//! `VERSION/INTERFACE.wat` is a component as it was built when the version was released; see
//! `wit/README.md` for what a version promises. Nothing here is ever changed or taken away but whole
//! versions, by the rule that stands there.

mod calls;
mod functions;
mod make;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use symbolon_core::clock::{ManualClock, Timestamp};
use symbolon_core::id::{BackendName, PluginName};
use symbolon_host::admit::MAX_COMPONENT_BYTES;
use symbolon_host::answer::Role;
use symbolon_host::engine::EngineSettings;
use symbolon_host::{
    AdmitError, Admitted, BackendSpec, CompileLimits, Compiler, CompilerProcess, Digest,
    Generation, Host, Limits, NoEgress, Package, Trust,
};
use symbolon_tests::harness::binary;
use wit_component::DecodedWasm;
use wit_parser::{Resolve, WorldId, WorldItem};

use self::make::{GUESTS, SUMS, contract, keep, root};

/// Every version that was ever released and is still to be loaded.
const RELEASED: &[&str] = &["0.1.0"];

/// The version that is archived anew by `cargo xtask archive`: that of this host.
const PRESENT: &str = symbolon_host::manifest::CONTRACT;

fn archive() -> PathBuf {
    root().join("tests/archive")
}

/// The versions that have a folder.
fn versions() -> Vec<String> {
    let entries = std::fs::read_dir(archive()).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.path().join(SUMS).exists());
    let mut names: Vec<_> =
        folders.map(|folder| folder.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What is archived of a version: interfaces and texts.
fn archived(version: &str) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(archive().join(version)).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    let texts = files.filter(|file| file.extension().is_some_and(|kind| kind == "wat"));
    let named = texts.map(|file| {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read_to_string(&file).unwrap())
    });
    let mut all: Vec<_> = named.collect();
    all.sort();
    all
}

/// A component as a vendor would have shipped it: with the manifest that its `describe` tells.
fn shipped(version: &str, text: &str) -> Vec<u8> {
    let manifest = format!(
        r#"{{"contract":"{version}","name":"archived","version":"1.2.3","summary":"a guest of the archive",
        "config_schema":{{}},"egress":[{{"scheme":"https","host":"archive.example.com","port":8443,
        "methods":["GET"],"path_prefix":"/v1"}}],"recovery":"named","metadata":{{"made":"by hand"}}}}"#
    );
    let quoted: String = manifest.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    let end = text.trim_end().strip_suffix(')').expect("a component ends");
    let section = symbolon_host::manifest::SECTION;
    wat::parse_str(format!("{end} (@custom \"{section}\" \"{quoted}\"))")).unwrap()
}

/// By the way that every component goes: examined, compiled in a child, linked, called.
async fn admit(component: Vec<u8>) -> Result<Admitted, AdmitError> {
    let compiler = Compiler::Process(CompilerProcess::new(binary(), CompileLimits::default()));
    let settings = EngineSettings { instances: 8, ..EngineSettings::default() };
    let host = Host::start(&settings, compiler, None, MAX_COMPONENT_BYTES).unwrap();
    let trust = Trust::default().with_unsigned([PluginName::parse("archived").unwrap()]);
    host.admit(Package::new(component, None), &trust).await
}

fn backend(admitted: &Admitted) -> Generation {
    let role = Role { name: "reader".to_owned(), config: "{}".to_owned() };
    let spec = BackendSpec {
        name: BackendName::parse("old").unwrap(),
        config: serde_json::json!({"key": "value"}),
        roles: vec![role],
        limits: Limits::default(),
        outbound: Box::new(NoEgress),
        database: None,
    };
    let clock = ManualClock::at(Timestamp::from_seconds(calls::NOW));
    Generation::new(admitted, spec, Arc::new(clock))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_archived_component_loads_and_answers_as_it_did() {
    for version in versions() {
        for (interface, text) in archived(&version) {
            let admitted = admit(shipped(&version, &text)).await;
            let admitted = admitted.unwrap_or_else(|e| panic!("{version}/{interface}: {e}"));
            let exported = &admitted.inspection().interfaces;
            let exported: BTreeSet<_> =
                exported.iter().map(|interface| interface.as_str()).collect();
            assert_eq!(exported, BTreeSet::from(["describe", "check", interface.as_str()]));
            calls::all(&backend(&admitted), &interface).await;
        }
    }
}

#[test]
fn no_version_that_was_released_is_gone_and_every_contract_is_archived() {
    let found = versions();
    assert_eq!(found, RELEASED, "tests/archive and RELEASED: see wit/README.md");
    for entry in std::fs::read_dir(root().join("wit")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let is_version = entry.file_type().unwrap().is_dir();
        assert!(!is_version || found.contains(&name), "wit/{name}: run `cargo xtask archive`");
    }
}

#[test]
fn what_is_archived_is_what_was_archived() {
    for version in versions() {
        let sums = std::fs::read_to_string(archive().join(&version).join(SUMS)).unwrap();
        let sum = |(name, text): (String, String)| {
            format!("{}  {name}.wat", Digest::of(text.as_bytes()).hex())
        };
        let found: BTreeSet<_> = archived(&version).into_iter().map(sum).collect();
        let written: BTreeSet<_> = sums.lines().map(str::to_owned).collect();
        assert_eq!(found, written, "{version}: what is archived never changes");
    }
}

/// Names of interfaces that a world imports and exports.
fn interfaces(resolve: &Resolve, world: WorldId) -> BTreeSet<String> {
    let world = &resolve.worlds[world];
    let sides = [("import", &world.imports), ("export", &world.exports)];
    let items = sides.into_iter().flat_map(|(side, items)| items.iter().map(move |i| (side, i)));
    let interfaces = items.filter(|(_, (_, item))| matches!(item, WorldItem::Interface { .. }));
    interfaces.map(|(side, (key, _))| format!("{side} {}", resolve.name_world_key(key))).collect()
}

/// What a component in text form says of its types.
fn decoded(text: &str) -> (Resolve, WorldId) {
    match wit_component::decode(&wat::parse_str(text).unwrap()).unwrap() {
        DecodedWasm::Component(resolve, world) => (resolve, world),
        DecodedWasm::WitPackage(..) => panic!("no component"),
    }
}

fn of_component(text: &str) -> BTreeSet<String> {
    let (resolve, world) = decoded(text);
    interfaces(&resolve, world)
}

#[test]
fn every_world_of_a_contract_is_archived() {
    for version in versions() {
        let texts = archived(&version);
        let known: BTreeSet<_> = texts.iter().flat_map(|(_, text)| of_component(text)).collect();
        let (resolve, package) = contract(&version);
        for (name, world) in &resolve.packages[package].worlds {
            let lacking: Vec<_> =
                interfaces(&resolve, *world).difference(&known).cloned().collect();
            assert!(lacking.is_empty(), "{name} of {version}: not archived: {lacking:?}");
        }
    }
}

/// Components of contracts that differ by one change each, such as another version could have.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_within_a_version_would_not_load() {
    let contract = |change: (&str, &str)| {
        let folder = tempfile::tempdir().unwrap();
        let mut changed = false;
        for entry in std::fs::read_dir(root().join("wit").join(PRESENT)).unwrap() {
            let file = entry.unwrap().path();
            let text = std::fs::read_to_string(&file).unwrap();
            changed |= text.contains(change.0);
            let text = text.replacen(change.0, change.1, 1);
            std::fs::write(folder.path().join(file.file_name().unwrap()), text).unwrap();
        }
        assert!(changed, "nothing was changed: {change:?}");
        let mut resolve = Resolve::default();
        resolve.push_path(folder.path()).unwrap();
        resolve
    };
    for (interface, change) in [
        ("secrets", ("content-type: string,", "content-type: string, more: u8,")),
        ("secrets", ("names: list<string>,", "entries: list<string>,")),
        ("credentials", ("usable,", "usable, expired,")),
        ("credentials", ("boolean(bool),", "boolean(bool), wide(f64),")),
        ("exchange", ("kind: string,", "kind: string, more: u8,")),
        ("rotate", ("invalid-request,", "")),
    ] {
        let text = make::component(contract(change), PRESENT, interface);
        let refused = admit(shipped(PRESENT, &text)).await.expect_err("another contract");
        assert!(
            matches!(refused, AdmitError::Types { .. } | AdmitError::Link(_)),
            "{change:?}: {refused}"
        );
    }
}

#[test]
fn an_archived_component_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    keep(folder.path(), "secrets.wat", "old").unwrap();
    let refused = keep(folder.path(), "secrets.wat", "new").unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read_to_string(folder.path().join("secrets.wat")).unwrap(), "old");
    let sums = std::fs::read_to_string(folder.path().join(SUMS)).unwrap();
    assert_eq!(sums, format!("{}  secrets.wat\n", Digest::of(b"old").hex()));
}

/// What `cargo xtask archive` runs: it archives what is not yet archived of the present contract.
#[test]
#[ignore = "writes into the repository"]
fn the_present_contract_is_archived() {
    let (folder, (resolve, _)) = (archive().join(PRESENT), contract(PRESENT));
    for (interface, ..) in GUESTS {
        let name = format!("{interface}.wat");
        if !folder.join(&name).exists() {
            keep(&folder, &name, &make::component(resolve.clone(), PRESENT, interface)).unwrap();
        }
    }
}
