//! `symbolon plugin ls`: backends, targets and components, each with its state.

use super::super::SocketArgs;
use super::super::failure::Failure;
use super::super::output::{self, Form};

/// What a person looks for first; `--output json` has the rest in its own order.
const COLUMNS: [&str; 15] = [
    "backend",
    "target",
    "state",
    "plugin",
    "name",
    "version",
    "digest",
    "activated",
    "previous",
    "breaker",
    "calls",
    "faults",
    "missing_grants",
    "reason",
    "file",
];

pub(super) async fn run(args: &SocketArgs, form: Form) -> Result<(), Failure> {
    output::value(&args.get("/v1/plugins").await?, form, &COLUMNS)
}
