//! The gateway's side: one child a component, bounded in number, killed at its limit.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use std::os::unix::process::ExitStatusExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::child::Job;
use super::frame::{HEAD_BYTES, Head, Kind, MAX_REASON_BYTES};
use super::{CompileError, CompileLimit, CompileLimits};
use crate::compiled::{Code, EngineHash};
use crate::engine::Runtime;

/// Most of the child's standard error that is kept, in bytes.
const MAX_SAID_BYTES: u64 = 4096;
/// Most threads of a child. Each has a stack and an arena, which count as memory.
const MOST_THREADS: usize = 4;

/// Compiles in child processes.
#[derive(Debug)]
pub struct CompilerProcess {
    program: PathBuf,
    limits: CompileLimits,
    turns: Semaphore,
}

impl CompilerProcess {
    /// Children of `program`, which is the gateway's own binary or one of the same build.
    #[must_use]
    pub fn new(program: PathBuf, limits: CompileLimits) -> Self {
        Self { program, limits, turns: Semaphore::new(limits.children.max(1)) }
    }

    /// The program that this process runs, also if its file was replaced since.
    #[must_use]
    pub fn this_program() -> PathBuf {
        PathBuf::from("/proc/self/exe")
    }

    /// Compiles `component` for the engine of `runtime`. Dropping the future kills the child.
    ///
    /// # Errors
    /// [`CompileError`] says whether the component, a limit or the compiler is at fault.
    pub(crate) async fn compile(
        &self,
        runtime: &Runtime,
        component: &[u8],
    ) -> Result<Code, CompileError> {
        let broken = |what: &str| CompileError::Broken(what.to_owned());
        let _turn = self.turns.acquire().await.map_err(|_| broken("no compiler any more"))?;
        let child = self.spawn(runtime, component.len())?;
        let wall = self.limits.wall;
        // Dropped with its child, which is killed then.
        let work = self.exchange(child, component, EngineHash::of(runtime.engine()));
        timeout(wall, work).await.unwrap_or(Err(CompileError::Limit(CompileLimit::Wall(wall))))
    }

    fn spawn(&self, runtime: &Runtime, length: usize) -> Result<Child, CompileError> {
        let job = Job {
            memory: self.limits.memory,
            cpu: self.limits.cpu.as_secs().max(1),
            length: u64::try_from(length).unwrap_or(u64::MAX),
            shape: runtime.shape(),
            linear: runtime.settings().memory_bytes,
            stack: runtime.settings().stack_bytes,
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut command = Command::new(&self.program);
        command
            .arg("compile-component")
            .args(job.words())
            .env_clear()
            .env("RAYON_NUM_THREADS", cores.min(MOST_THREADS).to_string())
            .env("MALLOC_ARENA_MAX", "2")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // An interrupt of the terminal is for the gateway, which ends its children itself.
            .process_group(0)
            .kill_on_drop(true);
        command.spawn().map_err(|error| {
            CompileError::Broken(format!("{} does not start: {error}", self.program.display()))
        })
    }

    async fn exchange(
        &self,
        mut child: Child,
        component: &[u8],
        engine: EngineHash,
    ) -> Result<Code, CompileError> {
        let broken = |what: &str| CompileError::Broken(what.to_owned());
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err(broken("the compiler has no pipes"));
        };
        let give = async move {
            // A child that ends early breaks the pipe; how it ended says more.
            let _broken = stdin.write_all(component).await;
        };
        let ((), answer, said) = tokio::join!(give, self.answer(stdout), said(stderr));
        if let Err(Failed::Large) = answer {
            return Err(CompileError::Limit(CompileLimit::Code(self.limits.code)));
        }
        let status = child.wait().await.map_err(|_| broken("the compiler was lost"))?;
        if !said.is_empty() {
            tracing::info!(%status, said, "the compiler said");
        }
        let Ok((head, bytes)) = answer else { return Err(self.ended(status, &said)) };
        match head.kind {
            Kind::Refusal => Err(CompileError::Refused(reason(&bytes))),
            Kind::Code if head.engine != engine => {
                Err(broken("the compiler is of another build, or its engine has other settings"))
            }
            Kind::Code if !status.success() => Err(self.ended(status, &said)),
            Kind::Code => Ok(Code::of_compiler(bytes)),
        }
    }

    async fn answer(&self, mut stdout: impl AsyncRead + Unpin) -> Result<(Head, Vec<u8>), Failed> {
        let mut head = [0; HEAD_BYTES];
        stdout.read_exact(&mut head).await.map_err(|_| Failed::None)?;
        let head = Head::parse(&head).ok_or(Failed::None)?;
        let most = match head.kind {
            Kind::Code => self.limits.code,
            Kind::Refusal => MAX_REASON_BYTES,
        };
        if head.length > most {
            return Err(Failed::Large);
        }
        let mut bytes = Vec::new();
        let read = stdout.take(most.saturating_add(1)).read_to_end(&mut bytes).await;
        let read = read.ok().and_then(|read| u64::try_from(read).ok());
        if read == Some(head.length) { Ok((head, bytes)) } else { Err(Failed::None) }
    }

    /// Which limit a child without an answer came to, by how it ended.
    fn ended(&self, status: ExitStatus, said: &str) -> CompileError {
        // Of an allocation, of a mapping, of a thread.
        const OUT_OF_MEMORY: [&str; 3] =
            ["memory allocation of", "Cannot allocate memory", "Resource temporarily unavailable"];
        let killed_by = |signal: rustix::process::Signal| status.signal() == Some(signal.as_raw());
        if killed_by(rustix::process::Signal::XCPU) {
            CompileError::Limit(CompileLimit::Cpu(self.limits.cpu))
        } else if OUT_OF_MEMORY.iter().any(|words| said.contains(words)) {
            CompileError::Limit(CompileLimit::Memory(self.limits.memory))
        } else if said.contains("has overflowed its stack") {
            CompileError::Limit(CompileLimit::Stack)
        } else {
            CompileError::Broken(format!("the compiler ended without an answer ({status})"))
        }
    }
}

/// Why there is no answer.
enum Failed {
    /// It ended, or said something else.
    None,
    /// It is longer than it may be.
    Large,
}

fn reason(bytes: &[u8]) -> String {
    crate::facade::escape(&String::from_utf8_lossy(bytes), 1024)
}

/// The beginning of what the child says; the rest is read and forgotten, so that it does not wait.
async fn said(mut stderr: impl AsyncRead + Unpin) -> String {
    let mut bytes = Vec::new();
    let _unread = (&mut stderr).take(MAX_SAID_BYTES).read_to_end(&mut bytes).await;
    let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    crate::facade::escape(&String::from_utf8_lossy(&bytes), 1024)
}
