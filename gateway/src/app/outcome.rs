//! What became of a backend's or a target's component when the configuration was put in force.

use serde::Serialize;
use symbolon_core::id::BackendName;

use crate::catalog::Pointed;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took its first component.
    Started(Pointed),
    /// It goes on with the one that it had.
    Kept(Pointed),
    /// It took another.
    Swapped {
        /// The one that it had.
        from: Pointed,
        /// The one that it has.
        to: Pointed,
    },
    /// It was to take another, which failed, and goes on with the one that it had.
    RolledBack {
        /// The one that it has.
        kept: Pointed,
        /// What was wrong with the other.
        reason: String,
    },
    /// It has none.
    Degraded(String),
}

impl Outcome {
    pub(super) fn of(running: Option<Pointed>, to: Pointed) -> Self {
        match running {
            None => Self::Started(to),
            Some(running) if running == to => Self::Kept(to),
            Some(from) => Self::Swapped { from, to },
        }
    }

    /// Whether something is in force that was not before.
    #[must_use]
    pub const fn is_news(&self) -> bool {
        !matches!(self, Self::Kept(_) | Self::Started(_))
    }

    pub(super) fn log(&self, backend: &BackendName) {
        match self {
            Self::Started(_) | Self::Kept(_) => {}
            Self::Swapped { from, to } => {
                tracing::info!(%backend, %from, %to, "the component was swapped");
            }
            Self::RolledBack { kept, reason } => {
                tracing::error!(%backend, %kept, reason, "the component was not swapped");
            }
            Self::Degraded(reason) => {
                tracing::error!(%backend, reason, "the backend is degraded");
            }
        }
    }
}

/// `kept a`, `swapped a → b`, `rolled back: why`, `degraded: why`, `started a`.
impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Started(to) => write!(f, "started {to}"),
            Self::Kept(to) => write!(f, "kept {to}"),
            Self::Swapped { from, to } => write!(f, "swapped {from} → {to}"),
            Self::RolledBack { kept, reason } => write!(f, "rolled back: {reason}; kept {kept}"),
            Self::Degraded(reason) => write!(f, "degraded: {reason}"),
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
