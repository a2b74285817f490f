//! Verification of tokens: from the text that a workload shows to the [`Principal`] it proves.
//!
//! One door, [`verify`], behind one strict parser, [`Compact`]. `jsonwebtoken` contributes the
//! signature check alone: its own decoding checks what is there, and here nothing is checked only
//! "if present".
//!
//! The order is that of RFC 8725 and fixed: size and alphabet, header, issuer (to choose the
//! [`IssuerRules`], nothing else), algorithm and type, key, signature, and only then the claims.
//!
//! INVARIANT: a token that [`verify`] accepts has exactly one text. Padding, unused bits, duplicate
//! members and unknown critical headers are refused, never read around.
//! INVARIANT: a [`Refusal`] carries nothing of its input, so it can be logged and audited as it is.
//!
//! Not here: fetching keys, remembering one-shot tokens, epochs and locks. They need a clock, a
//! network or a disk; they take the [`Proof`](crate::principal::Proof) of what came out of here.
//! `ES512` and `secp256k1` are not supported, because `jsonwebtoken` has no P-521, and symmetric
//! algorithms never will be: a key set is public.
//!
//! [`Principal`]: crate::principal::Principal

mod algorithm;
mod check;
mod claims;
mod compact;
mod delegation;
pub(crate) mod json;
mod jwk;
mod mapping;
mod own;
mod profile;
mod refusal;
mod review;
mod rules;
pub mod testing;
mod verify;
mod weak;

#[cfg(test)]
mod tests;

pub use algorithm::{Algorithm, install_crypto};
pub use check::{Check, Outline};
pub use compact::{Compact, MAX_TOKEN_BYTES, fingerprint};
pub(crate) use compact::{is_printable, sha256};
pub use delegation::{MAX_ACTORS, Shown, delegate, written as act_of};
pub use json::Fault;
pub use jwk::{DropReason, KeySet, KeySetError};
pub use mapping::{
    AttributeName, AttributeRule, AttributeType, ClaimMapping, MappingError, Pointer, PointerError,
};
pub use own::{
    Drawn, Grant, LONGEST as LONGEST_ACCESS_TOKEN, draw, leases_of, own_rules, verify_own,
};
pub use profile::{ClusterHost, EntraVersion, Form, KeyPlace, ObjectBinding, Profile, SpiffeId};
pub use refusal::{Claim, Refusal};
pub use review::{Review, presentable, reviewed};
pub use rules::{IssuerRules, Issuers, Owner, RulesError, signed_name};
pub(crate) use verify::subject;
pub use verify::{hypothetical, verify};
