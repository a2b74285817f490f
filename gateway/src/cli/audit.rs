//! `symbolon audit`: whether the log is whole, and how to find a value in it.

use std::io::{BufRead, IsTerminal, Read};
use std::path::PathBuf;
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use symbolon_client::Admin;
use symbolon_core::audit::{Anchor, Report, Verdict};

use super::SocketArgs;
use super::failure::Failure;
use super::output::{self, Form};
use crate::app::offline::audit_anchor;
use crate::audit::{files_in_order, verify_files};
use crate::time::SystemClock;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Find any line that was removed, changed or moved
    ///
    /// Give the files of one log in the order in which they were written, or its directory. With
    /// --config or --socket the chain head that the store remembers is compared too, so that a cut
    /// tail is seen: --socket asks the running gateway, --config opens the store of a stopped one.
    #[command(after_help = "Examples:
  symbolon audit verify /var/log/symbolon
  symbolon audit verify --socket /run/symbolon/admin.sock /var/log/symbolon
  symbolon audit verify --config symbolon.toml /var/log/symbolon     (while it is stopped)
  symbolon audit verify audit-1.jsonl audit-2.jsonl")]
    Verify {
        /// The configuration of the store that remembers the chain's head
        #[arg(long, short, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The admin socket of the running gateway
        #[arg(long, value_name = "PATH", conflicts_with = "config")]
        socket: Option<PathBuf>,
        /// Files in order, or one directory
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// The keyed hashes of a value, as the log writes them, to search for it
    ///
    /// One line for each key that is kept, the newest first: a record has the hash under the key of
    /// its time. A value on the command line is seen by everybody who can list processes, and stays
    /// in the shell's history: leave it out to be asked for it, or pass it on standard input.
    #[command(after_help = "Examples:
  symbolon audit hash < value
  symbolon audit hash < value | grep -h -F -f - /var/log/symbolon/audit*.jsonl
  symbolon audit hash --output json < value
  symbolon audit hash public-name               (seen by everybody who can list processes)")]
    Hash {
        /// The value; left out, or `-`, it is read from standard input
        #[arg(default_value = "-", hide_default_value = true)]
        value: String,
        #[command(flatten)]
        gateway: SocketArgs,
    },
}

pub(super) async fn run(command: Command, form: Form) -> Result<(), Failure> {
    match command {
        Command::Verify { config, socket, files } => {
            let anchor = Box::pin(anchor(config, socket)).await?;
            verify(anchor, files, form)
        }
        Command::Hash { value, gateway } => hash(value, &gateway, form).await,
    }
}

/// The head that the store remembers, if one was asked for. It is read before the files: what is
/// written afterwards only follows it.
async fn anchor(
    config: Option<PathBuf>,
    socket: Option<PathBuf>,
) -> Result<Option<Anchor>, Failure> {
    if let Some(socket) = socket {
        let answer = Admin::at(socket).call(Method::GET, "/v1/audit/anchor", None).await?;
        let text = answer.get("anchor").and_then(Value::as_str);
        let parsed = |text| hex::decode(text).ok().and_then(|bytes| Anchor::from_bytes(&bytes));
        let unusable = || Failure::new("the gateway's anchor is not one; is it another version?");
        return text.map(|text| parsed(text).ok_or_else(unusable)).transpose();
    }
    match config {
        Some(file) => {
            let config = crate::config::Config::load(&file)?;
            Ok(audit_anchor(&config, Arc::new(SystemClock::start())).await?)
        }
        None => Ok(None),
    }
}

fn verify(anchor: Option<Anchor>, files: Vec<PathBuf>, form: Form) -> Result<(), Failure> {
    let unreadable = |error: std::io::Error| Failure::new(format!("cannot read the log: {error}"));
    let files = match files.as_slice() {
        [directory] if directory.is_dir() => files_in_order(directory).map_err(unreadable)?,
        _ => files,
    };
    let report = verify_files(&files, anchor).map_err(unreadable)?;
    show(&report, form)?;
    match report.verdict() {
        Verdict::Intact | Verdict::Torn => Ok(()),
        Verdict::Tampered => Err(Failure::new("the log is not as it was written")),
    }
}

fn show(report: &Report, form: Form) -> Result<(), Failure> {
    match form {
        Form::Table => output::line(&report.to_string()),
        Form::Json => output::value(&json(report), form, &[]),
    }
}

fn json(report: &Report) -> Value {
    let verdict = match report.verdict() {
        Verdict::Intact => "intact",
        Verdict::Torn => "torn",
        Verdict::Tampered => "tampered",
    };
    let finding = |finding: &symbolon_core::audit::Finding| json!({ "code": finding.code(), "text": finding.to_string() });
    json!({
        "verdict": verdict,
        "files": report.files,
        "lines": report.lines,
        "first_seq": report.first_seq,
        "anchored": report.anchored,
        "unanchored_lines": report.unanchored.map(|unanchored| unanchored.lines),
        "unanchored_groups": report.unanchored.map(|unanchored| unanchored.groups),
        "torn_bytes": report.torn.map(|torn| torn.bytes),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "further": report.further,
    })
}

async fn hash(value: String, gateway: &SocketArgs, form: Form) -> Result<(), Failure> {
    let value = if value == "-" { from_input()? } else { value };
    let answer = gateway.post("/v1/audit:hash", &json!({ "value": value })).await?;
    match (form, answer.get("hashes").and_then(Value::as_array)) {
        (Form::Table, Some(hashes)) => hashes
            .iter()
            .filter_map(|under| under.get("hash").and_then(Value::as_str))
            .try_for_each(output::line),
        (Form::Table | Form::Json, _) => output::value(&answer, form, &[]),
    }
}

/// Most bytes of a value: what fits into the body of an admin call, whatever has to be escaped in it.
const MAX_VALUE_BYTES: u64 = 32 << 10;

/// A line that is typed, or everything that is passed; one line break at its end is not part of it.
fn from_input() -> Result<String, Failure> {
    let input = std::io::stdin();
    let typed = input.is_terminal();
    if typed {
        output::note("the value, ended with Enter (it is shown as you type):");
    }
    value_of(input.lock(), typed)
}

fn value_of(input: impl BufRead, typed: bool) -> Result<String, Failure> {
    let mut value = String::new();
    let mut input = input.take(MAX_VALUE_BYTES + 2);
    let read = if typed { input.read_line(&mut value) } else { input.read_to_string(&mut value) };
    read.map_err(|error| Failure::new(format!("cannot read the value: {error}")))?;
    if value.ends_with('\n') {
        value.pop();
    }
    let fits = u64::try_from(value.len()).is_ok_and(|length| length <= MAX_VALUE_BYTES);
    match (fits, value.is_empty()) {
        (true, false) => Ok(value),
        (true, true) => Err(Failure::new("the value is empty")),
        (false, _) => Err(Failure::new("the value is larger than 32 KiB")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_what_is_passed_without_its_last_line_break() {
        let value = |text: &str, typed| value_of(text.as_bytes(), typed).map_err(|e| e.to_string());
        assert_eq!(value("a b\n", false), Ok("a b".to_owned()));
        assert_eq!(value("a\nb\n\n", false), Ok("a\nb\n".to_owned()));
        assert_eq!(value("a\nb\n", true), Ok("a".to_owned()));
        assert_eq!(value("\n", false), Err("error: the value is empty".to_owned()));
        assert!(value(&"x".repeat(32 << 10), false).is_ok());
        assert!(value(&"x".repeat((32 << 10) + 1), false).is_err());
    }
}
