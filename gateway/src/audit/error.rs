//! Why the journal refuses.

use std::io;
use std::path::PathBuf;

use symbolon_core::error::Kind;

/// Nothing was recorded, or not in time: the request must not be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The disk has no room but the reserve.
    #[error("the audit disk is full")]
    Full,
    /// The last write failed; a probe has to succeed first.
    #[error("the audit log cannot be written")]
    Failing,
    /// The chain's head could not be committed to the store.
    #[error("the audit chain cannot be anchored")]
    Unanchored,
    /// The sink did not finish within the deadline.
    #[error("the audit log was not written within its deadline")]
    Late,
    /// Too many lines wait.
    #[error("the audit queue is full")]
    Busy,
    /// The record does not fit a line.
    #[error("the audit record is too long")]
    TooLong,
    /// The journal was closed.
    #[error("the audit log is closed")]
    Closed,
}

impl JournalError {
    /// What the caller is told.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Full | Self::Failing | Self::Unanchored | Self::Late => Kind::Unavailable,
            Self::Busy | Self::Closed => Kind::Unavailable,
            Self::TooLong => Kind::Internal,
        }
    }

    /// The stable code, for the log and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Full => "audit_disk_full",
            Self::Failing => "audit_write_failed",
            Self::Unanchored => "audit_anchor_failed",
            Self::Late => "audit_late",
            Self::Busy => "audit_queue_full",
            Self::TooLong => "audit_record_too_long",
            Self::Closed => "audit_closed",
        }
    }

    /// What a failed write means.
    pub(super) fn of(error: &io::Error) -> Self {
        if is_full(error) { Self::Full } else { Self::Failing }
    }
}

/// `ENOSPC`, or the quota's and the file system's way of saying the same.
pub(super) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(error.kind(), K::StorageFull | K::QuotaExceeded | K::FileTooLarge)
}

/// The journal did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file or directory refused.
    #[error("cannot {what} {path}")]
    File {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process writes this log.
    #[error("{path} is in use by another process")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The end of the log holds no line at all to go on from.
    #[error("{path} does not end like an audit log; move it away, and keep it for verification")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The journal needs a runtime for its deadlines.
    #[error("the journal must be started within a tokio runtime")]
    NoRuntime,
    /// The first line could not be written.
    #[error("the first line could not be written")]
    FirstLine(#[source] JournalError),
    /// The writer's thread did not start.
    #[error("the journal's thread did not start")]
    Thread(#[source] io::Error),
}

impl StartError {
    /// For `map_err` on a file operation.
    pub(super) fn file(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }
}
