//! Secrets of a cluster, before a fake of its API server that is strict in what it is asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use symbolon_tests::harness::{Gateway, Issuer, Setup, private};

use super::parts::{Identity, Reply, Server};

const HOST: &str = "kubernetes.example.test";
const NAMES_ONLY: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// The API server: who may come, and what was asked.
#[derive(Debug)]
struct Cluster {
    token: Mutex<String>,
    pem: String,
    key: String,
    asked: Mutex<Vec<String>>,
}

impl Cluster {
    fn answer(&self, head: &Parts, body: &Bytes) -> Reply {
        let value = |name: header::HeaderName| {
            head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        let is_proper =
            head.method == Method::GET && body.is_empty() && value(header::HOST).starts_with(HOST);
        if !is_proper {
            return status(400, "BadRequest");
        }
        if value(header::AUTHORIZATION) != format!("Bearer {}", self.token.lock().unwrap()) {
            return status(401, "Unauthorized");
        }
        let segments: Vec<&str> = head.uri.path().trim_matches('/').split('/').collect();
        let accept = value(header::ACCEPT);
        self.asked.lock().unwrap().push(head.uri.to_string());
        match *segments {
            ["api", "v1", "namespaces", "billing", "secrets", name]
                if accept == "application/json" && head.uri.query().is_none() =>
            {
                self.secret(name)
            }
            ["api", "v1", "namespaces", "billing", "secrets"] if accept == NAMES_ONLY => {
                list(head.uri.query().unwrap_or_default())
            }
            ["version"] => Reply::json(&json!({ "major": "1", "gitVersion": "v1.37.1" })),
            ["api", "v1", "namespaces", _, "secrets", ..] => status(403, "Forbidden"),
            _ => status(404, "NotFound"),
        }
    }

    fn secret(&self, name: &str) -> Reply {
        let encode = |text: &str| STANDARD.encode(text);
        let (kind, data) = match name {
            "db" => ("Opaque", json!({ "password": encode("s3cr3t"), "user": encode("app") })),
            "web" => (
                "kubernetes.io/tls",
                json!({ "tls.crt": encode(&self.pem), "tls.key": encode(&self.key) }),
            ),
            "wrapped" => ("Opaque", json!({ "password": "czNj\r\ncjN0" })),
            "not-ours" => return status(403, "Forbidden"),
            "busy" => return status(429, "TooManyRequests").with("retry-after", "60"),
            "broken" => return status(500, "InternalError"),
            _ => return status(404, "NotFound"),
        };
        Reply::json(&json!({
            "kind": "Secret", "apiVersion": "v1", "type": kind, "data": data,
            "metadata": { "name": name, "namespace": "billing", "uid": "u",
                "resourceVersion": "12345", "creationTimestamp": "2026-10-01T00:00:00Z" },
        }))
    }
}

fn status(code: u16, reason: &str) -> Reply {
    Reply::refusal(
        code,
        &json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
            "message": format!("words about {reason}"), "reason": reason }),
    )
}

fn list(query: &str) -> Reply {
    let query: BTreeMap<_, _> =
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let item = |name: &str| json!({ "metadata": { "name": name, "namespace": "billing" } });
    let (items, next) = match query.get("continue").map(String::as_str) {
        None => (vec![item("db"), item("web")], "eyJ2IjoibWV0YS=="),
        Some("eyJ2IjoibWV0YS==") => (vec![item("wrapped")], ""),
        Some(_) => return status(410, "Expired"),
    };
    Reply::json(&json!({
        "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
        "metadata": { "resourceVersion": "1", "continue": next }, "items": items,
    }))
}

struct Scene {
    cluster: Arc<Cluster>,
    gateway: Gateway,
    _server: Server,
}

impl Scene {
    async fn start() -> Self {
        let identity = Identity::of(&[HOST.to_owned()]);
        let read = |file: std::path::PathBuf| std::fs::read_to_string(file).expect("a file");
        let cluster = Arc::new(Cluster {
            token: Mutex::new("first-token".to_owned()),
            pem: read(identity.certificate()),
            key: read(identity.key()),
            asked: Mutex::default(),
        });
        let asked = cluster.clone();
        let server = Server::start(identity, move |head, body| asked.answer(head, body)).await;
        let directory = tempfile::tempdir().expect("a directory");
        private(&directory.path().join("token"), "first-token\n");
        let backend = |name: &str, config: &str| {
            format!(
                r#"
                [backends.{name}]
                plugin = "kubernetes"
                config = {{ address = "https://{HOST}", {config} }}
                credentials = {{ bearer = "file:token" }}
                {}{}
                "#,
                server.egress(&format!("backends.{name}"), HOST, "GET", "/api/v1/namespaces/"),
                server.egress(&format!("backends.{name}"), HOST, "GET", "/version"),
            )
        };
        let blocks = format!(
            "{}{}",
            backend("one", r#"namespace = "billing", list = true"#),
            backend("several", r#"namespaces = ["billing", "shop"]"#),
        );
        let issuer = Issuer::new("https://idp.example.test");
        let setup = Setup { blocks, ..Setup::default() };
        let gateway = Gateway::start_in(directory, issuer, setup).await;
        Self { cluster, gateway, _server: server }
    }
}

#[tokio::test]
async fn secrets_of_a_granted_namespace_are_read() {
    let scene = Scene::start().await;
    for path in ["one/db", "several/billing/db"] {
        let read = scene.gateway.read(path).await;
        assert_eq!(read.status, StatusCode::OK, "{path}: {:?}", scene.gateway.closing(&read));
        assert_eq!(read.json["fields"], json!({ "password": "s3cr3t", "user": "app" }));
        assert_eq!((&read.json["kind"], &read.json["version"]), (&json!("map"), &json!("12345")));
    }
    let field = scene.gateway.read("one/db?field=/password").await;
    assert_eq!((&field.json["value"], &field.json["kind"]), (&json!("s3cr3t"), &json!("opaque")));
    let web = scene.gateway.read("one/web").await;
    assert_eq!(web.json["kind"], "tls", "{:?}", web.json);
    assert_eq!(web.json["fields"]["certificate"], Value::from(scene.cluster.pem.as_str()));
    assert_eq!(web.json["fields"]["private_key"], Value::from(scene.cluster.key.as_str()));
    assert!(web.json["expires_at"].is_string(), "{:?}", web.json);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn each_way_of_not_reading_has_its_status_and_code() {
    let scene = Scene::start().await;
    let refused = [
        ("one/never", 403, "absent"),
        ("one/db?version=12344", 403, "absent"),
        ("several/kube-system/db", 403, "absent"),
        ("several/shop/db", 502, "plugin_permission_denied"),
        ("one/not-ours", 502, "plugin_permission_denied"),
        ("one/broken", 503, "plugin_unavailable"),
        ("one/wrapped", 500, "plugin_internal"),
        ("one/Upper", 400, "plugin_invalid_request"),
        ("one/billing/db", 400, "plugin_invalid_request"),
        ("several/?list", 404, "plugin_unsupported"),
        ("one/db?field=/never", 403, "field_absent"),
        ("one/db?field=/user/x", 403, "field_absent"),
        ("one/busy", 429, "plugin_rate_limited"),
        ("one/db", 429, "backend_paused"),
    ];
    scene.gateway.answers(&refused).await;
    let asked = scene.cluster.asked.lock().unwrap().join(" ");
    assert!(!asked.contains("kube-system"), "what is not granted is not asked for: {asked}");
    scene.gateway.stop().await;
}

#[tokio::test]
async fn names_are_listed_without_values() {
    let scene = Scene::start().await;
    let pages = scene.gateway.pages("one/").await;
    assert_eq!(pages, [json!(["db", "web"]), json!(["wrapped"])]);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_token_that_was_replaced_on_disk_is_read_again() {
    let scene = Scene::start().await;
    assert_eq!(scene.gateway.read("one/db").await.status, StatusCode::OK);
    "second-token".clone_into(&mut scene.cluster.token.lock().unwrap());
    // The file has the old one still.
    scene.gateway.answers(&[("one/db", 502, "plugin_unauthenticated")]).await;
    private(&scene.gateway.directory.path().join("token"), "second-token\n");
    assert_eq!(scene.gateway.read("one/db").await.status, StatusCode::OK);
    scene.gateway.stop().await;
}
