//! The component host: a WebAssembly component in, bounded and re-checked calls out.
//!
//! A plugin gets what is linked ([`imports`]) and nothing else. It is known by its static
//! [`manifest`] before any of its code runs, [admitted](admit) step by step, and put to use as a
//! [`Generation`] of a [`Catalog`]. Each call runs in a fresh instance with limits of its own
//! ([`engine`], [`limits`]), reaches the network only through [`egress`], and what it answers is
//! checked in `facade` before anyone believes it.
//!
//! What this crate does not know: who asks and why it was permitted, leases, the disk store, the
//! listener.

pub mod admit;
pub mod answer;
mod bindings;
mod breaker;
mod call;
pub mod catalog;
pub mod compiled;
pub mod compiler;
pub mod conduct;
pub mod egress;
pub mod engine;
mod facade;
pub mod fault;
pub mod imports;
pub mod limits;
pub mod manifest;
mod operations;
pub mod outbound;
mod pace;
mod places;
pub mod private;
mod repeat;
pub mod signature;
pub mod sql;
mod state;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod version;

pub use admit::{AdmitError, Admitted, Host, HostError};
pub use breaker::{Breaker, BreakerState, Health, Pass};
pub use call::{CallContext, Operation};
pub use catalog::{BackendSpec, Catalog, Entry, Generation, Probation, Seat};
pub use compiled::CompiledCache;
pub use compiler::{CompileLimits, Compiler, CompilerProcess};
pub use conduct::{Tally, Verdict};
pub use fault::{AnswerFault, CallError, Fault, FaultKind};
pub use limits::{Limits, Rate};
pub use manifest::{Digest, Inspection, Manifest};
pub use operations::{MAX_BATCH, Selector};
pub use outbound::{Line, NoEgress, Outbound, Upstream};
pub use signature::{Endorsement, Examined, Package, Refused, Trust};
