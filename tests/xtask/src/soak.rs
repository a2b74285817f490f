//! What takes long, before a release: many clients, many kills, and fuzzing for the rest of the time.
//!
//! The clients and the kills are the tests named `soak::`, ignored by every other run; so are those of
//! components in other languages, which are made for it ([`languages`]). With time for it, a million
//! leases are restarted with. Each fuzz target of `tests/fuzz` is a process of its own, so that one that
//! dies or hangs is named and the others go on; what it choked on is left in `target/fuzz`.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::bench;
use crate::languages;
use crate::place::Place;
use crate::step::{Cargo, GLANCE, each, lock, now, say, timed};
use crate::test;

/// Making a million leases, durably, takes minutes.
const TIME_FOR_A_MILLION: Duration = Duration::from_mins(30);
/// What a target may take beyond its time: its last input.
const GRACE: Duration = Duration::from_mins(1);

/// Runs everything, in about `minutes` once it is built.
pub(crate) fn run(place: &Place, minutes: u32) -> Result<()> {
    let addresses = test::prepare(place, || {
        test::compile(place)?;
        Cargo::native(place)
            .args(["build", "--workspace", "--bins", "--profile", "ci", "--locked"])
            .run("fuzz targets")
    })?;
    languages::build(place)?;
    let (start, all) = (now(), Duration::from_secs(u64::from(minutes) * 60));
    let tests = test::soak(place, &addresses, minutes);
    let million = if all >= TIME_FOR_A_MILLION { bench::million(place) } else { Ok(()) };
    // However long the tests took, no target goes without.
    let left = all.saturating_sub(start.elapsed()).max(all / 4);
    let fuzzing = fuzz(place, left);
    say(&format!("soak: {} s for {minutes} min asked", start.elapsed().as_secs()));
    tests.and(million).and(fuzzing)
}

/// Each target for its share of `time`, as many at a time as there are processors.
fn fuzz(place: &Place, time: Duration) -> Result<()> {
    let targets = targets(place)?;
    let workers = thread::available_parallelism().map_or(1, usize::from).min(targets.len());
    let rounds = u32::try_from(targets.len().div_ceil(workers.max(1)))?;
    let share = (time / rounds.max(1)).max(Duration::from_secs(1));
    say(&format!(
        "fuzzing {} targets, {} s each, {workers} at a time",
        targets.len(),
        share.as_secs()
    ));
    let failed = Mutex::new(Vec::new());
    each(targets, workers, |name| {
        if let Err(why) = timed(&format!("fuzzing {name}"), || one(place, &name, share)) {
            say(&format!("{why:#}"));
            lock(&failed).push(name);
        }
    });
    let failed = lock(&failed);
    if failed.is_empty() { Ok(()) } else { bail!("fuzzing failed: {}", failed.join(", ")) }
}

/// Every target there is, by the sources, so that a new one is not forgotten.
fn targets(place: &Place) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for file in fs::read_dir(place.root().join("tests/fuzz/src/bin"))? {
        let path = file?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).context("a name")?;
        names.push(name.to_owned());
    }
    names.sort_unstable();
    names.reverse();
    if names.is_empty() { Err(anyhow!("no fuzz targets")) } else { Ok(names) }
}

fn one(place: &Place, name: &str, share: Duration) -> Result<()> {
    let seed = RandomState::new().build_hasher().finish();
    let failures = failures(place)?;
    let mut target = Command::new(place.beside_binary(name));
    target.current_dir(&failures);
    target.args(["--seconds", &share.as_secs().to_string(), "--seed", &seed.to_string()]);
    let mut process = target.spawn().with_context(|| format!("cannot start {target:?}"))?;
    let deadline: Instant = now() + share + GRACE;
    let status = loop {
        if let Some(status) = process.try_wait()? {
            break status;
        }
        if now() > deadline {
            process.kill()?;
            process.wait()?;
            bail!("{name} hangs: `{name} --seed {seed}` finds it again");
        }
        thread::sleep(GLANCE);
    };
    if !status.success() {
        bail!(
            "{name}: {status}; input in {} if it could be written, or by `{name} --seed {seed}`",
            failures.display()
        );
    }
    Ok(())
}

fn failures(place: &Place) -> Result<PathBuf> {
    let directory = place.failures();
    fs::create_dir_all(&directory)?;
    Ok(directory)
}
