//! `gateway/docs/vendors.md`: every command in it is run, in order, in an empty folder. What the operator
//! does is done with a gateway in a process of its own, beside the project.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use symbolon_tests::harness::process::Home;
use symbolon_tests::harness::{Asked, Upstream, private};

use super::{Going, done};

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Commands,
    /// A command that goes on, in a terminal of its own.
    Background,
    /// What an operator adds to the configuration.
    Configuration,
}

struct Block {
    kind: Kind,
    lines: Vec<String>,
}

fn blocks() -> Vec<Block> {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway/docs/vendors.md");
    let (mut blocks, mut open) = (Vec::new(), None::<Block>);
    for line in std::fs::read_to_string(guide).unwrap().lines() {
        match (line, &mut open) {
            ("```", _) => blocks.extend(open.take()),
            (_, Some(block)) => block.lines.push(line.to_owned()),
            (line, None) => {
                let kind = match line.strip_prefix("```") {
                    None => continue,
                    Some("sh") => Kind::Commands,
                    Some("sh background") => Kind::Background,
                    Some("toml") => Kind::Configuration,
                    Some(other) => panic!("a block that no test runs: {other}"),
                };
                open = Some(Block { kind, lines: Vec::new() });
            }
        }
    }
    blocks
}

/// The vendor's server, to which the gateway must show its credential.
fn answer(asked: &Asked) -> Response<Full<Bytes>> {
    let allowed =
        asked.headers.get("authorization").is_some_and(|shown| shown == "Bearer of-the-gateway");
    let (status, body) = match (allowed, asked.line.as_str()) {
        (true, "GET /v1/secrets/app/db") => {
            (200, r#"{ "value": "kept in the store", "version": "3" }"#)
        }
        (true, _) => (404, ""),
        (false, _) => (401, ""),
    };
    Response::builder().status(status).body(Full::from(body)).unwrap()
}

/// The operator's gateway, and what is behind it.
struct Operator {
    home: Home,
    store: Upstream,
}

impl Operator {
    /// A gateway that is configured, as `gateway` in this place.
    async fn beside(place: &Path) -> Self {
        let directory = tempfile::Builder::new().prefix("gateway").rand_bytes(0).tempdir_in(place);
        let home = Home::serving_in(directory.unwrap(), "", "");
        let store = Upstream::start(&["store.example.com"], answer).await;
        std::fs::write(home.path().join("store.pem"), &store.pem).unwrap();
        private(&home.path().join("store.token"), "of-the-gateway");
        private(&home.path().join("token.jwt"), &home.token());
        Self { home, store }
    }

    /// Adds to the configuration, with the key that was made and a server that is not on the internet.
    fn configure(&self, lines: &[String], key: &str) {
        let of_test = |line: &String| match line.split_once(" = ") {
            Some(("public_key", _)) => format!("public_key = {key:?}"),
            Some(("egress", grant)) => {
                let here = self.store.address;
                let here = format!(
                    "resolve = {{ \"store.example.com\" = \"{here}\" }}, ca = \"store.pem\""
                );
                format!("egress = {}, {here} }}]", grant.trim_end_matches(" }]"))
            }
            _ => line.clone(),
        };
        let file = self.home.path().join("symbolon.toml");
        let mut text = std::fs::read_to_string(&file).unwrap();
        lines.iter().map(of_test).for_each(|line| text.extend([line.as_str(), "\n"]));
        std::fs::write(file, text).unwrap();
    }
}

/// The public key that `keygen` has shown.
fn public_key(said: &str) -> Option<&str> {
    said.lines().find_map(|line| line.strip_prefix("public_key")).map(str::trim)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_guide_does_what_it_should() {
    let place = tempfile::tempdir().unwrap();
    let operator = Operator::beside(place.path()).await;
    let gateway = operator.home.start().await;
    let (mut here, mut said): (PathBuf, Vec<(String, String)>) =
        (place.path().to_owned(), Vec::new());
    for Block { kind, lines } in blocks() {
        if kind == Kind::Configuration {
            let key = said.iter().find_map(|(_, said)| public_key(said));
            operator.configure(&lines, key.expect("the key is made before"));
            continue;
        }
        for line in lines {
            let line =
                line.replace("localhost:8443", &format!("localhost:{}", gateway.address().port()));
            if let Some(directory) = line.strip_prefix("cd ") {
                here = here.join(directory);
            } else if kind == Kind::Background {
                let mut going = Going::start(&line, &here);
                going.until("curl --cacert");
                let said = going.end();
                assert!(!said.contains("degraded"), "{said}");
            } else {
                let output = done(&line, &here);
                said.push((line, output));
            }
        }
    }
    let of = |command: &str| {
        let found = said.iter().find(|(line, _)| line.starts_with(command));
        found.unwrap_or_else(|| panic!("the guide has lost `{command}`")).1.as_str()
    };
    assert_eq!(of("symbolon secret get"), "kept in the store");
    assert!(of("symbolon plugin verify").contains("acme"), "{}", of("symbolon plugin verify"));
    assert!(of("symbolon plugin activate").contains("0.2.0"), "{}", of("symbolon plugin activate"));
    assert!(of("symbolon plugin rollback").contains("0.1.0"), "{}", of("symbolon plugin rollback"));
    gateway.stop().await;
}
