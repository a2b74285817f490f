//! Tokens of targets for callers: whom the assertion names, what the lease says, what a lying target
//! gets away with.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use symbolon::time::SystemClock;
use symbolon_core::clock::{Clock, ManualClock};
use symbolon_core::id::LeaseId;
use symbolon_core::lease::Proof;
use symbolon_tests::harness::{Answer, Gateway, Issuer, ORIGIN, Setup};

use super::tokens::{ACCESS, GRANT, JWT, error, exchange};

const TARGETS: &str = r#"
[targets.cloud]
plugin = "hostile"
audience = "https://cloud.example.test"
subject = "caller"
attributes = ["team"]
ttl = "10m"
max_leases = 500
scopes = [
    "ok", "too-long", "expired", "kind-unknown", "kind-forged", "token-forged", "no-fields",
    "huge-handle", "huge-token", "echo-assertion", "hand-on-assertion", "reversed-assertion",
    "attributes", "with-handle", "aws-undeclared", "trap",
]

[targets.shared]
plugin = "hostile"
audience = "https://shared.example.test"
scopes = ["reversed-assertion"]
max_leases = 1

[targets.short]
plugin = "hostile"
audience = "https://short.example.test"
subject = "caller"
max_subject = 50
long_subject = "hash"
claims = "aws"
attributes = ["team"]
scopes = ["reversed-assertion"]

[targets.strict]
plugin = "hostile"
audience = "https://strict.example.test"
subject = "caller"
max_subject = 16

[targets.broken]
plugin = "no-such-plugin"
audience = "https://broken.example.test"
"#;

fn setup() -> Setup {
    Setup { blocks: TARGETS.to_owned(), ..Setup::default() }
}

async fn ask(gateway: &Gateway, subject: &str, target: &str, scope: &str) -> Answer {
    exchange(gateway, subject, &[("audience", target), ("scope", scope)]).await
}

/// The claims of the assertion that the target was shown.
async fn assertion(gateway: &Gateway, subject: &str, target: &str) -> Value {
    let answer = ask(gateway, subject, target, "reversed-assertion").await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.json);
    let token = answer.json["access_token"].as_str().expect("a token");
    let token: String = token.chars().rev().collect();
    let claims = token.split('.').nth(1).expect("claims");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64")).expect("JSON")
}

fn lease(answer: &Answer) -> LeaseId {
    let id = answer.json["lease_id"].as_str().unwrap_or_else(|| panic!("{:?}", answer.json));
    LeaseId::parse(id).expect("an id")
}

#[tokio::test]
async fn a_targets_token_has_a_lease_that_ends_with_it() {
    let clock = Arc::new(ManualClock::at(SystemClock::start().now()));
    let gateway = Gateway::start(Setup { clock: Some(clock.clone()), ..setup() }).await;
    let alice = gateway.token("alice");
    let answer = ask(&gateway, &alice, "cloud", "with-handle").await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.json);
    assert_eq!(answer.json["access_token"], "fine");
    assert_eq!(
        (&answer.json["issued_token_type"], &answer.json["token_type"]),
        (&json!(ACCESS), &json!("Bearer"))
    );
    assert_eq!(
        (&answer.json["revocable"], &answer.json["scope"]),
        (&json!(false), &json!("with-handle"))
    );
    assert!(
        (598..=600).contains(&answer.json["expires_in"].as_u64().unwrap()),
        "{:?}",
        answer.json
    );
    let id = lease(&answer);
    let closing = gateway.closing(&answer);
    assert_eq!((&closing["lease"], &closing["outcome"]), (&json!(id.to_string()), &json!("allow")));

    let listed = gateway.get("/v1/leases", &alice).await;
    let shown = &listed.json["leases"][0];
    assert_eq!((&shown["backend"], &shown["role"]), (&json!("cloud"), &json!("token-exchange")));
    assert_eq!((&shown["revocable"], &shown["renewable"]), (&json!(false), &json!(false)));
    let path = format!("/v1/leases/{id}");
    let of_another = gateway.get(&path, &gateway.token("bob")).await;
    assert_eq!(of_another.status, StatusCode::FORBIDDEN);
    let renewed =
        gateway.ask(Method::POST, &format!("{path}/renew"), Some(&alice), Bytes::new()).await;
    assert_eq!(renewed.status, StatusCode::CONFLICT, "{:?}", renewed.json);
    let ended = gateway.ask(Method::DELETE, &path, Some(&alice), Bytes::new()).await;
    assert_eq!((ended.status, &ended.json["state"]), (StatusCode::OK, &json!("revoking")));

    clock.advance(Duration::from_secs(601));
    gateway.app.reaper.sweep().await;
    gateway.app.reaper.settle().await;
    let over = gateway.app.foundation.leases.find(id).await.unwrap().expect("a lease");
    assert_eq!((over.state, over.proof), ("revoked", Some(Proof::RanOut)));
    gateway.stop().await;
}

#[tokio::test]
async fn the_assertion_names_who_asks_and_nobody_else() {
    let gateway = Gateway::start(setup()).await;
    let (alice, bob) = (gateway.token("alice"), gateway.token("bob"));
    let both =
        tokio::join!(assertion(&gateway, &alice, "cloud"), assertion(&gateway, &bob, "cloud"));
    for (claims, name) in [(both.0, "test/alice"), (both.1, "test/bob")] {
        assert_eq!(
            (&claims["sub"], &claims["aud"]),
            (&json!(name), &json!("https://cloud.example.test"))
        );
        assert_eq!(claims["iss"], format!("{ORIGIN}/assertions"));
        assert_eq!(claims.as_object().unwrap().len(), 6, "{claims}");
    }
    let shared = assertion(&gateway, &alice, "shared").await;
    assert_eq!(
        (&shared["sub"], &shared["aud"]),
        (&json!("gateway:shared"), &json!("https://shared.example.test"))
    );
    let attributes = ask(&gateway, &alice, "cloud", "attributes").await;
    assert_eq!(attributes.json["access_token"], "attributes:team=payments");
    // An access token of our own is named as the principal that it stands for.
    let own = exchange(&gateway, &alice, &[("audience", ORIGIN)]).await;
    let own = own.json["access_token"].as_str().expect("a token");
    assert_eq!(assertion(&gateway, own, "cloud").await["sub"], "test/alice");
    gateway.stop().await;
}

#[tokio::test]
async fn a_subject_is_hashed_or_refused_and_never_cut() {
    let gateway = Gateway::start(setup()).await;
    let long = "a".repeat(100);
    let (one, other) = (gateway.token(&format!("{long}1")), gateway.token(&format!("{long}2")));
    let (one, other) =
        (assertion(&gateway, &one, "short").await, assertion(&gateway, &other, "short").await);
    let subject = one["sub"].as_str().expect("a subject");
    assert!(subject.starts_with("sha256:") && subject.len() == 50, "{subject}");
    assert_ne!(one["sub"], other["sub"]);
    assert_eq!(assertion(&gateway, &gateway.token("bob"), "short").await["sub"], "test/bob");
    let refused =
        exchange(&gateway, &gateway.token("longer-than-16"), &[("audience", "strict")]).await;
    assert_eq!(error(&refused), (400, "invalid_target"));
    assert_eq!(gateway.closing(&refused)["code"], "subject_too_long");
    gateway.stop().await;
}

#[tokio::test]
async fn session_tags_are_attributes_and_the_source_is_the_request() {
    let gateway = Gateway::start(setup()).await;
    let answer = ask(&gateway, &gateway.token("alice"), "short", "reversed-assertion").await;
    let token: String =
        answer.json["access_token"].as_str().expect("a token").chars().rev().collect();
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).expect("claims")).expect("base64");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    let tags =
        json!({ "principal_tags": { "team": ["payments"] }, "transitive_tag_keys": ["team"] });
    assert_eq!(claims["https://aws.amazon.com/tags"], tags);
    let request = answer.headers["x-request-id"].to_str().expect("text");
    assert_eq!(claims["https://aws.amazon.com/source_identity"], request);
    let now = gateway.app.foundation.clock.now().seconds();
    let mut odd = gateway.issuer.claims("alice", ORIGIN, now);
    odd["team"] = json!("a\"b");
    let odd = gateway.issuer.token_of(&Issuer::header(), &odd);
    let refused = ask(&gateway, &odd, "short", "reversed-assertion").await;
    assert_eq!(gateway.closing(&refused)["code"], "attribute_value");
    gateway.stop().await;
}

#[tokio::test]
async fn a_lying_exchange_gives_nobody_anything() {
    let gateway = Gateway::start(setup()).await;
    let alice = gateway.token("alice");
    for (scope, status, code) in [
        ("too-long", 502, "answer_expiry"),
        ("expired", 502, "answer_expiry"),
        ("kind-unknown", 502, "answer_token"),
        ("kind-forged", 502, "answer_token"),
        ("token-forged", 502, "answer_token"),
        ("no-fields", 502, "answer_token"),
        ("huge-handle", 502, "answer_handle"),
        ("huge-token", 502, "answer_size"),
        ("hand-on-assertion", 502, "answer_token"),
        ("aws-undeclared", 502, "answer_token"),
        ("echo-assertion", 500, "plugin_internal"),
        ("trap", 500, "trap"),
    ] {
        let answer = ask(&gateway, &alice, "cloud", scope).await;
        let closing = gateway.closing(&answer);
        assert_eq!((answer.status.as_u16(), &closing["code"]), (status, &json!(code)), "{scope}");
        assert_eq!(error(&answer).1, "server_error", "{scope}");
        assert!(!answer.json.to_string().contains("forged"), "{scope}");
    }
    let listed = gateway.get("/v1/leases", &alice).await;
    let states = listed.json["leases"].as_array().unwrap().iter();
    assert!(states.clone().all(|lease| lease["state"] == "revoking"), "{:?}", listed.json);
    assert_eq!(ask(&gateway, &alice, "cloud", "ok").await.status, StatusCode::OK);
    gateway.stop().await;
}

#[tokio::test]
async fn what_is_not_for_the_caller_and_what_is_not_there_answer_alike() {
    let policies = r#"@id("only-cloud")
        permit (principal in Issuer::"test", action == Action::"exchange", resource == Target::"cloud");"#;
    let gateway = Gateway::start(Setup { policies: Some(policies.to_owned()), ..setup() }).await;
    let alice = gateway.token("alice");
    assert_eq!(ask(&gateway, &alice, "cloud", "ok").await.status, StatusCode::OK);
    let mut answers = Vec::new();
    for (target, code) in
        [("shared", "no_rule"), ("absent", "resource_unknown"), (ORIGIN, "no_rule")]
    {
        let answer = exchange(&gateway, &alice, &[("audience", target)]).await;
        assert_eq!(error(&answer), (400, "invalid_target"), "{target}");
        assert_eq!(gateway.closing(&answer)["code"], code, "{target}");
        answers.push(answer.body);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(
        gateway.get("/v1/leases", &alice).await.json["leases"].as_array().unwrap().is_empty(),
        "nor may it see them"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn scopes_narrow_and_quotas_count() {
    let gateway = Gateway::start(setup()).await;
    let alice = gateway.token("alice");
    let unknown = ask(&gateway, &alice, "cloud", "ok admin").await;
    assert_eq!(error(&unknown), (400, "invalid_scope"));
    let first = ask(&gateway, &alice, "shared", "reversed-assertion").await;
    assert_eq!(first.status, StatusCode::OK);
    let second = ask(&gateway, &gateway.token("bob"), "shared", "reversed-assertion").await;
    assert_eq!(error(&second), (429, "temporarily_unavailable"));
    assert_eq!(gateway.closing(&second)["code"], "lease_quota");
    let broken = exchange(&gateway, &alice, &[("audience", "broken")]).await;
    assert_eq!(error(&broken), (503, "temporarily_unavailable"));
    assert_eq!(broken.headers["retry-after"], "1");
    let wrong = [("audience", "cloud"), ("requested_token_type", JWT)];
    assert_eq!(error(&exchange(&gateway, &alice, &wrong).await), (400, "invalid_request"));
    gateway.stop().await;
}

#[tokio::test]
async fn malformed_requests_are_told_what_oauth_tells_and_nothing_more() {
    let gateway = Gateway::start(setup()).await;
    let token = gateway.token("alice");
    let base = [
        ("grant_type", GRANT),
        ("subject_token", token.as_str()),
        ("subject_token_type", JWT),
        ("audience", "cloud"),
    ];
    let but = |name: &str, value: &'static str| {
        let mut form: Vec<_> = base.iter().filter(|(known, _)| *known != name).copied().collect();
        form.push((Box::leak(name.to_owned().into_boxed_str()), value));
        form
    };
    for (form, expected) in [
        (but("grant_type", "client_credentials"), (400, "unsupported_grant_type")),
        (but("grant_type", ""), (400, "invalid_request")),
        (but("subject_token", ""), (400, "invalid_request")),
        (but("subject_token", "garbage"), (400, "invalid_request")),
        (
            but("subject_token_type", "urn:ietf:params:oauth:token-type:saml2"),
            (400, "invalid_request"),
        ),
        (but("audience", ""), (400, "invalid_target")),
        (but("audience", "NOT A NAME"), (400, "invalid_target")),
        (but("resource", "https://gw.example.test/targets/cloud"), (400, "invalid_target")),
        (but("scope", "a\u{e4}"), (400, "invalid_scope")),
        (but("client_secret", "x"), (400, "invalid_client")),
        (but("client_id", "test/bob"), (400, "invalid_client")),
    ] {
        let answer = gateway.form("/oauth2/token", None, &form).await;
        assert_eq!(error(&answer), expected, "{form:?}");
    }
    let good = gateway.form("/oauth2/token", None, &but("client_id", "test/alice")).await;
    assert_eq!(good.status, StatusCode::OK, "{:?}", good.json);
    let with_header = gateway.form("/oauth2/token", Some(&token), &base).await;
    assert_eq!(error(&with_header), (400, "invalid_client"));
    let json = gateway.ask(Method::POST, "/oauth2/token", None, Bytes::from("{}")).await;
    assert_eq!(error(&json), (415, "invalid_request"));
    gateway.stop().await;
}
