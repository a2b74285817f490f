//! What goes wrong on the way out.

use std::net::IpAddr;
use std::sync::Arc;

use http::Method;
use symbolon_core::error::Kind;

use super::address::Class;
use super::destination::{Destination, UriError};

/// The cause of an error, shared so that errors can be cloned: for the log, never for a client.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// The grant that would be needed, as the log shows it to the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{method} {destination}")]
pub struct MissingGrant {
    method: Method,
    destination: String,
}

impl MissingGrant {
    pub(super) fn new(method: &Method, destination: &Destination) -> Self {
        Self { method: method.clone(), destination: destination.to_string() }
    }
}

/// Why a request was not made, or its answer not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EgressError {
    /// The URI could be read in more than one way.
    #[error("the request's URI is refused")]
    Uri(#[from] UriError),
    /// No grant covers the request.
    #[error("no grant covers `{0}`")]
    NotGranted(MissingGrant),
    /// A plugin set a header that belongs to the host.
    #[error("the request sets the header `{0}`, which belongs to the host")]
    ReservedHeader(String),
    /// The request's headers are larger than allowed.
    #[error("the request's headers are too large")]
    RequestHeadTooLarge,
    /// The request's body is larger than allowed.
    #[error("the request's body is too large")]
    RequestBodyTooLarge,
    /// The request's body ended early, was aborted, or carries trailers.
    #[error("the request's body is not what its headers say")]
    RequestBody,
    /// The call has made as many requests as it may, or moved as many bytes.
    #[error("the call's budget of requests or bytes is spent")]
    Budget,
    /// The scope's connections are all in use, and none became free in time.
    #[error("all connections of this backend are in use")]
    ConnectionLimit,
    /// The name did not resolve.
    #[error("the host's name does not resolve")]
    Resolve(#[source] Cause),
    /// A resolved address may not be dialled.
    #[error("the host resolves to {address}, which is {} and not granted", class.as_str())]
    AddressRefused {
        /// The address.
        address: IpAddr,
        /// What it leads to.
        class: Class,
    },
    /// No address answered.
    #[error("no connection to the host")]
    Connect(#[source] Cause),
    /// The host's certificate does not prove the URI's name, or is not trusted.
    #[error("the host's certificate is not accepted")]
    Certificate(#[source] Cause),
    /// TLS failed otherwise.
    #[error("no TLS session with the host")]
    Tls(#[source] Cause),
    /// Connecting, the answer's head or its body took too long.
    #[error("the request took too long")]
    Deadline,
    /// The connection ended before the answer did.
    #[error("the connection ended before the answer")]
    Interrupted(#[source] Cause),
    /// The server sent more than all exchanges that were open may bring.
    #[error("the server sends more than was asked for")]
    Flood,
    /// The answer is not HTTP as it should be.
    #[error("the answer breaks HTTP")]
    Protocol(#[source] Cause),
    /// The answer's headers are larger than allowed.
    #[error("the answer's headers are too large")]
    HeadTooLarge,
    /// The answer's body is larger than allowed.
    #[error("the answer's body is too large")]
    BodyTooLarge,
    /// The answer's body is not as long as its headers say, or they say so twice.
    #[error("the answer's body is not as long as its headers say")]
    LengthMismatch,
    /// The answer is encoded although nobody asked for that.
    #[error("the answer's content is encoded")]
    ContentCoding,
    /// The answer is a redirect, which is never followed.
    #[error("the answer is a redirect")]
    Redirected,
    /// The credential for the host could not be had.
    #[error("no credential for the host")]
    Credential(#[source] Cause),
    /// The credential does not fit the way it is to be used.
    #[error("the credential is not of the kind that its binding needs")]
    CredentialKind,
    /// Trust or keys cannot be used.
    #[error("the TLS configuration cannot be used")]
    Configuration(#[source] Cause),
}

impl EgressError {
    /// What a caller is told.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            // Faults of the plugin.
            Self::Uri(_)
            | Self::ReservedHeader(_)
            | Self::RequestHeadTooLarge
            | Self::RequestBodyTooLarge
            | Self::RequestBody
            | Self::Budget
            | Self::CredentialKind
            | Self::Configuration(_) => Kind::Internal,
            // An operator has to act.
            Self::NotGranted(_)
            | Self::AddressRefused { .. }
            | Self::Certificate(_)
            | Self::Tls(_)
            | Self::Protocol(_)
            | Self::Flood
            | Self::HeadTooLarge
            | Self::BodyTooLarge
            | Self::LengthMismatch
            | Self::ContentCoding
            | Self::Redirected => Kind::Provider,
            // May pass by itself.
            Self::ConnectionLimit
            | Self::Resolve(_)
            | Self::Connect(_)
            | Self::Deadline
            | Self::Interrupted(_)
            | Self::Credential(_) => Kind::Unavailable,
        }
    }

    /// The name in audit records, metrics and logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Uri(_) => "egress_uri",
            Self::NotGranted(_) => "egress_not_granted",
            Self::ReservedHeader(_) => "egress_reserved_header",
            Self::RequestHeadTooLarge => "egress_request_head_too_large",
            Self::RequestBodyTooLarge => "egress_request_body_too_large",
            Self::RequestBody => "egress_request_body",
            Self::Budget => "egress_budget",
            Self::ConnectionLimit => "egress_connection_limit",
            Self::Resolve(_) => "egress_resolve",
            Self::AddressRefused { .. } => "egress_address_refused",
            Self::Connect(_) => "egress_connect",
            Self::Certificate(_) => "egress_certificate",
            Self::Tls(_) => "egress_tls",
            Self::Deadline => "egress_deadline",
            Self::Interrupted(_) => "egress_interrupted",
            Self::Flood => "egress_flood",
            Self::Protocol(_) => "egress_protocol",
            Self::HeadTooLarge => "egress_head_too_large",
            Self::BodyTooLarge => "egress_body_too_large",
            Self::LengthMismatch => "egress_length_mismatch",
            Self::ContentCoding => "egress_content_coding",
            Self::Redirected => "egress_redirected",
            Self::Credential(_) => "egress_credential",
            Self::CredentialKind => "egress_credential_kind",
            Self::Configuration(_) => "egress_configuration",
        }
    }

    /// Whether the upstream may have seen the request, so that repeating it may do it twice.
    #[must_use]
    pub const fn may_have_been_sent(&self) -> bool {
        match self {
            Self::Deadline
            | Self::Interrupted(_)
            | Self::Flood
            | Self::Protocol(_)
            | Self::HeadTooLarge
            | Self::BodyTooLarge
            | Self::LengthMismatch
            | Self::ContentCoding
            | Self::Redirected => true,
            Self::Uri(_)
            | Self::NotGranted(_)
            | Self::ReservedHeader(_)
            | Self::RequestHeadTooLarge
            | Self::RequestBodyTooLarge
            | Self::RequestBody
            | Self::Budget
            | Self::ConnectionLimit
            | Self::Resolve(_)
            | Self::AddressRefused { .. }
            | Self::Connect(_)
            | Self::Certificate(_)
            | Self::Tls(_)
            | Self::Credential(_)
            | Self::CredentialKind
            | Self::Configuration(_) => false,
        }
    }

    /// Whether it is this module that refused, rather than something that failed.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Uri(_)
                | Self::NotGranted(_)
                | Self::ReservedHeader(_)
                | Self::AddressRefused { .. }
        )
    }
}

/// What hyper's client says, in our words: our own error if the connector made one.
impl From<hyper_util::client::legacy::Error> for EgressError {
    fn from(error: hyper_util::client::legacy::Error) -> Self {
        if let Some(ours) = find_source::<Self>(&error) {
            return ours.clone();
        }
        if error.is_connect() {
            return Self::Connect(Arc::new(error));
        }
        let (too_large, broken) = find_source::<hyper::Error>(&error)
            .map_or((false, false), |e| (e.is_parse_too_large(), e.is_parse()));
        match (too_large, broken) {
            (true, _) => Self::HeadTooLarge,
            (false, true) => Self::Protocol(Arc::new(error)),
            (false, false) => Self::Interrupted(Arc::new(error)),
        }
    }
}

/// The first error of type `T` in the chain of causes.
pub(crate) fn find_source<'a, T: std::error::Error + 'static>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a T> {
    std::iter::successors(Some(error), |e| e.source()).find_map(|e| e.downcast_ref())
}
