//! Signed `sts:GetCallerIdentity` requests: proof of an AWS identity without a token
//! (`wire-formats.md` §1.1.2).
//!
//! The workload signs the request (Signature Version 4) and hands *the request* over; the gateway
//! sends it to STS and believes STS. The secret key never travels, and the gateway holds none.
//!
//! The request is rebuilt, never forwarded: what is sent is the exact question, to a host of a table,
//! with headers of a list. That is what went wrong elsewhere: a caller who chose the action, or whose
//! region became part of a host's name (CVE-2020-16250, CVE-2025-49827).
//!
//! INVARIANT: only a [`Fresh`] request is sent, which [`SignedRequest::check`] alone makes: for our
//! server id, within its minutes. Only an [`Answer`] that was read strictly makes a principal.

mod answer;
mod hosts;
mod request;

#[cfg(test)]
mod tests;

use crate::clock::Timestamp;
use crate::error::Kind;
use crate::principal::{Binding, Principal, Proof};
use crate::token::json::{Object, Value};
use crate::token::{IssuerRules, Refusal};

pub use self::answer::Answer;
pub use self::hosts::{PARTITIONS, hosts_of};
pub use self::request::{BODY, Fresh, SERVER_ID, SignedRequest};

/// Why a signed request proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignedRefusal {
    /// Too long, not base64url, or not the JSON of a request.
    #[error("the signed request cannot be read")]
    Malformed,
    /// Not `POST`.
    #[error("the method of the signed request is not POST")]
    Method,
    /// Not `https://<host of the table>/`.
    #[error("the signed request is not for an endpoint of STS")]
    Host,
    /// Not the one question.
    #[error("the signed request asks something else")]
    Body,
    /// A header outside the list, twice, or with a value that is no plain text.
    #[error("the signed request has a header that it must not have")]
    Header,
    /// The `Authorization` header breaks its grammar.
    #[error("the authorization of the signed request is malformed")]
    Authorization,
    /// Another service or region than the host's, or another day than the date's.
    #[error("the scope of the signature is not that of its host and date")]
    Scope,
    /// A header that must be signed is not.
    #[error("a header that must be signed is not")]
    Unsigned,
    /// The date is malformed.
    #[error("the date of the signed request is malformed")]
    Date,
    /// No issuer is registered for the partition.
    #[error("no issuer is registered for this partition")]
    UnknownIssuer,
    /// For another gateway.
    #[error("the signed request is for another server")]
    Audience,
    /// Signed too long ago.
    #[error("the signed request is too old")]
    TooOld,
    /// Signed in the future.
    #[error("the signed request is from the future")]
    Future,
    /// STS refuses it.
    #[error("STS refuses the signed request")]
    Rejected,
    /// STS answers something that is not the one answer.
    #[error("the answer of STS is not what it must be")]
    Answer,
    /// Of another partition than it was asked in, or with parts that contradict each other.
    #[error("the answer of STS contradicts itself or the request")]
    Disagreement,
    /// An account's root, or nobody that can be named.
    #[error("the caller is an account's root, or of an unknown kind")]
    Caller,
    /// The rules of the issuer refuse the caller.
    #[error(transparent)]
    Rules(#[from] Refusal),
}

impl SignedRefusal {
    /// The reason in the audit record and in metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "signed_malformed",
            Self::Method => "signed_method",
            Self::Host => "signed_host",
            Self::Body => "signed_body",
            Self::Header => "signed_header",
            Self::Authorization => "signed_authorization",
            Self::Scope => "signed_scope",
            Self::Unsigned => "signed_unsigned",
            Self::Date => "signed_date",
            Self::UnknownIssuer => "signed_issuer_unknown",
            Self::Audience => "signed_audience",
            Self::TooOld => "signed_too_old",
            Self::Future => "signed_future",
            Self::Rejected => "signed_rejected",
            Self::Answer => "signed_answer",
            Self::Disagreement => "signed_disagreement",
            Self::Caller => "signed_caller",
            Self::Rules(refusal) => refusal.code(),
        }
    }

    /// What the caller is told.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Malformed
            | Self::Method
            | Self::Body
            | Self::Header
            | Self::Authorization
            | Self::Date => Kind::Malformed,
            Self::Host
            | Self::Scope
            | Self::Unsigned
            | Self::UnknownIssuer
            | Self::Audience
            | Self::TooOld
            | Self::Future
            | Self::Rejected
            | Self::Disagreement
            | Self::Caller => Kind::Unauthenticated,
            Self::Answer => Kind::Unavailable,
            Self::Rules(refusal) => refusal.kind(),
        }
    }
}

impl Fresh<'_> {
    /// The principal that STS's answer to this request proves.
    ///
    /// # Errors
    /// [`SignedRefusal::Disagreement`], [`SignedRefusal::Caller`], or what the issuer's rules say.
    pub fn prove(&self, rules: &IssuerRules, answer: &Answer) -> Result<Principal, SignedRefusal> {
        let request = self.request();
        let caller = answer.caller(request.partition())?;
        let text = |value: &str| Value::String(value.to_owned());
        let mut claims = vec![
            ("sub", Value::String(caller.subject)),
            ("account", text(caller.account)),
            ("arn", text(answer.arn())),
            ("kind", text(caller.kind)),
            ("name", text(caller.name)),
        ];
        claims.extend(caller.unique_id.map(|id| ("unique_id", text(id))));
        claims.extend(caller.session.map(|session| ("session", text(session))));
        let subject = crate::token::subject(&Object::of(claims), rules)?;
        let proof = Proof {
            issued_at: Some(request.signed_at()),
            expires_at: self.ends(),
            binding: Binding::None,
            digest: request.digest(),
            session: None,
        };
        Ok(Principal::proven(subject, proof))
    }

    /// When STS will no longer take the request, whatever we say.
    fn ends(&self) -> Timestamp {
        self.request().signed_at().plus(request::HONOURED)
    }
}
