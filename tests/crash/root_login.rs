//! A rotation of the gateway's own database login, cut off at each of its steps: after a restart the
//! gateway logs in, and after the rotation is run once more one login is in force and no other.

use std::sync::Arc;

use symbolon::kill::Point;
use symbolon::root_login::{Account, RootLogins};
use symbolon::seal::{Seal, Source};
use symbolon::store::Store;
use symbolon_core::id::BackendName;
use symbolon_tests::harness::postgres::{ADMIN, DATABASE, HOST, Postgres, SUPERUSER, Version};
use symbolon_tests::harness::process::{Home, Running};

use super::leases::{ROLE, Scenario, lead_to, scenario, wait};
use super::ledger;

/// What is written down of the login.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    has_own: bool,
    is_pending: bool,
}

/// What a gateway that does not run has written down.
async fn kept(home: &Home, server: &Postgres) -> Kept {
    let store: Arc<dyn Store> = Arc::new(ledger::open(home.copy_of_store()));
    let source = Source::File(home.path().join("seal.key"));
    let seal = Arc::new(Seal::open_or_create(&source, &*store).await.unwrap());
    let logins = RootLogins::open(store, seal).await.unwrap();
    let backend = BackendName::parse("db").unwrap();
    let server = format!("{HOST}:{}", server.port());
    let account = Account { user: ADMIN.0.to_owned(), server };
    let (has_own, is_pending) = (logins.has(&backend, &account), logins.is_pending(&backend));
    Kept { has_own, is_pending }
}

async fn rotate(home: &Home) {
    let rotated = home.command(&["backend", "rotate-root", "db"]).await;
    assert!(rotated.status.success(), "{}", String::from_utf8_lossy(&rotated.stderr));
}

/// A user is made and ended, which takes the login.
async fn assert_logs_in(home: &Home, running: &Running, server: &Postgres, what: &str) {
    let (client, token) = (running.client(), home.token());
    let asked = client.send("POST", "/v1/credentials/db/reader", &token, "").await;
    let (status, json) = asked.unwrap();
    assert_eq!(status, 200, "{what}: {json}\n{}", running.log());
    let path = format!("/v1/leases/{}", json["lease"]["id"].as_str().unwrap());
    assert_eq!(client.send("DELETE", &path, &token, "").await.unwrap().0, 200, "{what}");
    wait(&format!("{what}: it ends"), async || server.roles("sy_").await.is_empty()).await;
}

/// Whether the password of the configuration, which people have seen, still works.
async fn lets_the_configured_in(server: &Postgres) -> bool {
    server.sql_as(ADMIN, DATABASE, "SELECT 1").await.is_ok()
}

/// Whether the server can have the new password after a crash at `point`.
fn is_changed(point: Point) -> bool {
    matches!(point, Point::AfterChanged | Point::AfterProven | Point::AfterCurrent)
}

/// One crash: at the first rotation, or at one that follows another.
async fn killed_at(point: Point, is_second: bool, server: &Postgres) {
    let what = format!("{} {}", point.as_str(), if is_second { "again" } else { "" });
    let set = format!("ALTER ROLE {} PASSWORD '{}'", ADMIN.0, ADMIN.1);
    server.sql_as(SUPERUSER, DATABASE, &set).await.unwrap();
    let home = Home::serving(&server.blocks("db", &[("reader", ROLE)]), "").cached();
    if is_second {
        let running = home.start().await;
        rotate(&home).await;
        running.stop().await;
    }
    let mut running = home.spawn_with(&[("SYMBOLON_KILL_AT", point.as_str())]);
    running.ready().await;
    lead_to((point, "reader"), &home, &mut running).await;
    let is_own = is_second || is_changed(point);
    assert_eq!(lets_the_configured_in(server).await, !is_own, "{what}: before the restart");

    let running = home.start().await;
    assert_logs_in(&home, &running, server, &what).await;
    running.stop().await;
    let is_pending = point == Point::AfterPending;
    assert_eq!(kept(&home, server).await, Kept { has_own: is_own, is_pending }, "{what}");

    let running = home.start().await;
    rotate(&home).await;
    assert_logs_in(&home, &running, server, &what).await;
    running.stop().await;
    let settled = Kept { has_own: true, is_pending: false };
    assert_eq!(kept(&home, server).await, settled, "{what}");
    assert!(!lets_the_configured_in(server).await, "{what}: the configured password still works");
    let running = home.start().await;
    assert_logs_in(&home, &running, server, &what).await;
    running.stop().await;
}

#[tokio::test]
async fn killed_at_any_step_of_a_rotation_the_gateway_logs_in_and_its_login_settles() {
    let server = Postgres::start(Version::V15).await;
    let of_rotation = |point: &Point| matches!(scenario(*point), Scenario::Rotate);
    for point in Point::ALL.into_iter().filter(of_rotation) {
        for is_second in [false, true] {
            killed_at(point, is_second, &server).await;
        }
    }
}
