//! What an administrator can ask for about leases.
//!
//! Scopes are written as they are shown: `everything`, `BACKEND/` (or `BACKEND`), `BACKEND/ROLE`,
//! `issuer:ALIAS`, `principal:ALIAS/SUBJECT`, `carrier:ID`. A token is a scope too; it arrives in a body only, and
//! its digest alone goes on.

use std::time::Duration;

use http::Method;
use serde::Deserialize;
use symbolon_core::error::Kind;
use symbolon_core::id::{BackendName, IssuerAlias, LeaseId, RoleName};
use symbolon_core::lease::Scope;
use symbolon_core::token::{Compact, MAX_TOKEN_BYTES, leases_of};
use zeroize::Zeroizing;

use super::routes::{MAX_REASON_BYTES, identity};
use super::{OperationError, body, malformed, no_route};
use crate::lease::{After, Filter};
use crate::listen::Arrival;

/// Where all of these are.
pub(super) const PATH: &str = "/v1/leases";
/// Leases in a page of a list, unless fewer are asked for.
const PAGE: usize = 1000;
/// Of which revocations a report speaks unless it is asked for others.
const REPORTED: Duration = Duration::from_hours(24);
/// The states of a lease that can be asked for.
const STATES: [&str; 4] = ["reserved", "active", "revoking", "revoked"];

/// What can be done about leases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Show a page of them.
    List(Filter, After),
    /// Show a page of the records that could not be read and were set aside.
    Damaged(After),
    /// Show one.
    Show(LeaseId),
    /// Extend one.
    Renew(LeaseId, Option<Duration>),
    /// End some.
    Revoke(Ended),
    /// Say how many would end.
    Count(Ended),
    /// Stop trying to end one: an operator answers for its being gone, for this reason.
    Force(LeaseId, String),
    /// Confirm that this store is the living one.
    Resume,
    /// How the ending of leases goes.
    Status,
    /// How long it took, of those whose end began within this time.
    Report(Duration),
}

/// Which leases end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// One.
    One(LeaseId),
    /// All of a scope.
    All(Scope),
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::One(lease) => write!(f, "{lease}"),
            Self::All(scope) => write!(f, "{scope}"),
        }
    }
}

impl Verb {
    /// The name in policies and in the audit log.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::List(..) => "lease.ls",
            Self::Damaged(_) => "lease.damaged",
            Self::Show(_) => "lease.show",
            Self::Renew(..) => "lease.renew",
            // Who may ask how many would end is who may end them.
            Self::Revoke(_) | Self::Count(_) => "lease.revoke",
            Self::Force(..) => "lease.force",
            Self::Resume => "lease.resume",
            Self::Status => "lease.status",
            Self::Report(_) => "lease.report",
        }
    }

    /// What it is done to.
    #[must_use]
    pub fn object(&self) -> Option<String> {
        match self {
            Self::List(filter, _) => Some(filter.scope.to_string()),
            Self::Show(lease) | Self::Renew(lease, _) | Self::Force(lease, _) => {
                Some(lease.to_string())
            }
            Self::Revoke(ended) | Self::Count(ended) => Some(ended.to_string()),
            Self::Damaged(_) | Self::Resume | Self::Status | Self::Report(_) => None,
        }
    }

    /// Whether it changes something.
    #[must_use]
    pub const fn changes(&self) -> bool {
        match self {
            Self::Renew(..) | Self::Revoke(_) | Self::Force(..) | Self::Resume => true,
            Self::List(..)
            | Self::Damaged(_)
            | Self::Show(_)
            | Self::Count(_)
            | Self::Status
            | Self::Report(_) => false,
        }
    }
}

/// What follows [`PATH`] in the path: nothing, `:verb`, `/id` or `/id/verb`.
pub(super) fn parse(arrival: &Arrival, rest: &str) -> Result<Verb, OperationError> {
    let method = &arrival.head.method;
    let (get, post) = (*method == Method::GET, *method == Method::POST);
    let query = arrival.head.uri.query().unwrap_or_default();
    match rest {
        "" if get => list(query),
        ":damaged" if get => damaged(query),
        ":status" if get => Ok(Verb::Status),
        ":report" if get => report(query),
        ":revoke" if post => revoke(&arrival.body),
        ":resume" if post => Ok(Verb::Resume),
        _ => {
            let rest = rest.strip_prefix('/').ok_or_else(no_route)?;
            match rest.split_once('/') {
                None if get => Ok(Verb::Show(lease(rest)?)),
                Some((id, "renew")) if post => Ok(Verb::Renew(lease(id)?, ttl(&arrival.body)?)),
                Some((id, "force")) if post => Ok(Verb::Force(lease(id)?, reason(&arrival.body)?)),
                None | Some(_) => Err(no_route()),
            }
        }
    }
}

fn list(query: &str) -> Result<Verb, OperationError> {
    let mut filter = Filter { scope: Scope::Everything, state: None, with_over: false };
    let mut after = After { lease: None, limit: PAGE };
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "scope" => filter.scope = scope(&value)?,
            "state" if STATES.contains(&&*value) => filter.state = Some(value.into_owned()),
            "after" => after.lease = Some(lease(&value)?),
            "limit" => after.limit = limit(&value)?,
            _ => {
                return Err(malformed(
                    "the query has `scope`, `state` (reserved, active, revoking, revoked), `after` \
                     and `limit`",
                ));
            }
        }
    }
    Ok(Verb::List(filter, after))
}

fn limit(text: &str) -> Result<usize, OperationError> {
    let limit = text.parse().ok().filter(|limit| (1..=PAGE).contains(limit));
    limit.ok_or_else(|| malformed("a `limit` is 1 to 1000"))
}

fn damaged(query: &str) -> Result<Verb, OperationError> {
    let mut after = After { lease: None, limit: PAGE };
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "after" => after.lease = Some(lease(&value)?),
            "limit" => after.limit = limit(&value)?,
            _ => return Err(malformed("the query has `after` and `limit`")),
        }
    }
    Ok(Verb::Damaged(after))
}

fn report(query: &str) -> Result<Verb, OperationError> {
    let mut since = REPORTED;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let seconds = value.parse().ok().filter(|_| name == "since");
        let seconds = seconds.ok_or_else(|| malformed("the query has `since`, in seconds"))?;
        since = Duration::from_secs(seconds);
    }
    Ok(Verb::Report(since))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokeBody {
    #[serde(default)]
    lease: Option<String>,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

fn revoke(bytes: &[u8]) -> Result<Verb, OperationError> {
    let body: RevokeBody = body(bytes)?;
    let ended = match (body.lease, body.scope, body.token) {
        (Some(id), None, None) => lease(&id).map(Ended::One),
        (None, Some(text), None) => scope(&text).map(Ended::All),
        (None, None, Some(token)) => of_token(&Zeroizing::new(token)).map(Ended::All),
        _ => Err(malformed("give exactly one of `lease`, `scope` and `token`")),
    };
    let ended = ended?;
    Ok(if body.dry_run { Verb::Count(ended) } else { Verb::Revoke(ended) })
}

/// The same as the ledger's. The refusal of a token would quote nothing of it, and
/// says nothing that helps: it is left out.
fn of_token(token: &str) -> Result<Scope, OperationError> {
    let token = Compact::parse(token.trim(), MAX_TOKEN_BYTES);
    let token = token.map_err(|_| malformed("what was given as `token` is no token"))?;
    Ok(Scope::Token { digest: leases_of(&token) })
}

fn scope(text: &str) -> Result<Scope, OperationError> {
    if text == "everything" {
        return Ok(Scope::Everything);
    }
    if let Some(alias) = text.strip_prefix("issuer:") {
        return IssuerAlias::parse(alias).map(Scope::Issuer).map_err(|error| named(&error));
    }
    if let Some(principal) = text.strip_prefix("principal:") {
        return identity(principal).map(|identity| Scope::of(&identity));
    }
    if let Some(carrier) = text.strip_prefix("carrier:") {
        return lease(carrier).map(Scope::Carrier);
    }
    let (backend, role) = text.split_once('/').unwrap_or((text, ""));
    let backend = BackendName::parse(backend).map_err(|error| named(&error))?;
    if role.is_empty() {
        return Ok(Scope::Backend(backend));
    }
    let role = RoleName::parse(role).map_err(|error| named(&error))?;
    Ok(Scope::Role { backend, role })
}

fn named(error: &dyn std::error::Error) -> OperationError {
    malformed(&format!(
        "a scope is `everything`, BACKEND/, BACKEND/ROLE, issuer:ALIAS, principal:ALIAS/SUBJECT or \
         carrier:ID: {error}"
    ))
}

fn lease(text: &str) -> Result<LeaseId, OperationError> {
    LeaseId::parse(text).map_err(|_| malformed("that is no id of a lease"))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RenewBody {
    #[serde(default)]
    ttl: Option<u64>,
}

fn ttl(bytes: &[u8]) -> Result<Option<Duration>, OperationError> {
    let wish: RenewBody = if bytes.is_empty() { RenewBody::default() } else { body(bytes)? };
    match wish.ttl {
        Some(0) => Err(malformed("a `ttl` is at least one second")),
        ttl => Ok(ttl.map(Duration::from_secs)),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForceBody {
    reason: String,
}

fn reason(bytes: &[u8]) -> Result<String, OperationError> {
    let reason = body::<ForceBody>(bytes)?.reason;
    let fits = (1..=MAX_REASON_BYTES).contains(&reason.trim().len());
    if fits { Ok(reason) } else { Err(malformed("a `reason` has 1 to 512 bytes")) }
}

/// A lease that an administrator names and that is not there is a slip, and is called one.
#[must_use]
pub fn unknown() -> OperationError {
    let detail = "there is no such lease; `symbolon lease ls` shows them".to_owned();
    OperationError { kind: Kind::Malformed, code: "lease_unknown", detail }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::listen::Peer;

    const ID: &str = "01JBX7K2M9P4QRSTVWXYZ01234";

    fn parsed(method: &str, path: &str, body: &'static str) -> Result<Verb, String> {
        let request = http::Request::builder().method(method).uri(path).body(()).unwrap();
        let head = request.into_parts().0;
        let rest = head.uri.path().strip_prefix(PATH).unwrap().to_owned();
        let body = Bytes::from_static(body.as_bytes());
        let arrival = Arrival { head, body, peer: Peer::User(0) };
        parse(&arrival, &rest).map_err(|error| error.detail)
    }

    fn ended(body: &'static str) -> Result<String, String> {
        parsed("POST", "/v1/leases:revoke", body).map(|verb| match verb {
            Verb::Revoke(ended) => ended.to_string(),
            Verb::Count(ended) => format!("count {ended}"),
            other @ (Verb::List(..)
            | Verb::Damaged(_)
            | Verb::Show(_)
            | Verb::Renew(..)
            | Verb::Force(..)
            | Verb::Resume
            | Verb::Status
            | Verb::Report(_)) => panic!("{other:?}"),
        })
    }

    #[test]
    fn every_verb_is_asked_for_in_its_way() {
        let id = LeaseId::parse(ID).unwrap();
        let path = |tail: &str| format!("/v1/leases/{ID}{tail}");
        let ask = parsed;
        assert_eq!(ask("GET", &path(""), ""), Ok(Verb::Show(id)));
        assert_eq!(ask("POST", &path("/renew"), ""), Ok(Verb::Renew(id, None)));
        let minute = Some(Duration::from_secs(60));
        assert_eq!(ask("POST", &path("/renew"), r#"{"ttl":60}"#), Ok(Verb::Renew(id, minute)));
        let force = Verb::Force(id, "it is gone".to_owned());
        assert_eq!(ask("POST", &path("/force"), r#"{"reason":"it is gone"}"#), Ok(force));
        assert_eq!(ask("POST", "/v1/leases:resume", ""), Ok(Verb::Resume));
        assert_eq!(ask("GET", "/v1/leases:status", ""), Ok(Verb::Status));
        let behind = After { lease: Some(id), limit: 5 };
        let damaged = format!("/v1/leases:damaged?limit=5&after={ID}");
        assert_eq!(ask("GET", &damaged, ""), Ok(Verb::Damaged(behind)));
        assert_eq!(
            ask("GET", "/v1/leases:report?since=60", ""),
            Ok(Verb::Report(Duration::from_secs(60)))
        );
        for (method, path) in [
            ("GET", "/v1/leases:revoke"),
            ("POST", "/v1/leases"),
            ("DELETE", "/v1/leases/01JBX7K2M9P4QRSTVWXYZ01234"),
            ("POST", "/v1/leases/01JBX7K2M9P4QRSTVWXYZ01234/burn"),
            ("GET", "/v1/leasesome"),
        ] {
            assert_eq!(ask(method, path, ""), Err("no such operation".to_owned()), "{path}");
        }
    }

    #[test]
    fn lists_are_narrowed_and_paged() {
        let Ok(Verb::List(filter, after)) = parsed(
            "GET",
            "/v1/leases?scope=principal%3Aci%2Frepo%3Aa%2Fb&state=active&limit=5&after=01JBX7K2M9P4QRSTVWXYZ01234",
            "",
        ) else {
            panic!("it is a list");
        };
        assert_eq!(filter.scope.to_string(), "principal:ci/repo:a/b");
        assert_eq!((filter.state.as_deref(), after.limit), (Some("active"), 5));
        assert_eq!(after.lease.map(|id| id.to_string()).as_deref(), Some(ID));
        for query in ["limit=0", "limit=1001", "state=gone", "scope=", "scop=db", "after=x"] {
            assert!(parsed("GET", &format!("/v1/leases?{query}"), "").is_err(), "{query}");
        }
    }

    #[test]
    fn what_ends_is_named_exactly_once() {
        for (body, expected) in [
            (r#"{"scope":"everything"}"#, "everything"),
            (r#"{"scope":"db"}"#, "db/"),
            (r#"{"scope":"everything/"}"#, "everything/"),
            (r#"{"scope":"db/reader","dry_run":true}"#, "count db/reader"),
            (r#"{"scope":"issuer:ci"}"#, "issuer:ci"),
            (
                r#"{"scope":"carrier:01JBX7K2M9P4QRSTVWXYZ01234"}"#,
                "carrier:01JBX7K2M9P4QRSTVWXYZ01234",
            ),
            (r#"{"lease":"01JBX7K2M9P4QRSTVWXYZ01234"}"#, ID),
        ] {
            assert_eq!(ended(body).as_deref(), Ok(expected), "{body}");
        }
        for body in [
            "",
            "{}",
            r#"{"scope":""}"#,
            r#"{"scope":"db/reader/more"}"#,
            r#"{"scope":"principal:ci"}"#,
            r#"{"scope":"carrier:db"}"#,
            r#"{"scope":"db","lease":"01JBX7K2M9P4QRSTVWXYZ01234"}"#,
            r#"{"scope":"db","dryrun":true}"#,
        ] {
            assert!(ended(body).is_err(), "{body}");
        }
    }

    #[test]
    fn a_token_is_its_digest_at_once_and_a_wrong_one_is_not_quoted() {
        // {"alg":"EdDSA"} {"iss":"a"}
        let token = r#"{"token":"eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJhIn0.AAAA"}"#;
        let verb = parsed("POST", "/v1/leases:revoke", token).unwrap();
        assert!(matches!(&verb, Verb::Revoke(Ended::All(Scope::Token { .. }))), "{verb:?}");
        assert_eq!(verb.object().as_deref(), Some("token"));
        let refused = parsed("POST", "/v1/leases:revoke", r#"{"token":"hunter2"}"#).unwrap_err();
        assert!(!refused.contains("hunter2"), "{refused}");
    }

    #[test]
    fn force_has_a_reason() {
        let path = "/v1/leases/01JBX7K2M9P4QRSTVWXYZ01234/force";
        for body in ["", "{}", r#"{"reason":""}"#, r#"{"reason":"  "}"#] {
            assert!(parsed("POST", path, body).is_err(), "{body}");
        }
    }
}
