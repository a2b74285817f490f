use symbolon_plugin::http::Response;
use symbolon_plugin::{ErrorKind, Value};

use super::*;

/// `tls.crt` and `tls.key`, in base64.
const LEAF: &str = include_str!("tests/leaf.b64");
const KEY: &str = include_str!("tests/key.b64");

fn config(json: &str) -> Config {
    serde_json::from_str(json).expect("a configuration")
}

fn one() -> Config {
    config(r#"{"address":"https://10.0.0.1:6443/","namespace":"billing"}"#)
}

fn several() -> Config {
    config(r#"{"address":"https://k8s.example","namespaces":["billing","shop"],"list":true}"#)
}

fn answer(status: u16, body: &str) -> Response {
    Response { status, headers: Vec::new(), body: body.as_bytes().to_vec() }
}

fn object(kind: &str, name: &str, r#type: &str, data: &str) -> Response {
    let body = format!(
        r#"{{"kind":"{kind}","apiVersion":"v1","metadata":{{"name":"{name}","namespace":"billing","uid":"u",
            "resourceVersion":"12345","creationTimestamp":"2026-10-01T00:00:00Z"}},
            "type":"{type}","immutable":false,"data":{data}}}"#
    );
    answer(200, &body)
}

fn opened(answer: &Response) -> Result<Secret, Error> {
    let config = one();
    let place = Place::of("db", &config)?;
    secret::opened(answer, "db", place, None)
}

fn refused(status: u16, reason: &str) -> Response {
    let body = format!(
        r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"hunter2","reason":"{reason}","code":{status}}}"#
    );
    answer(status, &body)
}

fn assert_is(error: &Error, kind: ErrorKind, code: &str, what: &str) {
    assert_eq!((error.kind, error.code.as_str()), (kind, code), "{what}");
    assert!(!error.message.contains("hunter2"), "{what}");
}

#[test]
fn the_manifest_has_the_schema_of_the_configuration() -> Result<(), String> {
    symbolon_plugin::schema::hold::<Config>(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_secret_is_its_fields() {
    let secret = opened(&object("Secret", "db", "Opaque", r#"{"password":"czNjcjN0","b":"AP8="}"#));
    let secret = secret.expect("a secret");
    assert_eq!((secret.path.as_str(), secret.version.as_deref()), ("db", Some("12345")));
    let described = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let metadata = [described("type", "Opaque"), described("created_time", "2026-10-01T00:00:00Z")];
    assert_eq!(secret.metadata, metadata);
    let Value::Fields(fields) = secret.value else { panic!("bytes") };
    let expected = [("b".to_owned(), vec![0, 255]), ("password".to_owned(), b"s3cr3t".to_vec())];
    assert_eq!(fields, expected);
    for empty in ["null", "{}"] {
        let secret = opened(&object("Secret", "db", "Opaque", empty)).expect("a secret");
        assert!(matches!(secret.value, Value::Fields(fields) if fields.is_empty()), "{empty}");
    }
}

#[test]
fn a_certificate_has_the_names_that_certificates_have() {
    let data = format!(r#"{{"tls.crt":"{LEAF}","tls.key":"{KEY}","ca.crt":"Y2E="}}"#);
    let secret = opened(&object("Secret", "db", "kubernetes.io/tls", &data)).expect("a secret");
    assert!(secret.expires_at.is_some());
    assert!(secret.metadata.contains(&("kind".to_owned(), "tls".to_owned())));
    let Value::Fields(fields) = secret.value else { panic!("bytes") };
    let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["certificate", "private_key", "ca.crt"]);
    for data in [r#"{"tls.crt":"","tls.key":""}"#, "{}"] {
        let error = opened(&object("Secret", "db", "kubernetes.io/tls", data)).expect_err(data);
        assert_is(&error, ErrorKind::Conflict, "certificate_unreadable", data);
    }
}

#[test]
fn a_malformed_answer_is_refused() {
    for answer in [
        answer(200, ""),
        answer(200, "{}"),
        object("ConfigMap", "db", "Opaque", "{}"),
        object("Secret", "other", "Opaque", "{}"),
        object("Secret", "db", "Opaque", r#"{"k":"czNjcjN0\n"}"#),
        object("Secret", "db", "Opaque", r#"{"k":"%"}"#),
        object("Secret", "db", "Opaque", r#"{"k":7}"#),
        refused(200, "Forbidden"),
    ] {
        let error = opened(&answer).expect_err("refused");
        assert_is(&error, ErrorKind::Internal, "malformed_answer", "a malformed answer");
    }
}

#[test]
fn only_the_present_version_is_there() {
    let (config, answer) = (one(), object("Secret", "db", "Opaque", "{}"));
    let place = Place::of("db", &config).expect("a place");
    assert!(secret::opened(&answer, "db", place, Some("12345")).is_ok());
    let error = secret::opened(&answer, "db", place, Some("12344")).expect_err("gone");
    assert_is(&error, ErrorKind::NotFound, "absent", "an older version");
}

#[test]
fn every_refusal_has_its_kind_and_no_words_of_the_server() {
    for (refused, kind, code) in [
        (refused(400, "BadRequest"), ErrorKind::InvalidRequest, "bad_request"),
        (refused(401, "Unauthorized"), ErrorKind::Unauthenticated, "unauthorized"),
        (refused(403, "Forbidden"), ErrorKind::PermissionDenied, "forbidden"),
        (refused(404, "NotFound"), ErrorKind::NotFound, "absent"),
        (answer(404, "<html>"), ErrorKind::InvalidConfig, "no_api"),
        (refused(410, "Expired"), ErrorKind::Conflict, "expired"),
        (refused(429, "TooManyRequests"), ErrorKind::RateLimited, "too_many_requests"),
        (refused(500, "ServerTimeout"), ErrorKind::Timeout, "server_timeout"),
        (refused(504, "Timeout"), ErrorKind::Timeout, "server_timeout"),
        (refused(500, "InternalError"), ErrorKind::Unavailable, "upstream_error"),
        (refused(503, "ServiceUnavailable"), ErrorKind::Unavailable, "upstream_error"),
        (answer(302, ""), ErrorKind::Internal, "redirected"),
    ] {
        let status = refused.status;
        for error in [
            opened(&refused).expect_err("refused"),
            secret::listing(&refused).expect_err("refused"),
            secret::version(&refused).expect_err("refused"),
        ] {
            assert_is(&error, kind, code, code);
            assert_eq!(error.upstream_status, Some(status), "{code}");
        }
    }
    let body = r#"{"kind":"Status","reason":"TooManyRequests","details":{"retryAfterSeconds":7}}"#;
    assert_eq!(opened(&answer(429, body)).expect_err("busy").retry_after_ms, Some(7000));
    let mut busy = refused(429, "TooManyRequests");
    busy.headers.push(("retry-after".to_owned(), b"3".to_vec()));
    assert_eq!(opened(&busy).expect_err("busy").retry_after_ms, Some(3000));
}

#[test]
fn a_path_is_in_a_granted_namespace() {
    let (one, several) = (one(), several());
    let place = |namespace, name| Place { namespace, name };
    assert_eq!(Place::of("db", &one).expect("a place"), place("billing", "db"));
    assert_eq!(Place::of("shop/my.db", &several).expect("a place"), place("shop", "my.db"));
    for (path, config, code) in [
        ("billing/db", &one, "path_impossible"),
        ("db", &several, "path_impossible"),
        ("shop/a/b", &several, "path_impossible"),
        ("shop/A", &several, "path_impossible"),
        ("shop/a_b", &several, "path_impossible"),
        ("shop/-a", &several, "path_impossible"),
        ("shop/a..b", &several, "path_impossible"),
        ("kube-system/db", &several, "namespace_not_granted"),
        ("Shop/db", &several, "namespace_not_granted"),
    ] {
        let error = Place::of(path, config).expect_err(path);
        assert_eq!((error.code.as_str(), error.request_sent), (code, false), "{path}");
    }
    assert_eq!(place::folder(None, &one).expect("the one"), Some("billing"));
    assert_eq!(place::folder(None, &several).expect("the top"), None);
    assert_eq!(place::folder(Some("shop"), &several).expect("one"), Some("shop"));
    for (folder, config) in [("kube-system", &several), ("shop/x", &several), ("billing", &one)] {
        assert!(place::folder(Some(folder), config).is_err(), "{folder}");
    }
}

#[test]
fn a_listing_is_names_alone() {
    let list = |kind: &str, next: &str| {
        let body = format!(
            r#"{{"kind":"{kind}","metadata":{{"continue":"{next}"}},"items":[{{"metadata":{{"name":"a"}}}}]}}"#
        );
        secret::listing(&answer(200, &body))
    };
    let page = list("PartialObjectMetadataList", "eyJ").expect("a page");
    assert_eq!((page.names, page.next.as_deref()), (vec!["a".to_owned()], Some("eyJ")));
    assert_eq!(list("PartialObjectMetadataList", "").expect("the last").next, None);
    let values = list("SecretList", "").expect_err("with values");
    assert_is(&values, ErrorKind::Internal, "malformed_answer", "with values");
    assert!(list("PartialObjectMetadataList", &"x".repeat(1025)).is_err());
    let request = format!("{:?}", request::list(&several(), "shop", Some("a&b")).expect("one"));
    let expected = "https://k8s.example/api/v1/namespaces/shop/secrets?limit=500&continue=a%26b ";
    assert!(request.contains(expected), "{request}");
}

#[test]
fn an_unsound_configuration_is_refused() {
    for json in [
        r#"{"address":"https://h"}"#,
        r#"{"address":"https://h","namespace":"a","namespaces":["b"]}"#,
        r#"{"address":"https://h","namespaces":[]}"#,
        r#"{"address":"https://h","namespace":"A"}"#,
        r#"{"address":"https://h","namespace":"a/b"}"#,
        r#"{"address":"https://h","namespaces":["a",".."]}"#,
        r#"{"address":"http://h","namespace":"a"}"#,
        r#"{"address":"https://h/x","namespace":"a"}"#,
        r#"{"address":"https://u@h","namespace":"a"}"#,
        r#"{"address":"https://","namespace":"a"}"#,
    ] {
        let error = Kubernetes::validate(&config(json)).expect_err(json);
        assert_is(&error, ErrorKind::InvalidConfig, "config_unsound", json);
    }
    assert!(Kubernetes::validate(&one()).is_ok() && Kubernetes::validate(&several()).is_ok());
    assert!(serde_json::from_str::<Config>(r#"{"address":"https://h","ns":"a"}"#).is_err());
}
