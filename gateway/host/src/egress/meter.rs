//! What one call may use of the network, and what it has used.
//!
//! INVARIANT: every byte and request of a call is counted here before it is passed on, so that a
//! plugin that opens a hundred requests gets no more than one that opens one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::EgressError;

/// The bounds of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// Requests in all.
    pub requests: u32,
    /// Bytes of one request body.
    pub request_body: u64,
    /// Bytes of one response body.
    pub response_body: u64,
    /// Bytes of all response bodies together.
    pub received: u64,
}

/// 32 requests; 1 MiB a body; 4 MiB in all.
impl Default for CallLimits {
    fn default() -> Self {
        Self { requests: 32, request_body: 1 << 20, response_body: 1 << 20, received: 4 << 20 }
    }
}

/// What a call has done so far.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Requests made or refused.
    pub requests: u32,
    /// Requests that this module refused.
    pub refused: u32,
    /// Bytes of request bodies handed to connections.
    pub sent: u64,
    /// Bytes of response bodies taken.
    pub received: u64,
    /// Whether some upstream may have seen a request: repeating the call may repeat its effect.
    pub reached: bool,
    /// The last thing that went wrong.
    pub last_error: Option<EgressError>,
}

/// The budget of one call.
#[derive(Debug)]
pub(super) struct Meter {
    limits: CallLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    record: Record,
    /// Requests handed to a connection and not settled. One whose future was dropped never is: it
    /// may have arrived.
    in_doubt: u32,
}

impl Meter {
    pub(super) fn new(limits: CallLimits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    pub(super) const fn limits(&self) -> &CallLimits {
        &self.limits
    }

    pub(super) fn record(&self) -> Record {
        let state = self.state();
        Record { reached: state.record.reached || state.in_doubt > 0, ..state.record.clone() }
    }

    /// Counts one more request.
    pub(super) fn open(&self) -> Result<(), EgressError> {
        let state = &mut self.state().record;
        if state.requests >= self.limits.requests {
            return Err(EgressError::Budget);
        }
        state.requests = state.requests.saturating_add(1);
        Ok(())
    }

    /// A request is about to be handed to a connection.
    pub(super) fn sending(&self, bytes: usize) {
        let mut state = self.state();
        state.record.sent = state.record.sent.saturating_add(bytes as u64);
        state.in_doubt = state.in_doubt.saturating_add(1);
    }

    /// It is known what became of it.
    pub(super) fn settled(&self, reached: bool) {
        let mut state = self.state();
        state.record.reached |= reached;
        state.in_doubt = state.in_doubt.saturating_sub(1);
    }

    /// Counts bytes of a response body.
    pub(super) fn received(&self, bytes: usize) -> Result<(), EgressError> {
        let state = &mut self.state().record;
        state.received = state.received.saturating_add(bytes as u64);
        if state.received > self.limits.received { Err(EgressError::Budget) } else { Ok(()) }
    }

    pub(super) fn failed(&self, error: &EgressError) {
        let state = &mut self.state().record;
        state.refused = state.refused.saturating_add(u32::from(error.is_refusal()));
        state.last_error = Some(error.clone());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
