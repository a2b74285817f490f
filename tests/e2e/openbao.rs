//! Secrets of a real OpenBao, logged in to with the gateway's own assertions.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use symbolon::time::SystemClock;
use symbolon_core::clock::{Clock, ManualClock};
use symbolon_tests::harness::{Answer, Gateway, ORIGIN, Setup};

use super::parts::{Bao, Provider};
use crate::attacks::wire::admin;

/// A gateway before a store, and the store believes it. `clock` stands still until moved.
struct Scene {
    bao: Bao,
    gateway: Gateway,
    clock: Arc<ManualClock>,
    token: String,
}

impl Scene {
    async fn start() -> Self {
        Self::as_role("gateway").await
    }

    async fn as_role(role: &str) -> Self {
        let bao = Bao::start().await;
        let clock = Arc::new(ManualClock::at(SystemClock::start().now()));
        let setup =
            Setup { blocks: bao.blocks(role), clock: Some(clock.clone()), ..Setup::default() };
        let gateway = Gateway::start(setup).await;
        bao.trust(&gateway).await;
        bao.put("app/db", &json!({ "user": "u", "password": "first" })).await;
        let token = gateway.token("alice");
        Self { bao, gateway, clock, token }
    }

    async fn read(&self, path: &str) -> Answer {
        self.gateway.get(&format!("/v1/secrets/kv/{path}"), &self.token).await
    }

    /// What a read answers: the status, and the code on record.
    async fn outcome(&self, path: &str) -> (StatusCode, String) {
        let answer = self.read(path).await;
        let code = self.gateway.closing(&answer)["code"].as_str().expect("a code").to_owned();
        (answer.status, code)
    }
}

fn same_but_for_the_request(answers: &[Answer]) -> bool {
    let shape = |answer: &Answer| {
        let mut json = answer.json.clone();
        json["request_id"] = Value::Null;
        (answer.status, json)
    };
    answers.windows(2).all(|pair| matches!(pair, [a, b] if shape(a) == shape(b)))
}

#[tokio::test]
async fn a_token_of_a_real_issuer_reads_a_secret_of_a_real_store() {
    let (bao, provider) = tokio::join!(Bao::start(), Provider::start());
    let policies = r#"@id("workload-reads")
        permit (principal in Issuer::"idp", action == Action::"read", resource in Folder::"kv/app")
        when { principal has oidc.client && principal.oidc.client == "workload" };"#;
    let setup = Setup {
        blocks: format!("{}{}", provider.blocks(), bao.blocks("gateway")),
        policies: Some(policies.to_owned()),
        ..Setup::default()
    };
    let gateway = Gateway::start(setup).await;
    bao.trust(&gateway).await;
    bao.put("app/db", &json!({ "user": "u", "password": "p", "port": 5432 })).await;

    let workload = provider.token("workload").await;
    let read = gateway.get("/v1/secrets/kv/app/db", &workload).await;
    assert_eq!(read.status, StatusCode::OK, "{:?}", read.json);
    assert_eq!(read.json["fields"], json!({ "user": "u", "password": "p", "port": "5432" }));
    assert_eq!((&read.json["path"], &read.json["version"]), (&json!("app/db"), &json!("1")));
    let closing = gateway.closing(&read);
    assert_eq!(
        (&closing["code"], &closing["policies"]),
        (&json!("ok"), &json!(["workload-reads"]))
    );
    assert_eq!(bao.logins().await.len(), 1, "the store was logged in to by an assertion");

    let stranger = provider.token("stranger").await;
    let denied = gateway.get("/v1/secrets/kv/app/db", &stranger).await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN, "{:?}", denied.json);
    assert_eq!(gateway.closing(&denied)["code"], "no_rule");

    let elsewhere = provider.token_for("workload", "https://other.example.test").await;
    let refused = gateway.get("/v1/secrets/kv/app/db", &elsewhere).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{:?}", refused.json);
    gateway.stop().await;
}

#[tokio::test]
async fn versions_are_told_apart_and_names_listed() {
    let scene = Scene::start().await;
    scene.bao.put("app/db", &json!({ "password": "second" })).await;
    scene.bao.put("app/below/it", &json!({ "k": "v" })).await;
    for (query, version, password) in
        [("", "2", "second"), ("?version=1", "1", "first"), ("?version=2", "2", "second")]
    {
        let answer = scene.read(&format!("app/db{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {:?}", answer.json);
        assert_eq!(answer.json["version"], version, "{query}");
        assert_eq!(answer.json["fields"]["password"], password, "{query}");
    }
    assert_eq!(scene.outcome("app/db?version=x").await.1, "plugin_invalid_request");
    let listing = scene.read("app/?list").await;
    assert_eq!(listing.json["names"], json!(["below/", "db"]), "{:?}", listing.json);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn ways_of_not_being_there_answer_alike_and_are_recorded_apart() {
    let scene = Scene::start().await;
    for version in 2..=3 {
        scene.bao.put("app/db", &json!({ "version": version })).await;
    }
    let versions = |number: u64| json!({ "versions": [number] });
    scene.bao.expect(Method::POST, "/v1/secret/delete/app/db", &versions(1)).await;
    scene.bao.expect(Method::PUT, "/v1/secret/destroy/app/db", &versions(2)).await;
    let mut answers = Vec::new();
    for (path, code) in [
        ("app/db?version=1", "deleted"),
        ("app/db?version=2", "destroyed"),
        ("app/db?version=9", "absent"),
        ("app/never", "absent"),
    ] {
        let answer = scene.read(path).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(scene.gateway.closing(&answer)["code"], code, "{path}");
        answers.push(answer);
    }
    assert!(same_but_for_the_request(&answers), "{answers:?}");
    assert_eq!(scene.read("app/db").await.status, StatusCode::OK);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn many_reads_at_once_log_in_once() {
    let scene = Arc::new(Scene::start().await);
    let mut reads = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let scene = scene.clone();
        reads.spawn(async move { scene.read("app/db").await.status });
    }
    let statuses = reads.join_all().await;
    assert!(statuses.iter().all(|status| *status == StatusCode::OK), "{statuses:?}");
    assert_eq!(scene.bao.logins().await.len(), 1);
}

#[tokio::test]
async fn a_token_revoked_behind_our_back_is_replaced_once_a_minute() {
    let scene = Scene::start().await;
    let refused = (StatusCode::BAD_GATEWAY, "plugin_permission_denied".to_owned());
    assert_eq!(scene.read("app/db").await.status, StatusCode::OK);
    scene.bao.revoke_logins().await;
    assert_eq!(scene.bao.logins().await.len(), 0);
    assert_eq!(scene.outcome("app/db").await, refused);
    assert_eq!(scene.read("app/db").await.status, StatusCode::OK);
    assert_eq!(scene.bao.logins().await.len(), 1);
    // A 403 is also what a caller gets who asks for a path that the role may not read: if every one
    // of them made a new login, a caller could hammer the store with logins.
    scene.bao.revoke_logins().await;
    for _ in 0..3 {
        assert_eq!(scene.outcome("app/db").await, refused);
    }
    assert_eq!(scene.bao.logins().await.len(), 0);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_store_that_is_away_is_unavailable_and_comes_back() {
    let mut scene = Scene::start().await;
    let unavailable = |code: &str| (StatusCode::SERVICE_UNAVAILABLE, code.to_owned());
    let fine = (StatusCode::OK, "ok".to_owned());
    // Before the first login and after it, what is away is another thing: target or backend.
    for _ in 0..2 {
        scene.bao.stop();
        assert_eq!(scene.outcome("app/db").await, unavailable("plugin_unavailable"));
        let mut code = String::new();
        for _ in 0..20 {
            code = scene.outcome("app/db").await.1;
        }
        assert_eq!(code, "backend_breaker_open");
        scene.bao.resume().await;
        assert_eq!(scene.outcome("app/db").await, unavailable("backend_breaker_open"));
        scene.clock.advance(Duration::from_secs(11));
        assert_eq!(scene.outcome("app/db").await, fine);
    }
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_sealed_store_is_unavailable_until_it_is_opened() {
    let mut scene = Scene::start().await;
    assert_eq!(scene.read("app/db").await.status, StatusCode::OK);
    scene.bao.seal().await;
    let sealed = (StatusCode::SERVICE_UNAVAILABLE, "plugin_unavailable".to_owned());
    assert_eq!(scene.outcome("app/db").await, sealed);
    scene.bao.stop();
    scene.bao.resume().await;
    assert_eq!(scene.read("app/db").await.status, StatusCode::OK);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_role_that_may_not_is_the_operators_fault_not_the_callers() {
    let scene = Scene::as_role("powerless").await;
    scene.bao.role("powerless", &[]).await;
    let refused = scene.read("app/db").await;
    assert_eq!(refused.status, StatusCode::BAD_GATEWAY);
    assert_eq!(scene.gateway.closing(&refused)["code"], "plugin_permission_denied");
    assert!(!refused.json.to_string().contains("permission"), "{:?}", refused.json);
    for _ in 0..20 {
        scene.read("app/db").await;
    }
    assert!(scene.bao.logins().await.len() <= 2, "refused reads do not cause login after login");
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_login_that_is_refused_is_the_operators_fault_not_the_callers() {
    let scene = Scene::as_role("nobody").await;
    let refused = scene.read("app/db").await;
    assert_eq!(refused.status, StatusCode::BAD_GATEWAY, "{:?}", scene.gateway.closing(&refused));
    assert_eq!(scene.gateway.closing(&refused)["code"], "plugin_invalid_config");
    scene.gateway.stop().await;
}

#[tokio::test]
async fn nothing_in_the_configuration_opens_the_store() {
    let scene = Scene::start().await;
    assert_eq!(scene.read("app/db").await.status, StatusCode::OK);
    let file = scene.gateway.directory.path().join("symbolon.toml");
    let config = std::fs::read_to_string(file).expect("symbolon.toml");
    let secrets = ["file:", "env:", "credential:"].map(|kind| config.matches(kind).count());
    assert_eq!(secrets, [2, 0, 0], "the listener's key and the seal's, and no other: {config}");
    assert!(config.contains(ORIGIN) && !config.contains("hvs."));
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_global_epoch_ends_what_the_gateway_holds_too() {
    let scene = Scene::start().await;
    assert_eq!(scene.read("app/db").await.status, StatusCode::OK);
    let everybody = r#"{"everybody":true}"#;
    let raised = admin(&scene.gateway, "POST", "/v1/sessions:revoke", everybody).await;
    assert_eq!(raised.status, 200);
    scene.clock.advance(Duration::from_secs(1));
    let token = scene.gateway.token("alice");
    for _ in 0..2 {
        let read = scene.gateway.get("/v1/secrets/kv/app/db", &token).await;
        assert_eq!(read.status, StatusCode::OK, "{:?}", scene.gateway.closing(&read));
    }
    assert_eq!(scene.bao.logins().await.len(), 2, "one before, and one after");
    scene.gateway.stop().await;
}
