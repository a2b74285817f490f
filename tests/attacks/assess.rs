//! Attempts that must be denied, made from a configuration with every platform in it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use symbolon::assess::{AssessError, Forger, Kind, Report, Settings, assess, assess_against};
use symbolon::config::Config;
use symbolon_core::clock::{ManualClock, Timestamp};
use symbolon_core::token::ObjectBinding;
use symbolon_tests::harness::platforms::{PLATFORMS, Platform};
use symbolon_tests::harness::{Gateway, Issuer, Setup, lay_out};
use tempfile::TempDir;

use super::DEMO;

const NOW: i64 = 1_793_520_100;

/// Something of everything: one-shot tokens, clients, ages, several algorithms, a cluster's nodes.
const MORE: &str = r#"
[issuers.once]
issuer = "https://once.example"
keys = { file = "once.json" }
one_shot = true
max_age = "2m"
algorithms = ["ES256", "RS256", "EdDSA"]
clients = ["app-1", "app-2"]
attributes = { level = { claim = "/a/level", type = "long", required = true } }

[issuers.nodes]
profile = "kubernetes"
issuer = "https://nodes.example"
keys = { file = "nodes.json" }
bindings = ["node", "none"]
"#;

/// Everything that is shown and is no token, and clusters that are asked. Nothing of it is read or
/// reached by an assessment.
const PROOFS: &str = r#"
[issuers.reviewed]
profile = "kubernetes"
issuer = "https://reviewed.example"
review = { url = "https://k8s.example", credential = "env:NOBODY" }

[issuers.both]
profile = "kubernetes"
issuer = "https://both.example"
keys = { file = "both.json" }
review = { url = "https://k8s.example", credential = "env:NOBODY" }

[issuers.fleet]
profile = "x509"
authorities = "fleet.pem"
subject = "/dns"
owners = [{ claim = "/common_name", values = ["billing", "payments"] }]

[issuers.cloud]
profile = "aws-signed"
audiences = ["gw.example.com"]
owners = [{ claim = "/account", values = ["123456789012", "210987654321"] }]

[issuers.gov]
profile = "aws-signed"
partition = "aws-us-gov"
audiences = ["gw.example.com"]
max_age = "1m"
owners = [{ claim = "/account", values = ["123456789012"] }]
"#;

/// Policies that tell principals from each other: by issuer, by name, by folder.
fn policies() -> String {
    let mut text = String::from(
        r#"
@id("once") permit (principal in Issuer::"once", action == Action::"read", resource in Folder::"demo/once");
@id("mesh") permit (principal == Workload::"spiffe/spiffe://acme.example/ns/a", action, resource);
@id("never") forbid (principal in Issuer::"nodes", action, resource);
"#,
    );
    for platform in PLATFORMS.iter().filter(|platform| platform.alias != "spiffe") {
        writeln!(
            text,
            "@id(\"{0}\") permit (principal in Issuer::\"{0}\", action == Action::\"read\", \
             resource in Folder::\"demo/{0}\") when {{ {1} }};",
            platform.alias, platform.condition
        )
        .expect("text");
    }
    text
}

fn setup(more: &str) -> Setup {
    let block = |platform: &Platform| {
        format!(
            "\n[issuers.{0}]\nprofile = \"{1}\"\nissuer = \"{2}\"\nkeys = {{ file = \"{0}.json\" }}\n{3}\n",
            platform.alias, platform.profile, platform.issuer, platform.lines
        )
    };
    let blocks: String = PLATFORMS.iter().map(block).collect();
    Setup {
        blocks: format!("{DEMO}{blocks}{MORE}{more}"),
        policies: Some(policies()),
        clock: Some(clock()),
        issuer: "owners = [{ claim = \"/org\", values = [\"org-7\"] }]".to_owned(),
        ..Setup::default()
    }
}

/// The configuration, with the directory that it is in.
fn config() -> (Config, TempDir) {
    config_with(PROOFS)
}

fn config_with(more: &str) -> (Config, TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let setup = Setup { plugins: Some(PathBuf::from("plugins")), ..setup(more) };
    let file = lay_out(directory.path(), &Issuer::new("https://idp.example.test"), &setup);
    let config = Config::load(&file).unwrap_or_else(|faults| panic!("{faults}"));
    (config, directory)
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_seconds(NOW)))
}

async fn against(stated: &Config, enforced: &Config, attempts: u64) -> Report {
    let settings = Settings { attempts, seed: 7 };
    let report = Box::pin(assess_against(stated, enforced, clock(), settings)).await;
    report.expect("an assessment")
}

/// `SYMBOLON_ATTEMPTS` makes fewer where a build is slow, or more where there is time.
fn attempts() -> u64 {
    let asked = symbolon::config::variable("SYMBOLON_ATTEMPTS");
    asked.map_or(100_000, |text| text.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_thousand_attempts_none_is_let_through() {
    let (config, _directory) = config();
    let settings = Settings { attempts: attempts(), seed: 1 };
    let report = Box::pin(assess(&config, clock(), settings)).await.expect("an assessment");
    assert!(report.is_clean(), "{:#}", report.to_json());
    assert_eq!((report.attempts(), report.uncertain), (settings.attempts, 0), "{report:#?}");
    let kinds: BTreeSet<_> = report.kinds.keys().map(|kind| kind.name()).collect();
    let all = [
        "actor",
        "algorithm",
        "answer",
        "audience",
        "claims",
        "client",
        "dates",
        "header",
        "issuer",
        "key",
        "locked",
        "owner",
        "platform",
        "replay",
        "revoked",
        "signature",
        "tenant",
        "text",
        "usage",
    ];
    assert_eq!(kinds, BTreeSet::from(all));
    for proof in ["certificate", "signed_request", "token"] {
        let attempts = report.proofs[proof].attempts;
        assert!(attempts > settings.attempts / 50, "{proof}: {attempts}");
    }
    assert!(report.samples > settings.attempts / 100, "{}", report.samples);
    if settings.attempts >= 100_000 {
        assert!(report.upper_bound() < 3.0e-5, "{}", report.upper_bound());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_is_looser_than_it_says_is_found() {
    let (stated, _directory) = config();
    type Loosen = fn(&mut Config);
    let looser: [(Kind, Loosen); 8] = [
        (Kind::Audience, |config| {
            for other in ["GW.EXAMPLE.COM", "gw.example.com.", "xgw.example.com"] {
                rules(config, "cloud").audiences.push(other.to_owned());
            }
        }),
        (Kind::Owner, |config| rules(config, "fleet").owners.clear()),
        (Kind::Answer, |config| {
            issuer(config, "both").review = None;
        }),
        (Kind::Audience, |config| {
            for issuer in config.issuers.values_mut() {
                issuer.rules.audiences.push("https://other.example".to_owned());
            }
        }),
        (Kind::Audience, |config| {
            for alias in ["test", "once", "aws", "kubernetes", "spiffe"] {
                rules(config, alias).single_audience = false;
            }
        }),
        (Kind::Owner, |config| rules(config, "test").owners.clear()),
        (Kind::Replay, |config| rules(config, "once").one_shot = false),
        (Kind::Platform, |config| {
            for alias in ["aks", "eks", "gke", "kubernetes"] {
                rules(config, alias).bindings.push(ObjectBinding::Nothing);
            }
        }),
    ];
    for (kind, loosen) in looser {
        let mut enforced = stated.clone();
        loosen(&mut enforced);
        let report = against(&stated, &enforced, 4000).await;
        let row = report.kinds.get(&kind).copied().unwrap_or_default();
        assert!(row.accepted > 0, "{kind:?}: {:#}", report.to_json());
        assert_eq!(report.accepted(), row.accepted, "{kind:?}: {:#}", report.to_json());
        assert!(!report.is_clean());
        assert!(report.findings.iter().any(|found| found.kind == kind), "{report:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_looser_than_it_says_is_found() {
    let ((stated, _one), (enforced, directory)) = (config(), config());
    let everything = "@id(\"all\") permit (principal in Issuer::\"gitlab\", action, resource);";
    std::fs::write(directory.path().join("test.cedar"), everything).expect("policies");
    let report = against(&stated, &enforced, 4000).await;
    let row = report.kinds.get(&Kind::Tenant).copied().unwrap_or_default();
    assert!(row.accepted > 0, "{:#}", report.to_json());
    assert_eq!(report.accepted(), row.accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_is_stricter_than_it_says_is_found_beside_it() {
    let (stated, _directory) = config();
    let mut enforced = stated.clone();
    rules(&mut enforced, "google").audiences = vec!["https://nobody.example".to_owned()];
    let report = against(&stated, &enforced, 2000).await;
    assert_eq!(report.accepted(), 0);
    let denied = report.false_denials.get(&("google".to_owned(), "audience"));
    assert_eq!(denied, Some(&report.denied()), "{report:#?}");
}

#[tokio::test]
async fn a_sample_of_them_is_refused_on_the_wire_too() {
    // What is asked online cannot be forged from outside.
    let (config, directory) = config_with("");
    let forger = Forger::new(&config).expect("keys");
    for (alias, set) in forger.key_sets() {
        std::fs::write(directory.path().join(format!("{alias}.json")), set.to_string())
            .expect("a key set");
    }
    let issuer = Issuer::new("https://idp.example.test");
    let gateway = Box::pin(Gateway::start_in(directory, issuer, setup(""))).await;
    let mut reasons = BTreeSet::new();
    // The keys of `test` are the harness's.
    let forged = forger.forged(400, 3, NOW).expect("tokens");
    for forged in forged.iter().filter(|forged| forged.issuer != "test") {
        let world = gateway.app.line.world.load_full();
        let unproven = world.authenticator.prove(&forged.token, None).await;
        let unproven = unproven.expect_err(forged.name);
        assert!(forged.expected.contains(&unproven.code()), "{forged:?}: {unproven:?}");
        reasons.insert(unproven.code());
        let answer = gateway.get("/v1/secrets/demo/app/text", &forged.token).await;
        let public = unproven.kind().public();
        assert_eq!(answer.status, public.status, "{forged:?}");
        assert_eq!(answer.json["code"], public.code, "{forged:?}");
    }
    assert!(reasons.len() > 20, "{reasons:?}");
    let page = gateway.metrics();
    for reason in reasons {
        let label = format!("reason=\"{reason}\"");
        assert!(
            page.lines().any(|line| {
                line.starts_with("symbolon_strangers_total") && line.contains(&label)
            }),
            "{reason} is not on the metrics page"
        );
    }
    gateway.stop().await;
}

fn rules<'a>(config: &'a mut Config, alias: &str) -> &'a mut symbolon_core::token::IssuerRules {
    &mut issuer(config, alias).rules
}

fn issuer<'a>(config: &'a mut Config, alias: &str) -> &'a mut symbolon::config::Issuer {
    let issuer = config.issuers.iter_mut().find(|(name, _)| name.as_str() == alias);
    issuer.expect("an issuer").1
}

#[tokio::test]
async fn without_an_issuer_there_is_nobody_to_assess() {
    let (mut config, directory) = config();
    config.issuers.clear();
    std::fs::write(directory.path().join("test.cedar"), "").expect("policies");
    let settings = Settings { attempts: 1, seed: 1 };
    let refused = Box::pin(assess(&config, clock(), settings)).await;
    assert!(matches!(refused, Err(AssessError::Nobody)), "{refused:?}");
}

#[test]
fn the_oracle_shares_no_code_with_the_line() {
    let manifest = include_str!("../../gateway/oracle/Cargo.toml");
    let dependencies = manifest.split("[dependencies]").nth(1).expect("dependencies");
    for name in ["symbolon", "jsonwebtoken", "x509-parser", "webpki", "path ="] {
        assert!(!dependencies.contains(name), "{name}");
    }
}
