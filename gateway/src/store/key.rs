//! The layout: which record lives under which key.
//!
//! One ordered tree, the **ledger**, holds everything that one transaction may have to change
//! together; kinds of records are told apart by a prefix. The **sealed tree** is apart from it, so
//! that kept secrets can be counted, copied or destroyed without touching the ledger.
//!
//! | namespace | tail | value |
//! |---|---|---|
//! | `meta/` | name | format version, seal in use, marks |
//! | `key/` | kind `/` key id | one of our own keys, wrapped under the seal |
//! | `epoch/` | scope (see `barriers`) | epoch |
//! | `lock/` | scope | lock |
//! | `once/seen/` | issuer, 0, digest (32) | when the one-shot proof expires |
//! | `once/due/` | time (8, big-endian), issuer, 0, digest (32) | empty |
//! | `withdrawn/` | family of access tokens (32) | until when it is kept |
//! | `audit/` | name of the chain | last anchored head |
//! | `lease/state/` | lease id (16) | the lease |
//! | `lease/due/` | backend, 0, time (8), lease id (16) | empty |
//! | `lease/owner/` | issuer, 0, SHA-256 of the subject (32), lease id (16) | empty |
//! | `lease/backend/` | backend, 0, role, 0, lease id (16) | empty |
//! | `lease/token/` | digest of the token (32), lease id (16) | empty |
//! | `lease/carrier/` | carrier's id (16), lease id (16) | empty |
//! | `lease/offer/` | backend, 0, role, 0 | which carrier newcomers share |
//! | `lease/quota/` | kind of quota, 0, whose | count (8) |
//! | `lease/order/` | order id (16) | an order to end many leases |
//! | `lease/damaged/` | lease id (16) | a record that could not be read, as it was |
//! | `plugin/component/` | digest, in hexadecimal | a component of the catalog |
//! | `plugin/pointer/` | backend or target | the component that it points at, and the one before |
//! | `plugin/quarantine/` | digest, in hexadecimal | why it is not to be used |
//! | `session/` | digest of the token (32) | opaque session of the Vault face |
//! | `sealed/` (own tree) | kind, `/`, owner's name or id | kept secret, wrapped under the seal |
//!
//! The tails of `lease/` are made in [`symbolon_core::lease`]. Names (issuers, backends, roles) hold
//! no zero byte, so a zero ends them and no name is a prefix of another.

use std::fmt;

/// A kind of record: a prefix of the ledger, or a tree. In an SQL store, a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespace {
    /// The store's own: format version, seal in use, marks.
    Meta,
    /// Our own keys, wrapped.
    Key,
    /// Epochs.
    Epoch,
    /// Locks.
    Lock,
    /// One-shot proofs that were used.
    OnceSeen,
    /// The same, by expiry.
    OnceDue,
    /// Access tokens of our own that were withdrawn, by family.
    Withdrawn,
    /// Anchored heads of the audit chain.
    Audit,
    /// Leases.
    LeaseState,
    /// Leases by the time at which something must be done.
    LeaseDue,
    /// Leases by owner.
    LeaseOwner,
    /// Leases by backend and role.
    LeaseBackend,
    /// Leases by the token that asked for them.
    LeaseToken,
    /// Leases that share a credential, by its carrier.
    LeaseCarrier,
    /// Carriers that are open to newcomers, by backend and role.
    LeaseOffer,
    /// Counts of live leases.
    LeaseQuota,
    /// Orders to end many leases.
    LeaseOrder,
    /// Records of leases that could not be read.
    LeaseDamaged,
    /// Components of the catalog.
    PluginComponent,
    /// Which component a backend points at.
    PluginPointer,
    /// Components that are not to be used.
    PluginQuarantine,
    /// Opaque sessions of the Vault face.
    Session,
    /// Kept secrets.
    Sealed,
}

/// The two trees of the embedded store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    /// Everything but kept secrets.
    Ledger,
    /// Kept secrets.
    Sealed,
}

impl Namespace {
    /// The prefix of the encoded key. None is a prefix of another (tested).
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Meta => "meta/",
            Self::Key => "key/",
            Self::Epoch => "epoch/",
            Self::Lock => "lock/",
            Self::OnceSeen => "once/seen/",
            Self::OnceDue => "once/due/",
            Self::Withdrawn => "withdrawn/",
            Self::Audit => "audit/",
            Self::LeaseState => "lease/state/",
            Self::LeaseDue => "lease/due/",
            Self::LeaseOwner => "lease/owner/",
            Self::LeaseBackend => "lease/backend/",
            Self::LeaseToken => "lease/token/",
            Self::LeaseCarrier => "lease/carrier/",
            Self::LeaseOffer => "lease/offer/",
            Self::LeaseQuota => "lease/quota/",
            Self::LeaseOrder => "lease/order/",
            Self::LeaseDamaged => "lease/damaged/",
            Self::PluginComponent => "plugin/component/",
            Self::PluginPointer => "plugin/pointer/",
            Self::PluginQuarantine => "plugin/quarantine/",
            Self::Session => "session/",
            Self::Sealed => "sealed/",
        }
    }

    pub(super) const fn tree(self) -> Tree {
        match self {
            Self::Sealed => Tree::Sealed,
            Self::Meta
            | Self::Key
            | Self::Epoch
            | Self::Lock
            | Self::OnceSeen
            | Self::OnceDue
            | Self::Withdrawn
            | Self::Audit
            | Self::LeaseState
            | Self::LeaseDue
            | Self::LeaseOwner
            | Self::LeaseBackend
            | Self::LeaseToken
            | Self::LeaseCarrier
            | Self::LeaseOffer
            | Self::LeaseQuota
            | Self::LeaseOrder
            | Self::LeaseDamaged
            | Self::PluginComponent
            | Self::PluginPointer
            | Self::PluginQuarantine
            | Self::Session => Tree::Ledger,
        }
    }

    /// This namespace's key with `tail`.
    #[must_use]
    pub fn key(self, tail: impl Into<Vec<u8>>) -> Key {
        Key { namespace: self, tail: tail.into() }
    }
}

/// The full name of a record.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    namespace: Namespace,
    tail: Vec<u8>,
}

impl Key {
    /// The kind of record.
    #[must_use]
    pub fn namespace(&self) -> Namespace {
        self.namespace
    }

    /// What follows the namespace.
    #[must_use]
    pub fn tail(&self) -> &[u8] {
        &self.tail
    }

    pub(super) fn encoded(&self) -> Vec<u8> {
        encode(self.namespace, &self.tail)
    }
}

/// Prefix and tail, what is not printable escaped: for messages and logs.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.namespace.prefix(), self.tail.escape_ascii())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A range of keys in one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    namespace: Namespace,
    prefix: Vec<u8>,
    after: Option<Vec<u8>>,
    before: Option<Vec<u8>>,
}

impl Span {
    /// Every key of `namespace`.
    #[must_use]
    pub fn all(namespace: Namespace) -> Self {
        Self::with_prefix(namespace, Vec::new())
    }

    /// The keys whose tail begins with `prefix`.
    #[must_use]
    pub fn with_prefix(namespace: Namespace, prefix: impl Into<Vec<u8>>) -> Self {
        Self { namespace, prefix: prefix.into(), after: None, before: None }
    }

    /// Only those whose tail sorts before `tail`.
    #[must_use]
    pub fn before(self, tail: impl Into<Vec<u8>>) -> Self {
        Self { before: Some(tail.into()), ..self }
    }

    /// Only those that follow `key`.
    #[must_use]
    pub fn after(self, key: &Key) -> Self {
        Self { after: Some(key.tail.clone()), ..self }
    }

    pub(super) fn namespace(&self) -> Namespace {
        self.namespace
    }

    /// First encoded key that may be in the span.
    pub(super) fn start(&self) -> Vec<u8> {
        match &self.after {
            Some(tail) => {
                let mut start = encode(self.namespace, tail);
                // The next possible key after any key is the key with a zero byte more.
                start.push(0);
                start
            }
            None => encode(self.namespace, &self.prefix),
        }
    }

    /// The tail in `encoded`, if it lies in the span. Keys come in order: the first that does not
    /// lie in it ends the scan.
    pub(super) fn tail_of<'a>(&self, encoded: &'a [u8]) -> Option<&'a [u8]> {
        let tail = encoded.strip_prefix(self.namespace.prefix().as_bytes())?;
        let ends = self.before.as_deref().is_some_and(|end| tail >= end);
        (tail.starts_with(&self.prefix) && !ends).then_some(tail)
    }
}

fn encode(namespace: Namespace, tail: &[u8]) -> Vec<u8> {
    [namespace.prefix().as_bytes(), tail].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Namespace; 23] = [
        Namespace::Meta,
        Namespace::Key,
        Namespace::Epoch,
        Namespace::Lock,
        Namespace::OnceSeen,
        Namespace::OnceDue,
        Namespace::Withdrawn,
        Namespace::Audit,
        Namespace::LeaseState,
        Namespace::LeaseDue,
        Namespace::LeaseOwner,
        Namespace::LeaseBackend,
        Namespace::LeaseToken,
        Namespace::LeaseCarrier,
        Namespace::LeaseOffer,
        Namespace::LeaseQuota,
        Namespace::LeaseOrder,
        Namespace::LeaseDamaged,
        Namespace::PluginComponent,
        Namespace::PluginPointer,
        Namespace::PluginQuarantine,
        Namespace::Session,
        Namespace::Sealed,
    ];

    #[test]
    fn no_namespace_hides_in_another() {
        for one in ALL {
            for other in ALL.into_iter().filter(|other| *other != one) {
                assert!(!other.prefix().starts_with(one.prefix()), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_span_holds_its_prefix_and_stops_at_its_end() {
        let span = Span::with_prefix(Namespace::Lock, "a/").before("a/m");
        for (key, inside) in [
            (Namespace::Lock.key("a/"), true),
            (Namespace::Lock.key("a/lz"), true),
            (Namespace::Lock.key("a/m"), false),
            (Namespace::Lock.key("b/a"), false),
            (Namespace::Epoch.key("a/a"), false),
        ] {
            assert_eq!(span.tail_of(&key.encoded()).is_some(), inside, "{key}");
        }
    }
}
