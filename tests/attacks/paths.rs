//! Whatever stands in a request line: either it is refused, or audit log, policy and backend see the
//! very bytes that were sent.
//!
//! Each secret's value is its own path, so that the answer says what the backend was asked for.

use std::collections::HashMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use symbolon_tests::harness::{Gateway, Setup};
use tokio::io::AsyncWriteExt;

use super::DEMO;
use super::wire::{Reply, closed, connect, get, reply, send};

mod frames;

/// Paths that are there, in pairs that a careless reading takes for each other.
const PRESENT: [&str; 10] =
    ["a/b", "a/B", "A/b", "b", "a", "a/b/c", "a/b:c", "a/b.c", "a/b@1", "a/...b"];

const PREFIX: &str = "/v1/secrets/demo/";

async fn gateway() -> Gateway {
    let lines = PRESENT.iter().map(|path| format!("\"{path}\" = \"{path}\"\n"));
    let secrets = lines.collect::<String>();
    let blocks = DEMO.replace("\"app/text\" = \"plain\"\n", &secrets);
    Gateway::start(Setup { blocks, ..Setup::default() }).await
}

/// What tricks are made of.
const PIECES: [&str; 40] = [
    "a",
    "b",
    "c",
    "A",
    "B",
    "/",
    "/",
    "/",
    "//",
    ".",
    "..",
    "/../",
    "/./",
    "%2e",
    "%2E%2e",
    "%2f",
    "%2F",
    "%5c",
    "%00",
    "\0",
    "%61",
    "%c0%ae",
    "%",
    "%zz",
    ";",
    ";x=1",
    "\\",
    "#",
    "#a",
    "?",
    "?version=1",
    "?list",
    "&",
    ":",
    "@",
    "+",
    "ä",
    "\u{ff0f}",
    "\t",
    "~",
];

/// What stands before a path, most often what should.
const PREFIXES: [&str; 16] = [
    PREFIX,
    PREFIX,
    PREFIX,
    PREFIX,
    "/v1/secrets/demo/../demo/",
    "/v1//secrets/demo/",
    "//v1/secrets/demo/",
    "/V1/secrets/demo/",
    "/v1/secrets/Demo/",
    "/v1/secrets/dem%6f/",
    "/healthz/../v1/secrets/demo/",
    "http://localhost/v1/secrets/demo/",
    "https://evil.example/v1/secrets/demo/",
    "/v1/secrets:batch/../secrets/demo/",
    "v1/secrets/demo/",
    "/v1/secrets\\demo/",
];

/// Request targets, most of them one or two tricks away from a secret that is there.
fn targets() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(&PIECES[..]);
    let tail = prop::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat());
    let near = (prop::sample::select(&PRESENT[..]), piece_at()).prop_map(|(path, (at, piece))| {
        let at = at.min(path.len());
        format!("{}{piece}{}", &path[..at], &path[at..])
    });
    let prefix = prop::sample::select(&PREFIXES[..]);
    let long = (1..700_usize).prop_map(|n| "a/".repeat(n) + "b");
    let tail = prop_oneof![4 => tail, 4 => near, 1 => long, 1 => Just("a/b".to_owned())];
    (prefix, tail).prop_map(|(prefix, tail)| format!("{prefix}{tail}").into_bytes())
}

fn piece_at() -> impl Strategy<Value = (usize, &'static str)> {
    let pieces = prop::sample::select(
        &["", "", "/", "%2f", "..", "/..", "/../", ".", "%00", ";", "\\", "#", "?", " ", "\r"][..],
    );
    (0..6_usize, pieces)
}

async fn ask(gateway: &Gateway, target: &[u8], token: &str) -> Option<Reply> {
    let mut stream = connect(gateway, "http/1.1").await;
    let request = get("TARGET", token);
    let (before, after) = (&request[..4], &request[4 + "TARGET".len()..]);
    send(&mut stream, &[before, target, after].concat()).await
}

/// What of a target is not its path: the origin of an absolute form, a query, and a fragment, which
/// must not be there (RFC 9112 §3.2) and which the HTTP library cuts off before anybody sees it.
fn path_of(target: &str) -> &str {
    let path = ["http://localhost", "https://evil.example"]
        .iter()
        .find_map(|origin| target.strip_prefix(origin))
        .unwrap_or(target);
    path.split(['?', '#']).next().unwrap_or(path)
}

#[test]
fn router_policy_and_backend_see_the_same_path_or_nobody_does() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let gateway = runtime.block_on(gateway());
    let token = gateway.token("alice");
    let asked = std::cell::RefCell::new(HashMap::new());
    let served = std::cell::Cell::new(0);
    let mut runner =
        TestRunner::new(Config { cases: 600, failure_persistence: None, ..Config::default() });
    let checked = runner.run(&targets(), |target| {
        let Some(reply) = runtime.block_on(ask(&gateway, &target, &token)) else { return Ok(()) };
        let text = String::from_utf8(target).expect("generated as text");
        if let Some(id) = reply.request_id() {
            asked.borrow_mut().insert(id, text.clone());
        }
        if reply.status == 200 {
            let raw = path_of(&text).strip_prefix(PREFIX);
            let json = reply.json();
            prop_assert!(
                json["names"].is_array() || json["value"].as_str() == raw,
                "{text}: {json}"
            );
            prop_assert!(
                json["names"].is_array() || json["path"].as_str() == raw,
                "{text}: {json}"
            );
            served.set(served.get() + 1);
        } else {
            prop_assert!(matches!(reply.status, 400 | 403 | 404 | 414 | 431), "{text}: {reply:?}");
        }
        Ok(())
    });
    checked.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(served.get() >= 20, "only {} of the targets were served", served.get());

    let openings = gateway.audit().into_iter().filter(|line| line["kind"] == "request.open");
    let mut opened = 0;
    for opening in openings {
        let id = opening["request"].as_str().expect("an id");
        let target = asked.borrow()[id].clone();
        let raw =
            path_of(&target).strip_prefix(PREFIX).expect("only secrets are audited").to_owned();
        let resource = opening["resource"].as_str().expect("a resource");
        let (_, path) = resource.split_once("demo").expect("the backend's name");
        let path = path.trim_start_matches('/').trim_end_matches(['"', '/']);
        assert_eq!(path, raw.trim_end_matches('/'), "{target}: {resource}");
        opened += 1;
    }
    assert!(opened >= served.get(), "{opened} entries for {} answers", served.get());
    runtime.block_on(gateway.stop());
}

#[tokio::test]
async fn one_connection_cannot_be_read_as_two_requests() {
    let gateway = gateway().await;
    let token = gateway.token("alice");
    let head = format!("host: localhost\r\nauthorization: Bearer {token}\r\n");
    for (name, text) in [
        (
            "two lengths",
            format!(
                "GET {PREFIX}a HTTP/1.1\r\n{head}content-length: 0\r\ncontent-length: 44\r\n\r\n"
            ),
        ),
        (
            "length with a sign",
            format!("GET {PREFIX}a HTTP/1.1\r\n{head}content-length: +0\r\n\r\n"),
        ),
        (
            "an unknown coding",
            format!(
                "GET {PREFIX}a HTTP/1.1\r\n{head}transfer-encoding: chunked, x\r\n\r\n0\r\n\r\n"
            ),
        ),
        ("a folded header", format!("GET {PREFIX}a HTTP/1.1\r\n{head}x: a\r\n b\r\n\r\n")),
        ("a space in the name", format!("GET {PREFIX}a HTTP/1.1\r\n{head}x : a\r\n\r\n")),
        ("a space in the target", format!("GET {PREFIX}a b HTTP/1.1\r\n{head}\r\n")),
        ("no version", format!("GET {PREFIX}a\r\n{head}\r\n")),
    ] {
        let mut stream = connect(&gateway, "http/1.1").await;
        stream.write_all(text.as_bytes()).await.expect("sent");
        let reply = reply(&mut stream).await;
        assert!(reply.as_ref().is_none_or(|reply| reply.status == 400), "{name}: {reply:?}");
        assert!(closed(&mut stream).await.is_empty(), "{name}: a second answer");
    }
    assert!(!gateway.audit().iter().any(|line| line["kind"] == "request.open"));
    gateway.stop().await;
}
