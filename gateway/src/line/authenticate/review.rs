//! Tokens of clusters that are asked themselves.
//!
//! The cluster is asked after everything that can be checked here has passed, so that a stranger's
//! rubbish costs no question; what it vouched for is remembered as long as a verified token is (60 s
//! at most), and no longer.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use serde_json::json;
use symbolon_core::clock::Clock;
use symbolon_core::principal::Principal;
use symbolon_core::token::{Compact, IssuerRules, Review, presentable, reviewed};
use symbolon_host::egress::GrantError;

use super::online::{Answers, Line, OnlineError};
use super::{Authenticator, Unproven, Way};
use crate::config::SecretRef;

/// Where reviews are asked for.
const PATH: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

/// A cluster's own word on its tokens.
#[derive(Debug)]
pub struct Reviewer {
    line: Line,
    url: String,
    /// Read for each question: the token that a cluster gives us is replaced by the hour.
    credential: SecretRef,
}

impl Reviewer {
    /// A cluster whose API server is at `origin`, reached the issuer's way.
    ///
    /// # Errors
    /// [`GrantError`] if the origin is none that can be reached.
    pub fn new(
        origin: &str,
        credential: SecretRef,
        way: &Way,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, GrantError> {
        let origin = origin.trim_end_matches('/');
        let line = Line::open(std::iter::once(origin), way, clock)?;
        Ok(Self { line, url: format!("{origin}{PATH}"), credential })
    }

    /// Somebody in this process who answers as a cluster.
    pub(crate) fn within(
        credential: SecretRef,
        answers: Arc<dyn Answers>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { line: Line::within(answers, clock), url: PATH.to_owned(), credential }
    }

    async fn ask(&self, token: &str, audiences: &[String]) -> Result<Review, OnlineError> {
        let answer = self.line.ask(self.question(token, audiences)?).await?;
        match answer.status() {
            StatusCode::CREATED | StatusCode::OK => {
                Review::parse(answer.body()).ok_or(OnlineError::Answer)
            }
            status => Err(OnlineError::Status(status)),
        }
    }

    fn question(&self, token: &str, audiences: &[String]) -> Result<Request<Bytes>, OnlineError> {
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": { "token": token, "audiences": audiences },
        });
        let credential = self.credential.load().map_err(|_| OnlineError::Credential)?;
        let bearer = [b"Bearer ", credential.expose()].concat();
        let mut bearer = HeaderValue::from_bytes(&bearer).map_err(|_| OnlineError::Credential)?;
        bearer.set_sensitive(true);
        Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header(header::AUTHORIZATION, bearer)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .body(Bytes::from(body.to_string()))
            .map_err(|_| OnlineError::Credential)
    }
}

impl Authenticator {
    /// What the cluster says of a token, where its issuer has a reviewer.
    pub(super) async fn review(
        &self,
        (token, compact): (&str, &Compact<'_>),
        rules: &IssuerRules,
        reviewer: &Reviewer,
        source: Option<IpAddr>,
    ) -> Result<Principal, Unproven> {
        presentable(compact, rules, self.standing.clock.now())?;
        let _turn = self.asking.take(source).await.ok_or(Unproven::Crowded)?;
        let review = reviewer.ask(token, &rules.audiences).await?;
        Ok(reviewed(compact, rules, &review, self.standing.clock.now())?)
    }
}
