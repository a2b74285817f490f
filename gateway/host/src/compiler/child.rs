//! The child: limits first, then the component.
//!
//! What it is told on its command line comes from the gateway; what it reads comes from whoever
//! wrote the component. It runs on one thread until its limits hold.

use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use rustix::process::{Resource, Rlimit, setrlimit};

use super::frame::{Head, Kind, MAX_REASON_BYTES};
use crate::compiled::EngineHash;
use crate::engine::{self, EngineSettings, Shape};

/// What a child is to do. The gateway writes it as the child's command line, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Address space, in bytes.
    pub(super) memory: u64,
    /// CPU time, in seconds.
    pub(super) cpu: u64,
    /// Length of the component, in bytes.
    pub(super) length: u64,
    /// Shape of the engine.
    pub(super) shape: Shape,
    /// Largest linear memory of a component, in bytes.
    pub(super) linear: usize,
    /// Stack of a component, in bytes.
    pub(super) stack: usize,
}

impl Job {
    pub(super) fn words(&self) -> [String; 6] {
        let Self { memory, cpu, length, shape, linear, stack } = self;
        [
            memory.to_string(),
            cpu.to_string(),
            length.to_string(),
            shape.as_str().to_owned(),
            linear.to_string(),
            stack.to_string(),
        ]
    }

    /// Reads a job from the words of a command line; none if they are not one.
    #[must_use]
    pub fn parse(words: &[String]) -> Option<Self> {
        let [memory, cpu, length, shape, linear, stack] = words else { return None };
        Some(Self {
            memory: memory.parse().ok()?,
            cpu: cpu.parse().ok()?,
            length: length.parse().ok()?,
            shape: Shape::parse(shape)?,
            linear: linear.parse().ok()?,
            stack: stack.parse().ok()?,
        })
    }
}

/// Does the job: the whole life of the child.
///
/// # Errors
/// If limits cannot be set, the engine cannot be made, or a pipe breaks. A component that does not
/// compile is no error but an answer.
pub fn run(job: &Job) -> io::Result<()> {
    close_inherited()?;
    limit(job)?;
    let settings = EngineSettings {
        memory_bytes: job.linear,
        stack_bytes: job.stack,
        ..EngineSettings::default()
    };
    let engine = engine::for_compiling(job.shape, &settings).map_err(io::Error::other)?;
    let mut component = Vec::new();
    io::stdin().lock().take(job.length).read_to_end(&mut component)?;
    let (kind, bytes) = match engine.precompile_component(&component) {
        Ok(code) => (Kind::Code, code),
        Err(error) => (Kind::Refusal, reason(&error)),
    };
    let length = u64::try_from(bytes.len()).map_err(io::Error::other)?;
    let head = Head { kind, engine: EngineHash::of(&engine), length };
    let mut out = io::stdout().lock();
    out.write_all(&head.to_bytes())?;
    out.write_all(&bytes)?;
    out.flush()
}

fn reason(error: &wasmtime::Error) -> Vec<u8> {
    let most = usize::try_from(MAX_REASON_BYTES).unwrap_or(usize::MAX);
    crate::facade::escape(&format!("{error:#}"), most).into_bytes()
}

fn limit(job: &Job) -> io::Result<()> {
    for (resource, most) in [
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nofile, 16),
        (Resource::As, job.memory),
    ] {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    // At the first the system says why it ends the process, at the second it only does.
    let (current, maximum) = (Some(job.cpu), Some(job.cpu.saturating_add(1)));
    Ok(setrlimit(Resource::Cpu, Rlimit { current, maximum })?)
}

/// Everything that the gateway opened is closed by `exec`, but not what was handed to the gateway.
fn close_inherited() -> io::Result<()> {
    let listing = std::fs::read_dir("/proc/self/fd")?.filter_map(Result::ok);
    let numbers = listing.filter_map(|entry| entry.file_name().to_str()?.parse::<RawFd>().ok());
    let numbers: Vec<_> = numbers.filter(|number| *number > 2).collect();
    for number in numbers {
        // The listing's own is among them, and closed by now.
        if std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok() {
            close(number);
        }
    }
    Ok(())
}

#[expect(unsafe_code, reason = "a number is no owner; see the safety comment")]
fn close(number: RawFd) {
    // SAFETY: the descriptor is open, and nothing in this process owns it: the process has just
    // begun, has one thread, and has opened nothing but the listing, which is closed.
    drop(unsafe { OwnedFd::from_raw_fd(number) });
}
