//! Credentials that another store issues, with its lease inside ours.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;
use symbolon_core::id::LeaseId;
use symbolon_tests::harness::{Answer, Gateway, Setup};

use super::parts::postgres::{ADMIN, DATABASE, Version};
use super::parts::{Bao, Postgres};

const ROLES: &str = r#"
[backends.kv.roles.app]
ttl = "2m"
ttl_max = "30m"
config = { engine = "database", role = "app" }

[backends.kv.roles.web]
ttl = "5m"
config = { engine = "pki", role = "web", common_name = "a.example", alt_names = ["b.example"] }

[backends.kv.roles.nosuch]
config = { engine = "database", role = "nosuch" }
"#;

const POLICY: &str = r#"
path "database/creds/*" { capabilities = ["read"] }
path "pki/issue/*" { capabilities = ["update"] }
path "pki/revoke" { capabilities = ["update"] }
path "pki/cert/*" { capabilities = ["read"] }
path "sys/leases/lookup" { capabilities = ["update"] }
path "sys/leases/renew" { capabilities = ["update"] }
path "sys/leases/revoke" { capabilities = ["update"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
"#;

/// The engines `database` and `pki`, and the gateway let in.
async fn engines(bao: &Bao, server: &Postgres, gateway: &Gateway) {
    bao.trust(gateway).await;
    let policy = json!({ "policy": POLICY });
    bao.expect(Method::PUT, "/v1/sys/policies/acl/leases", &policy).await;
    bao.role("leases", &["leases"]).await;
    for engine in ["database", "pki"] {
        let path = format!("/v1/sys/mounts/{engine}");
        bao.expect(Method::POST, &path, &json!({ "type": engine })).await;
    }
    let url = format!(
        "postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{}/app?sslmode=require",
        server.port()
    );
    let connection = json!({
        "plugin_name": "postgresql-database-plugin", "allowed_roles": "*",
        "connection_url": url, "username": ADMIN.0, "password": ADMIN.1,
    });
    bao.expect(Method::POST, "/v1/database/config/pg", &connection).await;
    let create = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE app_readonly";
    let role = json!({
        "db_name": "pg", "default_ttl": "1h", "max_ttl": "2h", "creation_statements": [create],
        "revocation_statements": ["DROP ROLE IF EXISTS \"{{name}}\""],
    });
    bao.expect(Method::POST, "/v1/database/roles/app", &role).await;
    let root = json!({ "common_name": "root", "ttl": "24h" });
    bao.expect(Method::POST, "/v1/pki/root/generate/internal", &root).await;
    let web = json!({ "allow_any_name": true, "key_type": "ec", "key_bits": 256 });
    bao.expect(Method::POST, "/v1/pki/roles/web", &web).await;
}

async fn issue(gateway: &Gateway, role: &str) -> Answer {
    let path = format!("/v1/credentials/kv/{role}");
    gateway.ask(Method::POST, &path, Some(&gateway.token("alice")), Bytes::new()).await
}

async fn give_back(gateway: &Gateway, issued: &Answer) {
    let id = issued.json["lease"]["id"].as_str().expect("an id");
    let path = format!("/v1/leases/{id}");
    let token = gateway.token("alice");
    let ended = gateway.ask(Method::DELETE, &path, Some(&token), Bytes::new()).await;
    assert_eq!(ended.status, StatusCode::OK);
    let id = LeaseId::parse(id).expect("an id");
    let over = async {
        loop {
            let lease = gateway.app.foundation.leases.find(id).await.expect("the ledger");
            if lease.is_some_and(|lease| lease.state == "revoked") {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), over).await.expect("its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_openbao_issues_is_leased_renewed_and_ended_there() {
    let (bao, server) = tokio::join!(Bao::start(), Postgres::start(Version::V15));
    let blocks = bao.blocks("leases").replace(r#"["GET"]"#, r#"["GET", "POST"]"#);
    let blocks = blocks.replace("\"/v1/secret/\"", "\"/v1/\"");
    let setup = Setup { blocks: format!("{blocks}{ROLES}"), ..Setup::default() };
    let gateway = Gateway::start(setup).await;
    engines(&bao, &server, &gateway).await;

    let issued = issue(&gateway, "app").await;
    assert_eq!(issued.status, StatusCode::OK, "{:?}", gateway.closing(&issued));
    let field = |name: &str| issued.json["fields"][name].as_str().expect("text").to_owned();
    let (user, password) = (field("username"), field("password"));
    let login = (user.as_str(), password.as_str());
    let rows = server.sql_as(login, DATABASE, "SELECT count(*) FROM orders").await.unwrap();
    assert_eq!(rows, [["3"]]);
    assert!(issued.json["lease"]["lease_duration"].as_u64() <= Some(120), "{:?}", issued.json);
    let path = format!("/v1/leases/{}/renew", issued.json["lease"]["id"].as_str().unwrap());
    let token = gateway.token("alice");
    let wish = Bytes::from_static(br#"{"ttl":"5m"}"#);
    let renewed = gateway.ask(Method::POST, &path, Some(&token), wish).await;
    assert_eq!(renewed.status, StatusCode::OK, "{:?}", renewed.json);
    assert!(renewed.json["lease_duration"].as_u64() > Some(120), "{:?}", renewed.json);
    give_back(&gateway, &issued).await;
    assert!(!server.has_role(&user).await, "the upstream lease lives on");

    let issued = issue(&gateway, "web").await;
    assert_eq!(issued.status, StatusCode::OK, "{:?}", gateway.closing(&issued));
    let certificate = issued.json["fields"]["certificate"].as_str().expect("a certificate");
    assert!(certificate.starts_with("-----BEGIN CERTIFICATE-----"), "{certificate}");
    give_back(&gateway, &issued).await;

    let refused = issue(&gateway, "nosuch").await;
    assert!(refused.status.is_server_error() || refused.status == 403, "{}", refused.status);
    gateway.stop().await;
}
