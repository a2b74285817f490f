//! What an upstream does that it should not, and what a plugin may make of it.
//!
//! The table of kinds is the contract's: what does not answer is `unavailable` or a `timeout`, what
//! asks to wait is `rate-limited` or `unavailable` and says for how long, what makes no sense is
//! `internal`.

use bytes::Bytes;

/// One way in which an upstream misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Misbehaviour {
    /// No answer.
    Slow,
    /// A head and half of a body, and then nothing.
    Stalled,
    /// Half of a body, and then the end of the connection.
    Truncated,
    /// The end of the connection instead of an answer.
    Closed,
    /// 429 with `retry-after`.
    Throttled,
    /// 503 with `retry-after`.
    Overloaded,
    /// 500.
    Failing,
    /// The right answer under a wrong content type.
    ContentType,
    /// An answer that is not what it says.
    NotJson,
    /// An answer without a body.
    Empty,
    /// More than anybody asked for.
    Huge,
    /// The right answer, with values of 700 KiB.
    Large,
    /// A body that grows a thousand times when it is decompressed.
    Bomb,
    /// A redirect to another host.
    Redirected,
}

/// What `retry-after` says, in seconds.
pub(crate) const WAIT_SECONDS: u64 = 7;
/// In every body that is not the script's, so that words of the upstream are recognised.
pub(crate) const WORDS: &str = "words-of-the-upstream-4d1f";
/// What a value grows to.
pub(crate) const LARGE_BYTES: usize = 700 << 10;

const HUGE_BYTES: usize = 2 << 20;
/// Decompressed: more than any call may have of memory.
const BOMB_BYTES: usize = 128 << 20;

impl Misbehaviour {
    /// Every one.
    pub const ALL: [Self; 14] = [
        Self::Slow,
        Self::Stalled,
        Self::Truncated,
        Self::Closed,
        Self::Throttled,
        Self::Overloaded,
        Self::Failing,
        Self::ContentType,
        Self::NotJson,
        Self::Empty,
        Self::Huge,
        Self::Large,
        Self::Bomb,
        Self::Redirected,
    ];

    /// The name of its check.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Slow => "upstream-slow",
            Self::Stalled => "upstream-stalled",
            Self::Truncated => "upstream-truncated",
            Self::Closed => "upstream-closed",
            Self::Throttled => "upstream-throttled",
            Self::Overloaded => "upstream-overloaded",
            Self::Failing => "upstream-failing",
            Self::ContentType => "upstream-content-type",
            Self::NotJson => "upstream-nonsense",
            Self::Empty => "upstream-empty",
            Self::Huge => "upstream-huge",
            Self::Large => "upstream-large-values",
            Self::Bomb => "upstream-bomb",
            Self::Redirected => "upstream-redirect",
        }
    }

    pub(crate) const fn proves(self) -> &'static str {
        match self {
            Self::Slow => "an upstream that says nothing is a `timeout` or `unavailable`",
            Self::Stalled => "an answer that stops half-way is a `timeout` or `unavailable`",
            Self::Truncated => {
                "an answer that breaks off is `unavailable`, and no value is made of it"
            }
            Self::Closed => "a connection that ends without an answer is `unavailable`",
            Self::Throttled => "429 is `rate-limited`, and `retry-after` is handed on",
            Self::Overloaded => {
                "503 is `unavailable` or `rate-limited`, and `retry-after` is handed on"
            }
            Self::Failing => "500 is a failure of the backend",
            Self::ContentType => "a wrong content type changes nothing, or is `internal`",
            Self::NotJson => "an answer that makes no sense is `internal`",
            Self::Empty => "an answer without its body is `internal`",
            Self::Huge => "an answer of 2 MiB is refused",
            Self::Large => "values of 700 KiB come out whole, or are refused",
            Self::Bomb => "an encoded answer that nobody asked for is not decompressed",
            Self::Redirected => "a redirect is not followed",
        }
    }

    pub(crate) const fn help(self) -> &'static str {
        match self {
            Self::Slow | Self::Stalled | Self::Truncated | Self::Closed => {
                "answer the error of the HTTP client as it is (`?`)"
            }
            Self::Throttled | Self::Overloaded | Self::Failing | Self::Redirected => {
                "start from `Error::of(&answer)`, which reads the status and `retry-after`"
            }
            Self::ContentType | Self::NotJson | Self::Empty | Self::Bomb => {
                "parse the whole answer into a type; what does not parse is `Error::malformed_answer`"
            }
            Self::Huge | Self::Large => "read with a limit, and cut nothing",
        }
    }

    /// Whether the call may end by its deadline.
    pub(crate) const fn takes_all_time(self) -> bool {
        matches!(self, Self::Slow | Self::Stalled)
    }

    /// Whether it is the answer that is wrong, and not its absence or its status: then a plugin that
    /// does not read the answer is not wrong to succeed.
    pub(crate) const fn is_of_the_body(self) -> bool {
        matches!(
            self,
            Self::Stalled
                | Self::Truncated
                | Self::ContentType
                | Self::NotJson
                | Self::Empty
                | Self::Huge
                | Self::Large
                | Self::Bomb
        )
    }

    /// The kinds of error that are right.
    pub(crate) const fn kinds(self) -> &'static [&'static str] {
        match self {
            Self::Slow | Self::Stalled | Self::Closed => &["timeout", "unavailable"],
            Self::Truncated => &["timeout", "unavailable", "internal"],
            Self::Throttled => &["rate-limited"],
            Self::Overloaded => &["unavailable", "rate-limited"],
            Self::Failing => &["unavailable", "internal", "timeout", "other"],
            Self::ContentType | Self::NotJson | Self::Empty | Self::Bomb => &["internal", "other"],
            Self::Huge | Self::Large => &["internal", "other", "unavailable"],
            Self::Redirected => &["internal", "other", "unavailable", "invalid-config"],
        }
    }

    /// How long the plugin must hand on that it was asked to wait, in milliseconds.
    pub(crate) const fn wait_ms(self) -> Option<u64> {
        match self {
            Self::Throttled | Self::Overloaded => Some(WAIT_SECONDS * 1000),
            Self::Slow
            | Self::Stalled
            | Self::Truncated
            | Self::Closed
            | Self::Failing
            | Self::ContentType
            | Self::NotJson
            | Self::Empty
            | Self::Huge
            | Self::Large
            | Self::Bomb
            | Self::Redirected => None,
        }
    }
}

/// Nonsense, with words in it.
pub(crate) fn nonsense() -> Bytes {
    Bytes::from(format!("<html><body><h1>{WORDS}</h1>{{ \"not\": \"json\""))
}

/// Well-formed JSON, and far too much of it.
pub(crate) fn huge() -> Bytes {
    Bytes::from(format!("{{\"{WORDS}\":\"{}\"}}", "x".repeat(HUGE_BYTES)))
}

/// A gzip stream of zeros, in the fixed code of RFC 1951 §3.2.6: one literal, then copies of 258
/// bytes at 13 bits each. Its checksum is wrong, which who decompresses it learns too late.
pub(crate) fn bomb() -> Bytes {
    let mut bits = Bits::default();
    // The last block, fixed codes.
    bits.push(0b1, 1);
    bits.push(0b01, 2);
    bits.push_code(0b0011_0000, 8);
    for _ in 0..BOMB_BYTES / 258 {
        bits.push_code(0b1100_0101, 8);
        bits.push_code(0, 5);
    }
    bits.push_code(0, 7);
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    gzip.extend(bits.bytes());
    gzip.extend([0; 8]);
    Bytes::from(gzip)
}

/// Bits, the first of each byte the lowest.
#[derive(Default)]
struct Bits {
    whole: Vec<u8>,
    open: u8,
    count: u8,
}

impl Bits {
    fn bit(&mut self, bit: bool) {
        self.open |= u8::from(bit) << self.count;
        self.count += 1;
        if self.count == 8 {
            self.whole.push(self.open);
            (self.open, self.count) = (0, 0);
        }
    }

    /// A number, its lowest bit first.
    fn push(&mut self, value: u16, bits: u8) {
        (0..bits).for_each(|n| self.bit(value >> n & 1 == 1));
    }

    /// A code, its highest bit first.
    fn push_code(&mut self, code: u16, bits: u8) {
        (0..bits).rev().for_each(|n| self.bit(code >> n & 1 == 1));
    }

    fn bytes(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.whole.push(self.open);
        }
        self.whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By a decompressor that is not ours.
    #[test]
    fn the_bomb_is_gzip_that_grows() {
        let directory = std::env::temp_dir().join(format!("symbolon-bomb-{}", std::process::id()));
        std::fs::write(&directory, bomb()).unwrap();
        let shell = format!("gzip -dc < {} 2>/dev/null | wc -c", directory.display());
        let counted = std::process::Command::new("sh").args(["-c", &shell]).output().unwrap();
        std::fs::remove_file(&directory).unwrap();
        let counted: usize = String::from_utf8(counted.stdout).unwrap().trim().parse().unwrap();
        assert_eq!(counted, BOMB_BYTES / 258 * 258 + 1);
        assert!(bomb().len() < 1 << 20, "it must pass the cap of answers");
    }
}
