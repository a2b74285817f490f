//! Benches, and what those need that are named: parts are fetched for no other.

use anyhow::Result;

use crate::parts;
use crate::place::Place;
use crate::plugins;
use crate::step::Cargo;
use crate::test;

/// What a bench needs of others, by the variables that say where it is.
const PARTS: [(&str, &[&str]); 3] = [
    ("exchange-openbao", &["SYMBOLON_BAO"]),
    ("lease-openbao", &["SYMBOLON_BAO", "SYMBOLON_PG15"]),
    ("lease-revoke", &["SYMBOLON_PG15"]),
];
/// Those that start the gateway as a process of its own.
const OF_PROCESSES: [&str; 1] = ["lease-restart"];
/// What runs one part of one bench.
const ALONE: &str = "--alone";

/// Runs the benches that are named, or all.
pub(crate) fn run(place: &Place, names: &[String], flags: &[&str]) -> Result<()> {
    plugins::build(place)?;
    let is_wanted = |name: &str| {
        let named = names.is_empty() || names.iter().any(|wanted| wanted == name);
        named && !flags.contains(&ALONE)
    };
    if OF_PROCESSES.into_iter().any(is_wanted) {
        test::binary(place)?;
    }
    let needed: Vec<&str> = PARTS
        .into_iter()
        .filter(|(name, _)| is_wanted(name))
        .flat_map(|(_, of)| of)
        .copied()
        .collect();
    let bench = program(place).args(names).args(flags);
    let addresses = parts::fetch_those(place, |variable| needed.contains(&variable))?;
    let with = |bench: Cargo, (variable, path)| bench.env(variable, path);
    addresses.into_iter().fold(bench, with).run("benches")
}

/// A restart with a million leases, and the memory that they cost. Everything is built.
pub(crate) fn million(place: &Place) -> Result<()> {
    program(place).args(["--million"]).run("a million leases")
}

fn program(place: &Place) -> Cargo {
    Cargo::native(place)
        .args(["run", "--profile", "ci", "--package", "symbolon-tests"])
        .args(["--bin", "symbolon-bench", "--"])
        .env("SYMBOLON_PLUGINS", place.plugins())
        .env("SYMBOLON_BIN", place.binary())
}
