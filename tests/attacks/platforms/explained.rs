//! `symbolon issuer test`: what an operator is told of a token is what the line would do with it, and
//! shows nothing of it.

use serde_json::{Value, json};
use symbolon_tests::harness::ORIGIN;
use symbolon_tests::harness::platforms::PLATFORMS;

use super::super::wire::admin;
use super::traps::traps;
use super::{Bench, NOW, changed};

impl Bench {
    async fn explain(&self, token: &str) -> Value {
        let body = json!({ "token": token }).to_string();
        let reply = admin(&self.gateway, "POST", "/v1/issuers:test", &body).await;
        assert_eq!(reply.status, 200, "{:?}", reply.json());
        let answer = reply.json();
        assert!(!answer.to_string().contains(token), "the token is shown");
        answer
    }
}

/// The results of all checks: some that passed, at most one that failed, some that were not reached.
fn results(answer: &Value) -> Vec<&str> {
    let checks = answer["checks"].as_array().expect("checks");
    checks.iter().map(|check| check["result"].as_str().expect("a result")).collect()
}

#[tokio::test]
async fn an_accepted_token_passes_every_check_and_says_whom_it_proves() {
    let bench = Bench::start().await;
    for platform in PLATFORMS {
        let token = bench.signer.token(&platform.header(), &platform.claims(ORIGIN, NOW));
        let answer = bench.explain(&token).await;
        assert_eq!(answer["accepted"], true, "{answer}");
        assert_eq!(answer["principal"], format!("{}/{}", platform.alias, platform.subject));
        let results = results(&answer);
        // Nobody is asked online here, and to look is not to use.
        let unmade: Vec<_> = answer["checks"]
            .as_array()
            .expect("checks")
            .iter()
            .filter(|check| check["result"] == "not made")
            .map(|check| check["check"].clone())
            .collect();
        assert_eq!(unmade, [json!("review"), json!("first use")], "{answer}");
        let passed = results.iter().filter(|result| **result == "ok").count();
        assert!(passed > 16 && passed + 2 == results.len(), "{answer}");
        // Attributes are named, their values are not shown.
        assert!(!answer["attributes"].as_array().expect("names").is_empty());
        for secret in ["developer.gserviceaccount", "u@example.com", "o-abc1234567"] {
            assert!(!answer.to_string().contains(secret), "{answer}");
        }
    }
    bench.gateway.stop().await;
}

#[tokio::test]
async fn a_refused_token_fails_the_check_that_refuses_it_and_reaches_none_after_it() {
    let bench = Bench::start().await;
    for (alias, pointer, value, code) in traps() {
        let platform = PLATFORMS.iter().find(|platform| platform.alias == alias).expect("one");
        let claims = changed(&platform.claims(ORIGIN, NOW), pointer, Some(value));
        let token = bench.signer.token(&platform.header(), &claims);
        let answer = bench.explain(&token).await;
        let (accepted, principal) = (&answer["accepted"], &answer["principal"]);
        assert_eq!((accepted, principal), (&json!(false), &Value::Null), "{alias} {pointer}");
        let results = results(&answer);
        let failed = results.iter().position(|result| *result == "failed").expect("a failure");
        assert!(results.iter().take(failed).all(|result| *result == "ok"), "{answer}");
        let after = &results[failed + 1..];
        assert!(after.iter().all(|result| *result == "not reached"), "{answer}");
        assert_eq!(answer["checks"][failed]["code"], code, "{answer}");
    }
    bench.gateway.stop().await;
}

#[tokio::test]
async fn a_locked_principal_and_a_text_that_is_no_token_are_explained_too() {
    let bench = Bench::start().await;
    let platform = PLATFORMS[0];
    let token = bench.signer.token(&platform.header(), &platform.claims(ORIGIN, NOW));
    let lock = json!({ "issuer": platform.alias, "reason": "breach" }).to_string();
    assert_eq!(admin(&bench.gateway, "POST", "/v1/locks", &lock).await.status, 200);
    let answer = bench.explain(&token).await;
    let failed = answer["checks"].as_array().expect("checks").iter();
    let failed: Vec<_> = failed.filter(|check| check["result"] == "failed").collect();
    assert_eq!(failed.len(), 1, "{answer}");
    assert_eq!(
        (&failed[0]["check"], &failed[0]["code"]),
        (&json!("locks and epochs"), &json!("locked_issuer"))
    );
    let answer = bench.explain("not-a-token").await;
    assert_eq!((&answer["accepted"], &answer["token"]), (&json!(false), &Value::Null));
    assert_eq!(answer["checks"][0]["code"], "token_segments");
    let events = bench.gateway.audit();
    let recorded = events.iter().filter(|line| line["operation"] == "issuer.test");
    let results: Vec<_> = recorded.map(|line| line["details"]["result"].clone()).collect();
    assert_eq!(results, [json!("locked_issuer"), json!("token_segments")]);
    bench.gateway.stop().await;
}

#[tokio::test]
async fn an_issuer_is_shown_with_its_bounds_and_what_policies_see_of_it() {
    let bench = Bench::start().await;
    let reply = admin(&bench.gateway, "GET", "/v1/issuers/github", "").await;
    let shown = reply.json();
    assert_eq!(shown["max_lifetime_seconds"], 900);
    assert_eq!(shown["owners"][0]["claim"], "/repository_owner_id");
    let attributes = shown["attributes"].as_array().expect("attributes");
    let is_it = |row: &&Value| row["attribute"] == "github.repository_id";
    assert_eq!(attributes.iter().find(is_it).map(|row| row["type"].clone()), Some(json!("string")));
    let missing = admin(&bench.gateway, "GET", "/v1/issuers/nobody", "").await;
    assert_eq!(missing.status, 400);
    bench.gateway.stop().await;
}
