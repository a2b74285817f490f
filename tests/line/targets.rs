//! Targets that a backend cannot use.

use http::Method;
use symbolon_client::Admin;
use symbolon_tests::harness::{Gateway, Setup};

use crate::hostile::egress::backend_of;

#[tokio::test]
async fn a_backend_does_not_log_in_in_the_name_of_its_callers() {
    let blocks = r#"
        [targets.cloud]
        plugin = "vault"
        audience = "https://vault.example.test"
        subject = "caller"
        config = { address = "https://vault.example.test" }
        [[targets.cloud.egress]]
        host = "vault.example.test"
        methods = ["POST"]

        [backends.kv]
        plugin = "vault"
        config = { address = "https://vault.example.test" }
        credentials = { target = "cloud" }
        [[backends.kv.egress]]
        host = "vault.example.test"
        methods = ["GET"]
    "#;
    let gateway = Gateway::start(Setup { blocks: blocks.to_owned(), ..Setup::default() }).await;
    let socket = gateway.directory.path().join("admin.sock");
    let shown = Admin::at(socket).call(Method::GET, "/v1/plugins", None).await.expect("an answer");
    let kv = backend_of(&shown, "kv");
    assert_eq!(kv["state"], "degraded");
    let reason = "the target `cloud` has subject = \"caller\"; a backend's credentials are the \
                  gateway's own";
    assert_eq!(kv["reason"], reason);
    let refused = gateway.get("/v1/secrets/kv/app/db", &gateway.token("alice")).await;
    assert_eq!(refused.status, 503);
    assert_eq!(gateway.closing(&refused)["code"], "backend_degraded");
    gateway.stop().await;
}
