//! What a database holds with our mark and no lease: found, and ended on demand.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use symbolon_tests::harness::postgres::{Postgres, Version};
use symbolon_tests::harness::{Gateway, Setup};

use crate::attacks::wire::admin;

const ROLES: [(&str, &str); 1] = [("reader", "config = { member_of = \"app_readonly\" }")];

/// The name of a user that the gateway issues.
async fn issue(gateway: &Gateway) -> String {
    let (path, token) = ("/v1/credentials/db/reader", gateway.token("alice"));
    let issued = gateway.ask(Method::POST, path, Some(&token), Bytes::new()).await;
    assert_eq!(issued.status, StatusCode::OK, "{:?}", issued.json);
    issued.json["fields"]["username"].as_str().expect("a name").to_owned()
}

async fn reconcile(gateway: &Gateway, remove: bool) -> Value {
    let body = json!({ "remove": remove }).to_string();
    let reply = admin(gateway, "POST", "/v1/backends/db/reconcile", &body).await;
    assert_eq!(reply.status, 200, "{:?}", reply.json());
    reply.json()
}

#[tokio::test]
async fn users_without_a_lease_are_found_and_only_they_are_ended() {
    let server = Postgres::start(Version::V15).await;
    let blocks = server.blocks("db", &ROLES);
    let setup = || Setup { blocks: blocks.clone(), ..Setup::default() };
    // A gateway whose store is lost leaves a user behind.
    let lost = Gateway::start(setup()).await;
    let stray = issue(&lost).await;
    drop(lost.stop().await);

    let gateway = Gateway::start(setup()).await;
    let probe = admin(&gateway, "POST", "/v1/backends/db/probe", "").await;
    assert_eq!((probe.status, &probe.json()["usable"]), (200, &json!(true)), "{:?}", probe.json());
    let leased = issue(&gateway).await;
    let found = reconcile(&gateway, false).await;
    assert_eq!((&found["leased"], &found["without_lease"]), (&json!(1), &json!(1)), "{found}");
    assert!(stray.ends_with(&found["ids"][0].as_str().unwrap().to_lowercase()), "{found}");
    assert!(server.has_role(&stray).await, "listing ends nothing");

    let removed = reconcile(&gateway, true).await;
    assert_eq!((&removed["removed"], &removed["without_lease"]), (&json!(1), &json!(0)));
    assert!(!server.has_role(&stray).await);
    assert!(server.has_role(&leased).await, "what has a lease stays");
    assert_eq!(reconcile(&gateway, true).await["removed"], json!(0));
    gateway.stop().await;
}
