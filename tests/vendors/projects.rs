//! What `plugin new` makes builds, passes its tests and loads as it is, for each interface; and what is
//! changed in it is built and loaded again.

use std::fs;
use std::path::{Path, PathBuf};

use symbolon_tests::harness::component;

use super::{Going, done, typed};

/// A project of this interface, of which `asked` stands in the line by which its plugin can be asked.
fn whole(place: &Path, interface: &str, asked: &str) -> (PathBuf, Going) {
    done(&format!("symbolon plugin new acme-thing --interface {interface}"), place);
    let project = place.join("acme-thing");
    done("cargo test --quiet", &project);
    let mut going = Going::start("symbolon plugin run --listen 127.0.0.1:0", &project);
    going.until(asked);
    assert!(!going.said().contains("degraded"), "{}", going.said());
    let inspected = done("symbolon plugin inspect dist/acme-thing.wasm --output json", &project);
    assert!(inspected.contains(&format!("\"{interface}\"")), "{inspected}");
    (project, going)
}

#[test]
fn a_project_of_credentials_is_whole() {
    let place = tempfile::tempdir().unwrap();
    let (_, going) = whole(place.path(), "credentials", "/v1/credentials/acme-thing/reader");
    going.end();
}

/// That secrets are whole is the guide's test.
#[test]
fn a_project_of_an_exchange_is_whole_and_what_changes_in_it_is_loaded_again() {
    let place = tempfile::tempdir().unwrap();
    let (project, mut going) = whole(place.path(), "exchange", "-d audience=acme-thing");
    let manifest = fs::read_to_string(project.join("manifest.json")).unwrap();
    let better = manifest.replace("Tokens of an OAuth", "Better tokens of an OAuth");
    assert_ne!(manifest, better);
    fs::write(project.join("manifest.json"), better).unwrap();
    going.until("acme-thing: swapped");
    fs::write(project.join("src/config.rs"), "this is no Rust").unwrap();
    going.until("not built, the one before goes on");
    going.end();
}

#[test]
fn a_name_that_is_none_is_refused_and_nothing_is_overwritten() {
    let place = tempfile::tempdir().unwrap();
    for name in ["Acme", "../acme", "acme-", ""] {
        let refused = typed(&format!("symbolon plugin new '{name}'"), place.path()).output();
        assert_eq!(refused.unwrap().status.code(), Some(2), "{name:?}");
    }
    fs::create_dir(place.path().join("acme")).unwrap();
    let refused = typed("symbolon plugin new acme", place.path()).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(fs::read_dir(place.path().join("acme")).unwrap().count(), 0);
}

#[test]
fn a_component_of_another_toolchain_gets_its_manifest_and_not_twice() {
    let place = tempfile::tempdir().unwrap();
    let whole = component::built("static");
    let (made, manifest) = component::apart(&whole);
    fs::write(place.path().join("made.wasm"), made).unwrap();
    fs::write(place.path().join("manifest.json"), manifest).unwrap();
    done("symbolon plugin build --component made.wasm", place.path());
    assert!(fs::read(place.path().join("dist/static.wasm")).unwrap() == whole);
    let again = "symbolon plugin build --component dist/static.wasm --out twice.wasm";
    let refused = typed(again, place.path()).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("manifest"), "{refused:?}");
    assert_eq!((refused.status.code(), place.path().join("twice.wasm").exists()), (Some(1), false));
}
