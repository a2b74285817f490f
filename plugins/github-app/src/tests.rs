use symbolon_plugin::ErrorKind;
use symbolon_plugin::http::Response;

use super::*;

const SPAN: (u64, u64) = (600, 1_793_520_000);

fn config(json: &str) -> Config {
    serde_json::from_str(json).expect("a configuration")
}

fn shop() -> Config {
    config(
        r#"{"installation":12345678,"repositories":["shop","shop.docs"],"repository_ids":[456789],
            "permissions":{"contents":"write","pull_requests":"read"}}"#,
    )
}

fn all() -> Wanted {
    Wanted::of(&shop(), &[]).expect("all of it")
}

fn answer(status: u16, body: &str) -> Response {
    Response { status, headers: Vec::new(), body: body.as_bytes().to_vec() }
}

fn given(permissions: &str, selection: &str, more: &str) -> Response {
    let body = format!(
        r#"{{"token":"ghs_1_a.b.c","expires_at":"2026-11-01T09:00:00Z","permissions":{permissions},
            "repository_selection":"{selection}"{more}}}"#
    );
    answer(201, &body)
}

fn scopes(scopes: &[&str]) -> Vec<String> {
    scopes.iter().map(|scope| (*scope).to_owned()).collect()
}

#[test]
fn the_manifest_has_the_schema_of_the_configuration() -> Result<(), String> {
    symbolon_plugin::schema::hold::<Config>(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn an_unsound_configuration_is_refused() {
    let with =
        |more: &str| format!(r#"{{"installation":1,"permissions":{{"contents":"read"}},{more}}}"#);
    let many = vec![r#""a""#; 501].join(",");
    for json in [
        r#"{"installation":0,"repositories":["a"],"permissions":{"contents":"read"}}"#.to_owned(),
        r#"{"installation":1,"permissions":{"contents":"read"}}"#.to_owned(),
        r#"{"installation":1,"repositories":["a"],"permissions":{}}"#.to_owned(),
        r#"{"installation":1,"repositories":["a"],"permissions":{"Contents":"read"}}"#.to_owned(),
        with(r#""repositories":["acme/a"]"#),
        with(r#""repositories":[""]"#),
        with(&format!(r#""repositories":[{many}]"#)),
        with(r#""repositories":["a"],"address":"http://ghe.example/api/v3""#),
        with(r#""repositories":["a"],"address":"https://ghe.example/api""#),
        with(r#""repositories":["a"],"address":"https://u@ghe.example/api/v3""#),
        with(r#""repositories":["a"],"address":"https:///api/v3""#),
        with(r#""repositories":["a"],"address":"https://ghe.example/api/v3?x""#),
    ] {
        let error = GithubApp::validate(&config(&json)).expect_err(&json);
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::InvalidConfig, "config_unsound"));
    }
    for json in [
        with(r#""repository_ids":[1]"#),
        with(r#""repositories":["a"],"address":"https://ghe.example:8443/api/v3/""#),
        with(r#""repositories":["a"],"address":"https://api.acme.ghe.com""#),
    ] {
        assert!(GithubApp::validate(&config(&json)).is_ok(), "{json}");
    }
    for json in [with(r#""repos":[]"#), with(r#""repositories":["a"],"installation":1"#)] {
        assert!(serde_json::from_str::<Config>(&json).is_err(), "{json}");
    }
    let level = r#"{"installation":1,"repositories":["a"],"permissions":{"contents":"all"}}"#;
    assert!(serde_json::from_str::<Config>(level).is_err());
}

#[test]
fn always_repositories_and_permissions_are_named() {
    let body = serde_json::to_value(all()).expect("JSON");
    assert_eq!(
        body,
        serde_json::json!({ "repositories": ["shop", "shop.docs"], "repository_ids": [456_789],
            "permissions": { "contents": "write", "pull_requests": "read" } })
    );
}

#[test]
fn scopes_only_narrow() {
    for (asked, body) in [
        (
            &["contents:read"][..],
            serde_json::json!({ "repositories": ["shop", "shop.docs"], "repository_ids": [456_789],
                "permissions": { "contents": "read" } }),
        ),
        (
            &["repository:shop", "contents:write"],
            serde_json::json!({ "repositories": ["shop"], "permissions": { "contents": "write" } }),
        ),
        (
            &["repository_id:456789"],
            serde_json::json!({ "repository_ids": [456_789],
                "permissions": { "contents": "write", "pull_requests": "read" } }),
        ),
    ] {
        let wanted = Wanted::of(&shop(), &scopes(asked)).expect("narrower");
        assert_eq!(serde_json::to_value(wanted).expect("JSON"), body, "{asked:?}");
    }
    for asked in [
        &["contents:admin"][..],
        &["pull_requests:write"],
        &["issues:read"],
        &["contents"],
        &["contents:"],
        &["contents:all"],
        &["contents:read", "contents:write"],
        &["repository:other"],
        &["repository:SHOP"],
        &["repository_id:0456789"],
        &["repository_id:1"],
        &[""],
        &["contents:read", "issues:read"],
    ] {
        let error = Wanted::of(&shop(), &scopes(asked)).expect_err("wider");
        assert_eq!(
            (error.kind, error.code.as_str()),
            (ErrorKind::InvalidRequest, "scope_not_granted")
        );
        assert!(!error.request_sent, "{asked:?}");
    }
}

#[test]
fn a_token_ends_no_later_than_asked() {
    let answer = given(
        r#"{"contents":"write","metadata":"read"}"#,
        "selected",
        r#","repositories":[{"id":1,"name":"Shop","full_name":"acme/shop"},{"id":456789,"name":"x"}]"#,
    );
    let token = token::token(&answer, &all(), SPAN).expect("a token");
    assert_eq!((token.kind.as_str(), token.expires_at), ("bearer", SPAN.1 + 600));
    assert_eq!(token.fields, [("token".to_owned(), b"ghs_1_a.b.c".to_vec())]);
    let hour = token::token(&answer, &all(), (86_400, SPAN.1)).expect("a token");
    assert_eq!((hour.expires_at, hour.metadata), (SPAN.1 + 3600, Vec::new()));
    let really = ("ends-at".to_owned(), (SPAN.1 + 3600).to_string());
    assert_eq!(token.metadata, [really], "GitHub does not make it shorter");
}

#[test]
fn a_token_that_can_do_more_is_refused() {
    for answer in [
        given(r#"{"contents":"admin"}"#, "selected", ""),
        given(r#"{"issues":"read"}"#, "selected", ""),
        given(r#"{"metadata":"write"}"#, "selected", ""),
        given(r#"{"contents":"everything"}"#, "selected", ""),
        given("{}", "all", ""),
        given("{}", "", ""),
        given("{}", "selected", r#","repositories":[{"id":1,"name":"other"}]"#),
    ] {
        let error = token::token(&answer, &all(), SPAN).expect_err("refused");
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Internal, "token_too_wide"));
    }
}

#[test]
fn a_malformed_answer_is_refused() {
    for body in [
        "",
        "{}",
        r#"{"token":"","expires_at":"2026-11-01T09:00:00Z","repository_selection":"selected"}"#,
        r#"{"token":"x","expires_at":"soon","repository_selection":"selected"}"#,
        r#"{"token":"x","expires_at":"2026-11-01T07:00:00Z","repository_selection":"selected"}"#,
        r#"{"token":"x\ny","expires_at":"2026-11-01T09:00:00Z","repository_selection":"selected"}"#,
    ] {
        let error = token::token(&answer(201, body), &all(), SPAN).expect_err(body);
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Internal, "malformed_answer"));
    }
}

#[test]
fn every_refusal_has_its_kind_and_no_words_of_github() {
    let refused = |status: u16, headers: &[(&str, &str)]| {
        let mut answer = answer(status, r#"{"message":"hunter2","status":"x"}"#);
        let pairs =
            headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        answer.headers.extend(pairs);
        answer
    };
    for (refused, kind, code, wait) in [
        (refused(401, &[]), ErrorKind::Unauthenticated, "app_refused", None),
        (refused(403, &[]), ErrorKind::PermissionDenied, "suspended", None),
        (
            refused(403, &[("retry-after", "60")]),
            ErrorKind::RateLimited,
            "rate_limit",
            Some(60_000),
        ),
        (
            refused(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1793520030")]),
            ErrorKind::RateLimited,
            "rate_limit",
            Some(30_000),
        ),
        (refused(429, &[]), ErrorKind::RateLimited, "rate_limit", None),
        (refused(404, &[]), ErrorKind::InvalidConfig, "unknown_installation", None),
        (refused(422, &[]), ErrorKind::InvalidConfig, "not_granted", None),
        (refused(500, &[]), ErrorKind::Unavailable, "upstream_error", None),
        (refused(301, &[]), ErrorKind::Internal, "redirected", None),
        (refused(200, &[]), ErrorKind::Other, "unexpected_status", None),
    ] {
        let error = token::token(&refused, &all(), SPAN).expect_err("refused");
        assert_eq!((error.kind, error.code.as_str()), (kind, code), "{}", refused.status);
        assert_eq!(
            (error.upstream_status, error.retry_after_ms),
            (Some(refused.status), wait),
            "{code}"
        );
        assert!(error.request_sent && !error.message.contains("hunter2"), "{code}");
    }
}

#[test]
fn the_request_is_for_one_installation() {
    let server = config(
        r#"{"address":"https://ghe.example/api/v3/","installation":7,"repositories":["a"],"permissions":{"contents":"read"}}"#,
    );
    for (config, expected) in [
        (shop(), "POST https://api.github.com/app/installations/12345678/access_tokens "),
        (server, "POST https://ghe.example/api/v3/app/installations/7/access_tokens "),
    ] {
        let wanted = Wanted::of(&config, &[]).expect("all of it");
        let shown = format!("{:?}", token::request(&config, &wanted).expect("a request"));
        assert!(shown.starts_with(expected) && shown.contains("user-agent"), "{shown}");
    }
}
