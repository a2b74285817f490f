//! How much the servers behind a grant may send over all of its connections.
//!
//! An answer's own bounds see a head and a body. Over HTTP/2 a server can send frames that belong to no
//! answer, without end, also when the last call is over: each costs work, and nobody waits for it.
//!
//! INVARIANT: beyond [`RESERVE`] a byte is taken from a connection only if exchanges that are open now may
//! bring it. What an exchange did not use ends with it. A connection over which more comes is closed.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::EgressError;

/// The window of an HTTP/2 stream, in bytes: so much of a body may be under way when nobody wants it any
/// more.
pub(super) const WINDOW: u32 = 2 << 20;
/// Bytes that may come when no exchange is open: what was under way, and settings, pings, goodbyes.
const RESERVE: u64 = WINDOW as u64 + (64 << 10);

/// What may still come.
#[derive(Debug)]
pub(super) struct Allowance(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Of all exchanges that are open.
    open: u64,
    left: u64,
    /// How often more came.
    floods: u64,
}

/// What one exchange may bring, until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    of: Arc<Allowance>,
    bytes: u64,
    /// How often more had come before.
    floods: u64,
}

impl Allowance {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { open: 0, left: RESERVE, floods: 0 })))
    }

    /// For an exchange with an answer of at most so many bytes of head and body.
    pub(super) fn share(self: &Arc<Self>, answer: u64) -> Share {
        let bytes = answer.saturating_add(WINDOW.into());
        let mut state = self.state();
        state.open = state.open.saturating_add(bytes);
        state.left = state.left.saturating_add(bytes);
        Share { of: Arc::clone(self), bytes, floods: state.floods }
    }

    /// Takes bytes that have come.
    ///
    /// # Errors
    /// They are more than may come.
    pub(super) fn take(&self, bytes: usize) -> io::Result<()> {
        let mut state = self.state();
        let Some(left) = state.left.checked_sub(bytes as u64) else {
            state.floods = state.floods.saturating_add(1);
            return Err(io::Error::other("the server sends more than was asked for"));
        };
        state.left = left;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// What an exchange failed at, if `error` is what it looks like.
    pub(super) fn cause_of(&self, error: EgressError) -> EgressError {
        let is_end = matches!(error, EgressError::Interrupted(_) | EgressError::LengthMismatch);
        match is_end && self.of.state().floods != self.floods {
            true => EgressError::Flood,
            false => error,
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.of.state();
        state.open = state.open.saturating_sub(self.bytes);
        state.left = state.left.min(state.open.saturating_add(RESERVE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: usize = super::WINDOW as usize;
    const RESERVE: usize = WINDOW + (64 << 10);

    #[test]
    fn what_nobody_asked_for_has_an_end() {
        let allowance = Allowance::new();
        allowance.take(RESERVE).unwrap();
        allowance.take(1).unwrap_err();
    }

    #[test]
    fn what_an_exchange_may_bring_and_did_not_is_no_credit() {
        let allowance = Allowance::new();
        drop(allowance.share(1 << 40));
        allowance.take(RESERVE + 1).unwrap_err();
        let (a, b) = (allowance.share(100), allowance.share(50));
        allowance.take(RESERVE + 100 + WINDOW).unwrap();
        drop(a);
        allowance.take(50 + WINDOW).unwrap();
        allowance.take(1).unwrap_err();
        drop(b);
        allowance.take(1).unwrap_err();
    }

    #[test]
    fn no_sum_overflows() {
        let allowance = Allowance::new();
        let all = [allowance.share(u64::MAX), allowance.share(u64::MAX)];
        allowance.take(usize::MAX).unwrap();
        drop(all);
        allowance.take(1).unwrap_err();
    }
}
