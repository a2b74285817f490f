//! From method, path and body of a call to an operation.

use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use symbolon_core::error::Kind;
use symbolon_core::id::IssuerAlias;
use symbolon_core::principal::Identity;

use super::{Operation, OperationError, Whom, backends, issuers, leases, plugins};
use crate::listen::Arrival;

/// Method, path and name of every operation: what tests of every operation go through.
///
/// `{lease}`, `{backend}` and `{issuer}` stand for an id, a name and an alias, `{component}` for
/// `NAME@VERSION` or a digest.
pub const ROUTES: [(&str, &str, &str); 34] = [
    ("GET", "/v1/status", "status"),
    ("POST", "/v1/reload", "reload"),
    ("GET", "/v1/plugins", "plugin.ls"),
    ("GET", "/v1/plugins/{component}", "plugin.inspect"),
    ("GET", "/v1/plugins/{component}/grants", "plugin.grants"),
    ("GET", "/v1/issuers", "issuer.ls"),
    ("GET", "/v1/issuers/{issuer}", "issuer.show"),
    ("POST", "/v1/issuers:test", "issuer.test"),
    ("GET", "/v1/targets", "target.ls"),
    ("GET", "/metrics", "metrics"),
    ("GET", "/v1/locks", "lock.ls"),
    ("POST", "/v1/locks", "lock"),
    ("DELETE", "/v1/locks", "unlock"),
    ("POST", "/v1/sessions:revoke", "revoke-sessions"),
    ("POST", "/v1/keys:rotate", "keys.rotate"),
    ("GET", "/v1/audit/anchor", "audit.anchor"),
    ("POST", "/v1/audit:hash", "audit.hash"),
    ("GET", "/v1/leases", "lease.ls"),
    ("GET", "/v1/leases:status", "lease.status"),
    ("GET", "/v1/leases:report", "lease.report"),
    ("GET", "/v1/leases:damaged", "lease.damaged"),
    ("POST", "/v1/leases:revoke", "lease.revoke"),
    ("POST", "/v1/leases:resume", "lease.resume"),
    ("GET", "/v1/leases/{lease}", "lease.show"),
    ("POST", "/v1/leases/{lease}/renew", "lease.renew"),
    ("POST", "/v1/leases/{lease}/force", "lease.force"),
    ("POST", "/v1/backends/{backend}/probe", "backend.probe"),
    ("POST", "/v1/backends/{backend}/reconcile", "backend.reconcile"),
    ("POST", "/v1/backends/{backend}/rotate-root", "backend.rotate-root"),
    ("POST", "/v1/backends/{backend}/activate", "backend.activate"),
    ("POST", "/v1/backends/{backend}/rollback", "backend.rollback"),
    ("POST", "/v1/plugins", "plugin.install"),
    ("POST", "/v1/plugins:remove", "plugin.remove"),
    ("POST", "/v1/plugins:release", "plugin.release"),
];

/// Method and path to operation, as in [`ROUTES`].
pub(super) fn parse(arrival: &Arrival) -> Result<Operation, OperationError> {
    let (method, path) = (&arrival.head.method, arrival.head.uri.path());
    let get = *method == Method::GET;
    let post = *method == Method::POST;
    if let Some(rest) = path.strip_prefix(leases::PATH) {
        return leases::parse(arrival, rest).map(Operation::Leases);
    }
    if let Some(rest) = path.strip_prefix(backends::PATH) {
        return backends::parse(arrival, rest).map(Operation::Backend);
    }
    if let Some(rest) = path.strip_prefix(plugins::PATH) {
        return plugins::parse(arrival, rest).map(Operation::Plugins);
    }
    if let Some(rest) = path.strip_prefix(issuers::PATH).filter(|rest| !rest.is_empty()) {
        return issuers::parse(arrival, rest).map(Operation::Issuer);
    }
    match path {
        "/v1/status" if get => Ok(Operation::Status),
        "/v1/reload" if post => Ok(Operation::Reload),
        "/v1/issuers" if get => Ok(Operation::Issuers),
        "/v1/targets" if get => Ok(Operation::Targets),
        "/metrics" if get => Ok(Operation::Metrics),
        "/v1/locks" if get => Ok(Operation::Locks),
        "/v1/locks" if post => {
            let (whom, reason) = somebody(&arrival.body)?;
            Ok(Operation::Lock(whom, reason))
        }
        "/v1/locks" if *method == Method::DELETE => {
            Ok(Operation::Unlock(somebody(&arrival.body)?.0))
        }
        "/v1/sessions:revoke" if post => Ok(Operation::RevokeSessions(whom(&arrival.body)?.0)),
        "/v1/keys:rotate" if post => Ok(Operation::RotateKeys),
        "/v1/audit/anchor" if get => Ok(Operation::AuditAnchor),
        "/v1/audit:hash" if post => {
            let body: HashBody = body(&arrival.body)?;
            Ok(Operation::HashValue(body.value))
        }
        _ => Err(no_route()),
    }
}

pub(super) fn no_route() -> OperationError {
    let detail = "no such operation".to_owned();
    OperationError { kind: Kind::NoRoute, code: "no_route", detail }
}

/// Longest reason given for a lock.
pub(super) const MAX_REASON_BYTES: usize = 512;
/// Longest subject of a principal that an issuer can be configured for.
const MAX_SUBJECT_BYTES: usize = 2048;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HashBody {
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhomBody {
    #[serde(default)]
    principal: Option<String>,
    #[serde(default)]
    issuer: Option<String>,
    #[serde(default)]
    everybody: bool,
    #[serde(default)]
    reason: String,
}

pub(super) fn body<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, OperationError> {
    serde_json::from_slice(bytes).map_err(|error| malformed(&error.to_string()))
}

/// Exactly one of `principal` (`<issuer>/<subject>`), `issuer` and `everybody`.
fn whom(bytes: &Bytes) -> Result<(Whom, String), OperationError> {
    let body: WhomBody = body(bytes)?;
    if body.reason.len() > MAX_REASON_BYTES {
        return Err(malformed("a `reason` has at most 512 bytes"));
    }
    let whom = match (body.principal, body.issuer, body.everybody) {
        (Some(principal), None, false) => identity(&principal).map(Whom::Principal),
        (None, Some(issuer), false) => IssuerAlias::parse(&issuer)
            .map(Whom::Issuer)
            .map_err(|error| malformed(&error.to_string())),
        (None, None, true) => Ok(Whom::Everybody),
        _ => Err(malformed("give exactly one of `principal`, `issuer` and `everybody`")),
    };
    Ok((whom?, body.reason))
}

/// A lock is on a principal or an issuer; there is no lock on everybody, since stopping the gateway
/// does that.
fn somebody(bytes: &Bytes) -> Result<(Whom, String), OperationError> {
    match whom(bytes)? {
        (Whom::Everybody, _) => Err(malformed("a lock is on a `principal` or an `issuer`")),
        found @ (Whom::Principal(_) | Whom::Issuer(_), _) => Ok(found),
    }
}

pub(super) fn identity(text: &str) -> Result<Identity, OperationError> {
    let (issuer, subject) = text
        .split_once('/')
        .filter(|(_, subject)| (1..=MAX_SUBJECT_BYTES).contains(&subject.len()))
        .ok_or_else(|| {
            malformed("a principal is written <issuer>/<subject>, at most 2048 bytes")
        })?;
    let issuer = IssuerAlias::parse(issuer).map_err(|error| malformed(&error.to_string()))?;
    Ok(Identity { issuer, subject: subject.to_owned() })
}

pub(super) fn malformed(detail: &str) -> OperationError {
    OperationError { kind: Kind::Malformed, code: "malformed", detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen::Peer;

    fn arrival(method: &str, path: &str, body: &'static str) -> Arrival {
        let request = http::Request::builder().method(method).uri(path).body(()).unwrap();
        let head = request.into_parts().0;
        Arrival { head, body: Bytes::from_static(body.as_bytes()), peer: Peer::User(0) }
    }

    fn parsed(method: &str, path: &str, body: &'static str) -> Result<Operation, Kind> {
        parse(&arrival(method, path, body)).map_err(|error| error.kind)
    }

    #[test]
    fn routes_name_operations() {
        assert_eq!(parsed("GET", "/v1/status", ""), Ok(Operation::Status));
        assert_eq!(parsed("POST", "/v1/status", ""), Err(Kind::NoRoute));
        let issuer = IssuerAlias::parse("ci").unwrap();
        let principal = Identity { issuer: issuer.clone(), subject: "repo:a/b".to_owned() };
        assert_eq!(
            parsed("POST", "/v1/locks", r#"{"principal":"ci/repo:a/b","reason":"leaked"}"#),
            Ok(Operation::Lock(Whom::Principal(principal), "leaked".to_owned()))
        );
        assert_eq!(
            parsed("POST", "/v1/sessions:revoke", r#"{"issuer":"ci"}"#),
            Ok(Operation::RevokeSessions(Whom::Issuer(issuer)))
        );
    }

    #[test]
    fn the_table_of_routes_is_what_is_parsed() {
        for (method, path, name) in ROUTES {
            let body = match name {
                "lock" | "unlock" | "revoke-sessions" => r#"{"issuer":"ci"}"#,
                "audit.hash" => r#"{"value":"a"}"#,
                "lease.revoke" => r#"{"scope":"db/"}"#,
                "lease.force" => r#"{"reason":"gone"}"#,
                "issuer.test" => r#"{"token":"a.b.c"}"#,
                "plugin.install" => r#"{"component":"AGFzbQ==","source":"a.wasm"}"#,
                "plugin.remove" | "plugin.release" | "backend.activate" => {
                    r#"{"component":"static@0.1.0"}"#
                }
                _ => "",
            };
            let named = path.replace("{lease}", "01JBX7K2M9P4QRSTVWXYZ01234");
            let named = named.replace("{backend}", "db").replace("{issuer}", "ci");
            let named = named.replace("{component}", "static@0.1.0");
            let operation = parsed(method, &named, body).unwrap();
            assert_eq!(operation.name(), name, "{method} {path}");
        }
    }

    #[test]
    fn nobody_is_locked_by_accident() {
        for body in [
            "",
            "{}",
            r#"{"everybody":true}"#,
            r#"{"principal":"ci"}"#,
            r#"{"principal":"ci/"}"#,
            r#"{"principal":"ci/a","issuer":"ci"}"#,
            r#"{"principle":"ci/a"}"#,
        ] {
            assert_eq!(parsed("POST", "/v1/locks", body), Err(Kind::Malformed), "{body}");
        }
    }
}
