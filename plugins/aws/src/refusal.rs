//! What the services' error codes mean. Codes are read, and of one code how its message begins: words
//! may quote what was asked.

use serde::Deserialize;
use symbolon_plugin::Error;
use symbolon_plugin::http::Response;

/// How long to leave a service alone that names no time itself. Its buckets fill within a second.
const THROTTLED_MILLIS: u64 = 500;
/// How long the gateway's own documents may need to be reachable again.
const UNREACHED_MILLIS: u64 = 500;
/// How `InvalidIdentityToken` begins to say that the keys could not be fetched: the code alone says as
/// much of an assertion that will never be believed.
const KEYS_UNREACHED: &str = "Couldn't retrieve verification key";

/// Why the token service refuses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal<'a> {
    pub(crate) code: &'a str,
    /// To be compared with what is known, and never repeated.
    pub(crate) message: Option<&'a str>,
}

impl Refusal<'_> {
    fn is_keys_unreached(self) -> bool {
        self.code == "InvalidIdentityToken"
            && self.message.is_some_and(|message| message.starts_with(KEYS_UNREACHED))
    }
}

/// A refusal of the token service.
pub(crate) fn of_sts(answer: &Response, refusal: Option<Refusal<'_>>) -> Error {
    if refusal.is_some_and(Refusal::is_keys_unreached) {
        let error =
            unreached("keys_unreached", "AWS could not fetch the keys of the assertion issuer");
        return with_wait(error, answer);
    }
    let error = match refusal.map(|refusal| refusal.code) {
        Some("ExpiredToken" | "ExpiredTokenException") => {
            Error::unauthenticated("assertion_expired", "the assertion, or the session that signs, is over")
        }
        Some("InvalidIdentityToken") => Error::invalid_config(
            "identity_token_refused",
            "the role's account does not believe the assertion: provider, audience, keys or discovery document",
        )
        .sent(true),
        Some("IDPRejectedClaim") => {
            Error::permission_denied("claim_rejected", "the identity provider's claim is rejected")
        }
        Some("IDPCommunicationError") => {
            unreached("issuer_unreached", "AWS could not reach the assertion issuer")
        }
        Some("MalformedPolicyDocument") => {
            Error::invalid_config("policy_malformed", "a session policy is malformed").sent(true)
        }
        Some("PackedPolicyTooLarge" | "PackedPolicySizeExceeded") => {
            Error::invalid_config("policy_too_large", "session policies and tags are too large").sent(true)
        }
        Some("RegionDisabledException") => {
            Error::invalid_config("region_disabled", "the token service is off in this region").sent(true)
        }
        Some("AccessDenied") => Error::permission_denied(
            "trust_refused",
            "the role's trust policy refuses, or there is no such role",
        ),
        Some("ValidationError") => {
            Error::invalid_config("parameters_refused", "the token service refuses a parameter").sent(true)
        }
        Some(other) => return common(other, answer.status),
        None => return of_status(answer),
    };
    with_wait(error, answer)
}

/// AWS did not get what the gateway publishes, which may pass: nothing was given.
fn unreached(code: &str, message: &str) -> Error {
    Error::unavailable(code, message).retry_after(Some(UNREACHED_MILLIS))
}

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "__type")]
    kind: Option<String>,
}

/// A refusal of a service of the JSON protocol.
pub(crate) fn of_json(answer: &Response) -> Error {
    match kind(answer) {
        Some(kind) => with_wait(of_kind(&kind, answer.status), answer),
        None => of_status(answer),
    }
}

/// The name of an error: from the body (`com.amazonaws…#Name`), or else from the header (`Name:…`).
fn kind(answer: &Response) -> Option<String> {
    let body = serde_json::from_slice::<Body>(&answer.body).ok().and_then(|body| body.kind);
    let named = body.or_else(|| answer.header("x-amzn-errortype").map(str::to_owned))?;
    let name = named.rsplit('#').next().unwrap_or_default();
    let name = name.split(':').next().unwrap_or_default().trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// The table of Secrets Manager and SSM.
pub(crate) fn of_kind(kind: &str, status: u16) -> Error {
    let error = match kind {
        "ResourceNotFoundException" | "ParameterNotFound" | "ParameterVersionNotFound" => {
            Error::absent()
        }
        // The one state in which a read is refused: scheduled for deletion, and restorable.
        "InvalidRequestException" => Error::deleted(),
        "DecryptionFailure" => {
            Error::permission_denied("key_refused", "KMS does not decrypt this for the gateway")
        }
        "InvalidKeyId" => {
            Error::invalid_config("key_invalid", "the KMS key is not valid").sent(true)
        }
        "InvalidParameterException"
        | "InvalidFilterKey"
        | "InvalidFilterValue"
        | "InvalidFilterOption" => {
            Error::invalid_config("parameters_refused", "the service refuses a parameter")
                .sent(true)
        }
        "InvalidNextTokenException" | "InvalidNextToken" => {
            Error::invalid_request("cursor_refused", "the page is none").sent(true)
        }
        other => return common(other, status),
    };
    error.status(status)
}

/// What every service says in the same words.
fn common(code: &str, status: u16) -> Error {
    let error = match code {
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => {
            Error::permission_denied("access_denied", "the gateway's session may not do this")
        }
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
            Error::unauthenticated("credentials_expired", "the gateway's session is over")
        }
        "UnrecognizedClientException" | "InvalidClientTokenId" | "InvalidAccessKeyId" => {
            Error::unauthenticated("credentials_unknown", "the gateway's keys are not known")
        }
        "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "RequestTimeTooSkewed"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException" => Error::unauthenticated(
            "signature_refused",
            "the signature is not taken: keys, clock or scope",
        ),
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "SlowDown"
        | "PriorRequestNotComplete" => {
            Error::rate_limited("throttled", "a quota of the account is used up")
                .retry_after(Some(THROTTLED_MILLIS))
        }
        "InternalServiceError"
        | "InternalServerError"
        | "InternalFailure"
        | "InternalError"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => {
            Error::unavailable("service_failed", "the service failed")
        }
        "ValidationException" | "ValidationError" => {
            Error::invalid_request("parameters_refused", "the service refuses a parameter")
                .sent(true)
        }
        _ => return Error::from_status(status),
    };
    error.status(status)
}

/// An answer without a code is a proxy's, or nobody's.
fn of_status(answer: &Response) -> Error {
    with_wait(Error::from_status(answer.status), answer)
}

fn with_wait(error: Error, answer: &Response) -> Error {
    let wait = answer.retry_after().or(error.retry_after_ms);
    error.status(answer.status).retry_after(wait)
}
