//! The journal: what is done is written down before it is answered.
//!
//! One thread owns the log (the rules of its lines are in [`symbolon_core::audit`]). Stations send
//! it records and wait; it takes whatever is waiting, writes it with one write and one `fdatasync`,
//! and wakes the group. So a request waits for the disk once, and two hundred requests wait for it
//! together.
//!
//! INVARIANT: a [`Receipt`] exists only for a line that is on disk, below a chain head that is
//! anchored or will be with the next group. Nothing is answered without one: a journal that cannot
//! write refuses.
//!
//! # When it cannot write
//!
//! * *The disk is full:* new requests are refused ([`JournalError::Full`]); what is open is still
//!   closed, at the expense of the reserve file. The journal is sound again when the reserve is.
//! * *Writing fails, or the anchor does:* the group fails, and new requests are refused until a
//!   probe, made at most once a second and only while somebody asks, has been written.
//! * *The sink hangs:* waiters give up at the deadline, new requests are refused at once, and what
//!   becomes durable later is marked `request.late`.
//!
//! It does not decide, does not answer and does not know what a secret is.

mod anchors;
mod counters;
mod error;
mod files;
mod journal;
mod recovery;
mod reserve;
mod sink;
mod strangers;
#[cfg(test)]
mod tests;
mod writer;

use std::path::PathBuf;
use std::time::Duration;

pub use anchors::{AnchorError, Anchors};
pub use counters::{Counters, Readings};
pub use error::{JournalError, StartError};
pub use files::{files_in_order, verify_files};
pub use journal::{Entry, Health, Journal, Parts, Receipt};
pub use recovery::Resumption;
pub use sink::{FileSink, Sink};

/// What the operator decides about the journal.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory of the log. Made, if it is not there, for the service's user alone.
    pub directory: PathBuf,
    /// At which size a file is closed and the next one begun.
    pub rotate_bytes: u64,
    /// Size of the file that keeps room on the disk for closing what is open.
    pub reserve_bytes: u64,
    /// How long a closing may take before the request fails.
    pub deadline: Duration,
    /// How many lines may wait. A request holds the place of its closing from its opening on, so
    /// this bounds the requests in flight too.
    pub queue: usize,
    /// How often the refusals of strangers are summed up in a line.
    pub window: Duration,
    /// How many sources are told apart within a window.
    pub sources: usize,
}

impl Settings {
    /// The defaults, for a log in `directory`: 256 MiB a file, 64 MiB of reserve, 2 s of deadline.
    #[must_use]
    pub fn in_directory(directory: PathBuf) -> Self {
        Self {
            directory,
            rotate_bytes: 256 << 20,
            reserve_bytes: 64 << 20,
            deadline: Duration::from_secs(2),
            queue: 16_384,
            window: Duration::from_secs(10),
            sources: 1024,
        }
    }
}
