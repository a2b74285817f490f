//! What CI runs, once its tools are installed: form, lints, tests, dependencies.
//!
//! One compiler run for lints, tests, fuzz targets and benches: `clippy-driver` compiles while it
//! lints, and what it compiled is what the tests run.

use anyhow::Result;

use crate::parts;
use crate::place::Place;
use crate::step::Cargo;
use crate::test;

/// Stops at the first failure.
pub(crate) fn run(place: &Place) -> Result<()> {
    format(place)?;
    dependencies(place)?;
    let addresses = test::prepare(place, || build(place))?;
    test::everything(place, &addresses)
}

fn format(place: &Place) -> Result<()> {
    Cargo::native(place).args(["fmt", "--all", "--check"]).run("form")?;
    Cargo::plugins(place).args(["fmt", "--all", "--check"]).run("form, plugins")
}

/// Licences, sources and banned crates. Advisories need a database that is not everywhere.
fn dependencies(place: &Place) -> Result<()> {
    let judge = parts::deny(place)?;
    Cargo::native(place).args(["fetch", "--locked"]).run("sources fetched")?;
    Cargo::plugins(place).args(["fetch", "--locked"]).run("sources fetched, plugins")?;
    for workspace in [place.root().to_owned(), place.plugin_sources()] {
        Cargo::through(place, &judge)
            .args(["--offline", "--config", ".deny.toml", "--manifest-path"])
            .args([workspace.join("Cargo.toml")])
            .args(["check", "--hide-inclusion-graph", "--show-stats"])
            .args(["--allow", "unmatched-skip", "--allow", "license-not-encountered"])
            .args(["bans", "licenses", "sources"])
            .run("dependencies")?;
    }
    Ok(())
}

/// Everything that compiles: fuzz targets and benches too.
fn build(place: &Place) -> Result<()> {
    Cargo::native(place)
        .args(["build", "--profile", "ci", "--workspace", "--all-targets", "--locked"])
        .run("build, with lints")
}
