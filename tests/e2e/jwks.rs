//! Faults of an issuer's key endpoint: each leaves that issuer's callers out, for as long as it has
//! to, and nobody else; and nothing that a caller sends makes the gateway fetch without bound.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Value, json};
use symbolon::line::authenticate::Authenticator;
use symbolon::time::SystemClock;
use symbolon_core::clock::{Clock, ManualClock};
use symbolon_tests::harness::{Gateway, Issuer, ORIGIN, Setup};

use super::parts::{Endpoint, Identity, Reply, free_port};

/// An issuer that is not in the configuration by its keys, but by where they are.
struct Far {
    alias: String,
    issuer: Issuer,
    endpoint: Endpoint,
}

impl Far {
    /// One whose keys are at a URL.
    async fn new(alias: &str, reply: impl FnOnce(&Issuer) -> Reply) -> Self {
        let issuer = Issuer::new(&format!("https://{alias}.example.test"));
        let endpoint = Endpoint::start(reply(&issuer)).await;
        Self { alias: alias.to_owned(), issuer, endpoint }
    }

    /// One that is discovered; `document` is made of its issuer and the URL of its keys.
    async fn discovered(alias: &str, document: impl FnOnce(&str, &str) -> Value) -> Self {
        let mut issuer = Issuer::new("to be named");
        let endpoint = Endpoint::start(Reply::json(&issuer.key_set())).await;
        let name = format!("https://localhost:{}", endpoint.port);
        endpoint.configure(Reply::json(&document(&name, &format!("{name}/jwks"))));
        issuer.name = name;
        Self { alias: alias.to_owned(), issuer, endpoint }
    }

    fn block_with(&self, keys: &str, ca: &str) -> String {
        format!(
            "[issuers.{alias}]\nissuer = \"{issuer}\"\nkeys = {keys}\n{ca}\n\
             addresses = [\"127.0.0.0/8\"]\n",
            alias = self.alias,
            issuer = self.issuer.name,
        )
    }

    fn ca(&self) -> String {
        format!("ca = \"{}\"", self.endpoint.certificate().display())
    }

    fn block(&self) -> String {
        let url = format!("{{ url = \"https://localhost:{}/jwks\" }}", self.endpoint.port);
        self.block_with(&url, &self.ca())
    }

    fn discovery_block(&self) -> String {
        self.block_with("{ discovery = true }", &self.ca())
    }

    fn token(&self, now: i64) -> String {
        token(&self.issuer, "k1", now)
    }
}

fn token(issuer: &Issuer, kid: &str, now: i64) -> String {
    let header = json!({ "alg": "ES256", "kid": kid, "typ": "JWT" });
    issuer.token_of(&header, &issuer.claims("bob", ORIGIN, now))
}

/// A key set of this issuer, under another key id.
fn keys_as(issuer: &Issuer, kid: &str) -> Value {
    let mut set = issuer.key_set();
    set["keys"][0]["kid"] = json!(kid);
    set
}

const STATIC: &str = "[backends.demo]\nplugin = \"static\"\n\
    config = { secrets = { \"app/text\" = \"plain\" } }\n";
const FREE: &str = "[limits]\nstrangers_per_source = { rate = 100000, burst = 100000 }\n";

/// A gateway whose clock stands still, and whose callers may be refused often.
async fn gateway(blocks: &str) -> (Gateway, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(SystemClock::start().now()));
    let policies = "@id(\"all\")\npermit (principal, action, resource);";
    let setup = Setup {
        blocks: format!("{FREE}{STATIC}{blocks}"),
        policies: Some(policies.to_owned()),
        clock: Some(clock.clone()),
        ..Setup::default()
    };
    (Gateway::start(setup).await, clock)
}

pub(super) async fn read(gateway: &Gateway, token: &str) -> StatusCode {
    gateway.get("/v1/secrets/demo/app/text", token).await.status
}

/// Why a token is refused, or `ok`.
pub(super) async fn verdict(gateway: &Gateway, token: &str) -> &'static str {
    let world = gateway.app.line.world.load_full();
    let authenticator: &Authenticator = &world.authenticator;
    authenticator.prove(token, None).await.map_or_else(|refused| refused.code(), |_| "ok")
}

/// Waits for fetches of `alias` to have ended as `result`, by the metrics page.
pub(super) async fn fetched(gateway: &Gateway, alias: &str, result: &str) {
    let is_it = |line: &str| {
        line.contains(&format!("issuer=\"{alias}\""))
            && line.contains(&format!("result=\"{result}\""))
    };
    let ended = async {
        while !gateway.metrics().lines().any(is_it) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(15), ended).await.is_err() {
        let page = gateway.metrics();
        let lines = page.lines().filter(|line| line.contains(alias)).collect::<Vec<_>>();
        panic!("{alias}: not `{result}` but {lines:#?}");
    }
}

#[tokio::test]
async fn a_key_endpoint_that_does_not_deliver_leaves_its_issuer_out_and_no_other() {
    let target = Endpoint::start(Reply::status(500)).await;
    let elsewhere = format!("https://localhost:{}/jwks", target.port);
    let huge = format!("{{\"keys\":[{}]}}", " ".repeat(600 * 1024));
    let gzip = |issuer: &Issuer| Reply::json(&issuer.key_set()).with("content-encoding", "gzip");
    let page = Reply::text(StatusCode::OK, "text/html", "<html>down for maintenance</html>");
    let replies: Vec<(&str, Reply, &str)> = vec![
        ("error", Reply::status(500), "status"),
        ("missing", Reply::status(404), "status"),
        ("nothing", Reply::status(204), "status"),
        ("empty", Reply::status(200), "keys"),
        ("html", page, "keys"),
        ("huge", Reply::text(StatusCode::OK, "application/json", &huge), "egress_body_too_large"),
        ("endless", Reply::endless(), "egress_body_too_large"),
        ("slow", Reply::stalled(), "egress_deadline"),
        ("compressed", gzip(&Issuer::new("any")), "egress_content_coding"),
        ("moved", Reply::redirect(301, &elsewhere), "egress_redirected"),
        ("found", Reply::redirect(302, &elsewhere), "egress_redirected"),
        ("kept", Reply::redirect(307, "http://169.254.169.254/latest"), "egress_redirected"),
        ("permanent", Reply::redirect(308, "file:///etc/passwd"), "egress_redirected"),
    ];
    let (mut fars, mut blocks) = (Vec::new(), String::new());
    for (alias, reply, result) in replies {
        let far = Far::new(alias, |_| reply).await;
        blocks.push_str(&far.block());
        fars.push((far, result));
    }
    let (gateway, clock) = gateway(&blocks).await;
    for (far, result) in &fars {
        let token = far.token(clock.now().seconds());
        assert_eq!(verdict(&gateway, &token).await, "jwks_stale", "{}", far.alias);
        assert_eq!(read(&gateway, &token).await, StatusCode::SERVICE_UNAVAILABLE, "{}", far.alias);
        fetched(&gateway, &far.alias, result).await;
        far.endpoint.assert_asked_properly();
        assert_eq!(read(&gateway, &gateway.token("alice")).await, StatusCode::OK);
    }
    assert_eq!(target.fetches(), 0, "a redirect was followed");
    gateway.stop().await;
}

#[tokio::test]
async fn a_way_to_the_keys_that_is_not_right_is_not_taken() {
    let good = |issuer: &Issuer| Reply::json(&issuer.key_set());
    let untrusted = Far::new("untrusted", good).await;
    let mut misnamed = Far::new("misnamed", good).await;
    let identity = Identity::of(&["other.example.test".to_owned()]);
    misnamed.endpoint = Endpoint::with(identity, good(&misnamed.issuer)).await;
    let away = Far::new("away", good).await;
    let inside = Far::new("inside", good).await;
    let url = |host: &str, port: u16| format!("{{ url = \"https://{host}:{port}/jwks\" }}");
    let metadata = Far::new("metadata", good).await;
    let blocks = [
        untrusted.block_with(&url("localhost", untrusted.endpoint.port), ""),
        misnamed.block(),
        away.block_with(&url("localhost", free_port()), &away.ca()),
        inside.block().replace("addresses = [\"127.0.0.0/8\"]", ""),
        metadata
            .block_with(&url("169.254.169.254", 443), &metadata.ca())
            .replace("127.0.0.0/8", "169.254.0.0/16"),
    ]
    .concat();
    let (gateway, clock) = gateway(&blocks).await;
    for (far, result) in [
        (&untrusted, "egress_certificate"),
        (&misnamed, "egress_certificate"),
        (&away, "egress_connect"),
        (&inside, "egress_address_refused"),
        (&metadata, "egress_address_refused"),
    ] {
        fetched(&gateway, &far.alias, result).await;
        let token = far.token(clock.now().seconds());
        assert_eq!(verdict(&gateway, &token).await, "jwks_stale", "{}", far.alias);
        assert_eq!(far.endpoint.fetches(), 0, "{}", far.alias);
    }
    assert_eq!(read(&gateway, &gateway.token("alice")).await, StatusCode::OK);
    gateway.stop().await;
}

#[tokio::test]
async fn a_discovery_document_chooses_a_path_and_never_an_address() {
    let document = |issuer: &str, keys: &str| json!({ "issuer": issuer, "jwks_uri": keys });
    let pointing = |at: &'static str| move |issuer: &str, _: &str| document(issuer, at);
    let good = Far::discovered("good", document).await;
    let fars = [
        (Far::discovered("slash", |i, k| document(&format!("{i}/"), k)).await, "issuer"),
        (Far::discovered("capitals", |i, k| document(&i.to_uppercase(), k)).await, "issuer"),
        (Far::discovered("other", |_, k| document("https://evil.test", k)).await, "issuer"),
        (Far::discovered("no-keys", |i, _| json!({ "issuer": i })).await, "document"),
        (Far::discovered("clear", pointing("http://localhost/jwks")).await, "url"),
        (Far::discovered("file", pointing("file:///etc/passwd")).await, "url"),
        (Far::discovered("user", pointing("https://good@evil.test/jwks")).await, "url"),
        (Far::discovered("fragment", pointing("https://good.test#@evil.test/")).await, "url"),
        (Far::discovered("backslash", pointing("https://good.test\\@evil.test/")).await, "url"),
        (Far::discovered("number", pointing("https://2130706433/")).await, "url"),
        (Far::discovered("short", pointing("https://127.1/")).await, "url"),
        (Far::discovered("hexed", pointing("https://0x7f.1/")).await, "url"),
        (
            Far::discovered("metadata", pointing("https://169.254.169.254/")).await,
            "egress_address_refused",
        ),
        (
            Far::discovered("mapped", pointing("https://[::ffff:169.254.169.254]/")).await,
            "egress_address_refused",
        ),
        (
            Far::discovered("metadata-six", pointing("https://[fd00:ec2::254]/")).await,
            "egress_address_refused",
        ),
        (Far::discovered("zero", pointing("https://0.0.0.0/")).await, "egress_address_refused"),
    ];
    let mut blocks = good.discovery_block();
    for (far, _) in &fars {
        blocks.push_str(&far.discovery_block());
    }
    let (gateway, clock) = gateway(&blocks).await;
    let now = clock.now().seconds();
    assert_eq!(verdict(&gateway, &good.token(now)).await, "ok");
    assert_eq!(read(&gateway, &good.token(now)).await, StatusCode::OK);
    for (far, result) in &fars {
        fetched(&gateway, &far.alias, result).await;
        assert_eq!(verdict(&gateway, &far.token(now)).await, "jwks_stale", "{}", far.alias);
        assert_eq!(far.endpoint.fetches(), 0, "{}", far.alias);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_new_key_is_fetched_once_and_a_withdrawn_one_refuses() {
    let far = Far::new("far", |issuer| Reply::json(&issuer.key_set())).await;
    let (gateway, clock) = gateway(&far.block()).await;
    let now = clock.now().seconds();
    let old = far.token(now);
    assert_eq!(verdict(&gateway, &old).await, "ok");
    assert_eq!(far.endpoint.fetches(), 1);

    let next = Issuer::new(&far.issuer.name);
    far.endpoint.say(Reply::json(&keys_as(&next, "k2")));
    assert_eq!(verdict(&gateway, &old).await, "ok", "nobody has said yet that it is withdrawn");
    let fresh = (0..50).map(|_| token(&next, "k2", now)).collect::<Vec<_>>();
    let mut proving = tokio::task::JoinSet::new();
    for token in fresh {
        let world = gateway.app.line.world.load_full();
        proving.spawn(async move {
            let proved = world.authenticator.prove(&token, None).await;
            proved.map_or_else(|refused| refused.code(), |_| "ok")
        });
    }
    let verdicts = proving.join_all().await;
    assert!(verdicts.iter().all(|verdict| *verdict == "ok"), "all waited for one: {verdicts:?}");
    assert_eq!(far.endpoint.fetches(), 2);

    assert_eq!(verdict(&gateway, &old).await, "key_unknown", "remembered, and withdrawn since");
    assert_eq!(read(&gateway, &old).await, StatusCode::UNAUTHORIZED);
    assert_eq!(far.endpoint.fetches(), 2);
    gateway.stop().await;
}

#[tokio::test]
async fn ten_thousand_unknown_keys_cause_one_fetch() {
    let far = Far::new("far", |issuer| Reply::json(&issuer.key_set())).await;
    let (gateway, clock) = gateway(&far.block()).await;
    let now = clock.now().seconds();
    assert_eq!(verdict(&gateway, &far.token(now)).await, "ok");
    // The key id is read before any signature: one will do for all.
    let good = far.token(now);
    let (_, rest) = good.split_once('.').expect("a token");
    for number in 0..10_000 {
        let header = json!({ "alg": "ES256", "kid": format!("unknown-{number}"), "typ": "JWT" });
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        let verdict = verdict(&gateway, &format!("{header}.{rest}")).await;
        assert_eq!(verdict, "key_unknown");
    }
    assert!(far.endpoint.fetches() <= 2, "{}", far.endpoint.fetches());
    let over_the_wire = read(&gateway, &token(&far.issuer, "unknown", now)).await;
    assert_eq!(over_the_wire, StatusCode::UNAUTHORIZED);
    clock.advance(Duration::from_secs(31));
    assert_eq!(verdict(&gateway, &token(&far.issuer, "later", now)).await, "key_unknown");
    assert!(far.endpoint.fetches() <= 3, "once more after a while");
    gateway.stop().await;
}

#[tokio::test]
async fn known_keys_outlast_an_endpoint_that_is_down_but_not_for_ever() {
    let far = Far::new("far", |issuer| Reply::json(&issuer.key_set())).await;
    let block = format!("{}max_stale = \"2h\"\n", far.block());
    let (gateway, clock) = gateway(&block).await;
    assert_eq!(verdict(&gateway, &far.token(clock.now().seconds())).await, "ok");
    for wrong in [Reply::status(500), Reply::endless(), Reply::json(&json!({ "keys": "none" }))] {
        far.endpoint.say(wrong);
        clock.advance(Duration::from_secs(31));
        let now = clock.now().seconds();
        assert_eq!(verdict(&gateway, &token(&far.issuer, "unknown", now)).await, "key_unknown");
        assert_eq!(verdict(&gateway, &far.token(now)).await, "ok");
        assert_eq!(read(&gateway, &far.token(now)).await, StatusCode::OK);
    }
    clock.advance(Duration::from_secs(2 * 3600));
    let token = far.token(clock.now().seconds());
    assert_eq!(verdict(&gateway, &token).await, "jwks_stale");
    assert_eq!(read(&gateway, &token).await, StatusCode::SERVICE_UNAVAILABLE);
    gateway.stop().await;
}

#[tokio::test]
async fn two_hundred_logins_on_a_cold_cache_cause_one_fetch() {
    let far = Far::new("far", |issuer| Reply::json(&issuer.key_set())).await;
    let mut block = far.block();
    writeln!(block, "max_lifetime = \"1h\"").expect("text");
    let (gateway, clock) = gateway(&block).await;
    let (gateway, now) = (Arc::new(gateway), clock.now().seconds());
    let mut reads = tokio::task::JoinSet::new();
    for number in 0..200 {
        let claims = far.issuer.claims(&format!("caller-{number}"), ORIGIN, now);
        let token = far.issuer.token_of(&Issuer::header(), &claims);
        let gateway = gateway.clone();
        reads.spawn(async move { read(&gateway, &token).await });
    }
    let statuses = reads.join_all().await;
    assert!(statuses.iter().all(|status| *status == StatusCode::OK), "{statuses:?}");
    assert_eq!(far.endpoint.fetches(), 1);
}

#[tokio::test]
async fn what_an_issuer_says_of_caching_is_kept_within_bounds() {
    for said in ["max-age=0", "no-store", "max-age=-5", "max-age=99999999999999999999", "max-age"] {
        let keys = |issuer: &Issuer| Reply::json(&issuer.key_set()).with("cache-control", said);
        let far = Far::new("far", keys).await;
        let (gateway, clock) = gateway(&far.block()).await;
        assert_eq!(verdict(&gateway, &far.token(clock.now().seconds())).await, "ok", "{said}");
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(far.endpoint.fetches(), 1, "{said}: fetched again at once");
        gateway.stop().await;
    }
}
