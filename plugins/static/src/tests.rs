use symbolon_plugin::{Context, ErrorKind, Value};

use super::*;

fn call(config: &str) -> Call<Config> {
    Call {
        config: serde_json::from_str(config).expect("a configuration"),
        context: Context { request_id: "r".to_owned(), deadline_in_ms: 1000, metadata: Vec::new() },
    }
}

fn read(config: &str, path: &str, version: Option<&str>) -> Result<Secret, Error> {
    let selector = Selector { path: path.to_owned(), version: version.map(str::to_owned) };
    Static::read(&call(config), selector)
}

fn bytes(secret: Secret) -> Vec<u8> {
    match secret.value {
        Value::Opaque(bytes) => bytes,
        Value::Fields(_) => panic!("fields"),
    }
}

#[test]
fn the_manifest_has_the_schema_of_the_configuration() -> Result<(), String> {
    symbolon_plugin::schema::hold::<Config>(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn text_is_read_as_it_stands() {
    let secret = read(r#"{"secrets":{"a/b":"hello"}}"#, "a/b", None).expect("a secret");
    assert_eq!(secret.path, "a/b");
    assert_eq!(secret.content_type, "text/plain; charset=utf-8");
    assert_eq!(bytes(secret), b"hello");
}

#[test]
fn bytes_are_decoded_and_keep_their_media_type() {
    let config = r#"{"secrets":{"k":{"base64":"AAH/","content_type":"application/x-key"}}}"#;
    let secret = read(config, "k", None).expect("a secret");
    assert_eq!(secret.content_type, "application/x-key");
    assert_eq!(bytes(secret), [0, 1, 255]);
}

#[test]
fn fields_are_named() {
    let secret =
        read(r#"{"secrets":{"d":{"fields":{"user":"u","pass":"p"}}}}"#, "d", None).expect("it");
    let Value::Fields(fields) = secret.value else { panic!("bytes") };
    assert_eq!(fields, [("pass".to_owned(), b"p".to_vec()), ("user".to_owned(), b"u".to_vec())]);
}

#[test]
fn the_newest_version_is_the_last_and_others_are_found_by_name() {
    let config = r#"{"secrets":{"v":[{"text":"old","version":"1"},{"text":"new","version":"2"}]}}"#;
    assert_eq!(bytes(read(config, "v", None).expect("newest")), b"new");
    let old = read(config, "v", Some("1")).expect("the first");
    assert_eq!(old.version.as_deref(), Some("1"));
    assert_eq!(bytes(old), b"old");
}

#[test]
fn what_is_not_there_is_absent() {
    for (path, version) in [("b", None), ("a", Some("7")), ("A", None), ("a/", None)] {
        let error = read(r#"{"secrets":{"a":"x"}}"#, path, version).expect_err("absent");
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::NotFound, "absent"), "{path}");
    }
}

#[test]
fn a_folder_lists_what_is_directly_below_it() {
    let call = call(r#"{"secrets":{"a":"","b/c":"","b/d/e":"","b/d/f":"","bb/x":""}}"#);
    let names = |folder: Option<&str>| {
        Static::list(&call, folder.map(str::to_owned), None).expect("a listing").names
    };
    assert_eq!(names(None), ["a", "b/", "bb/"]);
    assert_eq!(names(Some("b")), ["c", "d/"]);
    assert_eq!(names(Some("b/d")), ["e", "f"]);
    assert_eq!(names(Some("nothing")), [""; 0]);
}

#[test]
fn a_value_that_is_two_things_is_refused_before_it_is_asked_for() {
    for value in [r#"{"text":"a","base64":"YQ=="}"#, "{}", r#"{"base64":"%"}"#] {
        let config = format!(r#"{{"secrets":{{"p":{value}}}}}"#);
        let error = Static::validate(&call(&config).config).expect_err("refused");
        assert_eq!(error.kind, ErrorKind::InvalidConfig, "{value}");
    }
}
