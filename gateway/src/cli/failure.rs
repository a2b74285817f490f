//! How a command fails: what happened, what to do next, and the exit code.

use symbolon_client::{ClientError, IdentityError};

use crate::app::StartError;
use crate::config::Faults;

/// A command did not do what was asked.
const FAILED: u8 = 1;
/// The configuration has faults: a number of its own, so that scripts can tell.
const CONFIGURATION: u8 = 64;

/// A command's failure.
#[derive(Debug)]
pub(super) struct Failure {
    message: String,
    help: Option<String>,
    pub(super) code: u8,
}

impl Failure {
    /// A failure in words.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, code: FAILED }
    }

    /// A failure with all of its causes.
    pub(super) fn of(error: &dyn std::error::Error) -> Self {
        let causes = std::iter::successors(error.source(), |error| error.source());
        Self::new(causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")))
    }

    /// The same, with what to do next.
    pub(super) fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The same, as a fault of the configuration.
    pub(super) fn of_configuration(self) -> Self {
        Self { code: CONFIGURATION, ..self }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.help {
            Some(help) => write!(f, "\nhelp: {help}"),
            None => Ok(()),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let failure = Self::of(&error);
        match error.help() {
            Some(help) => failure.with_help(help),
            None => failure,
        }
    }
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        Self::of(&error)
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        let count = faults.count();
        let noun = if count == 1 { "fault" } else { "faults" };
        Self::new(format!("the configuration has {count} {noun}\n{faults}")).of_configuration()
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let StartError::Config(faults) = &error else { return Self::of(&error) };
        faults.clone().into()
    }
}
