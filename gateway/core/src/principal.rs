//! A proven identity.
//!
//! INVARIANT: only [`crate::token`] and its siblings [`crate::certificate`] and [`crate::signed`] make a
//! [`Principal`], after every check of the issuer has passed. A function that takes one need not ask
//! whether the caller was authenticated.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::IssuerAlias;
use crate::scope::Scope;

/// Who is asking, and what proved it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    subject: Subject,
    proof: Proof,
}

/// Issuer alias, subject and typed attributes mapped from claims: what policies see. On its own it
/// proves nothing; `symbolon policy explain` makes one from a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    /// Issuer and subject.
    pub identity: Identity,
    /// The issuer's profile: the name of the record that holds the attributes in policies
    /// (`principal.<profile>.…`).
    pub profile: &'static str,
    /// The mapped claims.
    pub attributes: Attributes,
}

/// The stable name of a principal: what leases, epochs and quotas belong to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Alias of the issuer that vouches for the subject.
    pub issuer: IssuerAlias,
    /// The subject as the issuer wrote it, or in the stable form that its platform's profile gives it.
    pub subject: String,
}

/// `<issuer>/<subject>`, the entity id in policies.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.issuer, self.subject)
    }
}

/// Attributes by name, as the issuer's claim mapping made them.
pub type Attributes = BTreeMap<String, Attribute>;

/// A typed attribute, as policies see it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// Text.
    String(String),
    /// A 64-bit integer.
    Long(i64),
    /// A truth value.
    Bool(bool),
    /// A set of texts.
    Strings(Vec<String>),
}

/// What the identity was proven with, as far as later stations need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// When the proof was issued: `iat` of a token, `notBefore` of a certificate, the date of a signed
    /// request. `None` for proofs without any, which only a lock stops; no verifier makes one.
    pub issued_at: Option<Timestamp>,
    /// When it ends.
    pub expires_at: Timestamp,
    /// To what the proof is bound beyond its possession.
    pub binding: Binding,
    /// SHA-256 of the signing input (`header "." payload`): the replay key of `wire-formats.md`
    /// §5.3, and how the audit log refers to the token.
    pub digest: [u8; 32],
    /// What an access token of our own says beside; `None` for proofs of others.
    pub session: Option<Arc<Session>>,
}

/// What an access token of our own says beyond whom it proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// `jti`.
    pub id: String,
    /// When this token was signed. [`Proof::issued_at`] is that of the first proof behind it.
    pub issued_at: Timestamp,
    /// What all tokens that were exchanged for one another share: they are withdrawn together, and
    /// leases hang on it.
    pub family: [u8; 32],
    /// What the token is good for.
    pub scope: Scope,
    /// Who acts for the subject, the latest first.
    pub actors: Vec<Actor>,
}

/// Somebody who acts for the subject of a token (RFC 8693 §4.1), in the names of its own issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// `iss`, if it is known.
    pub issuer: Option<String>,
    /// `sub`.
    pub subject: String,
}

impl Proof {
    /// What leases hang on that were asked for with this proof: the proof itself, or the family of
    /// an access token of our own.
    #[must_use]
    pub fn family(&self) -> [u8; 32] {
        self.session.as_ref().map_or(self.digest, |session| session.family)
    }

    /// What the proof is good for: everything, unless it is an access token of less.
    #[must_use]
    pub fn scope(&self) -> Option<Scope> {
        self.session.as_ref().map(|session| session.scope)
    }
}

/// To what a proof is bound (policy context `binding`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// To nothing: whoever holds it may use it.
    None,
    /// To a key, by DPoP (RFC 9449).
    Dpop,
    /// To a client certificate (RFC 8705).
    Mtls,
}

impl Binding {
    /// The name in policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Dpop => "dpop",
            Self::Mtls => "mtls",
        }
    }
}

impl Principal {
    /// The one constructor. Callers are the verifiers in this crate.
    pub(crate) fn proven(subject: Subject, proof: Proof) -> Self {
        Self { subject, proof }
    }

    /// Issuer, subject and attributes.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Issuer and subject.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.subject.identity
    }

    /// What the identity was proven with.
    #[must_use]
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// How long the proof still holds at `now`.
    #[must_use]
    pub fn remaining(&self, now: Timestamp) -> Duration {
        self.proof.expires_at.since(now)
    }
}
