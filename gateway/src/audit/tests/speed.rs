//! What the journal costs above the disk. Run by hand: it measures this machine's disk.

use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use super::*;

const WAITERS: usize = 256;
const REQUESTS: usize = 100;
const ROUNDS: usize = 7;

/// Journal and floor take turns, since the disk is seldom ours alone; medians are compared.
#[test]
#[ignore = "a measurement"]
fn durable_entries_per_second_against_the_bare_disk() {
    let clock = SystemClock::start();
    let (mut journal, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let home = tempfile::tempdir_in(".").unwrap();
        let took = write(home.path(), &clock);
        let (bare, groups) = replay(&home.path().join("audit.jsonl"), home.path(), &clock);
        println!("journal {took:?}, floor {bare:?}, {groups} groups");
        journal.push(took);
        floor.push(bare);
    }
    let requests = (WAITERS * REQUESTS) as f64;
    let (journal, floor) = (median(journal), median(floor));
    println!(
        "journal {:.0} requests/s, floor {:.0} requests/s, ratio {:.2}",
        requests / journal,
        requests / floor,
        floor / journal,
    );
}

fn median(mut all: Vec<Duration>) -> f64 {
    all.sort();
    all[all.len() / 2].as_secs_f64()
}

fn write(home: &Path, clock: &SystemClock) -> Duration {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let (journal, _) = start(&settings(home), &Arc::default());
        let (journal, fixture) = (Arc::new(journal), Arc::new(Fixture::new()));
        let started = clock.elapsed();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..WAITERS {
            let (journal, fixture) = (journal.clone(), fixture.clone());
            tasks.spawn(async move {
                for _ in 0..REQUESTS {
                    let _receipt = fixture.request(&journal).await.unwrap();
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        clock.elapsed().saturating_sub(started)
    })
}

/// Appends and flushes the same bytes in the same groups.
fn replay(log: &Path, home: &Path, clock: &SystemClock) -> (Duration, usize) {
    let bytes = std::fs::read(log).unwrap();
    let mut groups: Vec<(u64, Vec<u8>)> = Vec::new();
    for line in bytes.split_inclusive(|&b| b == b'\n') {
        let parsed = symbolon_core::audit::Line::parse(&line[..line.len() - 1]).unwrap();
        match groups.last_mut() {
            Some((group, bytes)) if *group == parsed.group => bytes.extend_from_slice(line),
            _ => groups.push((parsed.group, line.to_vec())),
        }
    }
    let file = std::fs::File::create(home.join("floor")).unwrap();
    let started = clock.elapsed();
    let mut at = 0;
    for (_, bytes) in &groups {
        file.write_all_at(bytes, at).unwrap();
        file.sync_data().unwrap();
        at += bytes.len() as u64;
    }
    (clock.elapsed().saturating_sub(started), groups.len())
}
