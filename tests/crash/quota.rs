//! A quota under many creators, and a kill in the middle of them.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use symbolon_tests::harness::process::{Home, Running};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::ledger::left;
use super::some_time;

const CREATORS: usize = 64;
const MOST: usize = 40;
const ROUNDS: usize = 3;

/// Each of its leases answers at once, and lasts.
fn blocks() -> String {
    format!("[backends.iss]\nplugin = \"issuer\"\n[backends.iss.roles.app]\nmax_leases = {MOST}\n")
}

/// All at once; answers how many got a lease, as far as they were answered.
async fn create(home: &Home, running: &Running) -> JoinSet<Option<u16>> {
    let (client, begin) = (running.client(), Arc::new(Barrier::new(CREATORS)));
    let mut creators = JoinSet::new();
    for n in 0..CREATORS {
        let (client, begin) = (client.clone(), begin.clone());
        let token = home.token_of(&format!("creator-{n}"), Duration::ZERO);
        creators.spawn(async move {
            begin.wait().await;
            let asked = client.send("POST", "/v1/credentials/iss/app", &token, "").await;
            asked.ok().map(|(status, _)| status)
        });
    }
    creators
}

async fn live(home: &Home) -> usize {
    left(home).await.values().filter(|lease| lease.is_live()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_exact_under_many_creators_and_a_kill_among_them() {
    for round in 0..ROUNDS {
        let home = Home::serving(&blocks(), "request_timeout = \"3s\"").cached();
        let mut running = home.start().await;
        let creators = create(&home, &running).await;
        tokio::time::sleep(some_time(1, 60)).await;
        running.signal(Signal::KILL);
        running.ended().await;
        let answers = creators.join_all().await;
        let given = answers.iter().filter(|answer| **answer == Some(200)).count();
        let before = live(&home).await;
        assert!((given..=MOST).contains(&before), "round {round}: {given} given, {before} live");

        let running = home.start().await;
        let answers = create(&home, &running).await.join_all().await;
        let of = |status| answers.iter().filter(|answer| **answer == Some(status)).count();
        // What the crash left in doubt takes its place until it is known to be gone.
        assert_eq!(before + of(200), MOST, "round {round}: {answers:?}");
        assert_eq!(of(200) + of(429), CREATORS, "round {round}: {answers:?}");
        running.stop().await;
        assert_eq!(live(&home).await, MOST, "round {round}");
    }
}
