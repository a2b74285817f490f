//! Compiling components where it can do no harm: in a child process with limits of its own.
//!
//! Whoever writes a component decides how long and how much memory its compilation takes, and
//! wasmtime says itself that this is not a defect of it. So the gateway does not compile: it starts
//! its own binary again (`symbolon compile-component`), which limits itself before it reads
//! anything (address space, CPU time, open files; no core dump, no file may grow), has no
//! environment and no descriptors but three pipes, takes the component from its standard input and
//! answers with the compiled code, behind the engine's compatibility hash.
//!
//! INVARIANT: a gateway compiles in a child or not at all. [`Compiler::Here`] is chosen by who makes
//! the host, for tests of libraries; nothing falls back to it.
//!
//! The child is limited, not distrusted: the code that it answers is run by the gateway, as the
//! code of a compiler is. Its standard error reaches the log, escaped and cut, and nobody else.

mod child;
mod frame;
mod process;

use std::fmt;
use std::time::Duration;

pub use child::{Job, run};
pub use process::CompilerProcess;

/// What one compilation may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Address space of the child, in bytes.
    pub memory: u64,
    /// Its CPU time, over all of its threads; whole seconds.
    pub cpu: Duration,
    /// How long it may take by the clock.
    pub wall: Duration,
    /// Longest compiled code, in bytes.
    pub code: u64,
    /// Most children at a time; others wait for their turn.
    pub children: usize,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            memory: 2 << 30,
            cpu: Duration::from_secs(120),
            wall: Duration::from_secs(120),
            code: 256 << 20,
            children: 2,
        }
    }
}

/// Where components are compiled.
#[derive(Debug)]
pub enum Compiler {
    /// In a child process, with limits.
    Process(CompilerProcess),
    /// In this process, without limits: for tests of libraries, with components of their own.
    Here,
}

/// A limit that a compilation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompileLimit {
    /// Address space, in bytes.
    Memory(u64),
    /// CPU time.
    Cpu(Duration),
    /// Time.
    Wall(Duration),
    /// Stack: it nests too deep.
    Stack,
    /// Compiled code, in bytes.
    Code(u64),
}

impl CompileLimit {
    /// The audit code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Memory(_) => "plugin_compile_memory",
            Self::Cpu(_) => "plugin_compile_cpu",
            Self::Wall(_) => "plugin_compile_time",
            Self::Stack => "plugin_compile_stack",
            Self::Code(_) => "plugin_compile_code",
        }
    }
}

impl fmt::Display for CompileLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(bytes) => write!(f, "{bytes} bytes of memory"),
            Self::Cpu(time) => write!(f, "{} s of CPU time", time.as_secs()),
            Self::Wall(time) => write!(f, "{} s", time.as_secs_f64()),
            Self::Stack => f.write_str("the compiler's stack"),
            Self::Code(bytes) => write!(f, "{bytes} bytes of compiled code"),
        }
    }
}

/// Why there is no compiled code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The component does not compile.
    #[error("{0}")]
    Refused(String),
    /// It takes more than it may.
    #[error("compiling it takes more than {0}")]
    Limit(CompileLimit),
    /// There is no compiler, or it is not ours.
    #[error("{0}")]
    Broken(String),
}
