//! Tokens of a GitHub App, before a fake of GitHub that is strict in what it is asked, and believes the
//! app by its key. Who asks for them here is a backend at another host of the fake, which takes them and
//! nothing else, and callers.

use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use symbolon::time::SystemClock;
use symbolon_core::clock::{Clock as _, Timestamp};
use symbolon_tests::harness::{Answer, Gateway, Issuer, Setup, private};

use super::parts::{Identity, Reply, Server};
use crate::line::tokens::exchange;

const GITHUB: &str = "api.github.com";
const API: &str = "api.example.test";
const TOKEN: &str = "ghs_123456_eyJ0.eyJp.c2ln-_";

const APP: &str = "123456";

/// GitHub, and what it was asked.
#[derive(Debug)]
struct Fake {
    /// The app's public key, PKCS #1.
    key: Vec<u8>,
    /// What it says of an installation's token beside the token.
    given: Mutex<Value>,
    asked: Mutex<Vec<Value>>,
}

impl Fake {
    fn answer(&self, head: &Parts, body: &Bytes) -> Reply {
        let value = |name: &str| {
            head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        let bearer = value(header::AUTHORIZATION.as_str()).strip_prefix("Bearer ");
        match (&head.method, value("host"), head.uri.path()) {
            (&Method::GET, API, _) if bearer == Some(TOKEN) => Reply::json(&json!({
                "kind": "Secret", "type": "Opaque", "data": { "k": "dg==" },
                "metadata": { "name": "s", "namespace": "a", "resourceVersion": "1" },
            })),
            (&Method::POST, GITHUB, path) => {
                let is_proper = value("accept") == "application/vnd.github+json"
                    && value("x-github-api-version") == "2022-11-28"
                    && value("content-type") == "application/json"
                    && !value("user-agent").is_empty();
                if !is_proper {
                    return refusal(403);
                }
                self.token(path, bearer, body)
            }
            (_, _, _) => refusal(401),
        }
    }

    fn token(&self, path: &str, bearer: Option<&str>, body: &Bytes) -> Reply {
        if !bearer.is_some_and(|token| self.is_the_app(token)) {
            return refusal(401);
        }
        if path != "/app/installations/12345678/access_tokens" {
            return refusal(404);
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let names_both = body["permissions"].is_object() && body["repositories"].is_array();
        self.asked.lock().unwrap().push(body);
        if !names_both {
            return refusal(422);
        }
        Reply::refusal(201, &self.given.lock().unwrap())
    }
}

impl Fake {
    /// Whether a token is the app's own, and of now: ten minutes at most.
    fn is_the_app(&self, token: &str) -> bool {
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        let read = || {
            let (message, signature) = token.rsplit_once('.')?;
            let (header, claims) = message.split_once('.')?;
            let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.key);
            key.verify(message.as_bytes(), &bytes(signature)?).ok()?;
            let json = |text: &str| serde_json::from_slice::<Value>(&bytes(text)?).ok();
            Some((json(header)?, json(claims)?))
        };
        let Some((header, claims)) = read() else { return false };
        let now = SystemClock::start().now().seconds();
        let time = |name: &str| claims[name].as_i64().unwrap_or_default();
        header["alg"] == "RS256"
            && claims["iss"] == APP
            && time("iat") <= now
            && (now + 1..=now + 600).contains(&time("exp"))
    }
}

/// A key of an app: for GitHub its public half, for the gateway the PEM.
fn app_key() -> (Vec<u8>, String) {
    let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().expect("a key");
    let body = STANDARD.encode(der.as_ref());
    let lines: Vec<&str> = body.as_bytes().chunks(64).flat_map(str::from_utf8).collect();
    let pem =
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    (pair.public_key().as_ref().to_vec(), pem)
}

fn refusal(status: u16) -> Reply {
    Reply::refusal(
        status,
        &json!({ "message": "words of the server", "status": status.to_string() }),
    )
}

/// An hour, as GitHub gives it, to whole seconds.
fn given(permissions: Value) -> Value {
    let ends = Timestamp::from_seconds(SystemClock::start().now().seconds() + 3600);
    json!({ "token": TOKEN, "expires_at": ends.to_string(), "permissions": permissions,
        "repository_selection": "selected", "repositories": [{ "id": 1, "name": "shop" }] })
}

struct Scene {
    fake: Arc<Fake>,
    gateway: Gateway,
    _server: Server,
}

impl Scene {
    /// A gateway whose target is of this installation, and has the app's key or another.
    async fn start(installation: u64, is_the_app: bool, given: Value) -> Self {
        Self::lasting("1h", (installation, is_the_app), given).await
    }

    async fn lasting(ttl: &str, (installation, is_the_app): (u64, bool), given: Value) -> Self {
        let identity = Identity::of(&[GITHUB, API].map(str::to_owned));
        let ((key, pem), (_, other)) = (app_key(), app_key());
        let fake = Arc::new(Fake { key, given: Mutex::new(given), asked: Mutex::default() });
        let asked = fake.clone();
        let server = Server::start(identity, move |head, body| asked.answer(head, body)).await;
        let directory = tempfile::tempdir().expect("a directory");
        private(&directory.path().join("app.pem"), if is_the_app { &pem } else { &other });
        let blocks = format!(
            r#"
            [targets.github]
            plugin = "github-app"
            audience = "https://api.github.com"
            ttl = "{ttl}"
            scopes = ["contents:read", "contents:write", "repository:shop"]
            credentials = {{ jwt = {{ key = "file:app.pem", issuer = "{APP}" }} }}
            [targets.github.config]
            installation = {installation}
            repositories = ["shop"]
            permissions = {{ contents = "read", issues = "write" }}
            {}
            [backends.api]
            plugin = "kubernetes"
            config = {{ address = "https://{API}", namespace = "a" }}
            credentials = {{ target = "github" }}
            {}
            "#,
            server.egress("targets.github", GITHUB, "POST", "/app/installations/"),
            server.egress("backends.api", API, "GET", "/api/v1/namespaces/"),
        );
        let decision = "ttl_max = \"1h\"".to_owned();
        let setup = Setup { blocks, decision, ..Setup::default() };
        let issuer = Issuer::new("https://idp.example.test");
        let gateway = Gateway::start_in(directory, issuer, setup).await;
        Self { fake, gateway, _server: server }
    }

    async fn exchange(&self, scope: &str) -> Answer {
        let asked = [("audience", "github"), ("scope", scope)];
        exchange(&self.gateway, &self.gateway.token("alice"), &asked).await
    }

    async fn read(&self) -> Answer {
        self.gateway.get("/v1/secrets/api/s", &self.gateway.token("alice")).await
    }
}

#[tokio::test]
async fn a_token_is_asked_for_by_repositories_and_permissions() {
    let permissions = json!({ "contents": "read", "metadata": "read" });
    let scene = Scene::start(12_345_678, true, given(permissions)).await;
    let read = scene.read().await;
    assert_eq!(read.status, StatusCode::OK, "{:?}", scene.gateway.closing(&read));
    assert_eq!(read.json["fields"]["k"], "v");
    let asked = scene.fake.asked.lock().unwrap().clone();
    let permissions = json!({ "contents": "read", "issues": "write" });
    assert_eq!(asked, [json!({ "repositories": ["shop"], "permissions": permissions })]);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_caller_gets_a_token_that_its_scopes_narrow_and_none_that_they_widen() {
    let scene = Scene::start(12_345_678, true, given(json!({ "contents": "read" }))).await;
    let answer = scene.exchange("contents:read repository:shop").await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", scene.gateway.closing(&answer));
    assert_eq!(answer.json["access_token"], TOKEN);
    assert_eq!(answer.json["scope"], "contents:read repository:shop");
    let (lasts, revocable) = (answer.json["expires_in"].as_u64(), &answer.json["revocable"]);
    assert!(lasts.is_some_and(|lasts| (3590..=3600).contains(&lasts)), "as long as it does");
    assert_eq!(revocable, &json!(false));
    // Wider than the configuration of the plugin, and than the scopes of the target.
    for (scope, error) in [("contents:write", "invalid_request"), ("issues:read", "invalid_scope")]
    {
        let answer = scene.exchange(scope).await;
        let told = (answer.status, &answer.json["error"]);
        assert_eq!(told, (StatusCode::BAD_REQUEST, &json!(error)), "{scope}");
    }
    let asked = scene.fake.asked.lock().unwrap().clone();
    assert_eq!(asked, [json!({ "repositories": ["shop"], "permissions": { "contents": "read" } })]);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn what_github_refuses_or_gives_too_much_of_opens_nothing() {
    let narrow = || given(json!({ "contents": "read" }));
    let mut everywhere = narrow();
    everywhere["repository_selection"] = json!("all");
    for (installation, is_the_app, given, status) in [
        (12_345_678, false, narrow(), 502),
        (7, true, narrow(), 502),
        (12_345_678, true, given(json!({ "contents": "write" })), 503),
        (12_345_678, true, everywhere, 503),
    ] {
        let scene = Scene::start(installation, is_the_app, given).await;
        let read = scene.read().await;
        assert_eq!(read.status.as_u16(), status, "{:?}", scene.gateway.closing(&read));
        let body = String::from_utf8_lossy(&read.body).into_owned();
        assert!(!body.contains("words of the server") && !body.contains(TOKEN), "{body}");
        scene.gateway.stop().await;
    }
}

#[tokio::test]
async fn who_may_have_less_than_githubs_hour_gets_no_token_and_github_is_not_asked() {
    let narrow = given(json!({ "contents": "read" }));
    let scene = Scene::lasting("59m", (12_345_678, true), narrow).await;
    let answer = scene.exchange("contents:read").await;
    assert_eq!((answer.status.as_u16(), &answer.json["error"]), (400, &json!("invalid_target")));
    assert_eq!(scene.gateway.closing(&answer)["code"], "token_outlasts_permit");
    assert!(scene.fake.asked.lock().unwrap().is_empty());
    // The gateway itself uses one for that long.
    assert_eq!(scene.read().await.status, StatusCode::OK);
    scene.gateway.stop().await;
}
