//! Reading the log back and saying what is wrong with it.
//!
//! INVARIANT: in a log that this module calls intact, every line is the one that was written, in
//! its place, up to the anchored head. What it cannot know, it names: how many lines follow the
//! anchor (they could have been cut without trace), and where the log begins, if earlier files were
//! not shown.
//!
//! It streams: memory is bounded by one line, the findings kept and the gaps that are open.

use std::fmt;
use std::io::{self, BufRead};

use super::chain::{Anchor, Digest, Line, MAX_LINE_BYTES};

mod report;
#[cfg(test)]
mod tests;

pub use report::{Finding, Place, Report, Torn, Unanchored, Verdict};

/// Findings that are kept; further ones are counted.
const FINDINGS_KEPT: usize = 1000;
/// Gaps that wait for their lines to turn up elsewhere; further ones are reported at once.
const GAPS_OPEN: usize = 256;

/// Reads files in rotation order, then reports.
#[derive(Debug)]
pub struct Verifier {
    anchor: Option<Anchor>,
    anchor_seen: bool,
    report: Report,
    /// The line after which the next one must come; its hash is unknown after a changed line.
    expected: Option<Expected>,
    gaps: Vec<Gap>,
    last_group: u64,
    buffer: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Expected {
    seq: u64,
    prev: Option<Digest>,
}

#[derive(Clone, Copy, Debug)]
struct Gap {
    from: u64,
    to: u64,
    place: Place,
}

/// Verifies one file.
///
/// # Errors
/// What `reader` reports. Everything about the content is in the [`Report`].
pub fn verify(reader: impl BufRead, anchor: Option<Anchor>) -> io::Result<Report> {
    let mut verifier = Verifier::new(anchor);
    verifier.file(reader)?;
    Ok(verifier.finish())
}

impl Verifier {
    /// Begins. `anchor` must have been read before the files are, if the gateway is running.
    #[must_use]
    pub fn new(anchor: Option<Anchor>) -> Self {
        Self {
            anchor,
            anchor_seen: false,
            report: Report::default(),
            expected: None,
            gaps: Vec::new(),
            last_group: 0,
            buffer: Vec::new(),
        }
    }

    /// Reads the next file.
    ///
    /// # Errors
    /// What `reader` reports.
    pub fn file(&mut self, mut reader: impl BufRead) -> io::Result<()> {
        self.report.files = self.report.files.saturating_add(1);
        let mut place = Place { file: self.report.files, line: 0 };
        loop {
            let mut buffer = std::mem::take(&mut self.buffer);
            let read = read_line(&mut reader, &mut buffer)?;
            place.line = place.line.saturating_add(1);
            match read {
                Read::End => {}
                Read::Line => self.line(place, &buffer),
                Read::TooLong => self.unreadable(place),
                Read::Unfinished(bytes) => self.unfinished(place, bytes),
            }
            self.buffer = buffer;
            if matches!(read, Read::End | Read::Unfinished(_)) {
                return Ok(());
            }
        }
    }

    /// Says what was found.
    #[must_use]
    pub fn finish(mut self) -> Report {
        for gap in std::mem::take(&mut self.gaps) {
            self.removed(gap);
        }
        self.check_anchor();
        if self.report.lines == 0 {
            self.find(Finding::Empty);
        }
        self.report
    }

    fn line(&mut self, place: Place, bytes: &[u8]) {
        self.settle_torn();
        self.report.lines = self.report.lines.saturating_add(1);
        let Ok(line) = Line::parse(bytes) else { return self.unreadable(place) };
        if !line.holds() {
            self.find(Finding::Changed { place, seq: line.seq });
            return self.skip_one();
        }
        if serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_err() {
            self.find(Finding::Unreadable { place });
        }
        if line.kind == "chain.broken" {
            self.find(Finding::Broken { place, seq: line.seq });
        }
        self.compare_with_anchor(place, &line);
        match self.expected {
            None => self.first(place, &line),
            Some(expected) => self.next(place, &line, expected),
        }
    }

    fn first(&mut self, place: Place, line: &Line<'_>) {
        let is_start = line.kind == "chain.start" && line.seq == 1 && line.prev == Digest::ZERO;
        if is_start || line.kind == "chain.continued" {
            self.report.first_seq = Some(line.seq);
        } else {
            self.find(Finding::Headless { place, seq: line.seq });
        }
        // The first line of a file names the end of the one before it, which may be the anchor.
        if let Some(anchor) = self.anchor
            && anchor.seq.checked_add(1) == Some(line.seq)
        {
            self.anchor_at(place, anchor, line.prev);
        }
        self.advance(line);
    }

    fn next(&mut self, place: Place, line: &Line<'_>, expected: Expected) {
        if line.seq < expected.seq {
            return self.out_of_place(place, line.seq);
        }
        if line.seq > expected.seq {
            self.gap(Gap { from: expected.seq, to: line.seq.saturating_sub(1), place });
        } else if expected.prev.is_some_and(|prev| prev != line.prev) {
            self.find(Finding::Unlinked { place, seq: line.seq });
        }
        self.advance(line);
    }

    fn advance(&mut self, line: &Line<'_>) {
        self.report.last = Some(line.head());
        self.expected = Some(Expected { seq: line.seq.saturating_add(1), prev: Some(line.hash) });
    }

    /// A damaged line stands for the one that was expected here.
    fn skip_one(&mut self) {
        if let Some(expected) = &mut self.expected {
            *expected = Expected { seq: expected.seq.saturating_add(1), prev: None };
        }
    }

    fn unreadable(&mut self, place: Place) {
        self.settle_torn();
        self.find(Finding::Unreadable { place });
        self.skip_one();
    }

    fn unfinished(&mut self, place: Place, bytes: u64) {
        self.settle_torn();
        self.report.torn = Some(Torn { place, bytes });
    }

    /// Only the very end of the log can be torn: the gateway takes a torn line off before it goes on.
    fn settle_torn(&mut self) {
        if let Some(torn) = self.report.torn.take() {
            self.find(Finding::Unreadable { place: torn.place });
            self.skip_one();
        }
    }

    /// A line that stands behind a later one was moved, if it is missing elsewhere, or is a copy.
    fn out_of_place(&mut self, place: Place, seq: u64) {
        let missing = self.gaps.iter().position(|gap| (gap.from..=gap.to).contains(&seq));
        let Some(at) = missing else { return self.find(Finding::Duplicated { place, seq }) };
        let gap = self.gaps.swap_remove(at);
        if gap.from < seq {
            self.gap(Gap { to: seq.saturating_sub(1), ..gap });
        }
        if seq < gap.to {
            self.gap(Gap { from: seq.saturating_add(1), ..gap });
        }
        self.find(Finding::Moved { place, seq });
    }

    fn gap(&mut self, gap: Gap) {
        if self.gaps.len() < GAPS_OPEN { self.gaps.push(gap) } else { self.removed(gap) }
    }

    fn removed(&mut self, gap: Gap) {
        self.find(Finding::Removed { place: gap.place, from: gap.from, to: gap.to });
    }

    fn compare_with_anchor(&mut self, place: Place, line: &Line<'_>) {
        let Some(anchor) = self.anchor else { return };
        if line.seq == anchor.seq {
            self.anchor_at(place, anchor, line.hash);
        } else if line.seq > anchor.seq {
            let unanchored = self.report.unanchored.get_or_insert_default();
            unanchored.lines = unanchored.lines.saturating_add(1);
            if line.group != self.last_group {
                unanchored.groups = unanchored.groups.saturating_add(1);
            }
            self.last_group = line.group;
        }
    }

    fn anchor_at(&mut self, place: Place, anchor: Anchor, hash: Digest) {
        if hash == anchor.hash {
            self.anchor_seen = true;
        } else {
            self.find(Finding::Rewritten { place, seq: anchor.seq });
        }
    }

    fn check_anchor(&mut self) {
        let Some(anchor) = self.anchor else { return };
        self.report.unanchored.get_or_insert_default();
        self.report.anchored = self.anchor_seen;
        let last = self.report.last.map_or(0, |head| head.seq);
        let first = self.report.first_seq.unwrap_or(0);
        // An anchor before the first line is in a file that was not shown: the report says from
        // where on it speaks. Any other anchor that was not met is a finding.
        if !self.anchor_seen && (anchor.seq >= first || self.report.lines == 0) {
            self.find(Finding::Cut { anchored: anchor.seq, last });
        }
    }

    fn find(&mut self, finding: Finding) {
        if self.report.findings.len() < FINDINGS_KEPT {
            self.report.findings.push(finding);
        } else {
            self.report.further = self.report.further.saturating_add(1);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    End,
    Line,
    TooLong,
    /// Bytes without a newline, then the end.
    Unfinished(u64),
}

/// Reads up to the next newline into `line`, keeping no more than [`MAX_LINE_BYTES`].
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Read> {
    line.clear();
    let mut length = 0_u64;
    loop {
        let available = match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if available.is_empty() {
            return Ok(if length == 0 { Read::End } else { Read::Unfinished(length) });
        }
        let newline = available.iter().position(|&b| b == b'\n');
        let part = available.get(..newline.unwrap_or(available.len())).unwrap_or_default();
        let room = MAX_LINE_BYTES.saturating_sub(line.len());
        line.extend_from_slice(part.get(..room).unwrap_or(part));
        length = length.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
        let taken = part.len().saturating_add(usize::from(newline.is_some()));
        reader.consume(taken);
        if newline.is_some() {
            let fits = usize::try_from(length).is_ok_and(|length| length < MAX_LINE_BYTES);
            return Ok(if fits { Read::Line } else { Read::TooLong });
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file {} line {}", self.file, self.line)
    }
}
