//! What is issued under one name: the operator's words for a role, and what a lease is found by.
//!
//! INVARIANT: everything in here that becomes part of a URL is a path of plain segments.

use serde::{Deserialize, Serialize};
use symbolon_plugin::{Error, IssueRequest, Reference, role};

use crate::config::is_path;

/// A role of a backend of this plugin.
#[derive(Debug, Deserialize)]
#[serde(tag = "engine", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Role {
    /// An engine that makes credentials with a lease at `creds/<role>`.
    Database(Creds),
    /// An engine that signs certificates at `issue/<role>`.
    Pki(Certificate),
}

/// What is asked of a `creds` engine.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Creds {
    #[serde(default = "database")]
    pub(crate) mount: String,
    pub(crate) role: String,
}

/// What is asked of a PKI engine.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Certificate {
    #[serde(default = "pki")]
    pub(crate) mount: String,
    pub(crate) role: String,
    pub(crate) common_name: String,
    #[serde(default)]
    pub(crate) alt_names: Vec<String>,
    #[serde(default)]
    pub(crate) ip_sans: Vec<String>,
    #[serde(default)]
    pub(crate) uri_sans: Vec<String>,
}

fn database() -> String {
    "database".to_owned()
}

fn pki() -> String {
    "pki".to_owned()
}

impl Role {
    /// The role of a request, parsed and sound.
    pub(crate) fn of(request: &IssueRequest) -> Result<Self, Error> {
        let parsed: Self = role::parse(&request.role, &request.role_config)?;
        parsed.sound(&request.role)?;
        Ok(parsed)
    }

    /// Checks what becomes part of a URL, and what is joined by commas.
    pub(crate) fn sound(&self, name: &str) -> Result<(), Error> {
        let (mount, role) = match self {
            Self::Database(creds) => (&creds.mount, &creds.role),
            Self::Pki(certificate) => (&certificate.mount, &certificate.role),
        };
        if !is_path(mount) || !is_path(role) || role.contains('/') {
            return Err(role::unsound(name, "`mount` is a path and `role` a name"));
        }
        match self {
            Self::Pki(certificate) if !certificate.is_listable() => {
                Err(role::unsound(name, "a name of the certificate is empty or has a comma"))
            }
            Self::Database(_) | Self::Pki(_) => Ok(()),
        }
    }
}

impl Certificate {
    fn is_listable(&self) -> bool {
        let names = self.alt_names.iter().chain(&self.ip_sans).chain(&self.uri_sans);
        let plain = |name: &String| {
            !name.is_empty() && !name.contains(',') && !name.chars().any(char::is_control)
        };
        names.chain(std::iter::once(&self.common_name)).all(plain)
    }
}

/// What a lease is found by at the server. Nothing in it opens anything.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Handle {
    /// A lease of the server's.
    #[serde(rename = "lease")]
    Lease {
        /// Its id.
        id: String,
        /// When the token that it hangs on ends, and the lease with it.
        token_ends_at: u64,
    },
    /// A certificate.
    #[serde(rename = "certificate")]
    Certificate {
        /// Where its engine is mounted.
        mount: String,
        /// Its serial number.
        serial: String,
        /// Itself, if it is small: a role with `no_store` knows no serial numbers.
        certificate: Option<String>,
        /// When it ends.
        ends_at: u64,
    },
}

impl Handle {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The handle of a lease. Without one nothing is found: the server gives its own ids, which bear
    /// no mark of ours, so what was issued in an answer that was lost ends by its own time only.
    pub(crate) fn of(reference: &Reference) -> Result<Self, Error> {
        serde_json::from_slice(&reference.handle).map_err(|_| {
            Error::unsupported("not_findable", "without its handle a lease cannot be found")
        })
    }
}
