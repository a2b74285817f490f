//! What a plugin answered, after `facade` has checked it.
//!
//! INVARIANT: these values are made in `facade` only. Whoever holds a [`SecretValue`] knows that
//! its path and version are those that were asked for, that it is within the size limits, and that
//! nothing in it but the value itself is free text of the plugin's.

use std::time::Duration;

use symbolon_core::ask::Version;
use symbolon_core::clock::Timestamp;
use symbolon_core::id::LeaseId;
use symbolon_core::path::SecretPath;
use symbolon_core::secret::Secret;

/// Names and values within the grammar of the contract, in the plugin's order. Never secret.
pub type Metadata = Vec<(String, String)>;

/// Named secret bytes, in the plugin's order; names are unique.
pub type Fields = Vec<(String, Secret)>;

/// A secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SecretValue {
    /// The path that was asked for.
    pub path: SecretPath,
    /// The version that this is, where the backend has versions.
    pub version: Option<Version>,
    /// Media type of an opaque value.
    pub content_type: String,
    /// What kind of secret it is; the value has the shape of its kind.
    pub kind: SecretKind,
    /// The value.
    pub value: Value,
    /// When the value stops being valid, where the backend says so.
    pub expires_at: Option<Timestamp>,
    /// More about the secret.
    pub metadata: Metadata,
}

/// What kind of secret something is, by the contract's conventions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// Bytes.
    Opaque,
    /// Named fields.
    Map,
    /// A certificate: fields `certificate`, `private_key` and perhaps `chain`, in PEM.
    Tls,
    /// An OAuth token: the field `access_token`.
    Oauth,
}

impl SecretKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Opaque, Self::Map, Self::Tls, Self::Oauth];

    /// The name in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opaque => "opaque",
            Self::Map => "map",
            Self::Tls => "tls",
            Self::Oauth => "oauth",
        }
    }

    /// Fields that a secret of the kind has.
    #[must_use]
    pub const fn required(self) -> &'static [&'static str] {
        match self {
            Self::Opaque | Self::Map => &[],
            Self::Tls => &["certificate", "private_key"],
            Self::Oauth => &["access_token"],
        }
    }
}

/// The value of a secret.
#[derive(Clone, Debug)]
pub enum Value {
    /// Bytes.
    Opaque(Secret),
    /// Named fields.
    Fields(Fields),
}

/// One page of names in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing {
    /// Names directly in the folder, as segments of a path; those of folders end in `/`.
    pub names: Vec<String>,
    /// How many names of the backend's do not fit the grammar of paths: nobody could ask for them.
    pub withheld: usize,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// The outcome of a check of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Remarks for the operator, escaped, most important first.
    pub remarks: Vec<String>,
    /// More.
    pub metadata: Metadata,
}

/// What to issue a credential for.
#[derive(Clone, Debug)]
pub struct IssueRequest {
    /// The reservation, which is the idempotency key.
    pub reservation: LeaseId,
    /// The role, and its configuration as JSON.
    pub role: Role,
    /// How long it shall last at most.
    pub ttl: Duration,
    /// Issuer alias and subject, for the backend's own log.
    pub principal: (String, String),
    /// What the host made for the plugin.
    pub materials: Fields,
    /// More.
    pub metadata: Metadata,
}

/// A role of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Its configuration, as JSON.
    pub config: String,
}

/// A credential that was issued.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Issued {
    /// The reservation that was asked with.
    pub reservation: LeaseId,
    /// What the caller gets.
    pub fields: Fields,
    /// When it ends: never later than asked.
    pub expires_at: Timestamp,
    /// Whether it can be extended.
    pub renewable: bool,
    /// Whether it can be ended early.
    pub revocable: bool,
    /// What the plugin needs to find it again.
    pub handle: Secret,
    /// More about the credential.
    pub metadata: Metadata,
}

/// What a plugin finds a credential by.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The reservation.
    pub reservation: LeaseId,
    /// The role it was issued for.
    pub role: Role,
    /// The handle of [`Issued`]; empty if its answer never arrived.
    pub handle: Secret,
}

/// What became of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialState {
    /// It still works.
    Usable,
    /// It is there and does not work.
    Disabled,
    /// It is not there.
    Gone,
}

/// One page of the reservations whose credentials a backend holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IssuedPage {
    /// The reservations.
    pub reservations: Vec<LeaseId>,
    /// How many entries are no reservation ids, so not of this gateway's making.
    pub withheld: usize,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// What to exchange.
#[derive(Clone, Debug)]
pub struct ExchangeRequest {
    /// The gateway's assertion for this target.
    pub assertion: Secret,
    /// Scopes, already narrowed.
    pub scopes: Vec<String>,
    /// How long the token shall last at most.
    pub ttl: Duration,
    /// Session attributes of the calling workload.
    pub attributes: Vec<(String, String)>,
    /// More.
    pub metadata: Metadata,
}

/// A token of another party.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ForeignToken {
    /// What it is made of.
    pub fields: Fields,
    /// How it is added to a request.
    pub kind: TokenKind,
    /// Until when it is used: never later than asked.
    pub expires_at: Timestamp,
    /// When it really ends, by the word of the other party. Later than `expires_at` where that gives none
    /// so short.
    pub ends_at: Timestamp,
    /// Whether it is good for longer than was asked, to whoever has it.
    pub outlasts: bool,
    /// What revoking it needs; may be empty.
    pub handle: Secret,
    /// More.
    pub metadata: Metadata,
}

/// How a [`ForeignToken`] is added to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// `Authorization: Bearer`, with the field `token`.
    Bearer,
    /// A header of this name, with the field `token`. The name is lower case and not one that HTTP
    /// itself uses.
    Header(String),
    /// AWS Signature Version 4, with `access_key_id`, `secret_access_key` and `session_token`.
    Aws,
}
