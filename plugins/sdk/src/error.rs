//! Failures, by whose fault they are.
//!
//! INVARIANT: nothing here takes words of a backend; a message is the plugin's own text.

use crate::http::Response;
use crate::{Error, ErrorKind};

macro_rules! constructors {
    ($($(#[$doc:meta])+ $name:ident => $kind:ident, $sent:literal;)+) => {
        impl Error {
            $(
                $(#[$doc])+
                ///
                /// `code` is the plugin's own and stable; `message` is for the operator's log.
                #[must_use]
                pub fn $name(code: &str, message: impl Into<String>) -> Self {
                    Self::new(ErrorKind::$kind, code, message, $sent)
                }
            )+
        }
    };
}

constructors! {
    /// The request makes no sense for this backend.
    invalid_request => InvalidRequest, false;
    /// The configuration is wrong.
    invalid_config => InvalidConfig, false;
    /// The backend did not accept the gateway's credentials.
    unauthenticated => Unauthenticated, true;
    /// The backend refuses this to the gateway.
    permission_denied => PermissionDenied, true;
    /// The state of the thing does not allow the operation.
    conflict => Conflict, true;
    /// The backend asks to slow down.
    rate_limited => RateLimited, true;
    /// The backend cannot answer now.
    unavailable => Unavailable, true;
    /// The backend did not answer in time.
    timeout => Timeout, true;
    /// The backend cannot do this at all.
    unsupported => Unsupported, false;
    /// A defect of the plugin, or an answer that makes no sense.
    internal => Internal, true;
    /// None of these.
    other => Other, true;
}

impl Error {
    fn new(kind: ErrorKind, code: &str, message: impl Into<String>, request_sent: bool) -> Self {
        Self {
            kind,
            code: code.to_owned(),
            message: message.into(),
            retry_after_ms: None,
            request_sent,
            upstream_status: None,
            metadata: Vec::new(),
        }
    }

    /// A request that got no answer.
    pub(crate) fn transport(kind: ErrorKind, code: &str, request_sent: bool) -> Self {
        let message = match code {
            "egress_denied" => {
                "the request is not granted, or its address; the gateway's log says which"
            }
            "unreachable" => "nobody answers at the host",
            "tls_failed" => {
                "no TLS with the host, or not its certificate; the gateway's log says why"
            }
            _ => "the request got no answer",
        };
        Self::new(kind, code, message, request_sent)
    }

    /// The secret is not there.
    #[must_use]
    pub fn absent() -> Self {
        Self::new(ErrorKind::NotFound, "absent", "there is no such secret", true)
    }

    /// The version was deleted and can be restored.
    #[must_use]
    pub fn deleted() -> Self {
        Self::new(ErrorKind::NotFound, "deleted", "the version was deleted", true)
    }

    /// The version is gone for good.
    #[must_use]
    pub fn destroyed() -> Self {
        Self::new(ErrorKind::NotFound, "destroyed", "the version was destroyed", true)
    }

    /// The configuration parses and cannot be meant; the message names the key.
    #[must_use]
    pub fn unsound(message: impl Into<String>) -> Self {
        Self::invalid_config("config_unsound", message)
    }

    /// The backend's answer is not what its interface says.
    #[must_use]
    pub fn malformed_answer(message: impl Into<String>) -> Self {
        Self::internal("malformed_answer", message)
    }

    /// With whether a request that may have had an effect was sent.
    #[must_use]
    pub fn sent(mut self, request_sent: bool) -> Self {
        self.request_sent = request_sent;
        self
    }

    /// With the status that the backend answered.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.upstream_status = Some(status);
        self
    }

    /// With how long the backend asked to wait, in milliseconds.
    #[must_use]
    pub fn retry_after(mut self, millis: Option<u64>) -> Self {
        self.retry_after_ms = millis;
        self
    }

    /// As an answer of the backend: with its status, and how long it asks to wait.
    #[must_use]
    pub fn answered(self, answer: &Response) -> Self {
        let wait = answer.retry_after().or(self.retry_after_ms);
        self.sent(true).status(answer.status).retry_after(wait)
    }

    /// What an answer means where a backend has no meaning of its own for its status.
    #[must_use]
    pub fn of(answer: &Response) -> Self {
        Self::from_status(answer.status).answered(answer)
    }

    /// What an HTTP status means where a backend has no meaning of its own for it.
    #[must_use]
    pub fn from_status(status: u16) -> Self {
        let (kind, code) = match status {
            300..=399 => (ErrorKind::Internal, "redirected"),
            401 => (ErrorKind::Unauthenticated, "unauthenticated"),
            403 => (ErrorKind::PermissionDenied, "forbidden"),
            404 | 410 => (ErrorKind::NotFound, "absent"),
            408 | 504 => (ErrorKind::Timeout, "upstream_timeout"),
            409 | 412 => (ErrorKind::Conflict, "conflict"),
            429 => (ErrorKind::RateLimited, "rate_limited"),
            400..=499 => (ErrorKind::InvalidRequest, "refused"),
            501 => (ErrorKind::Unsupported, "unsupported"),
            500..=599 => (ErrorKind::Unavailable, "upstream_error"),
            _ => (ErrorKind::Other, "unexpected_status"),
        };
        Self::new(kind, code, format!("the backend answered {status}"), true).status(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_kind() {
        for (status, kind) in [
            (302, ErrorKind::Internal),
            (400, ErrorKind::InvalidRequest),
            (401, ErrorKind::Unauthenticated),
            (403, ErrorKind::PermissionDenied),
            (404, ErrorKind::NotFound),
            (409, ErrorKind::Conflict),
            (429, ErrorKind::RateLimited),
            (500, ErrorKind::Unavailable),
            (501, ErrorKind::Unsupported),
            (504, ErrorKind::Timeout),
            (99, ErrorKind::Other),
        ] {
            let error = Error::from_status(status);
            assert_eq!(error.kind, kind, "{status}");
            assert_eq!(error.upstream_status, Some(status));
        }
    }
}
