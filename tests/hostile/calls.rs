//! The behaviours that no read reaches: listings and exchanges over the line; batches as the host makes
//! them.

use std::time::Duration;

use serde_json::json;
use symbolon_core::id::BackendName;
use symbolon_core::path::SecretPath;
use symbolon_host::{CallContext, Generation};

use super::scene::{NEIGHBOUR, Row, Scene};
use super::settings::TARGET;
use super::trial::Fate::{self, Answered, Stopped};
use super::trial::beside;
use crate::line::tokens::exchange;

impl Scene {
    fn generation(&self) -> std::sync::Arc<Generation> {
        let name = BackendName::parse("hostile").unwrap();
        self.gateway.app.line.world.load().dispatcher.catalog().find(&name).unwrap()
    }

    fn context(&self) -> CallContext {
        let foundation = &self.gateway.app.foundation;
        let request_id = foundation.ids.request(foundation.clock.now());
        let deadline = foundation.clock.elapsed() + Duration::from_secs(10);
        CallContext { request_id, deadline, on_behalf: None }
    }

    async fn names(&self, kind: &str) -> Vec<String> {
        let listed = self.read("hostile", &format!("{kind}/?list")).await;
        let names = listed.json["names"].as_array().unwrap();
        names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    }
}

fn assert_same(mut listed: Vec<String>, table: &[(&str, Fate)]) {
    let mut known: Vec<_> = table.iter().map(|(name, _)| (*name).to_owned()).collect();
    listed.sort();
    known.sort();
    assert_eq!(listed, known, "the table and the component do not name the same behaviours");
}

/// Every behaviour of `list`.
pub(super) const LISTINGS: &[(&str, Fate)] = &[
    // Names that are none are left out; a listing without end is one page at a time.
    ("endless", Answered("")),
    ("forged-names", Answered("")),
    ("too-long", Stopped("answer_listing", 502)),
    ("trapping", Stopped("trap", 500)),
];

#[tokio::test]
async fn every_hostile_listing_meets_its_fate() {
    let scene = Scene::start().await;
    assert_same(scene.names("list").await, LISTINGS);
    let row = |(name, fate): &(&str, Fate)| Row {
        backend: "hostile",
        path: format!("{name}/?list"),
        fate: *fate,
    };
    scene.walk(LISTINGS.iter().map(row)).await;
    for name in ["endless", "forged-names"] {
        let answer = scene.read("hostile", &format!("{name}/?list")).await;
        assert_eq!(answer.json["names"], json!([]), "{name}");
    }
    scene.gateway.stop().await;
}

/// Batches of the line are reads, each with its own record: `read-many` is called by the host's users
/// alone.
#[tokio::test]
async fn every_hostile_batch_meets_its_fate() {
    const TABLE: &[(&str, Fate)] = &[
        ("too-few", Stopped("answer_count", 502)),
        ("too-many", Stopped("answer_count", 502)),
        ("swapped", Stopped("answer_path", 502)),
    ];
    let scene = Scene::start().await;
    assert_same(scene.names("many").await, TABLE);
    for (name, fate) in TABLE {
        let (code, _) = fate.on_record();
        let asked: Vec<_> =
            [*name, "ok"].iter().map(|path| (SecretPath::parse(path).unwrap(), None)).collect();
        let outcome = scene.generation().read_many(&scene.context(), &asked).await;
        let codes: Vec<_> = match outcome {
            Err(error) => vec![error.code()],
            Ok(each) => {
                each.iter().map(|one| one.as_ref().err().map_or("ok", |e| e.code())).collect()
            }
        };
        assert!(codes.iter().all(|got| *got == code), "{name}: {codes:?}");
    }
    scene.gateway.stop().await;
}

/// Every behaviour of `exchange`.
pub(super) const EXCHANGES: &[(&str, Fate)] = &[
    ("ok", Answered("")),
    ("too-long", Stopped("answer_expiry", 502)),
    ("expired", Stopped("answer_expiry", 502)),
    ("kind-unknown", Stopped("answer_token", 502)),
    ("kind-host", Stopped("answer_token", 502)),
    ("kind-forged", Stopped("answer_token", 502)),
    ("token-forged", Stopped("answer_token", 502)),
    ("no-fields", Stopped("answer_token", 502)),
    ("huge-handle", Stopped("answer_handle", 502)),
    ("huge-token", Stopped("answer_size", 502)),
    ("echo-assertion", Stopped("plugin_internal", 500)),
    ("hand-on-assertion", Stopped("answer_token", 502)),
    // What is turned around cannot be known again; that the assertion ends soon limits it.
    ("reversed-assertion", Answered("")),
    ("attributes", Answered("")),
    ("with-handle", Answered("")),
    ("aws-undeclared", Stopped("answer_token", 502)),
    ("fetch", Answered("")),
    ("trap", Stopped("trap", 500)),
];

#[tokio::test]
async fn every_hostile_exchange_meets_its_fate() {
    let scene = Scene::start().await;
    assert_same(scene.names("exchange").await, EXCHANGES);
    let alice = scene.gateway.token("alice");
    let mut wrong = Vec::new();
    for (name, fate) in EXCHANGES {
        let form = [("audience", TARGET), ("scope", *name)];
        let attempt = beside(&scene.gateway, NEIGHBOUR, exchange(&scene.gateway, &alice, &form));
        if let Err(fault) = attempt.await.meets(&scene.gateway, TARGET, *fate) {
            wrong.push(format!("{name}: expected {fate:?}, {fault}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The head of every token that the gateway signs for a target.
    let forwards = scene.logs().matches("eyJ").count();
    assert_eq!(forwards, 0, "an assertion is in the log");
    scene.gateway.stop().await;
}
