//! A gateway with hostile backends, a neighbour that behaves, and everything that was logged.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use symbolon_tests::harness::{Answer, Gateway, Issuer, Setup, private};
use tracing_subscriber::fmt::MakeWriter;

use super::settings;
use super::trial::{Fate, beside};
use super::upstream::{Upstream, network};

/// The credential of the backend `bound`: the host's alone.
pub(crate) const CREDENTIAL: &str = "q7Zr-canary-of-the-upstream-x9Kd";

/// What is read beside every attempt.
pub(crate) const NEIGHBOUR: &str = "neighbour/app/text";

/// One attempt: of which backend what is read, and what has to become of it.
pub(crate) struct Row {
    pub(crate) backend: &'static str,
    pub(crate) path: String,
    pub(crate) fate: Fate,
}

/// What the other backends' guest knows, and tells whom it can. The contract gives its words to the
/// operator's log, and to nobody else.
pub(crate) const KNOWN: &str = "w2Hv-canary-of-the-guest-m5Tj";

pub(crate) struct Scene {
    pub(crate) gateway: Gateway,
    pub(crate) server: Upstream,
    /// Whom nobody may reach.
    pub(crate) elsewhere: Upstream,
    logs: Logs,
    _captured: tracing::subscriber::DefaultGuard,
}

impl Scene {
    /// One backend per way of being set up; see [`settings`].
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
        private(&directory.path().join("credential"), CREDENTIAL);
        let network = network(&[
            ("server.test", "127.0.0.1"),
            ("elsewhere.test", "127.0.0.1"),
            ("inside.test", "127.0.0.1"),
            ("metadata.test", "169.254.169.254"),
        ]);
        let setup = Setup {
            blocks: settings::blocks(server.address.port(), elsewhere.address.port()),
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

    /// Whether the backend itself still answers. That also closes its breaker, so that no behaviour is
    /// judged by what came before it.
    pub(crate) async fn is_well(&self, backend: &str) {
        let again = self.read(backend, "ok").await;
        assert_eq!(again.json["value"], "fine", "{backend}: {:?}", again.json);
    }

    /// Makes each attempt beside the neighbour and holds what came of it against its fate.
    pub(crate) async fn walk(&self, rows: impl IntoIterator<Item = Row>) {
        let mut wrong = Vec::new();
        for Row { backend, path, fate } in rows {
            let attempt = beside(&self.gateway, NEIGHBOUR, self.read(backend, &path)).await;
            if let Err(fault) = attempt.meets(&self.gateway, backend, fate) {
                wrong.push(format!("{backend}/{path}: expected {fate:?}, {fault}"));
            }
            self.is_well(backend).await;
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// Everything logged so far, one JSON object a line.
    pub(crate) fn logs(&self) -> String {
        String::from_utf8(self.logs.0.lock().unwrap().clone()).unwrap()
    }

    /// That the credential is nowhere the gateway writes, and what the guest knows only where the
    /// guest's words are.
    pub(crate) fn keeps_its_secrets(&self) {
        let audit = Value::from(self.gateway.audit()).to_string();
        for (place, text) in [("audit", &audit), ("metrics", &self.gateway.metrics())] {
            let kept = !text.contains(CREDENTIAL) && !text.contains(KNOWN);
            assert!(kept, "a secret is in the {place}");
        }
        for line in self.logs().lines() {
            assert!(!line.contains(CREDENTIAL) && !line.contains(&reversed(CREDENTIAL)), "{line}");
            let mut line: Value = serde_json::from_str(line).unwrap();
            let words = line["fields"].as_object_mut().unwrap();
            words.remove("plugin_message");
            words.remove("reason");
            assert!(!line.to_string().contains(KNOWN), "{line}");
        }
    }
}

pub(crate) fn reversed(text: &str) -> String {
    text.chars().rev().collect()
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
