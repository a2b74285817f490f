//! What is asked, and what is made of answers. What leaves the plugin is the conformance script's.

use symbolon_plugin::ErrorKind;

use super::*;

const NOW: Timestamp = 1_893_456_000;

fn answer(status: u16, body: &str) -> Response {
    Response {
        status,
        headers: Vec::new(),
        body: body.as_bytes().to_vec(),
    }
}

fn config() -> Config {
    serde_json::from_str(r#"{ "address": "https://sts.example/", "client_id": "gateway" }"#)
        .unwrap()
}

#[test]
fn the_manifest_has_the_schema_of_the_configuration() -> Result<(), String> {
    symbolon_plugin::schema::hold::<Config>(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn an_unsound_configuration_is_refused() {
    for json in [
        r#"{ "address": "http://h", "client_id": "gateway" }"#,
        r#"{ "address": "https://h", "client_id": "" }"#,
    ] {
        let config: Config = serde_json::from_str(json).unwrap();
        let error = Party::validate(&config).err().unwrap();
        assert_eq!(error.kind, ErrorKind::InvalidConfig, "{json}");
    }
}

#[test]
fn the_assertion_is_in_the_body_and_nowhere_else() {
    let asked = ExchangeRequest {
        assertion: "a.b.c".to_owned(),
        scopes: vec!["read".to_owned(), "list".to_owned()],
        ttl: 300,
        attributes: Vec::new(),
        metadata: Vec::new(),
    };
    let request = request(&config(), &asked).unwrap();
    let body = String::from_utf8(request.content().unwrap().to_vec()).unwrap();
    assert!(
        body.contains("assertion=a.b.c&client_id=gateway&scope=read%20list"),
        "{body}"
    );
    assert!(!format!("{request:?}").contains("a.b.c"));
}

#[test]
fn a_token_lasts_no_longer_than_asked() {
    let body = r#"{ "access_token": "t", "token_type": "Bearer", "expires_in": 3600 }"#;
    assert_eq!(
        token(&answer(200, body), 300, NOW).unwrap().expires_at,
        NOW + 300
    );
    assert_eq!(
        token(&answer(200, body), 7200, NOW).unwrap().expires_at,
        NOW + 3600
    );
}

#[test]
fn refusals_have_their_kind_and_no_words_of_the_service() {
    for (status, body, kind) in [
        (
            400,
            r#"{ "error": "invalid_grant", "error_description": "hunter2" }"#,
            ErrorKind::Unauthenticated,
        ),
        (
            401,
            r#"{ "error": "invalid_client" }"#,
            ErrorKind::PermissionDenied,
        ),
        (
            400,
            r#"{ "error": "invalid_scope" }"#,
            ErrorKind::PermissionDenied,
        ),
        (
            400,
            r#"{ "error": "something_new" }"#,
            ErrorKind::InvalidRequest,
        ),
        (503, "hunter2", ErrorKind::Unavailable),
    ] {
        let error = token(&answer(status, body), 300, NOW).err().unwrap();
        assert_eq!(
            (error.kind, error.upstream_status),
            (kind, Some(status)),
            "{body}"
        );
        assert!(!error.message.contains("hunter2"));
    }
}
