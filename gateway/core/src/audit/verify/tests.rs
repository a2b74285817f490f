use proptest::prelude::*;

use super::super::{Chain, ChainEvent, Members};
use super::*;
use crate::clock::Timestamp;

/// A log of `lines` lines in groups of three, and its head after each line.
fn log(lines: u64) -> (Vec<Vec<u8>>, Vec<Anchor>) {
    let (mut chain, mut out, mut heads) = (Chain::default(), Vec::new(), Vec::new());
    for n in 0..lines {
        let event = match n {
            0 => ChainEvent::Start { format: 1 },
            _ => ChainEvent::Stopped { lines: n },
        };
        if n % 3 == 0 {
            chain.begin_group();
        }
        let mut line = Vec::new();
        let at = Timestamp::from_seconds(1_793_520_000);
        chain.append(&mut line, at, &Members::of(&event).unwrap());
        out.push(line);
        heads.push(chain.head());
    }
    (out, heads)
}

fn check(lines: &[Vec<u8>], anchor: Option<Anchor>) -> Report {
    verify(lines.concat().as_slice(), anchor).unwrap()
}

fn codes(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(Finding::code).collect()
}

#[test]
fn an_untouched_log_is_intact_and_says_what_is_unanchored() {
    let (lines, heads) = log(10);
    let report = check(&lines, Some(heads[5]));
    assert_eq!((report.verdict(), report.anchored, report.lines), (Verdict::Intact, true, 10));
    assert_eq!(report.unanchored, Some(Unanchored { lines: 4, groups: 2 }));
    assert_eq!((report.first_seq, report.last), (Some(1), Some(heads[9])));
    assert_eq!(check(&lines, None).unanchored, None);
}

#[test]
fn each_tampering_is_named_with_its_place() {
    let (lines, heads) = log(10);
    let anchor = Some(heads[9]);
    let place = |line| Place { file: 1, line };
    let table: Vec<(Vec<Vec<u8>>, Vec<Finding>)> = vec![
        (without(&lines, 4), vec![Finding::Removed { place: place(5), from: 5, to: 5 }]),
        (without(&lines, 0), vec![Finding::Headless { place: place(1), seq: 2 }]),
        (swapped(&lines, 3, 4), vec![Finding::Moved { place: place(5), seq: 4 }]),
        (repeated(&lines, 3), vec![Finding::Duplicated { place: place(5), seq: 4 }]),
        (edited(&lines, 3), vec![Finding::Changed { place: place(4), seq: 4 }]),
        (lines[..7].to_vec(), vec![Finding::Cut { anchored: 10, last: 7 }]),
        (Vec::new(), vec![Finding::Cut { anchored: 10, last: 0 }, Finding::Empty]),
    ];
    for (tampered, expected) in table {
        assert_eq!(check(&tampered, anchor).findings, expected);
    }
}

#[test]
fn a_line_rewritten_with_its_own_hash_breaks_the_link_behind_it() {
    let (mut lines, heads) = log(10);
    let mut forged = Vec::new();
    let members = Members::of(&ChainEvent::Stopped { lines: 999 }).unwrap();
    Chain::after(heads[3]).append(&mut forged, Timestamp::from_seconds(0), &members);
    lines[4] = forged;
    let expected = Finding::Unlinked { place: Place { file: 1, line: 6 }, seq: 6 };
    assert_eq!(check(&lines, Some(heads[9])).findings, [expected]);
}

#[test]
fn a_log_written_anew_up_to_its_end_is_caught_by_the_anchor() {
    let (lines, heads) = log(10);
    let mut chain = Chain::after(heads[6]);
    let mut forged = lines[..7].to_vec();
    for n in 0..3 {
        let mut line = Vec::new();
        let members = Members::of(&ChainEvent::Stopped { lines: n }).unwrap();
        chain.append(&mut line, Timestamp::from_seconds(0), &members);
        forged.push(line);
    }
    assert_eq!(check(&forged, None).verdict(), Verdict::Intact);
    assert_eq!(codes(&check(&forged, Some(heads[9]))), ["rewritten", "cut"]);
}

#[test]
fn files_are_read_as_one_chain() {
    let (lines, heads) = log(9);
    let mut continued = Vec::new();
    let mut chain = Chain::after(heads[8]);
    let members = Members::of(&ChainEvent::Continued { previous: "a".into() }).unwrap();
    chain.append(&mut continued, Timestamp::from_seconds(0), &members);
    let files = |parts: &[&[u8]], anchor| {
        let mut verifier = Verifier::new(anchor);
        parts.iter().for_each(|part| verifier.file(*part).unwrap());
        verifier.finish()
    };
    let old = lines.concat();
    let whole = files(&[&old, &continued], Some(heads[8]));
    assert_eq!((whole.verdict(), whole.files, whole.lines), (Verdict::Intact, 2, 10));
    let torn_inside = files(&[&old[..old.len() - 4], &continued], None);
    assert_eq!(codes(&torn_inside), ["unreadable"]);
    // The newer file alone: it begins late, and its first line still proves the anchor before it.
    let alone = files(&[&continued], Some(heads[8]));
    assert_eq!(
        (alone.verdict(), alone.first_seq, alone.anchored),
        (Verdict::Intact, Some(10), true)
    );
    let other = Anchor { hash: Digest::ZERO, ..heads[8] };
    assert_eq!(codes(&files(&[&continued], Some(other))), ["rewritten"]);
}

#[test]
fn garbage_is_reported_and_bounded() {
    let garbage = vec![b'x'; 3 * MAX_LINE_BYTES];
    let report = verify([garbage.as_slice(), b"\n"].concat().as_slice(), None).unwrap();
    assert_eq!(codes(&report), ["unreadable", "empty"]);
    let many = b"x\n".repeat(3 * FINDINGS_KEPT);
    let report = verify(many.as_slice(), None).unwrap();
    assert_eq!((report.findings.len(), report.further), (FINDINGS_KEPT, 2000));
}

fn without(lines: &[Vec<u8>], at: usize) -> Vec<Vec<u8>> {
    let mut lines = lines.to_vec();
    lines.remove(at);
    lines
}

fn swapped(lines: &[Vec<u8>], a: usize, b: usize) -> Vec<Vec<u8>> {
    let mut lines = lines.to_vec();
    lines.swap(a, b);
    lines
}

fn repeated(lines: &[Vec<u8>], at: usize) -> Vec<Vec<u8>> {
    let mut lines = lines.to_vec();
    lines.insert(at + 1, lines[at].clone());
    lines
}

fn edited(lines: &[Vec<u8>], at: usize) -> Vec<Vec<u8>> {
    let mut lines = lines.to_vec();
    let text = String::from_utf8(lines[at].clone()).unwrap();
    lines[at] = text.replacen("\"lines\":", "\"lanes\":", 1).into_bytes();
    lines
}

proptest! {
    #[test]
    fn any_single_tampering_is_found(
        count in 2_u64..40, pick in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(), how in 0..4, bit in 0_u8..8,
        byte in any::<prop::sample::Index>(),
    ) {
        let (lines, heads) = log(count);
        let (a, b) = (pick.index(lines.len()), other.index(lines.len()));
        let tampered = match how {
            0 => without(&lines, a),
            1 if a != b => swapped(&lines, a, b),
            2 => repeated(&lines, a),
            _ => {
                let mut lines = lines.clone();
                let at = byte.index(lines[a].len());
                lines[a][at] ^= 1 << bit;
                lines
            }
        };
        let report = check(&tampered, heads.last().copied());
        prop_assert_eq!(report.verdict(), Verdict::Tampered, "{:?}", report);
    }

    #[test]
    fn a_cut_before_the_anchor_is_a_cut_and_one_after_it_is_torn_or_clean(
        count in 4_u64..30, anchored in any::<prop::sample::Index>(),
        end in any::<prop::sample::Index>(),
    ) {
        let (lines, heads) = log(count);
        let anchored = anchored.index(heads.len());
        let bytes = lines.concat();
        let end = end.index(bytes.len() + 1);
        let report = verify(&bytes[..end], Some(heads[anchored])).unwrap();
        let anchored_bytes: usize = lines[..=anchored].iter().map(Vec::len).sum();
        let on_a_line = end == 0 || bytes[end - 1] == b'\n';
        let expected = match (end >= anchored_bytes, on_a_line) {
            (false, _) => Verdict::Tampered,
            (true, false) => Verdict::Torn,
            (true, true) => Verdict::Intact,
        };
        prop_assert_eq!(report.verdict(), expected, "{:?}", report);
    }

    #[test]
    fn no_bytes_make_the_verifier_fall(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = verify(bytes.as_slice(), None).unwrap();
    }
}
