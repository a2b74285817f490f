//! The records of the catalog.

use serde::{Deserialize, Serialize};
use symbolon_core::clock::Timestamp;
use symbolon_core::id::PluginName;
use symbolon_host::signature::Claim;
use symbolon_host::{Digest, Inspection, Package, Trust};

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

    /// What those who sign it say; none if the record was made by nobody of us.
    fn claim(&self) -> Option<Claim> {
        let name = PluginName::parse(&self.name).ok()?;
        Some(Claim { digest: self.digest()?, name, version: self.version.clone() })
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
    /// Whether nobody asked for it to be installed: it was in use, and is kept so that going back to
    /// it is possible.
    pub is_adopted: bool,
}

/// A component that comes in, admitted.
#[derive(Clone, Debug)]
pub struct Incoming<'a> {
    /// What it says it is.
    pub component: Pointed,
    /// Its bytes, and who signed them.
    pub package: Package,
    /// Where it comes from.
    pub origin: Origin,
    /// Whose signatures count.
    pub trust: &'a Trust,
}

impl Incoming<'_> {
    /// With the signatures that are known of it already.
    pub(super) fn with_kept(self, kept: Option<&[u8]>) -> Self {
        let Self { component, package, origin, trust } = self;
        let package = match component.claim() {
            Some(claim) => package.with_kept(kept, &claim, trust),
            None => package,
        };
        Self { component, package, origin, trust }
    }

    /// Its record, if `known` is what is known of it. What was installed stays so.
    pub(super) fn record(&self, known: Option<&Installed>, now: Timestamp) -> Installed {
        let Self { component, package, origin, trust } = self;
        let endorsement = trust.endorsement(package.digest(), package.signatures());
        let signers = endorsement.keys().map(ToString::to_string).collect();
        let known = known.filter(|known| !known.is_adopted || origin.is_adopted);
        known
            .map_or_else(
                || Installed {
                    component: component.clone(),
                    bytes: package.component().len(),
                    source: origin.source.clone(),
                    installed_at: now,
                    installed_by: origin.by.clone(),
                    signers: Vec::new(),
                    is_adopted: origin.is_adopted,
                },
                Installed::clone,
            )
            .signed_by(signers)
    }
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
    fn signed_by(self, signers: Vec<String>) -> Self {
        Self { signers, ..self }
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
    /// Whether no backend may use it, and not only that one: a release that failed when it was new, or
    /// one that failed in two of them. One backend, and whoever may call it, does not take it from all.
    #[serde(default = "everywhere")]
    pub is_everywhere: bool,
}

const fn everywhere() -> bool {
    true
}

impl Record for Quarantined {
    const VERSION: u8 = 1;
}
