//! What refusals mean: OAuth errors of the token service, `google.rpc` statuses of the others.
//!
//! INVARIANT: words that Google writes for people (`error_description`, `message`, `details`) are
//! read nowhere; they name subjects and resources.

use serde::Deserialize;
use symbolon_plugin::http::Response;
use symbolon_plugin::{Error, ErrorKind, oauth};

#[derive(Deserialize)]
struct Envelope {
    error: Status,
}

#[derive(Deserialize)]
struct Status {
    status: String,
}

/// The `google.rpc.Code` of a refusal, if the body has one.
pub(crate) fn code(answer: &Response) -> Option<String> {
    answer.json::<Envelope>().ok().map(|envelope| envelope.error.status)
}

/// Whether the state of a version forbids it.
pub(crate) fn is_precondition(answer: &Response) -> bool {
    answer.status == 400 && code(answer).as_deref() == Some("FAILED_PRECONDITION")
}

/// The table of `google.rpc` refusals, for Secret Manager.
pub(crate) fn of(answer: &Response) -> Error {
    let error = match code(answer).as_deref() {
        Some("UNAUTHENTICATED") => {
            Error::unauthenticated("unauthenticated", "Google does not accept the token")
        }
        Some("PERMISSION_DENIED") => Error::permission_denied(
            "permission_denied",
            "the identity may not do this, the API is off, or there is no such project",
        ),
        Some("NOT_FOUND") => Error::absent(),
        Some("INVALID_ARGUMENT" | "OUT_OF_RANGE") => {
            Error::invalid_request("invalid_argument", "Google takes the request for malformed")
        }
        Some("FAILED_PRECONDITION") => {
            Error::conflict("failed_precondition", "the state of the resource forbids it")
        }
        Some("RESOURCE_EXHAUSTED") => Error::rate_limited("quota", "a quota is used up"),
        Some("DEADLINE_EXCEEDED") => Error::timeout("upstream_timeout", "Google was too slow"),
        Some("UNAVAILABLE" | "INTERNAL" | "ABORTED") => {
            Error::unavailable("upstream_error", "Google failed")
        }
        Some("UNIMPLEMENTED") => Error::unsupported("unsupported", "Google cannot do this"),
        Some(_) | None => return Error::of(answer),
    };
    error.answered(answer)
}

/// A refusal of the token service.
pub(crate) fn of_federation(answer: &Response) -> Error {
    let error = match oauth::refusal(answer).as_deref() {
        Some("invalid_grant") => Error::unauthenticated(
            "invalid_grant",
            "the provider does not believe the assertion: issuer, audience, time, or keys that \
             Google could not fetch",
        ),
        Some("invalid_target") => {
            Error::invalid_config("unknown_provider", "there is no such provider")
        }
        Some("unauthorized_client") => Error::permission_denied(
            "attribute_condition",
            "the provider's attribute condition refuses the assertion",
        ),
        Some("invalid_request") => Error::invalid_config(
            "invalid_request",
            "the request or what the provider maps is malformed; `google.subject` has at most 127 \
             bytes",
        ),
        Some("invalid_scope") => Error::invalid_config("invalid_scope", "there is no such scope"),
        Some("quota_exceeded") => Error::rate_limited("quota", "a quota is used up"),
        Some(_) | None => return of(answer),
    };
    error.answered(answer)
}

/// A refusal of impersonation is about what the operator set up, not about what a caller asks for.
pub(crate) fn of_impersonation(answer: &Response) -> Error {
    let error = of(answer);
    let (code, message) = match error.kind {
        ErrorKind::NotFound => ("no_service_account", "there is no such service account"),
        ErrorKind::InvalidRequest | ErrorKind::Conflict => (
            "impersonation_invalid",
            "the service account, a scope or the lifetime is not possible",
        ),
        ErrorKind::PermissionDenied => {
            return Error::permission_denied(
                "impersonation_denied",
                "the federated identity lacks roles/iam.workloadIdentityUser on the service \
                 account, or there is no such account",
            )
            .answered(answer);
        }
        ErrorKind::InvalidConfig
        | ErrorKind::Unauthenticated
        | ErrorKind::RateLimited
        | ErrorKind::Unavailable
        | ErrorKind::Timeout
        | ErrorKind::Unsupported
        | ErrorKind::Internal
        | ErrorKind::Other => return error,
    };
    Error::invalid_config(code, message).answered(answer)
}
