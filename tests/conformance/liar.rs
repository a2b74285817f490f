//! The kit itself: each rule is broken by a plugin that keeps all others, and found by its check.
//!
//! INVARIANT: every check fails for somebody here, so that none is one that cannot fail.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use symbolon_kit::{Check, Misbehaviour as M, Options, Report, Script};

use super::{compiler, component};

const SCRIPT: &str = include_str!("liar.toml");

async fn told(script: &str, options: &Options) -> Report {
    let script = Script::from_toml(script).unwrap();
    symbolon_kit::test(component("liar"), &script, options, compiler(), &|_| ()).await.unwrap()
}

/// A lie, the cases that it is told in, and the checks that find it: these and no others.
type Lie = (&'static str, &'static [&'static str], &'static [Check]);

const READ: &[&str] = &["read", "several"];
const ENDED: &[&str] = &["revoke", "revoke what never was"];
const TOKEN: &[&str] = &["exchange", "not believed"];
const NONE: &[&str] = &["nowhere"];

const LIES: &[Lie] = &[
    ("none", &[], &[]),
    ("refuses-config", NONE, &[Check::ConfigAccepted, Check::ConfigCovered]),
    ("required", NONE, &[Check::ConfigRequired]),
    ("unknown-keys", NONE, &[Check::ConfigUnknown]),
    ("leaks-config", NONE, &[Check::NoLeaks]),
    ("other-request", READ, &[Check::Cases]),
    ("changes", READ, &[Check::Deterministic]),
    ("overlaps", &["list on"], &[Check::Paging]),
    ("insists", ENDED, &[Check::RevokeTwice]),
    ("needs-handle", ENDED, &[Check::Cases, Check::RevokeTwice, Check::RevokeAbsent]),
    ("lasts-longer", TOKEN, &[Check::Ttl]),
    ("hangs", &["read"], &[Check::NoHang]),
    ("retries", READ, &[Check::NoRetries]),
    ("denies", TOKEN, &[Check::RequestSent]),
    ("claims", NONE, &[Check::RequestSent]),
    ("leaks-log", READ, &[Check::NoLeaks]),
    ("leaks-remark", &["probe"], &[Check::NoLeaks]),
    ("leaks-metadata", &["read"], &[Check::NoLeaks]),
    ("leaks-handle", &["exchange"], &[Check::NoLeaks, Check::AnswerRules]),
    ("leaks-assertion", TOKEN, &[Check::NoLeaks]),
    ("quotes", READ, &[Check::NoLeaks]),
    ("panics", READ, &[Check::Limits]),
    ("bomb", READ, &[Check::Limits]),
    ("wrong-path", &["read"], &[Check::Cases, Check::AnswerRules]),
    ("impatient", &["read"], &[Check::Upstream(M::Slow), Check::Upstream(M::Stalled)]),
    // A value made of half an answer is wrong in every way in which an answer can be half.
    (
        "half",
        &["read"],
        &[Check::Upstream(M::Truncated), Check::Upstream(M::NotJson), Check::Upstream(M::Empty)],
    ),
    ("closed-is-internal", READ, &[Check::Upstream(M::Closed)]),
    ("429-is-internal", READ, &[Check::Upstream(M::Throttled)]),
    ("forgets-wait", READ, &[Check::Upstream(M::Throttled), Check::Upstream(M::Overloaded)]),
    ("503-is-absent", READ, &[Check::Upstream(M::Overloaded)]),
    ("500-is-absent", READ, &[Check::Upstream(M::Failing)]),
    ("content-type", READ, &[Check::Upstream(M::ContentType)]),
    (
        "nonsense-is-absent",
        READ,
        &[Check::Upstream(M::NotJson), Check::Upstream(M::Empty), Check::Upstream(M::Bomb)],
    ),
    ("huge-is-absent", READ, &[Check::Upstream(M::Huge)]),
    ("cuts", &["read"], &[Check::Upstream(M::Large)]),
    ("follows", READ, &[Check::Upstream(M::Redirected)]),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_lie_is_found_by_its_check_and_by_no_other() {
    let told = LIES.iter().map(|(lie, cases, expected)| async move {
        // The one that is impatient itself must be so before the host is.
        let patience = (*lie == "impatient").then_some(Duration::from_secs(8));
        let cases = cases.iter().map(|case| (*case).to_owned()).collect();
        let options = Options { cases, patience, ..Options::default() };
        let report = told(&SCRIPT.replace("LIE", lie), &options).await;
        let failed: BTreeSet<Check> = report.failed().into_iter().collect();
        let wanted = expected.iter().copied().collect();
        (failed != wanted).then(|| format!("{lie}: wanted {expected:?}\n{report}"))
    });
    let wrong = futures_util::stream::iter(told).buffer_unordered(4);
    let wrong: Vec<String> = wrong.filter_map(std::future::ready).collect().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_check_is_one_that_cannot_fail() {
    let elsewhere = [Check::Admission, Check::ConfigDescribed, Check::Coverage, Check::Database];
    let found = LIES.iter().flat_map(|(_, _, checks)| *checks).chain(&elsewhere);
    let found: BTreeSet<Check> = found.copied().collect();
    assert_eq!(found, Check::all().into_iter().collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_component_is_not_admitted() {
    let script = Script::from_toml(SCRIPT).unwrap();
    let (component, options) = (b"no component".to_vec(), Options::default());
    let report =
        symbolon_kit::test(component, &script, &options, compiler(), &|_| ()).await.unwrap();
    assert_eq!(report.failed(), [Check::Admission]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_is_not_enough_is_found() {
    let whole = SCRIPT.replace("LIE", "none");
    // Each piece taken out: the case of what is not there, and what happens when asked again.
    let without = |name: &str| {
        let cases = whole.split("[[cases]]\n").filter(|case| !case.starts_with(name));
        cases.collect::<Vec<_>>().join("[[cases]]\n")
    };
    for name in ["name = \"probe\"", "name = \"not there\"", "name = \"revoke what never was\""] {
        let options = Options { cases: vec!["nowhere".to_owned()], ..Options::default() };
        let report = told(&without(name), &options).await;
        assert_eq!(report.failed(), [Check::Coverage], "{name}\n{report}");
    }
    let keyless = whole.replace(", lie = \"none\"", "");
    let options = Options { cases: vec!["nowhere".to_owned()], ..Options::default() };
    let report = told(&keyless, &options).await;
    assert_eq!(report.failed(), [Check::ConfigCovered], "{report}");
}

/// The same component, whose manifest says `description` nowhere, neither in its section nor when asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_describes_nothing_is_found() {
    let mut silent = component("liar");
    let word = b"\"description\"";
    while let Some(at) = silent.windows(word.len()).position(|part| part == word) {
        silent[at + 1] = b'D';
    }
    let script = Script::from_toml(&SCRIPT.replace("LIE", "none")).unwrap();
    let options = Options { cases: vec!["nowhere".to_owned()], ..Options::default() };
    let report = symbolon_kit::test(silent, &script, &options, compiler(), &|_| ()).await.unwrap();
    assert_eq!(report.failed(), [Check::ConfigDescribed], "{report}");
}

/// Nobody listens at the named server either, so that the case fails too.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_has_its_kind() {
    let script = "[backends.main]\nconfig = { server = \"https://h.test\", lie = \"sql\" }\n\
                  database = true\nroles.reader = {}\n\
                  [[cases]]\nname = \"issue\"\ncall = { issue = { role = \"reader\" } }\n";
    let database = Some("postgresql://u:p@127.0.0.1:1/app".to_owned());
    let report = told(script, &Options { database, ..Options::default() }).await;
    let found = report.findings(Check::Database);
    assert!(found.iter().any(|f| f.why.contains("wanted unavailable")), "{report}");
}
