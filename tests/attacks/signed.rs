//! Signed `sts:GetCallerIdentity` requests through a whole gateway, against a strict STS: it computes
//! the signature that the request should have, with the library that AWS publishes, and refuses any
//! other. The gateway is pointed to it by `resolve`; the table of hosts is the real one.

use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use symbolon::line::authenticate::Proof;
use symbolon::line::proof::SIGNED_TYPE;
use symbolon_core::clock::{ManualClock, Timestamp};
use symbolon_core::signed::BODY;
use symbolon_tests::harness::{Answer, Asked, Gateway, ORIGIN, Setup, Upstream};

use super::DEMO;

/// 2026-01-01T00:00:00Z, the date of the worked vector.
const DATE: i64 = 1_767_225_600;
const HOST: &str = "sts.us-east-1.amazonaws.com";
const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SERVER: &str = "gw.example.com";
const READ: &str = "/v1/secrets/demo/app/text";
const PRINCIPAL: &str = "cloud/123456789012:AROAEXAMPLEID1234567";

/// The signature of `wire-formats.md` §1.1.2.
const VECTOR: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-gateway-server-id, Signature=fe8875f928bbabb6cc99106768ed6d06d6e4603fbc1a119098c1ae1d45121197";

/// What the headers, but for the authorization, have to be signed with at `seconds`.
fn authorization(headers: &[(String, String)], body: &[u8], seconds: i64) -> String {
    let identity = Credentials::new(KEY, SECRET, None, None, "test").into();
    let time = UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).expect("a date"));
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("sts")
        .time(time)
        .settings(SigningSettings::default())
        .build()
        .expect("parameters");
    let signed = headers.iter().filter(|(name, _)| name != "x-amz-date" && name != "host");
    let signed = signed.map(|(name, value)| (name.as_str(), value.as_str()));
    let request =
        SignableRequest::new("POST", format!("https://{HOST}/"), signed, SignableBody::Bytes(body));
    let output = sign(request.expect("a request"), &params.into()).expect("a signature");
    let (instructions, _) = output.into_parts();
    let found = instructions.headers().find(|(name, _)| *name == "authorization");
    found.expect("an authorization").1.to_owned()
}

/// A request signed at `seconds` for `server`.
fn request(seconds: i64, server: &str) -> Value {
    let time = humantime::format_rfc3339_seconds(
        UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).expect("a date")),
    );
    let date = time.to_string().replace(['-', ':'], "");
    let headers = [
        ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
        ("host", HOST),
        ("x-amz-date", date.as_str()),
        ("x-gateway-server-id", server),
    ];
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let authorization = authorization(&headers, BODY.as_bytes(), seconds);
    let mut members: serde_json::Map<_, _> =
        headers.into_iter().map(|(name, value)| (name, Value::from(value))).collect();
    members.insert("authorization".to_owned(), Value::from(authorization));
    json!({ "method": "POST", "url": format!("https://{HOST}/"), "body": BODY, "headers": members })
}

fn encoded(request: &Value) -> String {
    URL_SAFE_NO_PAD.encode(request.to_string())
}

const GOOD: &str = r#"<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:sts::123456789012:assumed-role/billing-worker/i-0123456789abcdef0</Arn><UserId>AROAEXAMPLEID1234567:i-0123456789abcdef0</UserId><Account>123456789012</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId></ResponseMetadata></GetCallerIdentityResponse>"#;

/// What STS says to a request that is signed as it should be: status, media type, body.
type Saying = Arc<Mutex<(u16, &'static str, String)>>;

fn saying(status: u16, kind: &'static str, body: &str) -> (u16, &'static str, String) {
    (status, kind, body.to_owned())
}

fn answer(status: u16, kind: &str, body: String) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", kind);
    response.body(Full::new(Bytes::from(body))).expect("a response")
}

/// Refuses what is not signed with the key, over exactly the headers that it says it is.
fn sts(asked: &Asked, saying: &Saying) -> Response<Full<Bytes>> {
    let header = |name: &str| {
        asked.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let shown = header("authorization");
    let names = shown.split("SignedHeaders=").nth(1).and_then(|rest| rest.split(',').next());
    let headers: Vec<_> =
        names.unwrap_or_default().split(';').map(|name| (name.to_owned(), header(name))).collect();
    let date = header("x-amz-date");
    let seconds = [0..4, 4..6, 6..8, 9..11, 11..13, 13..15].map(|range| date[range].to_owned());
    let [year, month, day, hour, minute, second] = seconds;
    let time = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
    let time = humantime::parse_rfc3339(&time).expect("a date").duration_since(UNIX_EPOCH);
    let seconds = i64::try_from(time.expect("a date").as_secs()).expect("a date");
    let fits = shown == authorization(&headers, &asked.body, seconds)
        && asked.line == "POST /"
        && header("accept") == "application/json"
        && header("host") == HOST;
    if fits {
        let (status, kind, body) = saying.lock().expect("no panic").clone();
        return answer(status, kind, body);
    }
    answer(
        403,
        "text/xml",
        "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code></Error></ErrorResponse>"
            .to_owned(),
    )
}

struct Bench {
    gateway: Gateway,
    clock: Arc<ManualClock>,
    upstream: Upstream,
    saying: Saying,
}

impl Bench {
    async fn start() -> Self {
        let saying: Saying = Arc::new(Mutex::new(saying(200, "text/xml", GOOD)));
        let says = saying.clone();
        let upstream = Upstream::start(&[HOST], move |asked| sts(asked, &says)).await;
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(DATE)));
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("sts.pem"), &upstream.pem).expect("a file");
        let block = format!(
            r#"
[issuers.cloud]
profile = "aws-signed"
audiences = ["{SERVER}"]
owners = [{{ claim = "/account", values = ["123456789012"] }}]
ca = "sts.pem"
resolve = {{ "{HOST}" = "{}" }}
"#,
            upstream.address
        );
        let setup = Setup {
            blocks: format!("{DEMO}{block}"),
            policies: Some(POLICY.to_owned()),
            clock: Some(clock.clone()),
            ..Setup::default()
        };
        let issuer = symbolon_tests::harness::Issuer::new("https://idp.example.test");
        let gateway = Gateway::start_in(directory, issuer, setup).await;
        Self { gateway, clock, upstream, saying }
    }

    async fn prove(&self, request: &Value) -> Result<String, &'static str> {
        let world = self.gateway.app.line.world.load_full();
        let text = encoded(request);
        let proven = world.authenticator.prove(Proof::Signed(&text), None).await;
        proven.map(|principal| principal.identity().to_string()).map_err(|error| error.code())
    }

    /// Exchanges `subject`, shown as a token of type `kind`, for one of the gateway's own.
    async fn exchange(&self, (subject, kind): (&str, &str), more: &[(&str, &str)]) -> Answer {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", subject),
            ("subject_token_type", kind),
            ("audience", ORIGIN),
        ];
        self.gateway.form("/oauth2/token", None, &[&form[..], more].concat()).await
    }

    fn say(&self, what: (u16, &'static str, String)) {
        *self.saying.lock().expect("no panic") = what;
    }
}

const POLICY: &str = r#"
@id("billing")
permit (principal in Issuer::"cloud", action in [Action::"read", Action::"exchange"], resource)
when { principal has aws.name && principal.aws.name == "billing-worker"
    && principal has aws.account && principal.aws.account == "123456789012" };
"#;

#[tokio::test]
async fn the_worked_vector_is_let_in_once_and_never_again() {
    let bench = Bench::start().await;
    let vector = request(DATE, SERVER);
    assert_eq!(vector["headers"]["authorization"], VECTOR, "the library and the vector agree");
    let authorization = format!("AWS4-STS {}", encoded(&vector));
    let answer = bench.gateway.ask_as(READ, &authorization).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.json);
    let lines = bench.gateway.audit();
    let opening = lines.iter().find(|line| line["kind"] == "request.open").expect("an opening");
    assert!(opening.to_string().contains("AROAEXAMPLEID1234567"), "{opening}");
    // Not again, not by any other text of the same signature.
    assert_eq!(bench.prove(&vector).await, Err("replayed"));
    let mut other = vector.clone();
    other["headers"]["User-Agent"] = json!("another");
    assert_eq!(bench.prove(&other).await, Err("replayed"));
    assert_eq!(bench.gateway.ask_as(READ, &authorization).await.status, StatusCode::UNAUTHORIZED);
    bench.gateway.stop().await;
}

#[tokio::test]
async fn a_signed_request_is_exchanged_once_and_only_as_what_it_is() {
    const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
    let bench = Bench::start().await;
    let signed = encoded(&request(DATE, SERVER));
    let actor = [("actor_token", signed.as_str()), ("actor_token_type", SIGNED_TYPE)];
    for (subject, kind, more) in [
        (signed.as_str(), JWT, &[][..]),
        (&bench.gateway.token("alice"), SIGNED_TYPE, &[]),
        (&signed, SIGNED_TYPE, &[("requested_token_type", SIGNED_TYPE)]),
        (&signed, SIGNED_TYPE, &actor),
    ] {
        let refused = bench.exchange((subject, kind), more).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{kind} {more:?}");
        assert_eq!(refused.json["error"], "invalid_request", "{kind} {more:?}");
    }
    // None of that has used it up.
    assert!(bench.upstream.asked().is_empty(), "{:?}", bench.upstream.asked());
    let answer = bench.exchange((&signed, SIGNED_TYPE), &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.json);
    let own = answer.json["access_token"].as_str().expect("a token");
    let again = bench.exchange((&signed, SIGNED_TYPE), &[]).await;
    assert_eq!(
        (again.status, &again.json["error"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_request"))
    );
    // What was made of it is the same principal, with its attributes, and good more than once.
    for _ in 0..2 {
        let read = bench.gateway.get(READ, own).await;
        assert_eq!(read.status, StatusCode::OK, "{:?}", read.json);
    }
    let world = bench.gateway.app.line.world.load_full();
    let principal = world.authenticator.prove(own, None).await.expect("a principal");
    assert_eq!(principal.identity().to_string(), PRINCIPAL);
    bench.gateway.stop().await;
}

#[tokio::test]
async fn of_two_at_once_one_wins() {
    let bench = Bench::start().await;
    for seconds in 0..10 {
        let signed = request(DATE - seconds, SERVER);
        let (one, two) = tokio::join!(bench.prove(&signed), bench.prove(&signed));
        let won = [&one, &two].iter().filter(|proven| proven.is_ok()).count();
        assert_eq!(won, 1, "{one:?} {two:?}");
        assert!([one, two].contains(&Ok(PRINCIPAL.to_owned())));
    }
    bench.gateway.stop().await;
}

#[tokio::test]
async fn what_is_not_signed_for_us_and_now_is_never_sent() {
    let bench = Bench::start().await;
    for (signed, code) in [
        (request(DATE, "gw.evil.com"), "signed_audience"),
        (request(DATE - 301, SERVER), "signed_too_old"),
        (request(DATE + 31, SERVER), "signed_future"),
    ] {
        assert_eq!(bench.prove(&signed).await, Err(code));
    }
    let mut china = request(DATE, SERVER);
    china["url"] = json!("https://sts.cn-north-1.amazonaws.com.cn/");
    china["headers"]["host"] = json!("sts.cn-north-1.amazonaws.com.cn");
    china["headers"]["authorization"] = json!(VECTOR.replace("us-east-1", "cn-north-1"));
    assert_eq!(bench.prove(&china).await, Err("signed_issuer_unknown"));
    let mut action = request(DATE, SERVER);
    action["body"] = json!("Action=GetSessionToken&Version=2011-06-15");
    assert_eq!(bench.prove(&action).await, Err("signed_body"));
    assert!(bench.upstream.asked().is_empty(), "{:?}", bench.upstream.asked());
    bench.gateway.stop().await;
}

#[tokio::test]
async fn what_sts_refuses_or_says_otherwise_proves_nothing() {
    let bench = Bench::start().await;
    // Another signature of the right form.
    let mut forged = request(DATE, SERVER);
    forged["headers"]["authorization"] = json!(VECTOR.replace("fe8875", "fe8876"));
    assert_eq!(bench.prove(&forged).await, Err("signed_rejected"));
    // A header that the signature does not know is not sent along.
    let mut extra = request(DATE, SERVER);
    extra["headers"]["content-length"] = json!(BODY.len().to_string());
    assert_eq!(bench.prove(&extra).await, Ok(PRINCIPAL.to_owned()));
    let other = GOOD.replace("123456789012", "210987654321");
    let fake = format!("<a>{GOOD}</a>");
    for (index, (what, code)) in [
        (saying(200, "text/html", GOOD), "signed_answer"),
        (saying(200, "application/json", GOOD), "signed_answer"),
        (saying(200, "text/xml", &fake), "signed_answer"),
        (saying(200, "text/xml", "<html/>"), "signed_answer"),
        (saying(200, "text/xml", &other), "owner"),
        (saying(200, "text/xml", &GOOD.replace("arn:aws:", "arn:aws-cn:")), "signed_disagreement"),
        (saying(302, "text/xml", GOOD), "online_unreachable"),
        (saying(403, "text/xml", GOOD), "signed_rejected"),
        (saying(204, "text/xml", ""), "online_status"),
        (saying(500, "text/xml", GOOD), "online_status"),
        (saying(200, "text/xml", &" ".repeat(70_000)), "online_unreachable"),
    ]
    .into_iter()
    .enumerate()
    {
        bench.say(what);
        let seconds = i64::try_from(index).expect("small") + 1;
        assert_eq!(bench.prove(&request(DATE - seconds, SERVER)).await, Err(code), "{index}");
    }
    bench.gateway.stop().await;
}

#[tokio::test]
async fn while_sts_is_down_nobody_is_let_in_and_it_is_left_alone() {
    let bench = Bench::start().await;
    bench.say(saying(503, "text/xml", ""));
    for seconds in 0..5 {
        assert_eq!(bench.prove(&request(DATE - seconds, SERVER)).await, Err("online_status"));
    }
    let before = bench.upstream.asked().len();
    assert_eq!(bench.prove(&request(DATE - 10, SERVER)).await, Err("online_resting"));
    assert_eq!(bench.upstream.asked().len(), before);
    bench.say(saying(200, "text/xml", GOOD));
    bench.clock.advance(Duration::from_secs(11));
    assert_eq!(bench.prove(&request(DATE, SERVER)).await, Ok(PRINCIPAL.to_owned()));
    bench.gateway.stop().await;
}
