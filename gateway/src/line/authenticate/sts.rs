//! Signed requests: sent to STS, and believed as STS answers. Each is good once, whatever the issuer's
//! block says.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use symbolon_core::clock::Clock;
use symbolon_core::signed::{Answer, Fresh, SignedRefusal, SignedRequest, hosts_of};
use symbolon_host::egress::GrantError;

use super::online::{Answers, Line, OnlineError};
use super::{Authenticator, Unproven, Verified, Way};

/// STS, of one partition.
#[derive(Debug)]
pub struct Sts(Line);

impl Sts {
    /// The endpoints of the issuer's partition, reached the issuer's way. Tests point them elsewhere
    /// by `resolve`; the certificate must still be the endpoint's.
    ///
    /// # Errors
    /// [`GrantError`] if an address that is resolved to is one that is never dialled.
    pub fn new(partition: &str, way: &Way, clock: Arc<dyn Clock>) -> Result<Self, GrantError> {
        let urls: Vec<_> = hosts_of(partition).map(|host| format!("https://{host}/")).collect();
        Line::open(urls.iter().map(String::as_str), way, clock).map(Self)
    }

    /// Somebody in this process who answers as STS.
    pub(crate) fn within(answers: Arc<dyn Answers>, clock: Arc<dyn Clock>) -> Self {
        Self(Line::within(answers, clock))
    }

    async fn ask(&self, request: &Fresh<'_>) -> Result<Answer, Unproven> {
        let mut builder = Request::builder()
            .method(Method::POST)
            .uri(format!("https://{}/", request.host()))
            .header(header::ACCEPT, "application/json");
        for (name, value) in request.headers() {
            builder = builder.header(name, value);
        }
        let sent = builder.body(Bytes::copy_from_slice(request.body().as_bytes()));
        let answer = self.0.ask(sent.map_err(|_| SignedRefusal::Header)?).await?;
        match answer.status() {
            StatusCode::OK => {
                let kind = answer.headers().get(header::CONTENT_TYPE);
                let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
                Ok(Answer::parse(kind, answer.body())?)
            }
            status if status.is_client_error() => Err(SignedRefusal::Rejected.into()),
            status => Err(OnlineError::Status(status).into()),
        }
    }
}

impl Authenticator {
    pub(super) async fn prove_signed(
        &self,
        text: &str,
        source: Option<IpAddr>,
    ) -> Result<Arc<Verified>, Unproven> {
        let request = SignedRequest::parse(text)?;
        let rules = self.issuers.of_partition(request.partition());
        let rules = rules.ok_or(SignedRefusal::UnknownIssuer)?;
        let fresh = request.check(rules, self.standing.clock.now())?;
        let sts = self.online.sts.get(&rules.alias).ok_or(SignedRefusal::UnknownIssuer)?;
        let answer = {
            let _turn = self.asking.take(source).await.ok_or(Unproven::Crowded)?;
            sts.ask(&fresh).await?
        };
        let principal = fresh.prove(rules, &answer)?;
        Ok(Arc::new(Verified {
            principal: Arc::new(principal),
            generation: 0,
            at: self.standing.clock.elapsed(),
            one_shot: true,
            leeway: rules.leeway,
        }))
    }
}
