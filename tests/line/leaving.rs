//! Clients that leave while their request is under way: what was begun is ended, put on record, and
//! its place given back.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use symbolon_tests::harness::{Gateway, Setup};
use tokio::io::AsyncWriteExt;

use crate::attacks::frames::{Frames, get as get2};
use crate::attacks::wire::{connect, get};
use crate::hostile::upstream::Upstream;

const SLOW: &str = "/v1/secrets/gate/fetch";
/// Longer than anything here takes, shorter than anybody waits for a test.
const SOON: Duration = Duration::from_secs(20);

/// A gateway whose only backend waits for its gate and has one place.
struct Scene {
    gateway: Gateway,
    upstream: Upstream,
    token: String,
}

impl Scene {
    async fn start(server: &str) -> Self {
        let upstream = Upstream::start().await;
        let port = upstream.address.port();
        let blocks = format!(
            r#"
            [backends.gate]
            plugin = "hostile"
            config = {{ server = "http://127.0.0.1:{port}/gate" }}
            limits = {{ concurrency = 1, timeout = "60s" }}
            [[backends.gate.egress]]
            scheme = "http"
            host = "127.0.0.1"
            port = {port}
            methods = ["GET"]
            addresses = ["127.0.0.0/8"]
            "#
        );
        let server = format!("request_timeout = \"60s\"\n{server}");
        let gateway = Gateway::start(Setup { blocks, server, ..Setup::default() }).await;
        let token = gateway.token("alice");
        Self { gateway, upstream, token }
    }

    fn lines(&self, kind: &str) -> Vec<Value> {
        self.gateway.audit().into_iter().filter(|line| line["kind"] == kind).collect()
    }

    /// That the only request is under way, whatever became of its client.
    async fn assert_under_way(&self) {
        self.upstream.reached(1).await;
        let other = self.gateway.get("/v1/secrets/nowhere/a", &self.token).await;
        assert_eq!(self.gateway.closing(&other)["code"], "resource_unknown");
        assert_eq!((self.lines("request.open").len(), self.lines("request.close").len()), (2, 1));
    }

    /// Opens the gate and waits until the request that nobody waits for is on record as answered.
    async fn assert_completed(&self) {
        let before = self.lines("request.close").len();
        self.upstream.open_gate();
        let closed = async {
            while self.lines("request.close").len() == before {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, closed).await.expect("closed");
        let lines = self.lines("request.close");
        let last = lines.last().expect("a line");
        assert_eq!((&last["outcome"], &last["code"]), (&"allow".into(), &"ok".into()), "{last}");
        let again = self.gateway.get(SLOW, &self.token).await;
        assert_eq!(again.status, StatusCode::OK, "its place is free: {:?}", again.json);
    }
}

#[tokio::test]
async fn a_request_whose_client_hangs_up_is_completed_and_its_place_is_free() {
    let scene = Scene::start("").await;
    let mut stream = connect(&scene.gateway, "http/1.1").await;
    stream.write_all(&get(SLOW, &scene.token)).await.expect("sent");
    stream.flush().await.expect("sent");
    scene.upstream.reached(1).await;
    drop(stream);
    scene.assert_under_way().await;
    scene.assert_completed().await;
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_stream_that_is_reset_is_completed_and_its_place_is_free() {
    let scene = Scene::start("").await;
    let bearer = format!("Bearer {}", scene.token);
    let mut frames = Frames::open(&scene.gateway).await;
    frames.request(1, &get2(SLOW.as_bytes(), &bearer)).await;
    scene.upstream.reached(1).await;
    frames.reset(1).await;
    scene.assert_under_way().await;
    scene.assert_completed().await;
    scene.gateway.stop().await;
}

/// Half open: the client is there for TCP and for nothing else.
#[tokio::test]
async fn a_client_that_has_vanished_loses_its_connection_and_not_its_record() {
    let scene = Scene::start("header_timeout = \"1s\"").await;
    let bearer = format!("Bearer {}", scene.token);
    let mut frames = Frames::open(&scene.gateway).await;
    frames.request(1, &get2(SLOW.as_bytes(), &bearer)).await;
    scene.assert_under_way().await;
    tokio::time::timeout(SOON, frames.closed()).await.expect("it answers no ping");
    scene.assert_completed().await;
    scene.gateway.stop().await;
}
