//! Kills at any moment while several clients get, renew and give back credentials of a real database.
//!
//! After each kill, before anything is started again: every user with our mark has a lease that is not
//! over, of the one whom it was given to; no lease is over whose user is there; what was answered is in
//! the ledger; counts count. In the end everything ends and nothing is left.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use symbolon_core::clock::Timestamp;
use symbolon_core::id::LeaseId;
use symbolon_core::lease::{Lease, Phase};
use symbolon_tests::harness::postgres::{Postgres, Version};
use symbolon_tests::harness::process::{Client, Home, Running};
use tokio::task::JoinSet;

use super::leases::wait;
use super::ledger::{lease_of, left};
use super::{roll, some_time};

const ROUNDS: usize = 20;
const CLIENTS: usize = 6;
/// So few that the clients run into it now and then.
const MOST: usize = 400;

/// What a client knows for certain of a lease, since it was answered.
#[derive(Clone, Debug)]
struct Known {
    owner: String,
    /// The end that it was told, as the gateway writes it.
    until: String,
    is_given_back: bool,
}

type Seen = Arc<Mutex<BTreeMap<LeaseId, Known>>>;

#[tokio::test(flavor = "multi_thread")]
async fn killed_under_load_of_leases_everything_issued_is_accounted_for_and_ends() {
    killed_with_leases(ROUNDS).await;
}

/// Kills a gateway so often; answers how many leases its clients got.
pub(crate) async fn killed_with_leases(rounds: usize) -> usize {
    let server = Postgres::start(Version::V15).await;
    let role =
        format!("ttl = \"2m\"\nmax_leases = {MOST}\nconfig = {{ member_of = \"app_readonly\" }}");
    let blocks = server.blocks("db", &[("reader", &role)]);
    let home = Home::serving(&blocks, "request_timeout = \"5s\"").cached();
    let seen = Seen::default();
    for round in 0..rounds {
        let mut running = home.start().await;
        assert_owned(&home, &running).await;
        let mut clients = JoinSet::new();
        for n in 0..CLIENTS {
            clients.spawn(use_leases(running.client(), home.someone(n), seen.clone()));
        }
        tokio::time::sleep(some_time(200, 600)).await;
        running.signal(Signal::KILL);
        running.ended().await;
        assert_no_fault(&mut clients).await;
        assert_accounted(&home, &server, &seen, round).await;
    }
    let running = home.start().await;
    give_everything_back(&home, &running).await;
    wait("no user is left", async || server.roles("sy_").await.is_empty()).await;
    running.stop().await;
    assert_accounted(&home, &server, &seen, rounds).await;
    assert_over(&home).await;
    let issued = seen.lock().unwrap().len();
    assert!(issued >= rounds * CLIENTS / 2, "only {issued} leases");
    issued
}

/// A workload.
#[derive(Clone)]
struct Someone {
    name: String,
    token: String,
}

trait Someones {
    fn someone(&self, n: usize) -> Someone;
}

impl Someones for Home {
    fn someone(&self, n: usize) -> Someone {
        let name = format!("client-{n}");
        let token = self.token_of(&name, Duration::ZERO);
        Someone { name, token }
    }
}

/// Clients end because the gateway is gone, and for no other reason.
async fn assert_no_fault(clients: &mut JoinSet<()>) {
    // What waits for an answer of the dead sees it at once, or is cut off.
    let all = async { while clients.join_next().await.map(Result::unwrap).is_some() {} };
    if tokio::time::timeout(Duration::from_secs(20), all).await.is_err() {
        clients.shutdown().await;
    }
}

/// Gets, renews and gives back until the gateway is gone.
async fn use_leases(client: Client, who: Someone, seen: Seen) {
    let mut mine = Vec::<LeaseId>::new();
    loop {
        let answered = match (roll(5), mine.last().copied()) {
            (0, Some(lease)) => {
                mine.pop();
                give_back(&client, &who, lease, &seen).await
            }
            (1, Some(lease)) => renew(&client, &who, lease, &seen).await,
            _ => issue(&client, &who, &seen).await.map(|lease| mine.extend(lease)),
        };
        if answered.is_none() {
            return;
        }
    }
}

/// `None` if there was no answer.
async fn ask(client: &Client, who: &Someone, ask: (&str, &str, &str)) -> Option<(u16, Value)> {
    let (method, path, body) = ask;
    client.send(method, path, &who.token, body).await.ok()
}

async fn issue(client: &Client, who: &Someone, seen: &Seen) -> Option<Option<LeaseId>> {
    // Some end by themselves while the gateway is dead or busy.
    let ttl = ["2s", "30s", "2m"][usize::try_from(roll(3)).unwrap()];
    let body = format!(r#"{{"ttl":"{ttl}"}}"#);
    let (status, json) = ask(client, who, ("POST", "/v1/credentials/db/reader", &body)).await?;
    if status == 429 {
        return Some(None);
    }
    assert_eq!(status, 200, "{json}");
    let lease = &json["lease"];
    let id = LeaseId::parse(lease["id"].as_str().unwrap()).unwrap();
    assert_eq!(lease_of(json["fields"]["username"].as_str().unwrap()), id);
    let until = lease["expires_at"].as_str().unwrap().to_owned();
    let known = Known { owner: who.name.clone(), until, is_given_back: false };
    assert!(seen.lock().unwrap().insert(id, known).is_none(), "{id} was issued twice");
    Some(Some(id))
}

async fn renew(client: &Client, who: &Someone, lease: LeaseId, seen: &Seen) -> Option<()> {
    let path = format!("/v1/leases/{lease}/renew");
    let (status, json) = ask(client, who, ("POST", &path, "")).await?;
    // It may have expired.
    assert!([200, 409].contains(&status), "{status} {json}");
    if status == 200 {
        let until = json["expires_at"].as_str().unwrap().to_owned();
        seen.lock().unwrap().get_mut(&lease).unwrap().until = until;
    }
    Some(())
}

async fn give_back(client: &Client, who: &Someone, lease: LeaseId, seen: &Seen) -> Option<()> {
    let path = format!("/v1/leases/{lease}");
    let (status, json) = ask(client, who, ("DELETE", &path, "")).await?;
    assert_eq!(status, 200, "{json}");
    seen.lock().unwrap().get_mut(&lease).unwrap().is_given_back = true;
    Some(())
}

/// Nothing runs: what the database holds, what was answered and what is written down fit together.
async fn assert_accounted(home: &Home, server: &Postgres, seen: &Seen, round: usize) {
    let leases = left(home).await;
    let users = server.roles("sy_").await;
    for user in &users {
        let lease = leases.get(&lease_of(user));
        let lease = lease.unwrap_or_else(|| panic!("round {round}: {user} has no lease"));
        assert!(lease.is_live(), "round {round}: {user} is usable, and its lease is over");
    }
    for (id, known) in &*seen.lock().unwrap() {
        let lease = leases.get(id);
        let lease = lease.unwrap_or_else(|| panic!("round {round}: {id} was answered: {known:?}"));
        assert_eq!(lease.terms().owner.subject, known.owner, "round {round}: {id}");
        let (is_ending, until) = end_of(lease);
        assert!(is_ending || !known.is_given_back, "round {round}: {id} was given back");
        let until = until.map(|until| until.to_string());
        assert!(until.as_ref() >= Some(&known.until), "round {round}: {id} {until:?} {known:?}");
    }
}

/// Whether a lease is being ended or over, and until when it was to last.
fn end_of(lease: &Lease) -> (bool, Option<Timestamp>) {
    match lease.phase() {
        Phase::Reserved(_) => (false, None),
        Phase::Active(active) => (false, Some(active.expires_at())),
        Phase::Revoking(revoking) => (true, revoking.ends_at()),
        Phase::Revoked(revoked) => (true, revoked.ends_at()),
    }
}

/// After a start everybody sees leases of their own, and no other.
async fn assert_owned(home: &Home, running: &Running) {
    let leases = left(home).await;
    for n in 0..CLIENTS {
        let who = home.someone(n);
        for id in listed(running, &who).await {
            let owner = leases.get(&id).map(|lease| lease.terms().owner.subject.as_str());
            assert_eq!(owner, Some(who.name.as_str()), "{id}");
        }
    }
}

/// The leases of somebody that are not over.
async fn listed(running: &Running, who: &Someone) -> Vec<LeaseId> {
    let (client, mut ids, mut path) = (running.client(), Vec::new(), "/v1/leases".to_owned());
    loop {
        let (status, json) = client.send("GET", &path, &who.token, "").await.unwrap();
        assert_eq!(status, 200, "{json}");
        let page = json["leases"].as_array().unwrap().iter();
        ids.extend(page.map(|lease| LeaseId::parse(lease["id"].as_str().unwrap()).unwrap()));
        let Some(next) = json["next"].as_str() else { return ids };
        path = format!("/v1/leases?next={next}");
    }
}

async fn give_everything_back(home: &Home, running: &Running) {
    let client = running.client();
    for n in 0..CLIENTS {
        let who = home.someone(n);
        for lease in listed(running, &who).await {
            let path = format!("/v1/leases/{lease}");
            let (status, json) = client.send("DELETE", &path, &who.token, "").await.unwrap();
            assert_eq!(status, 200, "{json}");
        }
    }
}

/// Every lease is over, but for those whose answer was lost: they are looked for until nothing can land
/// any more, and each was looked for.
async fn assert_over(home: &Home) {
    for (id, lease) in left(home).await {
        match lease.phase() {
            Phase::Revoked(_) => {}
            Phase::Revoking(revoking) => {
                let is_lost = revoking.ends_at().is_none() && revoking.attempts() > 0;
                assert!(is_lost, "{id}: {revoking:?}");
            }
            Phase::Reserved(_) | Phase::Active(_) => panic!("{id} lives: {lease:?}"),
        }
    }
}
