//! Secrets of Google Cloud, read with the gateway's own assertions: a fake of the services, written
//! from their interfaces, and Google's own clients as judges of the fake.

use http::StatusCode;
use serde_json::json;
use symbolon_tests::harness::{Answer, Gateway, Setup};

use super::parts::google::{ACCOUNT, PROVIDER};
use super::parts::{Doubt, Expected, Google, assertion, python};

const SCRIPT: &str = include_str!("parts/google.py");

struct Scene {
    google: Google,
    gateway: Gateway,
    token: String,
}

impl Scene {
    async fn start() -> Self {
        let account = format!(r#"service_account = "{ACCOUNT}""#);
        Self::with(&Google::expected().audience, &account).await
    }

    /// A gateway whose target has this audience and these further keys.
    async fn with(audience: &str, more: &str) -> Self {
        let google = Google::start().await;
        let blocks = format!("{}{}", google.target(audience, more), google.backends());
        let gateway = Gateway::start(Setup { blocks, ..Setup::default() }).await;
        google.judge().learn(&gateway).await;
        let token = gateway.token("alice");
        Self { google, gateway, token }
    }

    async fn read(&self, path: &str) -> Answer {
        self.gateway.get(&format!("/v1/secrets/{path}"), &self.token).await
    }

    /// What a read answers: the status, and the code on record.
    async fn outcome(&self, path: &str) -> (u16, String) {
        let answer = self.read(path).await;
        assert!(!String::from_utf8_lossy(&answer.body).contains("words about"), "{answer:?}");
        let code = self.gateway.closing(&answer)["code"].as_str().expect("a code").to_owned();
        (answer.status.as_u16(), code)
    }
}

#[tokio::test]
async fn a_secret_is_read_with_an_assertion_in_place_of_a_key() {
    let scene = Scene::start().await;
    let read = scene.read("gsm/db-password").await;
    assert_eq!(read.status, StatusCode::OK, "{:?}", scene.gateway.closing(&read));
    assert_eq!((&read.json["value"], &read.json["version"]), (&json!("hunter2"), &json!("4")));
    assert_eq!(read.json["kind"], "opaque");
    assert_eq!(scene.google.asked(), ["federated", "impersonated", "read db-password 4"]);
    for (path, version, value) in [
        ("gsm/db-password?version=1", "1", "123456789"),
        ("gsm/db-password?version=first", "first", "123456789"),
        ("gsm/db-password?version=latest", "latest", "hunter2"),
        ("regional/db-password", "4", "hunter2"),
    ] {
        let read = scene.read(path).await;
        let told = (&read.json["value"], &read.json["version"]);
        assert_eq!(told, (&json!(value), &json!(version)), "{path}: {:?}", read.json);
    }
    let logins = scene.google.asked().into_iter().filter(|asked| asked == "federated").count();
    assert_eq!(logins, 0, "the token is kept");
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_federated_token_opens_what_it_is_bound_to() {
    let scene = Scene::with(&Google::expected().audience, "").await;
    let read = scene.read("gsm/db-password").await;
    assert_eq!(read.json["value"], "hunter2", "{:?}", scene.gateway.closing(&read));
    assert_eq!(scene.google.asked(), ["federated", "read db-password 4"]);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn each_way_of_not_reading_has_its_status_and_code() {
    let scene = Scene::start().await;
    for (path, status, code) in [
        ("gsm/never", 403, "absent"),
        ("gsm/db-password?version=9", 403, "absent"),
        ("gsm/db-password?version=2", 403, "deleted"),
        ("gsm/db-password?version=3", 403, "destroyed"),
        ("gsm/not-ours", 502, "plugin_permission_denied"),
        ("gsm/damaged", 503, "plugin_unavailable"),
        ("gsm/a/b", 400, "plugin_invalid_request"),
        ("gsm/db-password?version=0", 400, "plugin_invalid_request"),
    ] {
        assert_eq!(scene.outcome(path).await, (status, code.to_owned()), "{path}");
    }
    let first = scene.read("gsm/?list").await;
    assert_eq!(first.json["names"], json!(["db-password", "damaged"]), "{:?}", first.json);
    let next = first.json["next"].as_str().expect("there is more");
    let second = scene.read(&format!("gsm/?list&next={next}")).await;
    assert_eq!(second.json["names"], json!(["not-ours"]), "{:?}", second.json);
    assert!(second.json.get("next").is_none());
    scene.gateway.stop().await;
}

#[tokio::test]
async fn an_assertion_that_the_provider_does_not_expect_opens_nothing() {
    let scene = Scene::with("https://iam.googleapis.com/projects/1", "").await;
    let refused = (502, "plugin_invalid_config".to_owned());
    assert_eq!(scene.outcome("gsm/db-password").await, refused);
    assert_eq!(scene.google.doubts(), [Doubt::Audience]);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_set_up_that_google_refuses_opens_nothing() {
    for (more, refused) in [
        (r#"service_account = "other@acme-prod.iam.gserviceaccount.com""#, "the account"),
        (r#"scopes = ["https://www.googleapis.com/auth/drive"]"#, "the scope"),
        (r#"scopes = ["https://www.googleapis.com/auth/iam"]"#, "the token's scope"),
    ] {
        let scene = Scene::with(&Google::expected().audience, more).await;
        let (status, _) = scene.outcome("gsm/db-password").await;
        assert_eq!(status, 502, "{more}");
        let last = scene.google.asked().pop();
        assert_eq!(last.as_deref(), Some(format!("refused: {refused}").as_str()));
        scene.gateway.stop().await;
    }
}

/// What the fake makes of an assertion, asked by Google's clients.
async fn by_google(scene: &Scene, assertion: &str, secret: &str) -> serde_json::Value {
    let directory = scene.google.server.identity.directory();
    let file = directory.join("assertion.jwt");
    std::fs::write(&file, assertion).expect("assertion.jwt");
    let certificate = scene.google.server.identity.certificate().display().to_string();
    let environment = [
        ("ORIGIN", scene.google.server.origin()),
        ("PROVIDER", PROVIDER.to_owned()),
        ("ACCOUNT", ACCOUNT.to_owned()),
        ("ASSERTION", file.display().to_string()),
        ("SECRET", format!("projects/acme-prod/secrets/{secret}")),
        ("REQUESTS_CA_BUNDLE", certificate),
        ("NO_GCE_CHECK", "true".to_owned()),
    ];
    python(SCRIPT, &environment).await
}

#[tokio::test]
async fn googles_own_clients_find_the_fake_faithful() {
    let scene = Scene::start().await;
    let good = assertion(&scene.gateway, &Google::expected());
    let found = by_google(&scene, &good, "db-password/versions/latest").await;
    let name = "projects/837509470220/secrets/db-password/versions/4";
    let expected = json!({ "name": name, "value": "hunter2", "checksum": 1_736_498_283 });
    assert_eq!(found, expected, "{:?}", scene.google.asked());
    for (secret, error) in [
        ("never/versions/latest", "NotFound"),
        ("db-password/versions/2", "BadRequest"),
        ("not-ours/versions/1", "Forbidden"),
    ] {
        let found = by_google(&scene, &good, secret).await;
        assert_eq!(found, json!({ "error": error }), "{secret}");
    }
    scene.gateway.stop().await;
}

#[tokio::test]
async fn no_client_gets_by_with_an_assertion_that_deviates() {
    let scene = Scene::start().await;
    let expected = Google::expected();
    let of = |expected: &Expected| assertion(&scene.gateway, expected);
    let good = of(&expected);
    let altered = good.replacen('.', ".e", 1);
    let unsigned = good.rsplit_once('.').map(|(message, _)| format!("{message}.AAAA")).unwrap();
    let stranger = Expected { subject: "gateway:other", ..expected.clone() };
    let elsewhere = Expected { audience: "api://AzureADTokenExchange".to_owned(), ..expected };
    for (assertion, doubt) in [
        (altered, Doubt::Malformed),
        (unsigned, Doubt::Signature),
        (of(&stranger), Doubt::Subject),
        (of(&elsewhere), Doubt::Audience),
    ] {
        let found = by_google(&scene, &assertion, "db-password/versions/latest").await;
        assert_eq!(found, json!({ "error": "OAuthError" }), "{doubt:?}");
        assert_eq!(scene.google.doubts().pop(), Some(doubt));
    }
    scene.gateway.stop().await;
}
