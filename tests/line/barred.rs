//! A lock or an epoch reaches what is under way already.

use std::sync::Arc;

use http::StatusCode;
use symbolon_tests::harness::{Gateway, Setup};

use super::tokens::exchange;
use crate::attacks::wire::admin;
use crate::crash::gate;
use crate::hostile::upstream::Upstream;

/// Reads from a backend that waits, bars the reader by `call` meanwhile, and answers the code on
/// record of it.
async fn barred_by(path: &str, body: &str, status: u16) -> String {
    let server = Upstream::start().await;
    let setup = Setup { blocks: gate(server.address.port()), ..Setup::default() };
    let gateway = Arc::new(Gateway::start(setup).await);
    let token = gateway.token("alice");
    let (reader, bearer) = (gateway.clone(), token.clone());
    let reading = tokio::spawn(async move { reader.get("/v1/secrets/gate/fetch", &bearer).await });
    server.reached(1).await;
    assert_eq!(admin(&gateway, "POST", path, body).await.status, 200);
    server.open_gate();
    let answer = reading.await.expect("an answer");
    assert_eq!(answer.status, status, "{:?}", answer.json);
    let closing = gateway.closing(&answer);
    assert_eq!(closing["outcome"], "deny");
    Arc::into_inner(gateway).expect("the last").stop().await;
    closing["code"].as_str().expect("a code").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_not_answered_to_whom_was_barred_meanwhile() {
    for (path, body, status, code) in [
        ("/v1/locks", r#"{"principal":"test/alice"}"#, 403, "locked_principal"),
        ("/v1/locks", r#"{"issuer":"test"}"#, 403, "locked_issuer"),
        // Whoever shows a newer token is let in again.
        ("/v1/sessions:revoke", r#"{"everybody":true}"#, 401, "epoch_global"),
    ] {
        assert_eq!(barred_by(path, body, status).await, code);
    }
}

/// A target whose component waits for its server.
fn slow(port: u16) -> String {
    format!(
        r#"
[targets.slow]
plugin = "hostile"
audience = "https://slow.example.test"
subject = "caller"
scopes = ["fetch"]
config = {{ server = "http://127.0.0.1:{port}/gate" }}
[[targets.slow.egress]]
scheme = "http"
host = "127.0.0.1"
port = {port}
methods = ["GET"]
addresses = ["127.0.0.0/8"]
"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_targets_token_is_not_handed_to_whom_was_barred_meanwhile() {
    let server = Upstream::start().await;
    let blocks = slow(server.address.port());
    let gateway = Arc::new(Gateway::start(Setup { blocks, ..Setup::default() }).await);
    let token = gateway.token("alice");
    let (asker, subject) = (gateway.clone(), token.clone());
    let asking =
        tokio::spawn(async move { exchange(&asker, &subject, &[("audience", "slow")]).await });
    server.reached(1).await;
    let whom = r#"{"principal":"test/alice"}"#;
    assert_eq!(admin(&gateway, "POST", "/v1/locks", whom).await.status, 200);
    server.open_gate();
    let answer = asking.await.expect("an answer");
    assert!(answer.json.get("access_token").is_none(), "{:?}", answer.json);
    // The order to end its leases may have reached the reservation first.
    let code = gateway.closing(&answer)["code"].clone();
    let told = (answer.status, code.as_str().unwrap_or_default());
    let either =
        [(StatusCode::BAD_REQUEST, "locked_principal"), (StatusCode::CONFLICT, "lease_ending")];
    assert!(either.contains(&told), "{told:?}");
    let listed = admin(&gateway, "GET", "/v1/leases", "").await.json();
    let states = listed["leases"].as_array().expect("leases").iter();
    let states: Vec<_> = states.map(|lease| lease["state"].as_str().unwrap_or_default()).collect();
    assert_eq!(states, ["revoking"], "what was given ends: {listed}");
    Arc::into_inner(gateway).expect("the last").stop().await;
}
