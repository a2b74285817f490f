//! What is written, and that nothing is left out or overwritten. That it builds is another test's.

use std::collections::BTreeSet;

use super::*;

fn name() -> PluginName {
    PluginName::parse("acme-store").unwrap()
}

/// The files below a directory, by their paths from it.
fn below(directory: &Path, prefix: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let names = entries.map(|entry| {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            below(&entry.path(), &format!("{name}/"))
        } else {
            BTreeSet::from([name])
        }
    });
    names.flatten().collect()
}

#[test]
fn the_binary_holds_all_of_the_sdk_and_of_the_contract() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let sdk = BTreeSet::from(sdk::SOURCES.map(|(name, _, _)| name.to_owned()));
    assert_eq!(sdk, below(&top.join("plugins/sdk/src"), ""));
    let contract = BTreeSet::from(sdk::CONTRACT.map(|(name, _, _)| name.to_owned()));
    assert_eq!(contract, below(&top.join("wit/0.1.0"), ""));
}

#[test]
fn the_sdk_stands_alone() {
    let files = sdk::files().unwrap();
    let manifest = files.iter().find(|file| file.path.ends_with("Cargo.toml")).unwrap();
    let manifest: toml::Table = toml::from_str(&manifest.text).unwrap();
    assert!(!manifest.to_string().contains("workspace"), "{manifest}");
    assert_eq!(manifest["package"]["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(manifest["dependencies"]["schemars"]["optional"].as_bool(), Some(true));
    assert!(manifest["dependencies"]["schemars"]["version"].is_str());
    assert_eq!(manifest["dependencies"]["serde"]["default-features"].as_bool(), Some(false));
}

#[test]
fn every_set_has_its_name_in_it_and_no_gap() {
    for kind in [Kind::Secrets, Kind::Exchange, Kind::Credentials] {
        for File { path, text } in template::files(&name(), kind) {
            assert!(!text.contains("{{"), "{kind:?} {path}");
            assert!(
                path != "manifest.json" || text.contains("\"name\": \"acme-store\""),
                "{kind:?}"
            );
        }
    }
}

#[test]
fn nothing_is_overwritten() {
    let place = tempfile::tempdir().unwrap();
    let project = place.path().join("acme-store");
    make(&project, &files(&name(), Kind::Secrets).unwrap()).unwrap();
    assert!(project.join("vendor/symbolon-plugin/src/lib.rs").is_file());
    fs::write(project.join("src/lib.rs"), "mine").unwrap();
    let failure = make(&project, &files(&name(), Kind::Secrets).unwrap()).unwrap_err();
    assert!(failure.to_string().contains("there already"), "{failure}");
    assert_eq!(fs::read_to_string(project.join("src/lib.rs")).unwrap(), "mine");
}
