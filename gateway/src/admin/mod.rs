//! The admin listener: a Unix socket on which the gateway is operated.
//!
//! Who is there is what the kernel says of the peer; what they may do is decided by policy, for every
//! call; and every call is on record before its answer goes out, those that change something also
//! before they do. HTTP/1.1 and JSON, so that `curl --unix-socket` will do.
//!
//! A call that is no operation (unknown, malformed, too large) is decided and recorded like one, as
//! [`UNKNOWN`]: one line each, since only who may connect can cause them.
//!
//! INVARIANT: the socket is made in mode 0600 by way of a private directory entry; an operation runs
//! only with an [`AdminPermit`] in hand; what a caller wrote stands in the log bounded and escaped.

pub mod backends;
pub mod issuers;
pub mod leases;
pub mod plugins;
mod routes;
mod socket;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};
use symbolon_core::audit::{AdminEvent, Outcome};
use symbolon_core::error::Kind;
use symbolon_core::id::IssuerAlias;
use symbolon_core::policy::{AdminPermit, Administrator, Denial};
use symbolon_core::principal::Identity;

use crate::audit::JournalError;
use crate::listen::{Arrival, Failure, Fault, Handler, Peer, Response};

pub use routes::ROUTES;
use routes::{body, malformed, no_route, parse};
pub use socket::{AdminSocket, SocketError};

/// What a call is called that is no operation, in policies and in the audit log.
pub const UNKNOWN: &str = "unknown";

/// What an administrator can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// How the gateway is.
    Status,
    /// Read the configuration again.
    Reload,
    /// Something about components.
    Plugins(plugins::Verb),
    /// The issuers and their keys.
    Issuers,
    /// The targets, and what their clouds have to know.
    Targets,
    /// The metrics page.
    Metrics,
    /// The locks in force.
    Locks,
    /// Refuse a principal or an issuer until it is unlocked.
    Lock(Whom, String),
    /// Undo a lock.
    Unlock(Whom),
    /// Refuse everything that was issued until now.
    RevokeSessions(Whom),
    /// Replace the gateway's own keys.
    RotateKeys,
    /// A keyed hash as the audit log writes it.
    HashValue(String),
    /// The head of the audit chain that the store remembers.
    AuditAnchor,
    /// Something about leases.
    Leases(leases::Verb),
    /// Something about one backend.
    Backend(backends::Verb),
    /// Something about one issuer, or about a token.
    Issuer(issuers::Verb),
}

/// To whom an operation applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// One principal.
    Principal(Identity),
    /// Every principal of one issuer.
    Issuer(IssuerAlias),
    /// Everybody.
    Everybody,
}

impl std::fmt::Display for Whom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Principal(identity) => write!(f, "principal:{identity}"),
            Self::Issuer(issuer) => write!(f, "issuer:{issuer}"),
            Self::Everybody => f.write_str("everybody"),
        }
    }
}

impl Operation {
    /// The name in policies (`context.operation`) and in the audit log.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Reload => "reload",
            Self::Plugins(verb) => verb.name(),
            Self::Issuers => "issuer.ls",
            Self::Targets => "target.ls",
            Self::Metrics => "metrics",
            Self::Locks => "lock.ls",
            Self::Lock(..) => "lock",
            Self::Unlock(_) => "unlock",
            Self::RevokeSessions(_) => "revoke-sessions",
            Self::RotateKeys => "keys.rotate",
            Self::HashValue(_) => "audit.hash",
            Self::AuditAnchor => "audit.anchor",
            Self::Leases(verb) => verb.name(),
            Self::Backend(verb) => verb.name(),
            Self::Issuer(verb) => verb.name(),
        }
    }

    /// What it is done to, if it has an object.
    #[must_use]
    pub fn object(&self) -> Option<String> {
        match self {
            Self::Lock(whom, _) | Self::Unlock(whom) | Self::RevokeSessions(whom) => {
                Some(whom.to_string())
            }
            Self::Leases(verb) => verb.object(),
            Self::Backend(verb) => Some(verb.object()),
            Self::Issuer(verb) => verb.object(),
            Self::Plugins(verb) => verb.object(),
            Self::Status
            | Self::Reload
            | Self::Issuers
            | Self::Targets
            | Self::Metrics
            | Self::Locks
            | Self::RotateKeys
            | Self::HashValue(_)
            | Self::AuditAnchor => None,
        }
    }

    /// Whether it changes something, so that it is on record before it is done.
    #[must_use]
    pub fn changes(&self) -> bool {
        match self {
            Self::Reload
            | Self::Lock(..)
            | Self::Unlock(_)
            | Self::RevokeSessions(_)
            | Self::RotateKeys => true,
            Self::Leases(verb) => verb.changes(),
            Self::Backend(verb) => verb.changes(),
            Self::Plugins(verb) => verb.changes(),
            Self::Status
            | Self::Issuers
            | Self::Issuer(_)
            | Self::Targets
            | Self::Metrics
            | Self::Locks
            | Self::HashValue(_)
            | Self::AuditAnchor => false,
        }
    }
}

/// What an operation answers.
#[derive(Debug)]
pub enum Answer {
    /// A JSON document, and what the audit record says of it beside.
    Json(Value, BTreeMap<&'static str, String>),
    /// The metrics page.
    Page(Vec<u8>),
}

/// An operation failed. Administrators are told why: the text names files and keys, never secrets.
#[derive(Debug)]
pub struct OperationError {
    /// What kind of failure.
    pub kind: Kind,
    /// The audit code.
    pub code: &'static str,
    /// What happened and what to do about it, line by line.
    pub detail: String,
}

/// Who carries operations out.
pub trait Operator: Send + Sync + 'static {
    /// Decides whether `administrator` may do what is called `operation`.
    ///
    /// # Errors
    /// [`Denial`] if the policies do not permit it.
    fn decide(
        &self,
        administrator: &Administrator,
        operation: &'static str,
    ) -> Result<AdminPermit, Denial>;

    /// Puts an event on record; returns once it is durable.
    fn record(
        &self,
        event: &AdminEvent<'_>,
    ) -> impl Future<Output = Result<(), JournalError>> + Send;

    /// Carries out what was permitted.
    fn carry_out(
        &self,
        permit: &AdminPermit,
        operation: Operation,
    ) -> impl Future<Output = Result<Answer, OperationError>> + Send;
}

/// The face of the admin listener.
#[derive(Debug)]
pub struct Administration<O>(pub Arc<O>);

impl<O: Operator> Handler for Administration<O> {
    async fn handle(self: Arc<Self>, arrival: Arrival) -> Response {
        let Peer::User(uid) = arrival.peer else {
            return not_local();
        };
        let administrator = Administrator::from_peer(uid);
        match parse(&arrival) {
            Ok(operation) => Box::pin(self.perform(&administrator, operation)).await,
            Err(error) => {
                let object = called(&arrival.head);
                self.refuse(&administrator, Some(&object), error).await
            }
        }
    }

    async fn failed(&self, peer: Peer, failure: Failure) -> Response {
        match (failure, peer) {
            (Failure::Body | Failure::Forwarded, Peer::User(uid)) => {
                let error = malformed("the body is too large or came too slowly");
                self.refuse(&Administrator::from_peer(uid), None, error).await
            }
            (Failure::Body | Failure::Forwarded, Peer::Address(_)) => not_local(),
            // What was begun has its own record.
            (Failure::Late, _) => problem(
                Kind::Unavailable,
                "the operation did not end in time; it may still: look at the audit log",
            ),
        }
    }

    fn fault(&self, _: Option<IpAddr>, fault: Fault) {
        tracing::debug!(code = fault.code(), "admin connection ended badly");
    }
}

impl<O: Operator> Administration<O> {
    /// A call that is no operation. Only who may make such calls is told what is wrong with it.
    async fn refuse(
        &self,
        administrator: &Administrator,
        object: Option<&str>,
        error: OperationError,
    ) -> Response {
        let (outcome, code, answer) = match self.0.decide(administrator, UNKNOWN) {
            Ok(_) => (Outcome::Error, error.code, problem(error.kind, &error.detail)),
            Err(denial) => (Outcome::Deny, denial.code(), denied()),
        };
        let event = AdminEvent {
            administrator: &administrator.to_string(),
            operation: UNKNOWN,
            object,
            outcome,
            code,
            details: BTreeMap::new(),
        };
        match self.0.record(&event).await {
            Ok(()) => answer,
            Err(error) => unrecorded(error),
        }
    }

    async fn perform(&self, administrator: &Administrator, operation: Operation) -> Response {
        let name = operation.name();
        let object = operation.object();
        let who = administrator.to_string();
        let event = |outcome, code| AdminEvent {
            administrator: &who,
            operation: name,
            object: object.as_deref(),
            outcome,
            code,
            details: BTreeMap::new(),
        };
        let permit = match self.0.decide(administrator, name) {
            Ok(permit) => permit,
            Err(denial) => {
                return match self.0.record(&event(Outcome::Deny, denial.code())).await {
                    Ok(()) => denied(),
                    Err(error) => unrecorded(error),
                };
            }
        };
        if operation.changes()
            && let Err(error) = self.0.record(&event(Outcome::Allow, "begun")).await
        {
            return unrecorded(error);
        }
        let done = Box::pin(self.0.carry_out(&permit, operation)).await;
        let mut last = match &done {
            Ok(_) => event(Outcome::Allow, "done"),
            Err(error) => event(Outcome::Error, error.code),
        };
        if let Ok(Answer::Json(_, details)) = &done {
            last.details.clone_from(details);
        }
        match (self.0.record(&last).await, done) {
            (Err(error), _) => unrecorded(error),
            (Ok(()), Ok(answer)) => respond(answer),
            (Ok(()), Err(error)) => problem(error.kind, &error.detail),
        }
    }
}

/// Most bytes of a call's method and path in its record, escaped.
const MAX_OBJECT_BYTES: usize = 256;

/// Method and path of a call that is no operation, as its record has them.
fn called(head: &http::request::Parts) -> String {
    let (method, path) = (head.method.as_str(), head.uri.path());
    let line = method.chars().chain([' ']).chain(path.chars());
    line.flat_map(char::escape_default).take(MAX_OBJECT_BYTES).collect()
}

fn denied() -> Response {
    problem(Kind::Denied, "no policy permits this operation to you")
}

fn not_local() -> Response {
    problem(Kind::Unauthenticated, "administrators come by the Unix socket")
}

fn respond(answer: Answer) -> Response {
    let (kind, body) = match answer {
        Answer::Json(value, _) => ("application/json", value.to_string().into_bytes()),
        Answer::Page(page) => ("text/plain; version=0.0.4; charset=utf-8", page),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}

fn unrecorded(error: JournalError) -> Response {
    tracing::error!(code = error.code(), "an admin operation could not be put on record");
    problem(error.kind(), "the audit log does not take the record; nothing is answered without it")
}

/// RFC 9457, with a `detail`: administrators are told why.
fn problem(kind: Kind, detail: &str) -> Response {
    let public = kind.public();
    let body = json!({
        "type": "about:blank",
        "title": public.title,
        "status": public.status,
        "code": public.code,
        "detail": detail,
    });
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() =
        StatusCode::from_u16(public.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/problem+json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_called_is_on_record_bounded_and_escaped() {
        let head = |path: String| {
            let request = http::Request::builder().method("BREW").uri(path).body(()).unwrap();
            request.into_parts().0
        };
        assert_eq!(called(&head("/v1/tea".to_owned())), "BREW /v1/tea");
        assert_eq!(called(&head("/caf\u{e9}".to_owned())), "BREW /caf\\u{e9}");
        assert_eq!(called(&head(format!("/{}", "a".repeat(10_000)))).len(), 256);
    }
}
