//! Logins.

use super::*;

fn refused(status: u16, error: &str, number: Option<u32>) -> Response {
    let codes = number.map(|number| format!(r#","error_codes":[{number}]"#)).unwrap_or_default();
    let body = format!(
        r#"{{"error":"{error}","error_description":"AADSTS: hunter2"{codes},"trace_id":"t"}}"#
    );
    answer(status, &body)
}

#[test]
fn a_login_gives_a_token_that_ends_no_later_than_asked() {
    for (lasts, ttl, ends) in [(3599, 300, 1300), (60, 300, 1060)] {
        let body = format!(
            r#"{{"token_type":"Bearer","expires_in":{lasts},"ext_expires_in":{lasts},"access_token":"eyJ0.x.y"}}"#
        );
        let token = login::token(&answer(200, &body), ttl, 1000).expect("a token");
        assert_eq!((token.kind.as_str(), token.expires_at), ("bearer", ends));
    }
    let error = login::token(&answer(200, "{}"), 60, 0).expect_err("refused");
    assert_is(&error, ErrorKind::Internal, "malformed_answer", "no token");
}

#[test]
fn every_refusal_is_told_by_its_number() {
    for (number, kind) in [
        (70_021, ErrorKind::InvalidConfig),
        (700_211, ErrorKind::InvalidConfig),
        (700_212, ErrorKind::InvalidConfig),
        (700_213, ErrorKind::InvalidConfig),
        (7_002_131, ErrorKind::InvalidConfig),
        (700_024, ErrorKind::Unauthenticated),
        (700_027, ErrorKind::Unauthenticated),
        (700_016, ErrorKind::InvalidConfig),
        (7_000_215, ErrorKind::InvalidConfig),
        (70_011, ErrorKind::InvalidConfig),
        (50_001, ErrorKind::InvalidConfig),
        (500_011, ErrorKind::InvalidConfig),
        (90_002, ErrorKind::InvalidConfig),
        (50_196, ErrorKind::RateLimited),
        (90_033, ErrorKind::Unavailable),
        (999_999, ErrorKind::Unauthenticated),
    ] {
        let refused = refused(401, "invalid_client", Some(number));
        let error = login::token(&refused, 60, 0).expect_err("refused");
        assert_is(&error, kind, &format!("aadsts_{number}"), "a number");
        assert_eq!((error.upstream_status, error.request_sent), (Some(401), true), "{number}");
        assert_eq!(error.retry_after_ms.is_some(), number == 70_021, "{number}");
    }
}

#[test]
fn without_a_number_the_word_counts_and_without_both_the_status() {
    for (refused, kind, code) in [
        (refused(401, "invalid_client", None), ErrorKind::Unauthenticated, "login_refused"),
        (refused(400, "invalid_scope", None), ErrorKind::InvalidConfig, "login_impossible"),
        (refused(400, "unauthorized_client", None), ErrorKind::InvalidConfig, "login_impossible"),
        (
            refused(503, "temporarily_unavailable", None),
            ErrorKind::Unavailable,
            "temporarily_unavailable",
        ),
        (answer(429, ""), ErrorKind::RateLimited, "rate_limited"),
        (answer(500, "<html>"), ErrorKind::Unavailable, "upstream_error"),
        (answer(302, ""), ErrorKind::Internal, "redirected"),
        (
            answer(400, r#"{"error":"invalid_client","error_codes":["AADSTS700213"]}"#),
            ErrorKind::Unauthenticated,
            "login_refused",
        ),
    ] {
        let error = login::token(&refused, 60, 0).expect_err("refused");
        assert_is(&error, kind, code, code);
    }
}

#[test]
fn the_login_goes_to_the_authority_of_the_cloud() {
    for (cloud, authority) in [
        ("public", "login.microsoftonline.com"),
        ("us-government", "login.microsoftonline.us"),
        ("china", "login.partner.microsoftonline.cn"),
    ] {
        let config = target(&format!(r#","cloud":"{cloud}""#));
        let shown = format!("{:?}", login::request(&config, "a.b.c").expect("a request"));
        let expected = format!("POST https://{authority}/{TENANT}/oauth2/v2.0/token ");
        assert!(shown.starts_with(&expected), "{shown}");
    }
}

#[test]
fn the_login_says_what_entra_wants_to_hear() {
    let request = login::request(&target(""), "h.p.s").expect("a request");
    let expected = "client_id=aaaaaaaa-0000-0000-0000-bbbbbbbbbbbb\
        &scope=https%3A%2F%2Fvault.azure.net%2F.default&grant_type=client_credentials\
        &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
        &client_assertion=h.p.s";
    assert_eq!(request.content(), Some(expected.as_bytes()));
}

#[test]
fn there_is_one_scope_and_no_other() {
    let config = target("");
    let scope = "https://vault.azure.net/.default".to_owned();
    assert!(login::check_scopes(&config, &[]).is_ok());
    assert!(login::check_scopes(&config, std::slice::from_ref(&scope)).is_ok());
    for other in ["https://management.azure.com/.default", "https://vault.azure.net", ""] {
        let error = login::check_scopes(&config, &[scope.clone(), other.to_owned()]);
        assert_is(&error.expect_err(other), ErrorKind::InvalidRequest, "scope_not_granted", other);
    }
}
