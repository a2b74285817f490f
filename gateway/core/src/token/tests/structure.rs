//! Test list §5.4.2, rows 10 to 16: what a token looks like.

use super::*;

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn good() -> (String, String, String) {
    let token = signed(&claims().to_string());
    let mut segments = token.split('.').map(str::to_owned);
    (segments.next().unwrap(), segments.next().unwrap(), segments.next().unwrap())
}

fn assert_refused(token: &str, expected: Refusal, what: &str) {
    assert_eq!(refusal(token, &rules(), &k1()), Some(expected), "{what}");
}

#[test]
fn row_10_a_token_has_three_segments_of_two_objects_and_a_signature() {
    let (h, p, s) = good();
    for (token, expected) in [
        (h.clone(), Refusal::Segments),
        (format!("{h}.{p}"), Refusal::Segments),
        (format!("{h}.{p}.{s}.{s}"), Refusal::Segments),
        (format!("{h}.{p}.{s}.{s}.{s}"), Refusal::Segments),
        (format!("{h}.{p}.{s}.{s}.{s}.{s}"), Refusal::Segments),
        (format!(".{p}.{s}"), Refusal::HeaderJson(Fault::Syntax)),
        (format!("{h}..{s}"), Refusal::PayloadJson(Fault::Syntax)),
        (format!("{h}.{p}."), Refusal::Signature),
        ("..".to_owned(), Refusal::HeaderJson(Fault::Syntax)),
        (String::new(), Refusal::Segments),
    ] {
        assert_refused(&token, expected, &token);
    }
    for payload in ["[]", r#""x""#, "null", "1"] {
        assert_refused(&signed(payload), Refusal::PayloadJson(Fault::NotAnObject), payload);
        let token = signed_with(payload, &claims().to_string());
        assert_refused(&token, Refusal::HeaderJson(Fault::NotAnObject), payload);
    }
    assert_refused(&signed_with("{}", &claims().to_string()), Refusal::HeaderMember, "header {}");
    assert_refused(&signed("{}"), Refusal::MissingClaim(Claim::Issuer), "payload {}");
}

#[test]
fn row_11_base64url_has_one_text() {
    let (h, p, s) = good();
    let all = format!("{h}.{p}.{s}");
    let next = |text: &str| {
        let last = text.bytes().last().unwrap();
        format!("{}{}", &text[..text.len() - 1], char::from(last + 1))
    };
    for (what, token, expected) in [
        ("padding", format!("{h}=.{p}.{s}"), Refusal::Characters),
        ("plus", format!("{h}.{p}.+{s}"), Refusal::Characters),
        ("slash", format!("{h}.{p}./{s}"), Refusal::Characters),
        ("space", format!("{h}. {p}.{s}"), Refusal::Characters),
        ("tab", format!("{h}.{p}.{s}\t"), Refusal::Characters),
        ("percent-encoded dots", all.replace('.', "%2e"), Refusal::Characters),
        ("full-width dots", all.replace('.', "\u{ff0e}"), Refusal::Characters),
        ("unused bits of the signature", format!("{h}.{p}.{}", next(&s)), Refusal::Encoding),
        ("unused bits of the payload", format!("{h}.e31.{s}"), Refusal::Encoding),
        ("unused bits of the header", format!("e31.{p}.{s}"), Refusal::Encoding),
        ("an impossible length", format!("{h}.{p}.AAAAA"), Refusal::Encoding),
        ("an impossible length of the header", format!("AAAAA.{p}.{s}"), Refusal::Encoding),
    ] {
        assert_refused(&token, expected, what);
    }
}

#[test]
fn row_12_no_member_is_there_twice_at_any_depth() {
    let duplicate = Refusal::PayloadJson(Fault::Duplicate);
    for claims in [
        claims_with("sub", Some(r#""svc:a","sub":"svc:admin""#)),
        claims_with("sub", Some(r#""svc:a","\u0073ub":"svc:admin""#)),
        claims_with("cnf", Some(r#"{"jkt":"a","jkt":"b"}"#)),
        claims_with("kubernetes.io", Some(r#"{"pod":{"name":"a","n\u0061me":"b"}}"#)),
    ] {
        assert_refused(&signed(&claims), duplicate.clone(), &claims);
    }
    let token = signed_with(r#"{"alg":"ES256","kid":"k1","alg":"none"}"#, &claims().to_string());
    assert_refused(&token, Refusal::HeaderJson(Fault::Duplicate), "alg twice");
}

#[test]
fn row_13_json_is_strict_and_small() {
    let text = claims().to_string();
    let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bad_utf_8 = [claims_with("x", None).as_bytes(), b"\xff"].concat();
    let key = Ec::k1();
    let sign = |input: &str| key.sign(input);
    for (what, payload, expected) in [
        ("invalid UTF-8", bad_utf_8, Fault::Utf8),
        ("UTF-16", utf_16, Fault::Syntax),
        ("a byte-order mark", format!("\u{feff}{text}").into_bytes(), Fault::Syntax),
        ("a lone surrogate", claims_with("x", Some(r#""\ud800""#)).into_bytes(), Fault::Surrogate),
        ("a trailing comma", claims_with("x", Some("1,")).into_bytes(), Fault::Syntax),
        ("trailing bytes", format!("{text}x").into_bytes(), Fault::Trailing),
        ("depth 6,000", claims_with("x", Some(&"[".repeat(6000))).into_bytes(), Fault::Depth),
        (
            "a string of 5,000",
            claims_with("x", Some(&format!("\"{}\"", "x".repeat(5000)))).into_bytes(),
            Fault::Length,
        ),
        (
            "a number of 10,000 digits",
            claims_with("x", Some(&"1".repeat(10_000))).into_bytes(),
            Fault::Length,
        ),
    ] {
        let token = testing::token(header().to_string().as_bytes(), &payload, &sign);
        assert_refused(&token, Refusal::PayloadJson(expected), what);
    }
    let whitespace = format!(" \r\n\t{text} ");
    assert_eq!(refusal(&signed(&whitespace), &rules(), &k1()), None);
    let huge = claims_with("x", Some(&format!("\"{}\"", "x".repeat(1 << 20))));
    assert_refused(&signed(&huge), Refusal::TooLong, "1 MiB");
}

#[test]
fn rows_14_and_15_unusual_headers_are_refused_by_presence() {
    for (members, expected) in [
        (r#""crit":[]"#, Refusal::Critical),
        (r#""crit":["exp"]"#, Refusal::Critical),
        (r#""crit":["b64"],"b64":false"#, Refusal::Critical),
        (r#""crit":"exp""#, Refusal::Critical),
        (r#""crit":null"#, Refusal::Critical),
        (r#""b64":false"#, Refusal::Unencoded),
        (r#""cty":"JWT""#, Refusal::Nested),
        (r#""cty":"application/jwt""#, Refusal::Nested),
        (r#""cty":1"#, Refusal::HeaderMember),
        (r#""enc":"A256GCM""#, Refusal::Encrypted),
        (r#""p2c":1000000000"#, Refusal::Encrypted),
        (r#""zip":"DEF""#, Refusal::Encrypted),
        (r#""epk":{}"#, Refusal::Encrypted),
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"k1",{members}}}"#);
        assert_refused(&signed_with(&header, &claims().to_string()), expected, members);
    }
    let jwe = format!("{}.{}.{}", encode(r#"{"alg":"dir","enc":"A256GCM"}"#), "AAAA", "AAAA");
    assert_refused(&jwe, Refusal::Encrypted, "direct encryption");
    assert_refused(&format!("{jwe}.AAAA.AAAA"), Refusal::Segments, "five segments");
    let header = r#"{"alg":"ES256","kid":"k1","x5t":"AAAA","x5t#S256":"AAAA","cty":"json"}"#;
    let token = signed_with(header, &claims().to_string());
    assert_eq!(refusal(&token, &rules(), &k1()), None, "x5t is ignored");
}

#[test]
fn row_16_json_serialisations_are_no_tokens() {
    let (h, p, s) = good();
    for token in [
        format!(r#"{{"payload":"{p}","protected":"{h}","signature":"{s}"}}"#),
        format!(
            r#"{{"payload":"{p}","signatures":[{{"protected":"{h}","signature":"AAAA"}},{{"protected":"{h}","signature":"{s}"}}]}}"#
        ),
    ] {
        assert_refused(&token, Refusal::Characters, &token);
    }
}

#[test]
fn a_token_is_as_long_as_both_limits_allow() {
    let token = signed(&claims().to_string());
    assert_eq!(Compact::parse(&token, token.len() - 1).err(), Some(Refusal::TooLong));
    let mut rules = rules();
    rules.max_token_bytes = token.len() - 1;
    assert_refused_under(&token, &rules, Refusal::TooLong);
    rules.max_token_bytes = token.len();
    assert_eq!(refusal(&token, &rules, &k1()), None);
}

fn assert_refused_under(token: &str, rules: &IssuerRules, expected: Refusal) {
    assert_eq!(refusal(token, rules, &k1()), Some(expected));
}
