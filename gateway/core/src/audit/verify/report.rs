//! What a verification says.

use std::fmt;

use super::Anchor;

/// Where in the log something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which file, counted from 1 in the order in which they were read.
    pub file: u32,
    /// Which line of it, counted from 1.
    pub line: u64,
}

/// Something that cannot have come about by a crash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// The hash of a line is not that of its bytes.
    #[error("{place}: changed: the line with seq {seq} does not have its hash")]
    Changed {
        /// Where.
        place: Place,
        /// The sequence number that the line states.
        seq: u64,
    },
    /// A line is none.
    #[error("{place}: changed: not a line of an audit log")]
    Unreadable {
        /// Where.
        place: Place,
    },
    /// Lines are missing before this place.
    #[error("{place}: removed: seq {from} to {to} are missing before this line")]
    Removed {
        /// The line that follows the gap.
        place: Place,
        /// The first that is missing.
        from: u64,
        /// The last.
        to: u64,
    },
    /// A line stands behind later ones.
    #[error("{place}: reordered: seq {seq} stands behind later lines")]
    Moved {
        /// Where it stands.
        place: Place,
        /// Its sequence number.
        seq: u64,
    },
    /// A sequence number comes again.
    #[error("{place}: duplicated: seq {seq} was there before")]
    Duplicated {
        /// Where it comes again.
        place: Place,
        /// The sequence number.
        seq: u64,
    },
    /// A line does not name the one before it, though both have their hash: one of them was
    /// rewritten, hash and all.
    #[error("{place}: rewritten: seq {seq} or the line before it was written anew")]
    Unlinked {
        /// The second of the two.
        place: Place,
        /// Its sequence number.
        seq: u64,
    },
    /// The first line is not one that a file begins with.
    #[error(
        "{place}: removed: the file begins with seq {seq}, which is not the first line of a file"
    )]
    Headless {
        /// Where.
        place: Place,
        /// The sequence number of that line.
        seq: u64,
    },
    /// The anchored head is there with another hash: everything up to it was written anew.
    #[error("{place}: rewritten: seq {seq} is not the line that the store remembers")]
    Rewritten {
        /// Where.
        place: Place,
        /// Its sequence number.
        seq: u64,
    },
    /// The anchored head is not there: the tail was cut.
    #[error("cut: the store remembers seq {anchored}, the log ends with seq {last}")]
    Cut {
        /// The anchored head.
        anchored: u64,
        /// The last line that is there.
        last: u64,
    },
    /// The gateway itself found, when it started, that the log did not hold the anchored head.
    #[error(
        "{place}: cut earlier: seq {seq} records that the log did not fit the store at a start"
    )]
    Broken {
        /// Where it says so.
        place: Place,
        /// The sequence number of that line.
        seq: u64,
    },
    /// There is no line at all.
    #[error("there is nothing to verify: no line at all")]
    Empty,
}

impl Finding {
    /// The stable code of the finding.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "changed",
            Self::Unreadable { .. } => "unreadable",
            Self::Removed { .. } => "removed",
            Self::Moved { .. } => "reordered",
            Self::Duplicated { .. } => "duplicated",
            Self::Unlinked { .. } => "unlinked",
            Self::Headless { .. } => "headless",
            Self::Rewritten { .. } => "rewritten",
            Self::Cut { .. } => "cut",
            Self::Broken { .. } => "broken",
            Self::Empty => "empty",
        }
    }
}

/// The log ends within a line: the write of a group was interrupted, and nothing of that group was
/// acknowledged to anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The unfinished line.
    pub place: Place,
    /// How much of it is there.
    pub bytes: u64,
}

/// What follows the anchored head: chained, but not remembered by the store yet, so that cutting it
/// would leave no trace. One group while the gateway stands or was killed between two; two if it was
/// killed within a write (the second was acknowledged to nobody); more only if it was running while
/// the log was read, or if the store is older than the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unanchored {
    /// Lines.
    pub lines: u64,
    /// Groups of lines.
    pub groups: u64,
}

/// One word for a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is missing, changed or out of place.
    Intact,
    /// The same, but for an unfinished line at the end, as a crash leaves it.
    Torn,
    /// There are findings.
    Tampered,
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Files read.
    pub files: u32,
    /// Complete lines read.
    pub lines: u64,
    /// The first line's sequence number: above 1, earlier files were not shown.
    pub first_seq: Option<u64>,
    /// The last line in order.
    pub last: Option<Anchor>,
    /// Whether the anchored head was met. `false` without findings: it is in an earlier file, or
    /// no anchor was given.
    pub anchored: bool,
    /// What follows the anchored head; `None` without an anchor.
    pub unanchored: Option<Unanchored>,
    /// The unfinished line at the end.
    pub torn: Option<Torn>,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// How many findings more there are than are listed.
    pub further: u64,
}

impl Report {
    /// The report in one word.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        match (self.findings.is_empty(), self.torn) {
            (false, _) => Verdict::Tampered,
            (true, Some(_)) => Verdict::Torn,
            (true, None) => Verdict::Intact,
        }
    }
}

/// For a person: the verdict first, then every finding, then what was read.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict() {
            Verdict::Intact => "intact: nothing is missing, changed or out of place",
            Verdict::Torn => {
                "torn: intact up to an unfinished line at the end, as a crash leaves it"
            }
            Verdict::Tampered => "TAMPERED: the log is not what was written",
        };
        writeln!(f, "{verdict}")?;
        for finding in &self.findings {
            writeln!(f, "  {}: {finding}", finding.code())?;
        }
        if self.further > 0 {
            writeln!(f, "  and {} more", self.further)?;
        }
        if let Some(torn) = &self.torn {
            writeln!(f, "  unfinished: {} bytes at {}", torn.bytes, torn.place)?;
        }
        write!(f, "{} lines in {} files", self.lines, self.files)?;
        match (&self.unanchored, self.anchored) {
            (None, _) => f.write_str("; without the store's anchor a cut tail cannot be seen"),
            (Some(rest), true) => {
                write!(f, "; the store's anchor was met, {} lines follow it", rest.lines)
            }
            (Some(_), false) => f.write_str("; the store's anchor was not met"),
        }
    }
}
