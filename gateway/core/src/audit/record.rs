//! What the audit log says: one type per kind of line.
//!
//! Records borrow what they name: they are serialised at once, by the caller, on the caller's
//! thread, and only the bytes travel on. Subjects and paths are plain, since an audit log that
//! cannot say who read what is none; token digests and what an operator marks are [`KeyedHash`]es.
//! A record has no field that could hold a secret's value.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::keyed::KeyedHash;
use crate::ask::Ask;
use crate::clock::Timestamp;
use crate::error::Kind;
use crate::id::{BackendName, LeaseId, RequestId};
use crate::principal::{Actor, Identity};

/// A record that can become a line. It serialises as an object with at least one member, none of
/// which is named as a member of the envelope (`seq`, `at`, `kind`, `group`, `prev`, `hash`).
pub trait Record: Serialize {
    /// The line's `kind`.
    fn kind(&self) -> &'static str;
}

/// Through which face a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// The native API.
    Native,
    /// The token endpoint.
    Oauth,
    /// The Vault-compatible API.
    Vault,
    /// The CSI provider.
    Csi,
    /// The admin listener.
    Admin,
}

/// A principal asks for something: written before anything is decided.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// The request.
    pub request: RequestId,
    /// Who asks.
    pub identity: &'a Identity,
    /// For what.
    pub ask: &'a Ask,
    /// From where, if that is known.
    pub source: Option<IpAddr>,
    /// The token that proved the identity.
    pub token: &'a KeyedHash,
    /// Through which face.
    pub dialect: Dialect,
    /// Who acts for the identity, the latest first.
    pub actors: &'a [Actor],
    /// Further values that the operator marked as sensitive, by name.
    pub marked: &'a [(&'a str, KeyedHash)],
}

impl Record for Opening<'_> {
    fn kind(&self) -> &'static str {
        "request.open"
    }
}

impl Serialize for Opening<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("request", &Text(self.request))?;
        map.serialize_entry("issuer", self.identity.issuer.as_str())?;
        map.serialize_entry("subject", &self.identity.subject)?;
        map.serialize_entry("action", self.ask.action.as_str())?;
        map.serialize_entry("resource", &Text(&self.ask.resource))?;
        if let Some(version) = &self.ask.version {
            map.serialize_entry("version", version.as_str())?;
        }
        entry_if(&mut map, "field", self.ask.field.as_ref().map(Text))?;
        entry_if(&mut map, "alias", self.ask.alias.as_ref().map(Text))?;
        if let Some(ttl) = self.ask.ttl {
            map.serialize_entry("ttl_seconds", &ttl.as_secs())?;
        }
        if !self.ask.scopes.is_empty() {
            map.serialize_entry("scopes", &self.ask.scopes)?;
        }
        if !self.actors.is_empty() {
            map.serialize_entry("actors", &Actors(self.actors))?;
        }
        if let Some(source) = &self.source {
            map.serialize_entry("source", source)?;
        }
        map.serialize_entry("token", self.token)?;
        map.serialize_entry("dialect", &self.dialect)?;
        if !self.marked.is_empty() {
            map.serialize_entry("marked", &Marked(self.marked))?;
        }
        map.end()
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It got what it asked for.
    Allow,
    /// It may not have it.
    Deny,
    /// It may have it and did not get it.
    Error,
    /// The line that served it ended without a conclusion.
    Abandoned,
}

/// Most policy ids in one closing; [`Conclusion::policies`] beyond are counted, not named.
const POLICIES_NAMED: usize = 64;

/// How a request ended, and what decided it.
#[derive(Clone, Copy, Debug)]
pub struct Conclusion<'a> {
    /// The end.
    pub outcome: Outcome,
    /// What the caller was told, if it was not the thing asked for.
    pub error: Option<Kind>,
    /// The stable code of the reason.
    pub code: &'a str,
    /// What the plugin's requests to its upstream last failed at.
    pub egress: Option<&'a str>,
    /// The ids of the deciding policies.
    pub policies: &'a [Arc<str>],
    /// The digest of the policy bundle.
    pub bundle: Option<&'a str>,
    /// The backend that answered.
    pub backend: Option<&'a BackendName>,
    /// The digest of the plugin that answered.
    pub plugin: Option<&'a str>,
    /// The version of the secret that was returned.
    pub version: Option<&'a str>,
    /// The lease that came of it.
    pub lease: Option<LeaseId>,
    /// The lease whose credential that one shares.
    pub carrier: Option<LeaseId>,
}

impl Conclusion<'_> {
    /// A conclusion that says nothing beyond its outcome and code.
    #[must_use]
    pub const fn bare(outcome: Outcome, code: &str) -> Conclusion<'_> {
        Conclusion {
            outcome,
            error: None,
            code,
            egress: None,
            policies: &[],
            bundle: None,
            backend: None,
            plugin: None,
            version: None,
            lease: None,
            carrier: None,
        }
    }
}

/// The closing line of a request.
#[derive(Clone, Copy, Debug)]
pub struct Closing<'a> {
    /// The request.
    pub request: RequestId,
    /// Its end.
    pub conclusion: &'a Conclusion<'a>,
    /// From opening to closing, in microseconds.
    pub duration_us: u64,
}

impl Record for Closing<'_> {
    fn kind(&self) -> &'static str {
        "request.close"
    }
}

impl Serialize for Closing<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let end = self.conclusion;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("request", &Text(self.request))?;
        map.serialize_entry("outcome", &end.outcome)?;
        if let Some(error) = end.error {
            map.serialize_entry("error", error.public().code)?;
        }
        map.serialize_entry("code", end.code)?;
        entry_if(&mut map, "egress", end.egress)?;
        map.serialize_entry(
            "policies",
            end.policies.get(..POLICIES_NAMED).unwrap_or(end.policies),
        )?;
        if end.policies.len() > POLICIES_NAMED {
            map.serialize_entry("policies_total", &end.policies.len())?;
        }
        entry_if(&mut map, "bundle", end.bundle)?;
        entry_if(&mut map, "backend", end.backend)?;
        entry_if(&mut map, "plugin", end.plugin)?;
        entry_if(&mut map, "version", end.version)?;
        entry_if(&mut map, "lease", end.lease.map(Text))?;
        entry_if(&mut map, "carrier", end.carrier.map(Text))?;
        map.serialize_entry("duration_us", &self.duration_us)?;
        map.end()
    }
}

/// The closing of this request is on record, but nobody received its receipt: it became durable too
/// late, or the line was gone. Whatever the closing says, the caller got no answer from it.
#[derive(Clone, Copy, Debug)]
pub struct Late {
    /// The request.
    pub request: RequestId,
}

impl Record for Late {
    fn kind(&self) -> &'static str {
        "request.late"
    }
}

impl Serialize for Late {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("request", &Text(self.request))?;
        map.end()
    }
}

/// An operation on the gateway itself.
#[derive(Clone, Debug, Serialize)]
pub struct AdminEvent<'a> {
    /// Who: `uid:N` on the Unix socket, an identity elsewhere, `symbolon` for what the gateway does
    /// by itself (a key rotated, a signal obeyed).
    pub administrator: &'a str,
    /// What.
    pub operation: &'a str,
    /// To what, if the operation has an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<&'a str>,
    /// How it ended.
    pub outcome: Outcome,
    /// The stable code of the reason.
    pub code: &'a str,
    /// What changed, by name. Never a secret.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<&'a str, String>,
}

impl Record for AdminEvent<'_> {
    fn kind(&self) -> &'static str {
        "admin"
    }
}

/// How often requests that named no principal were turned away in one window of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Strangers {
    /// When the window began, in RFC 3339.
    #[serde(serialize_with = "text")]
    pub since: Timestamp,
    /// How many were turned away.
    pub total: u64,
    /// By reason code.
    pub reasons: BTreeMap<&'static str, u64>,
    /// By source, the loudest first; bounded.
    pub sources: Vec<SourceCount>,
    /// How many came from sources that are not listed.
    pub folded: u64,
}

/// Refusals of one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceCount {
    /// The prefix: /24 of IPv4, /48 of IPv6.
    #[serde(serialize_with = "text")]
    pub prefix: ipnet::IpNet,
    /// How many.
    pub count: u64,
}

impl Record for Strangers {
    fn kind(&self) -> &'static str {
        "strangers"
    }
}

/// What the journal says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ChainEvent {
    /// The first line there ever was.
    Start {
        /// The version of the format.
        format: u32,
    },
    /// The first line of a file after rotation.
    Continued {
        /// The name of the file before.
        previous: String,
    },
    /// The journal was opened again.
    Resumed {
        /// How many bytes of an unfinished group were taken off the end.
        torn_bytes: u64,
        /// Under which name they were kept, if they could be.
        #[serde(skip_serializing_if = "Option::is_none")]
        kept: Option<String>,
    },
    /// The journal was opened again, and the file does not hold the head that the store remembers.
    Broken {
        /// Sequence number of that head.
        anchored_seq: u64,
        /// Its hash.
        #[serde(serialize_with = "text")]
        anchored_hash: super::Digest,
        /// The last line that was found.
        found_seq: u64,
    },
    /// Writing works again after it had failed.
    Restored {
        /// How many requests were refused meanwhile.
        refused: u64,
    },
    /// The journal was closed in order: nothing follows but `chain.resumed`.
    Stopped {
        /// Lines written since it was opened, this one not counted.
        lines: u64,
    },
}

impl Record for ChainEvent {
    fn kind(&self) -> &'static str {
        match self {
            Self::Start { .. } => "chain.start",
            Self::Continued { .. } => "chain.continued",
            Self::Resumed { .. } => "chain.resumed",
            Self::Broken { .. } => "chain.broken",
            Self::Restored { .. } => "chain.restored",
            Self::Stopped { .. } => "chain.stopped",
        }
    }
}

/// Serialises by `Display`, without a string in between.
struct Text<T>(T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Each as `issuer` and `subject`.
struct Actors<'a>(&'a [Actor]);

impl Serialize for Actors<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|actor| (&actor.issuer, &actor.subject)))
    }
}

struct Marked<'a>(&'a [(&'a str, KeyedHash)]);

impl Serialize for Marked<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, hash)| (name, hash)))
    }
}

fn text<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn entry_if<M: SerializeMap>(
    map: &mut M,
    name: &'static str,
    value: Option<impl Serialize>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(name, &value))
}
