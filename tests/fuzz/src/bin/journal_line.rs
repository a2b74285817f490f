//! Fuzz target: one line of an audit log. Whatever parses has the hash it states, or is not believed.

use std::process::ExitCode;

use symbolon_core::audit::{Chain, ChainEvent, Line, Members};
use symbolon_core::clock::Timestamp;
use symbolon_fuzz::{Target, drive};

const WORDS: &[&str] =
    &["\"seq\":", "\"group\":", "\"hash\":", "\"prev\":", "\"kind\":", ",", ":", "{", "}"];

fn main() -> ExitCode {
    drive(&Target { name: "journal_line", seeds: vec![good_line()], words: WORDS, check })
}

fn check(line: &[u8]) -> bool {
    let Ok(line) = Line::parse(line) else { return false };
    let head = line.head();
    assert_eq!((head.seq, head.group), (line.seq, line.group));
    line.holds()
}

fn good_line() -> Vec<u8> {
    let (mut chain, mut out) = (Chain::default(), Vec::new());
    if let Ok(members) = Members::of(&ChainEvent::Start { format: 1 }) {
        chain.append(&mut out, Timestamp::from_seconds(1_793_520_000), &members);
    }
    out.pop();
    out
}
