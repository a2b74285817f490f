mod exchange;
mod parameters;
mod secrets_manager;

use symbolon_plugin::ErrorKind;
use symbolon_plugin::http::{Request, Response};

use super::*;

/// An answer without headers.
fn answer(status: u16, body: &str) -> Response {
    Response { status, headers: Vec::new(), body: body.as_bytes().to_vec() }
}

fn config(json: &str) -> Config {
    serde_json::from_str(json).expect("a configuration")
}

fn body(request: &Request) -> serde_json::Value {
    serde_json::from_slice(request.content().expect("a body")).expect("JSON")
}

fn selector(path: &str, version: Option<&str>) -> Selector {
    Selector { path: path.to_owned(), version: version.map(str::to_owned) }
}

const ROLE: &str = "arn:aws:iam::123456789012:role/team/billing";

fn sts(more: &str) -> String {
    format!(r#"{{"service":"sts","region":"eu-central-1","role_arn":"{ROLE}"{more}}}"#)
}

#[test]
fn the_manifest_has_the_schema_of_the_configuration() -> Result<(), String> {
    symbolon_plugin::schema::hold::<Config>(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn what_is_not_surely_sound_is_refused() {
    let long = format!(r#","policy":"{{\"Statement\":[],\"Id\":\"{}\"}}""#, "x".repeat(2000));
    for json in [
        sts("").replace("eu-central-1", "eu-central"),
        sts("").replace("eu-central-1", "EU-central-1"),
        sts("").replace("eu-central-1", "eu-central-1.evil"),
        sts("").replace("eu-central-1", "us-iso-east-1"),
        sts("").replace("eu-central-1", "cn-north-1"),
        sts("").replace("arn:aws:", "arn:aws-cn:"),
        sts("").replace(":role/", ":user/"),
        sts("").replace("123456789012", "12345678901"),
        sts("").replace("team/billing", ""),
        sts("").replace("team/billing", "a*b"),
        sts(r#","endpoint":"http://sts.example""#),
        sts(r#","endpoint":"https://sts.example/path""#),
        sts(r#","endpoint":"https://user@sts.example""#),
        sts(r#","duration":899"#),
        sts(r#","duration":43201"#),
        sts(r#","duration":3601,"chain":{}"#),
        sts(r#","session_name":"{request}/{request}""#),
        sts(r#","session_name":"{subject}""#),
        sts(r#","session_name":"x""#),
        sts(r#","policy":"[]""#),
        sts(r#","policy":"{\"Version\":\"2012-10-17\"}""#),
        sts(r#","policy":"{\"Statement\":\"all\"}""#),
        sts(r#","policy":"{\"Statement\":[],\"Id\":\"\u2713\"}""#),
        sts(&long),
        sts(r#","policy_arns":["billing"]"#),
        sts(r#","policy_arns":["arn:aws:iam::aws:policy/a&Action=b"]"#),
        sts(r#","chain":{"external_id":"a b"}"#),
        sts(r#","chain":{"source_identity":"a/b"}"#),
        sts(r#","chain":{"tags":{"aws:x":"y"}}"#),
        sts(r#","chain":{"tags":{"Team":"a","team":"b"}}"#),
        sts(r#","chain":{"transitive_tags":[""]}"#),
        r#"{"service":"secretsmanager","region":"eu-central-1","prefix":"a b"}"#.to_owned(),
        r#"{"service":"secretsmanager","region":"eu-central-1","by":"arn","prefix":"a"}"#
            .to_owned(),
        r#"{"service":"ssm","region":"eu-central-1","prefix":"/a:1"}"#.to_owned(),
        r#"{"service":"ssm","region":"eu-central-1","types":[]}"#.to_owned(),
    ] {
        let error = Aws::validate(&config(&json)).expect_err(&json);
        assert_eq!((error.kind, error.request_sent), (ErrorKind::InvalidConfig, false), "{json}");
    }
}

#[test]
fn keys_of_another_service_are_unknown() {
    for json in [
        r#"{"region":"eu-central-1"}"#.to_owned(),
        r#"{"service":"s3","region":"eu-central-1"}"#.to_owned(),
        r#"{"service":"ssm","region":"eu-central-1","by":"arn"}"#.to_owned(),
        r#"{"service":"secretsmanager","region":"eu-central-1","role_arn":"x"}"#.to_owned(),
        sts(r#","prefix":"/""#),
        sts(r#","chain":{"duration":900}"#),
    ] {
        assert!(serde_json::from_str::<Config>(&json).is_err(), "{json}");
    }
}

#[test]
fn a_host_is_made_of_a_known_region() {
    for (region, endpoint, expected) in [
        ("eu-central-1", None, Some("https://sts.eu-central-1.amazonaws.com/")),
        ("us-gov-west-1", None, Some("https://sts.us-gov-west-1.amazonaws.com/")),
        ("ap-southeast-7", None, Some("https://sts.ap-southeast-7.amazonaws.com/")),
        ("cn-north-1", None, None),
        (
            "cn-north-1",
            Some("https://sts.cn-north-1.amazonaws.com.cn"),
            Some("https://sts.cn-north-1.amazonaws.com.cn/"),
        ),
        (
            "eusc-de-east-1",
            Some("https://sts.eusc-de-east-1.amazonaws.eu/"),
            Some("https://sts.eusc-de-east-1.amazonaws.eu/"),
        ),
        (
            "us-east-1",
            Some("https://sts-fips.us-east-1.amazonaws.com"),
            Some("https://sts-fips.us-east-1.amazonaws.com/"),
        ),
        ("us-east-1", Some("https://"), None),
        ("us-east-0", None, None),
        ("us-east-10", None, None),
        ("us-gov-east", None, None),
        ("evil.example/us-east-1", None, None),
        ("", None, None),
    ] {
        let url = region::url("sts", region, endpoint).ok();
        assert_eq!(url.as_deref(), expected, "{region} {endpoint:?}");
    }
}

#[test]
fn only_whole_arns_of_secrets_are_taken() {
    let arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/db-AbCdE1";
    assert!(arn::is_secret(arn, "aws", "eu-central-1"));
    for other in [
        arn.replace("-AbCdE1", ""),
        arn.replace("-AbCdE1", "-AbCdE"),
        arn.replace("prod/db", ""),
        arn.replace("secret:", "secret:a:"),
        arn.replace("eu-central-1", "us-east-1"),
        arn.replace("arn:aws:", "arn:aws-cn:"),
        arn.replace("123456789012", "12345678901x"),
        "prod/db-AbCdE1".to_owned(),
    ] {
        assert!(!arn::is_secret(&other, "aws", "eu-central-1"), "{other}");
    }
}

/// Every code of every service's table, and what becomes of it.
#[test]
fn every_code_has_its_kind() {
    use ErrorKind as K;
    for (code, status, kind, ours) in [
        ("ResourceNotFoundException", 400, K::NotFound, "absent"),
        ("ParameterNotFound", 400, K::NotFound, "absent"),
        ("ParameterVersionNotFound", 400, K::NotFound, "absent"),
        ("InvalidRequestException", 400, K::NotFound, "deleted"),
        ("InvalidParameterException", 400, K::InvalidConfig, "parameters_refused"),
        ("DecryptionFailure", 400, K::PermissionDenied, "key_refused"),
        ("InvalidKeyId", 400, K::InvalidConfig, "key_invalid"),
        ("InvalidNextTokenException", 400, K::InvalidRequest, "cursor_refused"),
        ("AccessDeniedException", 400, K::PermissionDenied, "access_denied"),
        ("ThrottlingException", 400, K::RateLimited, "throttled"),
        ("UnrecognizedClientException", 400, K::Unauthenticated, "credentials_unknown"),
        ("ExpiredTokenException", 400, K::Unauthenticated, "credentials_expired"),
        ("InvalidSignatureException", 403, K::Unauthenticated, "signature_refused"),
        ("InternalServiceError", 500, K::Unavailable, "service_failed"),
        ("InternalServerError", 500, K::Unavailable, "service_failed"),
        ("ValidationException", 400, K::InvalidRequest, "parameters_refused"),
        ("SomethingNew", 400, K::InvalidRequest, "refused"),
        ("SomethingNew", 503, K::Unavailable, "upstream_error"),
    ] {
        for body in [
            format!(r#"{{"__type":"{code}","Message":"hunter2"}}"#),
            format!(r#"{{"__type":"com.amazonaws.secretsmanager#{code}","message":"hunter2"}}"#),
        ] {
            let error = refusal::of_json(&answer(status, &body));
            assert_eq!((error.kind, error.code.as_str()), (kind, ours), "{code}");
            assert_eq!(error.upstream_status, Some(status), "{code}");
            assert!(error.request_sent && !error.message.contains("hunter2"), "{code}");
        }
        let mut by_header = answer(status, "no JSON");
        by_header.headers =
            vec![("x-amzn-errortype".to_owned(), format!("{code}:http://x/").into())];
        assert_eq!(refusal::of_json(&by_header).code, ours, "{code}");
    }
}

#[test]
fn a_throttle_says_how_long_to_wait() {
    let mut refused = answer(400, r#"{"__type":"ThrottlingException"}"#);
    assert_eq!(refusal::of_json(&refused).retry_after_ms, Some(500));
    refused.headers = vec![("retry-after".to_owned(), b"7".to_vec())];
    assert_eq!(refusal::of_json(&refused).retry_after_ms, Some(7000));
}

#[test]
fn an_answer_without_a_code_is_known_by_its_status() {
    for (status, kind) in [
        (301, ErrorKind::Internal),
        (403, ErrorKind::PermissionDenied),
        (429, ErrorKind::RateLimited),
        (502, ErrorKind::Unavailable),
    ] {
        for body in ["", "<html>", "{}", "[]", r#"{"__type":7}"#] {
            assert_eq!(refusal::of_json(&answer(status, body)).kind, kind, "{status} {body}");
        }
    }
}
