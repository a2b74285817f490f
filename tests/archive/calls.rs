//! Every function of the contract, called, with what the guests in `guests` answer.

use std::collections::BTreeMap;
use std::time::Duration;

use symbolon_core::ask::Version;
use symbolon_core::clock::Timestamp;
use symbolon_core::id::{LeaseId, RequestId};
use symbolon_core::path::SecretPath;
use symbolon_core::secret::Secret;
use symbolon_host::answer::{
    CredentialState, ExchangeRequest, Fields, IssueRequest, Reference, Role, TokenKind, Value,
};
use symbolon_host::{CallContext, CallError, FaultKind, Generation};

/// The time that guests take it to be.
pub(super) const NOW: i64 = 1_800_000_000;

const HOUR: Duration = Duration::from_secs(3600);

/// Calls what every component has, and what this interface has.
pub(super) async fn all(backend: &Generation, interface: &str) {
    check(backend).await;
    match interface {
        "secrets" => secrets(backend).await,
        "credentials" => credentials(backend).await,
        "exchange" => exchange(backend).await,
        "rotate" => rotate(backend).await,
        other => panic!("{other}: an interface whose functions nobody calls here"),
    }
}

fn context() -> CallContext {
    let request_id = RequestId::new(Timestamp::from_seconds(NOW), 1);
    CallContext { request_id, deadline: HOUR, on_behalf: None }
}

fn path(text: &str) -> SecretPath {
    SecretPath::parse(text).unwrap()
}

fn seconds(time: i64) -> Timestamp {
    Timestamp::from_seconds(time)
}

/// What every guest says of what it answers.
fn is_made(metadata: impl IntoIterator<Item = (String, String)>) {
    let made = [("made".to_owned(), "by hand".to_owned())];
    assert_eq!(metadata.into_iter().collect::<Vec<_>>(), made);
}

fn shown(fields: &Fields) -> BTreeMap<&str, &[u8]> {
    fields.iter().map(|(name, value)| (name.as_str(), value.expose())).collect()
}

async fn check(backend: &Generation) {
    let report = backend.validate(&context()).await.unwrap();
    assert_eq!(report.remarks, [r#"{"key":"value"}"#, "reader"]);
    is_made(report.metadata);
    let report = backend.probe(&context()).await.unwrap();
    assert_eq!(report.remarks, [context().request_id.to_string()]);
}

async fn secrets(backend: &Generation) {
    let version = Version::parse("7").unwrap();
    let opaque = backend.read(&context(), &path("opaque"), Some(&version)).await.unwrap();
    assert_eq!((opaque.version, opaque.expires_at), (Some(version), None));
    assert_eq!(opaque.content_type, "text/plain");
    assert!(matches!(opaque.value, Value::Opaque(bytes) if bytes.expose() == b"by hand"));
    is_made(opaque.metadata);

    let asked = ["fields", "taken", "opaque"].map(|text| (path(text), None));
    let several = backend.read_many(&context(), &asked).await.unwrap();
    let [fields, taken, opaque] = <[_; 3]>::try_from(several).unwrap();
    let fields = fields.unwrap();
    assert_eq!((fields.path, fields.expires_at), (path("fields"), Some(seconds(1_900_000_000))));
    let Value::Fields(values) = fields.value else { panic!("no fields") };
    assert_eq!(shown(&values), BTreeMap::from([("token", b"by hand".as_slice())]));
    is_conflict(&taken.unwrap_err());
    assert_eq!(opaque.unwrap().path, path("opaque"));
    is_conflict(&backend.read(&context(), &path("taken"), None).await.unwrap_err());

    let first = backend.list(&context(), Some(&path("app")), None).await.unwrap();
    assert_eq!((first.names, first.next.as_deref()), (vec!["app".to_owned()], Some("made")));
    let second = backend.list(&context(), Some(&path("app")), Some("made")).await.unwrap();
    assert_eq!(second.next, None);
}

/// The error that has everything that one can have.
fn is_conflict(error: &CallError) {
    let fault = error.fault().unwrap();
    assert_eq!((fault.kind, fault.code.as_str()), (FaultKind::Conflict, "taken"));
    assert_eq!(fault.message, "somebody else has it");
    assert_eq!(fault.retry_after, Some(Duration::from_millis(1500)));
    assert_eq!((fault.said_sent, fault.upstream_status), (true, Some(409)));
    is_made(fault.metadata.clone());
}

async fn credentials(backend: &Generation) {
    let reservation = LeaseId::new(seconds(NOW), 1);
    let role = Role { name: "reader".to_owned(), config: "{}".to_owned() };
    let request = IssueRequest {
        reservation,
        role: role.clone(),
        ttl: HOUR,
        principal: ("ci".to_owned(), "repo:app".to_owned()),
        materials: vec![("colour".to_owned(), Secret::from("blue".to_owned()))],
        metadata: Default::default(),
    };
    let issued = backend.issue(&context(), &request).await.unwrap();
    assert_eq!(issued.reservation, reservation);
    assert_eq!(shown(&issued.fields), BTreeMap::from([("token", b"repo:app".as_slice())]));
    assert_eq!(issued.expires_at, seconds(NOW + 3600));
    assert!(issued.renewable && issued.revocable);
    assert_eq!(issued.handle.expose(), reservation.to_string().as_bytes());
    is_made(issued.metadata);

    let reference = Reference { reservation, role, handle: issued.handle };
    let end = backend.renew(&context(), &reference, HOUR * 2).await.unwrap();
    assert_eq!(end, seconds(NOW + 7200));
    backend.revoke(&context(), &reference).await.unwrap();
    let state = backend.verify(&context(), &reference).await.unwrap();
    assert!(matches!(state, CredentialState::Disabled));
    let page = backend.list_issued(&context(), Some("2")).await.unwrap();
    let listed = LeaseId::parse("01JZZZZZZZ0123456789ABCDEF").unwrap();
    assert_eq!((page.reservations, page.next.as_deref()), (vec![listed], Some("2")));
}

async fn exchange(backend: &Generation) {
    let request = ExchangeRequest {
        assertion: Secret::from("an.assertion.made".to_owned()),
        scopes: vec!["read".to_owned()],
        ttl: HOUR,
        attributes: vec![("team".to_owned(), "shop".to_owned())],
        metadata: Default::default(),
    };
    let token = backend.exchange(&context(), &request).await.unwrap();
    assert_eq!(shown(&token.fields), BTreeMap::from([("token", b"read".as_slice())]));
    assert_eq!((token.kind, token.expires_at), (TokenKind::Bearer, seconds(NOW + 3600)));
    assert_eq!(token.handle.expose(), b"shop");
    is_made(token.metadata);
}

async fn rotate(backend: &Generation) {
    let password = symbolon_host::sql::password().unwrap();
    backend.rotate(&context(), &password).await.unwrap();
}
