//! What goes wrong, sorted by what the caller can do about it.
//!
//! Every station has an error type of its own that says precisely what happened. All of them name a
//! [`Kind`], and the kind alone decides what the outside sees: one table gives its status, its
//! public text, its retry hint and its label. Public texts are constants, so no cause can leak
//! through them; causes go to the log and, as a code, to the audit record.

/// What a caller is told, whatever the cause was.
///
/// Deliberately not `non_exhaustive`: a new kind must break every mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request breaks the grammar of the interface.
    Malformed,
    /// No acceptable proof of identity came with the request.
    Unauthenticated,
    /// The principal may not have this.
    Denied,
    /// The principal may have this, and it is not there. Answers exactly as [`Kind::Denied`], so
    /// that existence is not disclosed.
    Absent,
    /// No such route, or not with this method.
    NoRoute,
    /// The state of the thing asked for does not allow the operation.
    Conflict,
    /// A limit is reached: rate, quota, concurrency or size.
    Exhausted,
    /// The backend refuses the gateway, or answers what it must not: an operator has to act.
    Provider,
    /// Something the gateway needs does not answer now; a later try may succeed.
    Unavailable,
    /// A defect of the gateway or of a plugin.
    Internal,
}

/// One row of the table: everything the outside may learn of a [`Kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Public {
    /// HTTP status code.
    pub status: u16,
    /// Machine-readable code of the native API, also the metric label `error.type`.
    pub code: &'static str,
    /// RFC 9457 `title`: one constant sentence.
    pub title: &'static str,
    /// Seconds for `Retry-After`, where trying again may help.
    pub retry_after: Option<u32>,
}

impl Kind {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 10] = [
        Self::Malformed,
        Self::Unauthenticated,
        Self::Denied,
        Self::Absent,
        Self::NoRoute,
        Self::Conflict,
        Self::Exhausted,
        Self::Provider,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The row of this kind.
    #[must_use]
    pub const fn public(self) -> Public {
        const fn row(status: u16, code: &'static str, title: &'static str) -> Public {
            Public { status, code, title, retry_after: None }
        }
        const DENIED: Public = row(403, "denied", "not permitted, or nothing is there");
        match self {
            Self::Malformed => row(400, "malformed", "the request is malformed"),
            Self::Unauthenticated => row(401, "unauthenticated", "no acceptable proof of identity"),
            Self::Denied | Self::Absent => DENIED,
            Self::NoRoute => row(404, "no_route", "no such route or method"),
            Self::Conflict => row(409, "conflict", "the current state does not allow this"),
            Self::Exhausted => Public {
                retry_after: Some(1),
                ..row(429, "exhausted", "a limit is reached, try again later")
            },
            Self::Provider => row(502, "provider", "the backend did not give a usable answer"),
            Self::Unavailable => Public {
                retry_after: Some(1),
                ..row(503, "unavailable", "temporarily unavailable, try again later")
            },
            Self::Internal => row(500, "internal", "internal error"),
        }
    }
}

/// What the OAuth face tells, where it tells more than a [`Kind`] does (RFC 6749 §5.2, RFC 8693 §2.2.2,
/// RFC 8707 §2, RFC 7009 §2.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OauthError {
    /// What the kind says.
    Of(Kind),
    /// The caller authenticates as a client, or names another one than it is.
    Client,
    /// Another grant than token exchange.
    Grant,
    /// `audience` and `resource` name no target, or several, or one that is not for the caller.
    Target,
    /// A scope that the target or the token shown does not have.
    Scope,
    /// A token that is not of the kind that can be revoked here.
    TokenType,
    /// Another method than POST.
    Method,
    /// Another media type than that of a form.
    MediaType,
}

/// One row of the OAuth table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OauthPublic {
    /// HTTP status code.
    pub status: u16,
    /// `error`.
    pub error: &'static str,
    /// `error_description`: a constant within `%x20-21 / %x23-5B / %x5D-7E`.
    pub description: &'static str,
    /// Seconds for `Retry-After`, where trying again may help.
    pub retry_after: Option<u32>,
}

impl OauthError {
    /// The row of this error. A kind keeps its title; refused tokens and denials are requests that
    /// are not good (RFC 8693 §2.2.2), whatever the native face calls them.
    #[must_use]
    pub const fn public(self) -> OauthPublic {
        const fn row(status: u16, error: &'static str, description: &'static str) -> OauthPublic {
            OauthPublic { status, error, description, retry_after: None }
        }
        match self {
            Self::Of(kind) => {
                let Public { status, title, retry_after, .. } = kind.public();
                let (status, error) = match kind {
                    Kind::Malformed | Kind::Unauthenticated => (400, "invalid_request"),
                    Kind::Denied | Kind::Absent => (400, "invalid_target"),
                    Kind::NoRoute | Kind::Conflict => (status, "invalid_request"),
                    Kind::Exhausted | Kind::Unavailable => (status, "temporarily_unavailable"),
                    Kind::Provider | Kind::Internal => (status, "server_error"),
                };
                OauthPublic { retry_after, ..row(status, error, title) }
            }
            Self::Client => row(400, "invalid_client", "clients do not authenticate here"),
            Self::Grant => row(400, "unsupported_grant_type", "token exchange is the one grant"),
            Self::Target => {
                row(400, "invalid_target", "exactly one target that is known and permitted")
            }
            Self::Scope => row(400, "invalid_scope", "a scope is unknown or more than there is"),
            Self::TokenType => {
                row(400, "unsupported_token_type", "tokens of other issuers are not revoked here")
            }
            Self::Method => row(405, "invalid_request", "the method is POST"),
            Self::MediaType => {
                row(415, "invalid_request", "the media type is that of an HTML form")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_and_denied_answer_alike() {
        assert_eq!(Kind::Absent.public(), Kind::Denied.public());
    }

    #[test]
    fn every_kind_is_an_error_status() {
        for kind in Kind::ALL {
            assert!((400..600).contains(&kind.public().status), "{kind:?}");
        }
    }
}
