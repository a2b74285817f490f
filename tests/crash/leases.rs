//! What a crash leaves of leases: the process dies at each of its points, at a real database.
//!
//! After each: every user that the gateway made has a lease that is not over and belongs to its owner,
//! what was being ended ends, and in the end nothing is left.

use std::time::Duration;

use symbolon::kill::Point;
use symbolon_tests::harness::postgres::{Postgres, Version};

use symbolon_tests::harness::process::{Home, Running};

const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(50);
pub(super) const ROLE: &str = "ttl = \"10m\"\nconfig = { member_of = \"app_readonly\" }";

/// What is done with the gateway that dies at a point.
pub(super) enum Scenario {
    /// A credential is asked for; whether it may have come to be.
    Issue,
    /// One that was issued is renewed.
    Renew,
    /// One that was issued is given back.
    Revoke,
    /// One that was issued for a few seconds is left alone.
    Expire,
    /// Every lease of the backend is ended by order.
    Order,
    /// The gateway's own login gets a new password: see `root_login`.
    Rotate,
}

/// A new point does not compile without saying what leads to it.
pub(super) fn scenario(point: Point) -> Scenario {
    match point {
        Point::BeforeReserve | Point::AfterReserve | Point::AfterIssue | Point::AfterActivate => {
            Scenario::Issue
        }
        Point::BeforeRenew | Point::AfterRenew | Point::AfterRenewed => Scenario::Renew,
        Point::BeforeRevoke
        | Point::AfterRevokeIntent
        | Point::BeforeEnd
        | Point::AfterEnd
        | Point::AfterVerify
        | Point::AfterOver => Scenario::Revoke,
        Point::AfterDue => Scenario::Expire,
        Point::AfterOrder | Point::AfterCarriedOut => Scenario::Order,
        Point::BeforePending
        | Point::AfterPending
        | Point::AfterChanged
        | Point::AfterProven
        | Point::AfterCurrent => Scenario::Rotate,
    }
}

/// Whether a user that was issued before the crash must end by itself after it.
fn must_end(point: Point) -> bool {
    match point {
        Point::BeforeReserve
        | Point::AfterActivate
        | Point::BeforeRenew
        | Point::AfterRenew
        | Point::AfterRenewed
        | Point::BeforeRevoke
        | Point::BeforePending
        | Point::AfterPending
        | Point::AfterChanged
        | Point::AfterProven
        | Point::AfterCurrent => false,
        Point::AfterReserve
        | Point::AfterIssue
        | Point::AfterRevokeIntent
        | Point::AfterDue
        | Point::BeforeEnd
        | Point::AfterEnd
        | Point::AfterVerify
        | Point::AfterOver
        | Point::AfterOrder
        | Point::AfterCarriedOut => true,
    }
}

/// Waits until it is so.
pub(super) async fn wait(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !done().await {
            tokio::time::sleep(STEP).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{what}"));
}

/// Does what leads to the point, until the process is dead.
pub(super) async fn lead_to(point: Point, home: &Home, running: &mut Running) {
    let (client, token) = (running.client(), home.token());
    let issued = |ttl: &'static str| {
        let (client, token) = (client.clone(), token.clone());
        async move {
            let body = format!(r#"{{"ttl":"{ttl}"}}"#);
            let answer = client.send("POST", "/v1/credentials/db/reader", &token, &body).await;
            let (status, json) = answer.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(status, 200, "{json}");
            json["lease"]["id"].as_str().unwrap().to_owned()
        }
    };
    match scenario(point) {
        Scenario::Issue => {
            let _cut = client.send("POST", "/v1/credentials/db/reader", &token, "").await;
        }
        Scenario::Renew => {
            let lease = issued("5m").await;
            let _cut = client.send("POST", &format!("/v1/leases/{lease}/renew"), &token, "").await;
        }
        Scenario::Revoke => {
            let lease = issued("5m").await;
            let _cut = client.send("DELETE", &format!("/v1/leases/{lease}"), &token, "").await;
        }
        Scenario::Expire => {
            issued("3s").await;
        }
        Scenario::Order => {
            issued("5m").await;
            let arguments = ["lease", "revoke", "--backend", "db", "--yes"];
            let _cut = home.command(&arguments).await;
        }
        Scenario::Rotate => {
            let _cut = home.command(&["backend", "rotate-root", "db"]).await;
        }
    }
    let status = running.ended().await;
    assert!(!status.success(), "{} was not reached", point.as_str());
}

#[tokio::test]
async fn killed_at_any_point_nothing_lives_without_a_lease_and_everything_ends() {
    let server = Postgres::start(Version::V15).await;
    let of_leases = |point: &Point| !matches!(scenario(*point), Scenario::Rotate);
    for point in Point::ALL.into_iter().filter(of_leases) {
        let blocks = server.blocks("db", &[("reader", ROLE)]);
        let home = Home::serving(&blocks, "request_timeout = \"3s\"");
        let mut running = home.spawn_with(&[("SYMBOLON_KILL_AT", point.as_str())]);
        running.ready().await;
        lead_to(point, &home, &mut running).await;
        let running = home.start().await;
        let leases = running.client().send("GET", "/v1/leases", &home.token(), "").await;
        let (_, json) = leases.unwrap_or_else(|error| panic!("{error}"));
        let leases = json["leases"].as_array().unwrap();
        // Looked at after the leases were: what is there now was there then.
        let users = server.roles("sy_").await;
        for user in &users {
            let owned = leases
                .iter()
                .any(|lease| user.ends_with(&lease["id"].as_str().unwrap().to_lowercase()));
            assert!(owned, "{}: {user} has no lease: {json}", point.as_str());
        }
        if must_end(point) {
            let what = format!("{}: {users:?} must end", point.as_str());
            wait(&what, async || server.roles("sy_").await.is_empty()).await;
        } else {
            for lease in leases {
                let path = format!("/v1/leases/{}", lease["id"].as_str().unwrap());
                let ended = running.client().send("DELETE", &path, &home.token(), "").await;
                assert_eq!(ended.unwrap().0, 200, "{}", point.as_str());
            }
        }
        let what = format!("{}: nothing is left", point.as_str());
        wait(&what, async || server.roles("sy_").await.is_empty()).await;
        running.stop().await;
    }
}
