//! The API server of a cluster: `kmock`, behind TLS, which answers `TokenReview` by a rule.

use std::process::Command;

use bytes::Bytes;
use http::{Request, StatusCode};
use serde_json::Value;

use super::front::Front;
use super::process::{Process, free_port, part, until};
use super::web::Web;

const SCRIPT: &str = include_str!("kmock.py");
const HOST: &str = "api.cluster.test";
/// The credential of who may have tokens reviewed.
pub(in crate::e2e) const REVIEWER: &str = "reviewer";

/// A running cluster.
#[derive(Debug)]
pub(in crate::e2e) struct Kmock {
    front: Front,
    _process: Process,
}

impl Kmock {
    /// One that says of each token, as the key, the status that is its value, and of no other that it
    /// is authenticated.
    pub(in crate::e2e) async fn start(statuses: &Value) -> Self {
        let port = free_port();
        let front = Front::start(&[HOST.to_owned()], port).await;
        let mut command = Command::new(part("SYMBOLON_KMOCK"));
        command.args(["-I", "-c", SCRIPT]).env("PORT", port.to_string());
        command.env("REVIEWER", REVIEWER).env("STATUSES", statuses.to_string());
        let log = front.directory().join("kmock.log");
        let process = Process::start(&mut command, &log);
        let web = Web::plain(port);
        let asked = async || {
            let request = Request::get("/version").body(Bytes::new()).expect("a request");
            web.send(request).await.ok().filter(|answer| answer.status() == StatusCode::OK)
        };
        until(&log, Some(&process), asked).await;
        Self { front, _process: process }
    }

    /// The lines of an issuer that has its tokens reviewed here, with the credential in `file`.
    pub(in crate::e2e) fn review(&self, file: &str) -> String {
        self.front.review(HOST, file)
    }
}
