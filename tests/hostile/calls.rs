//! The behaviours that no read reaches: listings over the line; batches and exchanges as the
//! gateway's own parts make them.

use std::time::Duration;

use serde_json::json;
use symbolon_core::id::BackendName;
use symbolon_core::path::SecretPath;
use symbolon_core::secret::Secret;
use symbolon_host::answer::ExchangeRequest;
use symbolon_host::{CallContext, Generation};

use super::scene::Scene;

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

fn assert_same(mut listed: Vec<String>, table: &[(&str, &str)]) {
    let mut known: Vec<_> = table.iter().map(|(name, _)| (*name).to_owned()).collect();
    listed.sort();
    known.sort();
    assert_eq!(listed, known, "the table and the component do not name the same behaviours");
}

#[tokio::test]
async fn every_hostile_listing_meets_its_fate() {
    const TABLE: &[(&str, &str)] = &[
        ("endless", "ok"),
        ("forged-names", "ok"),
        ("too-long", "answer_listing"),
        ("trapping", "trap"),
    ];
    let scene = Scene::start().await;
    assert_same(scene.names("list").await, TABLE);
    for (name, code) in TABLE {
        let answer = scene.read("hostile", &format!("{name}/?list")).await;
        assert_eq!(scene.gateway.closing(&answer)["code"], *code, "{name}: {:?}", answer.json);
        if *code == "ok" {
            // Names that are none are left out; a listing without end is one page at a time.
            assert_eq!(answer.json["names"], json!([]), "{name}");
        } else {
            let labels = ["operation=\"list\"", &format!("error_type=\"{code}\"")];
            assert!(scene.counted("symbolon_backend_request_duration", &labels), "{name}");
        }
        scene.is_well("hostile").await;
    }
    scene.gateway.stop().await;
}

#[tokio::test]
async fn every_hostile_batch_meets_its_fate() {
    const TABLE: &[(&str, &str)] =
        &[("too-few", "answer_count"), ("too-many", "answer_count"), ("swapped", "answer_path")];
    let scene = Scene::start().await;
    assert_same(scene.names("many").await, TABLE);
    for (name, code) in TABLE {
        let asked: Vec<_> =
            [*name, "ok"].iter().map(|path| (SecretPath::parse(path).unwrap(), None)).collect();
        let outcome = scene.generation().read_many(&scene.context(), &asked).await;
        let codes: Vec<_> = match outcome {
            Err(error) => vec![error.code()],
            Ok(each) => {
                each.iter().map(|one| one.as_ref().err().map_or("ok", |e| e.code())).collect()
            }
        };
        assert!(codes.iter().all(|got| got == code), "{name}: {codes:?}");
    }
    scene.gateway.stop().await;
}

#[tokio::test]
async fn every_hostile_exchange_meets_its_fate() {
    const ASSERTION: &str = "assertion-that-nobody-may-read-4711";
    const TABLE: &[(&str, &str)] = &[
        ("ok", "ok"),
        ("too-long", "answer_expiry"),
        ("expired", "answer_expiry"),
        ("kind-unknown", "answer_token"),
        ("kind-host", "answer_token"),
        ("kind-forged", "answer_token"),
        ("token-forged", "answer_token"),
        ("no-fields", "answer_token"),
        ("huge-handle", "answer_handle"),
        ("huge-token", "answer_size"),
        ("echo-assertion", "plugin_internal"),
        ("hand-on-assertion", "answer_token"),
        // What is turned around cannot be known again; that the assertion ends soon limits it.
        ("reversed-assertion", "ok"),
        ("attributes", "ok"),
        ("with-handle", "ok"),
        ("aws-undeclared", "ok"),
        ("fetch", "ok"),
        ("trap", "trap"),
    ];
    let scene = Scene::start().await;
    assert_same(scene.names("exchange").await, TABLE);
    let mut wrong = Vec::new();
    for (name, code) in TABLE {
        let request = ExchangeRequest {
            assertion: Secret::new(ASSERTION.as_bytes().to_vec()),
            scopes: vec![(*name).to_owned()],
            ttl: Duration::from_secs(60),
            attributes: Vec::new(),
            metadata: Vec::new(),
        };
        let outcome = scene.generation().exchange(&scene.context(), &request).await;
        let got = outcome.as_ref().err().map_or("ok", |error| error.code());
        if got != *code {
            wrong.push(format!("{name}: {got}, expected {code}"));
        }
        let said = outcome.err().and_then(|error| error.fault().map(|fault| format!("{fault:?}")));
        assert!(!said.unwrap_or_default().contains(ASSERTION), "{name}");
        scene.is_well("hostile").await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!scene.logs().contains(ASSERTION));
    scene.gateway.stop().await;
}
