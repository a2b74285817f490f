//! Where the head of the chain is remembered outside the log.

use std::future::Future;
use std::pin::Pin;

use symbolon_core::audit::Anchor;

/// The head could not be committed.
#[derive(Debug, thiserror::Error)]
#[error("the head of the audit chain could not be committed to the store")]
pub struct AnchorError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Keeps the newest anchor. The writer commits one at a time, with growing sequence numbers, each as
/// soon as its group is on disk; the group behind it is acknowledged when that is done.
pub trait Anchors: Send + Sync + 'static {
    /// Makes `anchor` durable. Resolves when it is; an anchor that never resolves is a failure at
    /// the journal's deadline.
    fn commit(
        &self,
        anchor: Anchor,
    ) -> Pin<Box<dyn Future<Output = Result<(), AnchorError>> + Send + '_>>;
}
