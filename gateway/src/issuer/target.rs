//! The credential of a backend, obtained from a Target: the gateway signs an assertion, the target's
//! component exchanges it, and the token is kept until shortly before it ends.
//!
//! This is how the gateway gets by without a root credential of its own. Nothing here is written
//! down: after a restart the exchange is simply made again.
//!
//! INVARIANT: one exchange at a time, in a task of its own with a deadline of its own; whoever comes
//! meanwhile waits for it, and a caller that hangs up ends it for nobody. A failure is shared with
//! those who waited and remembered for a moment, so that a refusing upstream is not hammered. A
//! token is used only while it has a part of its life left.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use symbolon_core::clock::{Clock, Timestamp};
use symbolon_core::id::TargetName;
use symbolon_core::secret::Secret;
use symbolon_host::answer::{ExchangeRequest, ForeignToken, TokenKind};
use symbolon_host::catalog::CatalogError;
use symbolon_host::egress::{BoxFuture, Credential, CredentialSource, SourceError};
use symbolon_host::{CallContext, CallError, Seat};
use tokio::time::Instant;

use super::flight::Flights;
use crate::keyring::{
    AssertionLifetime, Keyring, MoreClaims, SignError, Statement, TargetAudience,
};
use crate::time::Ids;

/// A token is renewed when less than this part of its life is left.
const MARGIN: u32 = 5;
/// And never used in its last seconds.
const LEAST: Duration = Duration::from_secs(10);
/// How long a failed exchange is remembered, and how often a 401 may cause a new one.
const PAUSE: Duration = Duration::from_secs(2);
/// How often a 403 may: it is also what a lack of permission looks like, and callers can cause that.
const LONG_PAUSE: Duration = Duration::from_secs(60);

/// How long an exchange may take, whoever waits for it.
const EXCHANGE: Duration = Duration::from_secs(30);

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

/// Tokens of one target in the gateway's own name.
#[derive(Debug)]
pub struct TargetSource {
    exchanger: Arc<Exchanger>,
    exchanges: Flights<Obtained>,
}

/// What an exchange brings.
type Obtained = Result<Arc<Credential>, SourceError>;

#[derive(Debug)]
struct Exchanger {
    settings: TargetSettings,
    seat: Seat,
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    ids: Arc<Ids>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    token: Option<Token>,
    /// The last failure, and when it was.
    failed: Option<(SourceError, Duration)>,
    /// When a complaint last threw a token away.
    complained: Option<Duration>,
}

#[derive(Clone, Debug)]
struct Token {
    credential: Arc<Credential>,
    renew_at: Timestamp,
    ends_at: Timestamp,
}

/// Why an exchange did not give a token.
#[derive(Debug, thiserror::Error)]
enum ExchangeError {
    #[error("the assertion could not be signed")]
    Sign(#[from] SignError),
    #[error("the target has no plugin that takes calls")]
    Catalog(#[from] CatalogError),
    #[error("the target's plugin did not deliver")]
    Call(#[from] CallError),
    #[error("the token lacks a field of its kind")]
    Fields,
    #[error("the exchange takes longer than this caller can wait")]
    Late,
}

impl TargetSource {
    /// A source that has no token yet.
    #[must_use]
    pub fn new(
        settings: TargetSettings,
        seat: Seat,
        keyring: Arc<Keyring>,
        clock: Arc<dyn Clock>,
        ids: Arc<Ids>,
    ) -> Self {
        let held = Mutex::default();
        let exchanger = Exchanger { settings, seat, keyring, clock, ids, held };
        Self { exchanger: Arc::new(exchanger), exchanges: Flights::default() }
    }

    /// How the target's tokens are put into requests is known from the first of them only; the kind
    /// is therefore checked against the binding when it is used.
    async fn current(&self, deadline: Instant) -> Obtained {
        if let Some(known) = self.exchanger.known() {
            return known;
        }
        let begin = || {
            let exchanger = self.exchanger.clone();
            async move { Box::pin(exchanger.renew()).await }
        };
        let obtained = self.exchanges.join(deadline, begin).await;
        // The flight goes on; this caller does not wait for it any longer.
        obtained.unwrap_or_else(|| self.exchanger.usable_or(unavailable(ExchangeError::Late)))
    }
}

impl Exchanger {
    /// What is known without an exchange: a token that need not be renewed yet, or that one failed
    /// just now.
    fn known(&self) -> Option<Obtained> {
        let held = self.held();
        let now = self.clock.now();
        if let Some(token) = held.token.as_ref().filter(|token| now < token.renew_at) {
            return Some(Ok(token.credential.clone()));
        }
        let (error, at) = held.failed.as_ref()?;
        let recently = self.clock.elapsed().saturating_sub(*at) < PAUSE;
        recently.then(|| usable(&held, now).ok_or_else(|| error.clone()))
    }

    /// Exchanges, unless another exchange has ended since the caller looked.
    async fn renew(&self) -> Obtained {
        if let Some(known) = self.known() {
            return known;
        }
        match Box::pin(self.exchange()).await {
            Ok(token) => {
                let credential = token.credential.clone();
                let mut held = self.held();
                held.token = Some(token);
                held.failed = None;
                Ok(credential)
            }
            Err(error) => {
                let error = self.describe(error);
                self.held().failed = Some((error.clone(), self.clock.elapsed()));
                self.usable_or(error)
            }
        }
    }

    fn usable_or(&self, error: SourceError) -> Obtained {
        usable(&self.held(), self.clock.now()).ok_or(error)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn exchange(&self) -> Result<Token, ExchangeError> {
        let now = self.clock.now();
        let TargetSettings { audience, subject, ttl, .. } = &self.settings;
        let signer = self.keyring.assertion_signer();
        let lifetime = AssertionLifetime::SHORTEST;
        let statement = Statement { subject, audience, lifetime, more: MoreClaims::None };
        let assertion = signer.sign(&statement, now)?;
        let request = ExchangeRequest {
            assertion,
            scopes: Vec::new(),
            ttl: *ttl,
            attributes: Vec::new(),
            metadata: Vec::new(),
        };
        let context = CallContext {
            request_id: self.ids.request(now),
            deadline: self.clock.elapsed().saturating_add(EXCHANGE),
        };
        let generation = self.seat.generation()?;
        let token = Box::pin(generation.exchange(&context, &request)).await?;
        keep(token, now)
    }

    fn describe(&self, error: ExchangeError) -> SourceError {
        let refused = matches!(&error, ExchangeError::Call(CallError::Plugin(fault))
            if matches!(fault.kind, symbolon_host::FaultKind::Unauthenticated
                | symbolon_host::FaultKind::PermissionDenied
                | symbolon_host::FaultKind::InvalidConfig));
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::warn!(target = %self.settings.name, %error, ?cause, "no token of the target");
        if refused { SourceError::Refused(Arc::new(error)) } else { unavailable(error) }
    }
}

fn unavailable(error: ExchangeError) -> SourceError {
    SourceError::Unavailable(Arc::new(error))
}

/// What is held, if it can still be used although it should have been renewed.
fn usable(held: &Held, now: Timestamp) -> Option<Arc<Credential>> {
    let token = held.token.as_ref()?;
    (now.plus(LEAST) < token.ends_at).then(|| token.credential.clone())
}

fn keep(token: ForeignToken, now: Timestamp) -> Result<Token, ExchangeError> {
    let ends_at = token.expires_at;
    let life = ends_at.since(now);
    let margin = (life / MARGIN).max(LEAST);
    let credential = Arc::new(credential(token)?);
    Ok(Token { credential, renew_at: ends_at.minus(margin), ends_at })
}

fn credential(token: ForeignToken) -> Result<Credential, ExchangeError> {
    let mut fields: std::collections::BTreeMap<String, Secret> = token.fields.into_iter().collect();
    let mut take = |name: &str| fields.remove(name);
    match token.kind {
        TokenKind::Bearer | TokenKind::Header(_) => {
            take("token").map(Credential::Token).ok_or(ExchangeError::Fields)
        }
        TokenKind::Aws => {
            let id = take("access_key_id").ok_or(ExchangeError::Fields)?;
            let secret_access_key = take("secret_access_key").ok_or(ExchangeError::Fields)?;
            let access_key_id = id.expose_str().ok_or(ExchangeError::Fields)?.to_owned();
            let session_token = take("session_token");
            Ok(Credential::Aws { access_key_id, secret_access_key, session_token })
        }
    }
}

impl CredentialSource for TargetSource {
    fn credential(&self, deadline: Instant) -> BoxFuture<'_, Obtained> {
        Box::pin(self.current(deadline))
    }

    /// Throws the token away that the upstream did not take, unless that was done just now or a
    /// newer one is held already.
    fn invalidate(&self, used: &Arc<Credential>, status: StatusCode) -> bool {
        let pause = if status == StatusCode::UNAUTHORIZED { PAUSE } else { LONG_PAUSE };
        let mut held = self.exchanger.held();
        let now = self.exchanger.clock.elapsed();
        let is_held = held.token.as_ref().is_some_and(|t| Arc::ptr_eq(&t.credential, used));
        let recently = held.complained.is_some_and(|at| now.saturating_sub(at) < pause);
        if is_held && !recently {
            held.token = None;
            held.complained = Some(now);
        }
        !is_held || !recently
    }
}
