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
    lint(place)?;
    test::run(place, None)
}

fn format(place: &Place) -> Result<()> {
    Cargo::native(place).args(["fmt", "--all", "--check"]).run("form")?;
    Cargo::plugins(place).args(["fmt", "--all", "--check"]).run("form, plugins")
}

/// Licences, sources and banned crates. Advisories need a database that is not everywhere.
fn dependencies(place: &Place) -> Result<()> {
    let judge = parts::deny(place)?;
    for (name, manifest) in [
        ("dependencies", place.root().join("Cargo.toml")),
        ("dependencies, plugins", place.plugin_sources().join("Cargo.toml")),
    ] {
        Cargo::through(place, &judge)
            .args(["deny", "--offline", "--manifest-path"])
            .args([&manifest])
            .args(["check", "--hide-inclusion-graph", "--config"])
            .args([place.root().join(".deny.toml")])
            .args(["bans", "licenses", "sources"])
            .run(name)?;
    }
    Ok(())
}

/// Everything that compiles, fuzz targets and benches too; the parts are fetched meanwhile by the
/// tests' set-up, which then finds them.
fn lint(place: &Place) -> Result<()> {
    let all = ["--workspace", "--all-targets", "--locked"];
    Cargo::native(place).args(["build", "--profile", "ci"]).args(all).run("build and lints")?;
    Cargo::plugins(place)
        .args(["build", "--workspace", "--lib", "--tests", "--locked"])
        .env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver")
        .run("lints, plugins")
}
