use symbolon_plugin::Value;

use super::*;
use crate::config::Secrets as Store;
use crate::secrets_manager;

fn store(more: &str) -> Store {
    match config(&format!(r#"{{"service":"secretsmanager","region":"us-east-1"{more}}}"#)) {
        Config::SecretsManager(store) => store,
        Config::Sts(_) | Config::Ssm(_) => panic!("another service"),
    }
}

const ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/db-AbCdEf";
const ID: &str = "01234567-89ab-cdef-0123-456789abcdef";

fn entry(value: &str) -> String {
    format!(
        r#"{{"ARN":"{ARN}","Name":"prod/db","VersionId":"{ID}",{value},
            "VersionStages":["AWSCURRENT"],"CreatedDate":1793500000.123}}"#
    )
}

fn taken(store: &Store, body: &str, asked: &Selector) -> Result<Secret, Error> {
    secrets_manager::secret(store, crate::wire::read(&answer(200, body))?, asked)
}

#[test]
fn a_read_says_which_version_and_nothing_else() {
    let store = store("");
    for (version, expected) in [
        (None, serde_json::json!({ "SecretId": "prod/db" })),
        (Some(ID), serde_json::json!({ "SecretId": "prod/db", "VersionId": ID })),
        (
            Some("AWSPREVIOUS"),
            serde_json::json!({ "SecretId": "prod/db", "VersionStage": "AWSPREVIOUS" }),
        ),
    ] {
        let request =
            secrets_manager::get(&store, &selector("prod/db", version)).expect("a request");
        assert_eq!(body(&request), expected);
        assert_eq!(
            format!("{request:?}"),
            r#"POST https://secretsmanager.us-east-1.amazonaws.com/ ["content-type", "x-amz-target"]"#
        );
    }
}

#[test]
fn a_text_is_text_bytes_are_bytes_and_an_object_is_fields_where_asked() {
    let text = entry(r#""SecretString":"{\"user\":\"u\",\"port\":5432}""#);
    let plain = taken(&store(""), &text, &selector("prod/db", None)).expect("a secret");
    assert_eq!((plain.version.as_deref(), plain.path.as_str()), (Some(ID), "prod/db"));
    let Value::Opaque(bytes) = plain.value else { panic!("fields") };
    assert_eq!(bytes, br#"{"user":"u","port":5432}"#);
    let fields =
        taken(&store(r#","json":true"#), &text, &selector("prod/db", None)).expect("fields");
    let Value::Fields(fields) = fields.value else { panic!("bytes") };
    assert_eq!(fields, [("user".to_owned(), b"u".to_vec()), ("port".to_owned(), b"5432".to_vec())]);
    let binary = taken(&store(""), &entry(r#""SecretBinary":"AAEC""#), &selector("prod/db", None))
        .expect("bytes");
    assert_eq!(binary.content_type, "application/octet-stream");
    assert!(matches!(binary.value, Value::Opaque(bytes) if bytes == [0, 1, 2]));
}

#[test]
fn json_that_readers_take_differently_is_refused() {
    for text in [r#"{\"a\":1,\"a\":2}"#, "[1]", "text", r#"{\"a\":1} {}"#, ""] {
        let body = entry(&format!(r#""SecretString":"{text}""#));
        let error =
            taken(&store(r#","json":true"#), &body, &selector("prod/db", None)).expect_err(text);
        assert_eq!(error.code, "value_not_json", "{text}");
    }
}

#[test]
fn another_secret_or_version_than_the_one_asked_is_refused() {
    let body = entry(r#""SecretString":"s""#);
    for (path, version, expected) in [
        ("prod/db", Some(ID), None),
        ("prod/db", Some("AWSCURRENT"), None),
        ("prod/db", Some("AWSPREVIOUS"), Some("malformed_answer")),
        ("prod/other", None, Some("malformed_answer")),
        ("prod/DB", None, Some("malformed_answer")),
        ("prod/d b", None, Some("name_malformed")),
        (ARN, None, Some("name_malformed")),
    ] {
        let outcome = taken(&store(""), &body, &selector(path, version));
        let code = outcome.as_ref().err().map(|error| error.code.as_str());
        assert_eq!(code, expected, "{path} {version:?}");
        assert!(
            outcome.is_err() || outcome.is_ok_and(|s| s.version.as_deref() == version),
            "{path}"
        );
    }
}

#[test]
fn by_arn_only_whole_arns_are_paths() {
    let store = store(r#","by":"arn""#);
    assert!(taken(&store, &entry(r#""SecretString":"s""#), &selector(ARN, None)).is_ok());
    for path in ["prod/db", &ARN.replace("-AbCdEf", ""), &ARN.replace("us-east-1", "eu-west-1")] {
        assert_eq!(secrets_manager::id(&store, path).expect_err(path).code, "name_malformed");
    }
    let listed = secrets_manager::list(&store, None, None).expect_err("no folders");
    assert_eq!(listed.kind, ErrorKind::Unsupported);
}

#[test]
fn neither_nor_both_values_are_malformed() {
    for value in [
        r#""KmsKeyId":"k""#,
        r#""SecretString":"a","SecretBinary":"AAEC""#,
        r#""SecretString":"a","SecretString":"b""#,
        r#""SecretBinary":"not base64!""#,
    ] {
        let error = taken(&store(""), &entry(value), &selector("prod/db", None)).expect_err(value);
        assert_eq!(error.code, "malformed_answer", "{value}");
    }
}

#[test]
fn a_prefix_keeps_the_backend_in_its_folder() {
    let store = store(r#","prefix":"team/""#);
    assert_eq!(secrets_manager::id(&store, "prod/db").expect("an id"), "team/prod/db");
    let page = secrets_manager::page(&store, "team/", Some("n")).expect("a request");
    let expected = serde_json::json!({
        "MaxResults": 100, "NextToken": "n", "Filters": [{ "Key": "name", "Values": ["team/"] }],
    });
    assert_eq!(body(&page), expected);
}

#[test]
fn a_batch_answers_each_in_its_place_and_fails_each_by_itself() {
    let store = store("");
    let found = secrets_manager::Found::of(&format!(
        r#"{{"SecretValues":[{}],"Errors":[
            {{"SecretId":"prod/gone","ErrorCode":"ResourceNotFoundException","Message":"hunter2"}},
            {{"SecretId":"prod/closed","ErrorCode":"AccessDeniedException"}}]}}"#,
        entry(r#""SecretString":"s""#)
    ));
    for (path, expected) in [
        ("prod/db", Ok(())),
        ("prod/gone", Err("absent")),
        ("prod/closed", Err("access_denied")),
        ("prod/unmentioned", Err("malformed_answer")),
        ("pro d", Err("name_malformed")),
    ] {
        let outcome = found.outcome(&store, &selector(path, None));
        assert_eq!(
            outcome.map(drop).map_err(|error| error.code),
            expected.map_err(str::to_owned),
            "{path}"
        );
    }
}
