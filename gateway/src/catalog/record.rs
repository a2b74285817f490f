//! The records of the catalog.

use serde::{Deserialize, Serialize};
use symbolon_core::clock::Timestamp;
use symbolon_host::{Digest, Inspection};

use crate::store::record::Record;

/// Which component: enough to name it when its bytes are gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointed {
    /// The plugin's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its bytes, in hexadecimal.
    pub digest: String,
}

impl Pointed {
    /// The component that `inspection` is of.
    #[must_use]
    pub fn of(inspection: &Inspection) -> Self {
        Self {
            name: inspection.manifest.name.to_string(),
            version: inspection.manifest.version.clone(),
            digest: inspection.digest.hex(),
        }
    }

    /// The digest; none if the record was made by nobody of us.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        Digest::from_hex(&self.digest)
    }
}

/// `name@version (digest, cut)`.
impl std::fmt::Display for Pointed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digest: String = self.digest.chars().take(12).collect();
        write!(f, "{}@{} ({digest})", self.name, self.version)
    }
}

/// Where a component comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file that it was read from, as whoever installed it named it.
    pub source: String,
    /// Who installed it.
    pub by: String,
    /// Who signed it.
    pub signers: Vec<String>,
    /// Whether nobody asked for it to be installed: it was in use, and is kept so that going back to
    /// it is possible.
    pub is_adopted: bool,
}

/// A component of the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// Which one.
    #[serde(flatten)]
    pub component: Pointed,
    /// Its size, in bytes.
    pub bytes: usize,
    /// The file that it was read from.
    pub source: String,
    /// When it was installed.
    pub installed_at: Timestamp,
    /// By whom.
    pub installed_by: String,
    /// Who signed it.
    pub signers: Vec<String>,
    /// Whether it was taken along because it was in use: see [`Origin::is_adopted`].
    pub is_adopted: bool,
}

impl Installed {
    pub(super) fn new(inspection: &Inspection, origin: Origin, now: Timestamp) -> Self {
        Self {
            component: Pointed::of(inspection),
            bytes: inspection.bytes,
            source: origin.source,
            installed_at: now,
            installed_by: origin.by,
            signers: origin.signers,
            is_adopted: origin.is_adopted,
        }
    }
}

impl Record for Installed {
    const VERSION: u8 = 1;
}

/// What a backend points at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// The component.
    pub to: Pointed,
    /// The one before, where a rollback leads.
    pub previous: Option<Pointed>,
    /// Since when.
    pub since: Timestamp,
    /// Who made it so.
    pub by: String,
}

impl Record for Pointer {
    const VERSION: u8 = 1;
}

/// Why a component is not to be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Which one.
    pub component: Pointed,
    /// The backend in which it was found.
    pub backend: String,
    /// What it did.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

impl Record for Quarantined {
    const VERSION: u8 = 1;
}
