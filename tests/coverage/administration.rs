//! Every operation of the admin socket, permitted and forbidden, and what is on record of it.

use serde_json::{Value, json};
use symbolon::admin::{ROUTES, UNKNOWN};
use symbolon_tests::harness::{Gateway, Setup};

use crate::attacks::DEMO;
use crate::attacks::wire::admin;

const FORBIDDEN: &str = r#"
@id("test-permits-all")
permit (principal in Issuer::"test", action, resource);
@id("nobody-operates")
forbid (principal is Admin, action == Action::"administer", resource);
"#;

/// A body with which the operation is well formed.
fn body(operation: &str) -> &'static str {
    match operation {
        "lock" | "unlock" | "revoke-sessions" => r#"{"principal":"test/bob"}"#,
        "audit.hash" => r#"{"value":"a"}"#,
        "lease.revoke" => r#"{"scope":"demo/"}"#,
        "lease.force" => r#"{"reason":"it is gone"}"#,
        "issuer.test" => r#"{"token":"a.b.c"}"#,
        "plugin.install" => r#"{"component":"AGFzbQ==","source":"a.wasm"}"#,
        "plugin.remove" | "plugin.release" => r#"{"component":"nothing@0.0.0"}"#,
        "backend.activate" => r#"{"component":"static@0.1.0"}"#,
        _ => "",
    }
}

/// A path of the route that names something.
fn named(path: &str) -> String {
    path.replace("{lease}", "01JBX7K2M9P4QRSTVWXYZ01234")
        .replace("{backend}", "demo")
        .replace("{issuer}", "test")
        .replace("{component}", "nothing@0.0.0")
}

/// What a gateway answers that has no leases, and no backend that issues.
fn expected(operation: &str) -> (u16, &'static str) {
    match operation {
        "lease.show" | "lease.renew" | "lease.force" => (400, "lease_unknown"),
        "backend.reconcile" => (404, "plugin_lacks_interface"),
        "backend.rotate-root" => (400, "not_rotatable"),
        "backend.rollback" => (409, "no_previous"),
        "plugin.install" => (409, "plugin_not_component"),
        "plugin.inspect" | "plugin.grants" | "plugin.remove" => (400, "component_unknown"),
        "plugin.release" => (400, "not_quarantined"),
        _ => (200, "done"),
    }
}

const CHANGING: [&str; 15] = [
    "reload",
    "lock",
    "unlock",
    "revoke-sessions",
    "keys.rotate",
    "lease.revoke",
    "lease.renew",
    "lease.force",
    "lease.resume",
    "backend.rotate-root",
    "backend.activate",
    "backend.rollback",
    "plugin.install",
    "plugin.remove",
    "plugin.release",
];

const WITH_OBJECT: [&str; 19] = [
    "plugin.inspect",
    "plugin.grants",
    "lock",
    "unlock",
    "revoke-sessions",
    "lease.ls",
    "lease.show",
    "lease.renew",
    "lease.revoke",
    "lease.force",
    "backend.probe",
    "backend.reconcile",
    "backend.rotate-root",
    "issuer.show",
    "backend.activate",
    "backend.rollback",
    "plugin.install",
    "plugin.remove",
    "plugin.release",
];

fn events(gateway: &Gateway, operation: &str) -> Vec<Value> {
    let lines = gateway.audit().into_iter();
    let is_it = |line: &Value| line["kind"] == "admin" && line["operation"] == operation;
    let of_peer =
        |line: &Value| line["administrator"].as_str().is_some_and(|a| a.starts_with("uid:"));
    lines.filter(|line| is_it(line) && of_peer(line)).collect()
}

#[tokio::test]
async fn every_operation_that_policy_forbids_is_denied_and_recorded() {
    let setup =
        Setup { blocks: DEMO.to_owned(), policies: Some(FORBIDDEN.to_owned()), ..Setup::default() };
    let gateway = Gateway::start(setup).await;
    let before = admin_state(&gateway);
    for (method, path, name) in ROUTES {
        let reply = admin(&gateway, method, &named(path), body(name)).await;
        assert_eq!((reply.status, reply.code()), (403, "denied".to_owned()), "{name}");
        let events = events(&gateway, name);
        assert_eq!(events.len(), 1, "{name}: {events:?}");
        assert_eq!(events[0]["outcome"], "deny", "{name}");
        assert_eq!(
            events[0]["administrator"],
            format!("uid:{}", rustix::process::geteuid().as_raw())
        );
    }
    assert_eq!(before, admin_state(&gateway), "a denied operation changes nothing");
    gateway.stop().await;
}

/// What operations could have changed.
fn admin_state(gateway: &Gateway) -> (Vec<String>, usize) {
    let keys = gateway.app.foundation.keyring.status();
    let locks = gateway.app.foundation.barriers.snapshot().locks().count();
    (keys.iter().map(|key| key.id.clone()).collect(), locks)
}

#[tokio::test]
async fn every_operation_is_recorded_and_those_that_change_something_also_before() {
    let gateway = Gateway::start(Setup { blocks: DEMO.to_owned(), ..Setup::default() }).await;
    for (method, path, name) in ROUTES {
        let reply = admin(&gateway, method, &named(path), body(name)).await;
        let (status, code) = expected(name);
        assert_eq!(reply.status, status, "{name}: {:?}", reply.json());
        let events = events(&gateway, name);
        let codes: Vec<_> = events.iter().map(|event| event["code"].clone()).collect();
        match CHANGING.contains(&name) {
            true => assert_eq!(codes, [json!("begun"), json!(code)], "{name}"),
            false => assert_eq!(codes, [json!(code)], "{name}"),
        }
        let outcome = if status == 200 { "allow" } else { "error" };
        assert_eq!(events.last().map(|event| event["outcome"].clone()), Some(json!(outcome)));
        assert_eq!(events[0].get("object").is_some(), WITH_OBJECT.contains(&name), "{name}");
    }
    // The value whose hash was asked for is on no line.
    let text = json!(events(&gateway, "audit.hash")).to_string();
    assert!(!text.contains("\"value\""), "{text}");
    gateway.stop().await;
}

#[tokio::test]
async fn what_is_no_operation_is_refused_with_an_explanation() {
    let gateway = Gateway::start(Setup { blocks: DEMO.to_owned(), ..Setup::default() }).await;
    for (method, path, body, status) in [
        ("POST", "/v1/status", "", 404),
        ("GET", "/v1/secrets/demo/app/text", "", 404),
        ("GET", "/v1/../v1/status", "", 404),
        ("POST", "/v1/locks", "", 400),
        ("POST", "/v1/locks", r#"{"everybody":true}"#, 400),
        ("POST", "/v1/locks", r#"{"principal":"test/a","issuer":"test"}"#, 400),
        ("POST", "/v1/locks", r#"{"principal":"test/a","until":"noon"}"#, 400),
        ("POST", "/v1/locks", r#"{"principal":"tset/a"}"#, 400),
        ("POST", "/v1/sessions:revoke", r#"{"issuer":"tset"}"#, 400),
        ("POST", "/v1/sessions:revoke", "{}", 400),
    ] {
        let reply = admin(&gateway, method, path, body).await;
        assert_eq!(reply.status, status, "{method} {path} {body}");
        assert!(reply.json()["detail"].is_string(), "{method} {path}");
    }
    // Two of them are operations, on an issuer that is not registered.
    let shown = |event: &Value| (event["code"].clone(), event["object"].clone());
    let unknown: Vec<_> = events(&gateway, UNKNOWN).iter().map(shown).collect();
    assert_eq!(unknown.len(), 8, "{unknown:?}");
    assert_eq!(unknown[0], (json!("no_route"), json!("POST /v1/status")));
    assert_eq!(unknown[3], (json!("malformed"), json!("POST /v1/locks")));
    gateway.stop().await;
}

#[tokio::test]
async fn a_call_that_cannot_be_read_is_recorded_once_and_small() {
    let gateway = Gateway::start(Setup { blocks: DEMO.to_owned(), ..Setup::default() }).await;
    let large = "x".repeat(300 << 10);
    assert_eq!(admin(&gateway, "POST", "/v1/locks", &large).await.status, 400);
    let path = format!("/{}", "%20".repeat(5000));
    assert_eq!(admin(&gateway, "GET", &path, "").await.status, 404);
    let principal = json!({ "principal": format!("test/{}", "x".repeat(100_000)) }).to_string();
    assert_eq!(admin(&gateway, "POST", "/v1/locks", &principal).await.status, 400);
    let events = events(&gateway, UNKNOWN);
    let codes: Vec<_> = events.iter().map(|event| event["code"].clone()).collect();
    assert_eq!(codes, [json!("malformed"), json!("no_route"), json!("malformed")]);
    assert!(events.iter().all(|event| event["outcome"] == "error"));
    assert!(events.iter().all(|event| event.to_string().len() < 1024), "{events:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn who_may_not_operate_does_not_learn_what_there_is() {
    let setup =
        Setup { blocks: DEMO.to_owned(), policies: Some(FORBIDDEN.to_owned()), ..Setup::default() };
    let gateway = Gateway::start(setup).await;
    for (path, body) in [("/v1/nowhere", ""), ("/v1/locks", "{"), ("/v1/locks", "{}")] {
        let reply = admin(&gateway, "POST", path, body).await;
        assert_eq!((reply.status, reply.code()), (403, "denied".to_owned()), "{path} {body}");
    }
    let events = events(&gateway, UNKNOWN);
    assert_eq!(events.len(), 3);
    assert!(events.iter().all(|event| event["outcome"] == "deny"), "{events:?}");
    gateway.stop().await;
}
