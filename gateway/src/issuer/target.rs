//! The credential of a backend, obtained from a Target in the gateway's own name: the gateway signs an
//! assertion, the target's component exchanges it, and the token is kept until shortly before it ends.
//!
//! This is how the gateway gets by without a root credential of its own. Nothing here is written
//! down: after a restart the exchange is simply made again.
//!
//! INVARIANT: a call of the gateway's own makes the exchange, whoever's request waits for it: nothing
//! that one caller has goes into a token that all get.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use symbolon_core::barrier::Scope;
use symbolon_core::clock::{Clock, Timestamp};
use symbolon_core::id::TargetName;
use symbolon_host::answer::ExchangeRequest;
use symbolon_host::egress::{BoxFuture, Credential, CredentialSource, SourceError};
use symbolon_host::{CallContext, Seat};
use tokio::time::Instant;

use super::kept::{EXCHANGE, ExchangeError, Keeper, Standing, Terms, Token};
use crate::barriers::DurableBarriers;
use crate::keyring::{AssertionLifetime, Keyring, MoreClaims, Statement, TargetAudience};
use crate::time::Ids;

/// What the operator says of a target.
#[derive(Clone, Debug)]
pub struct TargetSettings {
    /// Its name.
    pub name: TargetName,
    /// The audience of assertions to it.
    pub audience: TargetAudience,
    /// The subject of assertions made in the gateway's own name.
    pub subject: String,
    /// How long a token shall last at most.
    pub ttl: Duration,
}

/// What the exchanges of a target are made with.
#[derive(Clone, Debug)]
pub struct Means {
    /// The keys.
    pub keyring: Arc<Keyring>,
    /// The barriers.
    pub barriers: Arc<DurableBarriers>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Request ids.
    pub ids: Arc<Ids>,
}

/// Tokens of one target in the gateway's own name.
#[derive(Debug)]
pub struct TargetSource {
    exchanger: Arc<Exchanger>,
    keeper: Keeper,
}

#[derive(Debug)]
struct Exchanger {
    settings: TargetSettings,
    seat: Seat,
    means: Means,
}

/// What the gateway got at or before a global epoch is let go of when that has come. Fresh ones are
/// used, or an epoch that lies ahead would keep the gateway from revoking anything until then.
#[derive(Debug)]
struct SinceEpoch(Arc<DurableBarriers>);

impl Standing for SinceEpoch {
    fn admits(&self, token: &Token, now: Timestamp) -> bool {
        let epoch = self.0.snapshot().epoch(&Scope::Global);
        epoch.is_none_or(|epoch| epoch > now || token.since > epoch)
    }
}

impl TargetSource {
    /// A source that has no token yet.
    #[must_use]
    pub fn new(settings: TargetSettings, seat: Seat, means: Means) -> Self {
        let terms = Terms {
            target: settings.name.clone(),
            clock: means.clock.clone(),
            standing: Arc::new(SinceEpoch(means.barriers.clone())),
        };
        let exchanger = Arc::new(Exchanger { settings, seat, means });
        Self { exchanger, keeper: Keeper::new(terms) }
    }

    async fn current(&self, deadline: Instant) -> Result<Arc<Credential>, SourceError> {
        let exchanger = self.exchanger.clone();
        let exchange = || async move { Box::pin(exchanger.exchange()).await };
        Ok(self.keeper.current(deadline, exchange).await?.credential)
    }
}

impl Exchanger {
    async fn exchange(&self) -> Result<Token, ExchangeError> {
        let Means { keyring, clock, ids, .. } = &self.means;
        let now = clock.now();
        let TargetSettings { audience, subject, ttl, .. } = &self.settings;
        let lifetime = AssertionLifetime::SHORTEST;
        let statement = Statement { subject, audience, lifetime, more: MoreClaims::None };
        let assertion = keyring.assertion_signer().sign(&statement, now)?;
        let request = ExchangeRequest {
            assertion,
            scopes: Vec::new(),
            ttl: *ttl,
            attributes: Vec::new(),
            metadata: Vec::new(),
        };
        let context = CallContext {
            request_id: ids.request(now),
            deadline: clock.elapsed().saturating_add(EXCHANGE),
            on_behalf: None,
        };
        let generation = self.seat.generation()?;
        let given = Box::pin(generation.exchange(&context, &request)).await?;
        Token::new(given, None, now)
    }
}

impl CredentialSource for TargetSource {
    fn credential<'a>(
        &'a self,
        _: &'a CallContext,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Arc<Credential>, SourceError>> {
        Box::pin(self.current(deadline))
    }

    fn invalidate(&self, _: &CallContext, used: &Arc<Credential>, status: StatusCode) -> bool {
        self.keeper.complain(used, status)
    }
}
