//! What the child answers: a head of fixed length, then code or the reason for which there is none.

use crate::compiled::EngineHash;

/// Length of the head: magic, kind, engine hash, length of the rest.
pub(super) const HEAD_BYTES: usize = 8 + 1 + 32 + 8;
const MAGIC: &[u8; 8] = b"symcode1";
/// Longest reason, in bytes.
pub(super) const MAX_REASON_BYTES: u64 = 1024;

/// What follows the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Compiled code.
    Code,
    /// Why the component does not compile.
    Refusal,
}

/// The head of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    /// Of the child's engine: code fits only an engine of the same.
    pub(super) engine: EngineHash,
    /// Of what follows.
    pub(super) length: u64,
}

impl Head {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let kind = match self.kind {
            Kind::Code => 0,
            Kind::Refusal => 1,
        };
        [&MAGIC[..], &[kind], self.engine.as_bytes(), &self.length.to_be_bytes()].concat()
    }

    pub(super) fn parse(bytes: &[u8; HEAD_BYTES]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (kind, rest) = rest.split_first()?;
        let kind = match kind {
            0 => Kind::Code,
            1 => Kind::Refusal,
            _ => return None,
        };
        let (engine, length) = rest.split_first_chunk::<32>()?;
        let length = u64::from_be_bytes(length.try_into().ok()?);
        Some(Self { kind, engine: EngineHash::from_bytes(*engine), length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written_and_nothing_else_is_one() {
        let engine = EngineHash::from_bytes([7; 32]);
        for kind in [Kind::Code, Kind::Refusal] {
            let head = Head { kind, engine, length: 0x0102_0304_0506_0708 };
            let bytes: [u8; HEAD_BYTES] = head.to_bytes().try_into().unwrap();
            assert_eq!(Head::parse(&bytes), Some(head));
            for at in 0..9 {
                let mut bad = bytes;
                bad[at] ^= 0x80;
                assert_eq!(Head::parse(&bad), None, "byte {at}");
            }
        }
    }
}
