//! Finding the end of the log when the journal starts.
//!
//! A crash leaves at most one group that nobody was told about, and of it perhaps a part. That part
//! is taken off, kept beside the log, and its size goes into the first line that is written.
//!
//! INVARIANT: nothing up to the anchored head is ever taken off. If that head is not where the store
//! remembers it, the log says so for ever (`chain.broken`) and goes on from the head, so that the
//! gap stays visible; a deleted log is not turned into an outage.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use symbolon_core::audit::{Anchor, Chain, ChainEvent, Digest, Line};

use super::error::StartError;
use super::files::{CURRENT, closed_files};
use super::sink::{Directory, Position};

/// How far back the end is looked at: well over two groups.
const WINDOW: u64 = 8 << 20;

/// What the journal found when it started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumption {
    /// The last line that was there; `None` for a new log.
    pub last: Option<Anchor>,
    /// Bytes of an unfinished group that were taken off.
    pub torn_bytes: u64,
    /// The anchor that the log does not hold. An operator has to be told.
    pub broken: Option<Anchor>,
}

/// Where and how to go on.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) chain: Chain,
    pub(super) position: Position,
    pub(super) events: Vec<ChainEvent>,
    pub(super) resumption: Resumption,
}

/// Reads the end of the log in `directory`.
pub(super) fn recover(directory: &Directory, anchor: Option<Anchor>) -> Result<Tail, StartError> {
    let current = directory.path().join(CURRENT);
    if let Some(end) = End::of(&current, anchor)? {
        return Ok(go_on(directory, &current, end, anchor));
    }
    let closed =
        closed_files(directory.path()).map_err(StartError::file("list", directory.path()))?.pop();
    match closed {
        None => Ok(begin(anchor)),
        Some(path) => match End::of(&path, anchor)? {
            Some(end) => Ok(after_rotation(&path, &end, anchor)),
            None => Err(StartError::Damaged { path }),
        },
    }
}

/// A log without any file.
fn begin(anchor: Option<Anchor>) -> Tail {
    let mut events = match anchor {
        None => vec![ChainEvent::Start { format: 1 }],
        Some(_) => vec![ChainEvent::Continued { previous: String::from("missing") }],
    };
    events.extend(anchor.map(|anchor| broken(anchor, 0)));
    let chain = anchor.map_or_else(Chain::default, Chain::after);
    let resumption = Resumption { last: None, torn_bytes: 0, broken: anchor };
    Tail { position: start_of_file(&chain), chain, events, resumption }
}

/// The current file was not there yet, or nothing was in it: a crash right after a rotation.
fn after_rotation(previous: &Path, end: &End, anchor: Option<Anchor>) -> Tail {
    let name = previous.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let missed = anchor.filter(|anchor| end.misses(*anchor));
    let chain = end.chain(missed);
    let mut events = vec![ChainEvent::Continued { previous: name }];
    events.extend(missed.map(|anchor| broken(anchor, end.head.seq)));
    let resumption = Resumption { last: Some(end.head), torn_bytes: 0, broken: missed };
    Tail { position: start_of_file(&chain), chain, events, resumption }
}

fn go_on(directory: &Directory, current: &Path, end: End, anchor: Option<Anchor>) -> Tail {
    let missed = anchor.filter(|anchor| end.misses(*anchor));
    let kept = (end.torn_bytes > 0).then(|| keep(directory, current, &end).ok()).flatten();
    let mut events = vec![ChainEvent::Resumed { torn_bytes: end.torn_bytes, kept }];
    events.extend(missed.map(|anchor| broken(anchor, end.head.seq)));
    Tail {
        chain: end.chain(missed),
        position: Position { end: end.offset, first_seq: end.first_seq },
        events,
        resumption: Resumption { last: Some(end.head), torn_bytes: end.torn_bytes, broken: missed },
    }
}

fn broken(anchor: Anchor, found_seq: u64) -> ChainEvent {
    ChainEvent::Broken { anchored_seq: anchor.seq, anchored_hash: anchor.hash, found_seq }
}

fn start_of_file(chain: &Chain) -> Position {
    Position { end: 0, first_seq: chain.head().seq.saturating_add(1) }
}

/// Copies what will be taken off beside the log. It is evidence, not a part of the chain, so that a
/// failure (a full disk) does not stop the start.
fn keep(directory: &Directory, current: &Path, end: &End) -> io::Result<String> {
    let name = format!("audit-torn-{}.bin", end.head.seq.saturating_add(1));
    let length = usize::try_from(end.torn_bytes.min(WINDOW)).unwrap_or(0);
    let mut bytes = vec![0; length];
    File::open(current)?.read_exact_at(&mut bytes, end.offset)?;
    let path = directory.path().join(&name);
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    Ok(name)
}

/// The end of a file.
#[derive(Debug)]
struct End {
    first_seq: u64,
    /// The last line to go on from.
    head: Anchor,
    /// Where that line ends.
    offset: u64,
    /// What stands behind it.
    torn_bytes: u64,
    /// What the file says the anchored line's hash is, if it says anything.
    at_anchor: Option<Digest>,
}

impl End {
    /// `None` for a file that is not there, is empty, or holds nothing but the beginning of a line.
    fn of(path: &Path, anchor: Option<Anchor>) -> Result<Option<Self>, StartError> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(StartError::file("open", path))?,
        };
        let window = Window::read(&file).map_err(StartError::file("read", path))?;
        match window.scan(anchor) {
            None if window.holds_no_line() => Ok(None),
            None => Err(StartError::Damaged { path: path.to_owned() }),
            Some(mut end) => {
                let first = read_first_seq(&file).map_err(StartError::file("read", path))?;
                end.first_seq = first.unwrap_or(end.first_seq);
                Ok(Some(end))
            }
        }
    }

    fn misses(&self, anchor: Anchor) -> bool {
        anchor.seq > self.head.seq || self.at_anchor.is_some_and(|hash| hash != anchor.hash)
    }

    /// Goes on behind what is known to have been there.
    fn chain(&self, missed: Option<Anchor>) -> Chain {
        Chain::after(missed.filter(|anchor| anchor.seq > self.head.seq).unwrap_or(self.head))
    }
}

fn read_first_seq(file: &File) -> io::Result<Option<u64>> {
    let mut bytes = vec![0; symbolon_core::audit::MAX_LINE_BYTES];
    let length = file.read_at(&mut bytes, 0)?;
    bytes.truncate(length);
    let line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
    Ok(Line::parse(line).ok().map(|line| line.seq))
}

/// The last bytes of a file.
struct Window {
    bytes: Vec<u8>,
    /// Where they begin in the file.
    offset: u64,
}

impl Window {
    fn read(file: &File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let offset = length.saturating_sub(WINDOW);
        let mut bytes = vec![0; usize::try_from(length.saturating_sub(offset)).unwrap_or(0)];
        file.read_exact_at(&mut bytes, offset)?;
        Ok(Self { bytes, offset })
    }

    fn holds_no_line(&self) -> bool {
        self.offset == 0 && !self.bytes.contains(&b'\n')
    }

    /// Finds the line to go on from: the last one that has its hash. Behind the anchored head, the
    /// first that is damaged or unlinked ends the log: it belongs to a group whose write was
    /// interrupted. Before the head, damage is left in its place for verification to find.
    fn scan(&self, anchor: Option<Anchor>) -> Option<End> {
        let mut end: Option<End> = None;
        let mut at = 0_usize;
        for piece in self.bytes.split_inclusive(|&b| b == b'\n') {
            at = at.saturating_add(piece.len());
            let line = piece
                .strip_suffix(b"\n")
                .and_then(|line| Line::parse(line).ok())
                .filter(Line::holds);
            let past_anchor = end.as_ref().is_some_and(|end| {
                anchor.is_some_and(|a| end.at_anchor == Some(a.hash) && end.head.seq >= a.seq)
            });
            let Some(line) = line else {
                if past_anchor {
                    break;
                }
                continue;
            };
            match &mut end {
                None => end = Some(End::first(&line, self.at(at), anchor)),
                Some(end) if past_anchor && line.prev != end.head.hash => break,
                Some(end) => end.advance(&line, self.at(at), anchor),
            }
        }
        let length = self.at(self.bytes.len());
        end.map(|end| End { torn_bytes: length.saturating_sub(end.offset), ..end })
    }

    fn at(&self, index: usize) -> u64 {
        self.offset.saturating_add(u64::try_from(index).unwrap_or(u64::MAX))
    }
}

impl End {
    fn first(line: &Line<'_>, offset: u64, anchor: Option<Anchor>) -> Self {
        let before = anchor.filter(|anchor| anchor.seq.checked_add(1) == Some(line.seq));
        let mut end = Self {
            first_seq: line.seq,
            head: line.head(),
            offset,
            torn_bytes: 0,
            at_anchor: before.map(|_| line.prev),
        };
        end.advance(line, offset, anchor);
        end
    }

    fn advance(&mut self, line: &Line<'_>, offset: u64, anchor: Option<Anchor>) {
        (self.head, self.offset) = (line.head(), offset);
        if anchor.is_some_and(|anchor| anchor.seq == line.seq) {
            self.at_anchor = Some(line.hash);
        }
    }
}
