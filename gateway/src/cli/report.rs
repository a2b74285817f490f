//! `symbolon report`: what the gateway remembers, weighed.

use std::time::Duration;

use serde_json::{Value, json};

use super::SocketArgs;
use super::failure::Failure;
use super::output::{self, Form};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// How long revocation took, by backend and trigger, and how late leases ended
    ///
    /// What is not ended yet counts with its age: `> 60 s` says that it takes longer than that, and
    /// that more cannot be said. What cannot be revoked is shown with the longest life that was left.
    /// `verified` counts ends after which the backend was asked again, `probed` is the share of them
    /// after which the credential itself was tried and refused.
    /// Leases that are over are remembered for a day.
    #[command(after_help = "Examples:
  symbolon report revocation
  symbolon report revocation --since 1h
  symbolon report revocation --output json")]
    Revocation {
        /// Of those whose end began within this time
        #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = humantime::parse_duration)]
        since: Duration,
        #[command(flatten)]
        gateway: SocketArgs,
    },
}

pub(super) async fn run(command: Command, form: Form) -> Result<(), Failure> {
    let Command::Revocation { since, gateway } = command;
    let report = gateway.get(&format!("/v1/leases:report?since={}", since.as_secs())).await?;
    match form {
        Form::Json => output::value(&report, form, &[]),
        Form::Table => output::value(&for_eyes(&report), form, &COLUMNS),
    }
}

const COLUMNS: [&str; 15] = [
    "backend",
    "trigger",
    "ended",
    "unfinished",
    "verified",
    "probed",
    "forced",
    "p50",
    "p95",
    "p99",
    "max",
    "late_p99",
    "late_max",
    "cannot_revoke",
    "shared",
];

fn for_eyes(report: &Value) -> Value {
    let mut shown = report.clone();
    let rows = report.get("revocations").and_then(Value::as_array);
    if let (Some(rows), Some(shown)) = (rows, shown.get_mut("revocations")) {
        *shown = rows.iter().map(row).collect();
    }
    shown
}

fn row(row: &Value) -> Value {
    let of = |part: &str, name: &str| row.get(part).and_then(|part| part.get(name));
    let number = |name| of("duration", name).cloned().unwrap_or(json!(0));
    let time = |part, name| of(part, name).map_or(Value::Null, |quantile| json!(seconds(quantile)));
    let residual = of("irrevocable", "longest_residual_seconds").and_then(Value::as_f64);
    let cannot = residual.map(|longest| {
        let number = of("irrevocable", "leases").and_then(Value::as_u64).unwrap_or_default();
        format!("{number}, up to {longest} s left")
    });
    json!({
        "backend": row["backend"],
        "trigger": row["trigger"],
        "ended": number("ended"),
        "unfinished": number("unfinished"),
        "verified": row["verified"],
        "probed": row.get("probed_share").and_then(Value::as_f64).map(percent),
        "forced": row["forced"],
        "p50": time("duration", "p50"),
        "p95": time("duration", "p95"),
        "p99": time("duration", "p99"),
        "max": time("duration", "max"),
        "late_p99": time("lateness", "p99"),
        "late_max": time("lateness", "max"),
        "cannot_revoke": cannot,
        "shared": row["shared"],
    })
}

/// Rounded down: what is not all is not shown as all.
fn percent(share: f64) -> String {
    format!("{} %", (share * 100.0).floor())
}

fn seconds(quantile: &Value) -> String {
    let seconds = quantile.get("seconds").and_then(Value::as_f64).unwrap_or_default();
    match quantile.get("or_longer").and_then(Value::as_bool) {
        Some(true) => format!("> {seconds} s"),
        Some(false) | None => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_and_irrevocable_ones_are_no_short_times() {
        let at = |seconds: f64, or_longer| json!({ "seconds": seconds, "or_longer": or_longer });
        let report = json!({ "revocations": [
            {
                "backend": "db", "trigger": "expired", "verified": 2, "forced": 0,
                "probed": 1, "probed_share": 0.9999,
                "duration": { "ended": 2, "unfinished": 1, "p50": at(1.5, false),
                    "p95": at(60.0, true), "p99": at(60.0, true), "max": at(60.0, true) },
                "lateness": { "p99": at(2.0, false), "max": at(2.0, false) },
                "irrevocable": null,
            },
            {
                "backend": "aws", "trigger": "owner", "verified": 0, "forced": 0,
                "duration": null, "lateness": null,
                "irrevocable": { "leases": 3, "longest_residual_seconds": 900.0 },
            },
        ] });
        let rows = for_eyes(&report);
        let (db, aws) = (&rows["revocations"][0], &rows["revocations"][1]);
        assert_eq!((&db["p50"], &db["p99"]), (&json!("1.5 s"), &json!("> 60 s")));
        assert_eq!((&db["late_max"], &db["cannot_revoke"]), (&json!("2 s"), &Value::Null));
        assert_eq!((&db["probed"], &aws["probed"]), (&json!("99 %"), &Value::Null));
        assert_eq!((&aws["p50"], &aws["max"]), (&Value::Null, &Value::Null));
        assert_eq!(aws["cannot_revoke"], json!("3, up to 900 s left"));
    }
}
