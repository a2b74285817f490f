//! What takes long: run by `cargo xtask soak`, ignored by every other run.

mod clients;

use crate::crash;

/// Kills in an hour; a shorter run has fewer, and never fewer than CI.
const KILLS: u32 = 200;
const FEWEST: u32 = 20;

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
