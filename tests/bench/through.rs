//! A secret read through the gateway at an upstream that takes a millisecond, beside the same upstream
//! asked directly by the host's client.
//!
//! One caller asks at a time, so that it is the way that is measured and not the queue. The way through
//! the gateway is TLS twice, a decision, a component's instance, and a record that is on disk before the
//! answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, header};
use serde_json::json;
use symbolon_core::clock::Clock;
use symbolon_host::egress::FetchLimits;
use symbolon_tests::harness::{Gateway, Issuer, Setup, client, private};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::bare::{Bare, Work};
use crate::load;
use crate::report::{Report, Row, Unit, micros, percentile};

const PATH: &str = "/v1/secrets/kv/app/db";
const DELAY: Duration = Duration::from_millis(1);
const CALLS: usize = 100;
const ROUNDS: usize = 6;

pub(crate) fn run(report: &mut Report) {
    let runtime = Runtime::new().expect("a runtime");
    let (value, floor) = runtime.block_on(Box::pin(measure()));
    let case = "a secret of an upstream of 1 ms, p50".to_owned();
    let (bench, unit) = ("read-through", Unit::Micros);
    report.add(&Row { bench, case, unit, value, floor, aim: Some(0.85) });
}

async fn measure() -> (f64, f64) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let issuer = Issuer::new("https://idp.example.test");
    let setup = Setup { blocks: blocks(address.port()), ..Setup::default() };
    let directory = load::directory();
    private(&directory.path().join("token"), "a token");
    let gateway = Box::pin(Gateway::start_in(directory, issuer, setup)).await;
    let home = gateway.directory.path();
    let upstream = tokio::spawn(upstream(listener, home).run());
    let (token, clock) = (gateway.token("caller"), load::clock());
    let direct = client(home, address);
    let url = format!("https://localhost:{}/v1/secret/data/app/db", address.port());
    let mut times = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        for _ in 0..CALLS {
            let begun = clock.elapsed();
            let answer = gateway.get(PATH, &token).await;
            let ours = since(&clock, begun);
            assert!(answer.status.is_success(), "{}", answer.json);
            let begun = clock.elapsed();
            let request = Request::get(&url).header("x-vault-token", "a token");
            let limits = FetchLimits { deadline: Duration::from_secs(10), max_body: 1 << 20 };
            let request = request.body(Bytes::new()).expect("a request");
            Box::pin(direct.fetch(request, limits)).await.expect("an answer");
            // The first round warms up.
            if round > 0 {
                times.0.push(ours);
                times.1.push(since(&clock, begun));
            }
        }
    }
    upstream.abort();
    gateway.stop().await;
    (percentile(times.0, 50), percentile(times.1, 50))
}

fn since(clock: &Arc<dyn Clock>, begun: Duration) -> f64 {
    micros(clock.elapsed().saturating_sub(begun))
}

/// Who answers as a KV engine of version 2 does, a millisecond later.
fn upstream(listener: TcpListener, home: &std::path::Path) -> Bare {
    let secret = json!({ "data": {
        "data": { "password": "a password" },
        "metadata": {
            "version": 1, "created_time": "2026-01-01T00:00:00Z", "deletion_time": "",
            "destroyed": false, "custom_metadata": null,
        },
    } });
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    let later: Work = Arc::new(|| Box::pin(tokio::time::sleep(DELAY)));
    Bare::new(listener, home, headers, secret.to_string().into()).doing(later)
}

fn blocks(port: u16) -> String {
    format!(
        r#"
[limits]
per_principal = {{ rate = 1000000, burst = 1000000 }}

[backends.kv]
plugin = "vault"
config = {{ address = "https://localhost:{port}" }}
credentials = {{ header = {{ name = "x-vault-token", value = "file:token" }} }}

[[backends.kv.egress]]
host = "localhost"
port = {port}
methods = ["GET"]
path_prefix = "/v1/secret/"
ca = "tls.pem"
addresses = ["127.0.0.0/8"]
resolve = {{ "localhost" = "127.0.0.1:{port}" }}
"#
    )
}
