//! What a crash leaves of leases: the process dies at each of its points, at a real database.
//!
//! After each: every user that the gateway made has a lease that is not over and belongs to its owner,
//! what was being ended ends, and in the end nothing is left.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use symbolon::kill::Point;
use symbolon_tests::harness::postgres::{Postgres, Version};

use symbolon_tests::harness::process::{Home, Running};

const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(50);
pub(super) const ROLE: &str = "ttl = \"10m\"\nconfig = { member_of = \"app_readonly\" }";
const SHARED: &str = "ttl = \"10m\"\nshared = true\nconfig = { member_of = \"app_readonly\" }";

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
    /// One that others may share is asked for.
    Share,
    /// One that was issued is shared by another.
    Join,
    /// The only one who shares one gives it back.
    Leave,
    /// A component is installed, activated or removed: see `components`.
    Component,
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
        Point::AfterKept | Point::AfterShared => Scenario::Share,
        Point::AfterJoined => Scenario::Join,
        Point::AfterForgotten => Scenario::Leave,
        Point::AfterShelved
        | Point::AfterInstalled
        | Point::AfterPointed
        | Point::AfterSwapped
        | Point::AfterUnlisted => Scenario::Component,
    }
}

/// Points that are reached with a credential of one caller, and with one that is shared.
fn cases() -> impl Iterator<Item = (Point, &'static str)> {
    let also_shared = [
        Point::AfterReserve,
        Point::AfterIssue,
        Point::BeforeRenew,
        Point::AfterRenew,
        Point::AfterRenewed,
        Point::AfterRevokeIntent,
        Point::AfterDue,
        Point::BeforeEnd,
        Point::AfterEnd,
        Point::AfterVerify,
        Point::AfterOver,
        Point::AfterOrder,
        Point::AfterCarriedOut,
    ];
    let of_leases =
        |point: &Point| !matches!(scenario(*point), Scenario::Rotate | Scenario::Component);
    let alone = Point::ALL.into_iter().filter(of_leases).map(|point| (point, "reader"));
    alone.chain(also_shared.into_iter().map(|point| (point, "shared")))
}

/// Whether a user that was issued before the crash must end by itself after it.
fn must_end(point: Point) -> bool {
    match point {
        Point::BeforeReserve
        | Point::AfterActivate
        | Point::AfterShared
        | Point::AfterJoined
        | Point::BeforeRenew
        | Point::AfterRenew
        | Point::AfterRenewed
        | Point::BeforeRevoke
        | Point::BeforePending
        | Point::AfterPending
        | Point::AfterChanged
        | Point::AfterProven
        | Point::AfterCurrent
        | Point::AfterShelved
        | Point::AfterInstalled
        | Point::AfterPointed
        | Point::AfterSwapped
        | Point::AfterUnlisted => false,
        Point::AfterReserve
        | Point::AfterIssue
        | Point::AfterKept
        | Point::AfterForgotten
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
pub(super) async fn lead_to(
    (point, role): (Point, &'static str),
    home: &Home,
    running: &mut Running,
) {
    let (client, token) = (running.client(), home.token());
    let issued_as = |role: &'static str, ttl: &'static str| {
        let (client, token) = (client.clone(), token.clone());
        async move {
            let (path, body) =
                (format!("/v1/credentials/db/{role}"), format!(r#"{{"ttl":"{ttl}"}}"#));
            let answer = client.send("POST", &path, &token, &body).await;
            let (status, json) = answer.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(status, 200, "{json}");
            json["lease"]["id"].as_str().unwrap().to_owned()
        }
    };
    let issued = |ttl| issued_as(role, ttl);
    match scenario(point) {
        Scenario::Issue => {
            let path = format!("/v1/credentials/db/{role}");
            let _cut = client.send("POST", &path, &token, "").await;
        }
        Scenario::Share => {
            let _cut = client.send("POST", "/v1/credentials/db/shared", &token, "").await;
        }
        Scenario::Join => {
            issued_as("shared", "5m").await;
            let body = r#"{"ttl":"1m"}"#;
            let _cut = client.send("POST", "/v1/credentials/db/shared", &token, body).await;
        }
        Scenario::Leave => {
            let lease = issued_as("shared", "5m").await;
            let _cut = client.send("DELETE", &format!("/v1/leases/{lease}"), &token, "").await;
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
        Scenario::Component => panic!("see `components`"),
    }
    let status = running.ended().await;
    assert!(!status.success(), "{} was not reached", point.as_str());
}

/// The ids of all leases that are not over, also of those that belong to nobody who asks.
async fn live(home: &Home) -> BTreeSet<String> {
    let listed = home.command(&["lease", "ls", "--output", "json"]).await;
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let json: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let leases = json["leases"].as_array().unwrap();
    leases.iter().map(|lease| lease["id"].as_str().unwrap().to_lowercase()).collect()
}

#[tokio::test]
async fn killed_at_any_point_nothing_lives_without_a_lease_and_everything_ends() {
    let server = Postgres::start(Version::V15).await;
    for (point, role) in cases() {
        let blocks = server.blocks("db", &[("reader", ROLE), ("shared", SHARED)]);
        let home = Home::serving(&blocks, "request_timeout = \"3s\"");
        let mut running = home.spawn_with(&[("SYMBOLON_KILL_AT", point.as_str())]);
        running.ready().await;
        lead_to((point, role), &home, &mut running).await;
        let running = home.start().await;
        let leases = running.client().send("GET", "/v1/leases", &home.token(), "").await;
        let (_, json) = leases.unwrap_or_else(|error| panic!("{error}"));
        let leases = json["leases"].as_array().unwrap();
        let live = live(&home).await;
        // Looked at after the leases were: what is there now was there then.
        let users = server.roles("sy_").await;
        for user in &users {
            let owned = live.iter().any(|lease| user.ends_with(lease));
            assert!(owned, "{} {role}: {user} has no lease: {live:?}", point.as_str());
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
