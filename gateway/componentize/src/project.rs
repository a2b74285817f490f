//! What of a cargo workspace becomes a component.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{Error, TARGET};

/// What cargo is asked, to learn that.
pub const QUESTION: [&str; 4] = ["metadata", "--format-version", "1", "--no-deps"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    manifest_path: PathBuf,
    targets: Vec<Library>,
}

#[derive(Deserialize)]
struct Library {
    name: String,
    kind: Vec<String>,
}

/// A core module, with the manifest that goes into its component.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// Where cargo puts the module.
    pub module: PathBuf,
    /// `manifest.json`, beside `Cargo.toml`.
    pub manifest: PathBuf,
}

/// Each package with a `cdylib`, from what cargo answered to [`QUESTION`].
///
/// # Errors
/// [`Error::Metadata`].
pub fn sources(answer: &str) -> Result<Vec<Source>, Error> {
    let metadata: Metadata = serde_json::from_str(answer).map_err(Error::Metadata)?;
    let modules = metadata.target_directory.join(TARGET).join("release");
    Ok(metadata.packages.iter().filter_map(|package| source(package, &modules)).collect())
}

fn source(package: &Package, modules: &Path) -> Option<Source> {
    let library =
        package.targets.iter().find(|target| target.kind.iter().any(|kind| kind == "cdylib"))?;
    let module = modules.join(format!("{}.wasm", library.name));
    Some(Source { module, manifest: package.manifest_path.with_file_name("manifest.json") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_packages_with_a_dynamic_library_become_components() {
        let answer = r#"{ "target_directory": "/t", "packages": [
            { "manifest_path": "/p/Cargo.toml", "targets": [{ "name": "my_p", "kind": ["cdylib", "rlib"] }] },
            { "manifest_path": "/sdk/Cargo.toml", "targets": [{ "name": "sdk", "kind": ["lib"] }] } ] }"#;
        let module = format!("/t/{TARGET}/release/my_p.wasm").into();
        let expected = Source { module, manifest: "/p/manifest.json".into() };
        assert_eq!(sources(answer).expect("metadata"), [expected]);
    }
}
