//! The token service, and service accounts.

use super::*;

const SPAN: (u64, u64) = (900, 1_793_520_000);

fn oauth(status: u16, error: &str) -> Response {
    answer(status, &format!(r#"{{"error":"{error}","error_description":"hunter2"}}"#))
}

fn granted(more: &str) -> Response {
    answer(
        200,
        &format!(
            r#"{{"access_token":"ya29.d.x","issued_token_type":"urn:ietf:params:oauth:token-type:access_token",
                "token_type":"Bearer","expires_in":3599{more}}}"#
        ),
    )
}

#[test]
fn the_federated_token_ends_no_later_than_asked() {
    let token = token::federated(&granted(""), SPAN).expect("a token");
    assert_eq!((token.kind.as_str(), token.expires_at), ("bearer", SPAN.1 + 900));
    assert_eq!(token::text(&token).expect("text"), "ya29.d.x");
    for body in [
        r#"{"access_token":"x","token_type":"Bearer","expires_in":60}"#,
        r#"{"access_token":"x","issued_token_type":"urn:x","token_type":"Bearer","expires_in":60}"#,
    ] {
        let error = token::federated(&answer(200, body), SPAN).expect_err("refused");
        assert_is(&error, ErrorKind::Internal, "malformed_answer", body);
    }
}

#[test]
fn every_refusal_of_the_token_service_has_its_kind() {
    for (refused, kind, code) in [
        (oauth(400, "invalid_grant"), ErrorKind::Unauthenticated, "invalid_grant"),
        (oauth(400, "invalid_request"), ErrorKind::InvalidConfig, "invalid_request"),
        (oauth(400, "invalid_target"), ErrorKind::InvalidConfig, "unknown_provider"),
        (oauth(400, "invalid_scope"), ErrorKind::InvalidConfig, "invalid_scope"),
        (oauth(401, "unauthorized_client"), ErrorKind::PermissionDenied, "attribute_condition"),
        (oauth(429, "quota_exceeded"), ErrorKind::RateLimited, "quota"),
        (oauth(400, "a_new_word"), ErrorKind::InvalidRequest, "refused"),
        (refused(403, "PERMISSION_DENIED"), ErrorKind::PermissionDenied, "permission_denied"),
        (refused(503, "UNAVAILABLE"), ErrorKind::Unavailable, "upstream_error"),
        (answer(302, ""), ErrorKind::Internal, "redirected"),
        (answer(500, "<html>"), ErrorKind::Unavailable, "upstream_error"),
    ] {
        let status = refused.status;
        let error = token::federated(&refused, SPAN).expect_err("refused");
        assert_is(&error, kind, code, code);
        assert_eq!((error.upstream_status, error.request_sent), (Some(status), true), "{code}");
    }
}

#[test]
fn a_token_of_a_service_account_ends_when_google_says_and_no_later_than_asked() {
    for (ends, expected) in
        [("2026-11-01T08:10:00Z", SPAN.1 + 600), ("2026-11-01T09:00:00.5Z", SPAN.1 + 900)]
    {
        let body = format!(r#"{{"accessToken":"ya29.c.y","expireTime":"{ends}"}}"#);
        let token = token::impersonated(&answer(200, &body), SPAN).expect("a token");
        assert_eq!(token.expires_at, expected, "{ends}");
        assert_eq!(token.fields, [("token".to_owned(), b"ya29.c.y".to_vec())]);
    }
    for body in [
        "{}",
        r#"{"accessToken":"x","expireTime":"tomorrow"}"#,
        r#"{"accessToken":"x","expireTime":"2026-11-01T08:00:00Z"}"#,
        r#"{"accessToken":"a b","expireTime":"2026-11-01T08:10:00Z"}"#,
    ] {
        let error = token::impersonated(&answer(200, body), SPAN).expect_err(body);
        assert_is(&error, ErrorKind::Internal, "malformed_answer", body);
    }
}

#[test]
fn the_end_of_an_id_token_stands_in_itself() {
    // {"alg":"RS256"} . {"aud":"https://svc","exp":1793520600} . x
    let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJodHRwczovL3N2YyIsImV4cCI6MTc5MzUyMDYwMH0.eA";
    let body = format!(r#"{{"token":"{jwt}"}}"#);
    let token = token::identity(&answer(200, &body), SPAN).expect("a token");
    assert_eq!(token.expires_at, 1_793_520_600);
    for token in ["", "a", "a.b.c", "e30.e30.e30"] {
        let body = format!(r#"{{"token":"{token}"}}"#);
        let error = token::identity(&answer(200, &body), SPAN).expect_err(token);
        assert_is(&error, ErrorKind::Internal, "malformed_answer", token);
    }
}

#[test]
fn a_refusal_of_impersonation_is_about_the_set_up() {
    for (status, word, kind, code) in [
        (400, "INVALID_ARGUMENT", ErrorKind::InvalidConfig, "impersonation_invalid"),
        (400, "FAILED_PRECONDITION", ErrorKind::InvalidConfig, "impersonation_invalid"),
        (401, "UNAUTHENTICATED", ErrorKind::Unauthenticated, "unauthenticated"),
        (403, "PERMISSION_DENIED", ErrorKind::PermissionDenied, "impersonation_denied"),
        (404, "NOT_FOUND", ErrorKind::InvalidConfig, "no_service_account"),
        (429, "RESOURCE_EXHAUSTED", ErrorKind::RateLimited, "quota"),
        (500, "INTERNAL", ErrorKind::Unavailable, "upstream_error"),
        (504, "DEADLINE_EXCEEDED", ErrorKind::Timeout, "upstream_timeout"),
    ] {
        for error in [
            token::impersonated(&refused(status, word), SPAN).expect_err("refused"),
            token::identity(&refused(status, word), SPAN).expect_err("refused"),
        ] {
            assert_is(&error, kind, code, word);
            assert_eq!(error.upstream_status, Some(status), "{word}");
        }
    }
}

#[test]
fn the_exchange_says_what_google_wants_to_hear() {
    let body = |request: &symbolon_plugin::http::Request| {
        String::from_utf8(request.content().unwrap_or_default().to_vec()).expect("text")
    };
    let direct = target(r#","scopes":["https://a","https://b"]"#);
    let request = request::federate(&direct, "h.p.s", &direct.scopes()).expect("a request");
    let expected = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
        &audience=%2F%2Fiam.googleapis.com%2Fprojects%2F837509470220%2Flocations%2Fglobal%2F\
        workloadIdentityPools%2Fgw-pool%2Fproviders%2Fsymbolon&scope=https%3A%2F%2Fa%20https%3A%2F%2Fb\
        &requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token\
        &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&subject_token=h.p.s";
    assert_eq!(body(&request), expected);
    let account = "a@p.iam.gserviceaccount.com";
    let config = target(&format!(
        r#","service_account":"{account}","delegates":["b@p.iam.gserviceaccount.com"]"#
    ));
    let request = request::federate(&config, "h.p.s", &config.scopes()).expect("a request");
    assert!(body(&request).contains("&scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fiam&"));
    let request = request::access_token(&config, account, &["https://a"], 7200);
    assert_eq!(
        body(&request),
        r#"{"delegates":["projects/-/serviceAccounts/b@p.iam.gserviceaccount.com"],"scope":["https://a"],"lifetime":"3600s"}"#
    );
    let asked = crate::config::IdToken { audience: "https://svc".to_owned(), include_email: true };
    let request = request::id_token(&target(""), account, &asked);
    assert_eq!(body(&request), r#"{"audience":"https://svc","includeEmail":true}"#);
    let expected = format!("/v1/projects/-/serviceAccounts/{account}:generateIdToken ");
    assert!(format!("{request:?}").contains(&expected), "{request:?}");
}

#[test]
fn scopes_only_narrow() {
    let asked = |scopes: &[&str]| scopes.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let config = target(r#","scopes":["https://a","https://b"]"#);
    assert_eq!(token::scopes(&config, &[]).expect("all"), ["https://a", "https://b"]);
    assert_eq!(token::scopes(&config, &asked(&["https://b"])).expect("one"), ["https://b"]);
    for scopes in [&["https://c"][..], &["https://a", "https://c"], &["https://a/b"], &[""]] {
        let error = token::scopes(&config, &asked(scopes)).expect_err("refused");
        assert_is(&error, ErrorKind::InvalidRequest, "scope_not_granted", "scopes");
        assert!(!error.request_sent);
    }
    let default = target("");
    let all = token::scopes(&default, &[]).expect("all");
    assert_eq!(all, ["https://www.googleapis.com/auth/cloud-platform"]);
}
