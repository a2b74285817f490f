//! Answers on the OAuth face: token responses (RFC 8693 §2.2.1), introspection (RFC 7662 §2.2) and
//! errors (RFC 6749 §5.2).

use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;
use symbolon_core::ask::{Action, Ask};
use symbolon_core::error::{Kind, OauthError};
use symbolon_core::id::RequestId;
use symbolon_core::principal::Principal;
use symbolon_core::secret::Secret;
use symbolon_core::token::act_of;
use symbolon_host::answer::{ForeignToken, TokenKind};
use zeroize::Zeroizing;

use super::{Face, Rendered, respond, serialize};
use crate::line::LineError;
use crate::line::ask::{AskError, OauthRoute, TokenType};
use crate::line::authenticate::Unproven;
use crate::line::strangers::Stranger;
use crate::line::tokens::{AccessToken, Given, Inspection, TargetToken};
use crate::listen::Response;

/// An error document, with its status.
pub(super) fn problem(error: OauthError) -> Rendered {
    let public = error.public();
    let body = serialize(&ErrorBody { error: public.error, error_description: public.description });
    let status = StatusCode::from_u16(public.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Rendered { status, kind: None, body, face: Face::Oauth(public.retry_after) }
}

/// Who may not look at tokens learns of none that it is alive (RFC 7662 §2.2).
pub(super) fn refusal(ask: &Ask, error: &LineError) -> Rendered {
    let is_denied = matches!(error.kind(), Kind::Denied | Kind::Absent);
    if is_denied && ask.action == Action::List { inactive() } else { problem(error.oauth()) }
}

fn inactive() -> Rendered {
    let body = serialize(&Inactive { active: false });
    Rendered { status: StatusCode::OK, kind: None, body, face: Face::Oauth(None) }
}

/// What a stranger is told at one of the OAuth routes.
pub(in crate::line) fn turn_away(
    route: OauthRoute,
    stranger: &Stranger,
    request: RequestId,
) -> Response {
    let is_bearer = route == OauthRoute::Introspection;
    match stranger {
        // A token that is worth nothing is as good as withdrawn (RFC 7009 §2.2).
        Stranger::Unproven(Unproven::Token(_) | Unproven::Replay(_))
            if route == OauthRoute::Revocation =>
        {
            withdrawn().into_response(request)
        }
        Stranger::Ask(AskError::Method) => {
            let mut response = problem(OauthError::Method).into_response(request);
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            response
        }
        // The one who asks is not the one asked about: it authenticates as on every other face.
        stranger if is_bearer && stranger.kind() == Kind::Unauthenticated => {
            super::problem(Kind::Unauthenticated, request).into_response(request)
        }
        Stranger::Ask(error) => problem(error.oauth()).into_response(request),
        Stranger::Unproven(_) | Stranger::TooOften | Stranger::OverRate | Stranger::Failed(_) => {
            problem(OauthError::Of(stranger.kind())).into_response(request)
        }
    }
}

/// A token was withdrawn: nothing is said (RFC 7009 §2.2).
pub(super) fn withdrawn() -> Rendered {
    let body = Zeroizing::new(Vec::new());
    Rendered { status: StatusCode::OK, kind: None, body, face: Face::Oauth(None) }
}

#[derive(Serialize)]
struct ErrorBody {
    error: &'static str,
    error_description: &'static str,
}

#[derive(Serialize)]
struct Inactive {
    active: bool,
}

/// RFC 8693 §2.2.1; `lease_id`, `revocable` and the rest behind it are ours.
#[derive(Serialize)]
struct Issued<'a> {
    access_token: &'a str,
    issued_token_type: &'static str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_id: Option<String>,
    /// Whether it can be ended before its time.
    revocable: bool,
    /// The header that carries it, where that is not `Authorization`.
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<&'a str>,
}

/// An access token of our own.
pub(super) fn access(access: &AccessToken) -> Zeroizing<Vec<u8>> {
    serialize(&Issued {
        access_token: access.token.expose_str().unwrap_or_default(),
        issued_token_type: access.issued.as_str(),
        token_type: "Bearer",
        expires_in: access.lasts.as_secs(),
        scope: Some(access.scope.to_string()),
        lease_id: None,
        revocable: true,
        header: None,
    })
}

/// A token of a target.
pub(super) fn target(target: &TargetToken) -> Zeroizing<Vec<u8>> {
    let token = match &target.given {
        Given::Token(token) => token,
        Given::Assertion(assertion) => {
            let text = assertion.expose_str().unwrap_or_default();
            return issued(target, (text, TokenType::Jwt, "N_A", None));
        }
    };
    match &token.kind {
        TokenKind::Bearer => {
            issued(target, (field(token, "token"), TokenType::AccessToken, "Bearer", None))
        }
        TokenKind::Header(name) => {
            issued(target, (field(token, "token"), TokenType::AccessToken, "N_A", Some(name)))
        }
        TokenKind::Aws => {
            let keys = aws(token);
            let text = std::str::from_utf8(&keys).unwrap_or_default();
            issued(target, (text, TokenType::AwsCredentials, "N_A", None))
        }
    }
}

fn issued(
    target: &TargetToken,
    (text, issued, kind, header): (&str, TokenType, &'static str, Option<&str>),
) -> Zeroizing<Vec<u8>> {
    serialize(&Issued {
        access_token: text,
        issued_token_type: issued.as_str(),
        token_type: kind,
        expires_in: target.lease.lasts().as_secs(),
        scope: (!target.scopes.is_empty()).then(|| target.scopes.join(" ")),
        lease_id: Some(target.lease.id.to_string()),
        revocable: target.lease.revocable,
        header,
    })
}

fn field<'a>(token: &'a ForeignToken, name: &str) -> &'a str {
    let found = token.fields.iter().find(|(known, _)| known == name);
    found.and_then(|(_, value)| Secret::expose_str(value)).unwrap_or_default()
}

/// As `credential_process` of AWS takes it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AwsKeys<'a> {
    version: u8,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    session_token: &'a str,
    expiration: String,
}

fn aws(token: &ForeignToken) -> Zeroizing<Vec<u8>> {
    serialize(&AwsKeys {
        version: 1,
        access_key_id: field(token, "access_key_id"),
        secret_access_key: field(token, "secret_access_key"),
        session_token: field(token, "session_token"),
        expiration: token.expires_at.to_string(),
    })
}

/// What a token is (RFC 7662 §2.2).
pub(super) fn inspection(origin: &str, inspection: &Inspection) -> Zeroizing<Vec<u8>> {
    let told = inspection.0.as_deref().and_then(|principal| told(origin, principal));
    told.map_or_else(|| serialize(&Inactive { active: false }), |told| serialize(&told))
}

fn told(origin: &str, principal: &Principal) -> Option<serde_json::Value> {
    let proof = principal.proof();
    let session = proof.session.as_ref()?;
    let name = principal.identity().to_string();
    let mut told = json!({
        "active": true,
        "iss": origin,
        "aud": origin,
        "sub": name,
        "client_id": name,
        "scope": session.scope.to_string(),
        "iat": session.issued_at.seconds(),
        "exp": proof.expires_at.seconds(),
        "jti": session.id,
        "token_type": "Bearer",
    });
    if let (Some(act), Some(members)) = (act_of(&session.actors), told.as_object_mut()) {
        members.insert(String::from("act"), act);
    }
    Some(told)
}

/// The response of a rendered answer.
pub(super) fn response(rendered: Rendered, retry: Option<u32>, request: RequestId) -> Response {
    let mut response =
        respond(rendered.status, super::JSON, bytes::Bytes::from_owner(rendered.body), request);
    if let Some(seconds) = retry {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
