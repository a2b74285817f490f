//! Symbolon's build tool: what a person or a machine types to build, test, show and measure it.
//!
//! It finds what it needs by itself, says what it took, and leaves everything it makes under the
//! target directory. It installs nothing into the system but Debian's packages of the compiler of last
//! resort (see `symbolon_componentize`) and of PostgreSQL (see `parts`), and starts no servers: tests start their
//! own, from the parts fetched here.

mod bench;
mod ci;
mod languages;
mod parts;
mod place;
mod plugins;
mod soak;
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
    /// Measures, each thing beside its floor: see gateway/docs/performance.md.
    Bench {
        /// Any of plugin-call, decide, verify, audit, lease-issue, lease-openbao, lease-restart,
        /// lease-revoke, lease-storm, lease-growth, read; all of them if none is named.
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        /// Only `read`, or `exchange` if it is named, without its floor for ten seconds: to be profiled.
        #[arg(long)]
        alone: bool,
    },
    /// Builds every plugin and every test guest to a component.
    Plugins,
    /// Archives a component of each interface of the present contract that has none yet: see
    /// wit/README.md. What is archived is never replaced.
    Archive,
    /// Builds the test guests in JavaScript and Python, for `soak`: fetches their toolchains first.
    Languages,
    /// Fetches the parts that tests need, and prints the variables that say where they are.
    Parts,
    /// Runs what takes long: before a release, not in CI.
    Soak {
        /// How long it may take in all, once everything is built. With less than an hour there are
        /// fewer kills and less fuzzing, and as many clients.
        #[arg(long, env = "SYMBOLON_SOAK_MINUTES", default_value_t = 60)]
        minutes: u32,
    },
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
        Task::Bench { names, json, alone } => {
            let flags = [("--json", json), ("--alone", alone)];
            let given = flags.into_iter().filter(|(_, given)| *given);
            bench::run(&place, &names, &given.map(|(flag, _)| flag).collect::<Vec<_>>())
        }
        Task::Plugins => plugins::build(&place).map(drop),
        Task::Archive => test::archive(&place),
        Task::Languages => test::binary(&place).and_then(|()| languages::build(&place)).map(drop),
        Task::Parts => parts::show(&place),
        Task::Soak { minutes } => soak::run(&place, minutes),
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
