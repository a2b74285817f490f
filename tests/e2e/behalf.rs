//! Backends that ask in the names of their callers. The cloud here is a fake for what no real part shows:
//! it says whom it was shown, and the exchange hands the gateway's own assertion on to it (backwards, since
//! the host does not take it as it is), so that each exchange has a credential of its own.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::StatusCode;
use http::request::Parts;
use serde_json::{Value, json};
use symbolon::time::SystemClock;
use symbolon_core::clock::{Clock as _, ManualClock};
use symbolon_tests::harness::{Answer, Gateway, Issuer, ORIGIN, Setup};

use super::parts::{Identity, Reply, Server};
use crate::attacks::wire::admin;
use crate::line::tokens::exchange;

const API: &str = "api.example.test";
const PERMIT: &str = r#"
@id("test") permit (principal in Issuer::"test", action, resource);
@id("other") permit (principal in Issuer::"other", action, resource);
"#;

/// What the cloud was shown, in order, and what of it it does not take.
#[derive(Debug, Default)]
struct Cloud {
    shown: Mutex<Vec<String>>,
    refused: Mutex<BTreeSet<String>>,
}

impl Cloud {
    fn answer(&self, head: &Parts) -> Reply {
        let name = head.uri.path().rsplit('/').next().unwrap_or_default();
        let value = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let bearer = head.headers.get("authorization").map(value).unwrap_or_default();
        let bearer = bearer.trim_start_matches("Bearer ").to_owned();
        self.shown.lock().unwrap().push(bearer.clone());
        if self.refused.lock().unwrap().contains(&bearer) || bearer.is_empty() {
            return status(401, "Unauthorized");
        }
        if name == "forbidden" {
            return status(403, "Forbidden");
        }
        let who = STANDARD.encode(whom(&bearer));
        Reply::json(&json!({
            "kind": "Secret", "type": "Opaque", "data": { "who": who },
            "metadata": { "name": name, "namespace": "a", "resourceVersion": "1" },
        }))
    }

    /// How many exchanges there have been, going by what they gave.
    fn exchanges(&self) -> usize {
        self.shown.lock().unwrap().iter().collect::<BTreeSet<_>>().len()
    }

    fn last(&self) -> String {
        self.shown.lock().unwrap().last().cloned().expect("a request")
    }
}

fn status(code: u16, reason: &str) -> Reply {
    Reply::refusal(code, &json!({ "kind": "Status", "reason": reason, "code": code }))
}

/// Whom a token is of: the subject of the assertion in it, or the attributes.
fn whom(bearer: &str) -> String {
    let token: String = bearer.chars().rev().collect();
    let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims = claims.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    claims.map_or_else(|| bearer.to_owned(), |claims| claims["sub"].as_str().unwrap().to_owned())
}

struct Scene {
    cloud: Arc<Cloud>,
    gateway: Gateway,
    clock: Arc<ManualClock>,
    other: Issuer,
    _server: Server,
}

impl Scene {
    async fn start(scope: &str) -> Self {
        let cloud = Arc::<Cloud>::default();
        let asked = cloud.clone();
        let identity = Identity::of(&[API.to_owned()]);
        let server = Server::start(identity, move |head, _| asked.answer(head)).await;
        let other = Issuer::new("https://other.example.test");
        let blocks = format!(
            r#"
            [issuers.other]
            issuer = "{name}"
            keys = {{ inline = {keys} }}
            [issuers.other.attributes]
            team = {{ claim = "/team", type = "string" }}

            [targets.cloud]
            plugin = "hostile"
            audience = "https://cloud.example.test"
            subject = "caller"
            attributes = ["team"]
            max_subject = 64
            scopes = ["{scope}"]

            # What this one gives, it gets with the credential of the first.
            [targets.second]
            plugin = "hostile"
            audience = "https://second.example.test"
            subject = "caller"
            scopes = ["fetch"]
            credentials = {{ target = "cloud" }}
            config = {{ server = "https://{API}/fetch" }}
            {second}
            [backends.api]
            plugin = "kubernetes"
            config = {{ address = "https://{API}", namespace = "a" }}
            credentials = {{ target = "cloud" }}
            {api}
            "#,
            name = other.name,
            keys = other.inline(),
            second = server.egress("targets.second", API, "GET", "/"),
            api = server.egress("backends.api", API, "GET", "/"),
        );
        let clock = Arc::new(ManualClock::at(SystemClock::start().now()));
        let policies = Some(PERMIT.to_owned());
        let setup = Setup { blocks, policies, clock: Some(clock.clone()), ..Setup::default() };
        let gateway = Gateway::start(setup).await;
        Self { cloud, gateway, clock, other, _server: server }
    }

    fn token(&self, issuer: &Issuer, subject: &str, team: &str) -> String {
        let mut claims = issuer.claims(subject, ORIGIN, self.clock.now().seconds());
        claims["team"] = json!(team);
        issuer.token_of(&Issuer::header(), &claims)
    }

    /// What the cloud says whom it was shown, or the code on record.
    async fn seen_with(&self, token: &str, secret: &str) -> Result<String, (u16, String)> {
        let answer = self.gateway.get(&format!("/v1/secrets/api/{secret}"), token).await;
        seen(&self.gateway, &answer)
    }

    async fn seen(&self, subject: &str) -> Result<String, (u16, String)> {
        self.seen_with(&self.gateway.token(subject), "s").await
    }

    async fn admin(&self, method: &str, path: &str, body: &Value) {
        let reply = admin(&self.gateway, method, path, &body.to_string()).await;
        assert_eq!(reply.status, 200, "{path}: {:?}", reply.json());
    }

    /// Whether a read of each makes an exchange now.
    async fn exchanged(&self, subjects: &[&str]) -> Vec<bool> {
        let mut exchanged = Vec::new();
        for subject in subjects {
            let before = self.cloud.exchanges();
            assert_eq!(self.seen(subject).await, Ok(format!("test/{subject}")));
            exchanged.push(self.cloud.exchanges() > before);
        }
        exchanged
    }
}

fn seen(gateway: &Gateway, answer: &Answer) -> Result<String, (u16, String)> {
    if answer.status == StatusCode::OK {
        return Ok(answer.json["fields"]["who"].as_str().expect("a field").to_owned());
    }
    Err(gateway.outcome(answer))
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_several_callers_that_interleave_each_have_their_own_credential() {
    let scene = Arc::new(Scene::start("reversed-assertion").await);
    let here = &scene.gateway.issuer;
    let callers = [
        (scene.token(here, "alice", "a"), "test/alice"),
        (scene.token(here, "bob", "a"), "test/bob"),
        (scene.token(&scene.other, "alice", "a"), "other/alice"),
        (scene.token(here, "alice", "b"), "test/alice"),
    ];
    for round in 1..=3 {
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..64 {
            let ((token, who), scene) = (callers[number % callers.len()].clone(), scene.clone());
            calls.spawn(async move { (scene.seen_with(&token, "s").await, who) });
        }
        let answers = calls.join_all().await;
        assert_eq!(answers.len(), 64);
        for (seen, who) in answers {
            assert_eq!(seen, Ok(who.to_owned()));
        }
        // Once for each of them, however many came at once; the third time anew for all.
        let expected = if round < 3 { callers.len() } else { 2 * callers.len() };
        assert_eq!(scene.cloud.exchanges(), expected, "round {round}");
        if round == 2 {
            scene.clock.advance(Duration::from_secs(250));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_tell_callers_of_one_subject_apart() {
    let scene = Arc::new(Scene::start("attributes").await);
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..64 {
        let team = ["a", "b"][number % 2];
        let (token, scene) = (scene.token(&scene.gateway.issuer, "alice", team), scene.clone());
        calls.spawn(async move { (scene.seen_with(&token, "s").await, team) });
    }
    for (seen, team) in calls.join_all().await {
        assert_eq!(seen, Ok(format!("attributes:team={team}")));
    }
}

#[tokio::test]
async fn a_credential_is_kept_until_shortly_before_it_ends() {
    let scene = Scene::start("reversed-assertion").await;
    assert_eq!(scene.exchanged(&["alice", "alice", "bob"]).await, [true, false, true]);
    // Of 300 seconds at least a fifth is left, and at most three tenths.
    scene.clock.advance(Duration::from_secs(209));
    assert_eq!(scene.exchanged(&["alice", "bob"]).await, [false, false]);
    scene.clock.advance(Duration::from_secs(32));
    assert_eq!(scene.exchanged(&["alice", "bob", "alice"]).await, [true, true, false]);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn an_epoch_drops_the_credentials_of_whom_it_concerns_and_of_nobody_else() {
    let scene = Scene::start("reversed-assertion").await;
    let callers = ["alice", "bob"];
    assert_eq!(scene.exchanged(&callers).await, [true, true]);
    for (whom, dropped) in [
        (json!({ "principal": "test/alice" }), [true, false]),
        (json!({ "issuer": "other" }), [false, false]),
        (json!({ "issuer": "test" }), [true, true]),
        (json!({ "everybody": true }), [true, true]),
    ] {
        scene.admin("POST", "/v1/sessions:revoke", &whom).await;
        scene.clock.advance(Duration::from_secs(1));
        assert_eq!(scene.exchanged(&callers).await, dropped, "{whom}");
        assert_eq!(scene.exchanged(&callers).await, [false, false], "{whom}");
    }
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_lock_drops_credentials_and_its_end_does_not_bring_them_back() {
    let scene = Scene::start("reversed-assertion").await;
    let callers = ["alice", "bob"];
    assert_eq!(scene.exchanged(&callers).await, [true, true]);
    for (whom, code, dropped) in [
        (json!({ "principal": "test/alice" }), "locked_principal", [true, false]),
        (json!({ "issuer": "test" }), "locked_issuer", [true, true]),
    ] {
        scene.admin("POST", "/v1/locks", &whom).await;
        assert_eq!(scene.seen("alice").await, Err((403, code.to_owned())));
        scene.admin("DELETE", "/v1/locks", &whom).await;
        assert_eq!(scene.exchanged(&callers).await, dropped, "{whom}");
    }
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_token_that_was_withdrawn_leaves_no_credential_behind() {
    let scene = Scene::start("reversed-assertion").await;
    let platform = scene.gateway.token("alice");
    let answer = exchange(&scene.gateway, &platform, &[("audience", ORIGIN)]).await;
    let own = answer.json["access_token"].as_str().expect("a token").to_owned();
    let before = scene.cloud.exchanges();
    for _ in 0..2 {
        assert_eq!(scene.seen_with(&own, "s").await, Ok("test/alice".to_owned()));
    }
    assert_eq!(scene.cloud.exchanges(), before + 1);
    let withdrawn = scene.gateway.form("/oauth2/revoke", None, &[("token", &own)]).await;
    assert_eq!(withdrawn.status, StatusCode::OK, "{:?}", withdrawn.json);
    assert_eq!(scene.exchanged(&["alice", "alice"]).await, [true, false]);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn what_one_caller_is_refused_does_not_touch_the_credential_of_another() {
    let scene = Scene::start("reversed-assertion").await;
    assert_eq!(scene.exchanged(&["alice", "bob"]).await, [true, true]);
    let of_bob = scene.cloud.last();
    scene.cloud.refused.lock().unwrap().insert(of_bob);
    // The cloud does not take it any more: it is renewed, and the read repeated.
    assert_eq!(scene.exchanged(&["bob", "alice"]).await, [true, false]);
    let before = scene.cloud.exchanges();
    for _ in 0..5 {
        let forbidden = Err((403, "caller_forbidden".to_owned()));
        assert_eq!(scene.seen_with(&scene.gateway.token("bob"), "forbidden").await, forbidden);
    }
    assert!(scene.cloud.exchanges() <= before + 1, "refusals do not cause login after login");
    assert_eq!(scene.exchanged(&["alice"]).await, [false]);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn who_gets_no_credential_is_denied_and_does_not_take_the_backend_from_others() {
    let scene = Scene::start("reversed-assertion").await;
    let long = "x".repeat(65);
    let asked = scene.cloud.shown.lock().unwrap().len();
    for _ in 0..20 {
        assert_eq!(scene.seen(&long).await, Err((403, "caller_refused".to_owned())));
    }
    assert_eq!(scene.cloud.shown.lock().unwrap().len(), asked, "the cloud was not asked");
    assert_eq!(scene.seen("alice").await, Ok("test/alice".to_owned()));
    scene.gateway.stop().await;
}

#[tokio::test]
async fn the_gateway_itself_asks_nothing_with_what_a_caller_left_behind() {
    let scene = Scene::start("reversed-assertion").await;
    assert_eq!(scene.seen("alice").await, Ok("test/alice".to_owned()));
    let asked = scene.cloud.shown.lock().unwrap().len();
    let probe = admin(&scene.gateway, "POST", "/v1/backends/api/probe", "").await;
    let detail = "the backend's credential is one of callers, and nobody is behind the call";
    assert_eq!((probe.status, &probe.json()["detail"]), (403, &json!(detail)));
    let is_on_record = scene.gateway.audit().iter().any(|line| line["code"] == "no_caller");
    assert!(is_on_record, "{:?}", scene.gateway.audit().last());
    assert_eq!(scene.cloud.shown.lock().unwrap().len(), asked, "the cloud was not asked");
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_credential_that_a_target_needs_itself_is_of_the_same_caller() {
    let scene = Scene::start("reversed-assertion").await;
    for subject in ["alice", "bob", "alice"] {
        let token = scene.gateway.token(subject);
        let answer = exchange(&scene.gateway, &token, &[("audience", "second")]).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", scene.gateway.closing(&answer));
        assert_eq!(whom(&scene.cloud.last()), format!("test/{subject}"));
    }
    assert_eq!(scene.cloud.exchanges(), 2);
    scene.gateway.stop().await;
}
