//! Key Vault.

use symbolon_plugin::Value;

use super::*;

const VERSION: &str = "4387e9f3d6e14c459867679a90fd0f79";
const LEAF: &str = include_str!("../../../sdk/src/certificate/leaf.pem");
const KEY: &str = "-----BEGIN PRIVATE KEY-----\\nbm90IGEga2V5\\n-----END PRIVATE KEY-----\\n";
const NOW: u64 = 1_793_520_000;

fn bundle(value: &str, more: &str) -> Response {
    let id = format!("https://acme-prod.vault.azure.net/secrets/db-password/{VERSION}");
    answer(200, &format!(r#"{{"value":"{value}","id":"{id}"{more}}}"#))
}

fn read(answer: &Response) -> Result<Secret, Error> {
    let asked = Name::of("db-password", None).expect("a name");
    match secret::opened(answer, asked, &backend(), NOW)? {
        Opened::Whole(secret) | Opened::Packed(secret, _) => Ok(*secret),
    }
}

fn refused(status: u16, code: &str, inner: &str) -> Response {
    let inner = match inner {
        "" => String::new(),
        _ => format!(r#","innererror":{{"code":"{inner}"}}"#),
    };
    answer(status, &format!(r#"{{"error":{{"code":"{code}","message":"hunter2"{inner}}}}}"#))
}

#[test]
fn a_secret_is_its_text_with_version_and_end() {
    let more = r#","contentType":"application/json","attributes":{"enabled":true,"nbf":1793520000,"exp":1830000000,"recoveryLevel":"Recoverable"},"tags":{"env":"prod"}"#;
    let secret = read(&bundle("s3cr3t", more)).expect("a secret");
    assert_eq!((secret.path.as_str(), secret.version.as_deref()), ("db-password", Some(VERSION)));
    assert_eq!(secret.content_type, "application/json");
    assert_eq!(secret.expires_at, Some(1_830_000_000));
    let Value::Opaque(bytes) = secret.value else { panic!("fields") };
    assert_eq!(bytes, b"s3cr3t");
    for odd in ["my password", "a/b; x", "", "text/"] {
        let secret = read(&bundle("x", &format!(r#","contentType":"{odd}""#))).expect("a secret");
        assert_eq!(secret.content_type, "text/plain; charset=utf-8", "{odd}");
    }
}

#[test]
fn what_has_expired_or_is_to_come_is_not_given() {
    for (attributes, code) in [
        (r#"{"exp":1793520000}"#, "secret_expired"),
        (r#"{"exp":1}"#, "secret_expired"),
        (r#"{"nbf":1793520001}"#, "secret_not_yet_valid"),
    ] {
        let error = read(&bundle("x", &format!(r#","attributes":{attributes}"#)));
        assert_is(&error.expect_err(code), ErrorKind::Conflict, code, attributes);
    }
}

#[test]
fn a_certificate_is_its_parts() {
    let pem = format!("{KEY}{}", LEAF.replace('\n', "\\n"));
    let more =
        r#","managed":true,"contentType":"application/x-pem-file","attributes":{"exp":1827000000}"#;
    let secret = read(&bundle(&pem, more)).expect("a certificate");
    assert_eq!(secret.expires_at, Some(1_827_000_000));
    let Value::Fields(fields) = secret.value else { panic!("bytes") };
    let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["certificate", "private_key"]);
    let stored_by_hand = r#","contentType":"application/x-pem-file""#;
    let secret = read(&bundle("not a certificate", stored_by_hand)).expect("a secret");
    assert!(matches!(secret.value, Value::Opaque(_)));
    let broken = read(&bundle("not a certificate", more)).expect_err("refused");
    assert_is(&broken, ErrorKind::Conflict, "certificate_unreadable", "broken");
}

#[test]
fn a_certificate_in_pkcs12_is_bytes_until_the_vault_has_converted_it() {
    let asked = Name::of("db-password", None).expect("a name");
    let opened = |answer: &Response| secret::opened(answer, asked, &backend(), NOW);
    let more = r#","managed":true,"contentType":"application/x-pkcs12""#;
    let packed = opened(&bundle("MIIK", more)).expect("a certificate");
    let Opened::Packed(secret, version) = &packed else { panic!("unpacked") };
    assert_eq!((secret.content_type.as_str(), version.as_str()), ("application/x-pkcs12", VERSION));
    assert!(matches!(&secret.value, Value::Opaque(bytes) if bytes == &[0x30, 0x82, 0x0a]));
    assert_eq!(secret::converted(packed).expect_err("still packed").code, "malformed_answer");
    let text = opened(&bundle("x", "")).expect("a secret");
    assert_eq!(secret::converted(text).expect_err("no certificate").code, "malformed_answer");
    let error = read(&bundle("%", more)).expect_err("no base64");
    assert_is(&error, ErrorKind::Internal, "malformed_answer", "no base64");
    let convert = request::convert(&backend(), "web", VERSION).expect("a request");
    let expected = format!(
        "https://acme-prod.vault.azure.net/secrets/web/{VERSION}?api-version=2025-07-01&outContentType=application/x-pem-file "
    );
    assert!(format!("{convert:?}").contains(&expected), "{convert:?}");
}

#[test]
fn a_malformed_answer_is_refused() {
    let of = |id: &str| answer(200, &format!(r#"{{"value":"x","id":"{id}"}}"#));
    for answer in [
        answer(200, ""),
        answer(200, "{}"),
        answer(200, r#"{"error":{"code":"SecretNotFound"}}"#),
        of(&format!("https://evil.vault.azure.net/secrets/db-password/{VERSION}")),
        of(&format!("https://acme-prod.vault.azure.net/secrets/other/{VERSION}")),
        of(&format!("https://acme-prod.vault.azure.net/keys/db-password/{VERSION}")),
        of("https://acme-prod.vault.azure.net/secrets/db-password"),
        of("https://acme-prod.vault.azure.net/secrets/db-password/latest"),
        of("db-password"),
    ] {
        let error = read(&answer).expect_err("refused");
        assert_is(&error, ErrorKind::Internal, "malformed_answer", "a malformed answer");
    }
    let other = "0".repeat(32);
    let asked = Name::of("db-password", Some(&other)).expect("a name");
    let another = secret::opened(&bundle("x", ""), asked, &backend(), NOW);
    assert_eq!(another.err().expect("another version").code, "malformed_answer");
}

#[test]
fn every_refusal_has_its_kind_and_no_words_of_the_vault() {
    for (refused, kind, code) in [
        (refused(400, "BadParameter", ""), ErrorKind::InvalidRequest, "bad_parameter"),
        (refused(401, "Unauthorized", ""), ErrorKind::Unauthenticated, "unauthenticated"),
        (refused(403, "Forbidden", "SecretDisabled"), ErrorKind::NotFound, "deleted"),
        (
            refused(403, "Forbidden", "ForbiddenByPolicy"),
            ErrorKind::PermissionDenied,
            "forbidden_by_policy",
        ),
        (
            refused(403, "Forbidden", "ForbiddenByRbac"),
            ErrorKind::PermissionDenied,
            "forbidden_by_rbac",
        ),
        (
            refused(403, "Forbidden", "ForbiddenByFirewall"),
            ErrorKind::PermissionDenied,
            "forbidden_by_firewall",
        ),
        (refused(403, "Forbidden", "ANewWord"), ErrorKind::PermissionDenied, "forbidden"),
        (answer(403, "<html>"), ErrorKind::PermissionDenied, "forbidden"),
        (refused(404, "SecretNotFound", ""), ErrorKind::NotFound, "absent"),
        (refused(404, "ANewWord", ""), ErrorKind::InvalidConfig, "not_found"),
        (refused(429, "Throttled", ""), ErrorKind::RateLimited, "throttled"),
        (refused(500, "InternalError", ""), ErrorKind::Unavailable, "upstream_error"),
        (answer(503, ""), ErrorKind::Unavailable, "upstream_error"),
        (answer(302, ""), ErrorKind::Internal, "redirected"),
    ] {
        let status = refused.status;
        for error in [
            read(&refused).expect_err("refused"),
            secret::listing(&refused, &backend()).expect_err("refused"),
        ] {
            assert_is(&error, kind, code, code);
            assert_eq!(error.upstream_status, Some(status), "{code}");
        }
    }
    let mut busy = refused(429, "Throttled", "");
    busy.headers.push(("retry-after".to_owned(), b"3".to_vec()));
    assert_eq!(read(&busy).expect_err("busy").retry_after_ms, Some(3000));
}

#[test]
fn a_challenge_is_compared_and_not_followed() {
    let asked = |challenge: &str| {
        let mut answer = refused(401, "Unauthorized", "");
        answer.headers.push(("www-authenticate".to_owned(), challenge.as_bytes().to_vec()));
        read(&answer).expect_err("refused").code
    };
    for (challenge, code) in [
        (
            r#"Bearer authorization="https://login.microsoftonline.com/t", resource="https://vault.azure.net""#,
            "unauthenticated",
        ),
        (
            r#"Bearer authorization="https://login.windows.net/t", resource="https://vault.azure.net""#,
            "unauthenticated",
        ),
        ("Bearer", "unauthenticated"),
        (
            r#"Bearer authorization="https://login.evil.example/t", resource="https://vault.azure.net""#,
            "foreign_challenge",
        ),
        (
            r#"Bearer authorization="https://login.microsoftonline.com.evil.example/t", resource="https://vault.azure.net""#,
            "foreign_challenge",
        ),
        (
            r#"Bearer authorization="https://login.microsoftonline.com/t", resource="https://management.azure.com""#,
            "foreign_challenge",
        ),
        (
            r#"Bearer authorization="https://login.microsoftonline.us/t", resource="https://vault.azure.net""#,
            "foreign_challenge",
        ),
        (r#"Bearer authorization="http://login.microsoftonline.com/t""#, "foreign_challenge"),
    ] {
        assert_eq!(asked(challenge), code, "{challenge}");
    }
}

#[test]
fn what_was_deleted_is_told_by_its_own_place() {
    assert!(secret::is_deleted(&answer(200, "{}")));
    for status in [403, 404, 429, 500] {
        assert!(!secret::is_deleted(&answer(status, "{}")), "{status}");
    }
    let asked = request::deleted(&backend(), "db-password").expect("a request");
    assert!(format!("{asked:?}").contains("/deletedsecrets/db-password?api-version="), "{asked:?}");
}

#[test]
fn what_becomes_part_of_a_url_is_plain() {
    for path in ["", "a/b", "a.b", "a_b", "a?b", &"a".repeat(128)] {
        let error = Name::of(path, None).expect_err("refused");
        assert_is(&error, ErrorKind::InvalidRequest, "path_impossible", path);
    }
    for version in ["", "latest", "1", &VERSION.to_uppercase(), &format!("{VERSION}0")] {
        let error = Name::of("a", Some(version)).expect_err("refused");
        assert_is(&error, ErrorKind::InvalidRequest, "version_malformed", version);
    }
    let read = request::read(&backend(), "a", Some(VERSION)).expect("a request");
    let expected =
        format!("https://acme-prod.vault.azure.net/secrets/a/{VERSION}?api-version=7.6 ");
    assert!(format!("{read:?}").contains(&expected), "{read:?}");
}

#[test]
fn a_listing_goes_on_at_the_same_vault_only() {
    let page = |link: &str| {
        let id = "https://acme-prod.vault.azure.net/secrets/a";
        let body = format!(r#"{{"value":[{{"id":"{id}","attributes":{{}}}}],"nextLink":{link}}}"#);
        secret::listing(&answer(200, &body), &backend())
    };
    for vault in ["https://acme-prod.vault.azure.net", "https://acme-prod.vault.azure.net:443"] {
        let link = format!(r#""{vault}/secrets?api-version=7.6&$skiptoken=eyJ&maxresults=25""#);
        let listing = page(&link).expect("a page");
        assert_eq!(listing.names, ["a"]);
        let next = listing.next.expect("there is more");
        assert_eq!(next, "api-version=7.6&$skiptoken=eyJ&maxresults=25");
        let request = request::list(&backend(), Some(&next)).expect("a request");
        let expected = format!("https://acme-prod.vault.azure.net/secrets?{next} ");
        assert!(format!("{request:?}").contains(&expected), "{request:?}");
    }
    assert_eq!(page("null").expect("the last page").next, None);
    for link in [
        r#""https://evil.vault.azure.net/secrets?x""#,
        r#""https://acme-prod.vault.azure.net.evil.example/secrets?x""#,
        r#""http://acme-prod.vault.azure.net/secrets?x""#,
        r#""https://acme-prod.vault.azure.net/keys?x""#,
        r#""https://acme-prod.vault.azure.net/secrets""#,
        r#""https://acme-prod.vault.azure.net/secrets?a b""#,
        r#""https://acme-prod.vault.azure.net/secrets?a#b""#,
        r#""/secrets?x""#,
        &format!(r#""https://acme-prod.vault.azure.net/secrets?{}""#, "x".repeat(1025)),
    ] {
        assert_eq!(page(link).expect_err(link).code, "malformed_answer", "{link}");
    }
    let foreign = r#"{"value":[{"id":"https://evil.vault.azure.net/secrets/a"}]}"#;
    assert!(secret::listing(&answer(200, foreign), &backend()).is_err());
}
