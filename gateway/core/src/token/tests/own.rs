//! Access tokens of our own: what is drawn is what is read, and nothing else is.

use proptest::prelude::*;

use super::*;
use crate::principal::{Actor, Attribute, Attributes, Binding, Identity, Proof, Subject};
use crate::scope::Scope;

const ORIGIN: &str = "https://gw.example.com";

fn principal(subject: &str, attributes: Attributes) -> Principal {
    let identity =
        Identity { issuer: IssuerAlias::parse("idp").unwrap(), subject: subject.to_owned() };
    let proof = Proof {
        issued_at: Some(Timestamp::from_seconds(ISSUED)),
        expires_at: Timestamp::from_seconds(EXPIRES),
        binding: Binding::None,
        digest: [7; 32],
        session: None,
    };
    Principal::proven(Subject { identity, profile: "oidc", attributes }, proof)
}

fn grant(scope: Scope) -> Grant {
    let actors = vec![Actor { issuer: None, subject: "svc".to_owned() }];
    let ttl = Duration::from_secs(3600);
    Grant { id: "id-1".to_owned(), issued_at: Timestamp::from_seconds(NOW), ttl, scope, actors }
}

fn read_at(key: &Ed, claims: &Value, header: &str, now: i64) -> Result<Principal, Refusal> {
    let input = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(key.sign(&input)));
    let compact = Compact::parse(&token, MAX_TOKEN_BYTES)?;
    let alias = IssuerAlias::parse("symbolon").unwrap();
    let own = own_rules(alias, ORIGIN, MAX_TOKEN_BYTES);
    let keys = set(&[&key.jwk("k1")], &[Algorithm::EdDsa]).unwrap();
    let issuers = Issuers::new([std::sync::Arc::new(rules())]).unwrap();
    verify_own(&compact, &own, &keys, &issuers, Timestamp::from_seconds(now))
}

const HEADER: &str = r#"{"alg":"EdDSA","kid":"k1","typ":"at+jwt"}"#;

#[test]
fn what_is_drawn_is_the_same_principal_and_ends_with_its_proof() {
    let attributes = Attributes::from([
        ("text".to_owned(), Attribute::String("1".to_owned())),
        ("long".to_owned(), Attribute::Long(-1)),
        ("bool".to_owned(), Attribute::Bool(true)),
        ("list".to_owned(), Attribute::Strings(vec!["a".to_owned()])),
    ]);
    let (of, key) = (principal("repo:a/b", attributes), Ed::generate());
    let drawn = draw(ORIGIN, &of, &grant(Scope::EVERYTHING)).unwrap();
    assert_eq!(drawn.expires_at.seconds(), EXPIRES);
    let read = read_at(&key, &drawn.claims, HEADER, NOW).unwrap();
    assert_eq!(read.subject(), of.subject());
    assert_eq!(read.proof().issued_at, of.proof().issued_at, "to epochs it is as old as its proof");
    let session = read.proof().session.as_ref().unwrap();
    assert_eq!((session.scope, session.actors.len()), (Scope::EVERYTHING, 1));
    assert_eq!(read_at(&key, &drawn.claims, HEADER, EXPIRES), Err(Refusal::Expired));
    let narrow = draw(ORIGIN, &of, &grant(Scope::parse("list").unwrap())).unwrap();
    let narrow = read_at(&key, &narrow.claims, HEADER, NOW).unwrap();
    assert!(draw(ORIGIN, &narrow, &grant(Scope::EVERYTHING)).is_none());
    let again = draw(
        ORIGIN,
        &narrow,
        &Grant { id: "id-2".to_owned(), ..grant(Scope::parse("list").unwrap()) },
    );
    let again = read_at(&key, &again.unwrap().claims, HEADER, NOW).unwrap();
    assert_eq!(again.proof().family(), narrow.proof().family());
    assert_ne!(again.proof().family(), read.proof().digest);
}

#[test]
fn a_token_of_ours_that_says_anything_else_is_refused() {
    let key = Ed::generate();
    let drawn = draw(ORIGIN, &principal("a", Attributes::new()), &grant(Scope::EVERYTHING));
    let good = drawn.unwrap().claims;
    let but = |pointer: &str, value: Value| {
        let mut claims = good.clone();
        *claims.pointer_mut(pointer).unwrap() = value;
        read_at(&key, &claims, HEADER, NOW)
    };
    let ours = Err(Refusal::MalformedClaim(Claim::Principal));
    assert!(but("/jti", json!("other")).is_ok());
    assert_eq!(but("/sub", json!("idp/b")), ours);
    assert_eq!(but("/symbolon/subject", json!("b")), ours);
    assert_eq!(but("/symbolon/issuer", json!("other")), Err(Refusal::UnknownIssuer));
    assert_eq!(but("/symbolon/family", json!("short")), ours);
    assert_eq!(but("/symbolon/attributes", json!({ "a": null })), ours);
    assert_eq!(but("/symbolon/attributes", json!({ "a": 1.5 })), ours);
    assert_eq!(but("/scope", json!("administer")), ours);
    assert_eq!(but("/aud", json!("https://other.example")), Err(Refusal::Audience));
    assert_eq!(but("/exp", json!(NOW + 3600)), Err(Refusal::Lifetime));
    let mut bound = good.clone();
    bound["cnf"] = json!({ "jkt": "x" });
    assert_eq!(read_at(&key, &bound, HEADER, NOW), Err(Refusal::Bound));
    for (header, refusal) in [
        (r#"{"alg":"EdDSA","kid":"k1","typ":"JWT"}"#, Refusal::Type),
        (r#"{"alg":"EdDSA","kid":"k1"}"#, Refusal::Type),
        (r#"{"alg":"ES256","kid":"k1","typ":"at+jwt"}"#, Refusal::Algorithm),
    ] {
        assert_eq!(read_at(&key, &good, header, NOW), Err(refusal), "{header}");
    }
}

proptest! {
    #[test]
    fn an_exchange_never_lengthens(ttl in 1_u64..5000, now in ISSUED..EXPIRES) {
        let grant = Grant {
            ttl: Duration::from_secs(ttl),
            issued_at: Timestamp::from_seconds(now),
            ..grant(Scope::EVERYTHING)
        };
        let drawn = draw(ORIGIN, &principal("a", Attributes::new()), &grant).unwrap();
        prop_assert!(drawn.expires_at.seconds() <= EXPIRES);
        let lasts = drawn.expires_at.seconds() - now;
        prop_assert!(lasts <= 900 && u64::try_from(lasts).unwrap() <= ttl);
    }
}
