//! What changed between two configurations: the keys, never the values.
//!
//! Compared is what was written, so that a default that is now spelled out counts as a change.
//! What files contain that are only named (policies, certificates, secrets) is not looked at here.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use toml::de::{DeTable, DeValue};

use super::Config;

/// One changed key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key, from the top.
    pub key: String,
    /// What became of it.
    pub kind: ChangeKind,
}

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has another value.
    Changed,
}

/// What is read once, at start: sockets, names of our own, files that stay open, exporters. What the
/// files that these keys name hold (certificates) may change all the same.
const FIXED: &[&str] = &[
    "server",
    "issuer",
    "store",
    "seal",
    "audit",
    "admin",
    "telemetry",
    "plugins.cache",
    "plugins.compile",
    "limits.strangers_per_source",
];

impl Change {
    /// Whether the change only takes effect when the process starts anew.
    #[must_use]
    pub fn needs_restart(&self) -> bool {
        FIXED.iter().any(|fixed| {
            self.key
                .strip_prefix(fixed)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }
}

/// `+ key`, `- key` or `~ key`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.kind {
            ChangeKind::Added => '+',
            ChangeKind::Removed => '-',
            ChangeKind::Changed => '~',
        };
        write!(f, "{sign} {}", self.key)
    }
}

/// The keys that differ, in alphabetical order.
#[must_use]
pub fn diff(old: &Config, new: &Config) -> Vec<Change> {
    let (old, new) = (&old.fingerprint.0, &new.fingerprint.0);
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    let gone = gone.map(|key| Change { key: key.clone(), kind: ChangeKind::Removed });
    let present = new.iter().filter_map(|(key, value)| {
        let kind = match old.get(key) {
            None => ChangeKind::Added,
            Some(before) if before != value => ChangeKind::Changed,
            Some(_) => return None,
        };
        Some(Change { key: key.clone(), kind })
    });
    let mut changes: Vec<Change> = gone.chain(present).collect();
    changes.sort_by(|a, b| a.key.cmp(&b.key));
    changes
}

/// A digest of each value, by key. Digests, since settings of development backends hold values.
#[derive(Clone, Default)]
pub(super) struct Fingerprint(BTreeMap<String, [u8; 32]>);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

impl Fingerprint {
    /// Of a text that has been parsed without errors; of any other it is of no use.
    pub(super) fn of(text: &str) -> Self {
        let mut fingerprint = Self::default();
        if let Ok(root) = DeTable::parse(text) {
            fingerprint.add_table("", root.get_ref());
        }
        fingerprint
    }

    fn add_table(&mut self, above: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let dot = if above.is_empty() { "" } else { "." };
            self.add(format!("{above}{dot}{}", key.get_ref()), value.get_ref());
        }
    }

    fn add(&mut self, key: String, value: &DeValue<'_>) {
        let (kind, text) = match value {
            DeValue::Table(table) => return self.add_table(&key, table),
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.add(format!("{key}[{index}]"), item.get_ref());
                }
                return;
            }
            DeValue::String(text) => ('s', text.to_string()),
            DeValue::Integer(number) => ('i', number.to_string()),
            DeValue::Float(number) => ('f', number.to_string()),
            DeValue::Boolean(boolean) => ('b', boolean.to_string()),
            DeValue::Datetime(time) => ('t', time.to_string()),
        };
        let hash = digest(&SHA256, format!("{kind}{text}").as_bytes());
        let value = <[u8; 32]>::try_from(hash.as_ref()).unwrap_or_default();
        self.0.insert(key, value);
    }
}
