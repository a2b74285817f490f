//! The commit of a head of the chain, driven by the writer's own thread.
//!
//! The store works in a thread of its own and needs the asynchronous runtime for its deadline only.
//! In a task of the runtime the commit would wait for its turn twice, to begin and to be heard of,
//! behind the very requests that wait for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use symbolon_core::audit::Anchor;
use tokio::runtime::Handle;

use super::super::anchors::{AnchorError, Anchors};

type Outcome = Result<(), AnchorError>;

/// A commit that was begun.
pub(super) struct Commit {
    pub(super) head: Anchor,
    progress: Progress,
}

enum Progress {
    UnderWay(Pin<Box<dyn Future<Output = Outcome> + Send>>),
    Ended(Outcome),
}

impl Commit {
    /// Begins: the store has been told when this returns.
    pub(super) fn begin(anchors: &Arc<dyn Anchors>, head: Anchor, runtime: &Handle) -> Self {
        let anchors = Arc::clone(anchors);
        let mut commit: Pin<Box<dyn Future<Output = Outcome> + Send>> =
            Box::pin(async move { anchors.commit(head).await });
        let _within = runtime.enter();
        // Nobody has to be woken: whoever waits for the end looks again first.
        let mut context = Context::from_waker(Waker::noop());
        let progress = match guarded(|| commit.as_mut().poll(&mut context)) {
            Ok(Poll::Pending) => Progress::UnderWay(commit),
            Ok(Poll::Ready(outcome)) => Progress::Ended(outcome),
            Err(gone) => Progress::Ended(Err(gone)),
        };
        Self { head, progress }
    }

    /// Whether it failed already.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.progress, Progress::Ended(Err(_)))
    }

    /// How it ended; the commit itself if it does not end within `patience`.
    pub(super) fn end(self, runtime: &Handle, patience: Duration) -> Result<Outcome, Self> {
        let mut commit = match self.progress {
            Progress::Ended(outcome) => return Ok(outcome),
            Progress::UnderWay(commit) => commit,
        };
        let wait = async { tokio::time::timeout(patience, commit.as_mut()).await };
        match guarded(|| runtime.block_on(wait)) {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(_late)) => Err(Self { progress: Progress::UnderWay(commit), ..self }),
            Err(gone) => Ok(Err(gone)),
        }
    }
}

/// The runtime panics at whoever asks it for time when it shuts down.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, AnchorError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| AnchorError("the runtime is gone".into()))
}
