//! The Vault plugin before a server that does not behave. The real server is in `e2e`; this one
//! answers what a real one cannot be made to answer.

use symbolon_tests::harness::{Gateway, Issuer, Setup, private};

use std::sync::Arc;
use std::time::Duration;

use symbolon::time::SystemClock;
use symbolon_core::clock::{Clock, ManualClock};

use super::scene::NEIGHBOUR;
use super::settings::WELL_BEHAVED;
use super::trial::Fate::{self, Cut, Refused, Stopped};
use super::trial::beside;
use super::upstream::{Upstream, network};

const UNAVAILABLE: Fate = Stopped("plugin_unavailable", 503);
const NOT_HTTP: Fate = Refused("plugin_internal", 500, "egress_protocol");

/// What the server does, and what comes of it.
pub(super) const TABLE: &[(&str, Fate)] = &[
    ("status-404", Stopped("absent", 403)),
    ("status-403", Stopped("plugin_permission_denied", 502)),
    ("status-400", Stopped("plugin_invalid_request", 400)),
    ("status-429", Stopped("plugin_rate_limited", 429)),
    ("status-500", UNAVAILABLE),
    ("status-502", UNAVAILABLE),
    ("status-503", UNAVAILABLE),
    ("status-599", UNAVAILABLE),
    ("redirect", Stopped("plugin_internal", 500)),
    ("shorter", Cut("plugin_unavailable", 503, "egress_length_mismatch")),
    ("longer", Stopped("plugin_internal", 500)),
    ("two-lengths", NOT_HTTP),
    ("not-http", NOT_HTTP),
    ("hang", Stopped("plugin_deadline", 503)),
    ("drip", Stopped("plugin_deadline", 503)),
];

const TOKEN: &str = "hvs.the-token-that-only-the-server-sees";

#[tokio::test]
async fn each_way_of_not_answering_has_its_code_and_status() {
    let (server, pem) = Upstream::start_tls("vault.test").await;
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("ca.pem"), pem).unwrap();
    private(&directory.path().join("token"), TOKEN);
    let port = server.address.port();
    let setup = Setup {
        blocks: TABLE.iter().map(|(name, _)| block(name, port)).collect::<String>() + WELL_BEHAVED,
        network: Some(network(&[("vault.test", "127.0.0.1")])),
        ..Setup::default()
    };
    let gateway =
        Gateway::start_in(directory, Issuer::new("https://idp.example.test"), setup).await;
    let token = gateway.token("alice");
    let mut wrong = Vec::new();
    for (name, fate) in TABLE {
        let path = format!("/v1/secrets/{name}/app/db");
        let attempt = beside(&gateway, NEIGHBOUR, async {
            let answer = gateway.get(&path, &token).await;
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(!body.contains("words of the server") && !body.contains(TOKEN), "{body}");
            answer
        });
        if let Err(fault) = attempt.await.meets(&gateway, name, *fate) {
            wrong.push(format!("{name}: expected {fate:?}, {fault}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let heads = server.heads();
    assert!(heads.iter().all(|head| head.contains(&format!("x-vault-token: {TOKEN}\r\n"))));
    gateway.stop().await;
}

/// What a backend asked one caller for, and what the operator asks of all, holds for everybody.
#[tokio::test]
async fn a_backend_is_asked_no_more_often_than_it_and_the_operator_say() {
    let (server, pem) = Upstream::start_tls("vault.test").await;
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("ca.pem"), pem).unwrap();
    private(&directory.path().join("token"), TOKEN);
    let port = server.address.port();
    let rated =
        block("status-404", port).replace("timeout = \"1500ms\"", "rate = { rate = 1, burst = 2 }");
    let clock = Arc::new(ManualClock::at(SystemClock::start().now()));
    let setup = Setup {
        blocks: format!("{rated}{}", block("slow-down", port)),
        network: Some(network(&[("vault.test", "127.0.0.1")])),
        clock: Some(clock.clone()),
        ..Setup::default()
    };
    let gateway =
        Gateway::start_in(directory, Issuer::new("https://idp.example.test"), setup).await;
    for (backend, seconds, who, code, asked) in [
        ("slow-down", 0, "alice", "plugin_rate_limited", 1),
        ("slow-down", 6, "bob", "backend_paused", 1),
        ("slow-down", 1, "bob", "plugin_rate_limited", 2),
        ("status-404", 0, "alice", "absent", 3),
        ("status-404", 0, "bob", "absent", 4),
        ("status-404", 0, "carol", "backend_rate", 4),
        ("status-404", 1, "carol", "absent", 5),
    ] {
        clock.advance(Duration::from_secs(seconds));
        let path = format!("/v1/secrets/{backend}/app/{who}");
        let answer = gateway.get(&path, &gateway.token(who)).await;
        assert_eq!(gateway.closing(&answer)["code"], code, "{backend} {who}");
        assert_eq!(server.heads().len(), asked, "{backend} {who}");
        let refused = code != "absent";
        assert_eq!(answer.status, if refused { 429 } else { 403 }, "{backend} {who}");
    }
    gateway.stop().await;
}

fn block(name: &str, port: u16) -> String {
    format!(
        r#"
[backends.{name}]
plugin = "vault"
limits = {{ timeout = "1500ms" }}
config = {{ address = "https://vault.test:{port}", mount = "{name}" }}
credentials = {{ header = {{ name = "x-vault-token", value = "file:token" }} }}
[[backends.{name}.egress]]
host = "vault.test"
port = {port}
methods = ["GET", "POST"]
path_prefix = "/v1"
addresses = ["127.0.0.0/8"]
ca = "ca.pem"
"#
    )
}
