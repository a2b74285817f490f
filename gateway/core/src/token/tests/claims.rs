//! Test list §5.4.3, rows 17 to 24: what a token says.

use std::sync::Arc;

use super::*;

fn assert_claim(name: &str, raw: Option<&str>, rules: &IssuerRules, expected: Option<Refusal>) {
    let token = signed(&claims_with(name, raw));
    assert_eq!(refusal(&token, rules, &k1()), expected, "{name}: {raw:?}");
}

#[test]
fn row_17_dates_are_numbers_in_order_and_in_reach() {
    let malformed = Refusal::MalformedClaim;
    for (name, claim) in
        [("exp", Claim::ExpiresAt), ("iat", Claim::IssuedAt), ("nbf", Claim::NotBefore)]
    {
        for raw in [
            "null",
            r#""1793520300""#,
            "true",
            "[]",
            "{}",
            "-1",
            "1e400",
            "1e10",
            "9007199254740993",
            "9223372036854775808",
            "18446744073709551616",
        ] {
            assert_claim(name, Some(raw), &rules(), Some(malformed(claim)));
        }
    }
    let mut day = rules();
    day.max_lifetime = Duration::from_secs(300);
    for (name, raw, expected) in [
        ("exp", None, Some(Refusal::MissingClaim(Claim::ExpiresAt))),
        ("iat", None, Some(Refusal::MissingClaim(Claim::IssuedAt))),
        ("exp", Some("0"), Some(Refusal::Expired)),
        ("exp", Some("1793520069"), Some(Refusal::Expired)),
        ("exp", Some("1793520070.001"), None),
        ("exp", Some("1793520300.5"), Some(Refusal::Lifetime)),
        ("exp", Some("1793520301"), Some(Refusal::Lifetime)),
        ("exp", Some("9007199254740991"), Some(Refusal::Lifetime)),
        ("iat", Some("1793520131"), Some(Refusal::IssuedInFuture)),
        ("iat", Some("1793520130"), None),
        ("iat", Some("9007199254740991"), Some(Refusal::IssuedInFuture)),
        ("nbf", Some("1793520131"), Some(Refusal::NotYetValid)),
        ("nbf", Some("1793520130.5"), Some(Refusal::NotYetValid)),
        ("nbf", Some("1793520130"), None),
        ("nbf", Some("0"), None),
    ] {
        assert_claim(name, raw, &day, expected);
    }
    assert_claim("exp", Some("1793520300.5"), &rules(), None);
}

#[test]
fn row_17_a_token_must_end_after_it_begins() {
    for exp in ["1793520090", "1793520100"] {
        let claims = claims_with("iat", Some(&format!("1793520100,\"exp\":{exp}")));
        let claims = claims.replacen(&format!("\"exp\":{EXPIRES},"), "", 1);
        assert_eq!(refusal(&signed(&claims), &rules(), &k1()), Some(Refusal::Backwards), "{exp}");
    }
}

#[test]
fn a_token_may_be_too_old_before_it_expires() {
    let mut rules = rules();
    rules.max_age = Some(Duration::from_secs(70));
    let token = signed(&claims().to_string());
    assert_eq!(at(&token, &rules, &k1(), ISSUED + 100).err(), None);
    assert_eq!(at(&token, &rules, &k1(), ISSUED + 101).err(), Some(Refusal::TooOld));
}

#[test]
fn times_at_the_end_of_time_do_not_wrap() {
    let token = signed(&claims().to_string());
    let parsed = Compact::parse(&token, MAX_TOKEN_BYTES).unwrap();
    for (now, expected) in [(i64::MAX, Refusal::Expired), (i64::MIN, Refusal::IssuedInFuture)] {
        let verdict = verify(&parsed, &rules(), &k1(), Timestamp::from_millis(now));
        assert_eq!(verdict.err(), Some(expected));
    }
    let mut rules = rules();
    rules.max_lifetime = Duration::MAX;
    rules.max_age = Some(Duration::MAX);
    assert_claim("exp", Some("9007199254740991"), &rules, None);
}

#[test]
fn row_18_the_audience_is_the_gateway_and_nobody_else() {
    let malformed = Some(Refusal::MalformedClaim(Claim::Audience));
    let (one, strict) = (Some(Refusal::Audience), rules());
    for (raw, expected) in [
        (r#""""#, malformed.clone()),
        ("[]", malformed.clone()),
        (r#"[["https://gw.example.com"]]"#, malformed.clone()),
        (r#"{"a":"https://gw.example.com"}"#, malformed.clone()),
        ("1", malformed.clone()),
        ("null", malformed.clone()),
        ("true", malformed.clone()),
        (r#"["https://gw.example.com","https://gw.example.com"]"#, malformed.clone()),
        (r#"["https://gw.example.com",1]"#, malformed.clone()),
        (r#""https://gw.example.com\u0000""#, malformed),
        (r#""HTTPS://GW.EXAMPLE.COM""#, one.clone()),
        (r#""https://GW.example.com""#, one.clone()),
        (r#""https://gw.example.com/""#, one.clone()),
        (r#""https://gw.example""#, one.clone()),
        (r#""gw.example.com""#, one.clone()),
        (r#""https://gw.example.com.evil""#, one.clone()),
        (r#""https://gw.example.com:443""#, one.clone()),
        (r#"["a","b"]"#, one),
        (r#"["https://gw.example.com","b"]"#, Some(Refusal::SeveralAudiences)),
        (r#"["b","https://gw.example.com"]"#, Some(Refusal::SeveralAudiences)),
        (r#"["https://gw.example.com"]"#, None),
    ] {
        assert_claim("aud", Some(raw), &strict, expected);
    }
    assert_claim("aud", None, &strict, Some(Refusal::MissingClaim(Claim::Audience)));
    let mut open = rules();
    open.single_audience = false;
    assert_claim("aud", Some(r#"["b","https://gw.example.com"]"#), &open, None);
    assert_claim("aud", Some(r#"["b","c"]"#), &open, Some(Refusal::Audience));
}

#[test]
fn row_19_an_issuer_is_its_exact_bytes() {
    let mut xn = rules();
    xn.alias = IssuerAlias::parse("twin").unwrap();
    xn.issuer = "https://xn--dp-lkc.example".to_owned();
    let issuers = Issuers::new([Arc::new(rules()), Arc::new(xn)]).unwrap();
    let select = |raw: Option<&str>| {
        let token = signed(&claims_with("iss", raw));
        let token = Compact::parse(&token, MAX_TOKEN_BYTES).unwrap();
        issuers.select(&token).map(|rules| rules.alias.as_str().to_owned())
    };
    assert_eq!(select(Some(r#""https://idp.example""#)).as_deref(), Ok("idp"));
    for raw in [
        "https://idp.example/",
        "https://IDP.example",
        "HTTPS://idp.example",
        "http://idp.example",
        "https://idp.example:443",
        "https://idp.example/.",
        "https://idp.example%2e",
        "https://good@idp.example",
        "https://idp.example@evil.example",
        "https://\u{456}dp.example",
        "https://idp.ex\u{430}mple",
        " https://idp.example",
        "https://idp.example ",
        "https://idp.example.evil",
        "https://idp.exampl",
        "idp.example",
    ] {
        assert_eq!(select(Some(&format!("\"{raw}\""))), Err(Refusal::UnknownIssuer), "{raw}");
    }
    for raw in
        [r#""https://idp.example\u0000""#, r#"["https://idp.example"]"#, "1", "null", r#""""#]
    {
        assert_eq!(select(Some(raw)), Err(Refusal::MalformedClaim(Claim::Issuer)), "{raw}");
    }
    assert_eq!(select(None), Err(Refusal::MissingClaim(Claim::Issuer)));
}

#[test]
fn row_19_rules_of_another_issuer_do_not_apply() {
    let mut other = rules();
    other.issuer = "https://idp.example/".to_owned();
    let token = signed(&claims().to_string());
    assert_eq!(refusal(&token, &other, &k1()), Some(Refusal::WrongIssuer));
}

#[test]
fn row_20_the_same_kid_of_another_issuer_verifies_nothing() {
    let other = Ec::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
    let keys = set(&[&other.jwk("P-256", "k1")], &Algorithm::ALL).unwrap();
    let token = signed(&claims().to_string());
    assert_eq!(refusal(&token, &rules(), &keys), Some(Refusal::Signature));
}

#[test]
fn row_21_a_token_of_another_type_is_no_login_token() {
    for (raw, expected) in [
        (r#""at+jwt""#, Some(Refusal::Type)),
        (r#""application/at+jwt""#, Some(Refusal::Type)),
        (r#""dpop+jwt""#, Some(Refusal::Type)),
        (r#""wit+jwt""#, Some(Refusal::Type)),
        (r#""logout+jwt""#, Some(Refusal::Type)),
        (r#""secevent+jwt""#, Some(Refusal::Type)),
        (r#""JWT ""#, Some(Refusal::Type)),
        (r#""text/jwt""#, Some(Refusal::Type)),
        (r#""application/a/jwt""#, Some(Refusal::Type)),
        (r#""""#, Some(Refusal::Type)),
        ("1", Some(Refusal::HeaderMember)),
        ("null", Some(Refusal::HeaderMember)),
        (r#""JWT""#, None),
        (r#""jwt""#, None),
        (r#""application/jwt""#, None),
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"k1","typ":{raw}}}"#);
        let token = signed_with(&header, &claims().to_string());
        assert_eq!(refusal(&token, &rules(), &k1()), expected, "{raw}");
    }
    let token = signed_with(r#"{"alg":"ES256","kid":"k1"}"#, &claims().to_string());
    assert_eq!(refusal(&token, &rules(), &k1()), None);
    let mut typed = rules();
    typed.untyped = false;
    assert_eq!(refusal(&token, &typed, &k1()), Some(Refusal::Type));
}

#[test]
fn row_22_a_subject_is_a_short_text_compared_by_bytes() {
    let malformed = Some(Refusal::MalformedClaim(Claim::Subject));
    let long = format!("\"{}\"", "s".repeat(256));
    let fits = format!("\"{}\"", "s".repeat(255));
    for (raw, expected) in [
        (r#""""#, malformed.clone()),
        ("1", malformed.clone()),
        (r#"["svc:a"]"#, malformed.clone()),
        ("null", malformed.clone()),
        (r#""a\u0000""#, malformed.clone()),
        (r#""a\nb""#, malformed.clone()),
        (r#""a\u007f""#, malformed.clone()),
        (r#""a\u009b""#, malformed.clone()),
        (long.as_str(), malformed),
        (fits.as_str(), None),
    ] {
        assert_claim("sub", Some(raw), &rules(), expected);
    }
    assert_claim("sub", None, &rules(), Some(Refusal::MissingClaim(Claim::Subject)));
    let mut spacious = rules();
    spacious.max_subject_bytes = 2048;
    assert_claim("sub", Some(&long), &spacious, None);

    let subject = |raw| {
        let token = signed(&claims_with("sub", Some(raw)));
        at(&token, &rules(), &k1(), NOW).unwrap().identity().clone()
    };
    assert_ne!(subject(r#""caf\u00e9""#), subject(r#""cafe\u0301""#));
}

#[test]
fn rows_23_and_24_the_client_must_be_one_of_ours_where_the_rules_name_any() {
    let mut rules = rules();
    rules.clients = vec!["ours".to_owned(), "also-ours".to_owned()];
    let missing = Some(Refusal::MissingClaim(Claim::Client));
    assert_claim("x", None, &rules, missing);
    for (name, raw, expected) in [
        ("azp", r#""ours""#, None),
        ("client_id", r#""also-ours""#, None),
        ("appid", r#""ours""#, None),
        ("azp", r#""ours","client_id":"also-ours""#, None),
        ("azp", r#""theirs""#, Some(Refusal::Client)),
        ("azp", r#""OURS""#, Some(Refusal::Client)),
        ("azp", r#"["ours"]"#, Some(Refusal::Client)),
        ("azp", "null", Some(Refusal::Client)),
        ("azp", r#""ours","client_id":"theirs""#, Some(Refusal::Client)),
        ("appid", r#""ours","azp":"theirs""#, Some(Refusal::Client)),
    ] {
        assert_claim(name, Some(raw), &rules, expected);
    }
}

#[test]
fn a_token_bound_to_a_key_is_no_bearer_token() {
    for raw in [r#"{"jkt":"AA"}"#, r#"{"x5t#S256":"AA"}"#, "{}", "null"] {
        assert_claim("cnf", Some(raw), &rules(), Some(Refusal::Bound));
    }
}

#[test]
fn a_token_id_is_a_text_without_controls() {
    let malformed = Some(Refusal::MalformedClaim(Claim::TokenId));
    for (raw, expected) in [
        (Some("1"), malformed.clone()),
        (Some("null"), malformed.clone()),
        (Some(r#""a\u0007""#), malformed),
        (None, None),
    ] {
        assert_claim("jti", raw, &rules(), expected);
    }
}

#[test]
fn an_owner_must_be_ours() {
    let mut rules = rules();
    let owner = |pointer: &str, allowed: &[&str]| Owner {
        claim: Pointer::parse(pointer).unwrap(),
        allowed: allowed.iter().map(|id| (*id).to_owned()).collect(),
    };
    rules.owners = vec![owner("/owner/id", &["1", "2"])];
    for (raw, expected) in [
        (None, Some(Refusal::Owner)),
        (Some(r#"{"id":"1"}"#), None),
        (Some(r#"{"id":2}"#), None),
        (Some(r#"{"id":"3"}"#), Some(Refusal::Owner)),
        (Some(r#"{"id":2.0}"#), Some(Refusal::Owner)),
        (Some(r#"{"id":null}"#), Some(Refusal::Owner)),
        (Some(r#"{"id":["1"]}"#), Some(Refusal::Owner)),
        (Some(r#""1""#), Some(Refusal::Owner)),
    ] {
        assert_claim("owner", raw, &rules, expected);
    }
    rules.owners.push(owner("/tenant", &["t"]));
    assert_claim("owner", Some(r#"{"id":"1"}"#), &rules, Some(Refusal::Owner));
    assert_claim("owner", Some(r#"{"id":"1"},"tenant":"t""#), &rules, None);
}

#[test]
fn rules_that_are_too_loose_are_not_registered() {
    type Spoil = fn(&mut IssuerRules);
    let cases: [(Spoil, RulesError); 14] = [
        (|r| r.issuer.clear(), RulesError::Issuer),
        (|r| r.issuer.push('\n'), RulesError::Issuer),
        (|r| r.audiences.clear(), RulesError::Audience),
        (|r| r.audiences.push(String::new()), RulesError::Audience),
        (|r| r.algorithms.clear(), RulesError::Algorithm),
        (|r| r.types = vec!["JWT".to_owned()], RulesError::Type),
        (|r| (r.types, r.untyped) = (Vec::new(), false), RulesError::Type),
        (|r| r.max_token_bytes = 20_001, RulesError::TokenBytes),
        (|r| r.max_lifetime = Duration::ZERO, RulesError::Lifetime),
        (|r| r.leeway = Duration::from_secs(61), RulesError::Leeway),
        (|r| r.max_subject_bytes = 2049, RulesError::SubjectBytes),
        (|r| r.max_subject_bytes = 0, RulesError::SubjectBytes),
        (
            |r| r.owners.push(Owner { claim: Pointer::to_claim("a"), allowed: Vec::new() }),
            RulesError::Owner,
        ),
        (
            |r| r.issuer = "https://token.actions.githubusercontent.com".to_owned(),
            RulesError::SharedWithoutOwners(&[
                "/repository_owner_id",
                "/repository_id",
                "/enterprise_id",
            ]),
        ),
    ];
    for (spoil, expected) in cases {
        let mut rules = rules();
        spoil(&mut rules);
        assert_eq!(rules.check(), Err(expected));
    }
    assert_eq!(rules().check(), Ok(()));
}

#[test]
fn no_two_issuers_share_an_alias_or_a_name() {
    let named = |alias: &str, issuer: &str| {
        let mut rules = rules();
        rules.alias = IssuerAlias::parse(alias).unwrap();
        rules.issuer = issuer.to_owned();
        Arc::new(rules)
    };
    let error = |rules: [Arc<IssuerRules>; 2]| Issuers::new(rules).err().map(|(_, error)| error);
    assert_eq!(error([named("a", "x"), named("a", "y")]), Some(RulesError::SameAlias));
    assert_eq!(error([named("a", "x"), named("b", "x")]), Some(RulesError::SameIssuer));
    assert_eq!(error([named("a", "x"), named("b", "y")]), None);
}
