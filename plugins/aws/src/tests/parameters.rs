use symbolon_plugin::Value;

use super::*;
use crate::config::Parameters as Store;
use crate::parameters;

fn store(more: &str) -> Store {
    match config(&format!(r#"{{"service":"ssm","region":"us-east-1"{more}}}"#)) {
        Config::Ssm(store) => store,
        Config::Sts(_) | Config::SecretsManager(_) => panic!("another service"),
    }
}

fn parameter(kind: &str, more: &str) -> String {
    format!(
        r#"{{"Parameters":[{{"Name":"/prod/db","Type":"{kind}","Value":"s","Version":3,
            "LastModifiedDate":1793500000.1{more}}}],"InvalidParameters":["/prod/gone","/prod/db:9"]}}"#
    )
}

fn taken(store: &Store, text: &str, asked: &Selector) -> Result<Secret, Error> {
    parameters::outcome(store, &crate::wire::read(&answer(200, text))?, asked)
}

#[test]
fn values_are_always_asked_for_decrypted() {
    let store = store("");
    let names = [parameters::name(&store, "prod/db").expect("a name")];
    let request = parameters::get(&store, &names).expect("a request");
    assert_eq!(
        body(&request),
        serde_json::json!({ "Names": ["/prod/db"], "WithDecryption": true })
    );
    assert!(format!("{request:?}").starts_with("POST https://ssm.us-east-1.amazonaws.com/ "));
}

#[test]
fn a_parameter_is_given_by_version_and_label() {
    let labelled = parameter("SecureString", r#","Selector":":live""#);
    for (version, expected) in [(None, "3"), (Some("3"), "3"), (Some("live"), "live")] {
        let secret = taken(&store(""), &labelled, &selector("prod/db", version)).expect("a secret");
        assert_eq!(secret.version.as_deref(), Some(expected));
        assert!(matches!(secret.value, Value::Opaque(bytes) if bytes == b"s"));
    }
}

#[test]
fn what_is_not_the_one_asked_for_is_told_apart() {
    let text = parameter("SecureString", "");
    for (path, version, code) in [
        ("prod/gone", None, "absent"),
        ("prod/db", Some("9"), "absent"),
        ("prod/db", Some("2"), "malformed_answer"),
        ("prod/db", Some("live"), "malformed_answer"),
        ("prod/other", None, "malformed_answer"),
        ("prod/db:3", None, "name_malformed"),
        ("prod/d$b", None, "name_malformed"),
    ] {
        let error = taken(&store(""), &text, &selector(path, version)).expect_err(path);
        assert_eq!(error.code, code, "{path} {version:?}");
    }
}

#[test]
fn only_types_that_are_expected_are_given_out() {
    for (types, kind, expected) in [
        ("", "SecureString", true),
        ("", "String", false),
        (r#","types":["String","StringList"]"#, "StringList", true),
        (r#","types":["String"]"#, "SecureString", false),
    ] {
        let outcome = taken(&store(types), &parameter(kind, ""), &selector("prod/db", None));
        let code = outcome.err().map(|error| error.code);
        assert_eq!(code.as_deref(), (!expected).then_some("parameter_type"), "{types} {kind}");
    }
    assert!(taken(&store(""), &parameter("Blob", ""), &selector("prod/db", None)).is_err());
}

#[test]
fn a_listing_asks_for_no_values() {
    let page = parameters::page(&store(""), "/prod/", None).expect("a request");
    let expected = serde_json::json!({
        "Path": "/prod", "Recursive": true, "WithDecryption": false, "MaxResults": 10,
    });
    assert_eq!(body(&page), expected);
    assert_eq!(
        body(&parameters::page(&store(""), "/", Some("n")).expect("a request"))["Path"],
        "/"
    );
    for beginning in ["", "prod/", "/prod"] {
        assert!(parameters::page(&store(""), beginning, None).is_err(), "{beginning}");
    }
}
