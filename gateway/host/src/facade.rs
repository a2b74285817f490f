//! Answers re-checked.
//!
//! A plugin is not believed. Whatever it answers is held against what it was asked and against the
//! contract's grammar before it becomes a value that other crates can hold. An answer that breaks a
//! rule is refused as a whole, never repaired: a plugin that is wrong about the path may be wrong
//! about the value. Two things are softened, because they say nothing about a secret: the texts of
//! errors are cut and escaped, and names in listings that nobody could ask for are counted instead.
//!
//! Secret bytes enter their type before the first check, so that a refused answer is wiped too. The
//! guest's own copy lies in its linear memory, which is reset with the instance.

use std::collections::BTreeSet;
use std::time::Duration;

use symbolon_core::ask::Version;
use symbolon_core::clock::Timestamp;
use symbolon_core::id::LeaseId;
use symbolon_core::path::SecretPath;
use symbolon_core::secret::Secret;

use crate::answer::{
    CredentialState, Fields, ForeignToken, Issued, IssuedPage, Listing, Metadata, Report,
    SecretKind, SecretValue, TokenKind, Value,
};
use crate::bindings::guest::{check, credentials, exchange, secrets};
use crate::bindings::types;
use crate::fault::{AnswerFault, Fault, FaultKind};

#[cfg(test)]
mod tests;
mod text;

pub(crate) use text::{escape, metadata_fits, scrub};

/// Largest value of a secret or credential, over all its fields.
const MAX_VALUE_BYTES: usize = 1 << 20;
const MAX_FIELDS: usize = 256;
const MAX_FIELD_NAME_BYTES: usize = 256;
const MAX_HANDLE_BYTES: usize = 4 << 10;
const MAX_CURSOR_BYTES: usize = 1024;
const MAX_NAMES: usize = 1000;
const MAX_REMARKS: usize = 32;
const MAX_REMARK_BYTES: usize = 512;
const MAX_MESSAGE_BYTES: usize = 2 << 10;
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// The last second of the year 9999, the last that RFC 3339 can write.
const LAST_SECOND: u64 = 253_402_300_799;
/// How far a backend's clock may be ahead of ours.
const CLOCK_SKEW: Duration = Duration::from_secs(60);
/// The line of a token's metadata that says when it really ends (seconds since 1970).
const ENDS_AT: &str = "ends-at";

type Checked<T> = Result<T, AnswerFault>;

fn require(holds: bool, otherwise: AnswerFault) -> Checked<()> {
    if holds { Ok(()) } else { Err(otherwise) }
}

/// A secret, held against what was asked.
pub(crate) fn secret(
    raw: secrets::Secret,
    path: &SecretPath,
    asked: Option<&Version>,
) -> Checked<SecretValue> {
    let value = match raw.value {
        secrets::Value::Opaque(bytes) => Value::Opaque(Secret::new(bytes)),
        secrets::Value::Fields(raw) => Value::Fields(wrap(raw)),
    };
    require(raw.path == path.as_str(), AnswerFault::Path)?;
    let version = raw.version.as_deref().map(Version::parse).transpose();
    let version = version.map_err(|_| AnswerFault::Version)?;
    require(asked.is_none() || asked == version.as_ref(), AnswerFault::Version)?;
    match &value {
        Value::Opaque(bytes) => require(bytes.len() <= MAX_VALUE_BYTES, AnswerFault::Size)?,
        Value::Fields(fields) => check_fields(fields)?,
    }
    require(text::is_content_type(&raw.content_type), AnswerFault::ContentType)?;
    let mut metadata = metadata(raw.metadata)?;
    let kind = kind(&value, &mut metadata)?;
    Ok(SecretValue {
        path: path.clone(),
        version,
        content_type: raw.content_type,
        kind,
        value,
        expires_at: raw.expires_at.map(timestamp).transpose()?,
        metadata,
    })
}

/// The kind that the metadata names, which must be that of the value; what the value looks like if
/// it names none. It is taken out, since it is shown by itself.
fn kind(value: &Value, metadata: &mut Metadata) -> Checked<SecretKind> {
    let fields = match value {
        Value::Opaque(_) => None,
        Value::Fields(fields) => Some(fields),
    };
    let Some(at) = metadata.iter().position(|(name, _)| name == "kind") else {
        return Ok(if fields.is_some() { SecretKind::Map } else { SecretKind::Opaque });
    };
    let (_, named) = metadata.remove(at);
    let kind = SecretKind::ALL.into_iter().find(|kind| kind.as_str() == named);
    let kind = kind.ok_or(AnswerFault::Metadata)?;
    let has = |required: &&str| {
        fields.is_some_and(|f| f.iter().any(|(name, value)| name == required && !value.is_empty()))
    };
    let fits = fields.is_some() != (kind == SecretKind::Opaque) && kind.required().iter().all(has);
    require(fits, AnswerFault::Metadata)?;
    Ok(kind)
}

/// A page of names.
pub(crate) fn listing(raw: secrets::Listing) -> Checked<Listing> {
    let all = raw.names.len();
    require(all <= MAX_NAMES, AnswerFault::Listing)?;
    let is_segment = |name: &String| {
        let name = name.strip_suffix('/').unwrap_or(name);
        !name.contains('/') && SecretPath::parse(name).is_ok()
    };
    let names: Vec<String> = raw.names.into_iter().filter(is_segment).collect();
    let distinct: BTreeSet<&String> = names.iter().collect();
    require(distinct.len() == names.len(), AnswerFault::Listing)?;
    let withheld = all.saturating_sub(names.len());
    Ok(Listing { names, withheld, next: cursor(raw.next)? })
}

/// The outcome of a check.
pub(crate) fn report(raw: check::Report) -> Checked<Report> {
    require(raw.remarks.len() <= MAX_REMARKS, AnswerFault::Size)?;
    let remarks = raw.remarks.iter().map(|remark| escape(remark, MAX_REMARK_BYTES)).collect();
    Ok(Report { remarks, metadata: metadata(raw.metadata)? })
}

/// A credential, held against the reservation and the time that were asked for.
pub(crate) fn issued(
    raw: credentials::Issued,
    reservation: LeaseId,
    latest: Latest,
) -> Checked<Issued> {
    let (fields, handle) = (wrap(raw.fields), Secret::new(raw.handle));
    require(raw.reservation == reservation.to_string(), AnswerFault::Reservation)?;
    check_fields(&fields)?;
    check_handle(&handle)?;
    Ok(Issued {
        reservation,
        fields,
        expires_at: latest.check(raw.expires_at)?,
        renewable: raw.renewable,
        revocable: raw.revocable,
        handle,
        metadata: metadata(raw.metadata)?,
    })
}

/// What became of a credential.
pub(crate) fn state(raw: credentials::State) -> CredentialState {
    match raw {
        credentials::State::Usable => CredentialState::Usable,
        credentials::State::Disabled => CredentialState::Disabled,
        credentials::State::Gone => CredentialState::Gone,
    }
}

/// A page of reservations.
pub(crate) fn issued_page(raw: (Vec<String>, Option<String>)) -> Checked<IssuedPage> {
    let (ids, next) = raw;
    require(ids.len() <= MAX_NAMES, AnswerFault::Listing)?;
    let reservations: Vec<_> = ids.iter().filter_map(|id| LeaseId::parse(id).ok()).collect();
    let withheld = ids.len().saturating_sub(reservations.len());
    Ok(IssuedPage { reservations, withheld, next: cursor(next)? })
}

/// A foreign token, held against the time that was asked for and the assertion that it is for: the
/// gateway's own word is for the target, and for nobody behind it.
pub(crate) fn token(
    raw: exchange::Token,
    latest: Latest,
    assertion: &Secret,
) -> Checked<ForeignToken> {
    let (fields, handle) = (wrap(raw.fields), Secret::new(raw.handle));
    require(!fields.iter().any(|(_, value)| holds(value, assertion)), AnswerFault::Token)?;
    check_fields(&fields)?;
    check_handle(&handle)?;
    let kind = text::token_kind(&raw.kind).ok_or(AnswerFault::Token)?;
    let expected: &[&str] = match kind {
        TokenKind::Bearer | TokenKind::Header(_) => &["token"],
        TokenKind::Aws => &["access_key_id", "secret_access_key", "session_token"],
    };
    let names: BTreeSet<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    require(
        fields.iter().all(|(_, value)| is_presentable(value))
            && names == expected.iter().copied().collect(),
        AnswerFault::Token,
    )?;
    let mut metadata = metadata(raw.metadata)?;
    let expires_at = latest.check(raw.expires_at)?;
    let ends_at = real_end(&mut metadata)?.unwrap_or(expires_at).max(expires_at);
    let outlasts = ends_at > latest.with_skew();
    Ok(ForeignToken { fields, kind, expires_at, ends_at, outlasts, handle, metadata })
}

/// When a token really ends, where its metadata says so.
fn real_end(metadata: &mut Metadata) -> Checked<Option<Timestamp>> {
    let Some(at) = metadata.iter().position(|(name, _)| name == ENDS_AT) else { return Ok(None) };
    let (_, stated) = metadata.remove(at);
    let seconds = stated.parse().map_err(|_| AnswerFault::Expiry)?;
    timestamp(seconds).map(Some)
}

/// Whether a value has `other` in it.
fn holds(value: &Secret, other: &Secret) -> bool {
    !other.is_empty() && value.expose().windows(other.len()).any(|part| part == other.expose())
}

/// The latest moment at which something issued may end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latest {
    now: Timestamp,
    end: Timestamp,
}

impl Latest {
    /// For something that is asked for at `now` to last `ttl`.
    pub(crate) fn new(now: Timestamp, ttl: Duration) -> Self {
        Self { now, end: now.plus(ttl) }
    }

    /// What a clock that is slightly ahead may say.
    fn with_skew(self) -> Timestamp {
        self.end.plus(CLOCK_SKEW)
    }

    /// The end that the plugin states. One that a backend's clock puts slightly too late is taken
    /// as the latest allowed: the lease then ends it in time.
    pub(crate) fn check(self, stated: u64) -> Checked<Timestamp> {
        let stated = timestamp(stated)?;
        let possible = self.now < stated && stated <= self.with_skew();
        require(possible, AnswerFault::Expiry)?;
        Ok(stated.min(self.end))
    }
}

/// An error. Never refused: it is cut, escaped and freed of `secrets` that the host knows.
pub(crate) fn fault(raw: types::Error, secrets: &[&Secret]) -> Fault {
    let secrets: Vec<Secret> = secrets.iter().map(|secret| (*secret).clone()).collect();
    let code = if text::is_code(&raw.code) { raw.code } else { "invalid_code".to_owned() };
    let clean = |(name, value): (String, String)| (name, scrub(&value, &secrets).into_owned());
    Fault {
        kind: FaultKind::new(raw.kind, &code),
        code,
        message: escape(&scrub(&raw.message, &secrets), MAX_MESSAGE_BYTES),
        retry_after: raw.retry_after_ms.map(|ms| Duration::from_millis(ms).min(MAX_RETRY_AFTER)),
        request_sent: raw.request_sent,
        said_sent: raw.request_sent,
        egress: None,
        upstream_status: raw.upstream_status.filter(|status| (100..600).contains(status)),
        metadata: metadata(raw.metadata.into_iter().map(clean).collect()).unwrap_or_default(),
    }
}

fn wrap(raw: Vec<(String, Vec<u8>)>) -> Fields {
    raw.into_iter().map(|(name, value)| (name, Secret::new(value))).collect()
}

/// Whether something can stand in a header without ending it.
fn is_presentable(value: &Secret) -> bool {
    !value.is_empty() && value.expose().iter().all(|byte| matches!(byte, b' '..=b'~'))
}

fn check_fields(fields: &Fields) -> Checked<()> {
    let bytes = fields.iter().fold(0_usize, |sum, (name, value)| {
        sum.saturating_add(name.len()).saturating_add(value.len())
    });
    require(bytes <= MAX_VALUE_BYTES && fields.len() <= MAX_FIELDS, AnswerFault::Size)?;
    let names: BTreeSet<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    let well_formed = |name: &&str| {
        (1..=MAX_FIELD_NAME_BYTES).contains(&name.len()) && !name.chars().any(char::is_control)
    };
    let unique = names.len() == fields.len();
    require(unique && names.iter().all(well_formed), AnswerFault::FieldName)
}

fn check_handle(handle: &Secret) -> Checked<()> {
    require(handle.len() <= MAX_HANDLE_BYTES, AnswerFault::Handle)
}

fn cursor(next: Option<String>) -> Checked<Option<String>> {
    let fits = |next: &String| {
        (1..=MAX_CURSOR_BYTES).contains(&next.len()) && !next.chars().any(char::is_control)
    };
    require(next.as_ref().is_none_or(fits), AnswerFault::Listing)?;
    Ok(next)
}

fn timestamp(seconds: u64) -> Checked<Timestamp> {
    require((1..=LAST_SECOND).contains(&seconds), AnswerFault::Expiry)?;
    i64::try_from(seconds).map(Timestamp::from_seconds).map_err(|_| AnswerFault::Expiry)
}

fn metadata(raw: Metadata) -> Checked<Metadata> {
    let fits = metadata_fits(raw.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    require(fits, AnswerFault::Metadata)?;
    Ok(raw)
}
