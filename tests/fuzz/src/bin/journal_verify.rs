//! A whole audit log, as bytes from anywhere: the verifier ends, keeps its bounds, and calls no
//! damaged log intact.
//!
//! Reads the files that are named, or damages a good log of its own in many ways.

use std::io;

use symbolon_core::audit::{Anchor, Chain, ChainEvent, Members, Verdict, verify};
use symbolon_core::clock::Timestamp;

fn main() -> io::Result<()> {
    let files: Vec<_> = std::env::args_os().skip(1).collect();
    for file in &files {
        let report = verify(std::fs::read(file)?.as_slice(), None)?;
        assert!(report.findings.len() <= 1000);
    }
    if files.is_empty() {
        let (good, anchor) = good_log();
        assert_eq!(verify(good.as_slice(), Some(anchor))?.verdict(), Verdict::Intact);
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        for _ in 0..20_000 {
            let bad = damaged(&good, &mut random);
            let report = verify(bad.as_slice(), Some(anchor))?;
            assert!(bad == good || report.verdict() == Verdict::Tampered, "{report:?}");
        }
    }
    Ok(())
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

/// Cuts a random piece out, and puts it back elsewhere, changed, or not at all.
fn damaged(good: &[u8], random: &mut u64) -> Vec<u8> {
    let mut pick = |bound: usize| {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        usize::try_from(*random >> 16).unwrap_or(0) % bound.max(1)
    };
    let (head, rest) = good.split_at(pick(good.len()));
    let (piece, tail) = rest.split_at(1 + pick(rest.len() - 1));
    match pick(4) {
        0 => [head, tail].concat(),
        1 => [head, tail, piece].concat(),
        2 => [head, piece, piece, tail].concat(),
        _ => {
            let changed: Vec<u8> = piece.iter().map(|b| b ^ 1).collect();
            [head, &changed, tail].concat()
        }
    }
}
