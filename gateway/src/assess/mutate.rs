//! The catalogue: one thing made wrong at a time, and the reasons for which it may be refused.
//!
//! The changed token is signed again with the issuer's key, so that it is the rule that refuses and not
//! the signature, wherever the mutation is not about the signature.

pub(super) mod actor;
pub(super) mod certificate;
mod claims;
mod form;
mod platform;
pub(super) mod review;
pub(super) mod signed;

use super::draft::Draft;
use super::issuer::Issuer;
use super::kind::Kind;
use super::random::Random;

/// One way to make a good token wrong.
pub(super) struct Mutation {
    pub(super) kind: Kind,
    pub(super) name: &'static str,
    /// The audit codes of which one must be the reason.
    pub(super) expected: &'static [&'static str],
    /// Makes it wrong; `false` if that is not possible for this issuer.
    make: fn(&mut Draft, &Scene<'_>, &mut Random) -> bool,
}

/// Around a draft.
pub(super) struct Scene<'a> {
    pub(super) issuer: &'a Issuer,
    pub(super) issuers: &'a [Issuer],
    /// Seconds.
    pub(super) now: i64,
}

impl Mutation {
    /// Makes the draft wrong, if this applies to it.
    pub(super) fn spoil(&self, draft: &mut Draft, scene: &Scene<'_>, random: &mut Random) -> bool {
        (self.make)(draft, scene, random)
    }
}

/// All of them.
pub(super) fn catalogue() -> Vec<&'static Mutation> {
    [form::ALL, claims::ALL, platform::ALL].concat()
}
