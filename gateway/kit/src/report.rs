//! What was looked at, and what was found.
//!
//! INVARIANT: a check that looked at nothing has not passed: it says that there was nothing for it.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use crate::check::Check;

/// One way in which a plugin does not conform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where: a case, an exchange of it, a backend, a key.
    pub place: String,
    /// What is wrong.
    pub why: String,
}

/// The outcome of one check.
#[derive(Clone, Debug, Default)]
struct Outcome {
    looked: u64,
    findings: Vec<Finding>,
}

/// The outcome of all checks.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Name, version and digest of the plugin, where it was admitted.
    pub(crate) plugin: Option<(String, String, String)>,
    checks: BTreeMap<Check, Outcome>,
}

impl Report {
    /// One more thing was looked at.
    pub(crate) fn look(&mut self, check: Check) {
        let outcome = self.checks.entry(check).or_default();
        outcome.looked = outcome.looked.saturating_add(1);
    }

    /// Something was looked at, and is wrong if there is a reason.
    pub(crate) fn judge(&mut self, check: Check, place: &str, why: Option<String>) {
        self.look(check);
        if let Some(why) = why {
            let finding = Finding { place: place.to_owned(), why };
            let findings = &mut self.checks.entry(check).or_default().findings;
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }

    /// What another part of the run has looked at and found.
    pub(crate) fn merge(&mut self, other: Self) {
        for (check, outcome) in other.checks {
            let mine = self.checks.entry(check).or_default();
            mine.looked = mine.looked.saturating_add(outcome.looked);
            let new: Vec<Finding> =
                outcome.findings.into_iter().filter(|f| !mine.findings.contains(f)).collect();
            mine.findings.extend(new);
        }
    }

    /// Leaves only the checks that were asked for; all of them if none was.
    pub(crate) fn only(&mut self, wanted: &[Check]) {
        if !wanted.is_empty() {
            self.checks.retain(|check, _| wanted.contains(check));
        }
    }

    /// Whether nothing was found, and something was looked at.
    #[must_use]
    pub fn passed(&self) -> bool {
        let looked = self.checks.values().any(|outcome| outcome.looked > 0);
        looked && self.checks.values().all(|outcome| outcome.findings.is_empty())
    }

    /// The checks that found something.
    #[must_use]
    pub fn failed(&self) -> Vec<Check> {
        let failed = self.checks.iter().filter(|(_, outcome)| !outcome.findings.is_empty());
        failed.map(|(check, _)| *check).collect()
    }

    /// What a check found.
    #[must_use]
    pub fn findings(&self, check: Check) -> &[Finding] {
        self.checks.get(&check).map_or(&[], |outcome| &outcome.findings)
    }

    /// How often a check looked at something.
    #[must_use]
    pub fn looked(&self, check: Check) -> u64 {
        self.checks.get(&check).map_or(0, |outcome| outcome.looked)
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let finding = |of: &Finding| json!({ "place": of.place, "why": of.why });
        let check = |(check, outcome): (&Check, &Outcome)| {
            json!({
                "check": check.name(),
                "status": status(outcome),
                "looked_at": outcome.looked,
                "proves": check.proves(),
                "help": check.help(),
                "findings": outcome.findings.iter().map(finding).collect::<Value>(),
            })
        };
        let plugin = self.plugin.as_ref().map(
            |(name, version, digest)| json!({ "name": name, "version": version, "digest": digest }),
        );
        json!({
            "plugin": plugin,
            "passed": self.passed(),
            "checks": self.checks.iter().map(check).collect::<Value>(),
        })
    }
}

fn status(outcome: &Outcome) -> &'static str {
    match (outcome.findings.is_empty(), outcome.looked) {
        (false, _) => "failed",
        (true, 0) => "nothing to look at",
        (true, _) => "passed",
    }
}

/// For a person: a line a check, and below it what was found and what to do.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (check, outcome) in &self.checks {
            let (name, looked) = (check.name(), outcome.looked);
            match status(outcome) {
                "passed" => writeln!(f, "passed  {name} ({looked})")?,
                "failed" => writeln!(f, "FAILED  {name}: {}", check.proves())?,
                other => writeln!(f, "-       {name}: {other}")?,
            }
            for finding in &outcome.findings {
                writeln!(f, "        {}: {}", finding.place, finding.why)?;
            }
            if !outcome.findings.is_empty() {
                writeln!(f, "        help: {}", check.help())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_looked_at_nothing_has_not_passed() {
        let mut report = Report::default();
        assert!(!report.passed());
        report.look(Check::Cases);
        assert!(report.passed());
        report.judge(Check::Ttl, "case \"a\"", Some("too long".to_owned()));
        report.judge(Check::Ttl, "case \"a\"", Some("too long".to_owned()));
        assert_eq!(report.failed(), [Check::Ttl]);
        assert_eq!(report.findings(Check::Ttl).len(), 1);
        let text = report.to_string();
        assert!(text.contains("passed  cases (1)\nFAILED  ttl: "), "{text}");
        assert!(text.contains("case \"a\": too long\n        help: "), "{text}");
        assert_eq!(report.to_json()["checks"][1]["status"], "failed");
        report.only(&[Check::Cases]);
        assert!(report.passed());
    }
}
