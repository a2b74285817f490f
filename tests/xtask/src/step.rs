//! Running programs, and work beside one another: with a name, a time, and what was printed if it failed.
//!
//! Nothing here goes through a shell, so that no path needs quoting.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result};
use symbolon_componentize::Compiler;
use symbolon_componentize::program;
pub(crate) use symbolon_componentize::program::GLANCE;

use crate::place::Place;

/// Says something to whoever is watching.
pub(crate) fn say(words: &str) {
    eprintln!("xtask: {words}");
}

#[expect(clippy::disallowed_methods, reason = "a build tool measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Does something and says how long it took.
pub(crate) fn timed<T>(name: &str, deed: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = now();
    let outcome = deed().with_context(|| format!("failed: {name}"));
    let verdict = if outcome.is_ok() { "done" } else { "FAILED" };
    say(&format!("{verdict}: {name}, {:.1} s", start.elapsed().as_secs_f64()));
    outcome
}

/// Runs to the end and expects success.
pub(crate) fn expect(name: &str, command: &mut Command) -> Result<()> {
    Ok(program::expect(name, command)?)
}

/// Runs to the end and answers what was printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    Ok(program::output(command)?)
}

fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"))
}

/// A call of the cargo that runs this.
pub(crate) struct Cargo(Command);

impl Cargo {
    /// In the native workspace. Keeps the lint wrapper that CI sets, so that what was linted is
    /// what is run.
    pub(crate) fn native(place: &Place) -> Self {
        let mut command = Command::new(cargo());
        command.current_dir(place.root());
        Self(command)
    }

    /// A subcommand of cargo that is a program of its own, called directly.
    pub(crate) fn through(place: &Place, program: &Path) -> Self {
        let mut command = Command::new(program);
        command.current_dir(place.root()).env("CARGO", cargo());
        Self(command)
    }

    /// In the plugins' workspace.
    pub(crate) fn plugins(place: &Place) -> Self {
        let mut command = Command::new(cargo());
        command.current_dir(place.plugin_sources()).env("CARGO_TARGET_DIR", place.wasm());
        Self(command)
    }

    /// A build by this compiler, of what is checked in and locked.
    pub(crate) fn compiled_by(mut self, compiler: &Compiler) -> Result<Self> {
        compiler.build(&mut self.0)?;
        Ok(self.args(["--locked"]))
    }

    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.0.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    pub(crate) fn run(mut self, name: &str) -> Result<()> {
        timed(name, || expect(name, &mut self.0))
    }

    pub(crate) fn output(mut self) -> Result<String> {
        output(&mut self.0)
    }
}

/// A program on the search path, if it is there and answers to `--version`.
pub(crate) fn answers(program: impl AsRef<Path>) -> bool {
    let mut command = Command::new(program.as_ref());
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Does `work` to each of `names` from the last on, so many at a time.
pub(crate) fn each(names: Vec<String>, workers: usize, work: impl Fn(String) + Sync) {
    let queue = Mutex::new(names);
    // A call of its own: within the loop's head the lock would be held for its body.
    let next = || lock(&queue).pop();
    let worker = || std::iter::from_fn(next).for_each(&work);
    thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(worker))));
}

pub(crate) fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn workers_work_beside_one_another() {
        let (met, done) = (Barrier::new(2), Mutex::new(Vec::new()));
        each(vec!["a".to_owned(), "b".to_owned()], 2, |name| {
            met.wait();
            lock(&done).push(name);
        });
        assert_eq!(lock(&done).len(), 2);
    }
}
