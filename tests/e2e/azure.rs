//! Secrets of Azure, read with the gateway's own assertions: a fake of Entra and Key Vault, written
//! from their interfaces, and Microsoft's own clients as judges of the fake.

use http::StatusCode;
use serde_json::json;
use symbolon_tests::harness::{Answer, Gateway, Setup};

use super::parts::entra::{CLIENT, TENANT};
use super::parts::{Doubt, Entra, Expected, assertion, python};

const SCRIPT: &str = include_str!("parts/azure.py");
const OLD: &str = "00000000000000000000000000000001";
const NEW: &str = "00000000000000000000000000000002";

struct Scene {
    entra: Entra,
    gateway: Gateway,
    token: String,
}

impl Scene {
    async fn start() -> Self {
        Self::with(&Entra::expected().audience, CLIENT).await
    }

    async fn with(audience: &str, client: &str) -> Self {
        let entra = Entra::start().await;
        let blocks = entra.blocks(audience, client);
        let gateway = Gateway::start(Setup { blocks, ..Setup::default() }).await;
        entra.judge().learn(&gateway).await;
        let token = gateway.token("alice");
        Self { entra, gateway, token }
    }

    async fn read(&self, path: &str) -> Answer {
        self.gateway.get(&format!("/v1/secrets/{path}"), &self.token).await
    }

    async fn outcome(&self, path: &str) -> (u16, String) {
        let answer = self.read(path).await;
        assert!(!String::from_utf8_lossy(&answer.body).contains("words about"), "{answer:?}");
        let code = self.gateway.closing(&answer)["code"].as_str().expect("a code").to_owned();
        (answer.status.as_u16(), code)
    }
}

#[tokio::test]
async fn a_secret_is_read_with_an_assertion_in_place_of_a_client_secret() {
    let scene = Scene::start().await;
    let read = scene.read("vault/db-password").await;
    assert_eq!(read.status, StatusCode::OK, "{:?}", scene.gateway.closing(&read));
    assert_eq!((&read.json["value"], &read.json["version"]), (&json!("s3cr3t"), &json!(NEW)));
    assert_eq!(read.json["expires_at"], "2096-10-02T07:06:40.000Z");
    let old = scene.read(&format!("vault/db-password?version={OLD}")).await;
    assert_eq!((&old.json["value"], &old.json["version"]), (&json!("first"), &json!(OLD)));
    assert_eq!(scene.entra.asked(), ["logged in", "read db-password", "read db-password"]);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_certificate_is_its_parts_however_the_vault_keeps_it() {
    let scene = Scene::start().await;
    for (path, ends) in [("vault/web-pem", true), ("vault/web-pfx", true)] {
        let read = scene.read(path).await;
        assert_eq!(read.status, StatusCode::OK, "{path}: {:?}", scene.gateway.closing(&read));
        assert_eq!(read.json["kind"], "tls", "{path}");
        let begins = |field: &str, with: &str| {
            read.json["fields"][field].as_str().is_some_and(|pem| pem.starts_with(with))
        };
        assert!(begins("certificate", "-----BEGIN CERTIFICATE-----"), "{:?}", read.json);
        assert!(begins("private_key", "-----BEGIN PRIVATE KEY-----"), "{:?}", read.json);
        assert_eq!(read.json["expires_at"].is_string(), ends, "{path}");
    }
    let whole = scene.read("files/web-pfx").await;
    assert_eq!(
        (&whole.json["kind"], &whole.json["value_base64"]),
        (&json!("opaque"), &json!("MIIK"))
    );
    assert_eq!(whole.json["content_type"], "application/x-pkcs12");
    let field = scene.read("vault/web-pem?field=/private_key").await;
    assert!(field.json["value"].as_str().is_some_and(|key| key.contains("PRIVATE KEY")));
    scene.gateway.stop().await;
}

#[tokio::test]
async fn each_way_of_not_reading_has_its_status_and_code() {
    let scene = Scene::start().await;
    let never = "0".repeat(32);
    for (path, status, code) in [
        ("vault/never", 403, "absent"),
        ("vault/dropped", 403, "deleted"),
        ("files/dropped", 403, "absent"),
        ("vault/disabled", 403, "deleted"),
        (&format!("vault/db-password?version={never}"), 403, "absent"),
        ("vault/expired", 409, "plugin_conflict"),
        ("vault/not-ours", 502, "plugin_permission_denied"),
        ("vault/walled", 502, "plugin_permission_denied"),
        ("vault/a_b", 400, "plugin_invalid_request"),
        ("vault/db-password?version=1", 400, "plugin_invalid_request"),
    ] {
        assert_eq!(scene.outcome(path).await, (status, code.to_owned()), "{path}");
    }
    let first = scene.read("vault/?list").await;
    assert_eq!(first.json["names"], json!(["db-password", "disabled"]), "{:?}", first.json);
    let next = first.json["next"].as_str().expect("there is more");
    let second = scene.read(&format!("vault/?list&next={next}")).await;
    assert_eq!(second.json["names"], json!(["web-pem"]), "{:?}", second.json);
    let busy = (429, "plugin_rate_limited".to_owned());
    assert_eq!(scene.outcome("vault/busy").await, busy);
    let paused = (429, "backend_paused".to_owned());
    assert_eq!(scene.outcome("vault/db-password").await, paused, "for as long as the vault asked");
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_login_that_entra_does_not_expect_opens_nothing() {
    let other = CLIENT.replace('a', "c");
    for (audience, client, doubts) in [
        ("api://AzureADTokenExchangeChina", CLIENT, &[Doubt::Audience][..]),
        ("api://AzureADTokenExchange", other.as_str(), &[]),
    ] {
        let scene = Scene::with(audience, client).await;
        let refused = (502, "plugin_invalid_config".to_owned());
        assert_eq!(scene.outcome("vault/db-password").await, refused, "{audience} {client}");
        assert_eq!(scene.entra.doubts(), doubts, "{audience} {client}");
        scene.gateway.stop().await;
    }
}

/// What the fake makes of an assertion, asked by Microsoft's clients.
async fn by_microsoft(scene: &Scene, assertion: &str, secret: &str) -> serde_json::Value {
    let file = scene.entra.server.identity.directory().join("assertion.jwt");
    std::fs::write(&file, assertion).expect("assertion.jwt");
    let certificate = scene.entra.server.identity.certificate().display().to_string();
    let environment = [
        ("ORIGIN", scene.entra.server.origin()),
        ("TENANT", TENANT.to_owned()),
        ("CLIENT", CLIENT.to_owned()),
        ("ASSERTION", file.display().to_string()),
        ("SECRET", secret.to_owned()),
        ("REQUESTS_CA_BUNDLE", certificate),
    ];
    python(SCRIPT, &environment).await
}

#[tokio::test]
async fn microsofts_own_clients_find_the_fake_faithful() {
    let scene = Scene::start().await;
    let good = assertion(&scene.gateway, &Entra::expected());
    let found = by_microsoft(&scene, &good, "db-password").await;
    let expected = json!({ "value": "s3cr3t", "version": NEW, "content_type": "text/plain" });
    assert_eq!(found, expected, "{:?}", scene.entra.asked());
    assert_eq!(
        scene.entra.asked(),
        ["refused: Unauthorized a token", "logged in", "read db-password"],
        "the client followed the challenge"
    );
    let names = by_microsoft(&scene, &good, "*").await;
    assert_eq!(names, json!({ "names": ["db-password", "disabled", "web-pem"] }));
    for (secret, error) in [
        ("never", "ResourceNotFoundError"),
        ("disabled", "HttpResponseError"),
        ("not-ours", "HttpResponseError"),
    ] {
        let found = by_microsoft(&scene, &good, secret).await;
        assert_eq!(found, json!({ "error": error }), "{secret}");
    }
    scene.gateway.stop().await;
}

#[tokio::test]
async fn no_client_gets_by_with_an_assertion_that_deviates() {
    let scene = Scene::start().await;
    let expected = Entra::expected();
    let of = |expected: &Expected| assertion(&scene.gateway, expected);
    let good = of(&expected);
    let unsigned = good.rsplit_once('.').map(|(message, _)| format!("{message}.AAAA")).unwrap();
    let stranger = Expected { subject: "gateway:other", ..expected.clone() };
    let elsewhere = Expected { audience: "https://sts.amazonaws.com".to_owned(), ..expected };
    for (assertion, doubt) in [
        ("not.a.jwt".to_owned(), Doubt::Malformed),
        (unsigned, Doubt::Signature),
        (of(&stranger), Doubt::Subject),
        (of(&elsewhere), Doubt::Audience),
    ] {
        let found = by_microsoft(&scene, &assertion, "db-password").await;
        assert_eq!(found, json!({ "error": "ClientAuthenticationError" }), "{doubt:?}");
        assert_eq!(scene.entra.doubts().pop(), Some(doubt));
    }
    scene.gateway.stop().await;
}
