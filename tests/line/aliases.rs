//! Aliases and fields: what a workload asks for, where that is, and what is on record of it.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use symbolon_tests::harness::{Answer, Gateway, Setup};

const BLOCKS: &str = r#"
[backends.demo]
plugin = "static"

[backends.demo.config.secrets]
"app/text" = "plain"
"app/map" = { fields = { user = "u", password = "p", more = '{"port":5432,"hosts":["a","b"]}' } }
"app/json" = '{"password":"j","twice":1,"twice":2}'
"app/binary" = { fields = { key = "x" } }
"app/versions" = [{ text = "one", version = "1" }, { text = "two", version = "2" }]
"hidden/text" = "not yours"

[aliases]
"billing/db-password" = { backend = "demo", path = "app/map", field = "/password" }
"billing/more" = { backend = "demo", path = "app/map", field = "/more" }
"billing/first" = { backend = "demo", path = "app/versions", version = "1" }
"billing/any" = { backend = "demo", path = "app/versions" }
"billing/hidden" = { backend = "demo", path = "hidden/text" }
"billing/nowhere" = { backend = "demo", path = "app/never" }
"#;

const APP_ONLY: &str = r#"@id("app-only")
permit (principal in Issuer::"test", action == Action::"read", resource in Folder::"demo/app");"#;

struct Scene {
    gateway: Gateway,
    token: String,
}

impl Scene {
    async fn start() -> Self {
        let policies = Some(APP_ONLY.to_owned());
        let setup = Setup { blocks: BLOCKS.to_owned(), policies, ..Setup::default() };
        let gateway = Gateway::start(setup).await;
        let token = gateway.token("alice");
        Self { gateway, token }
    }

    async fn read(&self, path: &str) -> Answer {
        self.gateway.get(&format!("/v1/secrets/{path}"), &self.token).await
    }

    fn code(&self, answer: &Answer) -> String {
        self.gateway.closing(answer)["code"].as_str().expect("a code").to_owned()
    }

    /// The opening line of the request that `answer` names.
    fn opening(&self, answer: &Answer) -> Value {
        let id = answer.headers["x-request-id"].to_str().expect("text").to_owned();
        let is_it = |line: &Value| line["kind"] == "request.open" && line["request"] == id;
        self.gateway.audit().into_iter().find(is_it).expect("an opening")
    }
}

#[tokio::test]
async fn a_field_is_the_part_that_was_asked_for() {
    let scene = Scene::start().await;
    for (path, value, content_type) in [
        ("demo/app/map?field=/password", "p", "text/plain; charset=utf-8"),
        ("demo/app/map?field=/more/port", "5432", "application/json"),
        ("demo/app/map?field=/more/hosts/1", "b", "text/plain; charset=utf-8"),
        ("demo/app/map?field=/more/hosts", r#"["a","b"]"#, "application/json"),
        ("demo/app/json?field=/password", "j", "text/plain; charset=utf-8"),
    ] {
        let read = scene.read(path).await;
        assert_eq!(read.status, StatusCode::OK, "{path}: {:?}", read.json);
        let told = (&read.json["value"], &read.json["kind"], &read.json["content_type"]);
        assert_eq!(told, (&json!(value), &json!("opaque"), &json!(content_type)), "{path}");
        assert!(read.json.get("fields").is_none(), "{path}: nothing but the field");
    }
    let read = scene.read("demo/app/map?field=/password").await;
    assert_eq!(read.json["field"], "/password");
    assert_eq!(scene.opening(&read)["field"], "/password");
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_field_that_is_not_there_answers_as_a_secret_that_is_not() {
    let scene = Scene::start().await;
    let shape = |answer: &Answer| {
        let mut json = answer.json.clone();
        json["request_id"] = Value::Null;
        (answer.status, json)
    };
    let absent = scene.read("demo/app/never").await;
    for path in [
        "demo/app/map?field=/never",
        "demo/app/map?field=/password/x",
        "demo/app/text?field=/x",
        "demo/app/json?field=/twice",
        "demo/app/json?field=/never",
    ] {
        let read = scene.read(path).await;
        assert_eq!(shape(&read), shape(&absent), "{path}");
        assert_eq!(scene.code(&read), "field_absent", "{path}");
    }
    let malformed = scene.read("demo/app/map?field=password").await;
    assert_eq!(malformed.json["code"], "malformed");
    scene.gateway.stop().await;
}

#[tokio::test]
async fn an_alias_is_decided_about_and_recorded_as_its_place() {
    let scene = Scene::start().await;
    let read = scene.read("billing/db-password").await;
    assert_eq!(read.status, StatusCode::OK, "{:?}", read.json);
    let told = ["value", "alias", "backend", "path", "field"].map(|name| read.json[name].clone());
    let expected = ["p", "billing/db-password", "demo", "app/map", "/password"];
    assert_eq!(told, expected.map(Value::from));
    let opening = scene.opening(&read);
    let recorded = ["resource", "alias", "field"].map(|name| opening[name].clone());
    let expected = ["demo/app/map", "billing/db-password", "/password"];
    assert_eq!(recorded, expected.map(Value::from));

    let hidden = scene.read("billing/hidden").await;
    assert_eq!((hidden.status, scene.code(&hidden)), (StatusCode::FORBIDDEN, "no_rule".to_owned()));
    assert_eq!(scene.opening(&hidden)["resource"], "demo/hidden/text");
    let nowhere = scene.read("billing/nowhere").await;
    assert_eq!(scene.code(&nowhere), "absent");
    let unknown = scene.read("billing/unknown").await;
    assert_eq!(scene.code(&unknown), "resource_unknown");
    scene.gateway.stop().await;
}

#[tokio::test]
async fn what_an_alias_pins_cannot_be_asked_away() {
    let scene = Scene::start().await;
    for (path, value) in [
        ("billing/first", "one"),
        ("billing/first?version=1", "one"),
        ("billing/any", "two"),
        ("billing/any?version=1", "one"),
        ("billing/more?field=/hosts/0", "a"),
    ] {
        let read = scene.read(path).await;
        assert_eq!(read.json["value"], value, "{path}: {:?}", read.json);
    }
    for path in ["billing/first?version=2", &format!("billing/more?field={}", "/a".repeat(8))] {
        let refused = scene.read(path).await;
        assert_eq!(refused.json["code"], "malformed", "{path}");
    }
    // Whoever is nobody is told the same of an alias as of anything else.
    for path in ["billing/first?version=2", "billing/unknown?version=2"] {
        let path = format!("/v1/secrets/{path}");
        let stranger = scene.gateway.ask(Method::GET, &path, None, Bytes::new()).await;
        assert_eq!(stranger.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_batch_takes_aliases_and_fields_too() {
    let scene = Scene::start().await;
    let body = json!({ "secrets": [
        { "backend": "billing", "path": "db-password" },
        { "backend": "demo", "path": "app/map", "field": "/user" },
        { "backend": "demo", "path": "app/map", "field": "/never" },
    ] });
    let body = Bytes::from(body.to_string());
    let token = Some(scene.token.as_str());
    let answer = scene.gateway.ask(Method::POST, "/v1/secrets:batch", token, body).await;
    let results = answer.json["results"].as_array().expect("results");
    assert_eq!(results[0]["secret"]["value"], "p", "{:?}", answer.json);
    assert_eq!(results[1]["secret"]["value"], "u");
    assert_eq!(results[2]["problem"]["code"], "denied");
    scene.gateway.stop().await;
}
