//! Every plugin and every test guest, built to a component in one directory.
//!
//! What to build is what the plugins' workspace holds: each package with a `cdylib` and, beside its
//! `Cargo.toml`, a `manifest.json`, whose name becomes the file's.

use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{env, fs};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use symbolon_componentize::{self as componentize, Compiler, Search, TARGET};

use crate::place::Place;
use crate::step::{Cargo, say, timed};

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
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

/// Set to anything but nothing, only the last way to a compiler is tried.
const FORCED: &str = "SYMBOLON_WASM_FALLBACK";

/// Builds all; answers the directory they are in.
pub(crate) fn build(place: &Place) -> Result<PathBuf> {
    let forced = env::var_os(FORCED).is_some_and(|value| !value.is_empty());
    let search = Search { forced, fetch: Some(place.parts()), say: &say };
    let compiler = Compiler::find(&search)?;
    Cargo::plugins(place).to_wasm(&compiler)?.run("plugins, to WebAssembly")?;
    let directory = place.plugins();
    fs::create_dir_all(&directory)?;
    timed("plugins, to components", || {
        sources(place)?.iter().try_for_each(|source| source.finish(&directory))
    })?;
    Ok(directory)
}

/// Runs the plugins' own tests, natively, and with them the lints if the environment names a lint
/// wrapper. Libraries only: a native dynamic library may not have a component's symbols.
pub(crate) fn test(place: &Place) -> Result<()> {
    Cargo::plugins(place)
        .args(["test", "--locked", "--lib", "--all-features"])
        .run("plugins, unit tests")?;
    Cargo::plugins(place)
        .args(["test", "--locked", "--doc", "--package", "symbolon-plugin"])
        .run("plugins, examples")
}

/// A core module, with the manifest that goes into its component.
struct Source {
    module: PathBuf,
    manifest: PathBuf,
}

fn sources(place: &Place) -> Result<Vec<Source>> {
    let listed = Cargo::plugins(place)
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .output()?;
    let metadata: Metadata = serde_json::from_str(&listed)?;
    let modules = place.wasm().join(TARGET).join("release");
    Ok(metadata.packages.iter().filter_map(|package| source(package, &modules)).collect())
}

fn source(package: &Package, modules: &Path) -> Option<Source> {
    let library =
        package.targets.iter().find(|target| target.kind.iter().any(|kind| kind == "cdylib"))?;
    let module = modules.join(format!("{}.wasm", library.name));
    Some(Source { module, manifest: package.manifest_path.with_file_name("manifest.json") })
}

impl Source {
    fn finish(&self, directory: &Path) -> Result<()> {
        let manifest = fs::read(&self.manifest)
            .with_context(|| format!("cannot read {}", self.manifest.display()))?;
        let name = componentize::name(&manifest)?;
        let file = directory.join(format!("{name}.wasm"));
        if self.is_older_than(&file) {
            return Ok(());
        }
        let module = fs::read(&self.module)?;
        let component = componentize::encode(&module, &manifest).with_context(|| name.clone())?;
        say(&format!(
            "{name}: {} bytes, imports {}",
            component.bytes.len(),
            component.imports.join(" ")
        ));
        replace(&file, &component.bytes)
    }

    fn is_older_than(&self, file: &Path) -> bool {
        let Some(made) = modified(file) else { return false };
        [&self.module, &self.manifest]
            .into_iter()
            .all(|source| modified(source).is_some_and(|changed| changed < made))
    }
}

/// By a rename, so that nobody reads half of it.
fn replace(file: &Path, bytes: &[u8]) -> Result<()> {
    let unfinished = file.with_extension("unfinished");
    fs::write(&unfinished, bytes)?;
    Ok(fs::rename(&unfinished, file)?)
}

fn modified(file: &Path) -> Option<SystemTime> {
    file.metadata().ok()?.modified().ok()
}
