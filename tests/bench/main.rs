//! Benches: `cargo xtask bench [NAME] [--json]`.
//!
//! A speed is worth little alone, since it is this machine's. So each is measured beside a floor in
//! the same run: the same work with nothing of ours around it. Value and floor take turns for
//! several rounds, and medians are compared, since a machine is seldom ours alone.
//!
//! What is measured is the profile `ci`: release without link-time optimisation, with debug
//! assertions and overflow checks, in value and floor alike.

mod alone;
mod audit;
mod bare;
mod decide;
mod exchange;
mod hot_swap;
mod lease;
mod load;
mod neighbours;
mod plugin_call;
mod plugin_load;
mod read;
mod report;
mod start_many;
mod through;
mod verify;

use std::process::ExitCode;

use report::Report;

type Bench = fn(&mut Report);

const BENCHES: [(&str, Bench); 18] = [
    ("plugin-call", plugin_call::run),
    ("decide", decide::run),
    ("verify", verify::run),
    ("audit", audit::run),
    ("lease-issue", lease::issue::run),
    ("lease-openbao", lease::openbao::run),
    ("lease-restart", lease::restart::run),
    ("lease-revoke", lease::revoke::run),
    ("lease-storm", lease::storm::run),
    ("lease-growth", lease::growth::run),
    ("read", read::run),
    ("hot-swap", hot_swap::run),
    ("plugin-load", plugin_load::run),
    ("start-50", start_many::run),
    ("hostile-neighbours", neighbours::run),
    ("read-through", through::run),
    ("exchange", exchange::run),
    ("exchange-openbao", exchange::beside_openbao),
];

fn main() -> ExitCode {
    let (flags, names): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let is_known = |name: &String| BENCHES.iter().any(|(known, _)| known == name);
    let is_flag = |flag: &String| ["--json", "--alone", "--million"].contains(&flag.as_str());
    if !flags.iter().all(is_flag) || !names.iter().all(is_known) {
        let known = BENCHES.map(|(name, _)| name).join("|");
        eprintln!("symbolon-bench [{known}]… [--json] [--alone] [--million]");
        eprintln!(
            "  --alone   `read`, or `exchange`, without its floor for ten seconds: to be profiled"
        );
        eprintln!(
            "  --million `lease-restart` with a million leases: what `cargo xtask soak` runs"
        );
        return ExitCode::from(2);
    }
    let has = |name: &str| flags.iter().any(|flag| flag == name);
    if has("--alone") {
        let of_exchange = names.iter().any(|name| name == "exchange");
        if of_exchange {
            exchange::alone()
        } else {
            read::alone()
        }
        return ExitCode::SUCCESS;
    }
    let mut report = Report::new(has("--json"));
    if has("--million") {
        lease::restart::million(&mut report);
        return ExitCode::SUCCESS;
    }
    for (name, bench) in BENCHES {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            bench(&mut report);
        }
    }
    ExitCode::SUCCESS
}
