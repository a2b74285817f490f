//! A store with namespaces: the login and the secret are those of the configured one.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use symbolon_tests::harness::{Gateway, ORIGIN, Setup};

use super::parts::{AUDIENCE, Bao};

/// Makes the namespace `team` with a login, a policy and a secret of its own. What is said of paths
/// there is said of paths within it.
async fn settle(bao: &Bao, gateway: &Gateway) {
    let post = async |path: &str, body: Value| {
        bao.expect(Method::POST, &format!("/v1/{path}"), &body).await;
    };
    post("sys/namespaces/team", json!({})).await;
    post("team/sys/mounts/secret", json!({ "type": "kv", "options": { "version": "2" } })).await;
    post("team/sys/auth/symbolon", json!({ "type": "jwt" })).await;
    let pem = std::fs::read_to_string(gateway.directory.path().join("tls.pem")).expect("tls.pem");
    let port = gateway.address.port();
    let config = json!({
        "jwks_url": format!("https://localhost:{port}/assertions/.well-known/jwks.json"),
        "jwks_ca_pem": pem,
        "bound_issuer": format!("{ORIGIN}/assertions"),
    });
    post("team/auth/symbolon/config", config).await;
    let policy = r#"path "secret/data/app/*" { capabilities = ["read"] }"#;
    post("team/sys/policies/acl/app", json!({ "policy": policy })).await;
    let role = json!({
        "role_type": "jwt",
        "user_claim": "sub",
        "bound_audiences": [AUDIENCE],
        "bound_subject": "gateway:bao",
        "token_policies": ["app"],
        "token_ttl": "10m",
    });
    post("team/auth/symbolon/role/gateway", role).await;
    post("team/secret/data/app/db", json!({ "data": { "of": "the team" } })).await;
}

#[tokio::test]
async fn a_secret_of_a_namespace_is_read_by_a_login_in_that_namespace() {
    let bao = Bao::start().await;
    let team = bao
        .blocks("gateway")
        .replace("config = { address", "config = { namespace = \"team\", address");
    // A backend before the root namespace that has the same login.
    let (_, backend) = team.split_once("[backends.kv]").expect("the backend");
    let root = format!("[backends.root]{backend}").replace("backends.kv", "backends.root");
    let root = root.replace("namespace = \"team\", ", "");
    let blocks = format!("{team}{root}");
    let gateway = Gateway::start(Setup { blocks, ..Setup::default() }).await;
    settle(&bao, &gateway).await;
    bao.put("app/db", &json!({ "of": "the root" })).await;

    let token = gateway.token("alice");
    let read = gateway.get("/v1/secrets/kv/app/db", &token).await;
    assert_eq!(read.status, StatusCode::OK, "{:?}", gateway.closing(&read));
    assert_eq!(read.json["fields"], json!({ "of": "the team" }));
    assert_eq!(bao.logins().await.len(), 0, "nobody logged in to the root namespace");
    // The namespace's token is no token elsewhere.
    let refused = gateway.get("/v1/secrets/root/app/db", &token).await;
    assert_eq!(refused.status, StatusCode::BAD_GATEWAY, "{:?}", refused.json);
    assert_eq!(gateway.closing(&refused)["code"], "plugin_permission_denied");
    gateway.stop().await;
}
