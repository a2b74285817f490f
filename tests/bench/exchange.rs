//! Tokens exchanged at `/oauth2/token`: a platform's JWT in, an `at+jwt` out, on record durably.
//!
//! Nothing is remembered of a token here (`token_cache = "0s"`): each exchange verifies one signature
//! and makes one, as it does for callers who come once. The floor does these two and answers the same
//! bytes. OpenBao's `auth/jwt/login` is the nearest that it has: it verifies the same tokens, and makes
//! one of its own; its storage is raft's and its audit a file, both on the same disk.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use serde_json::{Value, json};
use symbolon_tests::harness::parts::bao::Bao;
use symbolon_tests::harness::{Answer, Gateway, Issuer, ORIGIN, Setup};
use tokio::runtime::Runtime;

use crate::bare::{Bare, Work};
use crate::load::{self, Load, by_turns};
use crate::report::{Report, Row, Unit};
use crate::verify;

const CONNECTIONS: usize = 256;
const WINDOW: Duration = Duration::from_secs(1);
const ROUNDS: usize = 5;
/// OpenBao is slower, so that a longer look is needed.
const LONG: Duration = Duration::from_secs(3);

const SERVER: &str = "max_connections_per_source = 4096";
const BLOCKS: &str = r#"
[limits]
token_cache = "0s"
per_principal = { rate = 10000000, burst = 10000000 }
per_issuer = { rate = 10000000, burst = 10000000 }
"#;

/// A message of the length of a token's, to be verified and signed.
const MESSAGE: &[u8] = &[b'a'; 300];

pub(crate) fn run(report: &mut Report) {
    let runtime = Runtime::new().expect("a runtime");
    let gateway = start(&runtime);
    let form = form(&gateway.token("first"));
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer: Answer = runtime.block_on(gateway.form("/oauth2/token", None, &form));
    assert!(answer.status.is_success(), "{}", answer.json);
    let home = gateway.directory.path();
    let floor = runtime.block_on(Bare::bind(home, answer.headers, answer.body));
    let floor = floor.doing(crypto());
    let (load, requests) = (Load::new(home), requests(&gateway));
    let bare = floor.address();
    runtime.spawn(floor.run());
    let ours = load.connect(gateway.address, &requests);
    let theirs = load.connect(bare, &requests);
    let [value, floor] = by_turns([(&load, ours), (&load, theirs)], (WINDOW, ROUNDS));
    report.add(&row("exchange", "beside the two signatures", (value, floor), 0.4));
    runtime.block_on(gateway.stop());
}

/// The same beside OpenBao.
pub(crate) fn beside_openbao(report: &mut Report) {
    let runtime = Runtime::new().expect("a runtime");
    let gateway = start(&runtime);
    let bao = runtime.block_on(openbao(&gateway));
    let (load, of_bao) = (Load::new(gateway.directory.path()), Load::new(bao.directory()));
    let ours = load.connect(gateway.address, &requests(&gateway));
    let logins: Vec<_> = tokens(&gateway).map(|token| login(&token)).collect();
    let theirs = of_bao.connect(bao.address(), &logins);
    let [value, floor] = by_turns([(&load, ours), (&of_bao, theirs)], (LONG, 3));
    report.add(&row("exchange-openbao", "beside OpenBao's auth/jwt/login", (value, floor), 10.0));
    runtime.block_on(gateway.stop());
}

/// The gateway alone, for a profiler to look at.
pub(crate) fn alone() {
    let runtime = Runtime::new().expect("a runtime");
    let gateway = start(&runtime);
    let requests = requests(&gateway);
    crate::alone::drive(&runtime, gateway, &requests);
}

fn row(bench: &'static str, case: &str, (value, floor): (f64, f64), aim: f64) -> Row {
    let case = format!("{CONNECTIONS} connections, {case}");
    Row { bench, case, unit: Unit::PerSecond("tokens/s"), value, floor, aim: Some(aim) }
}

fn start(runtime: &Runtime) -> Gateway {
    let setup = Setup { blocks: BLOCKS.to_owned(), server: SERVER.to_owned(), ..Setup::default() };
    let issuer = Issuer::new("https://idp.example.test");
    runtime.block_on(Box::pin(Gateway::start_in(load::directory(), issuer, setup)))
}

/// One ES256 verification and one signature.
fn crypto() -> Work {
    let signer = verify::es256();
    let signature = (signer.sign)(MESSAGE);
    let both = Arc::new(move || {
        signer.bare.verify_sig(MESSAGE, &signature).expect("a good signature");
        std::hint::black_box((signer.sign)(MESSAGE));
    });
    Arc::new(move || {
        let both = both.clone();
        Box::pin(async move { both() })
    })
}

fn tokens(gateway: &Gateway) -> impl Iterator<Item = String> {
    (0..CONNECTIONS).map(|n| gateway.token(&format!("load-{n}")))
}

fn form(token: &str) -> [(&'static str, String); 4] {
    let name = |name: &str| format!("urn:ietf:params:oauth:{name}");
    [
        ("grant_type", name("grant-type:token-exchange")),
        ("subject_token", token.to_owned()),
        ("subject_token_type", name("token-type:jwt")),
        ("audience", ORIGIN.to_owned()),
    ]
}

/// An exchange on each connection, of a workload of its own.
fn requests(gateway: &Gateway) -> Vec<String> {
    let exchange = |token: String| {
        let pairs = form(&token).map(|(name, value)| {
            format!("{name}={}", value.replace(':', "%3A").replace('/', "%2F"))
        });
        post("/oauth2/token", "application/x-www-form-urlencoded", &pairs.join("&"))
    };
    tokens(gateway).map(exchange).collect()
}

fn login(token: &str) -> String {
    let body = json!({ "role": "load", "jwt": token }).to_string();
    post("/v1/auth/jwt/login", "application/json", &body)
}

fn post(path: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// OpenBao that believes the gateway's issuer, by its key.
async fn openbao(gateway: &Gateway) -> Bao {
    let bao = Bao::audited().await;
    bao.expect(Method::POST, "/v1/sys/auth/jwt", &json!({ "type": "jwt" })).await;
    let config = json!({
        "jwt_validation_pubkeys": [pem(&gateway.issuer.key_set())],
        "bound_issuer": gateway.issuer.name,
        "jwt_supported_algs": ["ES256"],
    });
    bao.expect(Method::POST, "/v1/auth/jwt/config", &config).await;
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": [ORIGIN], "token_ttl": "10m",
    });
    bao.expect(Method::POST, "/v1/auth/jwt/role/load", &role).await;
    bao
}

/// The public key of a set with one, on P-256, as PEM (RFC 5480 §2).
fn pem(set: &Value) -> String {
    const BEFORE: [u8; 27] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    ];
    let part = |name: &str| {
        let text = set["keys"][0][name].as_str().expect("a coordinate");
        URL_SAFE_NO_PAD.decode(text).expect("base64url")
    };
    let der = [&BEFORE[..], &part("x"), &part("y")].concat();
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}
