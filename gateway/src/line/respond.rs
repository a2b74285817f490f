//! Answers on the native face: JSON for what was granted, RFC 9457 problems for what was not.
//!
//! INVARIANT: [`render`] takes a [`Receipt`]; nothing of a principal's request is answered before
//! its audit entry is durable. What strangers get is made by [`problem`] and says nothing but a
//! constant of the table in [`symbolon_core::error`].
//!
//! Bodies that carry secrets are built in one allocation of the right size and wiped when the last
//! reader of the body lets go. Copies in the buffers of TLS and the kernel are out of reach.

mod oauth;

use std::io::{self, Write};

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use symbolon_core::ask::{Ask, Resource};
use symbolon_core::audit::Dialect;
use symbolon_core::error::{Kind, OauthError};
use symbolon_core::id::{BackendName, RequestId};
use symbolon_core::secret::Secret;
use symbolon_host::answer::{Listing, SecretValue, Value};
use zeroize::Zeroizing;

use super::credentials::Credential;
use super::dispatch::Delivery;
use super::{Granted, LineError};
use crate::audit::Receipt;
use crate::lease::LeaseView;
use crate::listen::Response;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"symbolon\"");

/// An answer to one ask, before it is put into a response or a batch.
pub(super) struct Rendered {
    status: StatusCode,
    kind: Option<Kind>,
    body: Zeroizing<Vec<u8>>,
    face: Face,
}

/// In whose shape an answer is.
enum Face {
    /// The native face's.
    Native,
    /// OAuth's, with the seconds after which another try may help.
    Oauth(Option<u32>),
}

pub(super) use oauth::turn_away;

/// Renders the outcome of one ask. The receipt is the proof that it is on record.
pub(super) fn render(
    ask: &Ask,
    outcome: &Result<Granted, LineError>,
    (request, dialect, origin): (RequestId, Dialect, &str),
    _receipt: &Receipt,
) -> Rendered {
    let is_oauth = dialect == Dialect::Oauth;
    match outcome {
        Ok(granted) => {
            let face = if is_oauth { Face::Oauth(None) } else { Face::Native };
            let body = view(ask, granted, origin);
            Rendered { status: StatusCode::OK, kind: None, body, face }
        }
        Err(error) if is_oauth => oauth::refusal(ask, error),
        Err(error) => problem(error.kind(), request),
    }
}

/// What cannot be answered at all, in the shape of the face.
pub(super) fn unanswered(kind: Kind, dialect: Dialect, request: RequestId) -> Rendered {
    match dialect {
        Dialect::Oauth => oauth::problem(OauthError::Of(kind)),
        Dialect::Native | Dialect::Vault | Dialect::Csi | Dialect::Admin => problem(kind, request),
    }
}

/// The problem document of a kind (RFC 9457).
pub(super) fn problem(kind: Kind, request: RequestId) -> Rendered {
    let public = kind.public();
    let body = serialize(&Problem {
        r#type: "about:blank",
        title: public.title,
        status: public.status,
        code: public.code,
        request_id: request.to_string(),
    });
    let status = StatusCode::from_u16(public.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Rendered { status, kind: Some(kind), body, face: Face::Native }
}

impl Rendered {
    /// Length of the body in bytes.
    pub(super) fn len(&self) -> usize {
        self.body.len()
    }

    /// The response that carries this answer alone.
    pub(super) fn into_response(self, request: RequestId) -> Response {
        if let Face::Oauth(retry) = self.face {
            return oauth::response(self, retry, request);
        }
        let content_type = if self.kind.is_some() { PROBLEM } else { JSON };
        let mut response =
            respond(self.status, content_type, Bytes::from_owner(self.body), request);
        let Some(public) = self.kind.map(Kind::public) else { return response };
        if let Some(seconds) = public.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
        }
        response
    }
}

/// The response to a batch: each answer in its place, as `{"secret": …}` or `{"problem": …}`.
pub(super) fn batch(answers: &[Rendered], request: RequestId) -> Response {
    let size = answers.iter().map(|answer| answer.body.len() + 16).sum::<usize>() + 32;
    let mut body = Zeroizing::new(Vec::with_capacity(size));
    body.extend_from_slice(b"{\"results\":[");
    for (at, answer) in answers.iter().enumerate() {
        body.extend_from_slice(if at == 0 { b"" } else { b"," });
        let name: &[u8] = if answer.kind.is_some() { b"{\"problem\":" } else { b"{\"secret\":" };
        body.extend_from_slice(name);
        body.extend_from_slice(&answer.body);
        body.push(b'}');
    }
    body.extend_from_slice(b"]}");
    respond(StatusCode::OK, JSON, Bytes::from_owner(body), request)
}

fn respond(status: StatusCode, kind: HeaderValue, body: Bytes, request: RequestId) -> Response {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    if let Ok(id) = HeaderValue::try_from(request.to_string()) {
        headers.insert("x-request-id", id);
    }
    response
}

/// A public document that anyone may keep for `max_age` seconds.
pub(crate) fn document(body: Bytes, max_age: u32) -> Response {
    let mut response = Response::new(Full::new(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    if let Ok(value) = HeaderValue::try_from(format!("public, max-age={max_age}")) {
        headers.insert(header::CACHE_CONTROL, value);
    }
    response
}

/// A health answer: the status is the message.
pub(crate) fn health(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[derive(Serialize)]
struct Problem {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    request_id: String,
}

fn view(ask: &Ask, granted: &Granted, origin: &str) -> Zeroizing<Vec<u8>> {
    let backend = ask.resource.backend();
    match &granted.delivery {
        Delivery::Secret(value) => serialize(&SecretView { ask, value }),
        Delivery::Listing(listing) => serialize(&listing_view(backend, &ask.resource, listing)),
        Delivery::Credential(credential) => serialize(&CredentialView(credential)),
        Delivery::Lease(lease) => serialize(&lease_view(lease)),
        Delivery::Leases(leases) => serialize(&LeasesView {
            leases: leases.leases.iter().map(lease_view).collect(),
            next: leases.next.map(|id| id.to_string()),
        }),
        Delivery::Token(token) => oauth::target(token),
        Delivery::Access(token) => oauth::access(token),
        Delivery::Inspection(inspection) => oauth::inspection(origin, inspection),
        Delivery::Withdrawn => Zeroizing::new(Vec::new()),
    }
}

/// A credential as the API shows it: its fields, and the lease that they end with.
struct CredentialView<'a>(&'a Credential);

impl Serialize for CredentialView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("lease", &lease_view(&self.0.lease))?;
        serialize_fields(&mut map, &self.0.fields)?;
        if !self.0.metadata.is_empty() {
            map.serialize_entry("metadata", &Pairs(&self.0.metadata))?;
        }
        map.end()
    }
}

/// A lease as its owner sees it.
#[derive(Serialize)]
struct LeaseJson {
    id: String,
    backend: String,
    role: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// Seconds from its activation or last renewal on.
    lease_duration: u64,
    ends_by: String,
    renewable: bool,
    revocable: bool,
}

#[derive(Serialize)]
struct LeasesView {
    leases: Vec<LeaseJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

fn lease_view(lease: &LeaseView) -> LeaseJson {
    LeaseJson {
        id: lease.id.to_string(),
        backend: lease.backend.to_string(),
        role: lease.role.to_string(),
        state: lease.state,
        expires_at: lease.expires_at.map(|end| end.to_string()),
        lease_duration: lease.lasts().as_secs(),
        ends_by: lease.ends_by.to_string(),
        renewable: lease.renewable,
        revocable: lease.revocable,
    }
}

/// A secret as the API shows it. Fields keep the backend's order.
struct SecretView<'a> {
    ask: &'a Ask,
    value: &'a SecretValue,
}

impl Serialize for SecretView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let backend = self.ask.resource.backend();
        map.serialize_entry("backend", &backend.map(BackendName::as_str))?;
        map.serialize_entry("path", self.value.path.as_str())?;
        if let Some(alias) = &self.ask.alias {
            map.serialize_entry("alias", alias.as_str())?;
        }
        if let Some(field) = &self.ask.field {
            map.serialize_entry("field", field.as_str())?;
        }
        if let Some(version) = &self.value.version {
            map.serialize_entry("version", version.as_str())?;
        }
        map.serialize_entry("kind", self.value.kind.as_str())?;
        map.serialize_entry("content_type", &self.value.content_type)?;
        match &self.value.value {
            Value::Opaque(secret) => match secret.expose_str() {
                Some(text) => map.serialize_entry("value", text)?,
                None => map.serialize_entry("value_base64", Base64(secret).text().as_str())?,
            },
            Value::Fields(fields) => serialize_fields(&mut map, fields)?,
        }
        if let Some(expires_at) = self.value.expires_at {
            map.serialize_entry("expires_at", &expires_at.to_string())?;
        }
        if !self.value.metadata.is_empty() {
            map.serialize_entry("metadata", &Pairs(&self.value.metadata))?;
        }
        map.end()
    }
}

/// Text fields under `fields`, the others under `fields_base64`.
fn serialize_fields<M: SerializeMap>(
    map: &mut M,
    fields: &[(String, Secret)],
) -> Result<(), M::Error> {
    let (text, binary): (Vec<_>, Vec<_>) =
        fields.iter().partition(|(_, value)| value.expose_str().is_some());
    map.serialize_entry("fields", &Texts(&text))?;
    if !binary.is_empty() {
        map.serialize_entry("fields_base64", &Binaries(&binary))?;
    }
    Ok(())
}

struct Texts<'a>(&'a [&'a (String, Secret)]);

impl Serialize for Texts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value.expose_str())))
    }
}

struct Binaries<'a>(&'a [&'a (String, Secret)]);

impl Serialize for Binaries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, Base64(value).text().as_str())?;
        }
        map.end()
    }
}

struct Base64<'a>(&'a Secret);

impl Base64<'_> {
    fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(self.0.expose()))
    }
}

struct Pairs<'a>(&'a [(String, String)]);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

#[derive(Serialize)]
struct ListingView<'a> {
    backend: Option<&'a str>,
    folder: String,
    names: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
}

fn listing_view<'a>(
    backend: Option<&'a BackendName>,
    resource: &Resource,
    listing: &'a Listing,
) -> ListingView<'a> {
    let folder = match resource {
        Resource::Folder { folder: Some(folder), .. } => format!("{folder}/"),
        Resource::Folder { folder: None, .. }
        | Resource::Secret { .. }
        | Resource::Role { .. }
        | Resource::Target(_)
        | Resource::Lease(_)
        | Resource::Leases
        | Resource::Gateway => String::new(),
    };
    let next = listing.next.as_deref();
    ListingView { backend: backend.map(BackendName::as_str), folder, names: &listing.names, next }
}

/// Serialises twice: once to know the size, once into an allocation that never grows, since what
/// a growing vector leaves behind is not wiped.
pub(super) fn serialize(value: &impl Serialize) -> Zeroizing<Vec<u8>> {
    let mut size = Count(0);
    let counted = serde_json::to_writer(&mut size, value);
    let mut body = Zeroizing::new(Vec::with_capacity(size.0));
    let written = serde_json::to_writer(&mut *body, value);
    debug_assert!(counted.is_ok() && written.is_ok(), "views have text keys only");
    body
}

struct Count(usize);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use symbolon_core::clock::Timestamp;

    #[test]
    fn a_problem_is_the_table_and_the_request_id() {
        let request = RequestId::new(Timestamp::from_seconds(1_793_520_000), 7);
        let rendered = problem(Kind::Denied, request);
        let body: serde_json::Value = serde_json::from_slice(&rendered.body).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "type": "about:blank",
                "title": "not permitted, or nothing is there",
                "status": 403,
                "code": "denied",
                "request_id": request.to_string(),
            })
        );
    }

    #[test]
    fn an_unauthenticated_answer_carries_a_challenge() {
        let request = RequestId::new(Timestamp::from_seconds(0), 0);
        let response = problem(Kind::Unauthenticated, request).into_response(request);
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(response.headers().contains_key(header::WWW_AUTHENTICATE));
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    }
}
