//! The binary as it is typed: what it writes, where, and how it ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use http::StatusCode;
use symbolon_tests::harness::{Gateway, Issuer, Setup, lay_out, private};

/// The binary that `cargo xtask test` names, or the one beside the tests.
pub(super) fn binary() -> PathBuf {
    let beside = || {
        let tests = std::env::current_exe().unwrap();
        tests.parent().unwrap().parent().unwrap().join("symbolon")
    };
    let binary = symbolon::config::variable("SYMBOLON_BIN").map_or_else(beside, PathBuf::from);
    assert!(binary.exists(), "{} is not built: run through `cargo xtask test`", binary.display());
    binary
}

fn run(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// What a command that must succeed says.
fn said(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[tokio::test]
async fn exported_documents_are_those_that_are_served_and_follow_a_rotation() {
    const DOCUMENTS: [&str; 2] = ["/.well-known/openid-configuration", "/.well-known/jwks.json"];
    let gateway = Gateway::start(Setup::default()).await;
    let mut served = Vec::new();
    for path in DOCUMENTS {
        let document = gateway.get(&format!("/assertions{path}"), "").await;
        assert_eq!(document.status, StatusCode::OK);
        served.push(document.body);
    }
    let file = gateway.directory.path().join("symbolon.toml");
    let public = gateway.directory.path().join("public");
    let (file, to) = (file.to_str().unwrap(), public.to_str().unwrap());
    let export = ["issuer", "export", "--config", file, to];

    // Two processes must not share a store: the command says so and writes nothing.
    let refused = run(&export);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("is in use by another process"), "{refused:?}");
    assert!(!public.exists());

    let (directory, issuer) = gateway.stop().await;
    let written = said(&export);
    for (path, served) in DOCUMENTS.iter().zip(&served) {
        let exported = public.join(path.trim_start_matches('/'));
        assert!(written.lines().any(|line| Path::new(line) == exported), "{written}");
        assert_eq!(std::fs::read(exported).unwrap(), **served, "{path}");
    }

    let gateway = Gateway::start_in(directory, issuer, Setup::default()).await;
    let socket = gateway.directory.path().join("admin.sock");
    let socket = socket.to_str().unwrap().to_owned();
    // The gateway answers on the threads that this call would block.
    let rotate = tokio::task::spawn_blocking(move || said(&["rotate-keys", "--socket", &socket]));
    rotate.await.unwrap();
    let served = gateway.get("/assertions/.well-known/jwks.json", "").await;
    let (_directory, _) = gateway.stop().await;
    said(&export);
    let exported = std::fs::read(public.join(".well-known/jwks.json")).unwrap();
    assert_eq!(exported, served.body, "the new key with the old one");
}

#[test]
fn check_names_every_fault_with_its_place_and_ends_with_64() {
    let directory = tempfile::tempdir().unwrap();
    let issuer = Issuer::new("https://idp.example.test");
    let faulty = Setup {
        server: "request_timout = \"3s\"\nheader_timeout = \"soon\"".to_owned(),
        blocks: "[backends.demo]\nplugin = \"static\"\nlimits = { memory = \"2 kB\" }\n\
                 credentials = { bearer = \"hunter2-in-the-clear\" }\n\
                 [targets.cloud]\nplugin = \"vault\"\nsubject = \"anybody\"\n"
            .to_owned(),
        ..Setup::default()
    };
    let file = lay_out(directory.path(), &issuer, &faulty);
    let content = std::fs::read_to_string(&file).unwrap();
    let output = run(&["check", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(64));
    assert!(output.stdout.is_empty());
    let said = text(&output.stderr);
    for (at, key) in [
        ("request_timout", "server.request_timout"),
        ("\"soon\"", "server.header_timeout"),
        ("2 kB", "backends.demo.limits.memory"),
        ("hunter2", "backends.demo.credentials.bearer"),
        ("anybody", "targets.cloud.subject"),
        ("[targets.cloud]", "targets.cloud.audience"),
    ] {
        let line = content.lines().position(|line| line.contains(at)).unwrap() + 1;
        let place = format!("{}:{line}:", file.display());
        let found = said.lines().any(|said| said.starts_with(&place) && said.contains(key));
        assert!(found, "no `{place} … {key}` in:\n{said}");
    }
    assert!(!said.contains("hunter2"), "a literal secret is shown: {said}");

    // Without faults of its own: what it names must be there too.
    let missing = Setup {
        blocks: "[issuers.far]\nissuer = \"https://far.example.test\"\n\
                 keys = { file = \"no-such-keys.json\" }\n"
            .to_owned(),
        policies: Some("permit (principal, action, resource) when { principal.x };".to_owned()),
        ..Setup::default()
    };
    let file = lay_out(directory.path(), &issuer, &missing);
    let output = run(&["check", "--config", file.to_str().unwrap()]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("issuers.far.keys.file") && said.contains("no-such-keys.json"), "{said}");
    std::fs::write(directory.path().join("no-such-keys.json"), issuer.key_set().to_string())
        .unwrap();
    let output = run(&["check", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("test.cedar:1"), "{}", text(&output.stderr));

    let file = lay_out(directory.path(), &issuer, &Setup::default());
    assert!(said_of(&file).contains("no faults"));
}

/// A key that cannot sign is found before anybody needs it.
#[test]
fn what_has_no_end_is_read_by_no_command_that_wants_a_component() {
    for verb in ["inspect", "grants", "test"] {
        let output = run(&["plugin", verb, "/dev/zero"]);
        assert!(!output.status.success(), "{verb}");
        let said = text(&output.stderr);
        assert!(said.contains("cannot read /dev/zero: it is not a regular file"), "{verb}: {said}");
    }
}

#[test]
fn check_refuses_a_key_that_cannot_sign() {
    let directory = tempfile::tempdir().unwrap();
    let issuer = Issuer::new("https://idp.example.test");
    private(&directory.path().join("app.pem"), "no key");
    let app = Setup {
        blocks: "[backends.app]\nplugin = \"static\"\n\
                 egress = [{ host = \"api.example.test\", methods = [\"GET\"] }]\n\
                 credentials = { jwt = { key = \"file:app.pem\", issuer = \"1\" } }\n"
            .to_owned(),
        ..Setup::default()
    };
    let file = lay_out(directory.path(), &issuer, &app);
    let output = run(&["check", "--config", file.to_str().unwrap()]);
    let fault = "backends.app.credentials.jwt.key: it is no private key in PEM";
    assert!(text(&output.stderr).contains(fault), "{}", text(&output.stderr));
}

fn said_of(file: &Path) -> String {
    said(&["check", "--config", file.to_str().unwrap()])
}

/// The subcommands that the help of `command` lists.
fn subcommands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    // A description that goes on stands further to the right.
    let named = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    named.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn the_help_of_every_command_says_what_it_does_and_shows_an_example() {
    let mut open = vec![Vec::<String>::new()];
    let mut leaves = 0;
    while let Some(command) = open.pop() {
        let mut arguments = command.iter().map(String::as_str).collect::<Vec<_>>();
        arguments.push("--help");
        let help = said(&arguments);
        let below = subcommands(&help);
        if below.is_empty() {
            leaves += 1;
            assert!(help.contains("Examples:\n  symbolon "), "{command:?}: {help}");
            assert!(help.contains("Usage: symbolon "), "{command:?}: {help}");
        }
        for name in below.into_iter().filter(|name| name != "help") {
            open.push([command.as_slice(), &[name]].concat());
        }
    }
    assert!(leaves >= 15, "only {leaves} commands were found");
}

#[test]
fn completions_are_scripts_that_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = said(&["completions", shell]);
        for word in ["secret", "issuer", "revoke-sessions", "export"] {
            assert!(script.contains(word), "{shell} does not know `{word}`");
        }
        // Read and not run, where there is the shell to do so.
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("script");
        std::fs::write(&file, script).unwrap();
        if let Ok(read) = Command::new(shell).arg("-n").arg(&file).output() {
            assert!(read.status.success(), "{shell}: {}", text(&read.stderr));
        }
    }
    assert_eq!(run(&["completions", "no-shell"]).status.code(), Some(2));
}

#[tokio::test]
async fn a_secret_is_got_by_alias_by_field_and_as_a_map() {
    let blocks = r#"
[backends.demo]
plugin = "static"
[backends.demo.config.secrets]
"app/map" = { fields = { user = "u", more = '{"port":5432}' } }
[aliases]
"billing/db" = { backend = "demo", path = "app/map" }
"#;
    let gateway = Gateway::start(Setup { blocks: blocks.to_owned(), ..Setup::default() }).await;
    let directory = gateway.directory.path();
    private(&directory.join("token"), &gateway.token("alice"));
    let url = format!("https://localhost:{}", gateway.address.port());
    let (token, ca) = (directory.join("token"), directory.join("tls.pem"));
    for (arguments, said) in [
        (&["demo", "app/map", "--field", "user"][..], "u"),
        (&["demo", "app/map", "--field", "/more/port"], "5432"),
        (&["billing", "db", "--field", "/user"], "u"),
        (&["billing", "db"], r#"{"user":"u","more":"{\"port\":5432}"}"#),
    ] {
        let mut command = tokio::process::Command::new(binary());
        command.args(["secret", "get"]).args(arguments).args(["--url", &url]);
        command.arg("--token-file").arg(&token).arg("--ca").arg(&ca);
        let output = command.output().await.expect("it runs");
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        let fields = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        assert!(output.status.success(), "{arguments:?}: {err}");
        assert!(out == said || fields(&out).is_some_and(|out| Some(out) == fields(said)), "{out}");
    }
    gateway.stop().await;
}
