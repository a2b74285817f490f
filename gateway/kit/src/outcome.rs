//! What came out of a call, as scripts speak of it.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Map, Value, json};
use symbolon_core::clock::Timestamp;
use symbolon_core::secret::Secret;
use symbolon_host::answer::{
    CredentialState, Fields, ForeignToken, Issued, IssuedPage, Listing, Metadata, Report,
    SecretValue, TokenKind, Value as Held,
};
use symbolon_host::{CallError, Fault, FaultKind};

use crate::terms;
use crate::words::Said;

/// What came out of a call.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// As a script would expect it.
    pub(crate) shown: Value,
    pub(crate) end: End,
    /// Everything that was said to people.
    pub(crate) said: Vec<Said>,
    /// What a later call needs.
    pub(crate) carried: Carried,
    /// Of a batch: each part, and how it ended.
    parts: Option<Vec<(Value, End)>>,
}

/// What one call hands on to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Carried {
    pub(crate) handle: Vec<u8>,
    pub(crate) role: Option<String>,
    pub(crate) next: Option<String>,
    pub(crate) names: Vec<String>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With an answer.
    Answered,
    /// With an error of the plugin.
    Failed {
        /// The kind, in the contract's spelling.
        kind: &'static str,
        /// What the plugin says of its requests.
        said_sent: bool,
        /// Milliseconds.
        wait: Option<u128>,
    },
    /// With an answer that the host refuses.
    Refused(String),
    /// With a limit or a trap.
    Stopped(String),
    /// With its deadline.
    Late,
    /// Otherwise: the host could not make the call.
    Uncallable(String),
}

impl Outcome {
    fn answered(shown: Value, said: Vec<Said>) -> Self {
        Self { shown, end: End::Answered, said, carried: Carried::default(), parts: None }
    }

    /// A success that says nothing.
    pub(crate) fn done() -> Self {
        Self::answered(json!({}), Vec::new())
    }

    pub(crate) fn error(error: &CallError) -> Self {
        let end = match error {
            CallError::Plugin(fault) => return Self::fault(fault),
            CallError::Answer(fault) => End::Refused(fault.to_string()),
            CallError::Trap { trap, .. } => End::Stopped(trap.to_string()),
            CallError::Timeout { .. } => End::Late,
            CallError::Unsupported(_)
            | CallError::Busy
            | CallError::Paced(_)
            | CallError::Paused(_)
            | CallError::Open(_)
            | CallError::NoCaller { .. }
            | CallError::CallerRefused { .. }
            | CallError::CallerForbidden(_)
            | CallError::Host(_) => End::Uncallable(error.to_string()),
        };
        let shown = json!({ "error": error.to_string() });
        Self { end, ..Self::answered(shown, Vec::new()) }
    }

    fn fault(fault: &Fault) -> Self {
        let (shown, mut said) = (shown_fault(fault), described(&fault.metadata));
        said.extend([("message", fault.message.clone()), ("code", fault.code.clone())]);
        let end = End::Failed {
            kind: spelled(fault.kind),
            said_sent: fault.said_sent,
            wait: fault.retry_after.map(|wait| wait.as_millis()),
        };
        Self { end, ..Self::answered(json!({ "error": shown }), said) }
    }

    pub(crate) fn report(report: &Report) -> Self {
        let mut said = described(&report.metadata);
        said.extend(report.remarks.iter().map(|remark| ("remark", remark.clone())));
        let shown = json!({ "remarks": report.remarks, "metadata": pairs(&report.metadata) });
        Self::answered(shown, said)
    }

    pub(crate) fn secret(secret: &SecretValue) -> Self {
        Self::answered(shown_secret(secret), said_of_secret(secret))
    }

    pub(crate) fn secrets(all: &[Result<SecretValue, CallError>]) -> Self {
        let mut whole = Self::answered(Value::Null, Vec::new());
        let mut parts = Vec::new();
        for one in all {
            let one = match one {
                Ok(secret) => Self::secret(secret),
                Err(error) => Self::error(error),
            };
            // What stops one of them is a fault of the whole; an error of one is an answer.
            if !matches!(one.end, End::Answered | End::Failed { .. }) {
                whole.end = one.end.clone();
            }
            whole.said.extend(one.said);
            parts.push((one.shown, one.end));
        }
        let shown: Value = parts.iter().map(|(shown, _)| shown.clone()).collect();
        Self { shown: json!({ "secrets": shown }), parts: Some(parts), ..whole }
    }

    pub(crate) fn listing(listing: Listing) -> Self {
        let shown = json!({ "names": listing.names, "next": listing.next });
        let carried = Carried { next: listing.next, names: listing.names, ..Carried::default() };
        Self { carried, ..Self::answered(shown, Vec::new()) }
    }

    pub(crate) fn token(token: &ForeignToken) -> Self {
        let kind = match &token.kind {
            TokenKind::Bearer => "bearer".to_owned(),
            TokenKind::Header(name) => format!("header:{name}"),
            TokenKind::Aws => "aws".to_owned(),
        };
        let shown = json!({
            "kind": kind,
            "fields": shown_fields(&token.fields),
            "expires_in": left(token.expires_at),
            "metadata": pairs(&token.metadata),
        });
        let mut said = described(&token.metadata);
        said.push(("handle", lossy(&token.handle)));
        Self::answered(shown, said)
    }

    pub(crate) fn issued(issued: &Issued, role: &str) -> Self {
        let shown = json!({
            "fields": shown_fields(&issued.fields),
            "expires_in": left(issued.expires_at),
            "renewable": issued.renewable,
            "revocable": issued.revocable,
            "metadata": pairs(&issued.metadata),
        });
        let mut said = described(&issued.metadata);
        said.push(("handle", lossy(&issued.handle)));
        let handle = issued.handle.expose().to_vec();
        let carried = Carried { handle, role: Some(role.to_owned()), ..Carried::default() };
        Self { carried, ..Self::answered(shown, said) }
    }

    pub(crate) fn renewed(end: Timestamp) -> Self {
        Self::answered(json!({ "expires_in": left(end) }), Vec::new())
    }

    pub(crate) fn state(state: CredentialState) -> Self {
        let state = match state {
            CredentialState::Usable => "usable",
            CredentialState::Disabled => "disabled",
            CredentialState::Gone => "gone",
        };
        Self::answered(json!({ "state": state }), Vec::new())
    }

    pub(crate) fn issued_page(page: IssuedPage) -> Self {
        let reservations: Vec<String> = page.reservations.iter().map(ToString::to_string).collect();
        let shown = json!({ "reservations": reservations, "next": page.next });
        let carried = Carried { next: page.next, names: reservations, ..Carried::default() };
        Self { carried, ..Self::answered(shown, Vec::new()) }
    }

    /// The parts of a batch, and how each ended.
    pub(crate) fn parts(&self) -> Option<&[(Value, End)]> {
        self.parts.as_deref()
    }

    /// How long what came out lasts, in seconds.
    pub(crate) fn lasts(&self) -> Option<u64> {
        self.shown.get("expires_in")?.as_u64()
    }
}

fn shown_fault(fault: &Fault) -> Value {
    json!({
        "kind": spelled(fault.kind),
        "code": fault.code,
        "message": fault.message,
        "retry_after_ms": fault.retry_after.and_then(|wait| u64::try_from(wait.as_millis()).ok()),
        "request_sent": fault.said_sent,
        "status": fault.upstream_status,
        "metadata": pairs(&fault.metadata),
    })
}

fn shown_secret(secret: &SecretValue) -> Value {
    let mut shown = Map::new();
    match &secret.value {
        Held::Opaque(bytes) => {
            let text = std::str::from_utf8(bytes.expose()).ok();
            shown.insert("text".to_owned(), json!(text));
            let encoded = BASE64_STANDARD.encode(bytes.expose());
            shown.insert("base64".to_owned(), json!(encoded));
        }
        Held::Fields(fields) => drop(shown.insert("fields".to_owned(), shown_fields(fields))),
    }
    let version = secret.version.as_ref().map(|version| version.as_str());
    shown.insert("version".to_owned(), json!(version));
    shown.insert("content_type".to_owned(), json!(secret.content_type));
    shown.insert("kind".to_owned(), json!(secret.kind.as_str()));
    shown.insert("expires_at".to_owned(), json!(secret.expires_at.map(Timestamp::seconds)));
    shown.insert("metadata".to_owned(), pairs(&secret.metadata));
    Value::Object(shown)
}

fn said_of_secret(secret: &SecretValue) -> Vec<Said> {
    let mut said = described(&secret.metadata);
    said.push(("content type", secret.content_type.clone()));
    said.extend(secret.version.iter().map(|version| ("version", version.as_str().to_owned())));
    said
}

/// Fields by name: text, or an object with `base64` for what is none.
fn shown_fields(fields: &Fields) -> Value {
    let shown = |secret: &Secret| match std::str::from_utf8(secret.expose()) {
        Ok(text) => json!(text),
        Err(_) => json!({ "base64": BASE64_STANDARD.encode(secret.expose()) }),
    };
    fields.iter().map(|(name, secret)| (name.clone(), shown(secret))).collect()
}

fn lossy(secret: &Secret) -> String {
    String::from_utf8_lossy(secret.expose()).into_owned()
}

fn pairs(metadata: &Metadata) -> Value {
    metadata.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect()
}

fn described(metadata: &Metadata) -> Vec<Said> {
    metadata.iter().map(|(name, value)| ("metadata", format!("{name}={value}"))).collect()
}

fn left(end: Timestamp) -> u64 {
    end.since(terms::now()).as_secs()
}

/// As the contract spells it.
const fn spelled(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::InvalidRequest => "invalid-request",
        FaultKind::InvalidConfig => "invalid-config",
        FaultKind::Unauthenticated => "unauthenticated",
        FaultKind::PermissionDenied => "permission-denied",
        FaultKind::Absent | FaultKind::Deleted | FaultKind::Destroyed => "not-found",
        FaultKind::Conflict => "conflict",
        FaultKind::RateLimited => "rate-limited",
        FaultKind::Unavailable => "unavailable",
        FaultKind::Timeout => "timeout",
        FaultKind::Unsupported => "unsupported",
        FaultKind::Internal => "internal",
        FaultKind::Other => "other",
    }
}
