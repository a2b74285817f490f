//! What takes long: run by `cargo xtask soak`, ignored by every other run.

mod clients;
mod languages;

use std::time::Duration;

use crate::crash;
use crate::e2e::hot_swap;

/// Kills in an hour; a shorter run has fewer, and never fewer than CI.
const KILLS: u32 = 200;
const FEWEST: u32 = 20;

/// Readings of the memory in a minute of swaps.
const FIRST_MINUTE: usize = 60 / hot_swap::LEVEL;

/// How long the whole run may take, as `cargo xtask soak` says.
fn minutes() -> u32 {
    let asked = symbolon::config::variable("SYMBOLON_SOAK_MINUTES");
    asked.and_then(|minutes| minutes.parse().ok()).unwrap_or(60)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: `cargo xtask soak` runs it"]
async fn killed_two_hundred_times_nothing_answered_is_unrecorded() {
    let kills = (KILLS.saturating_mul(minutes()) / 60).clamp(FEWEST, KILLS);
    let answered = crash::killed(usize::try_from(kills).unwrap()).await;
    println!("soak: killed {kills} times, {answered} requests answered, each of them on record");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: `cargo xtask soak` runs it"]
async fn killed_two_hundred_times_under_load_of_leases_nothing_lives_unaccounted_for() {
    let kills = (KILLS.saturating_mul(minutes()) / 60).clamp(FEWEST, KILLS);
    let issued = crash::killed_with_leases(usize::try_from(kills).unwrap()).await;
    println!("soak: killed {kills} times, {issued} leases issued, each accounted for and ended");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: `cargo xtask soak` runs it"]
async fn swapped_every_second_for_ten_minutes_nobody_is_failed() {
    // Ten minutes of an hour, and never less than one.
    let seconds = u64::from(minutes()).saturating_mul(10).clamp(60, 600);
    let seen = hot_swap::swapped_under_load(Duration::from_secs(seconds)).await;
    println!(
        "soak: {} swaps and {} refused in {seconds} s, {} put back, {} answers, none failed",
        seen.swaps, seen.refused, seen.put_back, seen.answers
    );
    println!("soak: resident memory in KiB, every ten swaps and afterwards: {:?}", seen.levels);
    let level = *seen.levels.iter().take(FIRST_MINUTE).max().unwrap();
    let end = *seen.levels.last().unwrap();
    assert!(end <= level + level / 10, "memory is back at the level of the first minute");
}
