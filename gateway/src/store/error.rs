//! What can go wrong with the store, in two voices: an operator who starts the gateway is told what
//! to do; a station of the line is told what it may conclude.

use std::path::PathBuf;
use std::sync::Arc;

use symbolon_core::error::Kind;

use super::Key;

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "the store in `{}` is in use by another process: stop it, or give this one a directory of its own",
        path.display()
    )]
    Locked {
        /// The store's directory.
        path: PathBuf,
    },
    /// Its files are damaged.
    #[error(
        "the store in `{}` is damaged ({cause}): keep the directory for analysis, restore a backup in its place and start again",
        path.display()
    )]
    Corrupt {
        /// The store's directory.
        path: PathBuf,
        /// What was found.
        cause: String,
    },
    /// It was written by a later version.
    #[error(
        "the store in `{}` has format {found}, this version knows formats up to {supported}: run the version that wrote it, or a later one",
        path.display()
    )]
    Newer {
        /// The store's directory.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format known here.
        supported: u32,
    },
    /// It is a sled database, but not one of ours.
    #[error(
        "`{}` holds data that is not a store of this program ({detail}): name an empty directory",
        path.display()
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// What does not fit.
        detail: String,
    },
    /// No step leads from its format to ours.
    #[error(
        "the store in `{}` has format {found} and no upgrade begins there: open it once with the version in between",
        path.display()
    )]
    NoUpgrade {
        /// The store's directory.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The file system refuses.
    #[error("cannot open the store in `{}`: check that the directory is there, is writable and has space", path.display())]
    Io {
        /// The store's directory.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}

/// Why an operation did not happen, or may not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// An expectation does not hold. Nothing was written.
    #[error("`{0}` is not as expected")]
    Conflict(Key),
    /// A key, value or transaction beyond the limits. Nothing was written.
    #[error("the {0} is larger than the store takes")]
    TooLarge(&'static str),
    /// A transaction over ledger and sealed tree. Nothing was written.
    #[error("one transaction touches both the ledger and the sealed tree")]
    TwoTrees,
    /// Not durable within the deadline. It may still become so.
    #[error("not durable within the deadline")]
    Deadline,
    /// A write or flush failed earlier; nothing is accepted until the store is opened again.
    #[error("the store failed and is closed until the next start: {0}")]
    Poisoned(Arc<str>),
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
    /// A record is not what its namespace says.
    #[error("a record cannot be {doing}: {cause}")]
    Record {
        /// `read` or `written`.
        doing: &'static str,
        /// What does not fit; never a value.
        cause: String,
    },
}

impl StoreError {
    /// What the caller of the gateway is told.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Conflict(_) => Kind::Conflict,
            Self::Deadline | Self::Poisoned(_) | Self::Closed => Kind::Unavailable,
            Self::TooLarge(_) | Self::TwoTrees | Self::Record { .. } => Kind::Internal,
        }
    }

    /// The stable code in audit records.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Conflict(_) => "store_conflict",
            Self::TooLarge(_) => "store_too_large",
            Self::TwoTrees => "store_two_trees",
            Self::Deadline => "store_deadline",
            Self::Poisoned(_) => "store_poisoned",
            Self::Closed => "store_closed",
            Self::Record { .. } => "store_record",
        }
    }

    /// Whether the transaction may nevertheless have taken effect, or still take it.
    #[must_use]
    pub const fn leaves_doubt(&self) -> bool {
        match self {
            Self::Deadline | Self::Poisoned(_) | Self::Closed => true,
            Self::Conflict(_) | Self::TooLarge(_) | Self::TwoTrees | Self::Record { .. } => false,
        }
    }
}
