//! Secrets of Google Cloud, read with the gateway's own assertions: a fake of the services, written
//! from their interfaces, and Google's own clients as judges of the fake.

use http::StatusCode;
use serde_json::json;
use symbolon_tests::harness::Setup;

use super::parts::google::ACCOUNT;
use super::parts::{Cloud as _, Doubt, Google, Scene};

async fn start() -> Scene<Google> {
    with(&Google::audience(), &format!(r#"service_account = "{ACCOUNT}""#)).await
}

/// A gateway whose target has this line for its audience and these further keys.
async fn with(audience: &str, more: &str) -> Scene<Google> {
    let google = Google::believing("gateway:google").await;
    let blocks = [
        google.target("google", audience, more),
        google.backend("gsm", "google"),
        google.regional("regional", "google"),
    ];
    Scene::of(google, Setup { blocks: blocks.concat(), ..Setup::default() }).await
}

#[tokio::test]
async fn a_secret_is_read_with_an_assertion_in_place_of_a_key() {
    let scene = start().await;
    let read = scene.gateway.read("gsm/db-password").await;
    assert_eq!(read.status, StatusCode::OK, "{:?}", scene.gateway.closing(&read));
    assert_eq!((&read.json["value"], &read.json["version"]), (&json!("hunter2"), &json!("4")));
    assert_eq!(read.json["kind"], "opaque");
    assert_eq!(scene.cloud.witness().asked(), ["federated", "impersonated", "read db-password 4"]);
    for (path, version, value) in [
        ("gsm/db-password?version=1", "1", "123456789"),
        ("gsm/db-password?version=first", "first", "123456789"),
        ("gsm/db-password?version=latest", "latest", "hunter2"),
        ("regional/db-password", "4", "hunter2"),
    ] {
        let read = scene.gateway.read(path).await;
        let told = (&read.json["value"], &read.json["version"]);
        assert_eq!(told, (&json!(value), &json!(version)), "{path}: {:?}", read.json);
    }
    let logins =
        scene.cloud.witness().asked().into_iter().filter(|asked| asked == "federated").count();
    assert_eq!(logins, 0, "the token is kept");
    scene.stop().await;
}

#[tokio::test]
async fn a_federated_token_opens_what_it_is_bound_to() {
    let scene = with(&Google::audience(), "").await;
    let read = scene.gateway.read("gsm/db-password").await;
    assert_eq!(read.json["value"], "hunter2", "{:?}", scene.gateway.closing(&read));
    assert_eq!(scene.cloud.witness().asked(), ["federated", "read db-password 4"]);
    scene.stop().await;
}

#[tokio::test]
async fn each_way_of_not_reading_has_its_status_and_code() {
    let scene = start().await;
    let refused = [
        ("gsm/never", 403, "absent"),
        ("gsm/db-password?version=9", 403, "absent"),
        ("gsm/db-password?version=2", 403, "deleted"),
        ("gsm/db-password?version=3", 403, "destroyed"),
        ("gsm/not-ours", 502, "plugin_permission_denied"),
        ("gsm/damaged", 503, "plugin_unavailable"),
        ("gsm/a/b", 400, "plugin_invalid_request"),
        ("gsm/db-password?version=0", 400, "plugin_invalid_request"),
    ];
    scene.gateway.answers(&refused).await;
    let pages = scene.gateway.pages("gsm/").await;
    assert_eq!(pages, [json!(["db-password", "damaged"]), json!(["not-ours"])]);
    scene.stop().await;
}

#[tokio::test]
async fn an_assertion_that_the_provider_does_not_expect_opens_nothing() {
    let scene = with(r#"audience = "https://iam.googleapis.com/projects/1""#, "").await;
    scene.gateway.answers(&[("gsm/db-password", 502, "plugin_invalid_config")]).await;
    assert_eq!(scene.cloud.witness().doubts(), [Doubt::Audience]);
    scene.stop().await;
}

#[tokio::test]
async fn a_set_up_that_google_refuses_opens_nothing() {
    for (more, refused) in [
        (r#"service_account = "other@acme-prod.iam.gserviceaccount.com""#, "the account"),
        (r#"scopes = ["https://www.googleapis.com/auth/drive"]"#, "the scope"),
        (r#"scopes = ["https://www.googleapis.com/auth/iam"]"#, "the token's scope"),
    ] {
        let scene = with(&Google::audience(), more).await;
        assert_eq!(scene.gateway.read("gsm/db-password").await.status, 502, "{more}");
        let last = scene.cloud.witness().asked().pop();
        assert_eq!(last.as_deref(), Some(format!("refused: {refused}").as_str()));
        scene.stop().await;
    }
}

#[tokio::test]
async fn googles_own_clients_find_the_fake_faithful() {
    let scene = start().await;
    let good = scene.good();
    let found = scene.shown(&good, "db-password/versions/latest").await;
    let name = "projects/837509470220/secrets/db-password/versions/4";
    let expected = json!({ "name": name, "value": "hunter2", "checksum": 1_736_498_283 });
    assert_eq!(found, expected, "{:?}", scene.cloud.witness().asked());
    let expected = [
        ("never/versions/latest", "NotFound"),
        ("db-password/versions/2", "BadRequest"),
        ("not-ours/versions/1", "Forbidden"),
    ];
    scene.fails(&expected).await;
    scene.stop().await;
}

#[tokio::test]
async fn no_client_gets_by_with_an_assertion_that_deviates() {
    let scene = start().await;
    scene.no_deviation_passes("db-password/versions/latest", "OAuthError").await;
    scene.stop().await;
}
