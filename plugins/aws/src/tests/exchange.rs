use std::collections::BTreeMap;

use super::*;
use crate::config::{Chain, Sts};

const NOW: u64 = 1_793_500_000;
const REQUEST: &str = "01jbxabcdefghjkmnpqrstvwxy";

fn parsed(more: &str) -> Sts {
    match config(&sts(more)) {
        Config::Sts(sts) => sts,
        Config::SecretsManager(_) | Config::Ssm(_) => panic!("another service"),
    }
}

fn wanted(sts: &Sts, ttl: u64) -> Wanted {
    Wanted::new(sts, REQUEST, ttl, NOW).expect("a session")
}

/// The parameters of a request.
fn parameters(request: &Request) -> BTreeMap<String, String> {
    let form = std::str::from_utf8(request.content().expect("a form")).expect("text");
    let plain = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((first, more)) = rest.split_first() {
            rest = more;
            if *first == b'%' {
                let hex = std::str::from_utf8(&rest[..2]).expect("hex");
                bytes.push(u8::from_str_radix(hex, 16).expect("hex"));
                rest = &rest[2..];
            } else {
                bytes.push(*first);
            }
        }
        String::from_utf8(bytes).expect("text")
    };
    let pairs: Vec<_> = form.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let all: BTreeMap<_, _> = pairs.iter().map(|(n, v)| (plain(n), plain(v))).collect();
    assert_eq!(all.len(), pairs.len(), "no parameter is there twice");
    all
}

#[test]
fn an_assertion_is_exchanged_for_one_role_under_the_name_of_the_request() {
    let sts = parsed("");
    let request = sts::with_assertion(&sts, &wanted(&sts, 3600), "a.b.c").expect("a request");
    assert!(format!("{request:?}").contains("POST https://sts.eu-central-1.amazonaws.com/ "));
    let expected = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", ROLE),
        ("RoleSessionName", "symbolon-01jbxabcdefghjkmnpqrstvwxy"),
        ("DurationSeconds", "3600"),
        ("WebIdentityToken", "a.b.c"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(parameters(&request), BTreeMap::from(expected));
}

#[test]
fn a_session_that_would_outlast_what_was_permitted_loses_its_rights_in_time() {
    for (more, ttl, seconds, ends, statements) in [
        ("", 300, "900", NOW + 300, Some(2)),
        ("", 900, "900", NOW + 900, None),
        ("", 7200, "3600", NOW + 3600, None),
        (r#","duration":7200"#, 7200, "7200", NOW + 7200, None),
        (r#","policy":"{\"Statement\":{\"Effect\":\"Allow\"}}""#, 300, "900", NOW + 300, Some(2)),
        (r#","policy":"{\"Statement\":[{},{}]}""#, 300, "900", NOW + 300, Some(3)),
        (
            r#","policy_arns":["arn:aws:iam::aws:policy/ReadOnlyAccess"]"#,
            300,
            "900",
            NOW + 300,
            Some(1),
        ),
    ] {
        let sts = parsed(more);
        let wanted = wanted(&sts, ttl);
        assert_eq!(wanted.ends_at, ends, "{more} {ttl}");
        let sent = parameters(&sts::with_assertion(&sts, &wanted, "t").expect("a request"));
        assert_eq!(sent["DurationSeconds"], seconds, "{more} {ttl}");
        let policy =
            sent.get("Policy").map(|p| serde_json::from_str::<serde_json::Value>(p).expect("JSON"));
        let list = policy.map(|policy| policy["Statement"].as_array().expect("a list").clone());
        assert_eq!(list.as_ref().map(Vec::len), statements, "{more} {ttl}");
        if let Some(last) = list.and_then(|list| list.last().cloned()) {
            assert_eq!((&last["Effect"], &last["Action"]), (&"Deny".into(), &"*".into()));
            let end = &last["Condition"]["DateGreaterThanEquals"]["aws:CurrentTime"];
            assert_eq!(end.as_str(), Some(symbolon_plugin::time::format(ends).as_str()));
        }
    }
}

#[test]
fn a_chain_carries_tags_and_identity_and_no_assertion() {
    let sts = parsed(
        r#","policy_arns":["arn:aws:iam::aws:policy/A","arn:aws:iam::aws:policy/B"],
        "chain":{"external_id":"e:1","source_identity":"gw","tags":{"team":"billing"},"transitive_tags":["team"]}"#,
    );
    let chain = sts.chain.as_ref().expect("a chain");
    let attributes = [("subject".to_owned(), "a&b=c".to_owned())];
    let refused = sts::chained(&sts, chain, &wanted(&sts, 3600), &attributes).expect_err("no tag");
    assert_eq!(refused.code, "tags_unfit");
    let attributes = [("subject".to_owned(), "svc billing".to_owned())];
    let request = sts::chained(&sts, chain, &wanted(&sts, 3600), &attributes).expect("a request");
    let sent = parameters(&request);
    for (name, value) in [
        ("Action", "AssumeRole"),
        ("Tags.member.1.Key", "team"),
        ("Tags.member.1.Value", "billing"),
        ("Tags.member.2.Key", "subject"),
        ("Tags.member.2.Value", "svc billing"),
        ("TransitiveTagKeys.member.1", "team"),
        ("ExternalId", "e:1"),
        ("SourceIdentity", "gw"),
        ("PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/A"),
        ("PolicyArns.member.2.arn", "arn:aws:iam::aws:policy/B"),
    ] {
        assert_eq!(sent.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!sent.contains_key("WebIdentityToken"));
    let doubled = [("Team".to_owned(), "other".to_owned())];
    assert!(sts::chained(&sts, chain, &wanted(&sts, 3600), &doubled).is_err());
    let plain = sts::chained(&sts, &Chain::default(), &wanted(&sts, 3600), &[]).expect("a request");
    assert!(!parameters(&plain).contains_key("ExternalId"));
}

const SESSION: &str =
    "arn:aws:sts::123456789012:assumed-role/billing/symbolon-01jbxabcdefghjkmnpqrstvwxy";

fn good(action: &str) -> String {
    format!(
        r#"<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
          <{action}Result>
            <Credentials><AccessKeyId>ASIAEXAMPLE0000000AB</AccessKeyId><SecretAccessKey>s3cr3t/+</SecretAccessKey>
              <SessionToken>IQoJ+/=</SessionToken><Expiration>2026-11-01T10:15:00Z</Expiration></Credentials>
            <AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:x</AssumedRoleId><Arn>{SESSION}</Arn></AssumedRoleUser>
          </{action}Result>
          <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>
        </{action}Response>"#
    )
}

const WEB: &str = "AssumeRoleWithWebIdentity";
/// A quarter of an hour before the session in [`good`] ends.
const BEFORE: u64 = 1_793_527_200;

fn taken(body: &str, ttl: u64) -> Result<Token, Error> {
    let sts = parsed("");
    let wanted = Wanted::new(&sts, REQUEST, ttl, BEFORE)?;
    let session = sts.role()?.session(&wanted.name);
    assumed::token(
        &answer(200, body),
        &Asked { action: WEB, session, wanted: &wanted, now: BEFORE },
    )
}

#[test]
fn keys_are_those_of_the_session_asked_for_and_end_in_time() {
    let token = taken(&good(WEB), 300).expect("keys");
    assert_eq!(token.kind, "aws");
    let fields = token.fields.map_text();
    assert_eq!(
        fields,
        [
            "access_key_id=ASIAEXAMPLE0000000AB",
            "secret_access_key=s3cr3t/+",
            "session_token=IQoJ+/="
        ]
    );
    assert_eq!(token.expires_at, BEFORE + 300);
    assert_eq!(
        token.metadata[1],
        ("keys_known_until".to_owned(), "2026-11-01T10:15:00Z".to_owned())
    );
    assert_eq!(taken(&good(WEB), 3600).expect("keys").expires_at, BEFORE + 900);
}

trait MapText {
    fn map_text(&self) -> Vec<String>;
}

impl MapText for Vec<(String, Vec<u8>)> {
    fn map_text(&self) -> Vec<String> {
        self.iter()
            .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value)))
            .collect()
    }
}

#[test]
fn an_answer_that_is_not_surely_the_one_asked_for_gives_no_keys() {
    let good = good(WEB);
    for (from, to) in [
        (
            SESSION,
            "arn:aws:sts::999999999999:assumed-role/billing/symbolon-01jbxabcdefghjkmnpqrstvwxy",
        ),
        (
            SESSION,
            "arn:aws:sts::123456789012:assumed-role/admin/symbolon-01jbxabcdefghjkmnpqrstvwxy",
        ),
        (SESSION, "arn:aws:sts::123456789012:assumed-role/billing/other"),
        ("<Arn>", "<Arn>x</Arn><Arn>"),
        ("<Arn>", "<Arn><!-- -->"),
        (WEB, "AssumeRole"),
        ("https://sts.amazonaws.com/doc/2011-06-15/", "https://elsewhere/"),
        ("ASIAEXAMPLE0000000AB", ""),
        ("ASIAEXAMPLE0000000AB", "ASIA EXAMPLE0000000AB"),
        ("s3cr3t/+", "s3cr3t\n"),
        ("<SessionToken>IQoJ+/=</SessionToken>", ""),
        ("2026-11-01T10:15:00Z", "2026-11-01T09:59:59Z"),
        ("2026-11-01T10:15:00Z", "1793528100"),
        ("</Credentials>", ""),
    ] {
        let text = good.replace(from, to);
        assert_ne!(text, good, "{to}");
        assert_eq!(taken(&text, 300).expect_err(to).code, "malformed_answer", "{to}");
    }
    let entity = format!("<!DOCTYPE a [<!ENTITY e \"x\">]>{good}");
    let many =
        good.replace("<ResponseMetadata>", &format!("<ResponseMetadata>{}", "<a/>".repeat(300)));
    for text in ["", "{}", &entity, &many, &good[..200]] {
        assert_eq!(taken(text, 300).expect_err("refused").code, "malformed_answer");
    }
}

#[test]
fn every_refusal_of_the_token_service_has_its_kind_and_no_words() {
    use ErrorKind as K;
    for (code, status, kind, ours) in [
        ("ExpiredTokenException", 400, K::Unauthenticated, "assertion_expired"),
        ("ExpiredToken", 400, K::Unauthenticated, "assertion_expired"),
        ("InvalidIdentityToken", 400, K::InvalidConfig, "identity_token_refused"),
        ("IDPRejectedClaim", 403, K::PermissionDenied, "claim_rejected"),
        ("IDPCommunicationError", 400, K::Unavailable, "issuer_unreached"),
        ("MalformedPolicyDocument", 400, K::InvalidConfig, "policy_malformed"),
        ("PackedPolicyTooLarge", 400, K::InvalidConfig, "policy_too_large"),
        ("RegionDisabledException", 403, K::InvalidConfig, "region_disabled"),
        ("AccessDenied", 403, K::PermissionDenied, "trust_refused"),
        ("Throttling", 400, K::RateLimited, "throttled"),
        ("RequestLimitExceeded", 503, K::RateLimited, "throttled"),
        ("SignatureDoesNotMatch", 403, K::Unauthenticated, "signature_refused"),
        ("InvalidClientTokenId", 403, K::Unauthenticated, "credentials_unknown"),
        ("ValidationError", 400, K::InvalidConfig, "parameters_refused"),
        ("SomethingNew", 400, K::InvalidRequest, "refused"),
    ] {
        let body = format!(
            r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
              <Error><Type>Sender</Type><Code>{code}</Code><Message>hunter2</Message></Error>
              <RequestId>r</RequestId></ErrorResponse>"#
        );
        let sts = parsed("");
        let asked =
            Asked { action: WEB, session: String::new(), wanted: &wanted(&sts, 900), now: NOW };
        let error = assumed::token(&answer(status, &body), &asked).expect_err("refused");
        assert_eq!((error.kind, error.code.as_str()), (kind, ours), "{code}");
        assert_eq!((error.upstream_status, error.request_sent), (Some(status), true), "{code}");
        assert!(!error.message.contains("hunter2"), "{code}");
        let waits = matches!(kind, K::RateLimited | K::Unavailable);
        assert_eq!(error.retry_after_ms.is_some(), waits, "{code}");
        // Another namespace, or none, is another service's error, and known by its status alone.
        let other = body.replace(r#" xmlns="https://sts.amazonaws.com/doc/2011-06-15/""#, "");
        let error = assumed::token(&answer(status, &other), &asked).expect_err("refused");
        assert_eq!(error.code, Error::from_status(status).code, "{code}");
    }
}

#[test]
fn keys_that_could_not_be_fetched_are_told_from_an_assertion_that_is_not_believed() {
    use ErrorKind as K;
    let unreached = "Couldn't retrieve verification key from your identity provider, please \
                     reference AssumeRoleWithWebIdentity documentation for requirements";
    for (code, message, kind, ours) in [
        ("InvalidIdentityToken", unreached, K::Unavailable, "keys_unreached"),
        (
            "InvalidIdentityToken",
            "No OpenIDConnect provider",
            K::InvalidConfig,
            "identity_token_refused",
        ),
        (
            "InvalidIdentityToken",
            "hunter2. Couldn't retrieve verification key",
            K::InvalidConfig,
            "identity_token_refused",
        ),
        ("InvalidIdentityToken", "", K::InvalidConfig, "identity_token_refused"),
        ("AccessDenied", unreached, K::PermissionDenied, "trust_refused"),
    ] {
        let body = format!(
            r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
              <Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>
              <RequestId>r</RequestId></ErrorResponse>"#
        );
        let sts = parsed("");
        let asked =
            Asked { action: WEB, session: String::new(), wanted: &wanted(&sts, 900), now: NOW };
        let error = assumed::token(&answer(400, &body), &asked).expect_err("refused");
        assert_eq!((error.kind, error.code.as_str()), (kind, ours), "{message}");
        assert_eq!(error.retry_after_ms.is_some(), kind == K::Unavailable, "{message}");
        assert!(!error.message.contains("hunter2"), "{message}");
    }
}
