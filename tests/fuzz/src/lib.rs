//! Drives fuzz targets, which are ordinary programs over one parser each.
//!
//! `TARGET FILE…` takes the files one by one, `TARGET` what comes on standard input, and
//! `TARGET --seconds N [--seed S]` makes inputs of its own: known texts, changed at random. What the
//! target accepts becomes one of the texts to change, so that inputs grow into what a parser reaches
//! only behind a valid beginning. The same seed makes the same inputs in the same order.
//!
//! A target that panics, or takes longer than ten seconds for an input, ends the program with a
//! failure, and leaves the input in `NAME.crash` or `NAME.hang` in the working directory.

use std::collections::VecDeque;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// No input is longer: parsers are asked about much less.
const LONGEST: usize = 64 << 10;
/// How many texts are kept to be changed.
const POOL: usize = 512;
/// How long one input may take.
const LIMIT: u64 = 10;
/// How many inputs pass between two looks at the time.
const BETWEEN: u64 = 64;

/// What is tried now, and how many were before.
static CURRENT: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static COUNT: AtomicU64 = AtomicU64::new(0);

/// A parser, and what it knows to read.
#[derive(Debug)]
pub struct Target {
    /// The name, for messages and files.
    pub name: &'static str,
    /// Texts to begin with.
    pub seeds: Vec<Vec<u8>>,
    /// Words of its language.
    pub words: &'static [&'static str],
    /// Tries one input; says whether it was accepted, and panics if something is wrong.
    pub check: fn(&[u8]) -> bool,
}

/// What to do.
enum Task {
    Files(Vec<String>),
    Input,
    Make { time: Duration, seed: u64 },
}

/// Does what the command line says.
#[must_use]
pub fn drive(target: &Target) -> ExitCode {
    keep_what_panics(target.name);
    match task(std::env::args().skip(1).collect()) {
        Some(Task::Make { time, seed }) => make(target, time, seed),
        Some(Task::Files(files)) => {
            for file in &files {
                let Ok(input) = std::fs::read(file) else {
                    eprintln!("{file} cannot be read");
                    return ExitCode::from(2);
                };
                eprintln!(
                    "{file}: {}",
                    if attempt(target, &input) { "accepted" } else { "refused" }
                );
            }
        }
        Some(Task::Input) => {
            let mut input = Vec::new();
            if std::io::stdin().lock().read_to_end(&mut input).is_ok() {
                attempt(target, &input);
            }
        }
        None => {
            eprintln!("{} [FILE… | --seconds N [--seed S]]", target.name);
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn task(arguments: Vec<String>) -> Option<Task> {
    let number = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name);
        at.map(|at| arguments.get(at + 1).and_then(|text| text.parse::<u64>().ok()))
    };
    match (number("--seconds"), number("--seed")) {
        (Some(seconds), seed) => {
            let time = Duration::from_secs(seconds?);
            Some(Task::Make { time, seed: seed.unwrap_or(Some(1))? })
        }
        // What was found with a seed is found again, however long it takes.
        (None, Some(seed)) => Some(Task::Make { time: Duration::MAX, seed: seed? }),
        (None, None) if arguments.is_empty() => Some(Task::Input),
        (None, None) => Some(Task::Files(arguments)),
    }
}

#[expect(clippy::disallowed_methods, reason = "fuzzing is measured in real time")]
fn now() -> Instant {
    Instant::now()
}

fn make(target: &Target, time: Duration, seed: u64) {
    let (start, mut random) = (now(), Random(seed | 1));
    std::thread::scope(|scope| {
        let done = std::sync::mpsc::sync_channel::<()>(0);
        scope.spawn(move || watch(target.name, &done.1));
        let mut pool: VecDeque<Vec<u8>> = target.seeds.iter().cloned().collect();
        let accepted = pool.iter().filter(|seed| attempt(target, seed)).count();
        eprintln!("{}: seed {seed}, {accepted} of {} texts accepted", target.name, pool.len());
        let mut accepted = 0_u64;
        while !COUNT.load(Ordering::Relaxed).is_multiple_of(BETWEEN) || start.elapsed() < time {
            let input = mutate(&mut random, &pool, target.words);
            if attempt(target, &input) {
                accepted += 1;
                if pool.len() >= POOL {
                    // The texts to begin with stay.
                    let victim = target.seeds.len() + random.below(POOL - target.seeds.len());
                    pool.swap_remove_back(victim);
                }
                pool.push_back(input);
            }
        }
        let count = COUNT.load(Ordering::Relaxed);
        eprintln!("{}: {count} inputs, {accepted} accepted", target.name);
        drop(done.0);
    });
}

fn attempt(target: &Target, input: &[u8]) -> bool {
    current().clear();
    current().extend_from_slice(input);
    let accepted = (target.check)(input);
    COUNT.fetch_add(1, Ordering::Relaxed);
    accepted
}

fn current() -> std::sync::MutexGuard<'static, Vec<u8>> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes down what was tried before the panic speaks.
fn keep_what_panics(name: &'static str) {
    let speak = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        keep(&format!("{name}.crash"));
        speak(panic);
        // Also if it panicked where somebody would have caught it.
        std::process::abort();
    }));
}

fn keep(file: &str) {
    let kept = std::fs::write(Path::new(file), &*current());
    eprintln!("input in {file}: {kept:?}");
}

/// Ends the program if one input takes too long.
fn watch(name: &str, done: &std::sync::mpsc::Receiver<()>) {
    let (mut seen, mut looks) = (0, 0);
    let second = Duration::from_secs(1);
    while done.recv_timeout(second) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
        let count = COUNT.load(Ordering::Relaxed);
        looks = if count == seen { looks + 1 } else { 0 };
        seen = count;
        if looks > LIMIT {
            keep(&format!("{name}.hang"));
            std::process::abort();
        }
    }
}

/// xorshift64: repeatable, and good enough to choose changes.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(1);
        usize::try_from((self.next() >> 11) % bound).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes().first().copied().unwrap_or(0)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }
}

/// What parsers stumble over.
const EDGES: [&str; 14] = [
    "0",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "1e309",
    "\0",
    "\u{feff}",
    "\u{202e}",
    "\u{1f600}",
    "\"",
    "\\u0000",
    "[[[[[[[[",
    "{\"a\":",
];

fn mutate(random: &mut Random, pool: &VecDeque<Vec<u8>>, words: &[&str]) -> Vec<u8> {
    let choose = |random: &mut Random| {
        pool.get(random.below(pool.len())).map(Vec::as_slice).unwrap_or_default().to_vec()
    };
    let mut text = choose(random);
    for _ in 0..=random.below(4) {
        let at = random.below(text.len() + 1);
        let end = text.len().min(at + 1 + random.below(24));
        match random.below(9) {
            0 => {
                let bit = 1 << random.below(8);
                text.get_mut(at).into_iter().for_each(|byte| *byte ^= bit);
            }
            1 => {
                let byte = random.byte();
                text.get_mut(at).into_iter().for_each(|found| *found = byte);
            }
            2 => drop(text.drain(at..end)),
            3 => {
                let piece = text.get(at..end).unwrap_or_default();
                let piece = piece.repeat(1 + random.below(5));
                insert(&mut text, at, &piece);
            }
            4 => insert(&mut text, at, random.pick(&EDGES).copied().unwrap_or_default().as_bytes()),
            5 | 6 => {
                insert(&mut text, at, random.pick(words).copied().unwrap_or_default().as_bytes())
            }
            7 => {
                drop(text.splice(at..end, random.pick(words).copied().unwrap_or_default().bytes()))
            }
            _ => {
                let other = choose(random);
                let from = random.below(other.len() + 1);
                text.truncate(at);
                text.extend(other.get(from..).unwrap_or_default());
            }
        }
    }
    text.truncate(LONGEST);
    text
}

fn insert(text: &mut Vec<u8>, at: usize, piece: &[u8]) {
    text.splice(at..at, piece.iter().copied());
}
