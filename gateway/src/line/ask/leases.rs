//! Credentials and leases, as they are asked for.

use std::time::Duration;

use serde::Deserialize;
use symbolon_core::ask::{Action, Ask};
use symbolon_core::id::{BackendName, LeaseId, RoleName};

use super::{AskError, Asked, Page};

/// The longest lease duration that can be written: more than any ceiling.
const MAX_TTL: Duration = Duration::from_hours(24 * 366);

/// What comes beside the path: query and body.
type Rest<'a> = (Option<&'a str>, &'a [u8]);

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(default)]
    ttl: Option<Length>,
}

/// Seconds, or a text as people write it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Length {
    Seconds(u64),
    Text(String),
}

/// `{backend}/{role}` with `{"ttl": …}`, or nothing, in the body.
pub(super) fn credential(rest: &str, (query, body): Rest<'_>) -> Result<Asked, AskError> {
    let (backend, role) = rest.split_once('/').ok_or(AskError::NoRoute)?;
    let backend = BackendName::parse(backend).map_err(|_| AskError::Backend)?;
    let role = RoleName::parse(role).map_err(|_| AskError::Role)?;
    let ask = Ask::issue(backend, role, wish(query, body)?);
    Ok(Asked::One(Box::new(ask), Page::default()))
}

/// `?next=` behind which lease the page begins.
pub(super) fn own(query: &str) -> Result<Asked, AskError> {
    let page = match query {
        "" => Page::default(),
        query => {
            let id = query.strip_prefix("next=").ok_or(AskError::Query)?;
            Page(Some(LeaseId::parse(id).map_err(|_| AskError::Query)?.to_string()))
        }
    };
    Ok(Asked::One(Box::new(Ask::leases()), page))
}

/// `{id}`.
pub(super) fn one(action: Action, rest: &str, (query, body): Rest<'_>) -> Result<Asked, AskError> {
    nothing(query, AskError::Query)?;
    nothing((!body.is_empty()).then_some(""), AskError::Body)?;
    let ask = Ask::of_lease(action, lease(rest)?, None);
    Ok(Asked::One(Box::new(ask), Page::default()))
}

/// `{id}/renew` with `{"ttl": …}`, or nothing, in the body.
pub(super) fn renewal(rest: &str, (query, body): Rest<'_>) -> Result<Asked, AskError> {
    let id = rest.strip_suffix("/renew").ok_or(AskError::NoRoute)?;
    let ask = Ask::of_lease(Action::Renew, lease(id)?, wish(query, body)?);
    Ok(Asked::One(Box::new(ask), Page::default()))
}

/// Ids are written in upper case: one lease has one path.
fn lease(text: &str) -> Result<LeaseId, AskError> {
    let id = LeaseId::parse(text).map_err(|_| AskError::Lease)?;
    if id.to_string() == text { Ok(id) } else { Err(AskError::Lease) }
}

fn wish(query: Option<&str>, body: &[u8]) -> Result<Option<Duration>, AskError> {
    nothing(query, AskError::Query)?;
    if body.is_empty() {
        return Ok(None);
    }
    let wish: Wish = serde_json::from_slice(body).map_err(|_| AskError::Body)?;
    wish.ttl.map(length).transpose()
}

fn length(length: Length) -> Result<Duration, AskError> {
    let length = match length {
        Length::Seconds(seconds) => Duration::from_secs(seconds),
        Length::Text(text) => humantime::parse_duration(&text).map_err(|_| AskError::Body)?,
    };
    let fits = (Duration::from_secs(1)..=MAX_TTL).contains(&length);
    if fits { Ok(Duration::from_secs(length.as_secs())) } else { Err(AskError::Body) }
}

fn nothing(something: Option<&str>, error: AskError) -> Result<(), AskError> {
    something.map_or(Ok(()), |_| Err(error))
}
