//! A gateway before the fake of a cloud, and that cloud's own client as the judge of the fake.

use std::path::Path;

use serde_json::{Value, json};
use symbolon_tests::harness::{Gateway, Setup};

use super::assertion::{Doubt, Expected, Witness, assertion};
use super::python::python;
use super::server::Server;

/// A strict fake of a cloud.
pub(in crate::e2e) trait Cloud {
    /// The program by which the cloud's own client reads a secret, in Python. It prints what it found,
    /// or as what it failed: `{"error": …}`.
    const SCRIPT: &'static str;

    /// What the fake remembers.
    fn witness(&self) -> &Witness;

    /// Where it is.
    fn server(&self) -> &Server;

    /// What the program needs beside `ORIGIN` to read `secret` with the assertion in a file.
    fn environment(&self, assertion: &Path, secret: &str) -> Vec<(&'static str, String)>;
}

/// Both of them, running.
pub(in crate::e2e) struct Scene<C> {
    pub(in crate::e2e) cloud: C,
    pub(in crate::e2e) gateway: Gateway,
}

impl<C: Cloud> Scene<C> {
    /// A gateway with these blocks, whose keys the cloud knows.
    pub(in crate::e2e) async fn of(cloud: C, setup: Setup) -> Self {
        let gateway = Gateway::start(setup).await;
        cloud.witness().learn(&gateway).await;
        Self { cloud, gateway }
    }

    pub(in crate::e2e) async fn stop(self) {
        self.gateway.stop().await;
    }

    /// What the cloud's client makes of an assertion that is in a file, with these further variables.
    pub(in crate::e2e) async fn client(
        &self,
        assertion: &Path,
        secret: &str,
        more: &[(&'static str, String)],
    ) -> Value {
        let server = self.cloud.server();
        let mut environment = self.cloud.environment(assertion, secret);
        environment.push(("ORIGIN", server.origin()));
        let certificate = server.identity.certificate().display().to_string();
        environment.push(("REQUESTS_CA_BUNDLE", certificate));
        environment.retain(|(name, _)| more.iter().all(|(other, _)| name != other));
        environment.extend_from_slice(more);
        python("SYMBOLON_CLOUD_SDKS", C::SCRIPT, &environment).await
    }

    /// An assertion that the cloud believes.
    pub(in crate::e2e) fn good(&self) -> String {
        assertion(&self.gateway, self.cloud.witness().expected())
    }

    /// What the client fails as that reads one of these secrets with a good assertion.
    pub(in crate::e2e) async fn fails(&self, expected: &[(&str, &str)]) {
        let good = self.good();
        for (secret, error) in expected {
            let found = self.shown(&good, secret).await;
            assert_eq!(found, json!({ "error": error }), "{secret}");
        }
    }

    /// What the client makes of this assertion.
    pub(in crate::e2e) async fn shown(&self, assertion: &str, secret: &str) -> Value {
        let file = self.cloud.server().identity.directory().join("assertion.jwt");
        std::fs::write(&file, assertion).expect("assertion.jwt");
        self.client(&file, secret, &[]).await
    }

    /// Shows assertions of the gateway that deviate in one way each: the fake doubts that, and the
    /// client fails as `error`.
    pub(in crate::e2e) async fn no_deviation_passes(&self, secret: &str, error: &str) {
        let expected = self.cloud.witness().expected();
        let of = |expected: &Expected| assertion(&self.gateway, expected);
        let good = self.good();
        let unsigned = good.rsplit_once('.').map(|(message, _)| format!("{message}.AAAA"));
        let stranger = Expected { subject: "gateway:other".to_owned(), ..expected.clone() };
        let elsewhere =
            Expected { audience: "https://elsewhere.example.test".to_owned(), ..expected.clone() };
        for (assertion, doubt) in [
            (good.replacen('.', ".e", 1), Doubt::Malformed),
            (unsigned.expect("a signature"), Doubt::Signature),
            (of(&stranger), Doubt::Subject),
            (of(&elsewhere), Doubt::Audience),
        ] {
            let found = self.shown(&assertion, secret).await;
            assert_eq!(found, json!({ "error": error }), "{doubt:?}");
            assert_eq!(self.cloud.witness().doubts().pop(), Some(doubt));
        }
    }
}
