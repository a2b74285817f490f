//! Secrets of Azure, read with the gateway's own assertions: a fake of Entra and Key Vault, written
//! from their interfaces, and Microsoft's own clients as judges of the fake.

use http::StatusCode;
use serde_json::json;
use symbolon_tests::harness::Setup;

use super::parts::entra::CLIENT;
use super::parts::{Cloud as _, Doubt, Entra, Scene};

const OLD: &str = "00000000000000000000000000000001";
const NEW: &str = "00000000000000000000000000000002";

async fn start() -> Scene<Entra> {
    with("api://AzureADTokenExchange", CLIENT).await
}

async fn with(audience: &str, client: &str) -> Scene<Entra> {
    let entra = Entra::believing("gateway:azure").await;
    let target = entra.target(&format!("audience = \"{audience}\""), client);
    let blocks = format!("{target}{}", entra.backends());
    Scene::of(entra, Setup { blocks, ..Setup::default() }).await
}

#[tokio::test]
async fn a_secret_is_read_with_an_assertion_in_place_of_a_client_secret() {
    let scene = start().await;
    let read = scene.gateway.read("vault/db-password").await;
    assert_eq!(read.status, StatusCode::OK, "{:?}", scene.gateway.closing(&read));
    assert_eq!((&read.json["value"], &read.json["version"]), (&json!("s3cr3t"), &json!(NEW)));
    assert_eq!(read.json["expires_at"], "2096-10-02T07:06:40.000Z");
    let old = scene.gateway.read(&format!("vault/db-password?version={OLD}")).await;
    assert_eq!((&old.json["value"], &old.json["version"]), (&json!("first"), &json!(OLD)));
    assert_eq!(
        scene.cloud.witness().asked(),
        ["logged in", "read db-password", "read db-password"]
    );
    scene.stop().await;
}

#[tokio::test]
async fn a_certificate_is_its_parts_however_the_vault_keeps_it() {
    let scene = start().await;
    for (path, ends) in [("vault/web-pem", true), ("vault/web-pfx", true)] {
        let read = scene.gateway.read(path).await;
        assert_eq!(read.status, StatusCode::OK, "{path}: {:?}", scene.gateway.closing(&read));
        assert_eq!(read.json["kind"], "tls", "{path}");
        let begins = |field: &str, with: &str| {
            read.json["fields"][field].as_str().is_some_and(|pem| pem.starts_with(with))
        };
        assert!(begins("certificate", "-----BEGIN CERTIFICATE-----"), "{:?}", read.json);
        assert!(begins("private_key", "-----BEGIN PRIVATE KEY-----"), "{:?}", read.json);
        assert_eq!(read.json["expires_at"].is_string(), ends, "{path}");
    }
    let whole = scene.gateway.read("files/web-pfx").await;
    assert_eq!(
        (&whole.json["kind"], &whole.json["value_base64"]),
        (&json!("opaque"), &json!("MIIK"))
    );
    assert_eq!(whole.json["content_type"], "application/x-pkcs12");
    let field = scene.gateway.read("vault/web-pem?field=/private_key").await;
    assert!(field.json["value"].as_str().is_some_and(|key| key.contains("PRIVATE KEY")));
    scene.stop().await;
}

#[tokio::test]
async fn each_way_of_not_reading_has_its_status_and_code() {
    let scene = start().await;
    let unknown = format!("vault/db-password?version={}", "0".repeat(32));
    let refused = [
        ("vault/never", 403, "absent"),
        ("vault/dropped", 403, "deleted"),
        ("files/dropped", 403, "absent"),
        ("vault/disabled", 403, "deleted"),
        (unknown.as_str(), 403, "absent"),
        ("vault/expired", 409, "plugin_conflict"),
        ("vault/not-ours", 502, "plugin_permission_denied"),
        ("vault/walled", 502, "plugin_permission_denied"),
        ("vault/a_b", 400, "plugin_invalid_request"),
        ("vault/db-password?version=1", 400, "plugin_invalid_request"),
    ];
    scene.gateway.answers(&refused).await;
    let pages = scene.gateway.pages("vault/").await;
    assert_eq!(pages, [json!(["db-password", "disabled"]), json!(["web-pem"])]);
    // For as long as the vault asks, nobody asks it.
    let busy =
        [("vault/busy", 429, "plugin_rate_limited"), ("vault/db-password", 429, "backend_paused")];
    scene.gateway.answers(&busy).await;
    scene.stop().await;
}

#[tokio::test]
async fn a_login_that_entra_does_not_expect_opens_nothing() {
    let other = CLIENT.replace('a', "c");
    for (audience, client, doubts) in [
        ("api://AzureADTokenExchangeChina", CLIENT, &[Doubt::Audience][..]),
        ("api://AzureADTokenExchange", other.as_str(), &[]),
    ] {
        let scene = with(audience, client).await;
        scene.gateway.answers(&[("vault/db-password", 502, "plugin_invalid_config")]).await;
        assert_eq!(scene.cloud.witness().doubts(), doubts, "{audience} {client}");
        scene.stop().await;
    }
}

#[tokio::test]
async fn microsofts_own_clients_find_the_fake_faithful() {
    let scene = start().await;
    let good = scene.good();
    let found = scene.shown(&good, "db-password").await;
    let expected = json!({ "value": "s3cr3t", "version": NEW, "content_type": "text/plain" });
    assert_eq!(found, expected, "{:?}", scene.cloud.witness().asked());
    assert_eq!(
        scene.cloud.witness().asked(),
        ["refused: Unauthorized a token", "logged in", "read db-password"],
        "the client followed the challenge"
    );
    let names = scene.shown(&good, "*").await;
    assert_eq!(names, json!({ "names": ["db-password", "disabled", "web-pem"] }));
    let expected = [
        ("never", "ResourceNotFoundError"),
        ("disabled", "HttpResponseError"),
        ("not-ours", "HttpResponseError"),
    ];
    scene.fails(&expected).await;
    scene.stop().await;
}

#[tokio::test]
async fn no_client_gets_by_with_an_assertion_that_deviates() {
    let scene = start().await;
    scene.no_deviation_passes("db-password", "ClientAuthenticationError").await;
    scene.stop().await;
}
