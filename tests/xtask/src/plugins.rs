//! Every plugin and every test guest, built to a component in one directory.
//!
//! What to build is what the plugins' workspace holds: each package with a `cdylib` and, beside its
//! `Cargo.toml`, a `manifest.json`, whose name becomes the file's.

use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{env, fs};

use anyhow::{Context as _, Result};
use symbolon_componentize::project::{self, Source};
use symbolon_componentize::{self as componentize, Compiler, Search};

use crate::place::Place;
use crate::step::{Cargo, say, timed};

/// Set to anything but nothing, only the last way to a compiler is tried.
const FORCED: &str = "SYMBOLON_WASM_FALLBACK";

/// Builds all; answers the directory they are in.
pub(crate) fn build(place: &Place) -> Result<PathBuf> {
    let forced = env::var_os(FORCED).is_some_and(|value| !value.is_empty());
    let search = Search { forced, fetch: Some(place.parts()), say: &say };
    let compiler = Compiler::find(&search)?;
    Cargo::plugins(place).compiled_by(&compiler)?.run("plugins, to WebAssembly")?;
    let directory = place.plugins();
    fs::create_dir_all(&directory)?;
    timed("plugins, to components", || {
        sources(place)?.iter().try_for_each(|source| finish(source, &directory))
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

fn sources(place: &Place) -> Result<Vec<Source>> {
    let listed = Cargo::plugins(place).args(project::QUESTION).args(["--locked"]).output()?;
    Ok(project::sources(&listed)?)
}

fn finish(source: &Source, directory: &Path) -> Result<()> {
    let manifest = fs::read(&source.manifest)
        .with_context(|| format!("cannot read {}", source.manifest.display()))?;
    let name = componentize::name(&manifest)?;
    let file = directory.join(format!("{name}.wasm"));
    if is_older(source, &file) {
        return Ok(());
    }
    let module = fs::read(&source.module)?;
    let component = componentize::encode(&module, &manifest).with_context(|| name.clone())?;
    say(&format!(
        "{name}: {} bytes, imports {}",
        component.bytes.len(),
        component.imports.join(" ")
    ));
    replace(&file, &component.bytes)
}

fn is_older(source: &Source, file: &Path) -> bool {
    let Some(made) = modified(file) else { return false };
    [&source.module, &source.manifest]
        .into_iter()
        .all(|input| modified(input).is_some_and(|changed| changed < made))
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
