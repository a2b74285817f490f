//! What the outside is told, word by word: clients depend on it.

use std::fmt::Write as _;

use symbolon_core::error::{Kind, OauthError};

#[test]
fn each_kind_has_its_status_code_and_title() {
    let mut table = String::new();
    for kind in Kind::ALL {
        let public = kind.public();
        let retry = public.retry_after.map_or(String::new(), |s| format!(" (retry after {s} s)"));
        writeln!(table, "{kind:?}: {} {} \"{}\"{retry}", public.status, public.code, public.title)
            .expect("text");
    }
    assert_eq!(
        table,
        r#"Malformed: 400 malformed "the request is malformed"
Unauthenticated: 401 unauthenticated "no acceptable proof of identity"
Denied: 403 denied "not permitted, or nothing is there"
Absent: 403 denied "not permitted, or nothing is there"
NoRoute: 404 no_route "no such route or method"
Conflict: 409 conflict "the current state does not allow this"
Exhausted: 429 exhausted "a limit is reached, try again later" (retry after 1 s)
Provider: 502 provider "the backend did not give a usable answer"
Unavailable: 503 unavailable "temporarily unavailable, try again later" (retry after 1 s)
Internal: 500 internal "internal error"
"#
    );
}

#[test]
fn each_error_of_oauth_has_its_status_name_and_text() {
    let own = [
        OauthError::Client,
        OauthError::Grant,
        OauthError::Target,
        OauthError::Scope,
        OauthError::TokenType,
        OauthError::Method,
        OauthError::MediaType,
    ];
    let mut table = String::new();
    for error in Kind::ALL.map(OauthError::Of).into_iter().chain(own) {
        let public = error.public();
        let retry = public.retry_after.map_or(String::new(), |s| format!(" (retry after {s} s)"));
        let (status, name, text) = (public.status, public.error, public.description);
        assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\'));
        writeln!(table, "{error:?}: {status} {name} \"{text}\"{retry}").expect("text");
    }
    assert_eq!(
        table,
        r#"Of(Malformed): 400 invalid_request "the request is malformed"
Of(Unauthenticated): 400 invalid_request "no acceptable proof of identity"
Of(Denied): 400 invalid_target "not permitted, or nothing is there"
Of(Absent): 400 invalid_target "not permitted, or nothing is there"
Of(NoRoute): 404 invalid_request "no such route or method"
Of(Conflict): 409 invalid_request "the current state does not allow this"
Of(Exhausted): 429 temporarily_unavailable "a limit is reached, try again later" (retry after 1 s)
Of(Provider): 502 server_error "the backend did not give a usable answer"
Of(Unavailable): 503 temporarily_unavailable "temporarily unavailable, try again later" (retry after 1 s)
Of(Internal): 500 server_error "internal error"
Client: 400 invalid_client "clients do not authenticate here"
Grant: 400 unsupported_grant_type "token exchange is the one grant"
Target: 400 invalid_target "exactly one target that is known and permitted"
Scope: 400 invalid_scope "a scope is unknown or more than there is"
TokenType: 400 unsupported_token_type "tokens of other issuers are not revoked here"
Method: 405 invalid_request "the method is POST"
MediaType: 415 invalid_request "the media type is that of an HTML form"
"#
    );
}
