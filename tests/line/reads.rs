//! What a read, a list and a batch answer, and what is on record of them.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;
use symbolon_tests::harness::{Gateway, Setup};

const STATIC: &str = r#"
[backends.demo]
plugin = "static"

[backends.demo.config.secrets]
"app/text" = "plain"
"app/map" = { fields = { user = "u", password = "p" } }
"app/binary" = { base64 = "AP8=" }
"app/versions" = [{ text = "one", version = "1" }, { text = "two", version = "2" }]
"other/text" = "not yours"
"#;

fn setup() -> Setup {
    Setup { blocks: STATIC.to_owned(), ..Setup::default() }
}

#[tokio::test]
async fn each_kind_of_value_has_its_form() {
    let gateway = Gateway::start(setup()).await;
    let token = gateway.token("alice");
    let read = async |path: &str| gateway.get(&format!("/v1/secrets/demo/{path}"), &token).await;

    let text = read("app/text").await;
    assert_eq!(text.status, StatusCode::OK, "{:?}", text.json);
    assert_eq!(
        (&text.json["backend"], &text.json["path"], &text.json["value"]),
        (&json!("demo"), &json!("app/text"), &json!("plain"))
    );
    assert_eq!(text.headers["cache-control"], "no-store");
    assert_eq!(read("app/map").await.json["fields"], json!({ "user": "u", "password": "p" }));
    assert_eq!(read("app/binary").await.json["value_base64"], "AP8=");
    assert_eq!(read("app/versions").await.json["value"], "two");
    assert_eq!(read("app/versions?version=1").await.json["value"], "one");

    let closing = gateway.closing(&text);
    assert_eq!((&closing["outcome"], &closing["code"]), (&json!("allow"), &json!("ok")));
    assert_eq!(closing["policies"], json!(["test-permits-all"]));
    assert!(closing["plugin"].as_str().unwrap().len() >= 64, "{closing}");
    gateway.stop().await;
}

#[tokio::test]
async fn what_is_not_yours_and_what_is_not_there_answer_alike() {
    let policies = r#"@id("app-only")
        permit (principal in Issuer::"test", action == Action::"read",
                resource in Folder::"demo/app");"#;
    let setup = Setup { policies: Some(policies.to_owned()), ..setup() };
    let gateway = Gateway::start(setup).await;
    let token = gateway.token("alice");
    let absent = gateway.get("/v1/secrets/demo/app/absent", &token).await;
    let denied = gateway.get("/v1/secrets/demo/other/text", &token).await;
    let unknown = gateway.get("/v1/secrets/nowhere/other/text", &token).await;
    let shape = |answer: &symbolon_tests::harness::Answer| {
        let mut json = answer.json.clone();
        json["request_id"] = json!("");
        (answer.status, json)
    };
    assert_eq!(shape(&absent), shape(&denied));
    assert_eq!(shape(&unknown), shape(&denied));
    let codes = [&absent, &denied, &unknown].map(|a| gateway.closing(a)["code"].clone());
    assert_eq!(codes, [json!("absent"), json!("no_rule"), json!("resource_unknown")]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_batch_answers_each_ask_in_its_place_and_records_each() {
    let gateway = Gateway::start(setup()).await;
    let token = gateway.token("alice");
    let body = json!({ "secrets": [
        { "backend": "demo", "path": "app/text" },
        { "backend": "demo", "path": "app/absent" },
        { "backend": "demo", "path": "app/versions", "version": "1" },
    ] });
    let body = Bytes::from(body.to_string());
    let answer = gateway.ask(Method::POST, "/v1/secrets:batch", Some(&token), body).await;
    let results = answer.json["results"].as_array().unwrap();
    assert_eq!(results[0]["secret"]["value"], "plain");
    assert_eq!(results[1]["problem"]["code"], "denied");
    assert_eq!(results[2]["secret"]["value"], "one");
    let closings = gateway.audit().into_iter().filter(|line| line["kind"] == "request.close");
    assert_eq!(closings.count(), 3);
    gateway.stop().await;
}

#[tokio::test]
async fn a_listing_names_what_lies_in_a_folder() {
    let gateway = Gateway::start(setup()).await;
    let token = gateway.token("alice");
    let top = gateway.get("/v1/secrets/demo/?list", &token).await;
    assert_eq!(top.json["names"], json!(["app/", "other/"]), "{:?}", top.json);
    let folder = gateway.get("/v1/secrets/demo/app/?list", &token).await;
    assert_eq!(folder.json["names"], json!(["binary", "map", "text", "versions"]));
    gateway.stop().await;
}
