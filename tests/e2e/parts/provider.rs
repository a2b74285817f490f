//! A real issuer, npm `oidc-provider`, over TLS, that gives tokens for client credentials.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use serde_json::Value;
use symbolon_tests::harness::ORIGIN;

use super::process::{Process, free_port, part, until};
use super::web::{Identity, Web};

const SCRIPT: &str = include_str!("provider.mjs");

/// A running issuer. Its clients are `workload` and `stranger`, each with its name as secret.
#[derive(Debug)]
pub(in crate::e2e) struct Provider {
    process: Option<Process>,
    port: u16,
    identity: Identity,
    web: Web,
}

impl Provider {
    /// Starts one.
    pub(in crate::e2e) async fn start() -> Self {
        let (port, identity) = (free_port(), Identity::new("idp.example.test"));
        let web = Web::new(port, &identity.certificate());
        let mut provider = Self { process: None, port, identity, web };
        provider.run().await;
        provider
    }

    /// Starts it again where it was, with a new key in place of the old one.
    pub(in crate::e2e) async fn rotate(&mut self) {
        self.process = None;
        self.run().await;
    }

    async fn run(&mut self) {
        let mut command = Command::new(part("SYMBOLON_NODE"));
        command.args(["--input-type=module", "--eval", SCRIPT]);
        command.env("MODULES", part("SYMBOLON_OIDC_PROVIDER"));
        command.env("PORT", self.port.to_string());
        command.env("CERTIFICATE", self.identity.certificate()).env("KEY", self.identity.key());
        let log = self.identity.directory().join("provider.log");
        self.process = Some(Process::start(&mut command, &log));
        let path = "/.well-known/openid-configuration";
        let asked = async || {
            let request = Request::get(path).body(Bytes::new()).expect("a request");
            self.web.send(request).await.ok()
        };
        until(&log, self.process.as_ref(), asked).await;
    }

    /// A token of `client` for the gateway.
    pub(in crate::e2e) async fn token(&self, client: &str) -> String {
        self.token_for(client, ORIGIN).await
    }

    /// A token of `client` for `audience`.
    pub(in crate::e2e) async fn token_for(&self, client: &str, audience: &str) -> String {
        let basic = STANDARD.encode(format!("{client}:{client}"));
        let body = format!("grant_type=client_credentials&resource={audience}");
        let request = Request::post("/token")
            .header(header::AUTHORIZATION, format!("Basic {basic}"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(body))
            .expect("a request");
        let answer = self.web.send(request).await.expect("an answer");
        let json: Value = serde_json::from_slice(answer.body()).expect("JSON");
        assert_eq!(answer.status(), StatusCode::OK, "{json}");
        json["access_token"].as_str().expect("a token").to_owned()
    }

    /// The gateway's configuration for it: the issuer `idp`.
    pub(in crate::e2e) fn blocks(&self) -> String {
        format!(
            r#"
            [issuers.idp]
            issuer = "https://localhost:{port}"
            keys = {{ discovery = true }}
            algorithms = ["RS256"]
            types = ["at+jwt"]
            ca = "{ca}"
            addresses = ["127.0.0.0/8"]
            resolve = {{ "localhost" = "127.0.0.1:{port}" }}

            [issuers.idp.attributes]
            client = {{ claim = "/client_id", required = true }}
            "#,
            port = self.port,
            ca = self.identity.certificate().display(),
        )
    }
}
