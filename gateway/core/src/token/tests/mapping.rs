//! Claims to attributes.

use super::*;
use crate::principal::Attribute;

fn rule(name: &str, pointer: &str, kind: AttributeType, required: bool) -> AttributeRule {
    let claim = Pointer::parse(pointer).unwrap();
    AttributeRule { name: AttributeName::parse(name).unwrap(), claim, kind, required }
}

fn with(rules_: Vec<AttributeRule>) -> IssuerRules {
    let mut rules = rules();
    rules.attributes = ClaimMapping::new(rules_).unwrap();
    rules
}

#[test]
fn claims_of_the_stated_type_become_attributes() {
    let rules = with(vec![
        rule("namespace", "/kubernetes.io/namespace", AttributeType::String, true),
        rule("run", "/run", AttributeType::Long, false),
        rule("protected", "/protected", AttributeType::Bool, false),
        rule("groups", "/https:~1~1idp.example~1groups", AttributeType::Strings, false),
        rule("absent", "/absent", AttributeType::String, false),
        rule("deep", "/run_/absent", AttributeType::String, false),
    ]);
    let claims = claims_with(
        "kubernetes.io",
        Some(
            r#"{"namespace":"prod"},"run":-7,"protected":true,"https://idp.example/groups":["a","b"]"#,
        ),
    );
    let principal = at(&signed(&claims), &rules, &k1(), NOW).unwrap();
    let expected = [
        ("groups", Attribute::Strings(vec!["a".to_owned(), "b".to_owned()])),
        ("namespace", Attribute::String("prod".to_owned())),
        ("protected", Attribute::Bool(true)),
        ("run", Attribute::Long(-7)),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value)).into();
    assert_eq!(principal.subject().attributes, expected);
    assert_eq!(hypothetical(claims.as_bytes(), &rules).as_ref(), Ok(principal.subject()));
}

#[test]
fn a_claim_of_another_type_is_a_refusal_and_never_left_out() {
    let values = [
        ("null", None),
        (r#""x""#, Some(AttributeType::String)),
        ("1", Some(AttributeType::Long)),
        ("1.0", None),
        ("1e0", None),
        ("9223372036854775808", None),
        ("true", Some(AttributeType::Bool)),
        (r#"["x"]"#, Some(AttributeType::Strings)),
        ("[]", Some(AttributeType::Strings)),
        ("[1]", None),
        (r#"["x",null]"#, None),
        ("{}", None),
    ];
    let kinds =
        [AttributeType::String, AttributeType::Long, AttributeType::Bool, AttributeType::Strings];
    for kind in kinds {
        for required in [true, false] {
            let rules = with(vec![rule("a", "/a", kind, required)]);
            for (raw, fits) in values {
                let refused = refusal(&signed(&claims_with("a", Some(raw))), &rules, &k1());
                let wrong = Refusal::AttributeType(AttributeName::parse("a").unwrap());
                assert_eq!(refused, (fits != Some(kind)).then_some(wrong), "{kind:?} {raw}");
            }
        }
    }
}

#[test]
fn a_required_claim_must_be_there_and_the_way_to_it_be_objects() {
    let name = AttributeName::parse("a").unwrap();
    let required = with(vec![rule("a", "/x/y", AttributeType::String, true)]);
    let optional = with(vec![rule("a", "/x/y", AttributeType::String, false)]);
    let missing = Some(Refusal::MissingAttribute(name.clone()));
    let wrong = Some(Refusal::AttributeType(name));
    for (raw, if_required, if_optional) in [
        (None, missing.clone(), None),
        (Some("{}"), missing, None),
        (Some("1"), wrong.clone(), wrong.clone()),
        (Some(r#"["y"]"#), wrong.clone(), wrong),
    ] {
        let token = signed(&claims_with("x", raw));
        assert_eq!(refusal(&token, &required, &k1()), if_required, "{raw:?}");
        assert_eq!(refusal(&token, &optional, &k1()), if_optional, "{raw:?}");
    }
}

#[test]
fn the_subject_may_be_another_claim_but_never_without_sub() {
    let mut rules = rules();
    rules.subject_claim = Pointer::parse("/oid").unwrap();
    let subject = Refusal::MalformedClaim(Claim::SubjectClaim);
    for (raw, expected) in [
        (Some(r#""object-1""#), Ok("object-1".to_owned())),
        (None, Err(Refusal::MissingClaim(Claim::SubjectClaim))),
        (Some("1"), Err(subject.clone())),
        (Some(r#""""#), Err(subject)),
        (Some(r#""o","sub":1"#), Err(Refusal::PayloadJson(Fault::Duplicate))),
    ] {
        let token = signed(&claims_with("oid", raw));
        let principal = at(&token, &rules, &k1(), NOW);
        assert_eq!(principal.map(|p| p.identity().subject.clone()), expected, "{raw:?}");
    }
    let token = signed(&claims_with("sub", None).replacen('{', r#"{"oid":"o","#, 1));
    let expected = Some(Refusal::MissingClaim(Claim::Subject));
    assert_eq!(refusal(&token, &rules, &k1()), expected);
}

#[test]
fn pointers_and_names_follow_their_grammar() {
    for good in ["/sub", "/a/b", "/a~1b", "/a~0b", "/kubernetes.io/pod", "/"] {
        assert_eq!(Pointer::parse(good).map(|p| p.as_str().to_owned()), Ok(good.to_owned()));
    }
    for bad in ["", "sub", "#/sub", "/a~", "/a~2", "/1/2/3/4/5/6/7/8/9"] {
        assert!(Pointer::parse(bad).is_err(), "{bad}");
    }
    assert_eq!(Pointer::to_claim("a/b~").as_str(), "/a~1b~0");
    for bad in ["", "A", "1a", "_a", "a-b", "a.b", "ä", &"a".repeat(64)] {
        assert_eq!(AttributeName::parse(bad), Err(MappingError::Name), "{bad}");
    }
    let twice = rule("a", "/a", AttributeType::String, true);
    let error = ClaimMapping::new(vec![twice.clone(), twice.clone()]).unwrap_err();
    assert_eq!(error, MappingError::Twice(twice.name));
}

#[test]
fn a_hypothetical_subject_obeys_the_owners() {
    let mut rules = rules();
    rules.owners =
        vec![Owner { claim: Pointer::to_claim("tid"), allowed: vec!["ours".to_owned()] }];
    assert_eq!(hypothetical(br#"{"sub":"a"}"#, &rules).err(), Some(Refusal::Owner));
    assert!(hypothetical(br#"{"sub":"a","tid":"ours"}"#, &rules).is_ok());
}
