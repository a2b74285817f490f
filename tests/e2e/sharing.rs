//! One login of a real database for several callers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;
use symbolon_core::clock::{Clock, ManualClock};
use symbolon_core::id::LeaseId;
use symbolon_tests::harness::{Answer, Gateway, Setup};

use super::parts::Postgres;
use super::parts::postgres::{DATABASE, Version};

const ROLES: [(&str, &str); 2] = [
    (
        "reader",
        "ttl = \"10m\"\nttl_max = \"30m\"\nshared = true\nconfig = { member_of = \"app_readonly\" }",
    ),
    ("strict", "shared = true\non_revoke = \"end\"\nconfig = { member_of = \"app_readonly\" }"),
];

const POLICIES: &str = r#"
@id("alice") permit (principal == Workload::"test/alice", action, resource);
@id("bob") @ttl_max("5m") permit (principal == Workload::"test/bob", action, resource);
"#;

struct Scene {
    server: Postgres,
    gateway: Gateway,
}

/// What one caller got.
struct Login {
    who: &'static str,
    lease: String,
    user: String,
    password: String,
}

impl Scene {
    async fn start(version: Version, clock: Option<Arc<dyn Clock>>) -> Self {
        let server = Postgres::start(version).await;
        let blocks = server.blocks("db", &ROLES);
        let policies = Some(POLICIES.to_owned());
        let setup = Setup { blocks, clock, policies, ..Setup::default() };
        Self { server, gateway: Gateway::start(setup).await }
    }

    async fn ask(&self, method: Method, path: &str, who: &str, body: &'static str) -> Answer {
        let token = self.gateway.token(who);
        self.gateway.ask(method, path, Some(&token), Bytes::from_static(body.as_bytes())).await
    }

    async fn issue(&self, role: &str, who: &'static str, wish: &'static str) -> Login {
        let path = format!("/v1/credentials/db/{role}");
        let issued = self.ask(Method::POST, &path, who, wish).await;
        assert_eq!(issued.status, StatusCode::OK, "{:?}", issued.json);
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        Login {
            who,
            lease: text(&issued.json["lease"]["id"]),
            user: text(&issued.json["fields"]["username"]),
            password: text(&issued.json["fields"]["password"]),
        }
    }

    async fn give_back(&self, login: &Login) {
        let path = format!("/v1/leases/{}", login.lease);
        let ended = self.ask(Method::DELETE, &path, login.who, "").await;
        assert_eq!((ended.status, &ended.json["state"]), (StatusCode::OK, &Value::from("revoked")));
    }

    async fn works(&self, login: &Login) -> bool {
        let account = (login.user.as_str(), login.password.as_str());
        self.server.sql_as(account, DATABASE, "SELECT count(*) FROM orders").await.is_ok()
    }

    /// When the login ends at the server, in seconds.
    async fn valid_until(&self, user: &str) -> i64 {
        let valid = format!(
            "SELECT extract(epoch FROM rolvaliduntil)::bigint FROM pg_roles WHERE rolname = '{user}'"
        );
        self.server.sql(DATABASE, &valid).await[0][0].parse().unwrap()
    }

    async fn is_dropped(&self, login: &Login) {
        let looking = async { while self.server.has_role(&login.user).await {} };
        tokio::time::timeout(Duration::from_secs(60), looking).await.expect("its end");
    }
}

#[tokio::test]
async fn two_callers_have_one_login_until_both_are_gone() {
    for version in Version::ALL {
        let scene = Scene::start(version, None).await;
        let hers = scene.issue("reader", "alice", "").await;
        let his = scene.issue("reader", "bob", "").await;
        assert_eq!((&hers.user, &hers.password), (&his.user, &his.password));
        assert_ne!(hers.lease, his.lease);
        assert_eq!(scene.server.roles("sy_").await, std::slice::from_ref(&hers.user));
        let denied = scene.ask(Method::POST, "/v1/credentials/db/reader", "mallory", "").await;
        assert_eq!(denied.status, StatusCode::FORBIDDEN, "policy is each caller's own");
        scene.give_back(&hers).await;
        assert!(scene.works(&his).await, "the other one's login has ended too");
        scene.give_back(&his).await;
        scene.is_dropped(&his).await;
        assert!(!scene.works(&his).await);
        let audit = format!("{:?}", scene.gateway.audit());
        assert!(!audit.contains(&hers.password) && audit.contains(&his.lease));
        assert!(!scene.server.log().contains(&hers.password), "the server's log has the password");
        scene.gateway.stop().await;
    }
}

#[tokio::test]
async fn the_login_lasts_as_long_as_the_longest_of_those_who_have_it() {
    for version in Version::ALL {
        let clock = Arc::new(ManualClock::at(symbolon::time::SystemClock::start().now()));
        let scene = Scene::start(version, Some(clock.clone())).await;
        let his = scene.issue("reader", "bob", "").await;
        let before = scene.valid_until(&his.user).await;
        let hers = scene.issue("reader", "alice", r#"{"ttl":"20m"}"#).await;
        assert_eq!(hers.user, his.user);
        // By the server's own clock: five minutes became twenty.
        let longer = scene.valid_until(&his.user).await - before;
        assert!((880..=920).contains(&longer), "{longer}");
        clock.advance(Duration::from_secs(301));
        let id = LeaseId::parse(&his.lease).expect("an id");
        let over = async {
            loop {
                let found = scene.gateway.app.foundation.leases.find(id).await.expect("the ledger");
                if found.is_some_and(|lease| lease.state == "revoked") {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), over).await.expect("his end");
        assert!(scene.works(&hers).await, "hers is longer");
        clock.advance(Duration::from_mins(15));
        scene.is_dropped(&hers).await;
        scene.gateway.stop().await;
    }
}

#[tokio::test]
async fn a_revocation_ends_the_login_at_once_where_the_role_says_so() {
    let scene = Scene::start(Version::V15, None).await;
    let hers = scene.issue("strict", "alice", "").await;
    let his = scene.issue("strict", "bob", "").await;
    assert_eq!(hers.user, his.user);
    let mut session = scene.server.session((&his.user, &his.password), DATABASE).await;
    let leases = &scene.gateway.app.foundation.leases;
    let id = LeaseId::parse(&hers.lease).expect("an id");
    leases.revoke(id, symbolon_core::lease::Cause::Operator).await.expect("its end");
    scene.is_dropped(&his).await;
    let reason = session.ended().await;
    assert!(reason.contains("terminating connection"), "{reason}");
    let fresh = scene.issue("strict", "bob", "").await;
    assert!(fresh.user != his.user && scene.works(&fresh).await);
    scene.gateway.stop().await;
}
