//! A real issuer that changes its key.

use http::StatusCode;
use symbolon_tests::harness::{Gateway, Setup};

use super::jwks::verdict;
use super::parts::Provider;

#[tokio::test]
async fn a_real_issuers_new_key_is_believed_at_once_and_its_old_one_no_more() {
    let mut provider = Provider::start().await;
    let demo = "[backends.demo]\nplugin = \"static\"\n\
        config = { secrets = { \"app/text\" = \"plain\" } }\n";
    let setup = Setup {
        blocks: format!("{demo}{}", provider.blocks()),
        policies: Some("@id(\"all\")\npermit (principal, action, resource);".to_owned()),
        ..Setup::default()
    };
    let gateway = Gateway::start(setup).await;
    let read = async |token: &str| gateway.get("/v1/secrets/demo/app/text", token).await.status;
    let old = provider.token("workload").await;
    assert_eq!(read(&old).await, StatusCode::OK);

    provider.rotate().await;
    let new = provider.token("workload").await;
    assert_eq!(read(&old).await, StatusCode::OK, "nobody has said yet that its key is withdrawn");
    assert_eq!(read(&new).await, StatusCode::OK);
    assert_eq!(verdict(&gateway, &old).await, "key_unknown", "it was verified and remembered");
    assert_eq!(read(&old).await, StatusCode::UNAUTHORIZED);
    gateway.stop().await;
}
