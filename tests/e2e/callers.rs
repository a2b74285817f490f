//! Tokens of a real OpenBao for callers, by assertions that name them.

use http::StatusCode;
use serde_json::json;
use symbolon_core::id::LeaseId;
use symbolon_tests::harness::{Answer, Gateway, Setup};

use super::parts::Bao;
use crate::line::tokens::exchange;

async fn login(gateway: &Gateway, subject: &str) -> Answer {
    let answer = exchange(gateway, &gateway.token(subject), &[("audience", "bao")]).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", gateway.closing(&answer));
    answer
}

fn token(answer: &Answer) -> &str {
    answer.json["access_token"].as_str().expect("a token")
}

#[tokio::test]
async fn each_caller_reads_its_own_secret_of_a_real_store_and_no_other() {
    let bao = Bao::start().await;
    let blocks = bao.blocks("callers").replace("credentials = { target = \"bao\" }", "");
    let blocks = blocks.replacen("audience =", "subject = \"caller\"\naudience =", 1);
    let gateway = Gateway::start(Setup { blocks, ..Setup::default() }).await;
    bao.trust(&gateway).await;
    bao.callers(&["alice", "bob"]).await;
    for name in ["alice", "bob"] {
        bao.put(&format!("callers/{name}"), &json!({ "of": name })).await;
    }
    let (alice, bob) = tokio::join!(login(&gateway, "alice"), login(&gateway, "bob"));
    assert_eq!(
        (&alice.json["token_type"], &alice.json["header"]),
        (&json!("N_A"), &json!("x-vault-token"))
    );
    for (answer, own, other) in [(&alice, "alice", "bob"), (&bob, "bob", "alice")] {
        let path = |name: &str| format!("callers/{name}");
        let (status, data) = bao.read_as(token(answer), &path(own)).await;
        assert_eq!((status, data), (StatusCode::OK, json!({ "of": own })));
        let (status, _) = bao.read_as(token(answer), &path(other)).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
    }
    assert_ne!(token(&alice), token(&bob));
    let again = login(&gateway, "alice").await;
    assert_ne!(token(&alice), token(&again), "a caller's token is not kept");
    let id = LeaseId::parse(alice.json["lease_id"].as_str().expect("a lease")).expect("an id");
    let lease = gateway.app.foundation.leases.find(id).await.expect("the ledger").expect("a lease");
    assert_eq!(
        (lease.owner.subject.as_str(), lease.state, lease.revocable),
        ("alice", "active", false)
    );
    gateway.stop().await;
}
