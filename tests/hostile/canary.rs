//! What one caller leaves behind, and whether the next one finds it: in all of the memory, in pages that
//! are new to it, by handles of which it knows only the number.
//!
//! The slots of the pool are filled all at once, with callers that leave a secret wherever a guest can, and
//! all at once again with callers that look for it, so that each of these runs where one of those ran.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::join_all;
use http::Method;
use serde_json::json;
use symbolon_tests::harness::component::{built, versioned, write};
use symbolon_tests::harness::{Answer, Gateway, Issuer, Setup, client, private};
use tempfile::TempDir;

use super::scene::{NEIGHBOUR, reversed};
use super::settings::WELL_BEHAVED;
use super::trial::Fate::{self, Answered, Stopped};
use super::trial::beside;
use super::upstream::{TOLD, Upstream, network};
use crate::attacks::wire::admin;

const OF_THE_PATH: &str = "r4Kx-canary-of-the-path-b2Vn";
const CONFIDED: &str = "h6Td-canary-of-the-configuration-z1Qs";
const CREDENTIAL: &str = "y3Mf-canary-of-the-credential-j7Gb";

/// Slots of the pool, as the gateway makes it, and calls at a time of one backend.
const SLOTS: usize = 256;
const EACH: usize = 32;

/// Kinds of backends, so many of each that they take all slots, and the version of what they run.
const KINDS: &[(&str, &str)] =
    &[("left", "0.1.0"), ("trapped", "0.1.0"), ("right", "0.1.0"), ("other", "0.1.1")];

/// A backend, and what is read of it.
type Asked<'a> = (String, &'a str);

struct Scene {
    gateway: Gateway,
    server: Upstream,
    _plugins: TempDir,
}

impl Scene {
    /// Backends that are given by what `block` needs, beside a neighbour.
    async fn start(backends: &[(String, &str, &str)], is_catalog: bool) -> Self {
        let server = Upstream::start().await;
        let (directory, plugins) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        private(&directory.path().join("credential"), CREDENTIAL);
        write(plugins.path(), "static.wasm", &built("static"));
        write(plugins.path(), "hostile.wasm", &built("hostile"));
        if !is_catalog {
            write(plugins.path(), "hostile-2.wasm", &versioned(built("hostile"), "0.1.1"));
        }
        let port = server.address.port();
        let blocks =
            backends.iter().map(|(name, version, lines)| block(name, version, lines, port));
        let setup = Setup {
            blocks: blocks.collect::<String>() + WELL_BEHAVED,
            plugins: Some(plugins.path().to_owned()),
            network: Some(network(&[("server.test", "127.0.0.1")])),
            trust: Some("unsigned = [\"static\", \"hostile\"]".to_owned()),
            server: "request_timeout = \"100s\"".to_owned(),
            ..Setup::default()
        };
        let issuer = Issuer::new("https://idp.example.test");
        let gateway = Gateway::start_in(directory, issuer, setup).await;
        Self { gateway, server, _plugins: plugins }
    }

    async fn read(&self, who: &str, backend: &str, path: &str) -> Answer {
        let token = self.gateway.token(who);
        self.gateway.get(&format!("/v1/secrets/{backend}/{path}"), &token).await
    }

    /// Asks for as much as there are slots, all at once, and lets it go on when every slot is taken.
    /// Answers how many of the slots had been used before.
    async fn fill<'a>(&self, who: &str, asked: impl Fn(usize) -> Asked<'a>) -> u32 {
        let (before, free) = (self.server.heads().len(), self.free());
        // A connection has fewer streams than the pool has slots.
        let directory = self.gateway.directory.path();
        let clients = (0..SLOTS / EACH).map(|_| client(directory, self.gateway.address));
        let (clients, token) = (clients.collect::<Vec<_>>(), self.gateway.token(who));
        let asking = (0..SLOTS).map(|at| {
            let ((backend, path), client, token) = (asked(at), &clients[at / EACH], &token);
            async move {
                let target = format!("/v1/secrets/{backend}/{path}");
                let of = (Method::GET, target.as_str());
                (path, self.gateway.ask_with(client, of, Some(token), Bytes::new()).await)
            }
        });
        let watching = async {
            self.server.reached(before + SLOTS).await;
            // No slot is left: whoever comes now is turned away, and that is said.
            let late = self.read("late", "neighbour", "app/text").await;
            assert_eq!(self.gateway.closing(&late)["code"], "backend_busy");
            let taken = free.saturating_sub(self.free());
            self.server.open_gate_for(SLOTS);
            taken
        };
        let (answers, taken) = futures_util::join!(join_all(asking), watching);
        answers.iter().for_each(|(path, answer)| self.ends_well(path, answer));
        taken
    }

    fn ends_well(&self, path: &str, answer: &Answer) {
        let code = self.gateway.closing(answer)["code"].clone();
        let value = answer.json["value"].as_str().unwrap_or_default();
        match path.split_once('/') {
            Some(("plant", end)) if end.starts_with("trap") => assert_eq!(code, "trap"),
            Some(("plant", _)) => assert_eq!(value, "planted", "{code}"),
            _ => assert_eq!(value, "clean", "{code}"),
        }
    }

    /// Reads beside the neighbour.
    async fn meets(&self, who: &str, (backend, path): (&str, &str), fate: Fate) {
        let tried = beside(&self.gateway, NEIGHBOUR, self.read(who, backend, path)).await;
        let met = tried.meets(&self.gateway, backend, fate);
        met.unwrap_or_else(|fault| panic!("{who} {backend}/{path}: {fault}"));
    }

    /// That somebody else finds nothing, at the same backend and at another one, nor has a handle.
    async fn finds_nothing(&self) {
        self.meets("bob", ("quick", &hunt(&[OF_THE_PATH, CREDENTIAL, TOLD])), Answered("clean"))
            .await;
        let all = hunt(&[OF_THE_PATH, CONFIDED, CREDENTIAL, TOLD]);
        self.meets("bob", ("right", &all), Answered("clean")).await;
        for handle in [1, 2, 3, 30, 90] {
            self.meets("bob", ("right", &format!("guess/{handle}")), Stopped("trap", 500)).await;
            self.meets("bob", ("right", "ok"), Answered("fine")).await;
        }
    }

    async fn administer(&self, path: &str, body: serde_json::Value) {
        let reply = admin(&self.gateway, "POST", path, &body.to_string()).await;
        assert_eq!(reply.status, 200, "{}", reply.json());
    }

    /// Memories that were used before and are free.
    fn free(&self) -> u32 {
        self.gateway.app.foundation.host.runtime().used_slots().expect("a pool").memories
    }
}

/// Lines of a backend that knows something.
const KNOWS: &str = "confided";

fn block(name: &str, version: &str, lines: &str, port: u16) -> String {
    let (told, credentials) = match lines.contains(KNOWS) {
        true => (
            format!("confided = \"{CONFIDED}\""),
            format!("[backends.{name}.credentials]\nbearer = \"file:credential\"\n"),
        ),
        false => (String::new(), String::new()),
    };
    let version =
        if version.is_empty() { String::new() } else { format!("version = \"{version}\"\n") };
    let limits = lines.trim_start_matches(KNOWS);
    format!(
        "[backends.{name}]\nplugin = \"hostile\"\n{version}limits = {{ {limits} }}\n\
         [backends.{name}.config]\nserver = \"http://server.test:{port}\"\n{told}\n{credentials}\
         [[backends.{name}.egress]]\nscheme = \"http\"\nhost = \"server.test\"\nport = {port}\n\
         methods = [\"GET\"]\naddresses = [\"127.0.0.0/8\"]\n"
    )
}

fn hunt(sought: &[&str]) -> String {
    let sought: Vec<_> = sought.iter().map(|secret| reversed(secret)).collect();
    format!("hunt/{}", sought.join("/"))
}

fn plant(end: &str) -> String {
    format!("plant/{end}/{OF_THE_PATH}")
}

#[tokio::test]
async fn nobody_finds_what_a_caller_left_in_any_slot_of_the_pool() {
    const LONG: &str = "cpu = \"20s\", timeout = \"90s\"";
    let known = format!("{KNOWS}{LONG}");
    let each = KINDS.iter().flat_map(|kind| (0..SLOTS / EACH).map(move |at| (kind, at)));
    let backends: Vec<_> = each
        .map(|((kind, version), at)| {
            let lines = if matches!(*kind, "left" | "trapped") { known.as_str() } else { LONG };
            (format!("{kind}-{at}"), *version, lines)
        })
        .collect();
    let scene = Scene::start(&backends, false).await;
    let (left, trapped) = (plant("answer"), plant("trap"));
    let of_the_caller = hunt(&[OF_THE_PATH, CREDENTIAL, TOLD]);
    let of_both = hunt(&[OF_THE_PATH, CONFIDED, CREDENTIAL, TOLD]);
    for (finder, sought) in [("left", &of_the_caller), ("right", &of_both), ("other", &of_both)] {
        let leaves = |at: usize| match finder == "right" && (at / EACH).is_multiple_of(2) {
            true => (format!("trapped-{}", at / EACH), trapped.as_str()),
            false => (format!("left-{}", at / EACH), left.as_str()),
        };
        scene.fill("alice", leaves).await;
        let finds = |at: usize| (format!("{finder}-{}", at / EACH), sought.as_str());
        let reused = scene.fill("bob", finds).await;
        assert_eq!(reused, u32::try_from(SLOTS).unwrap(), "{finder}: some ran where nobody had");
    }
    scene.gateway.stop().await;
}

#[tokio::test]
async fn nobody_finds_what_a_caller_left_however_its_call_ended() {
    let quick = format!("{KNOWS}cpu = \"500ms\", timeout = \"3s\"");
    let backends =
        [("quick".to_owned(), "", quick.as_str()), ("right".to_owned(), "", "cpu = \"2s\"")];
    let scene = Scene::start(&backends, true).await;
    scene.server.open_gate();
    for (end, fate) in [
        ("answer", Answered("planted")),
        ("trap", Stopped("trap", 500)),
        ("spin", Stopped("trap_cpu", 500)),
        ("hang", Stopped("plugin_deadline", 503)),
    ] {
        for _ in 0..3 {
            scene.meets("alice", ("quick", &plant(end)), fate).await;
            scene.finds_nothing().await;
        }
    }
    scene.gateway.stop().await;
}

#[tokio::test]
async fn nobody_finds_what_a_caller_left_before_or_while_its_component_was_swapped() {
    let known = format!("{KNOWS}cpu = \"5s\"");
    let backends =
        [("quick".to_owned(), "", known.as_str()), ("right".to_owned(), "", "cpu = \"5s\"")];
    let scene = Scene::start(&backends, true).await;
    let next = STANDARD.encode(versioned(built("hostile"), "0.1.1"));
    scene.administer("/v1/plugins", json!({ "component": next, "source": "next.wasm" })).await;
    let path = plant("answer");
    let leaving = scene.meets("alice", ("quick", &path), Answered("planted"));
    let swapping = async {
        scene.server.reached(1).await;
        let next = json!({ "component": "hostile@0.1.1" });
        scene.administer("/v1/backends/quick/activate", next).await;
        scene.server.open_gate();
        scene.finds_nothing().await;
    };
    futures_util::join!(leaving, swapping);
    scene.finds_nothing().await;
    scene.gateway.stop().await;
}
