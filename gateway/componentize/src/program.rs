//! Running programs to their end. Nothing here goes through a shell, so that no path needs quoting.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Error;

/// How often a program with a time limit is looked at.
pub const GLANCE: Duration = Duration::from_millis(100);

fn named(command: &Command) -> String {
    format!("{command:?}")
}

/// Runs to the end and expects success.
///
/// # Errors
/// [`Error::Start`], [`Error::Ended`].
pub fn expect(name: &str, command: &mut Command) -> Result<(), Error> {
    let status =
        command.status().map_err(|source| Error::Start { program: named(command), source })?;
    if status.success() { Ok(()) } else { Err(Error::Ended { program: name.to_owned(), status }) }
}

/// Runs to the end and answers what was printed, without the blanks around it.
///
/// # Errors
/// [`Error::Start`], [`Error::Ended`], [`Error::NoText`].
pub fn output(command: &mut Command) -> Result<String, Error> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| Error::Start { program: named(command), source })?;
    if !output.status.success() {
        return Err(Error::Ended { program: named(command), status: output.status });
    }
    let text = String::from_utf8(output.stdout).map_err(|_| Error::NoText(named(command)))?;
    Ok(text.trim().to_owned())
}

/// Runs for at most `limit`, silently; answers whether it succeeded within.
#[expect(clippy::disallowed_methods, reason = "another program is waited for, in real time")]
pub fn within(limit: Duration, command: &mut Command) -> bool {
    let Ok(mut child) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
        return false;
    };
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => sleep(GLANCE),
            Err(_) => break,
        }
    }
    let _ended = child.kill().and_then(|()| child.wait());
    false
}
