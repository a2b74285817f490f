//! Why a request is not an ask: what the outside is told, and what is on record.

use symbolon_core::alias::AliasError;
use symbolon_core::error::Kind;

/// Why a request is not an ask. All of these are refusals of a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No such route.
    #[error("no such route")]
    NoRoute,
    /// The route exists, with another method.
    #[error("the method does not fit the route")]
    Method,
    /// The path of the secret or folder breaks its grammar.
    #[error(transparent)]
    Path(#[from] symbolon_core::path::PathError),
    /// The backend's name breaks its grammar.
    #[error("the backend's name is malformed")]
    Backend,
    /// A query parameter is unknown, repeated or malformed.
    #[error("a query parameter is unknown, repeated or malformed")]
    Query,
    /// An alias does not have what is asked of it.
    #[error(transparent)]
    Alias(#[from] AliasError),
    /// The role's name breaks its grammar.
    #[error("the role's name is malformed")]
    Role,
    /// The lease's id is none.
    #[error("the lease's id is malformed")]
    Lease,
    /// The body is not the JSON or the form that the route takes.
    #[error("the body is malformed")]
    Body,
    /// The body is not of the media type of a form.
    #[error("the body is no form")]
    MediaType,
    /// Another grant than token exchange.
    #[error("the grant is not token exchange")]
    Grant,
    /// A type of token that is unknown, or does not fit.
    #[error("the type of a token is unknown or does not fit")]
    TokenType,
    /// Not exactly one target, or one that cannot be.
    #[error("the request names no target, several, or one that cannot be")]
    Target,
    /// A scope breaks the grammar or comes twice.
    #[error("a scope is malformed or repeated")]
    Scope,
    /// The caller authenticates as a client, or names another one than it is.
    #[error("clients do not authenticate here")]
    Client,
    /// A token of another issuer is to be revoked.
    #[error("the token is not one of our own")]
    Foreign,
    /// A batch is empty or too large.
    #[error("a batch has 1 to 100 asks")]
    BatchSize,
    /// The `Authorization` header is missing.
    #[error("the authorization header is missing")]
    NoCredential,
    /// The `Authorization` header is there and is not exactly one bearer token (RFC 6750 §2.1).
    #[error("the authorization header is not one bearer token")]
    Credential,
}

impl AskError {
    /// What the outside is told.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::NoRoute | Self::Method => Kind::NoRoute,
            Self::Path(_)
            | Self::Backend
            | Self::Role
            | Self::Lease
            | Self::Query
            | Self::Alias(_)
            | Self::Body
            | Self::MediaType
            | Self::Grant
            | Self::TokenType
            | Self::Target
            | Self::Scope
            | Self::Client
            | Self::Foreign
            | Self::BatchSize => Kind::Malformed,
            Self::NoCredential | Self::Credential => Kind::Unauthenticated,
        }
    }

    /// The audit code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NoRoute => "no_route",
            Self::Method => "method",
            Self::Path(_) => "path",
            Self::Backend => "backend_name",
            Self::Role => "role_name",
            Self::Lease => "lease_id",
            Self::Query => "query",
            Self::Alias(_) => "alias",
            Self::Body => "body",
            Self::MediaType => "media_type",
            Self::Grant => "grant_type",
            Self::TokenType => "token_type_urn",
            Self::Target => "target_name",
            Self::Scope => "scope_grammar",
            Self::Client => "client",
            Self::Foreign => "token_foreign",
            Self::BatchSize => "batch_size",
            Self::NoCredential => "no_credential",
            Self::Credential => "credential",
        }
    }
}
