//! The tests, with everything that they need: components, parts, the runner.

use std::thread;

use anyhow::{Result, anyhow};

use crate::parts::{self, Addresses};
use crate::place::Place;
use crate::plugins;
use crate::step::Cargo;

/// The set-up of the tests, which takes its time beside the compiler's.
pub(crate) fn prepare(place: &Place, compile: impl FnOnce() -> Result<()>) -> Result<Addresses> {
    thread::scope(|scope| {
        let fetched = scope.spawn(|| parts::fetch(place));
        plugins::build(place)?;
        compile()?;
        fetched.join().map_err(|_| anyhow!("fetching parts panicked"))?
    })
}

/// Runs the tests whose name contains `filter`, or all.
pub(crate) fn run(place: &Place, filter: Option<&str>) -> Result<()> {
    let addresses = prepare(place, || compile(place))?;
    match filter {
        None => everything(place, &addresses),
        Some(_) => nextest(place, &addresses, "ci")?.args(filter).run("tests"),
    }
}

/// Every test; those of the line last, so that the runner's summary ends what is printed.
pub(crate) fn everything(place: &Place, addresses: &Addresses) -> Result<()> {
    plugins::test(place)?;
    examples(place)?;
    nextest(place, addresses, "ci")?.run("tests")
}

/// The tests that every other run leaves out, of the profile `soak`.
pub(crate) fn soak(place: &Place, addresses: &Addresses, minutes: u32) -> Result<()> {
    nextest(place, addresses, "soak")?
        .args(["--run-ignored", "only"])
        .env("SYMBOLON_SOAK_MINUTES", minutes.to_string())
        .env("SYMBOLON_LANGUAGES", place.languages())
        .run("soak")
}

/// The test that writes what is not archived yet; it needs neither components nor parts.
pub(crate) fn archive(place: &Place) -> Result<()> {
    nextest(place, &Addresses::default(), "ci")?
        .args(["--run-ignored", "only", "archive::the_present_contract_is_archived"])
        .run("archive")
}

/// The tests and the gateway's binary.
pub(crate) fn compile(place: &Place) -> Result<()> {
    Cargo::native(place)
        .args(["test", "--no-run", "--workspace", "--profile", "ci", "--locked"])
        .run("tests, compiled")?;
    binary(place)
}

/// The gateway's binary: tests that kill and restart it need it, and so do benches of its start.
pub(crate) fn binary(place: &Place) -> Result<()> {
    Cargo::native(place)
        .args(["build", "--workspace", "--bin", "symbolon", "--profile", "ci", "--locked"])
        .run("the binary")
}

/// Those in documentation, among them the ones that must not compile.
fn examples(place: &Place) -> Result<()> {
    Cargo::native(place)
        .args(["test", "--doc", "--workspace", "--profile", "ci", "--locked"])
        .run("examples")
}

/// The runner, told where everything is.
fn nextest(place: &Place, addresses: &Addresses, profile: &str) -> Result<Cargo> {
    let runner = parts::nextest(place)?;
    let mut run = Cargo::through(place, &runner)
        .args(["nextest", "run", "--workspace", "--locked", "--cargo-profile", "ci"])
        .args(["--profile", profile])
        .env("SYMBOLON_PLUGINS", place.plugins())
        .env("SYMBOLON_BIN", place.binary());
    for (variable, path) in addresses {
        run = run.env(variable, path);
    }
    Ok(run)
}
