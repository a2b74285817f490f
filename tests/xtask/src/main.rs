//! Symbolon's build tool: what a person or a machine types to build, test, show and measure it.
//!
//! It finds what it needs by itself, says what it took, and leaves everything it makes under the
//! target directory. It installs nothing into the system but Debian's packages of the compiler of last
//! resort (see `compiler`) and of PostgreSQL (see `parts`), and starts no servers: tests start their
//! own, from the parts fetched here.

mod ci;
mod compiler;
mod component;
mod debian;
mod parts;
mod place;
mod plugins;
mod step;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::place::Place;
use crate::step::{Cargo, say};

/// Symbolon's build tool.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Shows a secret read, a denied read and a verified audit chain, each line explained.
    Demo,
    /// Runs the tests, or those whose name contains FILTER.
    Test {
        /// Part of a test's name.
        filter: Option<String>,
    },
    /// Measures, each thing beside its floor.
    Bench {
        /// One bench.
        name: Option<String>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Builds every plugin and every test guest to a component.
    Plugins,
    /// Fetches the parts that tests need, and prints the variables that say where they are.
    Parts,
    /// Runs what takes long: before a release, not in CI.
    Soak,
    /// Runs what CI runs, once its tools are installed.
    Ci,
}

/// The chain of causes in one line; where in this tool it happened helps nobody.
fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    let place = Place::find()?;
    match task {
        Task::Demo => demo(&place),
        Task::Test { filter } => test::run(&place, filter.as_deref()),
        Task::Bench { name, json } => bench(&place, name.as_deref(), json),
        Task::Plugins => plugins::build(&place).map(drop),
        Task::Parts => parts::show(&place),
        Task::Soak => test::soak(&place),
        Task::Ci => ci::run(&place),
    }
}

/// The binary runs the demonstration itself, so that what is shown is what an operator has.
fn demo(place: &Place) -> Result<()> {
    plugins::build(place)?;
    Cargo::native(place)
        .args(["run", "--profile", "ci", "--package", "symbolon", "--"])
        .args(["dev", "--demo"])
        .env("SYMBOLON_PLUGINS", place.plugins())
        .run("demonstration")
}

fn bench(place: &Place, name: Option<&str>, json: bool) -> Result<()> {
    plugins::build(place)?;
    Cargo::native(place)
        .args([
            "run",
            "--profile",
            "ci",
            "--package",
            "symbolon-tests",
            "--bin",
            "symbolon-bench",
            "--",
        ])
        .args(name)
        .args(json.then_some("--json"))
        .env("SYMBOLON_PLUGINS", place.plugins())
        .run("benches")
}
