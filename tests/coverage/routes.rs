//! Every route of principals with every way not to be one, and every other method and path.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;
use symbolon::line::ask::{PRINCIPAL_ROUTES, PUBLIC_ROUTES, Route};
use symbolon_tests::harness::{Answer, Gateway, Issuer, ORIGIN, Setup};

use crate::attacks::DEMO;
use crate::attacks::wire::admin;

/// Requests that a proven principal may make of a route: path below it, and body.
fn examples(route: Route) -> Vec<(&'static str, &'static str)> {
    match route {
        Route::Batch => vec![("", r#"{"secrets":[{"backend":"demo","path":"app/text"}]}"#)],
        Route::Secrets => {
            vec![("demo/app/text", ""), ("demo/?list", ""), ("demo/app/?list", "")]
        }
    }
}

/// Every way not to be somebody, with what is told.
fn strangers(gateway: &Gateway) -> Vec<(&'static str, Option<String>, u16, &'static str)> {
    let now = gateway.app.foundation.clock.now().seconds();
    let good = gateway.issuer.claims("alice", ORIGIN, now);
    let with = |name: &str, value: serde_json::Value| {
        let mut claims = good.clone();
        claims[name] = value;
        Some(gateway.issuer.token_of(&Issuer::header(), &claims))
    };
    let old = gateway.issuer.claims("alice", ORIGIN, now - 1000);
    let expired = Some(gateway.issuer.token_of(&Issuer::header(), &old));
    let stranger = Issuer::new(&gateway.issuer.name);
    let unsigned = Some(stranger.token_of(&Issuer::header(), &good));
    vec![
        ("no token", None, 401, "no_credential"),
        ("garbage", Some("garbage".to_owned()), 400, "token_segments"),
        ("expired", expired, 401, "expired"),
        ("wrong audience", with("aud", json!("https://other.example")), 401, "audience"),
        ("wrong issuer", with("iss", json!("https://other.example")), 401, "issuer_unknown"),
        ("another's key", unsigned, 401, "signature"),
        ("locked", Some(gateway.token("mallory")), 403, "locked_principal"),
    ]
}

fn is_constant(answer: &Answer) -> bool {
    let members = answer.json.as_object().map(|object| object.len());
    let is_problem = answer.headers["content-type"] == "application/problem+json";
    members == Some(5) && is_problem && answer.headers["cache-control"] == "no-store"
}

#[tokio::test]
async fn every_route_refuses_everybody_who_is_not_proven() {
    let gateway = Gateway::start(Setup { blocks: DEMO.to_owned(), ..Setup::default() }).await;
    let lock = r#"{"principal":"test/mallory"}"#;
    assert_eq!(admin(&gateway, "POST", "/v1/locks", lock).await.status, 200);
    let good = gateway.token("alice");
    for (method, prefix, route) in PRINCIPAL_ROUTES {
        for (rest, body) in examples(route) {
            let path = format!("{prefix}{rest}");
            let ask = async |token: Option<&str>| {
                gateway.ask(method.clone(), &path, token, Bytes::from(body)).await
            };
            assert_eq!(ask(Some(&good)).await.status, StatusCode::OK, "{path}");
            for (name, token, status, reason) in strangers(&gateway) {
                let answer = ask(token.as_deref()).await;
                if route == Route::Batch && name == "locked" {
                    let code = &answer.json["results"][0]["problem"]["code"];
                    assert_eq!(code, "denied", "{path}: {:?}", answer.json);
                    continue;
                }
                assert_eq!(answer.status.as_u16(), status, "{path}: {name}");
                assert!(is_constant(&answer), "{path}: {name}: {answer:?}");
                let page = gateway.metrics();
                let is_counted = page.contains(&format!("reason=\"{reason}\""));
                assert!(is_counted || reason.starts_with("locked"), "{path}: {name}: {reason}");
            }
        }
    }
    let lines = gateway.audit();
    let subjects = lines.iter().filter(|line| line["kind"] == "request.open");
    let subjects: Vec<_> = subjects.map(|line| line["subject"].as_str().expect("text")).collect();
    assert!(subjects.iter().all(|subject| ["alice", "mallory"].contains(subject)), "{subjects:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn every_route_takes_its_own_method_only() {
    let gateway = Gateway::start(Setup { blocks: DEMO.to_owned(), ..Setup::default() }).await;
    let token = gateway.token("alice");
    let principal = PRINCIPAL_ROUTES.map(|(method, path, _)| (method, path.to_owned() + "demo/a"));
    let public = PUBLIC_ROUTES.map(|(path, _)| (Method::GET, path.to_owned()));
    for (own, path) in principal.into_iter().chain(public) {
        for other in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
            if other == own {
                continue;
            }
            let answer = gateway.ask(other.clone(), &path, Some(&token), Bytes::new()).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{other} {path}");
            assert!(is_constant(&answer), "{other} {path}");
        }
    }
    for path in ["/", "/v1", "/v1/secrets", "/v1/status", "/metrics", "/v2/secrets/demo/a"] {
        let answer = gateway.get(path, &token).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn what_is_public_needs_no_token_and_tells_no_secret() {
    let gateway = Gateway::start(Setup { blocks: DEMO.to_owned(), ..Setup::default() }).await;
    for (path, _) in PUBLIC_ROUTES {
        let answer = gateway.ask(Method::GET, path, None, Bytes::new()).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        for key in answer.json["keys"].as_array().into_iter().flatten() {
            for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                assert!(key.get(private).is_none(), "{path} shows `{private}`");
            }
        }
    }
    assert!(!gateway.audit().iter().any(|line| line["kind"] == "request.open"));
    gateway.stop().await;
}
