mod credentials;

use symbolon_plugin::http::Response;
use symbolon_plugin::{ErrorKind, Value};

use super::*;

fn answer(status: u16, body: &str) -> Response {
    Response { status, headers: Vec::new(), body: body.as_bytes().to_vec() }
}

fn version(data: &str, deletion_time: &str, destroyed: bool) -> String {
    format!(
        r#"{{"request_id":"r","data":{{"data":{data},"metadata":{{"created_time":"2026-10-01T00:00:00.1Z",
            "custom_metadata":null,"deletion_time":"{deletion_time}","destroyed":{destroyed},"version":2}}}},
            "warnings":null,"auth":null}}"#
    )
}

fn config(json: &str) -> Config {
    serde_json::from_str(json).expect("a configuration")
}

#[test]
fn the_manifest_has_the_schema_of_the_configuration() -> Result<(), String> {
    symbolon_plugin::schema::hold::<Config>(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_secret_is_its_fields_with_version_and_birth() {
    let body = version(r#"{"user":"u","port":5432}"#, "", false);
    let secret = kv::secret(answer(200, &body), "prod/db", None).expect("a secret");
    assert_eq!(secret.path, "prod/db");
    assert_eq!(secret.version.as_deref(), Some("2"));
    assert_eq!(secret.expires_at, None);
    assert_eq!(secret.metadata, [("created_time".to_owned(), "2026-10-01T00:00:00.1Z".to_owned())]);
    let Value::Fields(fields) = secret.value else { panic!("bytes") };
    assert_eq!(fields, [("port".to_owned(), b"5432".to_vec()), ("user".to_owned(), b"u".to_vec())]);
}

#[test]
fn a_deletion_to_come_is_the_end_of_the_value() {
    let body = version(r#"{"k":"v"}"#, "2027-01-01T00:00:00Z", false);
    let secret = kv::secret(answer(200, &body), "p", None).expect("a secret");
    assert_eq!(secret.expires_at, Some(1_798_761_600));
}

#[test]
fn the_ways_of_not_being_there_are_told_apart() {
    let deleted = version("null", "2026-10-02T00:00:00Z", false);
    let destroyed = version("null", "", true);
    for (body, code) in [
        (deleted.as_str(), "deleted"),
        (destroyed.as_str(), "destroyed"),
        (r#"{"errors":[]}"#, "absent"),
        ("", "absent"),
        (
            r#"{"data":{"data":{"k":"v"},"metadata":{"version":2,"deletion_time":"","destroyed":false}}}"#,
            "absent",
        ),
    ] {
        let error = kv::secret(answer(404, body), "p", None).expect_err("not there");
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::NotFound, code), "{body}");
        assert_eq!(error.upstream_status, Some(404));
    }
}

#[test]
fn a_malformed_answer_is_refused() {
    for body in [
        "",
        "[]",
        "null",
        "{}",
        r#"{"data":null}"#,
        r#"{"data":{"k":"v"}}"#,
        "<html>",
        &version("null", "", false),
        &version(r#"{"k":"v"}"#, "tomorrow", false),
        &version(r#""text""#, "", false),
    ] {
        let error = kv::secret(answer(200, body), "p", None).expect_err(body);
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Internal, "malformed_answer"));
    }
}

#[test]
fn another_version_than_the_one_asked_is_refused() {
    let body = version(r#"{"k":"v"}"#, "", false);
    assert!(kv::secret(answer(200, &body), "p", Some(2)).is_ok());
    assert!(kv::secret(answer(200, &body), "p", Some(1)).is_err());
}

#[test]
fn a_version_is_a_plain_number() {
    assert_eq!(kv::version(None).expect("none"), None);
    assert_eq!(kv::version(Some("7")).expect("seven"), Some(7));
    for asked in ["0", "-1", "+1", "01", "1&list=true", "", "latest", "99999999999999999999"] {
        let error = kv::version(Some(asked)).expect_err(asked);
        assert_eq!(error.kind, ErrorKind::InvalidRequest);
    }
}

#[test]
fn every_refusal_has_its_kind_and_no_words_of_the_server() {
    for (status, kind, code) in [
        (400, ErrorKind::InvalidRequest, "bad_request"),
        (403, ErrorKind::PermissionDenied, "forbidden"),
        (405, ErrorKind::InvalidConfig, "wrong_engine"),
        (412, ErrorKind::Unavailable, "not_ready"),
        (429, ErrorKind::RateLimited, "quota"),
        (473, ErrorKind::Unavailable, "not_ready"),
        (500, ErrorKind::Unavailable, "server_failed"),
        (502, ErrorKind::Unavailable, "third_party_failed"),
        (503, ErrorKind::Unavailable, "sealed"),
        (307, ErrorKind::Internal, "redirected"),
        (418, ErrorKind::InvalidRequest, "refused"),
    ] {
        let refused = answer(status, r#"{"errors":["the password is hunter2"]}"#);
        let error = kv::secret(refused, "p", None).expect_err("refused");
        assert_eq!((error.kind, error.code.as_str()), (kind, code), "{status}");
        assert_eq!(error.upstream_status, Some(status));
        assert!(!error.message.contains("hunter2"));
    }
}

#[test]
fn a_wait_that_the_server_asks_for_is_passed_on() {
    let mut refused = answer(429, "");
    refused.headers.push(("retry-after".to_owned(), b"3".to_vec()));
    assert_eq!(refusal::of(&refused).retry_after_ms, Some(3000));
}

#[test]
fn a_login_gives_a_token_that_ends_no_later_than_asked() {
    for (lease, ttl, ends, really) in [
        (3600, 600, 1600, Some("4600")),
        (60, 600, 1060, None),
        (600, 600, 1600, None),
        (0, 600, 1600, Some("3153601000")),
    ] {
        let body = format!(
            r#"{{"auth":{{"client_token":"hvs.x","accessor":"a","lease_duration":{lease},"renewable":true}}}}"#
        );
        let token = login::token(answer(200, &body), ttl, 1000).expect("a token");
        assert_eq!(token.kind, "header:x-vault-token");
        assert_eq!(token.fields, [("token".to_owned(), b"hvs.x".to_vec())]);
        assert_eq!((token.expires_at, token.handle.as_slice()), (ends, b"a".as_slice()));
        let said = token.metadata.iter().find(|(name, _)| name == "ends-at");
        assert_eq!(said.map(|(_, value)| value.as_str()), really, "{lease}");
    }
}

#[test]
fn a_login_that_is_refused_is_about_credentials() {
    for (status, kind, code) in [
        (400, ErrorKind::Unauthenticated, "login_refused"),
        (403, ErrorKind::Unauthenticated, "login_refused"),
        (404, ErrorKind::InvalidConfig, "no_auth_method"),
        (429, ErrorKind::RateLimited, "quota"),
        (503, ErrorKind::Unavailable, "sealed"),
    ] {
        let error = login::token(answer(status, "{}"), 60, 0).expect_err("refused");
        assert_eq!((error.kind, error.code.as_str()), (kind, code), "{status}");
        assert_eq!(error.upstream_status, Some(status));
    }
}

#[test]
fn a_login_without_a_usable_token_is_malformed() {
    for body in [
        r#"{"auth":null}"#,
        r#"{"auth":{"client_token":"","lease_duration":1}}"#,
        r#"{"auth":{"client_token":"a\nb","lease_duration":1}}"#,
        r#"{"auth":{"client_token":"a"}}"#,
        "{}",
    ] {
        let error = login::token(answer(200, body), 60, 0).expect_err("refused");
        assert_eq!(error.code, "malformed_answer", "{body}");
    }
}

#[test]
fn a_request_cannot_be_bent_by_its_path() {
    let config = config(r#"{"address":"https://h:8200/","mount":"team/kv","namespace":"n/"}"#);
    let url = |request: symbolon_plugin::http::Request| format!("{request:?}");
    let read = url(request::read(&config, "a b/c?d=1#e", Some(3)).expect("a request"));
    assert!(
        read.contains("https://h:8200/v1/team/kv/data/a%20b/c%3Fd%3D1%23e?version=3"),
        "{read}"
    );
    assert!(read.contains("x-vault-namespace"), "{read}");
    let list = url(request::list(&config, Some("a/b/")).expect("a request"));
    assert!(list.contains("https://h:8200/v1/team/kv/metadata/a/b/?list=true"), "{list}");
    let top = url(request::list(&config, None).expect("a request"));
    assert!(top.contains("https://h:8200/v1/team/kv/metadata/?list=true"), "{top}");
}

#[test]
fn an_unsound_configuration_is_refused() {
    for json in [
        r#"{"address":"http://h"}"#,
        r#"{"address":"https://"}"#,
        r#"{"address":"https://u@h"}"#,
        r#"{"address":"https://h/path"}"#,
        r#"{"address":"https://h","mount":"a/../b"}"#,
        r#"{"address":"https://h","mount":""}"#,
        r#"{"address":"https://h","auth_mount":"a?b"}"#,
        r#"{"address":"https://h","namespace":"a\r\nb"}"#,
    ] {
        let error = Vault::validate(&config(json)).expect_err(json);
        assert_eq!(error.kind, ErrorKind::InvalidConfig, "{json}");
    }
    assert!(Vault::validate(&config(r#"{"address":"https://[::1]:8200"}"#)).is_ok());
}

#[test]
fn a_listing_comes_in_pages() {
    let keys: Vec<String> = (0..1500).map(|n| format!("k{n:04}")).collect();
    let body = serde_json::json!({ "data": { "keys": keys } }).to_string();
    let first = kv::listing(answer(200, &body), None).expect("a page");
    assert_eq!((first.names.len(), first.next.as_deref()), (1000, Some("k0999")));
    let second = kv::listing(answer(200, &body), first.next.as_deref()).expect("a page");
    assert_eq!((second.names.len(), second.next), (500, None));
}

#[test]
fn health_is_a_version_or_a_reason() {
    let body =
        |sealed: bool| format!(r#"{{"initialized":true,"sealed":{sealed},"version":"2.7.2"}}"#);
    assert_eq!(refusal::health(answer(200, &body(false))).expect("open"), "2.7.2");
    for (status, body, code) in [
        (200, body(true), "sealed"),
        (503, body(true), "sealed"),
        (501, String::new(), "uninitialized"),
        (200, "{}".to_owned(), "malformed_answer"),
    ] {
        assert_eq!(refusal::health(answer(status, &body)).expect_err("closed").code, code);
    }
}
