//! What a batch may carry, and how long a withdrawn key is believed.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;
use symbolon_tests::harness::{Gateway, Issuer, ORIGIN, Setup};

#[tokio::test]
async fn a_batch_ends_where_its_answers_are_as_large_as_they_may_be() {
    let secret = "x".repeat(900_000);
    let blocks = format!(
        "[backends.demo]\nplugin = \"static\"\n[backends.demo.config.secrets]\nbig = \"{secret}\"\n"
    );
    let gateway = Gateway::start(Setup { blocks, ..Setup::default() }).await;
    let asks = vec![json!({ "backend": "demo", "path": "big" }); 40];
    let body = Bytes::from(json!({ "secrets": asks }).to_string());
    let token = gateway.token("alice");
    let answer = gateway.ask(Method::POST, "/v1/secrets:batch", Some(&token), body).await;
    assert_eq!(answer.status, StatusCode::OK);
    let results = answer.json["results"].as_array().unwrap();
    let delivered = results.iter().filter(|result| result["secret"].is_object()).count();
    assert!((9..=17).contains(&delivered), "{delivered}");
    assert_eq!(results[39]["problem"]["code"], "exhausted");
    let left_out = gateway.audit().into_iter().filter(|line| line["code"] == "batch_bytes");
    assert_eq!(left_out.count(), 40 - delivered);
    gateway.stop().await;
}

#[tokio::test]
async fn a_key_withdrawn_from_a_file_is_refused_after_a_reload() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("jwks.json");
    let filed = Issuer::new("https://filed.example.test");
    std::fs::write(&file, filed.key_set().to_string()).unwrap();
    let setup = Setup {
        blocks: "[backends.demo]\nplugin = \"static\"\nconfig = { secrets = { a = \"b\" } }\n\
                 [issuers.filed]\nissuer = \"https://filed.example.test\"\n\
                 keys = { file = \"jwks.json\" }\n"
            .to_owned(),
        policies: Some("permit (principal in Issuer::\"filed\", action, resource);".to_owned()),
        ..Setup::default()
    };
    let issuer = Issuer::new("https://idp.example.test");
    let gateway = Gateway::start_in(directory, issuer, setup).await;
    let now = i64::try_from(
        std::time::UNIX_EPOCH.elapsed().map(|since| since.as_secs()).unwrap_or_default(),
    )
    .unwrap();
    let token = |subject| filed.token_of(&Issuer::header(), &filed.claims(subject, ORIGIN, now));
    let before = gateway.get("/v1/secrets/demo/a", &token("alice")).await;
    assert_eq!(before.status, StatusCode::OK, "{:?}", before.json);

    let other = Issuer::new("https://filed.example.test");
    std::fs::write(&file, other.key_set().to_string()).unwrap();
    gateway.app.reload().await.unwrap();
    for subject in ["alice", "bob"] {
        let after = gateway.get("/v1/secrets/demo/a", &token(subject)).await;
        assert_eq!(after.status, StatusCode::UNAUTHORIZED, "{subject}");
    }
    gateway.stop().await;
}
