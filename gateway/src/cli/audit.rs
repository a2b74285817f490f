//! `symbolon audit`: whether the log is whole, and how to find a value in it.

use std::io::Read;
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
