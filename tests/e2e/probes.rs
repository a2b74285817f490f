//! The end of an issued login, proven by trying it.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use symbolon_core::id::LeaseId;
use symbolon_core::lease::Proof;
use symbolon_tests::harness::{Gateway, Setup};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::leases::{ROLES, Scene};
use super::parts::Postgres;
use super::parts::postgres::{DATABASE, Version};
use crate::attacks::wire::admin;

/// What the report says of leases of `db` that their owner gave back.
async fn reported(scene: &Scene) -> Value {
    let report = admin(&scene.gateway, "GET", "/v1/leases:report?since=3600", "").await.json();
    let rows = report["revocations"].as_array().expect("rows").clone();
    let row = rows.into_iter().find(|row| row["trigger"] == "owner");
    row.unwrap_or_else(|| panic!("{report}"))
}

/// The value of the first sample on the metrics page that has all these words.
fn measured(gateway: &Gateway, words: &[&str]) -> Option<f64> {
    let page = gateway.metrics();
    let has_all =
        |line: &&str| !line.starts_with('#') && words.iter().all(|word| line.contains(word));
    page.lines().find(has_all)?.rsplit(' ').next()?.parse().ok()
}

const LOGINS: &str = "symbolon_lease_probe_logins";

fn ended(phase: &str) -> [String; 3] {
    let name = "symbolon_lease_revocation_duration_seconds_count".to_owned();
    [name, format!("phase=\"{phase}\""), "trigger=\"owner\"".to_owned()]
}

fn count(gateway: &Gateway, phase: &str) -> Option<f64> {
    measured(gateway, &ended(phase).each_ref().map(String::as_str))
}

/// How often a backend was asked to end a lease with this outcome.
fn attempts(gateway: &Gateway, outcome: &str) -> Option<f64> {
    let outcome = format!("outcome=\"{outcome}\"");
    measured(gateway, &["symbolon_lease_revocation_attempts_total", &outcome])
}

/// Lets the server take logins by these rules, from now on.
async fn admit(server: &Postgres, rules: &[&str]) {
    let file = server.sql("postgres", "SHOW hba_file").await.concat().concat();
    let before = server.sql("postgres", "SELECT pg_conf_load_time()").await.concat().concat();
    let rows: Vec<_> = rules.iter().map(|rule| format!("('{rule}')")).collect();
    let write = format!("COPY (VALUES {}) TO '{file}'", rows.join(", "));
    server.sql("postgres", &write).await;
    server.sql("postgres", "SELECT pg_reload_conf()").await;
    let asked = format!("SELECT pg_conf_load_time() > '{before}'");
    while server.sql("postgres", &asked).await != [["t"]] {}
}

const SUPERUSER: &str = "hostssl all superuser 127.0.0.1/32 scram-sha-256";
const ADMIN: &str = "hostssl all symbolon 127.0.0.1/32 scram-sha-256";

#[tokio::test]
async fn an_end_is_probed_where_the_password_is_remembered_and_verified_where_it_is_not() {
    for version in Version::ALL {
        let server = Postgres::start(version).await;
        let blocks = server.blocks("db", &ROLES);
        let setup = || Setup { blocks: blocks.clone(), ..Setup::default() };
        let mut scene = Scene::before(server, setup()).await;
        let (probed, forgotten) = (scene.issue("reader").await, scene.issue("reader").await);
        let before_restart = scene.issue("reader").await;
        assert_eq!(measured(&scene.gateway, &[LOGINS]), Some(3.0));
        // As if there had been no room for it.
        let forgotten_id = LeaseId::parse(&forgotten.lease).unwrap();
        scene.gateway.app.foundation.issued.forget(forgotten_id);
        assert_eq!(scene.revoke(&probed).await, Some(Proof::Probed));
        assert_eq!(scene.revoke(&forgotten).await, Some(Proof::Verified));
        let gateway = &scene.gateway;
        for (phase, number) in [("backend", 2.0), ("verified", 2.0), ("probed", 1.0)] {
            // What is measured follows what is written down.
            while count(gateway, phase) != Some(number) {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(measured(gateway, &[LOGINS]), Some(1.0), "what is over is forgotten");
        let shown = admin(gateway, "GET", &format!("/v1/leases/{}", probed.lease), "").await;
        assert_eq!(shown.json()["proof"], "probed", "{:?}", shown.json());

        let (directory, issuer) = scene.gateway.stop().await;
        scene.gateway = Gateway::start_in(directory, issuer, setup()).await;
        assert_eq!(measured(&scene.gateway, &[LOGINS]), Some(0.0));
        assert_eq!(scene.revoke(&before_restart).await, Some(Proof::Verified));
        let after = scene.issue("reader").await;
        assert_eq!(scene.revoke(&after).await, Some(Proof::Probed));
        let row = reported(&scene).await;
        assert_eq!((&row["verified"], &row["probed"]), (&json!(4), &json!(2)), "{row}");
        assert_eq!(row["probed_share"], json!(0.5));
        scene.gateway.stop().await;
    }
}

/// With `trust` any password is taken, so that what refuses an ended login is that its user is gone:
/// trying it proves just that. Where a rule turns everybody away, trying proves nothing.
#[tokio::test]
async fn the_rules_of_the_server_are_not_taken_for_the_end_of_a_login() {
    for version in Version::ALL {
        for (rule, proof) in [("trust", Proof::Probed), ("reject", Proof::Verified)] {
            let server = Postgres::start(version).await;
            let others = format!("hostssl all all 127.0.0.1/32 {rule}");
            admit(&server, &[SUPERUSER, ADMIN, &others]).await;
            let blocks = server.blocks("db", &ROLES);
            let scene = Scene::before(server, Setup { blocks, ..Setup::default() }).await;
            let login = scene.issue("reader").await;
            let anyhow = scene.server.sql_as((&login.user, "wrong"), DATABASE, "SELECT 1").await;
            assert_eq!(anyhow.is_ok(), rule == "trust", "{anyhow:?}");
            assert_eq!(scene.revoke(&login).await, Some(proof), "{rule}");
            assert!(!scene.server.has_role(&login.user).await);
            scene.gateway.stop().await;
        }
    }
}

#[tokio::test]
async fn without_probes_no_password_is_kept_and_nothing_is_tried() {
    let server = Postgres::start(Version::V15).await;
    let blocks = server.blocks("db", &ROLES);
    let blocks = blocks.replace("[backends.db.database]", "[backends.db.database]\nprobe = false");
    let scene = Scene::before(server, Setup { blocks, ..Setup::default() }).await;
    let login = scene.issue("reader").await;
    assert_eq!(measured(&scene.gateway, &[LOGINS]), Some(0.0));
    assert_eq!(scene.revoke(&login).await, Some(Proof::Verified));
    let tried = format!("password authentication failed for user \"{}\"", login.user);
    assert!(!scene.server.log().contains(&tried));
    scene.gateway.stop().await;
}

/// What stands between the gateway and its database does with what it carries.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Honest,
    /// Lets nothing through that ends a user or could find one: statements say that they are done,
    /// and nobody is there.
    Lying,
    /// Hangs up on whoever comes as an issued user.
    HangingUp,
}

/// A wire to a database, in the clear.
struct Wire {
    port: u16,
    manner: Arc<Mutex<Manner>>,
    _tasks: JoinSet<()>,
}

impl Wire {
    async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its number").port();
        let (manner, mut tasks) = (Arc::new(Mutex::new(Manner::Honest)), JoinSet::new());
        let shared = manner.clone();
        tasks.spawn(async move {
            let mut wires = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                wires.spawn(carry(client, server, shared.clone()));
            }
        });
        Self { port, manner, _tasks: tasks }
    }

    fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }
}

/// A gateway before a server of this version, and the wire between.
async fn behind_a_wire(version: Version) -> (Scene, Wire) {
    let server = Postgres::start(version).await;
    let plain = "host all all 127.0.0.1/32 scram-sha-256";
    admit(&server, &[SUPERUSER, plain]).await;
    let wire = Wire::to(server.port()).await;
    let ca = format!("ca = \"{}\"\n", server.certificate().display());
    let blocks = server.blocks("db", &ROLES).replace(&ca, "tls = \"disable\"\n");
    let blocks = blocks.replace(&server.port().to_string(), &wire.port.to_string());
    (Scene::before(server, Setup { blocks, ..Setup::default() }).await, wire)
}

async fn carry(client: TcpStream, server: u16, manner: Arc<Mutex<Manner>>) {
    let server = TcpStream::connect(("127.0.0.1", server)).await.expect("the server");
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let mut said = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from_client.read(&mut said).await {
            let said = &mut said[..read];
            let now = *manner.lock().unwrap();
            match now {
                Manner::Honest => {}
                Manner::Lying => twist(said),
                Manner::HangingUp if find(said, b"user\0sy_").is_some() => return,
                Manner::HangingUp => {}
            }
            if to_server.write_all(said).await.is_err() {
                return;
            }
        }
    };
    let down = tokio::io::copy(&mut from_server, &mut to_client);
    tokio::select! { () = up => {}, _ = down => {} }
}

/// As long as before, so that the messages' lengths are right.
fn twist(said: &mut [u8]) {
    if find(said, b"NOLOGIN VALID UNTIL").is_some() {
        replace(said, b"ALTER ROLE", b"SELECT 1--");
    }
    replace(said, b"'sy_reader_", b"'xy_reader_");
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn replace<const N: usize>(text: &mut [u8], what: &[u8; N], by: &[u8; N]) {
    while let Some(at) = find(text, what) {
        text[at..at + N].copy_from_slice(by);
    }
}

#[tokio::test]
async fn a_database_that_says_gone_and_lets_in_is_not_believed() {
    for version in Version::ALL {
        let (scene, wire) = behind_a_wire(version).await;
        let login = scene.issue("reader").await;
        wire.behave(Manner::Lying);
        scene.give_back(&login).await;
        let lease = scene.seen(&login, |lease| lease.attempts >= 2).await;
        assert_eq!((lease.state, lease.proof), ("revoking", None));
        assert!(scene.sql_as(&login, "SELECT 1").await.is_ok(), "it is usable, as the probe saw");
        assert!(attempts(&scene.gateway, "still_usable") >= Some(2.0));
        assert_eq!(count(&scene.gateway, "backend"), None, "nothing has ended");

        wire.behave(Manner::Honest);
        assert_eq!(scene.over(&login).await, Some(Proof::Probed));
        assert!(scene.sql_as(&login, "SELECT 1").await.is_err());
        scene.gateway.stop().await;
    }
}

/// The backend has ended it and says so, and the try comes to nothing: that lease waits, others do not,
/// and not for ever.
#[tokio::test]
async fn a_try_that_proves_nothing_is_made_again_and_delays_no_other() {
    let (scene, wire) = behind_a_wire(Version::V15).await;
    let (first, second) = (scene.issue("reader").await, scene.issue("reader").await);
    wire.behave(Manner::HangingUp);
    for login in [&first, &second] {
        scene.give_back(login).await;
        let lease = scene.seen(login, |lease| lease.attempts >= 1).await;
        assert_eq!((lease.state, lease.proof), ("revoking", None));
        assert!(!scene.server.has_role(&login.user).await, "it has ended all the same");
    }
    assert!(attempts(&scene.gateway, "end_unproven") >= Some(2.0));
    let lanes = scene.gateway.app.reaper.lanes();
    assert!(lanes.iter().all(|lane| lane.failures == 0), "the backend is not to blame: {lanes:?}");
    wire.behave(Manner::Honest);
    for login in [&first, &second] {
        assert_eq!(scene.over(login).await, Some(Proof::Probed));
    }

    wire.behave(Manner::HangingUp);
    let third = scene.issue("reader").await;
    assert_eq!(scene.revoke(&third).await, Some(Proof::Verified));
    assert_eq!(measured(&scene.gateway, &[LOGINS]), Some(0.0));
    scene.gateway.stop().await;
}
