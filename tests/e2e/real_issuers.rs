//! Identities of issuers that are not ours, accepted once right and refused for what is wrong: OpenBao
//! as an issuer, found by discovery, and a cluster that reviews its tokens. (`openbao` has
//! `oidc-provider`, `aws` the signed requests.)

use std::sync::Arc;

use http::StatusCode;
use serde_json::json;
use symbolon_core::clock::{ManualClock, Timestamp};
use symbolon_tests::harness::platforms::{Signer, cluster, vouched};
use symbolon_tests::harness::{Gateway, Issuer, ORIGIN, Setup, private};

use super::parts::{Bao, Kmock};
use crate::attacks::DEMO;

const SECRET: &str = "/v1/secrets/demo/app/text";

/// What `gateway` answers to whom `token` names, and what is on record of a stranger.
async fn status(gateway: &Gateway, token: &str) -> StatusCode {
    gateway.get(SECRET, token).await.status
}

/// Why `token` proves nothing.
async fn refusal(gateway: &Gateway, token: &str) -> Result<String, &'static str> {
    let world = gateway.app.line.world.load_full();
    let proven = world.authenticator.prove(token, None).await;
    proven.map(|principal| principal.identity().to_string()).map_err(|error| error.code())
}

#[tokio::test]
async fn openbao_is_an_issuer_found_by_discovery_whatever_its_keys_are() {
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let bao = Bao::start().await;
        let audiences = [ORIGIN, "https://other.example.test"];
        let [token, other] = bao.issue(algorithm, audiences, "billing").await;
        let policies = r#"@id("bao-reads")
            permit (principal in Issuer::"bao", action == Action::"read", resource in Folder::"demo/app")
            when { principal has oidc.workload && principal.oidc.workload == "billing" };"#;
        let setup = Setup {
            blocks: format!("{DEMO}{}", bao.issuer(algorithm)),
            policies: Some(policies.to_owned()),
            ..Setup::default()
        };
        let gateway = Gateway::start(setup).await;
        let read = gateway.get(SECRET, &token).await;
        assert_eq!(read.status, StatusCode::OK, "{algorithm}: {:?}", read.json);
        assert_eq!(gateway.closing(&read)["policies"], json!(["bao-reads"]));

        let mut forged = token.clone();
        forged.replace_range(token.len() - 6..token.len() - 2, "AAAA");
        assert_eq!(refusal(&gateway, &forged).await, Err("signature"), "{algorithm}");
        assert_eq!(refusal(&gateway, &other).await, Err("audience"), "{algorithm}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_cluster_reviews_its_tokens_and_vouches_for_its_own_alone() {
    const NOW: i64 = 1_793_520_100;
    let signer = Signer::default();
    let token = |at: i64| signer.token(&cluster().header(), &cluster().claims(ORIGIN, at));
    let (good, unknown, elsewhere) = (token(NOW), token(NOW - 1), token(NOW - 2));
    let statuses = json!({
        good.as_str(): vouched(ORIGIN),
        elsewhere.as_str(): vouched("https://kubernetes.default.svc"),
    });
    let kmock = Kmock::start(&statuses).await;
    let directory = tempfile::tempdir().expect("a directory");
    private(&directory.path().join("reviewer"), "reviewer\n");
    let block = format!(
        "{DEMO}[issuers.kubernetes]\nprofile = \"kubernetes\"\nissuer = \"{}\"\n{}",
        cluster().issuer,
        kmock.review("reviewer")
    );
    let setup = Setup {
        blocks: block,
        policies: Some(cluster().policy()),
        clock: Some(Arc::new(ManualClock::at(Timestamp::from_seconds(NOW)))),
        ..Setup::default()
    };
    let issuer = Issuer::new("https://idp.example.test");
    let gateway = Gateway::start_in(directory, issuer, setup).await;
    assert_eq!(status(&gateway, &good).await, StatusCode::OK);
    for (token, expected) in [(&unknown, "not_vouched"), (&elsewhere, "not_vouched")] {
        assert_eq!(refusal(&gateway, token).await, Err(expected));
        assert_eq!(status(&gateway, token).await, StatusCode::UNAUTHORIZED);
    }
    // A credential that may not have tokens reviewed.
    private(&gateway.directory.path().join("reviewer"), "somebody\n");
    assert_eq!(refusal(&gateway, &unknown).await, Err("online_status"));
    gateway.stop().await;
}
