//! The chain: how a record becomes a line, and how a line is taken apart again.
//!
//! INVARIANT: [`Chain::append`] is the only writer of lines and [`Line::parse`] the only reader, and
//! the second accepts exactly the envelopes that the first makes.

use std::fmt;
use std::io::Write as _;

use aws_lc_rs::digest;

use super::record::Record;
use crate::clock::Timestamp;

/// Longest line, with its newline. Readers stop there, so writers must.
pub const MAX_LINE_BYTES: usize = 64 * 1024;
/// What the envelope takes at most: two numbers, a time, a kind, two hashes and their names.
const MAX_ENVELOPE_BYTES: usize = 512;
const HASH_NAME: &[u8] = b",\"hash\":\"";
const PREV_NAME: &[u8] = b",\"prev\":\"";

/// A SHA-256 hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// What the first line names as the one before it.
    pub const ZERO: Self = Self([0; 32]);

    /// The hash of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Self(hash)
    }

    /// The hash as bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// The hash whose bytes these are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Exactly 64 lower-case hexadecimal digits: the `hex` crate alone would take either case, and
    /// a line has one form only.
    fn parse(text: &[u8]) -> Option<Self> {
        if text.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).ok().map(|()| Self(hash))
    }

    fn write_to(self, out: &mut Vec<u8>) {
        let mut text = [0; 64];
        // Cannot fail: the lengths fit. A line without its hash would be found on the first read.
        if hex::encode_to_slice(self.0, &mut text).is_ok() {
            out.extend_from_slice(&text);
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The head of the chain as it stood after a group: what the store remembers of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The last line of the group.
    pub seq: u64,
    /// The group.
    pub group: u64,
    /// The hash of that line.
    pub hash: Digest,
}

impl Anchor {
    /// 48 bytes: sequence number and group, big-endian, then the hash.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 48] {
        let mut bytes = [0; 48];
        let parts = self.seq.to_be_bytes().into_iter().chain(self.group.to_be_bytes());
        for (to, from) in bytes.iter_mut().zip(parts.chain(self.hash.0)) {
            *to = from;
        }
        bytes
    }

    /// The anchor of these 48 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (seq, rest) = bytes.split_first_chunk::<8>()?;
        let (group, hash) = rest.split_first_chunk::<8>()?;
        let hash = Digest(hash.try_into().ok()?);
        Some(Self { seq: u64::from_be_bytes(*seq), group: u64::from_be_bytes(*group), hash })
    }
}

/// A record, serialised and waiting for its place in the chain.
#[derive(Clone, Debug)]
pub struct Members {
    kind: &'static str,
    json: Vec<u8>,
}

/// A record that would make a line longer than [`MAX_LINE_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record is too long for one line of the audit log")]
pub struct RecordTooLong(());

impl Members {
    /// Serialises `record`.
    ///
    /// # Errors
    /// [`RecordTooLong`] if the line would pass [`MAX_LINE_BYTES`].
    pub fn of(record: &impl Record) -> Result<Self, RecordTooLong> {
        let mut json = Vec::with_capacity(512);
        serde_json::to_writer(&mut json, record).map_err(|_| RecordTooLong(()))?;
        let fits = json.len() <= MAX_LINE_BYTES - MAX_ENVELOPE_BYTES;
        if fits { Ok(Self { kind: record.kind(), json }) } else { Err(RecordTooLong(())) }
    }

    /// The members, without the braces around them.
    fn inner(&self) -> &[u8] {
        self.json.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}")).unwrap_or_default()
    }
}

/// The end of a chain that is being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    head: Anchor,
}

impl Default for Chain {
    fn default() -> Self {
        Self { head: Anchor { seq: 0, group: 0, hash: Digest::ZERO } }
    }
}

impl Chain {
    /// Goes on after `head`.
    #[must_use]
    pub const fn after(head: Anchor) -> Self {
        Self { head }
    }

    /// The last line written.
    #[must_use]
    pub const fn head(&self) -> Anchor {
        self.head
    }

    /// Begins the next group: all lines up to the next call become durable together.
    pub fn begin_group(&mut self) {
        self.head.group = self.head.group.saturating_add(1);
    }

    /// Appends the line of `members` to `out` and returns its sequence number.
    pub fn append(&mut self, out: &mut Vec<u8>, at: Timestamp, members: &Members) -> u64 {
        let seq = self.head.seq.saturating_add(1);
        let begin = out.len();
        // Writing to a vector cannot fail.
        let _ = write!(
            out,
            "{{\"seq\":{seq},\"at\":\"{at}\",\"kind\":\"{}\",\"group\":{},",
            members.kind, self.head.group
        );
        out.extend_from_slice(members.inner());
        out.extend_from_slice(PREV_NAME);
        self.head.hash.write_to(out);
        out.push(b'"');
        let hash = Digest::of(out.get(begin..).unwrap_or_default());
        out.extend_from_slice(HASH_NAME);
        hash.write_to(out);
        out.extend_from_slice(b"\"}\n");
        self.head = Anchor { seq, group: self.head.group, hash };
        seq
    }
}

/// A line, taken apart but not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its place in the chain.
    pub seq: u64,
    /// The write that it belonged to.
    pub group: u64,
    /// Its kind.
    pub kind: &'a str,
    /// The hash of the line before, as the line states it.
    pub prev: Digest,
    /// Its own hash, as the line states it.
    pub hash: Digest,
    body: &'a [u8],
}

/// The bytes do not have the envelope of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a line of an audit log")]
pub struct NotALine(());

impl<'a> Line<'a> {
    /// Takes a line (without its newline) apart.
    ///
    /// # Errors
    /// [`NotALine`] if the envelope is not as [`Chain::append`] writes it.
    pub fn parse(line: &'a [u8]) -> Result<Self, NotALine> {
        Self::envelope(line).ok_or(NotALine(()))
    }

    /// Whether the hash is that of the line.
    #[must_use]
    pub fn holds(&self) -> bool {
        Digest::of(self.body) == self.hash
    }

    /// The line as a head of the chain.
    #[must_use]
    pub const fn head(&self) -> Anchor {
        Anchor { seq: self.seq, group: self.group, hash: self.hash }
    }

    fn envelope(line: &'a [u8]) -> Option<Self> {
        let (body, hash) = hash_at_end(line.strip_suffix(b"}")?, HASH_NAME)?;
        let (rest, prev) = hash_at_end(body, PREV_NAME)?;
        let (seq, rest) = number(rest.strip_prefix(b"{\"seq\":")?)?;
        let (_at, rest) = word(rest.strip_prefix(b",\"at\":\"")?)?;
        let (kind, rest) = word(rest.strip_prefix(b",\"kind\":\"")?)?;
        let (group, rest) = number(rest.strip_prefix(b",\"group\":")?)?;
        let _members = rest.strip_prefix(b",")?;
        Some(Self { seq, group, kind, prev, hash, body })
    }
}

/// Splits `…<name><64 hex>"`.
fn hash_at_end<'a>(bytes: &'a [u8], name: &[u8]) -> Option<(&'a [u8], Digest)> {
    let (rest, hash) = bytes.strip_suffix(b"\"")?.split_last_chunk::<64>()?;
    Some((rest.strip_suffix(name)?, Digest::parse(hash)?))
}

/// Splits a number in its one written form off the front.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let end = bytes.iter().position(|b| !b.is_ascii_digit())?;
    let (digits, rest) = bytes.split_at_checked(end)?;
    let text = std::str::from_utf8(digits).ok()?;
    let one_form = text == "0" || !text.starts_with('0');
    text.parse().ok().filter(|_| one_form).map(|number| (number, rest))
}

/// Splits the inside of a string without escapes, and its closing quote, off the front.
fn word(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().take(64).position(|&b| b == b'"')?;
    let (inside, rest) = bytes.split_at_checked(end)?;
    let plain = |b: &u8| b.is_ascii_graphic() && *b != b'\\';
    let text = std::str::from_utf8(inside).ok().filter(|_| inside.iter().all(plain))?;
    Some((text, rest.strip_prefix(b"\"")?))
}

#[cfg(test)]
mod tests {
    use super::super::record::ChainEvent;
    use super::*;
    use proptest::prelude::*;

    fn two_lines() -> (Chain, Vec<u8>) {
        let (mut chain, mut out) = (Chain::default(), Vec::new());
        let at = Timestamp::from_seconds(1_793_520_000);
        chain.begin_group();
        for event in [ChainEvent::Start { format: 1 }, ChainEvent::Stopped { lines: 1 }] {
            chain.append(&mut out, at, &Members::of(&event).unwrap());
        }
        (chain, out)
    }

    #[test]
    fn the_written_form_is_exactly_this() {
        let (_, out) = two_lines();
        let first = String::from_utf8(out).unwrap().lines().next().unwrap().to_owned();
        let body = format!(
            "{{\"seq\":1,\"at\":\"2026-11-01T08:00:00.000Z\",\"kind\":\"chain.start\",\"group\":1,\
             \"format\":1,\"prev\":\"{}\"",
            "0".repeat(64)
        );
        assert_eq!(first, format!("{body},\"hash\":\"{}\"}}", Digest::of(body.as_bytes())));
    }

    #[test]
    fn what_is_appended_is_read_back_and_linked() {
        let (chain, out) = two_lines();
        let text = out.strip_suffix(b"\n").unwrap();
        let lines: Vec<_> = text.split(|&b| b == b'\n').map(|l| Line::parse(l).unwrap()).collect();
        assert!(lines.iter().all(Line::holds));
        assert_eq!((lines[0].seq, lines[1].seq, lines[1].group), (1, 2, 1));
        assert_eq!(lines[1].prev, lines[0].hash);
        assert_eq!(lines[1].head(), chain.head());
        for line in text.split(|&b| b == b'\n') {
            assert!(serde_json::from_slice::<serde_json::Value>(line).is_ok());
        }
    }

    #[test]
    fn only_the_one_written_form_is_a_line() {
        let (_, out) = two_lines();
        let good = String::from_utf8(out).unwrap().lines().next().unwrap().to_owned();
        assert!(Line::parse(good.as_bytes()).is_ok());
        for (from, to) in [
            ("\"seq\":1", "\"seq\":01"),
            ("\"seq\":1", "\"seq\": 1"),
            ("\"seq\":1", "\"seq\":99999999999999999999"),
            ("\"seq\":1", "\"seq\":-1"),
            ("\"kind\":\"chain.start\"", "\"kind\":\"chain\\u002estart\""),
            (",\"group\":1", ""),
            ("\"}", "\"} "),
            ("\"hash\":\"", "\"hash\":\"A"),
        ] {
            assert!(Line::parse(good.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
        }
        let upper = good.to_ascii_uppercase();
        assert!(Line::parse(upper.as_bytes()).is_err());
    }

    #[test]
    fn a_record_that_no_reader_would_take_is_refused() {
        let long = ChainEvent::Continued { previous: "x".repeat(MAX_LINE_BYTES) };
        assert_eq!(Members::of(&long).unwrap_err(), RecordTooLong(()));
    }

    #[test]
    fn an_anchor_survives_its_bytes() {
        let anchor = Anchor { seq: 7, group: 3, hash: Digest::of(b"x") };
        assert_eq!(Anchor::from_bytes(&anchor.to_bytes()), Some(anchor));
        assert_eq!(Anchor::from_bytes(&anchor.to_bytes()[1..]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_fall(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Line::parse(&bytes);
        }
    }
}
