//! One line of an audit log, as bytes from anywhere: whatever parses has the hash it states, or is
//! not believed.
//!
//! Reads the files that are named, or makes its own inputs by damaging a good line.

use std::io;

use symbolon_core::audit::{Chain, ChainEvent, Line, Members};
use symbolon_core::clock::Timestamp;

fn main() -> io::Result<()> {
    let files: Vec<_> = std::env::args_os().skip(1).collect();
    for file in &files {
        check(&std::fs::read(file)?);
    }
    if files.is_empty() {
        let good = good_line();
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        for _ in 0..200_000 {
            check(&damaged(&good, &mut random));
        }
    }
    Ok(())
}

fn check(line: &[u8]) {
    if let Ok(line) = Line::parse(line) {
        let head = line.head();
        assert_eq!((head.seq, head.group), (line.seq, line.group));
        let _ = line.holds();
    }
}

fn good_line() -> Vec<u8> {
    let (mut chain, mut out) = (Chain::default(), Vec::new());
    if let Ok(members) = Members::of(&ChainEvent::Start { format: 1 }) {
        chain.append(&mut out, Timestamp::from_seconds(1_793_520_000), &members);
    }
    out.pop();
    out
}

/// Flips, cuts or repeats at a random place.
fn damaged(good: &[u8], random: &mut u64) -> Vec<u8> {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    let pick = |bound: usize| usize::try_from(*random >> 16).unwrap_or(0) % bound.max(1);
    let (head, tail) = good.split_at(pick(good.len()));
    match *random % 4 {
        0 => head.to_vec(),
        1 => tail.to_vec(),
        2 => [head, tail, tail].concat(),
        _ => {
            let flipped: Vec<u8> =
                tail.first().map(|b| b ^ (1 << ((*random >> 8) % 8))).into_iter().collect();
            [head, &flipped, tail.get(1..).unwrap_or_default()].concat()
        }
    }
}
