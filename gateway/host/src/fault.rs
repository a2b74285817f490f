//! What goes wrong with a call.
//!
//! The text of a [`Fault`] is the plugin's: cut, escaped, for the operator's log. It is not part of
//! any `Display`, so that no chain of errors carries it to a client by accident.

use std::time::Duration;

use symbolon_core::error::Kind;

use crate::answer::Metadata;
use crate::bindings::types::ErrorKind;
use crate::call::Operation;

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The plugin does not export the interface.
    #[error("the plugin cannot {}", .0.as_str())]
    Unsupported(Operation),
    /// The plugin answered with an error.
    #[error("the plugin answered: {} ({})", .0.kind.as_str(), .0.code)]
    Plugin(Box<Fault>),
    /// The plugin answered what it must not.
    #[error("the plugin's answer is refused")]
    Answer(#[from] AnswerFault),
    /// The plugin trapped.
    #[error("the plugin was stopped: {trap}")]
    Trap {
        /// Why.
        trap: Trap,
        /// Whether some upstream may have seen a request before.
        reached: bool,
    },
    /// There was no answer in time.
    #[error("the plugin did not answer in time")]
    Timeout {
        /// Whether some upstream may have seen a request before.
        reached: bool,
        /// Whether it had asked the host for something outside: a request, a statement. What it waited
        /// for may then be a credential, a connection, an answer.
        asked: bool,
    },
    /// As many calls as the backend may have are running and waiting.
    #[error("the backend has as many calls as it may have")]
    Busy,
    /// Calls come faster than the operator lets them; the next turn is this far away.
    #[error("the backend is called faster than it may be")]
    Paced(Duration),
    /// The backend asked to be left alone, for this long still.
    #[error("the backend asked for a pause, which lasts {0:?} still")]
    Paused(Duration),
    /// The breaker is open.
    #[error("the backend failed repeatedly and is left alone for {0:?}")]
    Open(Duration),
    /// The host could not make the instance, or its types do not fit.
    #[error("the component could not be called: {0}")]
    Host(String),
    /// The backend's credential is one of callers, and the gateway makes this call for itself.
    #[error("the backend's credential is one of callers, and nobody is behind the call")]
    NoCaller {
        /// Whether some upstream may have seen a request.
        reached: bool,
    },
    /// Whoever issues the backend's credentials refuses one to the caller, or it cannot be asked for.
    #[error("the caller does not get the backend's credential")]
    CallerRefused {
        /// Whether some upstream may have seen a request.
        reached: bool,
    },
    /// The backend refuses this to the caller, in whose name it was asked.
    #[error("the backend refuses this to the caller")]
    CallerForbidden(Box<Fault>),
}

/// Why a plugin was stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trap {
    /// It spent its CPU budget.
    #[error("its CPU time is spent")]
    Cpu,
    /// It wanted more memory than its budget.
    #[error("its memory is spent")]
    Memory,
    /// It wanted more elements of tables than it may have.
    #[error("its tables are spent")]
    Table,
    /// It recursed too deeply.
    #[error("its stack is spent")]
    Stack,
    /// It handed over more than may cross at once.
    #[error("it handed over too much at once")]
    Crossing,
    /// It held more handles than it may.
    #[error("it held too many handles")]
    Handles,
    /// It ended its process.
    #[error("it ended itself")]
    Exit,
    /// It trapped by itself: a panic, an access outside its memory, or the like.
    #[error("it trapped ({0})")]
    Other(String),
}

/// An error that a plugin answered with, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The coarse kind.
    pub kind: FaultKind,
    /// The plugin's own code, or `invalid_code`.
    pub code: String,
    /// For the operator's log only: cut and escaped.
    pub message: String,
    /// How long the backend asked to wait, at most an hour.
    pub retry_after: Option<Duration>,
    /// Whether a request that may have had an effect was sent: by what the host knows, or by what the
    /// plugin says.
    pub request_sent: bool,
    /// What the plugin alone says of it. Nothing is decided by this: it is for the conformance kit.
    pub said_sent: bool,
    /// What went wrong last on the way out, as the host's own client saw it: its code.
    pub egress: Option<&'static str>,
    /// The status that the backend answered with.
    pub upstream_status: Option<u16>,
    /// More, for the operator's log; empty if it broke the grammar.
    pub metadata: Metadata,
}

/// The coarse kinds of the contract, with the three ways of not being there told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The request makes no sense for this backend.
    InvalidRequest,
    /// The backend's configuration is wrong.
    InvalidConfig,
    /// The backend did not accept the gateway's credentials.
    Unauthenticated,
    /// The backend refuses this to the gateway.
    PermissionDenied,
    /// The thing is not there.
    Absent,
    /// The version was deleted and can be restored.
    Deleted,
    /// The version is gone for good.
    Destroyed,
    /// The state of the thing does not allow the operation.
    Conflict,
    /// The backend asks to slow down.
    RateLimited,
    /// The backend does not answer.
    Unavailable,
    /// The backend did not answer in time.
    Timeout,
    /// The backend cannot do this.
    Unsupported,
    /// A defect of the plugin, or nonsense of the backend.
    Internal,
    /// None of these.
    Other,
}

impl FaultKind {
    pub(crate) fn new(kind: ErrorKind, code: &str) -> Self {
        match kind {
            ErrorKind::InvalidRequest => Self::InvalidRequest,
            ErrorKind::InvalidConfig => Self::InvalidConfig,
            ErrorKind::Unauthenticated => Self::Unauthenticated,
            ErrorKind::PermissionDenied => Self::PermissionDenied,
            ErrorKind::NotFound => match code {
                "deleted" => Self::Deleted,
                "destroyed" => Self::Destroyed,
                _ => Self::Absent,
            },
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::RateLimited => Self::RateLimited,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Timeout => Self::Timeout,
            ErrorKind::Unsupported => Self::Unsupported,
            ErrorKind::Internal => Self::Internal,
            ErrorKind::Other => Self::Other,
        }
    }

    /// The audit code.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "plugin_invalid_request",
            Self::InvalidConfig => "plugin_invalid_config",
            Self::Unauthenticated => "plugin_unauthenticated",
            Self::PermissionDenied => "plugin_permission_denied",
            Self::Absent => "absent",
            Self::Deleted => "deleted",
            Self::Destroyed => "destroyed",
            Self::Conflict => "plugin_conflict",
            Self::RateLimited => "plugin_rate_limited",
            Self::Unavailable => "plugin_unavailable",
            Self::Timeout => "plugin_timeout",
            Self::Unsupported => "plugin_unsupported",
            Self::Internal => "plugin_internal",
            Self::Other => "plugin_other",
        }
    }

    const fn kind(self) -> Kind {
        match self {
            Self::InvalidRequest => Kind::Malformed,
            Self::Absent | Self::Deleted | Self::Destroyed => Kind::Absent,
            Self::Conflict => Kind::Conflict,
            // A limit is reached, if not one of ours: the caller can do the same about it.
            Self::RateLimited => Kind::Exhausted,
            Self::Unavailable | Self::Timeout => Kind::Unavailable,
            Self::Unsupported => Kind::NoRoute,
            Self::Internal => Kind::Internal,
            // Of `other` nothing is known but that the backend's answer is of no use.
            Self::InvalidConfig | Self::Unauthenticated | Self::PermissionDenied | Self::Other => {
                Kind::Provider
            }
        }
    }
}

/// Which rule an answer breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFault {
    /// Another path than the one asked for.
    #[error("another path than the one asked for")]
    Path,
    /// Another version than the one asked for, or one outside the grammar.
    #[error("another version than the one asked for, or no version at all")]
    Version,
    /// Larger than allowed.
    #[error("larger than allowed")]
    Size,
    /// A field name that is empty, too long, malformed or there twice.
    #[error("a field name is malformed or there twice")]
    FieldName,
    /// A content type outside the grammar of RFC 9110.
    #[error("a content type that is none")]
    ContentType,
    /// Metadata outside the contract's grammar.
    #[error("metadata that breaks the grammar")]
    Metadata,
    /// An end of validity that cannot be.
    #[error("an end of validity that cannot be, or is later than asked")]
    Expiry,
    /// Not as many answers as questions.
    #[error("not as many answers as questions")]
    Count,
    /// Too many names, a name twice, or a cursor too long.
    #[error("a listing with too many names, a name twice, or a malformed cursor")]
    Listing,
    /// Another reservation than the one asked with.
    #[error("another reservation than the one asked with")]
    Reservation,
    /// A handle that is too long.
    #[error("a handle that is too long")]
    Handle,
    /// A kind of token that is unknown, or whose fields are not those of the kind.
    #[error("a token of an unknown kind, or without the fields of its kind")]
    Token,
}

impl AnswerFault {
    /// The audit code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Path => "answer_path",
            Self::Version => "answer_version",
            Self::Size => "answer_size",
            Self::FieldName => "answer_field_name",
            Self::ContentType => "answer_content_type",
            Self::Metadata => "answer_metadata",
            Self::Expiry => "answer_expiry",
            Self::Count => "answer_count",
            Self::Listing => "answer_listing",
            Self::Reservation => "answer_reservation",
            Self::Handle => "answer_handle",
            Self::Token => "answer_token",
        }
    }
}

impl Trap {
    const fn code(&self) -> &'static str {
        match self {
            Self::Cpu => "trap_cpu",
            Self::Memory => "trap_memory",
            Self::Table => "trap_table",
            Self::Stack => "trap_stack",
            Self::Crossing => "trap_crossing",
            Self::Handles => "trap_handles",
            Self::Exit => "trap_exit",
            Self::Other(_) => "trap",
        }
    }
}

impl CallError {
    /// What the caller is told.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unsupported(_) => Kind::NoRoute,
            Self::Plugin(fault) => fault.kind.kind(),
            Self::Answer(_) => Kind::Provider,
            Self::Trap { .. } | Self::Host(_) => Kind::Internal,
            Self::Timeout { .. } | Self::Open(_) => Kind::Unavailable,
            Self::Busy | Self::Paced(_) | Self::Paused(_) => Kind::Exhausted,
            Self::NoCaller { .. } | Self::CallerRefused { .. } | Self::CallerForbidden(_) => {
                Kind::Denied
            }
        }
    }

    /// The audit code. The plugin's own code is in [`CallError::fault`].
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsupported(_) => "plugin_lacks_interface",
            Self::Plugin(fault) => fault.kind.as_str(),
            Self::Answer(fault) => fault.code(),
            Self::Trap { trap, .. } => trap.code(),
            Self::Timeout { .. } => "plugin_deadline",
            Self::Busy => "backend_busy",
            Self::Paced(_) => "backend_rate",
            Self::Paused(_) => "backend_paused",
            Self::Open(_) => "backend_breaker_open",
            Self::Host(_) => "component_uncallable",
            Self::NoCaller { .. } => "no_caller",
            Self::CallerRefused { .. } => "caller_refused",
            Self::CallerForbidden(_) => "caller_forbidden",
        }
    }

    /// The plugin's own error, for the operator.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Plugin(fault) | Self::CallerForbidden(fault) => Some(fault),
            Self::NoCaller { .. }
            | Self::CallerRefused { .. }
            | Self::Unsupported(_)
            | Self::Answer(_)
            | Self::Trap { .. }
            | Self::Timeout { .. }
            | Self::Busy
            | Self::Paced(_)
            | Self::Paused(_)
            | Self::Open(_)
            | Self::Host(_) => None,
        }
    }

    /// What the host's own client last failed at or refused, if the plugin answered with an error: the
    /// plugin's kind of error is its own word, this is not.
    #[must_use]
    pub fn egress(&self) -> Option<&'static str> {
        self.fault().and_then(|fault| fault.egress)
    }

    /// Whether something may have happened at the backend: known from the host's own client, and
    /// from the plugin where it says more. An answer that is refused came from somewhere.
    #[must_use]
    pub fn may_have_acted(&self) -> bool {
        match self {
            Self::Unsupported(_)
            | Self::Busy
            | Self::Paced(_)
            | Self::Paused(_)
            | Self::Open(_)
            | Self::Host(_) => false,
            Self::Plugin(fault) | Self::CallerForbidden(fault) => fault.request_sent,
            Self::Trap { reached, .. }
            | Self::Timeout { reached, .. }
            | Self::NoCaller { reached }
            | Self::CallerRefused { reached } => *reached,
            Self::Answer(_) => true,
        }
    }
}
