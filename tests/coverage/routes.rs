//! Every route of principals with every way not to be one, and every other method and path.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;
use symbolon::line::ask::{OAUTH_ROUTES, OauthRoute, PRINCIPAL_ROUTES, PUBLIC_ROUTES, Route};
use symbolon_tests::harness::{Answer, Gateway, Issuer, ORIGIN, Setup};

use crate::attacks::DEMO;
use crate::attacks::wire::admin;
use crate::line::leases::ISSUER;

/// Requests that a proven principal may make of a route: path below it, and body. `leases` are two of
/// its own; the second is given back.
fn examples(route: Route, leases: &[String; 2]) -> Vec<(String, &'static str)> {
    let plain = |paths: &[&str]| paths.iter().map(|path| ((*path).to_owned(), "")).collect();
    match route {
        Route::Batch => {
            vec![(String::new(), r#"{"secrets":[{"backend":"demo","path":"app/text"}]}"#)]
        }
        Route::Secrets => plain(&["demo/app/text", "demo/?list", "demo/app/?list"]),
        Route::Credentials => {
            vec![("iss/app".to_owned(), ""), ("iss/app".to_owned(), r#"{"ttl":60}"#)]
        }
        Route::Leases => plain(&[""]),
        Route::Lease => plain(&[&leases[0]]),
        Route::EndLease => plain(&[&leases[1]]),
        Route::RenewLease => vec![(format!("{}/renew", leases[0]), "")],
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
    let blocks = format!("{DEMO}{ISSUER}");
    let gateway = Gateway::start(Setup { blocks, ..Setup::default() }).await;
    let lock = r#"{"principal":"test/mallory"}"#;
    assert_eq!(admin(&gateway, "POST", "/v1/locks", lock).await.status, 200);
    let good = gateway.token("alice");
    let lease = async || {
        let path = "/v1/credentials/iss/app";
        let issued = gateway.ask(Method::POST, path, Some(&good), Bytes::new()).await;
        issued.json["lease"]["id"].as_str().expect("a lease").to_owned()
    };
    let leases = [lease().await, lease().await];
    for (method, prefix, route) in PRINCIPAL_ROUTES {
        for (rest, body) in examples(route, &leases) {
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
            let known = PRINCIPAL_ROUTES.iter().any(|(method, prefix, _)| {
                *method == other && prefix.ends_with('/') && path.starts_with(prefix)
            });
            if other == own || known {
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

/// What the token endpoint tells of each of them: a token that is not good is a request that is not.
fn oauth_error(status: u16) -> (u16, &'static str) {
    match status {
        403 => (400, "invalid_target"),
        _ => (400, "invalid_request"),
    }
}

#[tokio::test]
async fn every_route_of_oauth_refuses_everybody_who_is_not_proven() {
    const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
    const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
    let gateway = Gateway::start(Setup { blocks: DEMO.to_owned(), ..Setup::default() }).await;
    let lock = r#"{"principal":"test/mallory"}"#;
    assert_eq!(admin(&gateway, "POST", "/v1/locks", lock).await.status, 200);
    for (path, route) in OAUTH_ROUTES {
        for (name, token, status, reason) in strangers(&gateway) {
            let shown = token.as_deref().unwrap_or_default();
            let exchange = [
                ("grant_type", GRANT),
                ("subject_token", shown),
                ("subject_token_type", JWT),
                ("audience", ORIGIN),
            ];
            let answer = match route {
                OauthRoute::Token => gateway.form(path, None, &exchange).await,
                OauthRoute::Introspection => {
                    gateway.form(path, token.as_deref(), &[("token", "a.b.c")]).await
                }
                OauthRoute::Revocation => gateway.form(path, None, &[("token", shown)]).await,
            };
            let told = (answer.status.as_u16(), answer.json["error"].as_str().unwrap_or_default());
            let expected = match route {
                OauthRoute::Token => oauth_error(status),
                // Worthless tokens are withdrawn already; those of others are none of ours.
                OauthRoute::Revocation if name == "locked" => (400, "unsupported_token_type"),
                OauthRoute::Revocation if token.is_none() => (400, "invalid_request"),
                OauthRoute::Revocation => (200, ""),
                OauthRoute::Introspection if name == "locked" => (200, ""),
                OauthRoute::Introspection if status == 400 => (400, "invalid_request"),
                OauthRoute::Introspection => (401, ""),
            };
            assert_eq!(told, expected, "{path}: {name}: {:?}", answer.json);
            assert_eq!(answer.headers["cache-control"], "no-store");
            let is_counted = gateway.metrics().contains(&format!("reason=\"{reason}\""));
            let is_known = reason.starts_with("locked") || token.is_none();
            assert!(is_counted || is_known, "{path}: {name}: {reason}");
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_source_that_is_refused_too_often_is_refused_at_the_token_endpoint_too() {
    let blocks = "[limits]\nstrangers_per_source = { rate = 1, burst = 3 }\n".to_owned();
    let gateway = Gateway::start(Setup { blocks, ..Setup::default() }).await;
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", "garbage"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("audience", "x"),
    ];
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(gateway.form("/oauth2/token", None, &form).await.status.as_u16());
    }
    assert_eq!((statuses.first(), statuses.last()), (Some(&400), Some(&429)), "{statuses:?}");
    assert!(gateway.metrics().contains("reason=\"source_bucket\""));
    gateway.stop().await;
}
