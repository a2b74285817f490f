//! Symbolon's rules, without anything that could make them hard to test: no runtime, no socket, no
//! disk, no clock. Bytes and times come in as arguments; decisions and records go out as values.
//!
//! The types follow the line of a request: an [`ask::Ask`] is what is wanted, a
//! [`principal::Principal`] is who proved to want it, a `Permit` is the decision that lets it
//! happen. Each is made in one module only, so that holding one is the proof that its check passed.

pub mod alias;
pub mod arn;
pub mod ask;
pub mod audit;
pub mod barrier;
pub mod certificate;
pub mod clock;
pub mod error;
pub mod field;
pub mod form;
pub mod id;
pub mod lease;
pub mod path;
pub mod policy;
pub mod principal;
pub mod scope;
pub mod secret;
pub mod signed;
pub mod token;
