//! Tokens about which the cluster itself is asked, against a strict API server: it answers only who
//! shows the gateway's credential and asks for our audience.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use serde_json::{Value, json};
use symbolon_core::clock::{ManualClock, Timestamp};
use symbolon_tests::harness::platforms::{Signer, cluster, vouched};
use symbolon_tests::harness::{Asked, Gateway, ORIGIN, Setup, Upstream, private};

use super::DEMO;

const NOW: i64 = 1_793_520_100;
const HOST: &str = "api.cluster.test";

type Saying = Arc<Mutex<(u16, Value)>>;

fn api(asked: &Asked, saying: &Saying) -> Response<Full<Bytes>> {
    let question: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let is_ours = asked.headers.get("authorization").is_some_and(|v| v == "Bearer reviewer");
    let fits = is_ours
        && asked.line == "POST /apis/authentication.k8s.io/v1/tokenreviews"
        && question["kind"] == "TokenReview"
        && question["spec"]["audiences"] == json!([ORIGIN]);
    let (code, status) = match fits {
        true => saying.lock().expect("no panic").clone(),
        false => (401, json!({})),
    };
    let body = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
        "metadata": { "creationTimestamp": null }, "spec": question["spec"], "status": status,
    });
    let body = Full::new(Bytes::from(body.to_string()));
    let response = Response::builder().status(code).header("content-type", "application/json");
    response.body(body).expect("a response")
}

struct Bench {
    gateway: Gateway,
    clock: Arc<ManualClock>,
    upstream: Upstream,
    saying: Saying,
    signer: Signer,
}

impl Bench {
    /// A gateway that asks the cluster, with the cluster's keys besides or without.
    async fn start(with_keys: bool) -> Self {
        let saying: Saying = Arc::new(Mutex::new((201, vouched(ORIGIN))));
        let says = saying.clone();
        let upstream = Upstream::start(&[HOST], move |asked| api(asked, &says)).await;
        let signer = Signer::default();
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(NOW)));
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("api.pem"), &upstream.pem).expect("a file");
        private(&directory.path().join("reviewer"), "reviewer\n");
        let keys = match with_keys {
            true => format!("keys = {{ inline = {} }}", signer.inline("kubernetes")),
            false => String::new(),
        };
        let block = format!(
            r#"
[issuers.kubernetes]
profile = "kubernetes"
issuer = "{}"
review = {{ url = "https://{HOST}", credential = "file:reviewer" }}
ca = "api.pem"
resolve = {{ "{HOST}" = "{}" }}
{keys}
"#,
            cluster().issuer,
            upstream.address
        );
        let setup = Setup {
            blocks: format!("{DEMO}{block}"),
            policies: Some(cluster().policy()),
            clock: Some(clock.clone()),
            ..Setup::default()
        };
        let issuer = symbolon_tests::harness::Issuer::new("https://idp.example.test");
        let gateway = Gateway::start_in(directory, issuer, setup).await;
        Self { gateway, clock, upstream, saying, signer }
    }

    fn token(&self) -> String {
        self.signer.token(&cluster().header(), &cluster().claims(ORIGIN, NOW))
    }

    async fn prove(&self, token: &str) -> Result<String, &'static str> {
        let world = self.gateway.app.line.world.load_full();
        let proven = world.authenticator.prove(token, None).await;
        proven.map(|principal| principal.identity().to_string()).map_err(|error| error.code())
    }

    fn say(&self, code: u16, status: Value) {
        *self.saying.lock().expect("no panic") = (code, status);
    }
}

const WHO: &str = "kubernetes/system:serviceaccount:billing:api";

#[tokio::test]
async fn a_token_is_good_while_its_cluster_says_so_and_no_longer_than_a_minute_after() {
    for with_keys in [false, true] {
        let bench = Bench::start(with_keys).await;
        let token = bench.token();
        let answer = bench.gateway.get("/v1/secrets/demo/app/text", &token).await;
        assert_eq!(answer.status, 200, "{:?}", answer.json);
        assert_eq!(bench.prove(&token).await, Ok(WHO.to_owned()));
        assert_eq!(bench.upstream.asked().len(), 1, "remembered");
        // The pod is gone. What was said a moment ago holds for a minute at most.
        bench.say(201, json!({ "authenticated": false, "error": "pod not found" }));
        bench.clock.advance(Duration::from_secs(61));
        assert_eq!(bench.prove(&token).await, Err("not_vouched"), "keys: {with_keys}");
        bench.gateway.stop().await;
    }
}

#[tokio::test]
async fn an_answer_that_is_not_about_this_token_and_for_us_proves_nothing() {
    let bench = Bench::start(false).await;
    let token = bench.token();
    let set = |pointer: &str, value: Value| {
        let mut status = vouched(ORIGIN);
        *status.pointer_mut(pointer).expect("a member") = value;
        status
    };
    let without = |pointer: &str| {
        let mut status = vouched(ORIGIN);
        let (folder, name) = pointer.rsplit_once('/').expect("a pointer");
        let object = status.pointer_mut(folder).and_then(Value::as_object_mut).expect("one");
        object.remove(&name.replace("~1", "/"));
        status
    };
    const POD: &str = "/user/extra/authentication.kubernetes.io~1pod-uid";
    for (code, status, expected) in [
        (201, json!({}), "not_vouched"),
        (201, json!({ "error": "expired" }), "not_vouched"),
        (201, set("/authenticated", json!("true")), "not_vouched"),
        // A server that knows nothing of audiences, and one that means its own.
        (201, without("/audiences"), "not_vouched_for_us"),
        (201, set("/audiences", json!([])), "not_vouched_for_us"),
        (201, set("/audiences", json!(["https://kubernetes.default.svc"])), "not_vouched_for_us"),
        (
            201,
            set("/user/username", json!("system:serviceaccount:billing:admin")),
            "claims_disagree",
        ),
        (201, set("/user/uid", json!("00000000-e1dd-43ec-93ac-f13d89cd13af")), "claims_disagree"),
        (201, set(POD, json!(["other"])), "claims_disagree"),
        (201, without(POD), "claims_disagree"),
        (201, without("/user"), "claims_disagree"),
        (403, vouched(ORIGIN), "online_status"),
        (500, vouched(ORIGIN), "online_status"),
    ] {
        bench.say(code, status.clone());
        assert_eq!(bench.prove(&token).await, Err(expected), "{code} {status}");
    }
    // What an older server leaves out.
    bench.say(201, without("/user/extra/authentication.kubernetes.io~1node-uid"));
    assert_eq!(bench.prove(&token).await, Ok(WHO.to_owned()));
    bench.gateway.stop().await;
}

#[tokio::test]
async fn what_is_wrong_here_is_never_asked_about() {
    let bench = Bench::start(false).await;
    let good = cluster().claims(ORIGIN, NOW);
    for (name, value, expected) in [
        ("aud", json!(["https://other.example"]), "audience"),
        ("exp", json!(NOW - 3600), "expired"),
        ("sub", json!("system:serviceaccount:billing:other"), "claims_disagree"),
        ("kubernetes.io", json!({}), "attribute_missing"),
    ] {
        let mut claims = good.clone();
        claims[name] = value;
        let token = bench.signer.token(&cluster().header(), &claims);
        assert_eq!(bench.prove(&token).await, Err(expected), "{name}");
    }
    assert!(bench.upstream.asked().is_empty());
    bench.gateway.stop().await;
}

#[tokio::test]
async fn where_there_are_keys_both_must_agree() {
    let bench = Bench::start(true).await;
    let forged = Signer::default().token(&cluster().header(), &cluster().claims(ORIGIN, NOW));
    assert_eq!(bench.prove(&forged).await, Err("signature"));
    assert!(bench.upstream.asked().is_empty());
    bench.gateway.stop().await;
}

#[tokio::test]
async fn while_the_cluster_is_down_nobody_of_it_is_let_in_and_it_is_left_alone() {
    let bench = Bench::start(false).await;
    bench.say(503, json!({}));
    for _ in 0..5 {
        assert_eq!(bench.prove(&bench.token()).await, Err("online_status"));
    }
    let before = bench.upstream.asked().len();
    assert_eq!(bench.prove(&bench.token()).await, Err("online_resting"));
    assert_eq!(bench.upstream.asked().len(), before);
    bench.gateway.stop().await;
}

#[tokio::test]
async fn without_its_credential_the_gateway_asks_nobody() {
    let bench = Bench::start(false).await;
    std::fs::remove_file(bench.gateway.directory.path().join("reviewer")).expect("removed");
    assert_eq!(bench.prove(&bench.token()).await, Err("online_credential"));
    assert!(bench.upstream.asked().is_empty());
    bench.gateway.stop().await;
}
