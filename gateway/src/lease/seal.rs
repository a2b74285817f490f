//! Revocation handles under the seal, bound to their lease: a handle copied to another lease's record
//! does not open.

use std::sync::Arc;

use symbolon_core::id::LeaseId;
use symbolon_core::lease::SealedHandle;
use symbolon_core::secret::Secret;

use crate::seal::{Purpose, Seal, SealError};

/// Wraps and unwraps revocation handles.
#[derive(Clone, Debug)]
pub struct HandleSeal(Arc<Seal>);

impl HandleSeal {
    /// Over the gateway's seal.
    #[must_use]
    pub fn new(seal: Arc<Seal>) -> Self {
        Self(seal)
    }

    /// Wraps the handle of a lease.
    ///
    /// # Errors
    /// [`SealError::Crypto`] if there is no randomness.
    pub fn wrap(&self, lease: LeaseId, handle: &Secret) -> Result<SealedHandle, SealError> {
        let bytes = self.0.wrap(Purpose::RevocationHandle, &lease.to_bytes(), handle)?;
        Ok(SealedHandle::from_wrapped(bytes))
    }

    /// Unwraps the handle of a lease.
    ///
    /// # Errors
    /// [`SealError`] if the seal lacks the key, or the handle is not this lease's.
    pub fn unwrap(&self, lease: LeaseId, handle: &SealedHandle) -> Result<Secret, SealError> {
        self.0.unwrap(Purpose::RevocationHandle, &lease.to_bytes(), handle.as_bytes())
    }

    /// The handle under the seal's current key; `None` if it is already.
    ///
    /// # Errors
    /// As [`HandleSeal::unwrap`].
    pub fn rewrap(
        &self,
        lease: LeaseId,
        handle: &SealedHandle,
    ) -> Result<Option<SealedHandle>, SealError> {
        let id = lease.to_bytes();
        let bytes = self.0.rewrap(Purpose::RevocationHandle, &id, handle.as_bytes())?;
        Ok(bytes.map(SealedHandle::from_wrapped))
    }
}
