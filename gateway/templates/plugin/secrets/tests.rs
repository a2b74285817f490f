//! What is asked, and what is made of answers. What leaves the plugin is the conformance script's.

use symbolon_plugin::{ErrorKind, Value};

use super::*;

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
    let headers = headers
        .iter()
        .map(|(n, v)| ((*n).to_owned(), v.as_bytes().to_vec()))
        .collect();
    Response {
        status,
        headers,
        body: body.as_bytes().to_vec(),
    }
}

fn asked(version: Option<&str>) -> Selector {
    Selector {
        path: "app/db".to_owned(),
        version: version.map(str::to_owned),
    }
}

#[test]
fn the_manifest_has_the_schema_of_the_configuration() -> Result<(), String> {
    symbolon_plugin::schema::hold::<Config>(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn no_path_leaves_its_folder() {
    let config: Config =
        serde_json::from_str(r#"{ "address": "https://h.example/", "folder": "team" }"#).unwrap();
    assert_eq!(
        config.url("secrets", "a b/c?d").unwrap(),
        "https://h.example/v1/secrets/team/a%20b/c%3Fd"
    );
    assert_eq!(
        config.url("secrets", "").unwrap(),
        "https://h.example/v1/secrets/team"
    );
}

#[test]
fn an_unsound_configuration_is_refused() {
    for json in [
        r#"{ "address": "http://h" }"#,
        r#"{ "address": "https://h/path" }"#,
    ] {
        let config: Config = serde_json::from_str(json).unwrap();
        let error = Backend::validate(&config).err().unwrap();
        assert_eq!(error.kind, ErrorKind::InvalidConfig, "{json}");
    }
    assert!(serde_json::from_str::<Config>(r#"{ "address": "https://h", "more": 1 }"#).is_err());
}

#[test]
fn a_secret_is_read_with_its_version_and_end() {
    let body = r#"{ "value": "hunter2", "version": "3", "expires_at": 1893456000 }"#;
    let secret = secret(&answer(200, &[], body), asked(None)).unwrap();
    assert_eq!(
        (secret.path.as_str(), secret.version.as_deref()),
        ("app/db", Some("3"))
    );
    assert_eq!(secret.expires_at, Some(1_893_456_000));
    assert!(matches!(secret.value, Value::Opaque(bytes) if bytes == b"hunter2"));
}

#[test]
fn another_version_than_the_one_asked_is_no_answer() {
    let body = r#"{ "value": "hunter2", "version": "3" }"#;
    assert!(secret(&answer(200, &[], body), asked(Some("3"))).is_ok());
    let error = secret(&answer(200, &[], body), asked(Some("2")))
        .err()
        .unwrap();
    assert_eq!(error.code, "malformed_answer");
}

#[test]
fn pages_go_on_from_what_the_server_said() {
    let page = listing(&answer(200, &[], r#"{ "names": ["a", "b"], "next": "b" }"#)).unwrap();
    assert_eq!((page.names.len(), page.next.as_deref()), (2, Some("b")));
    let last = listing(&answer(200, &[], r#"{ "names": ["c"], "next": null }"#)).unwrap();
    assert_eq!(last.next, None);
}

#[test]
fn refusals_have_their_kind_and_no_words_of_the_server() {
    for (status, kind, code) in [
        (401, ErrorKind::Unauthenticated, "unauthenticated"),
        (403, ErrorKind::PermissionDenied, "forbidden"),
        (404, ErrorKind::NotFound, "absent"),
        (410, ErrorKind::NotFound, "deleted"),
        (423, ErrorKind::Unavailable, "locked"),
        (429, ErrorKind::RateLimited, "rate_limited"),
        (503, ErrorKind::Unavailable, "upstream_error"),
    ] {
        let error = refusal(&answer(status, &[("retry-after", "7")], "hunter2"));
        assert_eq!((error.kind, error.code.as_str()), (kind, code), "{status}");
        assert_eq!(
            (error.retry_after_ms, error.upstream_status),
            (Some(7000), Some(status))
        );
        assert!(!error.message.contains("hunter2"));
    }
}
