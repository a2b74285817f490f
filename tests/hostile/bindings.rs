//! Every kind of credential that an operator can bind, through the whole gateway: the upstream sees
//! it once and as it must be, another granted host never, the component never.
//!
//! Signatures are judged by a computation of this test's own, from AWS's description of Signature
//! Version 4 and the request as it arrived.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use symbolon_tests::harness::{Answer, Gateway, Issuer, Setup, private};

use super::scene::{NEIGHBOUR, reversed};
use super::settings::WELL_BEHAVED;
use super::trial::{Fate, beside};
use super::upstream::{Upstream, network};

const TOKEN: &str = "q7Zr-canary-of-the-binding-x9Kd";
const KEY_ID: &str = "AKIDEXAMPLE";
const SESSION: &str = "FwoG-session-of-the-test/+=";

/// The backend, what its `credentials` say, and the name of the header that carries it.
const BINDINGS: &[(&str, &str, &str)] = &[
    ("bearer", "bearer = \"file:secret\"", "authorization"),
    ("basic", "basic = { user = \"symbolon\", password = \"file:secret\" }", "authorization"),
    ("header", "header = { name = \"X-Api-Key\", value = \"file:secret\" }", "x-api-key"),
    (
        "sigv4",
        "sigv4 = { access_key_id = \"file:id\", secret_access_key = \"file:secret\", \
         region = \"eu-central-1\", service = \"secretsmanager\" }",
        "authorization",
    ),
    (
        "temporary",
        "sigv4 = { access_key_id = \"file:id\", secret_access_key = \"file:secret\", \
         session_token = \"file:session\", region = \"us-east-1\", service = \"s3\" }",
        "authorization",
    ),
    ("jwt", "jwt = { key = \"file:app.pem\", issuer = \"12345\" }", "authorization"),
];

struct Scene {
    gateway: Gateway,
    server: Upstream,
    other: Upstream,
}

impl Scene {
    async fn start() -> Self {
        let (server, ca) = Upstream::start_tls("server.test").await;
        let (other, other_ca) = Upstream::start_tls("other.test").await;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for (name, text) in [("secret", TOKEN), ("id", KEY_ID), ("session", SESSION)] {
            private(&path.join(name), text);
        }
        private(&path.join("app.pem"), &app_key());
        std::fs::write(path.join("ca.pem"), ca + &other_ca).unwrap();
        let ports = (server.address.port(), other.address.port());
        let bound = BINDINGS.iter().map(|(name, lines, _)| block(name, lines, ports));
        let blocks = bound.collect::<String>() + WELL_BEHAVED;
        let network = network(&[("server.test", "127.0.0.1"), ("other.test", "127.0.0.1")]);
        let setup = Setup { blocks, network: Some(network), ..Setup::default() };
        let issuer = Issuer::new("https://idp.example.test");
        let gateway = Gateway::start_in(directory, issuer, setup).await;
        Self { gateway, server, other }
    }

    async fn read(&self, backend: &str, path: &str) -> Answer {
        let token = self.gateway.token("alice");
        self.gateway.get(&format!("/v1/secrets/{backend}/{path}"), &token).await
    }

    /// What the component says after it did `deed`.
    async fn told(&self, backend: &str, deed: &str) -> String {
        let answer = self.read(backend, deed).await;
        let closing = self.gateway.closing(&answer);
        answer.json["value"].as_str().unwrap_or_else(|| panic!("{backend}: {closing}")).to_owned()
    }

    fn last(&self) -> Request {
        Request::parse(&self.server.requests().pop().expect("a request"))
    }
}

/// The private key of an app, PEM.
fn app_key() -> String {
    let der = KeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap();
    let text = STANDARD.encode(der.as_ref());
    format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
}

/// A component that may reach two hosts, with a credential for the first.
fn block(name: &str, credentials: &str, (port, other): (u16, u16)) -> String {
    let grant = |host: &str, port: u16| {
        format!(
            "[[backends.{name}.egress]]\nhost = \"{host}\"\nport = {port}\n\
             methods = [\"GET\", \"POST\"]\naddresses = [\"127.0.0.0/8\"]\nca = \"ca.pem\"\n"
        )
    };
    format!(
        "[backends.{name}]\nplugin = \"hostile\"\nlimits = {{ cpu = \"5s\", timeout = \"20s\" }}\n\
         [backends.{name}.config]\nserver = \"https://server.test:{port}/a%20b/{name}\"\n\
         elsewhere = \"https://other.test:{other}\"\ncanary_reversed = \"{}\"\n\
         [backends.{name}.credentials]\nhost = \"server.test\"\n{credentials}\n{}{}",
        reversed(TOKEN),
        grant("server.test", port),
        grant("other.test", other),
    )
}

/// A request as it arrived.
struct Request {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Request {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let mut lines = head.split("\r\n");
        let mut words = lines.next().expect("a request line").split(' ');
        let method = words.next().expect("a method").to_owned();
        let target = words.next().expect("a target");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').expect("a header");
            (name.to_lowercase(), value.trim().to_owned())
        });
        let (path, query, body) = (path.to_owned(), query.to_owned(), body.to_owned());
        Self { method, path, query, headers: headers.collect(), body }
    }

    /// The value of a header that must be there once.
    fn only(&self, name: &str) -> &str {
        let all = self.headers.iter().filter(|(own, _)| own == name).collect::<Vec<_>>();
        assert_eq!(all.len(), 1, "{name}: {:?}", self.headers);
        &all[0].1
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(own, _)| own == name)
    }
}

fn sha256(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

/// That `request` is signed with this test's keys, over all that matters of it.
fn assert_signed(request: &Request, region: &str, service: &str) {
    let value = request.only("authorization");
    let rest = value.strip_prefix("AWS4-HMAC-SHA256 ").expect("the algorithm");
    let part = |name: &str| {
        let found = rest.split(", ").find_map(|part| part.strip_prefix(&format!("{name}=")));
        found.unwrap_or_else(|| panic!("{name}: {value}"))
    };
    let time = request.only("x-amz-date");
    let scope = format!("{}/{region}/{service}/aws4_request", &time[..8]);
    assert_eq!(part("Credential"), format!("{KEY_ID}/{scope}"));
    let signed = part("SignedHeaders").split(';').collect::<Vec<_>>();
    assert!(signed.contains(&"host") && signed.contains(&"x-amz-date"), "{signed:?}");
    for name in ["x-amz-security-token", "x-amz-content-sha256"] {
        assert_eq!(signed.contains(&name), request.has(name), "{name}: {signed:?}");
    }
    let headers = signed.iter().map(|name| format!("{name}:{}\n", request.only(name)));
    // S3 signs the path as it is, every other service encoded once more.
    let path = match service {
        "s3" => request.path.clone(),
        _ => request.path.replace('%', "%25"),
    };
    let hash = sha256(&request.body);
    let canonical = [
        &request.method,
        &path,
        &request.query,
        &headers.collect::<String>(),
        &signed.join(";"),
        &hash,
    ];
    let canonical = canonical.map(String::as_str).join("\n");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(&canonical));
    let mut key = format!("AWS4{TOKEN}").into_bytes();
    for step in scope.split('/') {
        key = keyed(&key, step);
    }
    assert_eq!(part("Signature"), hex(&keyed(&key, &text)), "{canonical}");
    if service == "s3" {
        assert_eq!(request.only("x-amz-content-sha256"), hash);
        assert_eq!(request.only("x-amz-security-token"), SESSION);
    }
}

fn assert_carries(request: &Request, backend: &str) {
    match backend {
        "bearer" => assert_eq!(request.only("authorization"), format!("Bearer {TOKEN}")),
        "basic" => {
            let pair = STANDARD.encode(format!("symbolon:{TOKEN}"));
            assert_eq!(request.only("authorization"), format!("Basic {pair}"));
        }
        "header" => {
            assert_eq!(request.only("x-api-key"), TOKEN);
            assert!(!request.has("authorization"));
        }
        "sigv4" => assert_signed(request, "eu-central-1", "secretsmanager"),
        "temporary" => assert_signed(request, "us-east-1", "s3"),
        "jwt" => {
            let token = request.only("authorization").strip_prefix("Bearer ").expect("a token");
            let parts: Vec<&str> = token.split('.').collect();
            assert_eq!(parts.len(), 3, "{token}");
            let claims = URL_SAFE_NO_PAD.decode(parts[1]).expect("claims");
            let claims: serde_json::Value = serde_json::from_slice(&claims).expect("JSON");
            let lasts = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
            assert_eq!((claims["iss"].as_str(), lasts), (Some("12345"), 600));
        }
        other => panic!("{other} has no row"),
    }
}

#[tokio::test]
async fn each_kind_of_credential_is_added_once_and_as_it_must_be() {
    let scene = Scene::start().await;
    for (backend, ..) in BINDINGS {
        assert_eq!(scene.told(backend, "fetch").await, "200 hello", "{backend}");
        let got = scene.last();
        assert_eq!(
            (got.method.as_str(), got.path.as_str()),
            ("GET", &*format!("/a%20b/{backend}/"))
        );
        assert_carries(&got, backend);
        assert_eq!(scene.told(backend, "post").await, "200", "{backend}");
        let posted = scene.last();
        assert_eq!((posted.method.as_str(), posted.body.len()), ("POST", 10_000));
        assert_carries(&posted, backend);
    }
    scene.gateway.stop().await;
}

#[tokio::test]
async fn no_kind_of_credential_goes_to_another_host_or_to_the_component() {
    let scene = Scene::start().await;
    for (backend, _, header) in BINDINGS {
        let asked = scene.server.requests().len();
        assert_eq!(scene.told(backend, "ungranted-host").await, "survived 200 hello", "{backend}");
        assert_eq!(scene.server.requests().len(), asked);
        let elsewhere = Request::parse(&scene.other.requests().pop().expect("a request"));
        for name in [header, "authorization", "x-amz-date", "x-amz-security-token"] {
            assert!(!elsewhere.has(name), "{backend}: {name} went to another host");
        }
        assert_eq!(scene.told(backend, "search").await, "clean 200", "{backend}");
        assert_carries(&scene.last(), backend);
    }
    let seen = scene.server.requests().concat();
    let plain = seen.matches(TOKEN).count();
    let carriers =
        BINDINGS.iter().filter(|(name, ..)| matches!(*name, "bearer" | "header")).count();
    assert_eq!(plain, carriers, "a secret was sent that should only have signed");
    let audit = serde_json::Value::from(scene.gateway.audit()).to_string();
    assert!(!audit.contains(TOKEN) && !scene.gateway.metrics().contains(TOKEN));
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_components_own_authorization_is_refused_beside_every_kind_of_credential() {
    let scene = Scene::start().await;
    let fate = Fate::Refused("plugin_invalid_config", 502, "egress_reserved_header");
    for (backend, ..) in BINDINGS {
        let attempt = scene.read(backend, "own-authorization");
        let attempt = beside(&scene.gateway, NEIGHBOUR, attempt).await;
        attempt.meets(&scene.gateway, backend, fate).unwrap_or_else(|e| panic!("{backend}: {e}"));
    }
    assert_eq!(scene.server.requests(), [""; 0], "a refused request was sent");
    scene.gateway.stop().await;
}
