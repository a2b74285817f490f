//! Tokens of a real OpenBao for callers, by assertions that name them.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::json;
use symbolon_core::id::LeaseId;
use symbolon_tests::harness::{Answer, Gateway, Setup};

use super::parts::{AUDIENCE, Bao};
use crate::line::tokens::exchange;

/// A gateway before a store that knows alice and bob, each with a secret that it alone may read. The
/// backend `kv` asks in its callers' names.
async fn scene() -> (Bao, Gateway) {
    let bao = Bao::start().await;
    // As long as the role's tokens last.
    let lines = "ttl = \"10m\"\nsubject = \"caller\"\naudience =";
    let blocks = bao.blocks("callers").replacen("audience =", lines, 1);
    let gateway = Gateway::start(Setup { blocks, ..Setup::default() }).await;
    bao.trust(&gateway).await;
    bao.callers(&["alice", "bob"]).await;
    for name in ["alice", "bob"] {
        bao.put(&format!("callers/{name}"), &json!({ "of": name })).await;
    }
    (bao, gateway)
}

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
    let (bao, gateway) = scene().await;
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

#[tokio::test(flavor = "multi_thread")]
async fn the_store_itself_says_what_each_caller_may_read_through_the_gateway() {
    let (bao, gateway) = scene().await;
    let gateway = Arc::new(gateway);
    let mut reads = tokio::task::JoinSet::new();
    for number in 0..64 {
        let (caller, secret) =
            ([("alice", "alice"), ("bob", "alice"), ("alice", "bob"), ("bob", "bob")])[number % 4];
        let gateway = gateway.clone();
        reads.spawn(async move {
            let path = format!("/v1/secrets/kv/callers/{secret}");
            (caller, secret, gateway.get(&path, &gateway.token(caller)).await)
        });
    }
    for (caller, secret, answer) in reads.join_all().await {
        if caller == secret {
            assert_eq!(answer.status, StatusCode::OK, "{:?}", gateway.closing(&answer));
            assert_eq!(answer.json["fields"], json!({ "of": secret }));
        } else {
            let closing = gateway.closing(&answer);
            assert_eq!(
                (answer.status.as_u16(), &closing["code"]),
                (403, &json!("caller_forbidden"))
            );
            assert_eq!(closing["outcome"], "deny");
        }
    }
    // A 403 may be the token's fault: once a minute each is tried with a new one.
    assert!((2..=4).contains(&bao.logins().await.len()), "{:?}", bao.logins().await);
    Arc::into_inner(gateway).expect("the last").stop().await;
}

#[tokio::test]
async fn whom_the_store_does_not_let_in_is_denied_and_takes_nothing_from_the_others() {
    let (bao, gateway) = scene().await;
    let role = json!({
        "role_type": "jwt",
        "user_claim": "sub",
        "bound_audiences": [AUDIENCE],
        "bound_subject": "test/alice",
        "token_ttl": "10m",
    });
    bao.expect(Method::POST, "/v1/auth/symbolon/role/callers", &role).await;
    for _ in 0..20 {
        let refused = gateway.get("/v1/secrets/kv/callers/bob", &gateway.token("bob")).await;
        assert_eq!(gateway.outcome(&refused), (403, "caller_refused".to_owned()));
    }
    let read = gateway.get("/v1/secrets/kv/callers/alice", &gateway.token("alice")).await;
    assert_eq!(read.json["fields"], json!({ "of": "alice" }), "{:?}", gateway.closing(&read));
    assert_eq!(bao.logins().await.len(), 1);
    gateway.stop().await;
}

#[tokio::test]
async fn a_token_that_is_good_for_longer_than_permitted_is_not_handed_on() {
    let bao = Bao::start().await;
    let blocks = bao.blocks("callers").replacen("audience =", "ttl = \"8m\"\naudience =", 1);
    let blocks = blocks.replacen("audience =", "subject = \"caller\"\naudience =", 1);
    let gateway = Gateway::start(Setup { blocks, ..Setup::default() }).await;
    bao.trust(&gateway).await;
    bao.callers(&["alice"]).await;
    let answer = exchange(&gateway, &gateway.token("alice"), &[("audience", "bao")]).await;
    let closing = gateway.closing(&answer);
    assert_eq!((answer.status.as_u16(), &answer.json["error"]), (400, &json!("invalid_target")));
    let told = (&closing["outcome"], &closing["code"]);
    assert_eq!(told, (&json!("deny"), &json!("token_outlasts_permit")));
    // Nobody has it, and the gateway uses it for as long as it says.
    bao.put("callers/alice", &json!({ "of": "alice" })).await;
    let read = gateway.get("/v1/secrets/kv/callers/alice", &gateway.token("alice")).await;
    assert_eq!(read.status, StatusCode::OK, "{:?}", gateway.closing(&read));
    gateway.stop().await;
}
