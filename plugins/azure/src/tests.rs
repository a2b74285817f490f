mod exchange;
mod secrets;

use symbolon_plugin::ErrorKind;
use symbolon_plugin::http::Response;

use super::*;

const TENANT: &str = "11111111-2222-3333-4444-555555555555";
const CLIENT: &str = "aaaaaaaa-0000-0000-0000-bbbbbbbbbbbb";

fn answer(status: u16, body: &str) -> Response {
    Response { status, headers: Vec::new(), body: body.as_bytes().to_vec() }
}

fn config(json: &str) -> Config {
    serde_json::from_str(json).expect("a configuration")
}

fn target(more: &str) -> Config {
    config(&format!(r#"{{"tenant":"{TENANT}","client_id":"{CLIENT}"{more}}}"#))
}

fn backend() -> Config {
    config(r#"{"vault":"https://acme-prod.vault.azure.net/"}"#)
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
    let of_target = |more: &str| format!(r#"{{"tenant":"{TENANT}","client_id":"{CLIENT}"{more}}}"#);
    for json in [
        of_target(""),
        of_target(r#","resource":"https://management.azure.com","cloud":"public""#),
        of_target(r#","resource":"api://aaaaaaaa-0000-0000-0000-bbbbbbbbbbbb""#),
        of_target(r#","cloud":"china""#),
        format!(r#"{{"tenant":"acme.onmicrosoft.com","client_id":"{CLIENT}"}}"#),
        r#"{"vault":"https://acme.vault.azure.net"}"#.to_owned(),
        r#"{"vault":"https://acme.vault.azure.cn","cloud":"china"}"#.to_owned(),
        r#"{"vault":"https://acme.vault.usgovcloudapi.net","cloud":"us-government","certificates":"pkcs12","tell_deleted":true}"#.to_owned(),
    ] {
        assert!(Azure::validate(&config(&json)).is_ok(), "{json}");
    }
}

#[test]
fn an_unsound_configuration_is_refused() {
    let vault = |url: &str| format!(r#"{{"vault":"{url}"}}"#);
    for json in [
        "{}".to_owned(),
        format!(r#"{{"tenant":"{TENANT}"}}"#),
        format!(r#"{{"client_id":"{CLIENT}"}}"#),
        format!(r#"{{"tenant":"common","client_id":"{CLIENT}"}}"#),
        format!(r#"{{"tenant":"organizations","client_id":"{CLIENT}"}}"#),
        format!(r#"{{"tenant":"a/b","client_id":"{CLIENT}"}}"#),
        format!(r#"{{"tenant":"..","client_id":"{CLIENT}"}}"#),
        format!(r#"{{"tenant":"{TENANT}","client_id":"app"}}"#),
        format!(r#"{{"tenant":"{TENANT}","client_id":"{CLIENT}","resource":"https://x y"}}"#),
        format!(
            r#"{{"tenant":"{TENANT}","client_id":"{CLIENT}","resource":"https://x/.default"}}"#
        ),
        format!(r#"{{"tenant":"{TENANT}","client_id":"{CLIENT}","tell_deleted":true}}"#),
        format!(
            r#"{{"tenant":"{TENANT}","client_id":"{CLIENT}","vault":"https://acme.vault.azure.net"}}"#
        ),
        vault("http://acme.vault.azure.net"),
        vault("https://acme.vault.azure.net:8443"),
        vault("https://acme.vault.azure.net/secrets"),
        vault("https://acme.vault.azure.net.evil.example"),
        vault("https://evilvault.azure.net"),
        vault("https://a.b.vault.azure.net"),
        vault("https://u@acme.vault.azure.net"),
        vault("https://acme.vault.azure.cn"),
        vault("https://localhost"),
        vault(""),
    ] {
        let error = Azure::validate(&config(&json)).expect_err(&json);
        assert_is(&error, ErrorKind::InvalidConfig, "config_unsound", &json);
    }
    assert!(serde_json::from_str::<Config>(r#"{"valut":"x"}"#).is_err());
    assert!(serde_json::from_str::<Config>(r#"{"cloud":"germany"}"#).is_err());
}
