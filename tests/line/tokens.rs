//! Access tokens of the gateway's own: what they are good for, and what ends them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use symbolon::time::SystemClock;
use symbolon_core::clock::{Clock, ManualClock};
use symbolon_tests::harness::{Answer, Gateway, Issuer, ORIGIN, Setup};

use super::leases::ISSUER;
use crate::attacks::DEMO;
use crate::attacks::wire::admin;

pub(super) const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(super) const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
pub(super) const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";

fn setup() -> Setup {
    Setup { blocks: format!("{DEMO}{ISSUER}"), ..Setup::default() }
}

/// Exchanges `subject`, with more parameters.
pub(crate) async fn exchange(gateway: &Gateway, subject: &str, more: &[(&str, &str)]) -> Answer {
    let form = [("grant_type", GRANT), ("subject_token", subject), ("subject_token_type", JWT)];
    gateway.form("/oauth2/token", None, &[&form[..], more].concat()).await
}

async fn own_token(gateway: &Gateway, subject: &str, more: &[(&str, &str)]) -> String {
    let more = [&[("audience", ORIGIN)][..], more].concat();
    let answer = exchange(gateway, subject, &more).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.json);
    answer.json["access_token"].as_str().expect("a token").to_owned()
}

async fn introspect(gateway: &Gateway, asker: &str, token: &str) -> Value {
    let answer = gateway.form("/oauth2/introspect", Some(asker), &[("token", token)]).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.json);
    answer.json
}

pub(super) fn error(answer: &Answer) -> (u16, &str) {
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["content-type"], "application/json");
    let members = answer.json.as_object().map(|object| object.len());
    assert_eq!(members, Some(2), "{:?}", answer.json);
    (answer.status.as_u16(), answer.json["error"].as_str().expect("an error"))
}

#[tokio::test]
async fn an_own_token_is_the_same_principal_on_every_face() {
    // It stands still: what is left of a token is said to the second.
    let clock = Arc::new(ManualClock::at(SystemClock::start().now()));
    let gateway = Gateway::start(Setup { clock: Some(clock), ..setup() }).await;
    let platform = gateway.token("alice");
    let answer = exchange(&gateway, &platform, &[("audience", ORIGIN)]).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.json);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.json["issued_token_type"], ACCESS);
    assert_eq!(
        (&answer.json["token_type"], &answer.json["expires_in"]),
        (&json!("Bearer"), &json!(300))
    );
    let own = answer.json["access_token"].as_str().expect("a token");
    let read = gateway.get("/v1/secrets/demo/app/text", own).await;
    assert_eq!(read.status, StatusCode::OK, "{:?}", read.json);
    let opened = gateway.audit().into_iter().filter(|line| line["kind"] == "request.open");
    let opened: Vec<_> = opened.collect();
    for (line, dialect, action) in
        [(&opened[0], "oauth", "exchange"), (&opened[1], "native", "read")]
    {
        assert_eq!((&line["issuer"], &line["subject"]), (&json!("test"), &json!("alice")));
        assert_eq!((&line["dialect"], &line["action"]), (&json!(dialect), &json!(action)));
    }
    // An operator who asks why is told the same.
    let examined = gateway.app.line.world.load_full().authenticator.examine(own).await;
    assert_eq!(examined.principal.as_deref(), Some("test/alice"));
    let told = introspect(&gateway, &platform, own).await;
    assert_eq!((&told["active"], &told["sub"]), (&json!(true), &json!("test/alice")));
    assert_eq!((&told["iss"], &told["token_type"]), (&json!(ORIGIN), &json!("Bearer")));
    let lease = gateway.ask(Method::POST, "/v1/credentials/iss/app", Some(own), Bytes::new()).await;
    assert_eq!(lease.status, StatusCode::OK);
    let listed = gateway.get("/v1/leases", &platform).await;
    assert_eq!(listed.json["leases"][0]["id"], lease.json["lease"]["id"]);
    gateway.stop().await;
}

#[tokio::test]
async fn attributes_go_along_and_policies_see_them() {
    let policies = r#"@id("payments")
        permit (principal in Issuer::"test", action, resource)
        when { principal has oidc.team && principal.oidc.team == "payments" };"#;
    let setup = Setup { policies: Some(policies.to_owned()), ..setup() };
    let gateway = Gateway::start(setup).await;
    let own = own_token(&gateway, &gateway.token("alice"), &[]).await;
    let read = gateway.get("/v1/secrets/demo/app/text", &own).await;
    assert_eq!(read.status, StatusCode::OK, "{:?}", gateway.closing(&read));
    gateway.stop().await;
}

#[tokio::test]
async fn an_exchange_neither_lengthens_nor_widens() {
    let clock = Arc::new(ManualClock::at(SystemClock::start().now()));
    let blocks = DEMO.replace("[limits]", "[limits]\naccess_token = \"15m\"");
    let setup = Setup { blocks, clock: Some(clock.clone()), ..Setup::default() };
    let gateway = Gateway::start(setup).await;
    let first = exchange(&gateway, &gateway.token("alice"), &[("audience", ORIGIN)]).await;
    // The platform's token lasts five minutes.
    assert!((299..=300).contains(&first.json["expires_in"].as_u64().unwrap()), "{:?}", first.json);
    clock.advance(Duration::from_secs(100));
    let narrow = [("audience", ORIGIN), ("scope", "list exchange")];
    let first = first.json["access_token"].as_str().expect("a token");
    let second = exchange(&gateway, first, &narrow).await;
    assert!(
        (199..=200).contains(&second.json["expires_in"].as_u64().unwrap()),
        "{:?}",
        second.json
    );
    assert_eq!(second.json["scope"], "exchange list");
    let second = second.json["access_token"].as_str().expect("a token");
    let wide = [("audience", ORIGIN), ("scope", "read")];
    let refused = exchange(&gateway, second, &wide).await;
    assert_eq!(error(&refused), (400, "invalid_scope"));
    let third = own_token(&gateway, second, &[]).await;
    for token in [second, third.as_str()] {
        let read = gateway.get("/v1/secrets/demo/app/text", token).await;
        assert_eq!(read.status, StatusCode::FORBIDDEN);
        assert_eq!(gateway.closing(&read)["code"], "out_of_scope");
        assert_eq!(gateway.get("/v1/secrets/demo/?list", token).await.status, StatusCode::OK);
    }
    clock.advance(Duration::from_secs(201));
    for token in [first, second, third.as_str()] {
        let late = gateway.get("/v1/secrets/demo/?list", token).await;
        assert_eq!(late.status, StatusCode::UNAUTHORIZED);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn epochs_and_locks_stop_own_tokens_from_the_next_request_on() {
    let gateway = Gateway::start(setup()).await;
    let read = async |token: &str| gateway.get("/v1/secrets/demo/app/text", token).await;
    let (alice, bob) = (gateway.token("alice"), gateway.token("bob"));
    let (of_alice, of_bob) =
        (own_token(&gateway, &alice, &[]).await, own_token(&gateway, &bob, &[]).await);
    assert_eq!(read(&of_alice).await.status, StatusCode::OK);
    let whom = r#"{"principal":"test/alice"}"#;
    assert_eq!(admin(&gateway, "POST", "/v1/sessions:revoke", whom).await.status, 200);
    let refused = read(&of_alice).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(gateway.closing(&refused)["code"], "epoch_principal");
    let again = exchange(&gateway, &of_alice, &[("audience", ORIGIN)]).await;
    assert_eq!(error(&again), (400, "invalid_request"));
    assert_eq!(introspect(&gateway, &bob, &of_alice).await, json!({ "active": false }));
    assert_eq!(read(&of_bob).await.status, StatusCode::OK);
    let whom = r#"{"principal":"test/bob"}"#;
    assert_eq!(admin(&gateway, "POST", "/v1/locks", whom).await.status, 200);
    assert_eq!(read(&of_bob).await.status, StatusCode::FORBIDDEN);
    gateway.stop().await;
}

#[tokio::test]
async fn a_withdrawn_token_takes_its_family_and_its_leases_along() {
    let gateway = Gateway::start(setup()).await;
    let platform = gateway.token("alice");
    let first = own_token(&gateway, &platform, &[]).await;
    let second = own_token(&gateway, &first, &[]).await;
    let stranger = own_token(&gateway, &platform, &[]).await;
    let issue = async |token: &str| {
        let path = "/v1/credentials/iss/app";
        let issued = gateway.ask(Method::POST, path, Some(token), Bytes::new()).await;
        issued.json["lease"]["id"].as_str().expect("a lease").to_owned()
    };
    let (mine, other) = (issue(&second).await, issue(&stranger).await);
    let revoked = gateway.form("/oauth2/revoke", None, &[("token", &first)]).await;
    assert_eq!((revoked.status, revoked.body.len()), (StatusCode::OK, 0));
    assert_eq!(gateway.closing(&revoked)["outcome"], "allow");
    for token in [&first, &second] {
        let refused = gateway.get("/v1/leases", token).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert_eq!(gateway.closing(&refused)["code"], "token_withdrawn");
        assert_eq!(introspect(&gateway, &platform, token).await, json!({ "active": false }));
    }
    let state = async |lease: &str| {
        let shown = gateway.get(&format!("/v1/leases/{lease}"), &stranger).await;
        shown.json["state"].as_str().expect("a state").to_owned()
    };
    assert!(["revoking", "revoked"].contains(&state(&mine).await.as_str()));
    assert_eq!(state(&other).await, "active");
    // An operator who has the token ends what hangs on it too.
    let body = json!({ "token": stranger }).to_string();
    assert_eq!(admin(&gateway, "POST", "/v1/leases:revoke", &body).await.status, 200);
    assert!(["revoking", "revoked"].contains(&state(&other).await.as_str()));
    let again = gateway.form("/oauth2/revoke", None, &[("token", &first)]).await;
    assert_eq!(again.status, StatusCode::OK);
    let (directory, issuer) = gateway.stop().await;
    let gateway = Gateway::start_in(directory, issuer, setup()).await;
    assert_eq!(gateway.get("/v1/leases", &second).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(gateway.get("/v1/leases", &stranger).await.status, StatusCode::OK);
    gateway.stop().await;
}

#[tokio::test]
async fn only_own_tokens_are_withdrawn_and_only_permitted_askers_are_told() {
    let policies = r#"
        @id("all-but-asking") permit (principal in Issuer::"test", action, resource);
        @id("bob-asks-nothing") forbid (principal == Workload::"test/bob", action == Action::"list", resource == Gateway::"gateway");"#;
    let gateway = Gateway::start(Setup { policies: Some(policies.to_owned()), ..setup() }).await;
    let (alice, bob) = (gateway.token("alice"), gateway.token("bob"));
    let own = own_token(&gateway, &alice, &[]).await;
    let foreign = gateway.form("/oauth2/revoke", None, &[("token", &alice)]).await;
    assert_eq!(error(&foreign), (400, "unsupported_token_type"));
    for worthless in ["garbage", &own.replace('.', "x"), &format!("{own}A")] {
        let answer = gateway.form("/oauth2/revoke", None, &[("token", worthless)]).await;
        assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0), "{worthless}");
        assert_eq!(introspect(&gateway, &alice, worthless).await, json!({ "active": false }));
    }
    assert_eq!(introspect(&gateway, &alice, &own).await["active"], true);
    assert_eq!(introspect(&gateway, &alice, &alice).await, json!({ "active": false }));
    assert_eq!(introspect(&gateway, &bob, &own).await, json!({ "active": false }));
    let nobody = gateway.form("/oauth2/introspect", None, &[("token", &own)]).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    assert!(nobody.headers.contains_key("www-authenticate"));
    gateway.stop().await;
}

#[tokio::test]
async fn an_actor_acts_only_for_who_lets_it() {
    let gateway = Gateway::start(setup()).await;
    let now = gateway.app.foundation.clock.now().seconds();
    let with = |name: &str, value: Value| {
        let mut claims = gateway.issuer.claims("alice", ORIGIN, now);
        claims[name] = value;
        gateway.issuer.token_of(&Issuer::header(), &claims)
    };
    let acts = async |subject: &str, actor: &str| {
        let more = [("audience", ORIGIN), ("actor_token", actor), ("actor_token_type", JWT)];
        exchange(&gateway, subject, &more).await
    };
    let (bob, carol) = (gateway.token("bob"), gateway.token("carol"));
    let subject = with("may_act", json!({ "iss": gateway.issuer.name, "sub": "bob" }));
    assert_eq!(error(&acts(&subject, &carol).await), (400, "invalid_request"));
    let answer = acts(&subject, &bob).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.json);
    let own = answer.json["access_token"].as_str().expect("a token").to_owned();
    let act = json!({ "iss": gateway.issuer.name, "sub": "bob" });
    assert_eq!(introspect(&gateway, &carol, &own).await["act"], act);
    // Another exchange, without the actor, does not make it the subject's own.
    let again = own_token(&gateway, &own, &[]).await;
    assert_eq!(introspect(&gateway, &carol, &again).await["act"], act);
    let opened = gateway
        .audit()
        .into_iter()
        .rfind(|line| line["kind"] == "request.open" && line["action"] == "exchange");
    assert_eq!(opened.expect("a line")["actors"][0][1], "bob");
    let nested = |depth: usize| {
        (0..depth).fold(json!({ "sub": "first" }), |act, _| json!({ "sub": "next", "act": act }))
    };
    assert_eq!(acts(&with("act", nested(2)), &bob).await.status, StatusCode::OK);
    assert_eq!(error(&acts(&with("act", nested(3)), &bob).await), (400, "invalid_request"));
    assert_eq!(error(&acts(&with("act", json!("bob")), &bob).await), (400, "invalid_request"));
    assert_eq!(error(&acts(&with("may_act", json!({})), &bob).await), (400, "invalid_request"));
    let lock = r#"{"principal":"test/bob"}"#;
    assert_eq!(admin(&gateway, "POST", "/v1/locks", lock).await.status, 200);
    let locked = acts(&subject, &bob).await;
    assert_eq!(error(&locked), (400, "invalid_target"));
    assert_eq!(gateway.closing(&locked)["code"], "locked_principal");
    gateway.stop().await;
}

#[tokio::test]
async fn a_token_that_only_looks_like_our_own_proves_nothing() {
    let gateway = Gateway::start(setup()).await;
    let own = own_token(&gateway, &gateway.token("alice"), &[]).await;
    let assertion =
        gateway.issuer.claims("alice", ORIGIN, gateway.app.foundation.clock.now().seconds());
    let mut forged = assertion.clone();
    forged["iss"] = json!(ORIGIN);
    let header = json!({ "alg": "ES256", "kid": "k1", "typ": "at+jwt" });
    let forged = gateway.issuer.token_of(&header, &forged);
    let last = own.chars().last().expect("a character");
    let changed = format!("{}{}", &own[..own.len() - 1], if last == 'A' { 'B' } else { 'A' });
    for token in [forged, changed] {
        let refused = gateway.get("/v1/leases", &token).await;
        assert!([400, 401].contains(&refused.status.as_u16()), "{:?}", refused.json);
        let exchanged = exchange(&gateway, &token, &[("audience", ORIGIN)]).await;
        assert_eq!(error(&exchanged), (400, "invalid_request"));
    }
    let as_id_token = [
        ("grant_type", GRANT),
        ("subject_token", own.as_str()),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ("audience", ORIGIN),
    ];
    let refused = gateway.form("/oauth2/token", None, &as_id_token).await;
    assert_eq!(error(&refused), (400, "invalid_request"));
    gateway.stop().await;
}

#[tokio::test]
async fn the_metadata_says_where_everything_is() {
    let gateway = Gateway::start(setup()).await;
    let oauth = gateway
        .ask(Method::GET, "/.well-known/oauth-authorization-server", None, Bytes::new())
        .await;
    let openid =
        gateway.ask(Method::GET, "/.well-known/openid-configuration", None, Bytes::new()).await;
    assert_eq!(oauth.json, openid.json);
    assert_eq!(oauth.json["issuer"], ORIGIN);
    for endpoint in ["token_endpoint", "introspection_endpoint", "revocation_endpoint"] {
        let url = oauth.json[endpoint].as_str().expect("a URL");
        let path = url.strip_prefix(ORIGIN).expect("below the issuer");
        let answer = gateway.ask(Method::GET, path, None, Bytes::new()).await;
        assert_eq!(
            (answer.status, &answer.headers["allow"]),
            (StatusCode::METHOD_NOT_ALLOWED, &"POST".parse().unwrap())
        );
    }
    assert_eq!(oauth.json["token_endpoint_auth_methods_supported"], json!(["none"]));
    gateway.stop().await;
}
