//! Leases from the operator's side: seen, extended, ended one by one and by the thousand, forced; and
//! those that end with a lock, an epoch or a token.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use symbolon_core::id::LeaseId;
use symbolon_tests::harness::{Gateway, Setup};

use crate::attacks::wire::admin;

const ISSUER: &str = r#"
[backends.iss]
plugin = "issuer"

[backends.iss.roles.app]
ttl = "10m"
ttl_max = "30m"

[backends.iss.roles.sticky]
config = { revoke = "refuse" }
"#;

async fn gateway() -> Gateway {
    Gateway::start(Setup { blocks: ISSUER.to_owned(), ..Setup::default() }).await
}

/// The id of the lease of a new credential.
async fn issue(gateway: &Gateway, role: &str, token: &str) -> String {
    let path = format!("/v1/credentials/iss/{role}");
    let issued = gateway.ask(Method::POST, &path, Some(token), Bytes::new()).await;
    assert_eq!(issued.status, StatusCode::OK, "{:?}", issued.json);
    issued.json["lease"]["id"].as_str().expect("an id").to_owned()
}

async fn call(gateway: &Gateway, method: &str, path: &str, body: Value) -> Value {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let reply = admin(gateway, method, path, &body).await;
    assert_eq!(reply.status, 200, "{method} {path}: {:?}", reply.json());
    reply.json()
}

async fn shown(gateway: &Gateway, id: &str) -> Value {
    call(gateway, "GET", &format!("/v1/leases/{id}"), Value::Null).await
}

/// Waits until the ledger has the lease in `state`.
async fn until(gateway: &Gateway, lease: &str, state: &str) {
    let id = LeaseId::parse(lease).expect("an id");
    let looking = async {
        loop {
            let found = gateway.app.foundation.leases.find(id).await.expect("the ledger");
            if found.is_some_and(|lease| lease.state == state) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), looking).await.expect("the state is reached");
}

#[tokio::test]
async fn an_operator_sees_extends_and_ends_leases() {
    let gateway = gateway().await;
    let (alice, bob) = (gateway.token("alice"), gateway.token("bob"));
    let (first, other) = (issue(&gateway, "app", &alice).await, issue(&gateway, "app", &bob).await);
    let list = call(&gateway, "GET", "/v1/leases?scope=iss%2Fapp&limit=1", Value::Null).await;
    assert_eq!(list["leases"][0]["id"], json!(first));
    let next = format!("/v1/leases?scope=iss%2Fapp&after={}", list["next"].as_str().unwrap());
    assert_eq!(call(&gateway, "GET", &next, Value::Null).await["leases"][0]["id"], json!(other));
    let of_bob = "/v1/leases?scope=principal%3Atest%2Fbob";
    let of_bob = call(&gateway, "GET", of_bob, Value::Null).await;
    assert_eq!(of_bob["leases"].as_array().unwrap().len(), 1);
    assert_eq!(of_bob["leases"][0]["principal"], json!("test/bob"));

    let longer = format!("/v1/leases/{first}/renew");
    let renewed = call(&gateway, "POST", &longer, json!({ "ttl": 86_400 })).await;
    assert!(renewed["remaining_seconds"].as_u64().unwrap() > 1700, "{renewed}");
    assert!(renewed["expires_at"].as_str() <= renewed["ends_by"].as_str(), "{renewed}");

    let wish = json!({ "scope": "iss/app", "dry_run": true });
    let counted = call(&gateway, "POST", "/v1/leases:revoke", wish).await;
    assert_eq!(counted, json!({ "scope": "iss/app", "would_end": 2 }));
    assert_eq!(shown(&gateway, &first).await["state"], "active");

    call(&gateway, "POST", "/v1/leases:revoke", json!({ "lease": first })).await;
    until(&gateway, &first, "revoked").await;
    assert_eq!(shown(&gateway, &other).await["state"], "active");
    call(&gateway, "POST", "/v1/leases:revoke", json!({ "scope": "iss/" })).await;
    // From the answer on nothing of the scope is active, whether or not the order has reached it.
    assert_ne!(shown(&gateway, &other).await["state"], "active");
    until(&gateway, &other, "revoked").await;
    let ended = shown(&gateway, &other).await;
    assert_eq!((&ended["cause"], &ended["proof"]), (&json!("operator"), &json!("verified")));

    let report = call(&gateway, "GET", "/v1/leases:report", Value::Null).await;
    let row = &report["revocations"][0];
    assert_eq!((&row["backend"], &row["trigger"]), (&json!("iss"), &json!("operator")));
    assert_eq!((&row["duration"]["ended"], &row["verified"]), (&json!(2), &json!(2)));
    assert_eq!(report["counts"]["revoked"], json!(2));
    let status = call(&gateway, "GET", "/v1/leases:status", Value::Null).await;
    assert_eq!((&status["held"], &status["counts"]["active"]), (&Value::Null, &json!(0)));
    gateway.stop().await;
}

#[tokio::test]
async fn the_metrics_say_how_many_there_are_and_how_long_revocation_took() {
    let gateway = gateway().await;
    let lease = issue(&gateway, "app", &gateway.token("alice")).await;
    let line = |page: &str, name: &str, label: &str, value: &str| {
        let is_it = |line: &str| {
            line.starts_with(name) && line.contains(label) && line.ends_with(&format!(" {value}"))
        };
        assert!(page.lines().any(is_it), "{name} {label} {value}\n{page}");
    };
    let page = gateway.metrics();
    line(&page, "symbolon_lease_count", "state=\"active\"", "1");
    line(&page, "symbolon_lease_held", "", "0");
    call(&gateway, "POST", "/v1/leases:revoke", json!({ "lease": lease })).await;
    until(&gateway, &lease, "revoked").await;
    let took = "symbolon_lease_revocation_duration_seconds_count";
    // Measured after it is written down.
    let measured = async {
        while !gateway.metrics().contains("phase=\"verified\"") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), measured).await.expect("a measurement");
    let page = gateway.metrics();
    line(&page, "symbolon_lease_count", "state=\"active\"", "0");
    line(&page, "symbolon_lease_count", "state=\"revoked\"", "1");
    for phase in ["gateway", "backend", "verified"] {
        line(&page, took, &format!("phase=\"{phase}\""), "1");
    }
    line(&page, "symbolon_lease_revocation_attempts_total", "outcome=\"ended\"", "1");
    gateway.stop().await;
}

#[tokio::test]
async fn a_lock_and_an_epoch_end_the_leases_of_whom_they_concern() {
    let gateway = gateway().await;
    let (alice, bob) = (gateway.token("alice"), gateway.token("bob"));
    let (hers, his) = (issue(&gateway, "app", &alice).await, issue(&gateway, "app", &bob).await);
    let whom = json!({ "principal": "test/alice", "reason": "stolen" });
    call(&gateway, "POST", "/v1/locks", whom).await;
    assert_ne!(shown(&gateway, &hers).await["state"], "active");
    until(&gateway, &hers, "revoked").await;
    assert_eq!(shown(&gateway, &hers).await["cause"], "cascade");
    assert_eq!(shown(&gateway, &his).await["state"], "active");
    call(&gateway, "POST", "/v1/sessions:revoke", json!({ "everybody": true })).await;
    until(&gateway, &his, "revoked").await;
    // What is over does not come back with the lock undone.
    call(&gateway, "DELETE", "/v1/locks", json!({ "principal": "test/alice" })).await;
    assert_eq!(shown(&gateway, &hers).await["state"], "revoked");
    gateway.stop().await;
}

#[tokio::test]
async fn the_leases_of_one_token_end_and_the_token_is_nowhere() {
    let gateway = gateway().await;
    let (leaked, other) = (gateway.token("alice"), gateway.token("bob"));
    let (gone, stays) =
        (issue(&gateway, "app", &leaked).await, issue(&gateway, "app", &other).await);
    let answer = call(&gateway, "POST", "/v1/leases:revoke", json!({ "token": leaked })).await;
    assert_eq!(answer["scope"], "token");
    until(&gateway, &gone, "revoked").await;
    assert_eq!(shown(&gateway, &stays).await["state"], "active");
    let log = json!(gateway.audit()).to_string();
    let signature = leaked.rsplit('.').next().unwrap();
    assert!(!log.contains(signature) && !log.contains(&leaked), "the token is on record");
    gateway.stop().await;
}

#[tokio::test]
async fn what_the_backend_never_ends_is_tried_until_an_operator_answers_for_it() {
    let gateway = gateway().await;
    let lease = issue(&gateway, "sticky", &gateway.token("alice")).await;
    let force = format!("/v1/leases/{lease}/force");
    let reason = json!({ "reason": "the server was scrapped" });
    let early = admin(&gateway, "POST", &force, &reason.to_string()).await;
    assert_eq!(early.status, 409, "an active lease is not forced");
    call(&gateway, "POST", "/v1/leases:revoke", json!({ "lease": lease })).await;
    let tried = async { while shown(&gateway, &lease).await["attempts"].as_u64() < Some(1) {} };
    tokio::time::timeout(Duration::from_secs(30), tried).await.expect("an attempt");
    let report = call(&gateway, "GET", "/v1/leases:report", Value::Null).await;
    assert_eq!(report["oldest"]["lease"], json!(lease));
    assert_eq!(report["revocations"][0]["duration"]["p50"]["or_longer"], json!(true));
    let forced = call(&gateway, "POST", &force, reason).await;
    assert_eq!((&forced["state"], &forced["proof"]), (&json!("revoked"), &json!("forced")));
    let events = gateway.audit();
    let event = events.iter().rfind(|line| line["operation"] == "lease.force").unwrap();
    assert_eq!(event["object"], json!(lease));
    assert!(event.to_string().contains("the server was scrapped"), "{event}");
    let report = call(&gateway, "GET", "/v1/leases:report", Value::Null).await;
    assert_eq!(report["revocations"][0]["forced"], json!(1));
    gateway.stop().await;
}
