//! Secret Manager.

use symbolon_plugin::Value;

use super::*;

fn accessed(name: &str, data: &str, checksum: &str) -> Response {
    let payload = match checksum {
        "" => format!(r#"{{"data":"{data}"}}"#),
        _ => format!(r#"{{"data":"{data}","dataCrc32c":"{checksum}"}}"#),
    };
    answer(200, &format!(r#"{{"name":"{name}","payload":{payload}}}"#))
}

const NAME: &str = "projects/837509470220/secrets/db-password/versions/3";

#[test]
fn a_secret_is_its_bytes_with_the_number_of_its_version() {
    for (name, asked, version) in [
        (NAME, None, "3"),
        (NAME, Some("3"), "3"),
        (NAME, Some("latest"), "latest"),
        (NAME, Some("current"), "current"),
        ("projects/p/locations/europe-west3/secrets/db-password/versions/3", None, "3"),
    ] {
        let answer = accessed(name, "aHVudGVyMg==", "1736498283");
        let secret = secret::opened(&answer, "db-password", asked).expect("a secret");
        assert_eq!(secret.path, "db-password");
        assert_eq!(secret.version.as_deref(), Some(version));
        assert_eq!(secret.metadata, [("version_number".to_owned(), "3".to_owned())]);
        let Value::Opaque(bytes) = secret.value else { panic!("fields") };
        assert_eq!(bytes, b"hunter2");
    }
}

#[test]
fn the_checksum_is_castagnolis() {
    assert_eq!(crc32c::crc32c(b"123456789"), 3_808_858_755);
    assert_eq!(crc32c::crc32c(b"hunter2"), 1_736_498_283);
    let unchecked = accessed(NAME, "aHVudGVyMg==", "");
    assert!(secret::opened(&unchecked, "db-password", None).is_ok());
    let damaged = accessed(NAME, "aHVudGVyMw==", "1736498283");
    let error = secret::opened(&damaged, "db-password", None).expect_err("damaged");
    assert_is(&error, ErrorKind::Unavailable, "checksum_mismatch", "damaged");
}

#[test]
fn a_malformed_answer_is_refused() {
    for answer in [
        answer(200, ""),
        answer(200, "{}"),
        answer(200, "[]"),
        answer(200, r#"{"error":{"code":403,"status":"PERMISSION_DENIED"}}"#),
        answer(200, &format!(r#"{{"name":"{NAME}","name":"{NAME}","payload":{{"data":""}}}}"#)),
        accessed(NAME, "aHVudGVyMg", "1736498283"),
        accessed(NAME, "aHVu\\ndGVyMg==", "1736498283"),
        accessed(NAME, "aHVudGVyMg==", "-1"),
        accessed(NAME, "aHVudGVyMg==", "18446744073709551616"),
        accessed("projects/p/secrets/other/versions/3", "", ""),
        accessed("projects/p/secrets/db-password/versions/latest", "", ""),
        accessed("projects/p/secrets/db-password/versions/03", "", ""),
        accessed("x/secrets/db-password/versions/3", "", ""),
        accessed("db-password", "", ""),
    ] {
        let error = secret::opened(&answer, "db-password", None).expect_err("refused");
        assert_is(&error, ErrorKind::Internal, "malformed_answer", "a malformed answer");
    }
    let another = secret::opened(&accessed(NAME, "", ""), "db-password", Some("2"));
    assert_eq!(another.expect_err("another version").code, "malformed_answer");
}

#[test]
fn every_refusal_has_its_kind_and_no_words_of_google() {
    for (status, word, kind, code) in [
        (400, "INVALID_ARGUMENT", ErrorKind::InvalidRequest, "invalid_argument"),
        (401, "UNAUTHENTICATED", ErrorKind::Unauthenticated, "unauthenticated"),
        (403, "PERMISSION_DENIED", ErrorKind::PermissionDenied, "permission_denied"),
        (404, "NOT_FOUND", ErrorKind::NotFound, "absent"),
        (429, "RESOURCE_EXHAUSTED", ErrorKind::RateLimited, "quota"),
        (500, "INTERNAL", ErrorKind::Unavailable, "upstream_error"),
        (501, "UNIMPLEMENTED", ErrorKind::Unsupported, "unsupported"),
        (503, "UNAVAILABLE", ErrorKind::Unavailable, "upstream_error"),
        (504, "DEADLINE_EXCEEDED", ErrorKind::Timeout, "upstream_timeout"),
        (418, "A_NEW_WORD", ErrorKind::InvalidRequest, "refused"),
        (302, "", ErrorKind::Internal, "redirected"),
    ] {
        let refused = refused(status, word);
        for error in [
            secret::opened(&refused, "db-password", None).expect_err("refused"),
            secret::listing(&refused).expect_err("refused"),
        ] {
            assert_is(&error, kind, code, word);
            assert_eq!(error.upstream_status, Some(status), "{word}");
        }
    }
    let mut busy = refused(429, "RESOURCE_EXHAUSTED");
    busy.headers.push(("retry-after".to_owned(), b"3".to_vec()));
    assert_eq!(refusal::of(&busy).retry_after_ms, Some(3000));
}

#[test]
fn a_version_that_does_not_open_is_told_apart_where_it_may_be_seen() {
    let closed = refused(400, "FAILED_PRECONDITION");
    assert!(refusal::is_precondition(&closed));
    assert!(!refusal::is_precondition(&refused(400, "INVALID_ARGUMENT")));
    let described = |state: &str| answer(200, &format!(r#"{{"name":"{NAME}","state":"{state}"}}"#));
    for (described, kind, code) in [
        (described("DISABLED"), ErrorKind::NotFound, "deleted"),
        (described("DESTROYED"), ErrorKind::NotFound, "destroyed"),
        (described("ENABLED"), ErrorKind::Conflict, "version_not_enabled"),
        (refused(403, "PERMISSION_DENIED"), ErrorKind::Conflict, "version_not_enabled"),
        (answer(200, ""), ErrorKind::Conflict, "version_not_enabled"),
    ] {
        let error = secret::closed(&closed, &described);
        assert_is(&error, kind, code, code);
        assert_eq!(error.upstream_status, Some(400), "{code}");
    }
}

#[test]
fn what_becomes_part_of_a_url_is_plain() {
    assert_eq!(secret::id("db-password_2").expect("an id"), "db-password_2");
    for path in ["", "a/b", "a.b", "a:b", "a@b", &"a".repeat(256)] {
        let error = secret::id(path).expect_err("refused");
        assert_is(&error, ErrorKind::InvalidRequest, "path_impossible", path);
    }
    for (asked, version) in [(None, "latest"), (Some("7"), "7"), (Some("blue-1"), "blue-1")] {
        assert_eq!(secret::version(asked).expect("a version"), version);
    }
    for asked in ["0", "07", "", "-1", "1:access", "a.b", "_a", "99999999999999999999"] {
        let error = secret::version(Some(asked)).expect_err("refused");
        assert_is(&error, ErrorKind::InvalidRequest, "version_malformed", asked);
    }
}

#[test]
fn requests_go_to_the_place_of_the_secret() {
    let url = |request: symbolon_plugin::http::Request| format!("{request:?}");
    let global = config(r#"{"project":"acme-prod"}"#);
    let regional = config(r#"{"project":"acme-prod","location":"europe-west3"}"#);
    for (request, expected) in [
        (
            request::access(&global, "db", "latest"),
            "https://secretmanager.googleapis.com/v1/projects/acme-prod/secrets/db/versions/latest:access",
        ),
        (
            request::access(&regional, "db", "3"),
            "https://secretmanager.europe-west3.rep.googleapis.com/v1/projects/acme-prod/locations/europe-west3/secrets/db/versions/3:access",
        ),
        (
            request::version(&global, "db", "3"),
            "https://secretmanager.googleapis.com/v1/projects/acme-prod/secrets/db/versions/3 ",
        ),
        (request::list(&global, Some("a&b")), "/secrets?pageSize=1000&pageToken=a%26b "),
    ] {
        let shown = url(request.expect("a request"));
        assert!(shown.contains(expected), "{shown}");
    }
}

#[test]
fn a_listing_goes_on_where_google_says() {
    let body = r#"{"secrets":[{"name":"projects/1/secrets/a"},
        {"name":"projects/1/locations/l/secrets/b"}],"nextPageToken":"AB==","totalSize":3}"#;
    let listing = secret::listing(&answer(200, body)).expect("a page");
    assert_eq!(
        (listing.names, listing.next.as_deref()),
        (vec!["a".into(), "b".into()], Some("AB=="))
    );
    let last = secret::listing(&answer(200, "{}")).expect("nothing");
    assert_eq!((last.names.len(), last.next), (0, None));
    let long = format!(r#"{{"nextPageToken":"{}"}}"#, "x".repeat(1025));
    for body in [r#"{"secrets":[{"name":"nothing"}]}"#, &long] {
        assert_eq!(secret::listing(&answer(200, body)).expect_err(body).code, "malformed_answer");
    }
}
