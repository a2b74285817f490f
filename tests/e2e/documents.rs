//! The public documents of the assertion issuer: on every way the same, and believed by a store that
//! finds them by itself.

use bytes::Bytes;
use http::{Request, StatusCode};
use serde_json::json;
use symbolon_tests::harness::{Gateway, ORIGIN, Setup};

use super::parts::{Bao, Web, free_port};

const DOCUMENTS: [&str; 2] = ["/.well-known/openid-configuration", "/.well-known/jwks.json"];

#[tokio::test]
async fn the_discovery_listener_serves_two_documents_and_nothing_else() {
    let blocks = format!("[server.discovery]\nlisten = [\"127.0.0.1:{}\"]\n", free_port());
    let gateway = Gateway::start(Setup { blocks, ..Setup::default() }).await;
    let outside = Web::plain(gateway.discovery.expect("a listener").port());
    for path in DOCUMENTS.map(|path| format!("/assertions{path}")) {
        let (served, inside) = (outside.get(&path).await, gateway.get(&path, "").await);
        assert_eq!((served.status(), inside.status), (StatusCode::OK, StatusCode::OK), "{path}");
        assert_eq!(served.body(), &inside.body, "{path}");
        // Where the issuer has a host of its own, they are at its root.
        let at_the_root = outside.get(path.trim_start_matches("/assertions")).await;
        assert_eq!(at_the_root.body(), &inside.body, "{path}");
        assert_eq!(served.headers()["cache-control"], "public, max-age=300", "{path}");
    }
    let token = gateway.token("alice");
    for path in [
        "/",
        "/healthz",
        "/readyz",
        "/metrics",
        "/.well-known/oauth-authorization-server",
        "/v1/secrets/kv/app/db",
        "/v1/secrets/kv/?list",
        "/assertions/",
        "/assertions/.well-known/jwks.json/",
    ] {
        let request = Request::get(path).header("authorization", format!("Bearer {token}"));
        let request = request.body(Bytes::new()).expect("a request");
        let answer = outside.send(request).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn both_listeners_serve_the_documents_below_the_path_of_the_issuer() {
    let blocks = format!(
        "[server.discovery]\nlisten = [\"127.0.0.1:{}\"]\n[issuer]\norigin = \"{ORIGIN}/tenants/a\"\n",
        free_port()
    );
    let gateway = Gateway::start(Setup { blocks, ..Setup::default() }).await;
    let outside = Web::plain(gateway.discovery.expect("a listener").port());
    for path in DOCUMENTS {
        let path = format!("/tenants/a{path}");
        let (served, inside) = (outside.get(&path).await, gateway.get(&path, "").await);
        assert_eq!((served.status(), inside.status), (StatusCode::OK, StatusCode::OK), "{path}");
        assert_eq!(served.body(), &inside.body, "{path}");
    }
    let document = gateway.get("/tenants/a/.well-known/openid-configuration", "").await.json;
    assert_eq!(document["issuer"], format!("{ORIGIN}/tenants/a"));
    let keys = format!("{ORIGIN}/tenants/a/.well-known/jwks.json");
    assert_eq!(document["jwks_uri"], keys);
    gateway.stop().await;
}

#[tokio::test]
async fn exported_files_are_what_is_served() {
    let gateway = Gateway::start(Setup::default()).await;
    let origins = symbolon::app::world::origins(&gateway.app.config());
    let keys = gateway.app.foundation.keyring.assertion_jwks();
    let directory = tempfile::tempdir().expect("a directory");
    symbolon::issuer::export(directory.path(), &origins, &keys).expect("files");
    for path in DOCUMENTS {
        let served = gateway.get(&format!("/assertions{path}"), "").await;
        let exported = std::fs::read(directory.path().join(path.trim_start_matches('/')));
        assert_eq!(exported.expect("a file"), served.body, "{path}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_store_that_discovers_the_issuer_by_itself_believes_it() {
    let (bao, port) = (Bao::start().await, free_port());
    let issuer = format!("https://localhost:{port}/assertions");
    let blocks = format!(
        r#"
        [server.discovery]
        listen = ["127.0.0.1:{port}"]
        tls = {{ certificate = "tls.pem", key = "file:tls.key" }}

        [issuer]
        origin = "{issuer}"

        {}
        "#,
        bao.blocks("gateway")
    );
    let gateway = Gateway::start(Setup { blocks, ..Setup::default() }).await;
    let pem = std::fs::read_to_string(gateway.directory.path().join("tls.pem")).expect("tls.pem");
    let config = json!({ "oidc_discovery_url": issuer, "oidc_discovery_ca_pem": pem });
    bao.trust_by(&config).await;
    bao.put("app/db", &json!({ "k": "v" })).await;
    let read = gateway.get("/v1/secrets/kv/app/db", &gateway.token("alice")).await;
    assert_eq!(read.status, StatusCode::OK, "{:?}", gateway.closing(&read));
    assert_eq!(read.json["fields"]["k"], "v");
    gateway.stop().await;
}
