//! A lock or an epoch reaches what is under way already.

use std::sync::Arc;

use symbolon_tests::harness::{Gateway, Setup};

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
