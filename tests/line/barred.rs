//! A lock or an epoch reaches what is under way already.

use std::sync::Arc;

use symbolon_tests::harness::{Gateway, Setup};

use crate::attacks::wire::admin;
use crate::crash::gate;
use crate::hostile::upstream::Upstream;

/// Reads from a backend that waits, bars the reader by `call` meanwhile, and answers the code on
/// record of it.
async fn barred_by(path: &str, body: &str) -> String {
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
    assert_eq!(answer.status, 403, "{:?}", answer.json);
    assert_eq!(answer.json["code"], "denied");
    let closing = gateway.closing(&answer);
    assert_eq!(closing["outcome"], "deny");
    Arc::into_inner(gateway).expect("the last").stop().await;
    closing["code"].as_str().expect("a code").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_not_answered_to_whom_was_barred_meanwhile() {
    for (path, body, code) in [
        ("/v1/locks", r#"{"principal":"test/alice"}"#, "locked_principal"),
        ("/v1/locks", r#"{"issuer":"test"}"#, "locked_issuer"),
        ("/v1/sessions:revoke", r#"{"everybody":true}"#, "epoch_global"),
    ] {
        assert_eq!(barred_by(path, body).await, code);
    }
}
