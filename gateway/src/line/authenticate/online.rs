//! Questions to those who vouch online: STS for signed requests, a cluster for its tokens.
//!
//! Strangers make us ask, so every question is bounded: a place in a queue of its own (never one of
//! the signature checks'), a deadline, a limit on the answer, and a breaker, so that whoever vouches
//! and is down is not asked by everybody. Who cannot be asked vouches for nobody.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use symbolon_core::clock::Clock;
use symbolon_core::error::Kind;
use symbolon_host::egress::{
    ClientLimits, EgressClient, EgressError, FetchLimits, Grant, GrantError, Methods, Reach,
};
use symbolon_host::{Breaker, Health};

use super::Way;

/// How long a question may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// Most bytes of an answer.
const MAX_ANSWER: u64 = 64 * 1024;
/// Failures in a row after which nobody is asked for a while, and for how long.
const FAILURES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum OnlineError {
    /// It failed too often a moment ago.
    #[error("it failed too often a moment ago")]
    Resting,
    /// The question could not be put, or was not answered.
    #[error("it could not be asked")]
    Egress(#[from] EgressError),
    /// It answered that it cannot answer.
    #[error("it answered with status {0}")]
    Status(http::StatusCode),
    /// It answered something else.
    #[error("it answered something else")]
    Answer,
    /// The question could not be written: our credential there is not usable.
    #[error("the gateway's credential is not usable")]
    Credential,
}

impl OnlineError {
    /// What the caller is told.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Resting | Self::Egress(_) | Self::Status(_) | Self::Answer | Self::Credential => {
                Kind::Unavailable
            }
        }
    }

    /// The audit code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Resting => "online_resting",
            Self::Egress(_) => "online_unreachable",
            Self::Status(_) => "online_status",
            Self::Answer => "online_answer",
            Self::Credential => "online_credential",
        }
    }
}

/// Somebody within this process who answers in the place of whoever would be asked: for an
/// assessment, which reaches nobody.
pub(crate) trait Answers: std::fmt::Debug + Send + Sync {
    /// The answer.
    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes>;
}

/// Who is asked.
#[derive(Debug)]
enum Asked {
    /// Somebody elsewhere.
    Elsewhere(Arc<EgressClient>),
    /// Somebody in this process.
    Within(Arc<dyn Answers>),
}

/// Somebody who can be asked.
#[derive(Debug)]
pub(super) struct Line {
    asked: Asked,
    breaker: Breaker,
    clock: Arc<dyn Clock>,
}

impl Line {
    /// A line that reaches the origins of `urls`, and nothing else.
    pub(super) fn open<'a>(
        urls: impl Iterator<Item = &'a str>,
        way: &Way,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, GrantError> {
        let grants = urls.map(|url| grant(url, way)).collect::<Result<Vec<_>, _>>()?;
        let client = EgressClient::new(way.network.clone(), grants, ClientLimits::default());
        Ok(Self::to(Asked::Elsewhere(client), clock))
    }

    /// A line that ends in this process.
    pub(super) fn within(answers: Arc<dyn Answers>, clock: Arc<dyn Clock>) -> Self {
        Self::to(Asked::Within(answers), clock)
    }

    fn to(asked: Asked, clock: Arc<dyn Clock>) -> Self {
        Self { asked, breaker: Breaker::new(FAILURES, PAUSE), clock }
    }

    /// Puts a question. An answer of status 5xx or 429 is none.
    pub(super) async fn ask(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, OnlineError> {
        let pass = self.breaker.pass(self.clock.elapsed()).map_err(|_| OnlineError::Resting)?;
        let limits = FetchLimits { deadline: DEADLINE, max_body: MAX_ANSWER };
        let answered = match &self.asked {
            Asked::Elsewhere(client) => Box::pin(client.fetch(request, limits)).await,
            Asked::Within(answers) => Ok(answers.answer(&request)),
        };
        let answered = answered.map_err(OnlineError::from).and_then(|answer| {
            let status = answer.status();
            let is_none = status.is_server_error() || status == http::StatusCode::TOO_MANY_REQUESTS;
            if is_none { Err(OnlineError::Status(status)) } else { Ok(answer) }
        });
        let health = if answered.is_ok() { Health::Good } else { Health::Bad };
        pass.settle(health, self.clock.elapsed());
        answered
    }
}

fn grant(url: &str, way: &Way) -> Result<Grant, GrantError> {
    let reach = Reach::parse(url)?;
    let host = url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    let mut grant = Grant::new(reach, Methods::parse(["POST"])?).at(way.addresses.clone());
    if let Some(address) = host.and_then(|host| way.resolve.get(&host)) {
        grant = grant.resolve_to(*address)?;
    }
    Ok(match &way.trust {
        Some(trust) => grant.trusting(trust.clone()),
        None => grant,
    })
}
