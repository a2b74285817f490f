//! Fuzz target: a whole audit log. The verifier ends, keeps its bounds, and calls no log intact but
//! the one that was written.

use std::process::ExitCode;

use symbolon_core::audit::{Anchor, Chain, ChainEvent, Members, Verdict, verify};
use symbolon_core::clock::Timestamp;
use symbolon_fuzz::{Target, drive};

const WORDS: &[&str] = &["\n", "\r\n", "\n\n", "\"seq\":", "\"group\":", "\"hash\":", "{", "}"];

fn main() -> ExitCode {
    let seeds = vec![good_log().0];
    drive(&Target { name: "journal_verify", seeds, words: WORDS, check })
}

fn check(log: &[u8]) -> bool {
    let (good, anchor) = good_log();
    // Reading from memory does not fail.
    let Ok(report) = verify(log, Some(anchor)) else { return false };
    assert!(report.findings.len() <= 1000);
    let intact = report.verdict() == Verdict::Intact;
    assert!(!intact || log == good, "{report:?}");
    intact
}

fn good_log() -> (Vec<u8>, Anchor) {
    let (mut chain, mut out) = (Chain::default(), Vec::new());
    for lines in 0..20 {
        let event = match lines {
            0 => ChainEvent::Start { format: 1 },
            _ => ChainEvent::Stopped { lines },
        };
        chain.begin_group();
        if let Ok(members) = Members::of(&event) {
            chain.append(&mut out, Timestamp::from_seconds(1_793_520_000), &members);
        }
    }
    (out, chain.head())
}
