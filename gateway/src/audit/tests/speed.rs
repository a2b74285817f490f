//! What the journal costs above the disk. Run by hand: it measures this machine's disk.

use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use super::*;

const WAITERS: usize = 256;
const REQUESTS: usize = 40;

#[test]
#[ignore = "a measurement"]
fn durable_entries_per_second_against_the_bare_disk() {
    let home = tempfile::tempdir_in(".").unwrap();
    let clock = SystemClock::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let took = runtime.block_on(async {
        let anchors = Arc::default();
        let (journal, _) = start(&settings(&home.path().join("log")), &anchors);
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
        let took = clock.elapsed().saturating_sub(started);
        println!("{:?}", journal.readings());
        took
    });
    let (floor, groups) = replay(&home.path().join("log/audit.jsonl"), home.path(), &clock);
    let requests = (WAITERS * REQUESTS) as f64;
    println!(
        "journal {:.0} requests/s, floor {:.0} requests/s, {groups} groups, ratio {:.2}",
        requests / took.as_secs_f64(),
        requests / floor.as_secs_f64(),
        floor.as_secs_f64() / took.as_secs_f64(),
    );
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
