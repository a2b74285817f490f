//! Every plugin of this repository against the script of its upstream, and the kit against a plugin
//! that lies.

mod liar;

use std::path::PathBuf;

use symbolon_host::{CompileLimits, Compiler, CompilerProcess};
use symbolon_kit::{Check, Options, Report, Script};
use symbolon_tests::harness::postgres::{ADMIN, DATABASE, Postgres, Version};
use symbolon_tests::harness::{binary, plugins};

/// As the command has it: the gateway's binary.
fn compiler() -> Compiler {
    Compiler::Process(CompilerProcess::new(binary(), CompileLimits::default()))
}

/// A component that was built.
fn component(name: &str) -> Vec<u8> {
    let file = plugins().join(format!("{name}.wasm"));
    std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn script(name: &str) -> Script {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    let file = root.join(name).join("conformance.toml");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    Script::from_toml(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

async fn test(name: &str, options: &Options) -> Report {
    let report =
        symbolon_kit::test(component(name), &script(name), options, compiler(), &|_| ()).await;
    report.unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Passes, and has looked at what must be looked at.
async fn conforms(name: &str, looked: &[Check]) {
    let report = test(name, &Options::default()).await;
    assert!(report.passed(), "{name}\n{report}");
    for check in looked {
        assert!(report.looked(*check) > 0, "{name}: nothing for {}\n{report}", check.name());
    }
}

const OF_HTTP: [Check; 4] = [Check::Cases, Check::NoRetries, Check::RequestSent, Check::NoLeaks];

#[tokio::test(flavor = "multi_thread")]
async fn static_conforms() {
    conforms("static", &[Check::Cases, Check::ConfigUnknown, Check::NoLeaks]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vault_conforms() {
    conforms("vault", &OF_HTTP).await;
    conforms("vault", &[Check::RevokeTwice, Check::Ttl]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_conforms() {
    conforms("aws", &OF_HTTP).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gcp_conforms() {
    conforms("gcp", &OF_HTTP).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_conforms() {
    conforms("azure", &OF_HTTP).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubernetes_conforms() {
    conforms("kubernetes", &OF_HTTP).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn github_app_conforms() {
    conforms("github-app", &OF_HTTP).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_conforms_on_every_version() {
    for version in Version::ALL {
        let server = Postgres::start(version).await;
        let (user, password) = ADMIN;
        let port = server.port();
        let options = Options {
            database: Some(format!("postgresql://{user}:{password}@localhost:{port}/{DATABASE}")),
            database_authority: Some(std::fs::read(server.certificate()).unwrap()),
            ..Options::default()
        };
        let report = test("postgresql", &options).await;
        assert!(report.passed(), "{version:?}\n{report}");
        for check in [Check::Cases, Check::RevokeTwice, Check::RevokeAbsent, Check::Database] {
            assert!(report.looked(check) > 0, "nothing for {}\n{report}", check.name());
        }
        let left = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'sy\\_%'";
        let left = server.sql(DATABASE, left).await;
        assert!(left.is_empty(), "{left:?} are left");
    }
}

/// A kit that passes what it could not test would be worse than none.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_named_is_a_failure() {
    let report = test("postgresql", &Options::default()).await;
    assert_eq!(report.failed(), [Check::Database], "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_check_and_one_case_run_alone() {
    let options = Options {
        checks: vec![Check::Cases],
        cases: vec!["read text".to_owned()],
        ..Options::default()
    };
    let report = test("static", &options).await;
    assert!(report.passed(), "{report}");
    assert_eq!(report.looked(Check::Cases), 1);
    assert_eq!(report.looked(Check::NoLeaks), 0);
    let unknown = Options { cases: vec!["nothing".to_owned()], ..Options::default() };
    let refused =
        symbolon_kit::test(component("static"), &script("static"), &unknown, compiler(), &|_| ())
            .await;
    assert!(refused.unwrap_err().to_string().contains("no case \"nothing\""));
}
