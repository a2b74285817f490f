//! What the reaper needs of the world of plugins: something that ends a credential.
//!
//! The ledger does not know what a plugin is. Whoever implements [`Ends`] finds the backend's
//! component, unwraps the handle and asks it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use symbolon_core::id::BackendName;
use symbolon_core::lease::{Evidence, Revoked, SealedHandle, Terms};

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is to be ended.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    /// What was agreed.
    pub terms: &'a Terms,
    /// For the revocation; `None` if the answer of the issue was lost.
    pub handle: Option<&'a SealedHandle>,
}

/// The backend says that it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What that rests on.
    pub evidence: Evidence,
}

/// Why something is not ended yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndError {
    /// The backend does not answer, or is not configured: it is left alone for a while, and nothing
    /// is written about its leases.
    #[error("the backend is not there ({0})")]
    Down(&'static str),
    /// The gateway is busy with the backend: later.
    #[error("the backend has no place free")]
    Busy,
    /// The backend answers, and has not ended this one, or it is not seen to have.
    #[error("the backend does not end it ({0})")]
    Refused(&'static str),
}

/// Ends credentials at their backends. Must be idempotent: what is not there is ended.
pub trait Ends: Send + Sync + fmt::Debug {
    /// Ends a credential within a bounded time.
    ///
    /// # Errors
    /// [`EndError`] says whether the backend or this credential is the matter.
    fn end<'a>(&'a self, ending: Ending<'a>) -> BoxFuture<'a, Result<Ended, EndError>>;
}

/// Who is told what becomes of leases: instruments. Must not block.
pub trait Watch: Send + Sync + fmt::Debug {
    /// A lease is over.
    fn ended(&self, lease: &Revoked);

    /// A backend was asked to end one: `ended`, or the code of the failure.
    fn attempted(&self, backend: &BackendName, outcome: &'static str);
}

/// Nobody is told.
#[derive(Clone, Copy, Debug)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn ended(&self, _: &Revoked) {}

    fn attempted(&self, _: &BackendName, _: &'static str) {}
}
