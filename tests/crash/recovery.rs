//! What a crash leaves of credentials by their class of recovery: those that are found by listing are
//! found and ended, those that cannot be found are left to run out, and a create that lands after the
//! crash is found within the margin.
//!
//! Minutes pass while the gateway runs, without anybody's waiting for them: for how long something is
//! looked for counts anew from each start, so that a clock that was set ahead over one shortens nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use symbolon::kill::Point;
use symbolon_core::id::LeaseId;
use symbolon_core::lease::{LANDING_MARGIN, Phase};
use symbolon_tests::harness::process::{Home, Running};
use tokio::task::JoinSet;

use super::leases::wait;
use super::ledger::left;
use super::registry::Registry;

const ISSUE: &str = "/v1/credentials/reg/app";
const SERVER: &str = "request_timeout = \"3s\"";
/// Less than for how long something is looked for.
const SOON: Duration = LANDING_MARGIN.saturating_sub(Duration::from_secs(10));
/// More than that.
const LATER: Duration = LANDING_MARGIN.saturating_add(Duration::from_secs(10));

/// A gateway in front of a registry, and the time that has passed there.
struct Scene {
    registry: Registry,
    home: Home,
    passed: Mutex<Duration>,
}

impl Scene {
    async fn of(plugin: &str, role: &str) -> Self {
        let registry = Registry::start().await;
        let home = Home::serving(&registry.blocks(plugin, role), SERVER).cached();
        Self { registry, home, passed: Mutex::default() }
    }

    /// So much time passes.
    fn pass(&self, time: Duration) {
        let mut passed = self.passed.lock().unwrap();
        *passed += time;
        let (file, new) = (self.file(), self.file().with_extension("new"));
        std::fs::write(&new, passed.as_secs().to_string()).unwrap();
        std::fs::rename(new, file).unwrap();
    }

    /// Where the gateway reads how much time has passed.
    fn file(&self) -> PathBuf {
        self.home.path().join("time-passed")
    }

    async fn start(&self) -> Running {
        self.spawn(&[]).await
    }

    async fn spawn(&self, environment: &[(&str, &str)]) -> Running {
        let file = self.file();
        let time = ("SYMBOLON_TIME_PASSED", file.to_str().unwrap());
        let mut running = self.home.spawn_with(&[&[time], environment].concat());
        running.ready().await;
        running
    }

    /// A credential, and its lease; `None` if there is no answer.
    async fn issue(&self, running: &Running) -> Option<String> {
        let asked = running.client().send("POST", ISSUE, &self.home.token(), "").await;
        let (status, json) = asked.ok()?;
        assert_eq!(status, 200, "{json}");
        Some(json["lease"]["id"].as_str().unwrap().to_owned())
    }

    async fn give_back(&self, running: &Running, lease: &str) {
        let path = format!("/v1/leases/{lease}");
        let _cut = running.client().send("DELETE", &path, &self.home.token(), "").await;
    }

    /// Dies at `point` after a credential was asked for, and given back if it was given.
    async fn killed_at(&self, point: Point) {
        let mut running = self.spawn(&[("SYMBOLON_KILL_AT", point.as_str())]).await;
        if let Some(lease) = self.issue(&running).await {
            self.give_back(&running, &lease).await;
        }
        let status = running.ended().await;
        assert!(!status.success(), "{} was not reached", point.as_str());
        let live = self.live().await;
        assert!(self.registry.issued().is_subset(&live), "{}: no lease", point.as_str());
    }

    /// The leases that the dead left and that are not over.
    async fn live(&self) -> BTreeSet<LeaseId> {
        let leases = left(&self.home).await;
        leases.into_iter().filter(|(_, lease)| lease.is_live()).map(|(id, _)| id).collect()
    }

    /// The lease as an operator sees it.
    async fn shown(&self, lease: LeaseId) -> Value {
        let id = lease.to_string();
        let shown = self.home.command(&["lease", "show", &id, "--output", "json"]).await;
        serde_json::from_slice(&shown.stdout).unwrap_or_default()
    }

    async fn is_in(&self, lease: LeaseId, state: &str) {
        let what = format!("{lease} is {state}");
        wait(&what, async || self.shown(lease).await["state"] == state).await;
    }

    async fn die(&self, mut running: Running) {
        running.signal(Signal::KILL);
        running.ended().await;
    }
}

#[tokio::test]
async fn what_is_found_by_listing_is_found_after_a_crash_and_ended() {
    for point in [
        Point::AfterReserve,
        Point::AfterIssue,
        Point::AfterActivate,
        Point::AfterRevokeIntent,
        Point::BeforeEnd,
        Point::AfterEnd,
        Point::AfterVerify,
        Point::AfterOver,
    ] {
        let scene = Scene::of("issuer-listable", "ttl = \"10m\"").await;
        scene.killed_at(point).await;
        let running = scene.start().await;
        if matches!(point, Point::AfterActivate) {
            // Nobody was answered, and it is its owner's all the same.
            let issued = scene.registry.issued();
            let lease = issued.first().expect("a lease that is active").to_string();
            scene.give_back(&running, &lease).await;
        }
        let what = format!("{}: it ends", point.as_str());
        wait(&what, async || scene.registry.issued().is_empty()).await;
        let reconciled = ["backend", "reconcile", "reg", "--output", "json"];
        let found = scene.home.command(&reconciled).await;
        let found: Value = serde_json::from_slice(&found.stdout).unwrap();
        assert_eq!(found["without_lease"], 0, "{}: {found}", point.as_str());
        running.stop().await;
    }
}

#[tokio::test]
async fn a_create_that_lands_after_the_crash_is_found_within_the_margin() {
    for plugin in ["issuer", "issuer-listable"] {
        let scene = Scene::of(plugin, "ttl = \"10m\"").await;
        scene.registry.be_slow();
        let running = scene.start().await;
        let (client, token) = (running.client(), scene.home.token());
        let mut asking = JoinSet::new();
        asking.spawn(async move { client.send("POST", ISSUE, &token, "").await });
        wait("it is under way", async || !scene.registry.under_way().is_empty()).await;
        scene.die(running).await;
        assert!(asking.join_next().await.unwrap().unwrap().is_err(), "{plugin}: it was answered");
        let lease = *scene.live().await.first().expect("a reservation");
        assert_eq!(scene.registry.under_way(), BTreeSet::from([lease]));

        // It is looked for when its time to be issued is over, and is not there.
        let running = scene.start().await;
        wait("it is looked for", async || scene.registry.revocations() > 0).await;
        scene.is_in(lease, "revoking").await;
        assert!(scene.registry.issued().is_empty());
        scene.registry.land();
        assert_eq!(scene.registry.issued(), BTreeSet::from([lease]), "{plugin}: it has landed");
        scene.die(running).await;
        assert!(scene.live().await.contains(&lease), "{plugin}: it is usable and has no lease");

        let running = scene.start().await;
        scene.pass(LATER);
        wait("it is found", async || scene.registry.issued().is_empty()).await;
        scene.is_in(lease, "revoked").await;
        assert_eq!(scene.shown(lease).await["proof"], "verified", "{plugin}");
        running.stop().await;
    }
}

#[tokio::test]
async fn what_cannot_be_found_runs_out_and_its_backend_is_not_asked() {
    let longest = Duration::from_secs(30);
    let role = format!("ttl = \"10s\"\nttl_max = \"{}s\"", longest.as_secs());
    let scene = Scene::of("issuer-expires", &role).await;
    scene.killed_at(Point::AfterIssue).await;
    let issued = scene.registry.issued();
    let lease = *issued.first().expect("it was issued");

    let running = scene.start().await;
    scene.is_in(lease, "revoking").await;
    // It may have landed by now, and what landed is not over.
    scene.pass(SOON);
    scene.is_in(lease, "revoking").await;
    scene.die(running).await;
    let leases = left(&scene.home).await;
    let phase = leases.get(&lease).map(|lease| lease.phase().clone());
    let Some(Phase::Revoking(revoking)) = phase else { panic!("{phase:?}") };
    assert!(!revoking.is_reachable() && revoking.attempts() == 0, "{revoking:?}");

    let running = scene.start().await;
    scene.pass(LATER + longest);
    scene.is_in(lease, "revoked").await;
    assert_eq!(scene.shown(lease).await["proof"], "ran_out");
    assert_eq!(scene.registry.revocations(), 0, "it was asked for what it cannot find");
    running.stop().await;
}

#[tokio::test]
async fn what_cannot_be_found_but_is_known_ends_after_a_crash_like_any_other() {
    for point in [Point::AfterActivate, Point::AfterRevokeIntent, Point::BeforeEnd, Point::AfterEnd]
    {
        let scene = Scene::of("issuer-expires", "ttl = \"10m\"").await;
        scene.killed_at(point).await;
        let lease = *scene.live().await.first().expect("a lease");
        let running = scene.start().await;
        scene.give_back(&running, &lease.to_string()).await;
        scene.is_in(lease, "revoked").await;
        assert!(scene.registry.issued().is_empty(), "{}", point.as_str());
        running.stop().await;
    }
}
