use super::*;
use crate::bindings::types::ErrorKind;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn path() -> SecretPath {
    SecretPath::parse("a/b").unwrap()
}

fn raw_secret() -> secrets::Secret {
    secrets::Secret {
        path: "a/b".into(),
        version: Some("3".into()),
        content_type: "text/plain; charset=utf-8".into(),
        value: secrets::Value::Opaque(b"value".to_vec()),
        expires_at: None,
        metadata: vec![("created".into(), "today".into())],
    }
}

fn fields(names: &[&str]) -> Vec<(String, Vec<u8>)> {
    names.iter().map(|name| ((*name).to_owned(), b"v".to_vec())).collect()
}

fn with_fields(names: &[&str]) -> secrets::Secret {
    secrets::Secret { value: secrets::Value::Fields(fields(names)), ..raw_secret() }
}

#[test]
fn a_good_secret_passes_whole() {
    let asked = Version::parse("3").unwrap();
    let secret = secret(raw_secret(), &path(), Some(&asked)).unwrap();
    assert_eq!((secret.path, secret.version), (path(), Some(asked)));
    assert_eq!(secret.metadata, [("created".to_owned(), "today".to_owned())]);
}

#[test]
fn a_secret_that_breaks_one_rule_is_refused_by_that_rule() {
    let long = "n".repeat(257);
    let raw = raw_secret;
    let meta = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let opaque = |bytes| secrets::Value::Opaque(vec![0; bytes]);
    let halves = vec![("a".into(), vec![0; 1 << 19]), ("b".into(), vec![0; 1 << 19])];
    let cases = [
        (secrets::Secret { path: "a/c".into(), ..raw() }, AnswerFault::Path),
        (secrets::Secret { path: "A/b".into(), ..raw() }, AnswerFault::Path),
        (secrets::Secret { path: String::new(), ..raw() }, AnswerFault::Path),
        (secrets::Secret { version: Some("4".into()), ..raw() }, AnswerFault::Version),
        (secrets::Secret { version: Some("a b".into()), ..raw() }, AnswerFault::Version),
        (secrets::Secret { version: None, ..raw() }, AnswerFault::Version),
        (secrets::Secret { value: opaque((1 << 20) + 1), ..raw() }, AnswerFault::Size),
        (secrets::Secret { value: secrets::Value::Fields(halves), ..raw() }, AnswerFault::Size),
        (with_fields(&["a", "a"]), AnswerFault::FieldName),
        (with_fields(&[""]), AnswerFault::FieldName),
        (with_fields(&["a\nb"]), AnswerFault::FieldName),
        (with_fields(&[&long]), AnswerFault::FieldName),
        (secrets::Secret { content_type: "text".into(), ..raw() }, AnswerFault::ContentType),
        (secrets::Secret { expires_at: Some(u64::MAX), ..raw() }, AnswerFault::Expiry),
        (secrets::Secret { expires_at: Some(0), ..raw() }, AnswerFault::Expiry),
        (secrets::Secret { metadata: meta("Upper", "v"), ..raw() }, AnswerFault::Metadata),
        (secrets::Secret { metadata: meta("a", "b\r\nc"), ..raw() }, AnswerFault::Metadata),
        (
            secrets::Secret { metadata: meta("a", &"v".repeat(1025)), ..raw() },
            AnswerFault::Metadata,
        ),
    ];
    let asked = Version::parse("3").unwrap();
    for (at, (raw, fault)) in cases.into_iter().enumerate() {
        assert_eq!(secret(raw, &path(), Some(&asked)).unwrap_err(), fault, "case {at}");
    }
}

#[test]
fn a_kind_is_shown_by_itself_and_fits_its_value() {
    let of = |raw: secrets::Secret, kind: &str| {
        let metadata = vec![("kind".to_owned(), kind.to_owned()), ("a".to_owned(), "b".to_owned())];
        secret(secrets::Secret { metadata, ..raw }, &path(), None)
    };
    for (raw, kind, expected) in [
        (raw_secret(), "opaque", SecretKind::Opaque),
        (with_fields(&["a"]), "map", SecretKind::Map),
        (with_fields(&["certificate", "private_key"]), "tls", SecretKind::Tls),
        (with_fields(&["certificate", "chain", "private_key", "x"]), "tls", SecretKind::Tls),
        (with_fields(&["access_token"]), "oauth", SecretKind::Oauth),
    ] {
        let secret = of(raw, kind).unwrap();
        assert_eq!(secret.kind, expected, "{kind}");
        assert_eq!(secret.metadata, [("a".to_owned(), "b".to_owned())], "{kind}");
    }
    assert_eq!(secret(raw_secret(), &path(), None).unwrap().kind, SecretKind::Opaque);
    assert_eq!(secret(with_fields(&[]), &path(), None).unwrap().kind, SecretKind::Map);
    let hollow = vec![("certificate".into(), vec![]), ("private_key".into(), b"k".to_vec())];
    let hollow = secrets::Secret { value: secrets::Value::Fields(hollow), ..raw_secret() };
    for (raw, kind) in [
        (raw_secret(), "map"),
        (raw_secret(), "tls"),
        (with_fields(&["a"]), "opaque"),
        (with_fields(&["certificate"]), "tls"),
        (hollow, "tls"),
        (with_fields(&["token"]), "oauth"),
        (with_fields(&["a"]), "Map"),
        (raw_secret(), "ssh"),
        (raw_secret(), ""),
    ] {
        assert_eq!(of(raw, kind).unwrap_err(), AnswerFault::Metadata, "{kind}");
    }
}

#[test]
fn metadata_has_a_bound_and_no_name_twice() {
    let pairs = |n: usize| (0..n).map(|i| (format!("n{i}"), String::new())).collect::<Vec<_>>();
    assert!(metadata(pairs(32)).is_ok());
    assert!(metadata(pairs(33)).is_err());
    assert!(metadata([pairs(1), pairs(1)].concat()).is_err());
}

#[test]
fn content_types_follow_rfc_9110() {
    for good in ["a/b", "application/octet-stream", "text/plain;charset=utf-8", "a/b; c=\"d e\""] {
        assert!(text::is_content_type(good), "{good}");
    }
    let long = format!("a/{}", "b".repeat(255));
    for bad in
        ["", "a", "/b", "a/", "a/b/c", "a/b;", "a/b; c", "a/b\r\nX: y", "a/b; c=\"\"\"", &long]
    {
        assert!(!text::is_content_type(bad), "{bad}");
    }
}

#[test]
fn names_that_nobody_could_ask_for_are_counted() {
    let names = ["a", "b/", "c d", "..", "x/y", "", "/"].map(str::to_owned).to_vec();
    let page = listing(secrets::Listing { names, next: Some("p2".into()) }).unwrap();
    assert_eq!(
        (page.names.as_slice(), page.withheld),
        (["a".to_owned(), "b/".to_owned()].as_slice(), 5)
    );
}

#[test]
fn a_listing_without_measure_is_refused() {
    let many = (0..1001).map(|n| n.to_string()).collect();
    let twice = vec!["a".to_owned(), "a".to_owned()];
    for (names, next) in [
        (many, None),
        (twice, None),
        (vec![], Some("c".repeat(1025))),
        (vec![], Some(String::new())),
        (vec![], Some("a\nb".to_owned())),
    ] {
        let refused = listing(secrets::Listing { names, next }).unwrap_err();
        assert_eq!(refused, AnswerFault::Listing);
    }
}

fn raw_issued(reservation: LeaseId) -> credentials::Issued {
    credentials::Issued {
        reservation: reservation.to_string(),
        fields: fields(&["username", "password"]),
        expires_at: 1_800_000_600,
        renewable: true,
        revocable: true,
        handle: vec![1],
        metadata: vec![],
    }
}

#[test]
fn a_credential_is_held_against_its_reservation_and_time() {
    let (ours, other) = (LeaseId::new(NOW, 1), LeaseId::new(NOW, 2));
    let latest = Latest::new(NOW, Duration::from_secs(600));
    assert_eq!(issued(raw_issued(ours), ours, latest).unwrap().expires_at.seconds(), 1_800_000_600);
    let raw = || raw_issued(ours);
    for (raw, fault) in [
        (raw_issued(other), AnswerFault::Reservation),
        (credentials::Issued { expires_at: 1_800_000_661, ..raw() }, AnswerFault::Expiry),
        (credentials::Issued { expires_at: 1_800_000_000, ..raw() }, AnswerFault::Expiry),
        (credentials::Issued { handle: vec![0; 4097], ..raw() }, AnswerFault::Handle),
    ] {
        assert_eq!(issued(raw, ours, latest).unwrap_err(), fault);
    }
}

#[test]
fn a_clock_slightly_ahead_cannot_lengthen_what_was_asked() {
    let latest = Latest::new(NOW, Duration::from_secs(600));
    assert_eq!(latest.check(1_800_000_630).unwrap().seconds(), 1_800_000_600);
    assert_eq!(latest.check(1_800_000_100).unwrap().seconds(), 1_800_000_100);
}

#[test]
fn a_token_has_the_fields_of_its_kind() {
    let latest = Latest::new(NOW, Duration::from_secs(600));
    let raw = |kind: &str, names: &[&str]| exchange::Token {
        fields: fields(names),
        kind: kind.to_owned(),
        expires_at: 1_800_000_600,
        handle: vec![],
        metadata: vec![],
    };
    let none = Secret::new(Vec::new());
    let aws = ["access_key_id", "secret_access_key", "session_token"];
    assert_eq!(token(raw("bearer", &["token"]), latest, &none).unwrap().kind, TokenKind::Bearer);
    assert_eq!(token(raw("aws", &aws), latest, &none).unwrap().kind, TokenKind::Aws);
    let header = token(raw("header:x-vault-token", &["token"]), latest, &none).unwrap().kind;
    assert_eq!(header, TokenKind::Header("x-vault-token".to_owned()));
    for (kind, names) in [
        ("bearer", &["token", "more"][..]),
        ("bearer", &[]),
        ("aws", &["token"]),
        ("basic", &["token"]),
        ("header:", &["token"]),
        ("header:host", &["token"]),
        ("header:Upper", &["token"]),
        ("header:a b", &["token"]),
        ("header:x\r\ny", &["token"]),
    ] {
        assert_eq!(
            token(raw(kind, names), latest, &none).unwrap_err(),
            AnswerFault::Token,
            "{kind}"
        );
    }
    for value in [&b""[..], b"a\r\nforged: yes", b"a\0", b"\xff"] {
        let mut broken = raw("bearer", &["token"]);
        broken.fields = vec![("token".to_owned(), value.to_vec())];
        assert_eq!(token(broken, latest, &none).unwrap_err(), AnswerFault::Token, "{value:?}");
    }
    let assertion = Secret::new(b"value-of-token".to_vec());
    let mut handed_on = raw("bearer", &["token"]);
    handed_on.fields = vec![("token".to_owned(), b"x value-of-token".to_vec())];
    assert_eq!(token(handed_on, latest, &assertion).unwrap_err(), AnswerFault::Token);
}

#[test]
fn a_token_that_is_good_for_longer_than_asked_is_known_as_such() {
    let latest = Latest::new(Timestamp::from_seconds(1000), Duration::from_secs(600));
    let given = |said: Option<&str>| {
        let raw = exchange::Token {
            fields: vec![("token".to_owned(), b"t".to_vec())],
            kind: "bearer".to_owned(),
            expires_at: 1500,
            handle: vec![],
            metadata: said
                .map(|said| ("ends-at".to_owned(), said.to_owned()))
                .into_iter()
                .collect(),
        };
        token(raw, latest, &Secret::new(vec![]))
    };
    for (said, ends, outlasts) in [
        (None, 1500, false),
        (Some("1200"), 1500, false),
        (Some("1600"), 1600, false),
        (Some("1660"), 1660, false),
        (Some("1661"), 1661, true),
        (Some("4600"), 4600, true),
    ] {
        let token = given(said).unwrap();
        assert_eq!((token.ends_at.seconds(), token.outlasts), (ends, outlasts), "{said:?}");
        assert_eq!((token.expires_at.seconds(), token.metadata), (1500, vec![]), "{said:?}");
    }
    for said in ["", "soon", "-1", "0", "99999999999999999999"] {
        assert!(given(Some(said)).is_err(), "{said}");
    }
}

fn raw_error() -> types::Error {
    types::Error {
        kind: ErrorKind::NotFound,
        code: "deleted".into(),
        message: "gone".into(),
        retry_after_ms: None,
        request_sent: true,
        upstream_status: Some(404),
        metadata: vec![],
    }
}

#[test]
fn an_error_is_cut_escaped_and_scrubbed() {
    let assertion = Secret::from("eyJhbGciOi".to_owned());
    let raw = types::Error {
        code: "Not A Code!".into(),
        message: format!("bad eyJhbGciOi\u{1b}[2J\n{}", "x".repeat(5000)),
        retry_after_ms: Some(u64::MAX),
        upstream_status: Some(9999),
        metadata: vec![("BAD".into(), "v".into())],
        ..raw_error()
    };
    let fault = fault(raw, &[&assertion]);
    assert_eq!((fault.code.as_str(), fault.kind), ("invalid_code", FaultKind::Absent));
    assert!(fault.message.starts_with("bad ****\\u{1b}[2J\\nxxx") && fault.message.len() <= 2051);
    assert_eq!(fault.retry_after, Some(MAX_RETRY_AFTER));
    assert_eq!((fault.upstream_status, fault.metadata), (None, vec![]));
}

#[test]
fn the_three_ways_of_not_being_there_are_told_apart() {
    for (code, kind) in [
        ("absent", FaultKind::Absent),
        ("deleted", FaultKind::Deleted),
        ("destroyed", FaultKind::Destroyed),
        ("whatever", FaultKind::Absent),
    ] {
        let raw = types::Error { code: code.into(), ..raw_error() };
        assert_eq!(fault(raw, &[]).kind, kind);
    }
}

#[test]
fn what_could_rewrite_a_terminal_is_escaped() {
    let shown = escape("a\u{202e}b\u{200b}c\u{9b}\u{7f}\t", 100);
    assert_eq!(shown, "a\\u{202e}b\\u{200b}c\\u{9b}\\u{7f}\\t");
    assert_eq!(escape("äää", 4), "ää…");
}
