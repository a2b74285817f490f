//! Users of real databases, from their making to their end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;
use symbolon::lease::LeaseView;
use symbolon_core::clock::{Clock, ManualClock, Timestamp};
use symbolon_core::id::LeaseId;
use symbolon_core::lease::Proof;
use symbolon_tests::harness::{Answer, Gateway, Setup};

use super::parts::Postgres;
use super::parts::postgres::{DATABASE, Version};

pub(super) const ROLES: [(&str, &str); 2] = [
    ("reader", "ttl = \"10m\"\nttl_max = \"30m\"\nconfig = { member_of = \"app_readonly\" }"),
    (
        "owner",
        "config = { creation = [\"CREATE ROLE {{name}} LOGIN PASSWORD {{password_verifier}} VALID UNTIL {{expiration}}\", \"GRANT CREATE ON SCHEMA public TO {{name}}\", \"GRANT CONNECT ON DATABASE app TO {{name}}\"], reassign_to = \"app_owner\" }",
    ),
];

/// A gateway in front of a database.
pub(super) struct Scene {
    pub(super) server: Postgres,
    pub(super) gateway: Gateway,
    pub(super) token: String,
}

/// A login that was issued.
pub(super) struct Login {
    pub(super) lease: String,
    pub(super) user: String,
    pub(super) password: String,
}

impl Scene {
    async fn start(version: Version, clock: Option<Arc<dyn Clock>>) -> Self {
        let server = Postgres::start(version).await;
        let blocks = server.blocks("db", &ROLES);
        Self::before(server, Setup { blocks, clock, ..Setup::default() }).await
    }

    /// A gateway as `setup` says in front of a server that runs.
    pub(super) async fn before(server: Postgres, setup: Setup) -> Self {
        let gateway = Gateway::start(setup).await;
        let token = gateway.token("alice");
        Self { server, gateway, token }
    }

    async fn post(&self, path: &str, body: &str) -> Answer {
        let body = Bytes::copy_from_slice(body.as_bytes());
        self.gateway.ask(Method::POST, path, Some(&self.token), body).await
    }

    pub(super) async fn issue(&self, role: &str) -> Login {
        self.issue_for(role, "").await
    }

    async fn issue_for(&self, role: &str, wish: &str) -> Login {
        let issued = self.post(&format!("/v1/credentials/db/{role}"), wish).await;
        assert_eq!(issued.status, StatusCode::OK, "{:?}", issued.json);
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        Login {
            lease: text(&issued.json["lease"]["id"]),
            user: text(&issued.json["fields"]["username"]),
            password: text(&issued.json["fields"]["password"]),
        }
    }

    pub(super) async fn sql_as(
        &self,
        login: &Login,
        statement: &str,
    ) -> Result<Vec<Vec<String>>, String> {
        self.server.sql_as((&login.user, &login.password), DATABASE, statement).await
    }

    /// Gives a login back and waits for its end; answers the proof of it.
    pub(super) async fn revoke(&self, login: &Login) -> Option<Proof> {
        self.give_back(login).await;
        self.over(login).await
    }

    /// Gives a login back, and waits for nothing.
    pub(super) async fn give_back(&self, login: &Login) {
        let path = format!("/v1/leases/{}", login.lease);
        let ended = self.gateway.ask(Method::DELETE, &path, Some(&self.token), Bytes::new()).await;
        assert_eq!(ended.status, StatusCode::OK, "{:?}", ended.json);
    }

    /// Waits until the ledger has the lease as over; answers the proof of it.
    pub(super) async fn over(&self, login: &Login) -> Option<Proof> {
        self.seen(login, |lease| lease.state == "revoked").await.proof
    }

    /// Waits until the ledger shows the lease like this.
    pub(super) async fn seen(&self, login: &Login, like: impl Fn(&LeaseView) -> bool) -> LeaseView {
        let id = LeaseId::parse(&login.lease).expect("an id");
        let looking = async {
            loop {
                let found = self.gateway.app.foundation.leases.find(id).await.expect("the ledger");
                if let Some(lease) = found.filter(&like) {
                    return lease;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), looking).await.expect("to see it so")
    }
}

#[tokio::test]
async fn an_issued_login_sees_what_it_should_and_ends_with_its_sessions() {
    for version in Version::ALL {
        let scene = Scene::start(version, None).await;
        let login = scene.issue("reader").await;
        assert!(login.user.starts_with("sy_reader_"), "{}", login.user);
        let rows = scene.sql_as(&login, "SELECT count(*) FROM orders").await.unwrap();
        assert_eq!(rows, [["3"]]);
        for denied in ["SELECT * FROM payments", "CREATE ROLE x", "DELETE FROM orders"] {
            assert!(scene.sql_as(&login, denied).await.is_err(), "{denied}");
        }
        let (user, password) = (login.user.as_str(), login.password.as_str());
        let mut session = scene.server.session((user, password), DATABASE).await;
        let other = scene.issue("reader").await;
        assert_eq!(scene.revoke(&login).await, Some(Proof::Probed));
        let reason = session.ended().await;
        assert!(reason.contains("terminating connection"), "{reason}");
        assert!(!scene.server.has_role(user).await);
        let refused = scene.sql_as(&login, "SELECT 1").await.unwrap_err();
        assert!(refused.contains("password authentication failed"), "{refused}");
        assert!(scene.sql_as(&other, "SELECT 1").await.is_ok(), "another's login has ended too");
        assert!(!scene.server.log().contains(password), "the server's log has the password");
        let audit = format!("{:?}", scene.gateway.audit());
        assert!(!audit.contains(password) && audit.contains(&login.lease));
        scene.gateway.stop().await;
    }
}

#[tokio::test]
async fn renewed_it_lives_and_half_an_hour_on_it_is_gone() {
    for version in Version::ALL {
        let clock = Arc::new(ManualClock::at(symbolon::time::SystemClock::start().now()));
        let scene = Scene::start(version, Some(clock.clone())).await;
        let login = scene.issue_for("reader", r#"{"ttl":"1m"}"#).await;
        let valid = format!(
            "SELECT extract(epoch FROM rolvaliduntil)::bigint FROM pg_roles WHERE rolname = '{}'",
            login.user
        );
        let before: i64 = scene.server.sql(DATABASE, &valid).await[0][0].parse().unwrap();
        let renewed = scene.post(&format!("/v1/leases/{}/renew", login.lease), "").await;
        assert_eq!(renewed.status, StatusCode::OK, "{:?}", renewed.json);
        let after: i64 = scene.server.sql(DATABASE, &valid).await[0][0].parse().unwrap();
        // By the server's own clock: nine minutes more, and what the test took.
        assert!((539..=560).contains(&(after - before)), "{before} {after}");
        assert!(scene.sql_as(&login, "SELECT 1").await.is_ok());
        clock.advance(Duration::from_mins(30));
        scene.over(&login).await;
        assert!(!scene.server.has_role(&login.user).await);
        scene.gateway.stop().await;
    }
}

#[tokio::test]
async fn what_a_user_made_passes_to_its_heir() {
    for version in Version::ALL {
        let scene = Scene::start(version, None).await;
        let owner = "CREATE ROLE app_owner NOLOGIN; GRANT ALL ON SCHEMA public TO app_owner; GRANT app_owner TO symbolon; GRANT ALL ON SCHEMA public TO symbolon WITH GRANT OPTION; GRANT CONNECT ON DATABASE app TO symbolon WITH GRANT OPTION";
        scene.server.sql(DATABASE, owner).await;
        let login = scene.issue("owner").await;
        scene.sql_as(&login, "CREATE TABLE made (id int)").await.unwrap();
        scene.revoke(&login).await;
        assert!(!scene.server.has_role(&login.user).await);
        let heir = "SELECT tableowner FROM pg_tables WHERE tablename = 'made'";
        assert_eq!(scene.server.sql(DATABASE, heir).await, [["app_owner"]]);
        scene.gateway.stop().await;
    }
}

#[tokio::test]
async fn while_the_database_is_down_nothing_is_forgotten() {
    let version = Version::V15;
    let mut scene = Scene::start(version, None).await;
    let login = scene.issue("reader").await;
    scene.server.kill();
    let path = format!("/v1/leases/{}", login.lease);
    let token = scene.token.clone();
    let ended = scene.gateway.ask(Method::DELETE, &path, Some(&token), Bytes::new()).await;
    assert_eq!(ended.json["state"], "revoking");
    let failed = scene.post("/v1/credentials/db/reader", "").await;
    assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE, "{:?}", failed.json);
    scene.server.resume().await;
    scene.over(&login).await;
    assert!(!scene.server.has_role(&login.user).await);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_day_long_jump_of_the_clock_ends_nothing() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_793_520_000)));
    let scene = Scene::start(Version::V18, Some(clock.clone())).await;
    let login = scene.issue("reader").await;
    let day = Duration::from_hours(24);
    for jump in [clock.now().plus(day), clock.now().minus(day)] {
        clock.jump_to(jump);
        scene.gateway.app.reaper.sweep().await;
        assert!(scene.server.has_role(&login.user).await);
    }
    scene.gateway.stop().await;
}
