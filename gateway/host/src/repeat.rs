//! What is asked again.
//!
//! The host decides, never the guest: what only reads is repeated once, and an exchange that was
//! refused for a moment twice. Whatever issues is not repeated where its first answer may have been
//! lost, though the contract asks plugins to be idempotent.

use std::time::Duration;

use crate::call::Operation;
use crate::fault::{CallError, FaultKind};

/// How often an exchange is tried that the other side refuses for a moment.
const EXCHANGES: u32 = 3;
/// How long such a moment is at the most.
const MOMENT: Duration = Duration::from_secs(2);

/// How one attempt went.
pub(crate) struct Attempt<T> {
    outcome: Result<T, CallError>,
    /// Whether a credential was not taken, and the next attempt has another.
    renewed: bool,
}

impl<T> Attempt<T> {
    /// The outcome, and whether there is another credential now.
    pub(crate) const fn new(outcome: Result<T, CallError>, renewed: bool) -> Self {
        Self { outcome, renewed }
    }

    pub(crate) fn into_outcome(self) -> Result<T, CallError> {
        self.outcome
    }

    /// After which wait to try once more what was tried so often.
    pub(crate) fn repeated_after(&self, operation: Operation, tried: u32) -> Option<Duration> {
        let error = self.outcome.as_ref().err()?;
        if operation.only_reads() {
            let better = self.renewed || may_pass_by_itself(error);
            return (tried == 1 && better).then_some(Duration::ZERO);
        }
        let wait = refused_for_a_moment(error).filter(|_| operation == Operation::Exchange)?;
        (tried < EXCHANGES).then(|| wait.saturating_mul(tried))
    }
}

/// Whether the same question may find a better answer at once. The guest can only make the host
/// more careful: an error that says it sent something is repeated only if the backend was not
/// there, and one that asks to wait is not repeated.
fn may_pass_by_itself(error: &CallError) -> bool {
    error.fault().is_some_and(|fault| {
        let waits = fault.retry_after.is_some_and(|wait| !wait.is_zero());
        let gone = fault.kind == FaultKind::Unavailable;
        let unsent =
            !fault.request_sent && matches!(fault.kind, FaultKind::Timeout | FaultKind::Other);
        !waits && (gone || unsent)
    })
}

/// How long a refusal lasts that may pass, if it is short. The other side has answered, and answered
/// that it gives nothing (4xx): asking again leaves nothing behind. Where an answer may have been lost
/// nothing is repeated. A guest that lies about it gets no more than two further exchanges, with the
/// same assertion.
fn refused_for_a_moment(error: &CallError) -> Option<Duration> {
    let fault = error.fault().filter(|fault| fault.kind == FaultKind::Unavailable)?;
    fault.upstream_status.filter(|status| (400..500).contains(status))?;
    fault.retry_after.filter(|wait| *wait <= MOMENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::types::{self, ErrorKind};
    use crate::facade;
    use crate::fault::Trap;

    fn raw(kind: ErrorKind, request_sent: bool, retry_after_ms: Option<u64>) -> types::Error {
        types::Error {
            kind,
            code: "code".into(),
            message: String::new(),
            retry_after_ms,
            request_sent,
            upstream_status: None,
            metadata: Vec::new(),
        }
    }

    fn failed(kind: ErrorKind, request_sent: bool, retry_after_ms: Option<u64>) -> CallError {
        CallError::Plugin(Box::new(facade::fault(raw(kind, request_sent, retry_after_ms), &[])))
    }

    #[test]
    fn only_what_may_pass_by_itself_is_asked_again() {
        for (again, error) in [
            (true, failed(ErrorKind::Unavailable, true, None)),
            (true, failed(ErrorKind::Unavailable, false, Some(0))),
            (true, failed(ErrorKind::Timeout, false, None)),
            (true, failed(ErrorKind::Other, false, None)),
            (false, failed(ErrorKind::Timeout, true, None)),
            (false, failed(ErrorKind::Unavailable, false, Some(100))),
            (false, failed(ErrorKind::RateLimited, false, None)),
            (false, failed(ErrorKind::NotFound, false, None)),
            (false, failed(ErrorKind::PermissionDenied, false, None)),
            (false, CallError::Trap { trap: Trap::Cpu, reached: false }),
            (false, CallError::Timeout { reached: false, asked: true }),
        ] {
            assert_eq!(may_pass_by_itself(&error), again, "{error:?}");
        }
    }

    #[test]
    fn an_exchange_that_was_refused_for_a_moment_is_tried_three_times() {
        let refused = |kind, status, wait: Option<u64>| {
            let mut raw = raw(kind, true, wait);
            raw.upstream_status = status;
            let error = CallError::Plugin(Box::new(facade::fault(raw, &[])));
            Attempt::<()> { outcome: Err(error), renewed: true }
        };
        let moment = || refused(ErrorKind::Unavailable, Some(400), Some(500));
        let after = |tried| moment().repeated_after(Operation::Exchange, tried);
        let millis = Duration::from_millis;
        assert_eq!([after(1), after(2), after(3)], [Some(millis(500)), Some(millis(1000)), None]);
        for attempt in [
            refused(ErrorKind::Unavailable, Some(503), Some(500)),
            refused(ErrorKind::Unavailable, None, Some(500)),
            refused(ErrorKind::Unavailable, Some(400), None),
            refused(ErrorKind::Unavailable, Some(400), Some(2001)),
            refused(ErrorKind::RateLimited, Some(429), Some(500)),
            refused(ErrorKind::PermissionDenied, Some(403), Some(500)),
            refused(ErrorKind::Unauthenticated, Some(401), Some(500)),
        ] {
            let after = attempt.repeated_after(Operation::Exchange, 1);
            assert_eq!(after, None, "{:?}", attempt.outcome);
        }
        for operation in [Operation::Issue, Operation::Renew, Operation::Revoke, Operation::Rotate]
        {
            assert_eq!(moment().repeated_after(operation, 1), None, "{operation:?}");
        }
    }

    #[test]
    fn a_read_is_repeated_once() {
        let gone = || Attempt::<()> {
            outcome: Err(failed(ErrorKind::Unavailable, true, None)),
            renewed: false,
        };
        assert_eq!(gone().repeated_after(Operation::Read, 1), Some(Duration::ZERO));
        assert_eq!(gone().repeated_after(Operation::Read, 2), None);
        assert_eq!(gone().repeated_after(Operation::Issue, 1), None);
    }

    #[test]
    fn what_changes_something_is_never_asked_again() {
        let repeated = Operation::ALL.into_iter().filter(|operation| operation.only_reads());
        assert!(!repeated.into_iter().any(|o| o.as_str().ends_with("issue")
            || o.as_str().ends_with("exchange")
            || o.as_str().ends_with("renew")
            || o.as_str().ends_with("revoke")
            || o.as_str().ends_with(".rotate")));
    }
}
