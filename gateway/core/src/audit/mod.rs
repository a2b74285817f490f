//! The audit log as data: what a record says, how its line is chained to the one before, and how a
//! reader finds out whether anything was taken away, changed or moved.
//!
//! The rules are here and the disk is elsewhere, so that `symbolon audit verify` and the gateway
//! that writes share one definition of a line, and so that a fuzzer can have the reader.
//!
//! INVARIANT: a line is a function of its record, the line before it and nothing else. The exact
//! bytes are hashed, so no canonical form of JSON is needed: whoever re-serialises a line breaks it.
//!
//! # The line
//!
//! ```text
//! {"seq":7,"at":"2026-11-01T08:00:00.000Z","kind":"request.open","group":3,…,"prev":"<64 hex>","hash":"<64 hex>"}\n
//! ```
//!
//! * The first four members and the last two stand in this order, without white space. Numbers have
//!   no sign and no leading zero; hexadecimal is lower-case.
//! * The **body** is every byte before `,"hash":"`; `hash` is SHA-256 over the body. As the body ends
//!   with `prev`, the hash covers everything that came before, back to `chain.start`, whose `prev`
//!   is 64 zeros.
//! * `seq` counts lines from 1, without gaps, over all files. `group` counts the writes to the disk:
//!   the lines of a group became durable together.
//!
//! SHA-256 without a key finds what is changed only as long as the reader knows the end of the chain
//! from elsewhere. That is the [`Anchor`]: the gateway commits the head of each group to its store
//! while it writes the next one.

mod chain;
mod keyed;
mod record;
mod verify;

pub use chain::{Anchor, Chain, Digest, Line, MAX_LINE_BYTES, Members, NotALine, RecordTooLong};
pub use keyed::{AuditKey, KeyIdError, KeyedHash};
pub use record::{
    AdminEvent, ChainEvent, Closing, Conclusion, Dialect, Late, Opening, Outcome, Record,
    SourceCount, Strangers,
};
pub use verify::{Finding, Place, Report, Torn, Unanchored, Verdict, Verifier, verify};
