//! What goes wrong between the host and a database.
//!
//! Two voices: what a plugin sees (kind, code, constant text) and what the operator's log sees (the
//! whole chain, without anything that was sent). The server's own words may quote a statement, so
//! they are kept apart from both.

use std::borrow::Cow;
use std::time::Duration;

use symbolon_core::error::Kind;
use tokio_postgres::error::DbError;

use super::statement::StatementFault;
use crate::bindings::types::{self, ErrorKind};
use crate::egress::EgressError;

/// Why there is no answer of a database, or none that is taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SqlError {
    /// The backend has no database.
    #[error("the backend has no database")]
    NoDatabase,
    /// The statement is not sent.
    #[error("the statement is refused")]
    Statement(#[from] StatementFault),
    /// The call has sent as many statements as it may.
    #[error("the call has sent as many statements as it may")]
    Budget,
    /// Every connection is in use, and none became free in time.
    #[error("all connections to the database are in use")]
    Busy,
    /// The server could not be reached, or did not prove who it is.
    #[error("the database cannot be reached")]
    Unreachable(#[source] EgressError),
    /// The server answered with an error.
    #[error(transparent)]
    Answered(#[from] ServerError),
    /// The connection ended, or what came over it is not PostgreSQL's protocol.
    #[error("the connection to the database was lost")]
    Lost,
    /// There was no answer in time.
    #[error("the database did not answer in time")]
    Deadline,
    /// The answer is larger than allowed.
    #[error("the database's answer is larger than allowed")]
    TooLarge,
    /// A column of a type that has no value in the contract.
    #[error("a column has the type `{0}`: cast it to text")]
    Column(String),
    /// The server did not set what every connection needs.
    #[error("the database refuses the settings of a connection")]
    Settings,
    /// The host has no randomness, or the like.
    #[error("the host failed: {0}")]
    Host(&'static str),
}

/// An error that the server answered with: its SQLSTATE, and nothing of its words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the database answered: {} ({sqlstate})", self.condition())]
pub struct ServerError {
    sqlstate: String,
    /// The server's function that refused; of use where one SQLSTATE has several meanings.
    routine: String,
}

impl ServerError {
    pub(super) fn new(error: &DbError) -> Self {
        let plain =
            |text: &str| text.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
        Self {
            sqlstate: plain(error.code().code()),
            routine: plain(error.routine().unwrap_or_default()),
        }
    }

    /// The five characters of the SQL standard.
    #[must_use]
    pub fn sqlstate(&self) -> &str {
        &self.sqlstate
    }

    fn class(&self) -> &str {
        self.sqlstate.get(..2).unwrap_or_default()
    }

    /// Whether the login was refused for who it is.
    #[must_use]
    pub fn refuses_login(&self) -> bool {
        self.class() == "28"
    }

    /// Whether the login is proven not to work: a wrong password, an expired one, a role that may
    /// not log in, or none at all. A rule of `pg_hba.conf` has the same SQLSTATE as the latter two
    /// and proves nothing, since it may let the login in from elsewhere.
    #[must_use]
    pub fn proves_dead_login(&self) -> bool {
        match self.sqlstate.as_str() {
            "28P01" => true,
            "28000" => self.routine == "InitializeSessionUserId",
            _ => false,
        }
    }

    /// Whether the server took the login and stopped it later, for where it wanted to go: the
    /// database is not there, lets nobody in or not this user, or has too many connections. All of
    /// that is looked at after the password (`InitPostgres`).
    pub(super) fn follows_login(&self) -> bool {
        match self.sqlstate.as_str() {
            "3D000" | "42501" | "55000" => true,
            "53300" => matches!(
                self.routine.as_str(),
                "InitializeSessionUserId" | "CheckMyDatabase" | "InitPostgres"
            ),
            _ => false,
        }
    }

    /// Whether the server did nothing of the statement that it answered with this: not where it
    /// was going down, or does not know itself.
    pub(super) fn is_definite(&self) -> bool {
        !matches!(self.class(), "08" | "57" | "58" | "XX") || self.sqlstate == "57014"
    }

    /// PostgreSQL's name of the condition.
    #[must_use]
    pub fn condition(&self) -> &'static str {
        CONDITIONS
            .iter()
            .find(|(state, _)| *state == self.sqlstate)
            .map_or("an error", |(_, condition)| condition)
    }

    fn fault_kind(&self) -> ErrorKind {
        match self.sqlstate.as_str() {
            "42501" => ErrorKind::PermissionDenied,
            "42704" | "3F000" => ErrorKind::NotFound,
            "42710" | "42P04" | "42P06" | "2BP01" | "55006" | "55P03" | "0LP01" => {
                ErrorKind::Conflict
            }
            "57014" => ErrorKind::Timeout,
            "25006" => ErrorKind::Unavailable,
            _ => match self.class() {
                "28" => ErrorKind::Unauthenticated,
                "08" | "53" | "57" | "58" => ErrorKind::Unavailable,
                "23" | "40" => ErrorKind::Conflict,
                "0A" => ErrorKind::Unsupported,
                "42" | "3D" | "22" => ErrorKind::InvalidConfig,
                _ => ErrorKind::Other,
            },
        }
    }

    /// Whether the same statements may succeed when repeated at once.
    fn passes_by_itself(&self) -> bool {
        matches!(self.sqlstate.as_str(), "40001" | "40P01" | "55P03" | "53300")
    }
}

/// What operators read, by SQLSTATE: what a gateway's statements can meet.
const CONDITIONS: &[(&str, &str)] = &[
    ("08000", "connection_exception"),
    ("08003", "connection_does_not_exist"),
    ("08006", "connection_failure"),
    ("08P01", "protocol_violation"),
    ("0A000", "feature_not_supported"),
    ("0LP01", "invalid_grant_operation"),
    ("22007", "invalid_datetime_format"),
    ("22023", "invalid_parameter_value"),
    ("22P02", "invalid_text_representation"),
    ("23503", "foreign_key_violation"),
    ("23505", "unique_violation"),
    ("25001", "active_sql_transaction"),
    ("25006", "read_only_sql_transaction"),
    ("25P02", "in_failed_sql_transaction"),
    ("28000", "invalid_authorization_specification"),
    ("28P01", "invalid_password"),
    ("2BP01", "dependent_objects_still_exist"),
    ("3D000", "invalid_catalog_name"),
    ("3F000", "invalid_schema_name"),
    ("40001", "serialization_failure"),
    ("40P01", "deadlock_detected"),
    ("42501", "insufficient_privilege"),
    ("42601", "syntax_error"),
    ("42703", "undefined_column"),
    ("42704", "undefined_object"),
    ("42710", "duplicate_object"),
    ("42883", "undefined_function"),
    ("42939", "reserved_name"),
    ("42P01", "undefined_table"),
    ("42P04", "duplicate_database"),
    ("42P06", "duplicate_schema"),
    ("42P18", "indeterminate_datatype"),
    ("53100", "disk_full"),
    ("53200", "out_of_memory"),
    ("53300", "too_many_connections"),
    ("55006", "object_in_use"),
    ("55P03", "lock_not_available"),
    ("57014", "query_canceled"),
    ("57P01", "admin_shutdown"),
    ("57P02", "crash_shutdown"),
    ("57P03", "cannot_connect_now"),
    ("58030", "io_error"),
    ("XX000", "internal_error"),
];

impl SqlError {
    /// What a caller is told.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoDatabase | Self::Column(_) | Self::TooLarge | Self::Settings => Kind::Provider,
            Self::Statement(_) | Self::Budget | Self::Host(_) => Kind::Internal,
            Self::Busy => Kind::Exhausted,
            Self::Unreachable(error) => error.kind(),
            Self::Answered(error) if error.passes_by_itself() => Kind::Unavailable,
            Self::Answered(_) => Kind::Provider,
            Self::Lost | Self::Deadline => Kind::Unavailable,
        }
    }

    /// The name in audit records, metrics and logs, and the code that a plugin sees.
    #[must_use]
    pub fn code(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::NoDatabase => "no_database",
            Self::Statement(fault) => fault.code(),
            Self::Budget => "sql_budget",
            Self::Busy => "sql_connection_limit",
            Self::Unreachable(error) => error.code(),
            Self::Answered(error) => {
                return Cow::Owned(format!("sqlstate_{}", error.sqlstate.to_ascii_lowercase()));
            }
            Self::Lost => "sql_connection_lost",
            Self::Deadline => "sql_deadline",
            Self::TooLarge => "sql_answer_too_large",
            Self::Column(_) => "sql_column_type",
            Self::Settings => "sql_settings",
            Self::Host(_) => "sql_host",
        })
    }

    fn fault_kind(&self) -> ErrorKind {
        match self {
            Self::NoDatabase => ErrorKind::PermissionDenied,
            Self::Statement(_) => ErrorKind::InvalidRequest,
            Self::Budget | Self::Busy => ErrorKind::RateLimited,
            Self::Unreachable(error) if error.kind() == Kind::Unavailable => ErrorKind::Unavailable,
            Self::Unreachable(_) => ErrorKind::InvalidConfig,
            Self::Answered(error) => error.fault_kind(),
            Self::Lost => ErrorKind::Unavailable,
            Self::Deadline => ErrorKind::Timeout,
            Self::Column(_) | Self::TooLarge => ErrorKind::Unsupported,
            Self::Settings => ErrorKind::InvalidConfig,
            Self::Host(_) => ErrorKind::Internal,
        }
    }

    /// Whether another try a little later may find the server in a better state.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Busy | Self::Lost | Self::Deadline => true,
            Self::Unreachable(error) => error.kind() == Kind::Unavailable,
            Self::Answered(error) => !error.is_definite() || error.class() == "53",
            Self::NoDatabase
            | Self::Statement(_)
            | Self::Budget
            | Self::TooLarge
            | Self::Column(_)
            | Self::Settings
            | Self::Host(_) => false,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        let passes = match self {
            Self::Busy => true,
            Self::Answered(error) => error.passes_by_itself(),
            Self::NoDatabase
            | Self::Statement(_)
            | Self::Budget
            | Self::Unreachable(_)
            | Self::Lost
            | Self::Deadline
            | Self::TooLarge
            | Self::Column(_)
            | Self::Settings
            | Self::Host(_) => false,
        };
        passes.then_some(Duration::from_millis(50))
    }
}

/// An error, and whether something may have been done.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) error: SqlError,
    pub(crate) sent: bool,
}

impl<E: Into<SqlError>> From<E> for Failure {
    /// Before anything was sent.
    fn from(error: E) -> Self {
        Self { error: error.into(), sent: false }
    }
}

impl Failure {
    /// As the plugin sees it: nothing in it but what this host wrote.
    pub(crate) fn into_fault(self) -> types::Error {
        let Self { error, sent } = self;
        let millis = |wait: Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        types::Error {
            kind: error.fault_kind(),
            code: error.code().into_owned(),
            message: match std::error::Error::source(&error) {
                Some(cause) => format!("{error}: {cause}"),
                None => error.to_string(),
            },
            retry_after_ms: error.retry_after().map(millis),
            request_sent: sent,
            upstream_status: None,
            metadata: Vec::new(),
        }
    }
}
