//! A gateway with hostile backends, a neighbour that behaves, and everything that was logged.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use symbolon_tests::harness::{Answer, Gateway, Issuer, Setup, private};
use tracing_subscriber::fmt::MakeWriter;

use super::upstream::{Upstream, network};

/// What stands in the credential and in the guest's configuration (there back to front), and must
/// stand nowhere else.
pub(crate) const CANARY: &str = "q7Zr-canary-of-the-upstream-x9Kd";

/// Limits that are reached soon.
const LIMITS: &str = r#"limits = { cpu = "200ms", timeout = "1500ms" }"#;

pub(crate) struct Scene {
    pub(crate) gateway: Gateway,
    pub(crate) server: Upstream,
    /// Whom nobody may reach.
    pub(crate) elsewhere: Upstream,
    logs: Logs,
    _captured: tracing::subscriber::DefaultGuard,
}

impl Scene {
    /// One backend per way of being set up; see [`blocks`].
    pub(crate) async fn start() -> Self {
        let logs = Logs::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(logs.clone())
            .finish();
        let _captured = tracing::subscriber::set_default(subscriber);
        let (server, elsewhere) = (Upstream::start().await, Upstream::start().await);
        let directory = tempfile::tempdir().unwrap();
        private(&directory.path().join("credential"), CANARY);
        let network = network(&[
            ("server.test", "127.0.0.1"),
            ("elsewhere.test", "127.0.0.1"),
            ("inside.test", "127.0.0.1"),
            ("metadata.test", "169.254.169.254"),
        ]);
        let setup = Setup {
            blocks: blocks(server.address.port(), elsewhere.address.port()),
            network: Some(network),
            ..Setup::default()
        };
        let issuer = Issuer::new("https://idp.example.test");
        let gateway = Gateway::start_in(directory, issuer, setup).await;
        Self { gateway, server, elsewhere, logs, _captured }
    }

    /// Reads as somebody to whom everything is permitted.
    pub(crate) async fn read(&self, backend: &str, path: &str) -> Answer {
        let token = self.gateway.token("alice");
        self.gateway.get(&format!("/v1/secrets/{backend}/{path}"), &token).await
    }

    /// Whether both the neighbour and the backend itself still answer. An answer of the latter
    /// also closes its breaker, so that no behaviour is judged by what came before it.
    pub(crate) async fn is_well(&self, backend: &str) {
        let neighbour = self.read("neighbour", "app/text").await;
        assert_eq!(neighbour.json["value"], "plain", "{:?}", neighbour.json);
        let again = self.read(backend, "ok").await;
        assert_eq!(again.json["value"], "fine", "{backend}: {:?}", again.json);
    }

    /// Whether the metric `name` has a line that holds all of `labels`.
    pub(crate) fn counted(&self, name: &str, labels: &[&str]) -> bool {
        let page = self.gateway.metrics();
        let fits = |line: &&str| line.starts_with(name) && labels.iter().all(|l| line.contains(l));
        page.lines().any(|line| fits(&line))
    }

    /// Everything logged so far, one JSON object a line.
    pub(crate) fn logs(&self) -> String {
        String::from_utf8(self.logs.0.lock().unwrap().clone()).unwrap()
    }

    /// That the canary is nowhere the gateway writes.
    pub(crate) fn keeps_the_canary(&self) {
        let reversed: String = CANARY.chars().rev().collect();
        let audit = Value::from(self.gateway.audit()).to_string();
        for (place, text) in
            [("log", self.logs()), ("audit", audit), ("metrics", self.gateway.metrics())]
        {
            for secret in [CANARY, reversed.as_str()] {
                let line = text.lines().find(|line| line.contains(secret));
                assert_eq!(line, None, "the canary is in the {place}");
            }
        }
    }
}

fn blocks(port: u16, elsewhere: u16) -> String {
    let reversed: String = CANARY.chars().rev().collect();
    let backend = |name: &str, config: &str, egress: &str| {
        format!(
            "[backends.{name}]\nplugin = \"hostile\"\n{LIMITS}\n[backends.{name}.config]\n{config}\n{egress}\n"
        )
    };
    let grant = |name: &str, lines: &str| format!("[[backends.{name}.egress]]\n{lines}\n");
    let loopback = |name: &str, host: &str, port: u16| {
        let lines = format!(
            "scheme = \"http\"\nhost = \"{host}\"\nport = {port}\nmethods = [\"GET\", \"POST\"]\naddresses = [\"127.0.0.0/8\"]"
        );
        grant(name, &lines)
    };
    let server = format!("server = \"http://server.test:{port}\"");
    let main = format!(
        "{server}\nelsewhere = \"http://elsewhere.test:{elsewhere}\"\nundeclared = \"http://elsewhere.test:{elsewhere}/\"\ncanary_reversed = \"{reversed}\""
    );
    let mut blocks = String::from(
        "[backends.neighbour]\nplugin = \"static\"\n[backends.neighbour.config.secrets]\n\"app/text\" = \"plain\"\n",
    );
    // Even a grant that names it does not open the way to a metadata service.
    let metadata = grant(
        "hostile",
        "scheme = \"http\"\nhost = \"169.254.169.254\"\nmethods = [\"GET\"]\naddresses = [\"127.0.0.0/8\"]",
    );
    let grants = loopback("hostile", "server.test", port) + &metadata;
    blocks += &backend("hostile", &main, &grants);
    blocks += &backend("bound", &main, &loopback("bound", "server.test", port));
    blocks += &format!(
        "[backends.bound.credentials]\nbearer = \"file:credential\"\nhost = \"server.test\"\n"
    );
    for (name, host, addresses) in [
        ("inside-unnamed", "inside.test", ""),
        ("metadata-unnamed", "metadata.test", ""),
        ("metadata-named", "metadata.test", "addresses = [\"169.254.0.0/16\"]"),
    ] {
        let config = format!("rebinding = \"https://{host}:{elsewhere}\"");
        let lines =
            format!("host = \"{host}\"\nport = {elsewhere}\nmethods = [\"GET\"]\n{addresses}");
        blocks += &backend(name, &config, &grant(name, &lines));
    }
    let named = format!("rebinding = \"http://inside.test:{port}\"");
    blocks += &backend("inside-named", &named, &loopback("inside-named", "inside.test", port));
    for name in ["shorter", "longer", "two-lengths", "not-http", "status-503"] {
        let config = format!("server = \"http://server.test:{port}/{name}\"");
        blocks += &backend(name, &config, &loopback(name, "server.test", port));
    }
    // Nobody listens on port 1.
    blocks +=
        &backend("down", "server = \"http://server.test:1\"", &loopback("down", "server.test", 1));
    blocks += &backend(
        "nameless",
        "server = \"http://unknown.test:1\"",
        &loopback("nameless", "unknown.test", 1),
    );
    for behaviour in ["spin", "trap", "secret-in-error"] {
        let config = format!("at_check = \"{behaviour}\"\ncanary_reversed = \"{reversed}\"");
        blocks += &backend(&format!("check-{behaviour}"), &config, "");
    }
    blocks
}

/// A log that can be read.
#[derive(Clone, Default)]
struct Logs(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Logs {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
