//! What is kept of a rotated login: one sealed value a backend.

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use symbolon_core::id::BackendName;
use symbolon_core::secret::Secret;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Account;
use crate::store::StoreError;

/// What the names of these secrets begin with.
pub(super) const PREFIX: &str = "root/";

/// The name of what is kept for `backend`.
pub(super) fn name(backend: &BackendName) -> String {
    format!("{PREFIX}{backend}")
}

/// The backend whose secret has this name.
pub(super) fn backend(name: &str) -> Option<BackendName> {
    BackendName::parse(name.strip_prefix(PREFIX)?).ok()
}

/// Tells passwords apart without telling what they are.
pub(super) fn generation(password: &Secret) -> u64 {
    let digest = digest(&SHA256, password.expose());
    digest.as_ref().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// The passwords of an account: the one in force, and the one that may be.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) account: Account,
    pub(super) current: Option<Secret>,
    pub(super) pending: Option<Secret>,
}

/// As it is sealed.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct Plain {
    version: u8,
    user: String,
    server: String,
    current: Option<String>,
    pending: Option<String>,
}

const VERSION: u8 = 1;

impl Kept {
    /// One that was proven.
    pub(super) const fn current(account: Account, password: Secret) -> Self {
        Self { account, current: Some(password), pending: None }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.current.is_none() && self.pending.is_none()
    }

    pub(super) fn encode(&self) -> Result<Secret, StoreError> {
        let text = |password: &Option<Secret>| {
            password.as_ref().and_then(|password| Some(password.expose_str()?.to_owned()))
        };
        let plain = Plain {
            version: VERSION,
            user: self.account.user.clone(),
            server: self.account.server.clone(),
            current: text(&self.current),
            pending: text(&self.pending),
        };
        let bytes = serde_json::to_vec(&plain).map_err(|cause| StoreError::Record {
            doing: "written",
            cause: format!("{:?}", cause.classify()),
        })?;
        Ok(Secret::new(bytes))
    }

    /// `None` if it is of another version, or none of ours: then nothing is known.
    pub(super) fn decode(bytes: &Secret) -> Option<Self> {
        let mut plain: Plain = serde_json::from_slice(bytes.expose()).ok()?;
        let account = Account { user: plain.user.clone(), server: plain.server.clone() };
        let current = plain.current.take().map(Secret::from);
        let pending = plain.pending.take().map(Secret::from);
        (plain.version == VERSION).then_some(Self { account, current, pending })
    }
}
