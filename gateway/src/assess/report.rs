//! What an assessment counted.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::bound::upper_bound;
use super::kind::Kind;

/// Most attempts that are shown one by one.
const SHOWN: usize = 20;

/// The counts of an assessment.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Attempts that must be denied, by what is wrong with them.
    pub kinds: BTreeMap<Kind, Row>,
    /// The first attempts that were let through, or refused for a reason that was not expected.
    pub findings: Vec<Finding>,
    /// Attempts of which the oracle could not say that they must be denied: they do not count.
    pub uncertain: u64,
    /// Good tokens that were shown.
    pub samples: u64,
    /// Good tokens that were refused, by issuer and audit code.
    pub false_denials: BTreeMap<(String, &'static str), u64>,
    /// The same attempts, by what is shown in them.
    pub proofs: BTreeMap<&'static str, Row>,
}

/// The counts of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// How many there were.
    pub attempts: u64,
    /// How many were let through.
    pub accepted: u64,
    /// How many were refused for a reason that was not expected.
    pub unexpected: u64,
}

/// An attempt that did not come out as it must.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was wrong with it.
    pub kind: Kind,
    /// The mutation's name.
    pub attempt: String,
    /// What was shown: `token`, `certificate` or `signed_request`.
    pub proof: &'static str,
    /// The issuer's alias.
    pub issuer: String,
    /// The audit code; `accepted` if it was let through.
    pub outcome: &'static str,
}

impl Report {
    /// Attempts that count.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.kinds.values().map(|row| row.attempts).sum()
    }

    /// Those let through.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.kinds.values().map(|row| row.accepted).sum()
    }

    /// Those refused for a reason that was not expected.
    #[must_use]
    pub fn unexpected(&self) -> u64 {
        self.kinds.values().map(|row| row.unexpected).sum()
    }

    /// Good tokens that were refused.
    #[must_use]
    pub fn denied(&self) -> u64 {
        self.false_denials.values().sum()
    }

    /// With 95 % confidence the rate of attempts let through is not above this.
    #[must_use]
    pub fn upper_bound(&self) -> f64 {
        upper_bound(self.accepted(), self.attempts())
    }

    /// Whether everything was denied that must be, and for the reason it must be.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.accepted() == 0 && self.unexpected() == 0 && self.denied() == 0
    }

    /// Counts an attempt that must be denied; `None` was let through.
    pub(super) fn count(&mut self, finding: Finding, expected: bool) {
        let accepted = finding.outcome == Finding::ACCEPTED;
        let rows = [
            self.kinds.entry(finding.kind).or_default(),
            self.proofs.entry(finding.proof).or_default(),
        ];
        for row in rows {
            row.attempts += 1;
            row.accepted += u64::from(accepted);
            row.unexpected += u64::from(!accepted && !expected);
        }
        if expected && !accepted {
            return;
        }
        self.findings.push(finding);
        self.findings.truncate(SHOWN);
    }

    /// Takes the counts of another part of the same assessment.
    pub(super) fn add(&mut self, other: Self) {
        for (kind, row) in other.kinds {
            self.kinds.entry(kind).or_default().add(row);
        }
        for (proof, row) in other.proofs {
            self.proofs.entry(proof).or_default().add(row);
        }
        for (key, count) in other.false_denials {
            *self.false_denials.entry(key).or_default() += count;
        }
        self.uncertain += other.uncertain;
        self.samples += other.samples;
        self.findings.extend(other.findings);
        self.findings.truncate(SHOWN);
    }

    /// The report as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let kinds = self.kinds.iter().map(|(kind, row)| {
            json!({
                "kind": kind.name(), "cause": kind.cause(), "attempts": row.attempts,
                "accepted": row.accepted, "unexpected": row.unexpected,
            })
        });
        let findings = self.findings.iter().map(|finding| {
            json!({
                "kind": finding.kind.name(), "cause": finding.kind.cause(),
                "attempt": finding.attempt, "proof": finding.proof, "issuer": finding.issuer,
                "outcome": finding.outcome,
            })
        });
        let denials = self.false_denials.iter().map(
            |((issuer, code), count)| json!({ "issuer": issuer, "code": code, "count": count }),
        );
        let proofs = self.proofs.iter().map(|(proof, row)| {
            json!({
                "proof": proof, "attempts": row.attempts, "accepted": row.accepted,
                "unexpected": row.unexpected,
            })
        });
        json!({
            "attempts": self.attempts(),
            "accepted": self.accepted(),
            "unexpected": self.unexpected(),
            "upper_bound_95": self.upper_bound(),
            "uncertain": self.uncertain,
            "samples": self.samples,
            "samples_denied": self.denied(),
            "proofs": proofs.collect::<Vec<_>>(),
            "kinds": kinds.collect::<Vec<_>>(),
            "findings": findings.collect::<Vec<_>>(),
            "false_denials": denials.collect::<Vec<_>>(),
        })
    }
}

impl Row {
    fn add(&mut self, other: Self) {
        self.attempts += other.attempts;
        self.accepted += other.accepted;
        self.unexpected += other.unexpected;
    }
}

impl Finding {
    /// The outcome of an attempt that was let through.
    pub const ACCEPTED: &str = "accepted";
}
