//! The request as the workload hands it over: base64url of a JSON object with `method`, `url`, `body`
//! and `headers`, each as it was signed.
//!
//! The checks that need no issuer are made while it is read, in the order of `wire-formats.md`
//! §1.1.2, so that whatever is held is a question to STS and nothing else.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::SignedRefusal;
use super::hosts::{HOSTS, Host};
use crate::clock::Timestamp;
use crate::token::json::{self, Limits, Object, Value};
use crate::token::{IssuerRules, sha256};

/// The header that says for whom the request was signed.
pub const SERVER_ID: &str = "x-gateway-server-id";
/// The one question.
pub const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";

/// Our own limit; STS would take more.
const WINDOW: Duration = Duration::from_secs(300);
/// For how long after its date STS takes such a request.
pub(super) const HONOURED: Duration = Duration::from_secs(15 * 60);
const MAX_TEXT_BYTES: usize = 24 * 1024;
const LIMITS: Limits = Limits { depth: 2, top: 4, members: 16, items: 0, string: 8 * 1024 };

/// The headers that may be there. Those that are sent on are the signed ones and the authorization.
const ALLOWED: [&str; 9] = [
    "authorization",
    "content-length",
    "content-type",
    "host",
    "user-agent",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    SERVER_ID,
];

/// A question to STS that somebody signed. Whether the signature is good only STS can say.
#[derive(Clone)]
pub struct SignedRequest {
    host: &'static Host,
    /// Names in lower case.
    headers: Vec<(&'static str, String)>,
    /// As it was signed.
    body: String,
    server_id: String,
    signed_at: Timestamp,
    digest: [u8; 32],
}

/// What is in it is a credential for its minutes.
impl std::fmt::Debug for SignedRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedRequest").field("host", &self.host.name).finish_non_exhaustive()
    }
}

/// A request that may be sent: for us, and signed just now.
#[derive(Debug)]
pub struct Fresh<'a>(&'a SignedRequest);

impl SignedRequest {
    /// Reads the base64url of a request.
    ///
    /// # Errors
    /// [`SignedRefusal`] of the first rule broken.
    pub fn parse(text: &str) -> Result<Self, SignedRefusal> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(SignedRefusal::Malformed);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| SignedRefusal::Malformed)?;
        let object = json::object(&bytes, LIMITS).map_err(|_| SignedRefusal::Malformed)?;
        let is_known = |name: &str| ["method", "url", "body", "headers"].contains(&name);
        let text = |name| object.get(name).and_then(Value::as_str).ok_or(SignedRefusal::Malformed);
        let headers = object.get("headers").and_then(Value::as_object);
        let headers = headers.ok_or(SignedRefusal::Malformed)?;
        if !object.names().all(is_known) {
            return Err(SignedRefusal::Malformed);
        }
        Self::read(text("method")?, text("url")?, text("body")?, headers)
    }

    fn read(method: &str, url: &str, body: &str, headers: &Object) -> Result<Self, SignedRefusal> {
        if method != "POST" {
            return Err(SignedRefusal::Method);
        }
        let host = host_of(url).ok_or(SignedRefusal::Host)?;
        check_body(body)?;
        let headers = read_headers(headers)?;
        let get = |name: &str| {
            headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
        };
        if get("host") != Some(host.name) {
            return Err(SignedRefusal::Host);
        }
        if get("content-length").is_some_and(|length| length != body.len().to_string()) {
            return Err(SignedRefusal::Header);
        }
        let authorization = get("authorization").ok_or(SignedRefusal::Authorization)?;
        let authorization = Authorization::parse(authorization)?;
        let date = get("x-amz-date").ok_or(SignedRefusal::Date)?;
        let signed_at = date_of(date).ok_or(SignedRefusal::Date)?;
        authorization.check_scope(host, date)?;
        authorization.check_signed(&headers)?;
        let server_id = get(SERVER_ID).unwrap_or_default().to_owned();
        let digest = sha256(authorization.signature.as_bytes());
        Ok(Self { host, headers, body: body.to_owned(), server_id, signed_at, digest })
    }

    /// The partition of its endpoint.
    #[must_use]
    pub const fn partition(&self) -> &'static str {
        self.host.partition
    }

    /// When it was signed, by its own word.
    #[must_use]
    pub const fn signed_at(&self) -> Timestamp {
        self.signed_at
    }

    /// SHA-256 of the signature: what is remembered of a used one.
    #[must_use]
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Whether it may be sent for an issuer: for us, and within its minutes.
    ///
    /// # Errors
    /// [`SignedRefusal::Audience`], [`SignedRefusal::TooOld`] or [`SignedRefusal::Future`].
    pub fn check(&self, rules: &IssuerRules, now: Timestamp) -> Result<Fresh<'_>, SignedRefusal> {
        if !rules.audiences.contains(&self.server_id) {
            return Err(SignedRefusal::Audience);
        }
        let window = rules.max_age.map_or(WINDOW, |age| age.min(WINDOW));
        if self.signed_at > now.plus(rules.leeway) {
            return Err(SignedRefusal::Future);
        }
        if self.signed_at.plus(window) < now { Err(SignedRefusal::TooOld) } else { Ok(Fresh(self)) }
    }
}

impl<'a> Fresh<'a> {
    /// The request.
    pub(super) const fn request(&self) -> &'a SignedRequest {
        self.0
    }

    /// The host to send it to.
    #[must_use]
    pub const fn host(&self) -> &'static str {
        self.0.host.name
    }

    /// The body to send: the one question, byte for byte as it was signed.
    #[must_use]
    pub fn body(&self) -> &'a str {
        &self.0.body
    }

    /// The headers to send: those that were signed, and the authorization. The host's name and the
    /// length are the transport's to write, and are what was signed.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let own = |name: &str| ["host", "content-length"].contains(&name);
        let headers = self.0.headers.iter().filter(move |(name, _)| !own(name));
        headers.map(|(name, value)| (*name, value.as_str()))
    }
}

/// `https://<host>/`, byte for byte: no port, no user, no query.
fn host_of(url: &str) -> Option<&'static Host> {
    let name = url.strip_prefix("https://")?.strip_suffix('/')?;
    HOSTS.iter().find(|host| host.name == name)
}

/// Two parameters, each once, in either order.
fn check_body(body: &str) -> Result<(), SignedRefusal> {
    let (action, version) = BODY.split_once('&').unwrap_or((BODY, ""));
    let is_it = body == BODY || body.split_once('&') == Some((version, action));
    if is_it { Ok(()) } else { Err(SignedRefusal::Body) }
}

fn read_headers(headers: &Object) -> Result<Vec<(&'static str, String)>, SignedRefusal> {
    let mut read: Vec<(&'static str, String)> = Vec::new();
    for name in headers.names() {
        let lower = name.to_ascii_lowercase();
        let known = ALLOWED.iter().find(|known| **known == lower).ok_or(SignedRefusal::Header)?;
        let value = headers.get(name).and_then(Value::as_str).ok_or(SignedRefusal::Header)?;
        let is_plain = value.bytes().all(|b| (0x20..0x7f).contains(&b)) && value.trim() == value;
        // What would be folded together before it is signed has more than one text.
        let is_single = !value.contains("  ") && !value.is_empty();
        if !is_plain || !is_single || read.iter().any(|(other, _)| other == known) {
            return Err(SignedRefusal::Header);
        }
        read.push((known, value.to_owned()));
    }
    Ok(read)
}

/// `yyyymmddThhmmssZ`.
fn date_of(text: &str) -> Option<Timestamp> {
    let part = |range: std::ops::Range<usize>| {
        text.get(range).filter(|part| part.bytes().all(|b| b.is_ascii_digit()))
    };
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    let (hour, minute, second) = (part(9..11)?, part(11..13)?, part(13..15)?);
    if text.len() != 16 || text.get(8..9) != Some("T") || text.get(15..) != Some("Z") {
        return None;
    }
    let text = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
    let time = humantime::parse_rfc3339(&text).ok()?;
    let seconds = time.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    i64::try_from(seconds).ok().map(Timestamp::from_seconds)
}

/// `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`
struct Authorization<'a> {
    scope: [&'a str; 4],
    signed: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn parse(text: &'a str) -> Result<Self, SignedRefusal> {
        Self::read(text).ok_or(SignedRefusal::Authorization)
    }

    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix("AWS4-HMAC-SHA256 ")?.split(", ");
        let credential = parts.next()?.strip_prefix("Credential=")?;
        let signed = parts.next()?.strip_prefix("SignedHeaders=")?.split(';').collect::<Vec<_>>();
        let signature = parts.next()?.strip_prefix("Signature=")?;
        let mut scope = credential.split('/');
        let key = scope.next()?;
        let scope = [scope.next()?, scope.next()?, scope.next()?, scope.next()?]
            .into_iter()
            .chain(scope)
            .collect::<Vec<_>>();
        let is_key =
            (1..=128).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphanumeric());
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let is_signature = signature.len() == 64 && signature.bytes().all(is_hex);
        let is_sorted = signed.is_sorted_by(|one, next| one < next);
        let fits = is_key && is_signature && is_sorted && parts.next().is_none();
        let scope = <[&str; 4]>::try_from(scope).ok().filter(|_| fits)?;
        Some(Self { scope, signed, signature })
    }

    /// The day is the date's, the region the host's, the service STS.
    fn check_scope(&self, host: &Host, date: &str) -> Result<(), SignedRefusal> {
        let [day, region, service, end] = self.scope;
        let fits = date.get(..8) == Some(day)
            && region == host.region
            && (service, end) == ("sts", "aws4_request");
        if fits { Ok(()) } else { Err(SignedRefusal::Scope) }
    }

    /// What says where, when, for whom and with which session is signed; what is signed is there.
    fn check_signed(&self, headers: &[(&str, String)]) -> Result<(), SignedRefusal> {
        let is_there = |name: &&str| headers.iter().any(|(known, _)| known == name);
        let needs = |name: &str| name.starts_with("x-amz-") || name == SERVER_ID;
        let is_signed = |name: &str| self.signed.contains(&name);
        let all = ["host", "x-amz-date", SERVER_ID].iter().all(|name| is_signed(name));
        let rest = headers.iter().all(|(name, _)| !needs(name) || is_signed(name));
        let sent = self.signed.iter().all(is_there) && !is_signed("authorization");
        if all && rest && sent { Ok(()) } else { Err(SignedRefusal::Unsigned) }
    }
}
