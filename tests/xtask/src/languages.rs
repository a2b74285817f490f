//! Test guests in other languages than Rust, built to components as their vendors would: by the
//! languages' own toolchains, and `symbolon plugin build --component` for the manifest.
//!
//! They are for `soak` alone, in a directory of their own: their toolchains are large, and each takes
//! half a minute to make and as long to compile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::parts::{self, Toolchains};
use crate::place::Place;
use crate::step::{Cargo, expect, timed};

/// Where the sources are, one directory a language.
const SOURCES: &str = "tests/guests";
/// The contract.
const CONTRACT: &str = "wit/0.1.0";
/// Of the crates of the workspace the one that holds the WIT of the WASI that the host links.
const WASI: &str = "wasmtime-wasi-http";

/// Builds both, with the gateway's binary; answers the directory they are in.
pub(crate) fn build(place: &Place) -> Result<PathBuf> {
    let toolchains = parts::toolchains(place)?;
    let directory = place.languages();
    fs::create_dir_all(&directory)?;
    timed("a component in JavaScript", || javascript(place, &toolchains))?;
    timed("a component in Python", || python(place, &toolchains))?;
    Ok(directory)
}

fn javascript(place: &Place, toolchains: &Toolchains) -> Result<()> {
    let made = unfinished(place, "javascript");
    let mut node = Command::new(&toolchains.node);
    node.arg("build.mjs").arg(place.root().join(CONTRACT)).arg(&made);
    node.current_dir(copy(place, "javascript")?).env("NODE_MODULES", &toolchains.javascript);
    expect("componentize-js", &mut node)?;
    finish(place, "javascript", &made)
}

fn python(place: &Place, toolchains: &Toolchains) -> Result<()> {
    let made = unfinished(place, "python");
    let mut componentize = Command::new(&toolchains.python);
    componentize.arg("--quiet").arg("-d").arg(place.root().join(CONTRACT));
    componentize.arg("-d").arg(wasi(place)?).args(["-d", "world.wit"]);
    componentize.args(["-w", "guest:python/plugin", "componentize", "-p", ".", "plugin", "-o"]);
    expect("componentize-py", componentize.arg(&made).current_dir(copy(place, "python")?))?;
    finish(place, "python", &made)
}

/// The sources, where toolchains may write beside them.
fn copy(place: &Place, language: &str) -> Result<PathBuf> {
    let copy = place.languages().join(language);
    if copy.exists() {
        fs::remove_dir_all(&copy)?;
    }
    expect("cp", Command::new("cp").arg("-R").arg(source(place, language)).arg(&copy))?;
    Ok(copy)
}

fn source(place: &Place, language: &str) -> PathBuf {
    place.root().join(SOURCES).join(language)
}

/// What the toolchain makes: without its manifest.
fn unfinished(place: &Place, language: &str) -> PathBuf {
    place.languages().join(format!("{language}.unfinished"))
}

fn finish(place: &Place, language: &str, made: &Path) -> Result<()> {
    let mut build = Command::new(place.binary());
    build.args(["plugin", "build"]).arg(source(place, language)).arg("--component").arg(made);
    build.arg("--out").arg(place.languages().join(format!("in-{language}.wasm")));
    expect("symbolon plugin build", &mut build)?;
    Ok(fs::remove_file(made)?)
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
}

/// The WIT of WASI, in the version that is linked.
fn wasi(place: &Place) -> Result<PathBuf> {
    let question = ["metadata", "--format-version", "1", "--locked"];
    let answer: Metadata = serde_json::from_str(&Cargo::native(place).args(question).output()?)?;
    let found = answer.packages.into_iter().find(|package| package.name == WASI);
    Ok(found
        .with_context(|| format!("no {WASI} in the workspace"))?
        .manifest_path
        .with_file_name("wit"))
}
