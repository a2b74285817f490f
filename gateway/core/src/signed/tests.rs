//! The worked vector of `wire-formats.md` §1.1.2, and what is wrong with everything near it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::id::IssuerAlias;
use crate::principal::Attribute;
use crate::token::{Owner, Pointer, Profile, signed_name};

const DATE: i64 = 1_767_225_600;
const ACCOUNT: &str = "123456789012";
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-gateway-server-id, Signature=fe8875f928bbabb6cc99106768ed6d06d6e4603fbc1a119098c1ae1d45121197";

fn vector() -> Json {
    json!({
        "method": "POST",
        "url": "https://sts.us-east-1.amazonaws.com/",
        "body": BODY,
        "headers": {
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "Host": "sts.us-east-1.amazonaws.com",
            "X-Amz-Date": "20260101T000000Z",
            "X-Gateway-Server-ID": "gw.example.com",
            "Authorization": AUTHORIZATION,
        }
    })
}

fn parse(request: &Json) -> Result<SignedRequest, SignedRefusal> {
    SignedRequest::parse(&URL_SAFE_NO_PAD.encode(request.to_string()))
}

fn rules() -> IssuerRules {
    let alias = IssuerAlias::parse("aws").unwrap();
    let audiences = vec!["gw.example.com".to_owned()];
    let name = signed_name("aws");
    let mut rules = IssuerRules::of(Profile::AwsSigned, alias, &name, audiences).unwrap();
    rules.owners = vec![Owner {
        claim: Pointer::parse("/account").unwrap(),
        allowed: vec![ACCOUNT.to_owned()],
    }];
    assert_eq!(rules.check(), Ok(()));
    rules
}

fn xml(inner: &str) -> String {
    format!(
        r#"<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>{inner}</GetCallerIdentityResult><ResponseMetadata><RequestId>01234567</RequestId></ResponseMetadata></GetCallerIdentityResponse>"#
    )
}

const ARN: &str = "arn:aws:sts::123456789012:assumed-role/billing-worker/i-0123456789abcdef0";
const USER_ID: &str = "AROAEXAMPLEID1234567:i-0123456789abcdef0";

fn good() -> String {
    xml(&format!("<Arn>{ARN}</Arn><UserId>{USER_ID}</UserId><Account>{ACCOUNT}</Account>"))
}

#[test]
fn the_worked_vector_proves_the_role_that_sts_names() {
    let request = parse(&vector()).unwrap();
    let rules = rules();
    let fresh = request.check(&rules, Timestamp::from_seconds(DATE + 60)).unwrap();
    assert_eq!(fresh.host(), "sts.us-east-1.amazonaws.com");
    let names: Vec<_> = fresh.headers().map(|(name, _)| name).collect();
    assert!(!names.contains(&"host") && names.contains(&"authorization"), "{names:?}");
    let answer = Answer::parse("text/xml", good().as_bytes()).unwrap();
    let principal = fresh.prove(&rules, &answer).unwrap();
    assert_eq!(principal.identity().subject, "123456789012:AROAEXAMPLEID1234567");
    let attributes = &principal.subject().attributes;
    assert_eq!(principal.subject().profile, "aws");
    for (name, expected) in
        [("name", "billing-worker"), ("kind", "role"), ("session", "i-0123456789abcdef0")]
    {
        assert_eq!(attributes[name], Attribute::String(expected.to_owned()), "{name}");
    }
    assert_eq!(principal.proof().issued_at, Some(Timestamp::from_seconds(DATE)));
}

#[test]
fn the_same_answer_in_json_is_the_same_answer() {
    let answer = json!({ "GetCallerIdentityResponse": {
        "GetCallerIdentityResult": { "Account": ACCOUNT, "Arn": ARN, "UserId": USER_ID },
        "ResponseMetadata": { "RequestId": "01234567" },
    } });
    let of_json = Answer::parse("application/json", answer.to_string().as_bytes()).unwrap();
    assert_eq!(of_json, Answer::parse("text/xml; charset=utf-8", good().as_bytes()).unwrap());
}

/// A change of the vector at a JSON pointer.
fn changed(pointer: &str, value: Json) -> Json {
    let mut request = vector();
    let (folder, name) = pointer.rsplit_once('/').unwrap();
    let object = request.pointer_mut(folder).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        drop(object.remove(name));
    } else {
        drop(object.insert(name.to_owned(), value));
    }
    request
}

fn authorization(from: &str, to: &str) -> Json {
    assert!(AUTHORIZATION.contains(from), "{from}");
    changed("/headers/Authorization", json!(AUTHORIZATION.replace(from, to)))
}

#[test]
fn row_34_everything_near_a_signed_request_is_refused_for_its_own_reason() {
    let hosts = [
        "https://sts.us-east-1.amazonaws.com",
        "https://sts.us-east-1.amazonaws.com/?Action=GetSessionToken",
        "https://sts.us-east-1.amazonaws.com/x",
        "https://sts.us-east-1.amazonaws.com:443/",
        "https://sts.us-east-1.amazonaws.com:444/",
        "https://sts.us-east-1.amazonaws.com./",
        "https://STS.us-east-1.amazonaws.com/",
        "http://sts.us-east-1.amazonaws.com/",
        "https://sts.amazonaws.com.evil.com/",
        "https://sts.amazonaws.com@evil.com/",
        "https://evil.com#sts.amazonaws.com/",
        "https://sts.evil.amazonaws.com/",
        "https://sts.x.evil.com/.amazonaws.com/",
        "https://sts.us-east-1#.amazonaws.com/",
        "https://sts.us-east-2.amazonaws.com/",
    ];
    for url in hosts {
        assert_eq!(parse(&changed("/url", json!(url))).err(), Some(SignedRefusal::Host), "{url}");
    }
    let bodies = [
        "",
        "Action=GetSessionToken&Version=2011-06-15",
        "Action=GetCallerIdentity",
        "Action=GetCallerIdentity&Version=2011-06-14",
        "Action=GetCallerIdentity&Version=2011-06-15&Action=GetSessionToken",
        "Action=GetCallerIdentity&Action=GetCallerIdentity&Version=2011-06-15",
        "action=GetCallerIdentity&Version=2011-06-15",
        "Action=GetCallerIdentity&Version=2011-06-15&",
        "Action=GetCaller%49dentity&Version=2011-06-15",
    ];
    for body in bodies {
        assert_eq!(
            parse(&changed("/body", json!(body))).err(),
            Some(SignedRefusal::Body),
            "{body}"
        );
    }
}

#[test]
fn row_34_headers_scope_and_signature_are_refused_for_their_own_reason() {
    let cases = [
        (changed("/method", json!("GET")), SignedRefusal::Method),
        (changed("/method", json!("post")), SignedRefusal::Method),
        (changed("/extra", json!("x")), SignedRefusal::Malformed),
        (changed("/headers", json!([])), SignedRefusal::Malformed),
        (changed("/headers/X-Forwarded-Host", json!("a")), SignedRefusal::Header),
        (changed("/headers/X-Amz-Target", json!("a")), SignedRefusal::Header),
        (changed("/headers/Accept", json!("text/html")), SignedRefusal::Header),
        (changed("/headers/Transfer-Encoding", json!("chunked")), SignedRefusal::Header),
        (changed("/headers/host", json!("sts.us-east-1.amazonaws.com")), SignedRefusal::Header),
        (changed("/headers/Content-Length", json!("1")), SignedRefusal::Header),
        (changed("/headers/Content-Type", json!("a\r\nX: b")), SignedRefusal::Header),
        (changed("/headers/Content-Type", json!(" a")), SignedRefusal::Header),
        (changed("/headers/Content-Type", json!("a  b")), SignedRefusal::Header),
        (changed("/headers/Content-Type", json!(["a"])), SignedRefusal::Malformed),
        (changed("/headers/Host", json!("sts.amazonaws.com")), SignedRefusal::Host),
        (changed("/headers/Host", Json::Null), SignedRefusal::Host),
        (changed("/headers/Authorization", Json::Null), SignedRefusal::Authorization),
        (changed("/headers/X-Amz-Date", Json::Null), SignedRefusal::Date),
        (changed("/headers/X-Amz-Date", json!("20260101T000061Z")), SignedRefusal::Date),
        (changed("/headers/X-Amz-Date", json!("20261301T000000Z")), SignedRefusal::Date),
        (changed("/headers/X-Amz-Date", json!("2026-01-01T00:00:00Z")), SignedRefusal::Date),
        (changed("/headers/X-Amz-Date", json!("20260102T000000Z")), SignedRefusal::Scope),
        (changed("/headers/X-Gateway-Server-ID", Json::Null), SignedRefusal::Unsigned),
        (changed("/headers/X-Amz-Security-Token", json!("t")), SignedRefusal::Unsigned),
        (changed("/headers/X-Amz-Content-Sha256", json!("t")), SignedRefusal::Unsigned),
        (authorization("/sts/", "/s3/"), SignedRefusal::Scope),
        (authorization("us-east-1", "eu-west-1"), SignedRefusal::Scope),
        (authorization("us-east-1", "x.evil.com"), SignedRefusal::Scope),
        (authorization("20260101", "20260102"), SignedRefusal::Scope),
        (authorization("aws4_request", "aws4"), SignedRefusal::Scope),
        (authorization(";x-gateway-server-id", ""), SignedRefusal::Unsigned),
        (authorization("host;", ""), SignedRefusal::Unsigned),
        (authorization("x-amz-date;", ""), SignedRefusal::Unsigned),
        (authorization("content-type;host", "content-type;expect;host"), SignedRefusal::Unsigned),
        (authorization("content-type;host", "host;content-type"), SignedRefusal::Authorization),
        (authorization("content-type;host", "host;host"), SignedRefusal::Authorization),
        (authorization("Signature=fe", "Signature=FE"), SignedRefusal::Authorization),
        (authorization("Signature=fe", "Signature="), SignedRefusal::Authorization),
        (authorization("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256  "), SignedRefusal::Header),
        (authorization("/aws4_request", "/aws4_request/x"), SignedRefusal::Authorization),
        (authorization(", SignedHeaders", ",SignedHeaders"), SignedRefusal::Authorization),
        (authorization("AKIDEXAMPLE", "AKID-EXAMPLE"), SignedRefusal::Authorization),
    ];
    for (request, refusal) in cases {
        assert_eq!(parse(&request).err(), Some(refusal), "{request}");
    }
    let twice = vector().to_string().replace("\"method\":", "\"method\":\"GET\",\"method\":");
    let twice = SignedRequest::parse(&URL_SAFE_NO_PAD.encode(twice));
    assert_eq!(twice.err(), Some(SignedRefusal::Malformed));
}

#[test]
fn a_request_is_for_us_and_within_its_minutes_or_is_not_sent() {
    let request = parse(&vector()).unwrap();
    let at = |seconds: i64, rules: &IssuerRules| {
        request.check(rules, Timestamp::from_seconds(DATE + seconds)).err()
    };
    for (seconds, expected) in [
        (-31, Some(SignedRefusal::Future)),
        (-30, None),
        (300, None),
        (301, Some(SignedRefusal::TooOld)),
        (16 * 60, Some(SignedRefusal::TooOld)),
    ] {
        assert_eq!(at(seconds, &rules()), expected, "{seconds}");
    }
    let other = IssuerRules { audiences: vec!["gw.evil.com".to_owned()], ..rules() };
    assert_eq!(at(0, &other), Some(SignedRefusal::Audience));
    let narrow = IssuerRules { max_age: Some(std::time::Duration::from_secs(10)), ..rules() };
    assert_eq!(at(11, &narrow), Some(SignedRefusal::TooOld));
}

#[test]
fn row_35_an_answer_that_is_not_the_answer_is_refused() {
    let good = good();
    let dtd = format!("<!DOCTYPE a [<!ENTITY x \"y\">]>{good}");
    let two = good.replace("<ResponseMetadata>", "<GetCallerIdentityResult/><ResponseMetadata>");
    let fake = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Message>"
        .to_owned()
        + &good
        + "</Message></ErrorResponse>";
    for (kind, body) in [
        ("text/html", good.clone()),
        ("", good.clone()),
        ("application/json", good.clone()),
        ("text/xml", dtd),
        ("text/xml", two),
        ("text/xml", fake),
        ("text/xml", good.replace(" xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"", "")),
        ("text/xml", good.replace("2011-06-15", "2011-06-16")),
        ("text/xml", good.replace("GetCallerIdentityRes", "AssumeRoleRes")),
        ("text/xml", good.replace("<Account>", "<Account>1</Account><Account>")),
        ("text/xml", good.replace("<Arn>", "<Arn><b/>")),
        ("text/xml", good.replace("<Arn>", "<Other>x</Other><Arn>")),
        ("text/xml", good.replace("<Arn>", "<Arn x=\"y\">")),
        ("text/xml", format!("{good}trailing")),
        ("text/xml", good.replace(USER_ID, "")),
        ("text/xml", " ".repeat(70_000) + &good),
        ("application/json", "{}".to_owned()),
        ("application/json", r#"{"GetCallerIdentityResponse":{"GetCallerIdentityResult":{"Account":"1","Arn":"a","UserId":"b","X":"c"}}}"#.to_owned()),
        ("application/json", r#"{"GetCallerIdentityResponse":{"GetCallerIdentityResult":{"Account":"1","Account":"2","Arn":"a","UserId":"b"}}}"#.to_owned()),
    ] {
        assert_eq!(Answer::parse(kind, body.as_bytes()).err(), Some(SignedRefusal::Answer), "{kind} {body:.200}");
    }
}

#[test]
fn row_35_a_caller_is_somebody_of_the_account_and_partition_that_was_asked() {
    let request = parse(&vector()).unwrap();
    let rules = rules();
    let fresh = request.check(&rules, Timestamp::from_seconds(DATE)).unwrap();
    let prove = |arn: &str, user_id: &str, account: &str| {
        let text =
            xml(&format!("<Arn>{arn}</Arn><UserId>{user_id}</UserId><Account>{account}</Account>"));
        let answer = Answer::parse("text/xml", text.as_bytes()).unwrap();
        fresh.prove(&rules, &answer).map(|principal| principal.identity().subject.clone())
    };
    let user = "AIDAEXAMPLEID1234567";
    for (arn, user_id, account, expected) in [
        (
            "arn:aws:iam::123456789012:user/path/bob",
            user,
            ACCOUNT,
            Ok("123456789012:AIDAEXAMPLEID1234567"),
        ),
        (
            "arn:aws:sts::123456789012:federated-user/bob",
            "123456789012:bob",
            ACCOUNT,
            Ok("123456789012:federated-user/bob"),
        ),
        ("arn:aws:iam::123456789012:root", ACCOUNT, ACCOUNT, Err(SignedRefusal::Caller)),
        (
            "arn:aws:iam::123456789012:role/a",
            "AROAEXAMPLEID1234567",
            ACCOUNT,
            Err(SignedRefusal::Caller),
        ),
        ("arn:aws:iam::123456789012:user/bob:x", user, ACCOUNT, Err(SignedRefusal::Caller)),
        ("arn:aws:iam::12345678901:user/bob", user, "12345678901", Err(SignedRefusal::Caller)),
        ("arn:aws:iam::210987654321:user/bob", user, ACCOUNT, Err(SignedRefusal::Disagreement)),
        ("arn:aws-cn:iam::123456789012:user/bob", user, ACCOUNT, Err(SignedRefusal::Disagreement)),
        (
            "arn:aws:iam::123456789012:user/bob",
            "AROAEXAMPLEID1234567",
            ACCOUNT,
            Err(SignedRefusal::Disagreement),
        ),
        (ARN, "AROAEXAMPLEID1234567:other", ACCOUNT, Err(SignedRefusal::Disagreement)),
        (ARN, "AROAEXAMPLEID1234567", ACCOUNT, Err(SignedRefusal::Disagreement)),
        (
            "arn:aws:sts::123456789012:federated-user/bob",
            "123456789012:eve",
            ACCOUNT,
            Err(SignedRefusal::Disagreement),
        ),
        (
            "arn:aws:iam::210987654321:user/bob",
            user,
            "210987654321",
            Err(SignedRefusal::Rules(Refusal::Owner)),
        ),
    ] {
        assert_eq!(prove(arn, user_id, account), expected.map(str::to_owned), "{arn} {user_id}");
    }
}

proptest! {
    #[test]
    fn any_text_ends_in_a_verdict(text in "\\PC{0,200}") {
        let _request = SignedRequest::parse(&text);
        let _encoded = SignedRequest::parse(&URL_SAFE_NO_PAD.encode(&text));
        let _xml = Answer::parse("text/xml", text.as_bytes());
        let _json = Answer::parse("application/json", text.as_bytes());
    }
}
