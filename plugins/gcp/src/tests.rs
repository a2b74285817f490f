mod exchange;
mod secrets;

use symbolon_plugin::ErrorKind;
use symbolon_plugin::http::Response;

use super::*;

const PROVIDER: &str =
    "projects/837509470220/locations/global/workloadIdentityPools/gw-pool/providers/symbolon";

fn answer(status: u16, body: &str) -> Response {
    Response { status, headers: Vec::new(), body: body.as_bytes().to_vec() }
}

/// A refusal as `google.rpc` has it, with words that must not be repeated.
fn refused(status: u16, code: &str) -> Response {
    let body = serde_json::json!({ "error": {
        "code": status, "status": code, "message": "hunter2", "details": [{ "reason": "hunter2" }],
    } });
    answer(status, &body.to_string())
}

fn config(json: &str) -> Config {
    serde_json::from_str(json).expect("a configuration")
}

fn target(more: &str) -> Config {
    config(&format!(r#"{{"provider":"{PROVIDER}"{more}}}"#))
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
fn a_configuration_is_of_a_target_or_of_a_backend() {
    for json in [
        format!(r#"{{"provider":"{PROVIDER}"}}"#),
        format!(
            r#"{{"provider":"{PROVIDER}","service_account":"a@p.iam.gserviceaccount.com",
                "delegates":["b@p.iam.gserviceaccount.com"],"scopes":["openid"]}}"#
        ),
        format!(
            r#"{{"provider":"{PROVIDER}","service_account":"1-compute@developer.gserviceaccount.com",
                "id_token":{{"audience":"https://svc"}}}}"#
        ),
        r#"{"project":"acme-prod"}"#.to_owned(),
        r#"{"project":"example.com:shop","location":"europe-west3"}"#.to_owned(),
        r#"{"project":"837509470220"}"#.to_owned(),
    ] {
        assert!(Gcp::validate(&config(&json)).is_ok(), "{json}");
    }
}

#[test]
fn an_unsound_configuration_is_refused() {
    let of_target = |more: &str| format!(r#"{{"provider":"{PROVIDER}",{more}}}"#);
    for json in [
        "{}".to_owned(),
        of_target(r#""project":"p-prod""#),
        of_target(r#""location":"eu""#),
        of_target(r#""scopes":[]"#),
        of_target(r#""scopes":["a b"]"#),
        of_target(r#""service_account":"nobody@example.com""#),
        of_target(r#""service_account":"a/b@p.iam.gserviceaccount.com""#),
        of_target(r#""service_account":"a@p?.gserviceaccount.com""#),
        of_target(r#""delegates":["a@p.iam.gserviceaccount.com"]"#),
        of_target(r#""id_token":{"audience":"x"}"#),
        of_target(r#""service_account":"a@p.iam.gserviceaccount.com","id_token":{"audience":""}"#),
        of_target(
            r#""service_account":"a@p.iam.gserviceaccount.com","id_token":{"audience":"x"},"scopes":["openid"]"#,
        ),
        PROVIDER.replace("837509470220", "acme-prod"),
        PROVIDER.replace("gw-pool", "gcp-pool"),
        PROVIDER.replace("gw-pool", "a"),
        PROVIDER.replace("global", "europe-west3"),
        format!("{PROVIDER}/x"),
        r#"{"project":"p","scopes":["openid"]}"#.to_owned(),
        r#"{"project":"p","service_account":"a@p.iam.gserviceaccount.com"}"#.to_owned(),
        r#"{"project":"a/b"}"#.to_owned(),
        r#"{"project":"../x"}"#.to_owned(),
        r#"{"project":""}"#.to_owned(),
        r#"{"project":"p","location":"evil.example"}"#.to_owned(),
        r#"{"project":"p","location":"eu/"}"#.to_owned(),
    ] {
        let json = if json.starts_with('{') { json } else { format!(r#"{{"provider":"{json}"}}"#) };
        let error = Gcp::validate(&config(&json)).expect_err(&json);
        assert_is(&error, ErrorKind::InvalidConfig, "config_unsound", &json);
    }
    assert!(serde_json::from_str::<Config>(r#"{"projct":"p"}"#).is_err());
}
