//! `symbolon audit`: whether the log is whole, and how to find a value in it.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use symbolon_core::audit::{Report, Verdict};

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
    /// --config the chain head that the store remembers is compared too, so that a cut tail is seen;
    /// the gateway must not be running with that store.
    #[command(after_help = "Examples:
  symbolon audit verify /var/log/symbolon
  symbolon audit verify --config symbolon.toml /var/log/symbolon
  symbolon audit verify audit-1.jsonl audit-2.jsonl")]
    Verify {
        /// The configuration of the store that remembers the chain's head
        #[arg(long, short, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Files in order, or one directory
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// The keyed hash of a value, as the log writes it, to search for it
    #[command(after_help = "Examples:
  symbolon audit hash alice@example.com
  symbolon audit hash - < value                 (keeps the value out of the process list)")]
    Hash {
        /// The value; `-` reads it from standard input
        value: String,
        #[command(flatten)]
        gateway: SocketArgs,
    },
}

pub(super) async fn run(command: Command, form: Form) -> Result<(), Failure> {
    match command {
        Command::Verify { config, files } => Box::pin(verify(config, files, form)).await,
        Command::Hash { value, gateway } => hash(value, &gateway, form).await,
    }
}

async fn verify(config: Option<PathBuf>, files: Vec<PathBuf>, form: Form) -> Result<(), Failure> {
    // The anchor first: what is written afterwards only follows it.
    let anchor = match config {
        Some(file) => {
            let config = crate::config::Config::load(&file)?;
            let clock = Arc::new(SystemClock::start());
            audit_anchor(&config, clock).await?
        }
        None => None,
    };
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
    match (form, answer.get("hash").and_then(Value::as_str)) {
        (Form::Table, Some(hash)) => output::line(hash),
        (Form::Table | Form::Json, _) => output::value(&answer, form, &[]),
    }
}

fn from_input() -> Result<String, Failure> {
    let mut value = String::new();
    let read = std::io::stdin().lock().take(1 << 20).read_to_string(&mut value);
    read.map_err(|error| Failure::new(format!("cannot read the value: {error}")))?;
    Ok(value.strip_suffix('\n').map_or_else(|| value.clone(), str::to_owned))
}
