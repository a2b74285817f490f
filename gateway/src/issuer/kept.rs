//! One token of a target, kept until shortly before it ends.
//!
//! INVARIANT: one exchange at a time, in a task of its own with a deadline of its own; whoever comes
//! meanwhile waits for it, and a caller that hangs up ends it for nobody. A failure is shared with
//! those who waited and remembered for a moment, so that a refusing upstream is not hammered. A
//! token is used only while it has a part of its life left, and while nothing stands against whoever
//! it was obtained for.
//!
//! INVARIANT: nothing here tells callers apart. Whoever has several of them has a [`Keeper`] for each.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use symbolon_core::clock::{Clock, Timestamp};
use symbolon_core::id::TargetName;
use symbolon_core::principal::Principal;
use symbolon_core::secret::Secret;
use symbolon_host::answer::{ForeignToken, TokenKind};
use symbolon_host::catalog::CatalogError;
use symbolon_host::egress::{Credential, SourceError};
use symbolon_host::{CallError, FaultKind};
use tokio::time::Instant;

use super::caller::CallerError;
use super::flight::Flights;
use crate::keyring::SignError;

/// A token is renewed when less than this part of its life is left.
const MARGIN: u32 = 5;
/// Or earlier, by up to this part: what was obtained together is not renewed together.
const SPREAD: u32 = 10;
/// And never used in its last seconds.
const LEAST: Duration = Duration::from_secs(10);
/// How long a failed exchange is remembered, and how often a 401 may cause a new one.
const PAUSE: Duration = Duration::from_secs(2);
/// How often a 403 may: it is also what a lack of permission looks like, and callers can cause that.
const LONG_PAUSE: Duration = Duration::from_secs(60);

/// How long an exchange may take, whoever waits for it.
pub(super) const EXCHANGE: Duration = Duration::from_secs(30);

/// What an exchange brings.
pub(super) type Obtained = Result<Token, SourceError>;

/// Whether a kept token may still be used, beside its own end.
pub(super) trait Standing: fmt::Debug + Send + Sync {
    /// Whether nothing stands against `token` at `now`.
    fn admits(&self, token: &Token, now: Timestamp) -> bool;
}

/// A token that was obtained.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) credential: Arc<Credential>,
    /// For whom; nobody, if it is the gateway's own.
    pub(super) obtained_for: Option<Arc<Principal>>,
    /// When its exchange began.
    pub(super) since: Timestamp,
    renew_at: Timestamp,
    ends_at: Timestamp,
}

/// Why an exchange did not give a token.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    #[error("the assertion could not be signed")]
    Sign(#[from] SignError),
    #[error("no assertion can be made for the caller")]
    Caller(#[from] CallerError),
    #[error("the target has no plugin that takes calls")]
    Catalog(#[from] CatalogError),
    #[error("the target's plugin did not deliver")]
    Call(#[from] CallError),
    #[error("the token lacks a field of its kind")]
    Fields,
    #[error("the exchange takes longer than this caller can wait")]
    Late,
}

/// Keeps one token.
#[derive(Debug)]
pub(super) struct Keeper {
    shelf: Arc<Shelf>,
    exchanges: Flights<Obtained>,
}

/// What all keepers of a target have in common.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) target: TargetName,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) standing: Arc<dyn Standing>,
}

#[derive(Debug)]
struct Shelf {
    terms: Terms,
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

impl Keeper {
    /// One that has no token yet.
    pub(super) fn new(terms: Terms) -> Self {
        let shelf = Shelf { terms, held: Mutex::default() };
        Self { shelf: Arc::new(shelf), exchanges: Flights::default() }
    }

    /// The token, by `exchange` if there is none that can be used. How the target's tokens are put
    /// into requests is known from the first of them only; the kind is therefore checked against the
    /// binding when it is used.
    ///
    /// Cancel: an exchange goes on.
    pub(super) async fn current<F, E>(&self, deadline: Instant, exchange: E) -> Obtained
    where
        E: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<Token, ExchangeError>> + Send + 'static,
    {
        if let Some(known) = self.shelf.known() {
            return known;
        }
        let begin = || {
            let shelf = self.shelf.clone();
            async move { Box::pin(shelf.renew(exchange)).await }
        };
        let obtained = self.exchanges.join(deadline, begin).await;
        // The flight goes on; this caller does not wait for it any longer.
        obtained.unwrap_or_else(|| self.shelf.usable_or(unavailable(ExchangeError::Late)))
    }

    /// Throws the token away that the upstream did not take, unless that was done just now or a
    /// newer one is held already. Answers whether the next is another than `used`.
    pub(super) fn complain(&self, used: &Arc<Credential>, status: StatusCode) -> bool {
        let pause = if status == StatusCode::UNAUTHORIZED { PAUSE } else { LONG_PAUSE };
        let mut held = self.shelf.held();
        let now = self.shelf.terms.clock.elapsed();
        let is_held = held.token.as_ref().is_some_and(|t| Arc::ptr_eq(&t.credential, used));
        let recently = held.complained.is_some_and(|at| now.saturating_sub(at) < pause);
        if is_held && !recently {
            held.token = None;
            held.complained = Some(now);
        }
        !is_held || !recently
    }

    /// Whether something stands against the token that is held.
    pub(super) fn is_barred(&self) -> bool {
        let now = self.shelf.terms.clock.now();
        self.shelf.held().token.as_ref().is_some_and(|token| !self.shelf.stands(token, now))
    }

    /// Lets go of the token.
    pub(super) fn forget(&self) {
        self.shelf.held().token = None;
    }
}

impl Shelf {
    /// What is known without an exchange: a token that need not be renewed yet, or that one failed
    /// just now.
    fn known(&self) -> Option<Obtained> {
        let held = self.held();
        let now = self.terms.clock.now();
        let fresh = |token: &&Token| now < token.renew_at && self.stands(token, now);
        if let Some(token) = held.token.as_ref().filter(fresh) {
            return Some(Ok(token.clone()));
        }
        let (error, at) = held.failed.as_ref()?;
        let recently = self.terms.clock.elapsed().saturating_sub(*at) < PAUSE;
        recently.then(|| self.usable(&held, now).ok_or_else(|| error.clone()))
    }

    /// Exchanges, unless another exchange has ended since the caller looked.
    async fn renew<F>(&self, exchange: impl FnOnce() -> F) -> Obtained
    where
        F: Future<Output = Result<Token, ExchangeError>>,
    {
        if let Some(known) = self.known() {
            return known;
        }
        match exchange().await {
            Ok(token) => {
                let mut held = self.held();
                held.token = Some(token.clone());
                held.failed = None;
                Ok(token)
            }
            Err(error) => {
                let error = self.describe(error);
                self.held().failed = Some((error.clone(), self.terms.clock.elapsed()));
                self.usable_or(error)
            }
        }
    }

    fn usable_or(&self, error: SourceError) -> Obtained {
        self.usable(&self.held(), self.terms.clock.now()).ok_or(error)
    }

    /// What is held, if it can still be used although it should have been renewed.
    fn usable(&self, held: &Held, now: Timestamp) -> Option<Token> {
        let lasts = |token: &&Token| now.plus(LEAST) < token.ends_at && self.stands(token, now);
        held.token.as_ref().filter(lasts).cloned()
    }

    fn stands(&self, token: &Token, now: Timestamp) -> bool {
        self.terms.standing.admits(token, now)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn describe(&self, error: ExchangeError) -> SourceError {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::warn!(target = %self.terms.target, %error, ?cause, "no token of the target");
        if error.is_refusal() { SourceError::Refused(Arc::new(error)) } else { unavailable(error) }
    }
}

impl ExchangeError {
    /// Whether asking again is in vain until somebody has acted. What may pass by itself counts
    /// against the health of the backend for everybody: what one caller can bring about must not.
    fn is_refusal(&self) -> bool {
        match self {
            Self::Caller(CallerError::Sign(_))
            | Self::Sign(_)
            | Self::Catalog(_)
            | Self::Fields
            | Self::Late => false,
            Self::Caller(CallerError::Scope | CallerError::Subject | CallerError::Attribute) => {
                true
            }
            Self::Call(CallError::NoCaller { .. } | CallError::CallerRefused { .. }) => true,
            Self::Call(error) => error.fault().is_some_and(|fault| match fault.kind {
                FaultKind::Unauthenticated
                | FaultKind::PermissionDenied
                | FaultKind::InvalidRequest
                | FaultKind::InvalidConfig => true,
                FaultKind::Absent
                | FaultKind::Deleted
                | FaultKind::Destroyed
                | FaultKind::Conflict
                | FaultKind::RateLimited
                | FaultKind::Unavailable
                | FaultKind::Timeout
                | FaultKind::Unsupported
                | FaultKind::Internal
                | FaultKind::Other => false,
            }),
        }
    }
}

/// Whether an error of a source says that this caller, and not the gateway, is refused.
pub(super) fn is_of_caller(error: &SourceError) -> bool {
    let SourceError::Refused(cause) = error else { return false };
    cause.downcast_ref::<ExchangeError>().is_some_and(|error| match error {
        ExchangeError::Caller(_) => true,
        ExchangeError::Call(CallError::CallerRefused { .. } | CallError::CallerForbidden(_)) => {
            true
        }
        ExchangeError::Call(error) => error.fault().is_some_and(|fault| {
            matches!(
                fault.kind,
                FaultKind::Unauthenticated
                    | FaultKind::PermissionDenied
                    | FaultKind::InvalidRequest
            )
        }),
        ExchangeError::Sign(_)
        | ExchangeError::Catalog(_)
        | ExchangeError::Fields
        | ExchangeError::Late => false,
    })
}

fn unavailable(error: ExchangeError) -> SourceError {
    SourceError::Unavailable(Arc::new(error))
}

impl Token {
    /// What was given by an exchange that began at `since`.
    pub(super) fn new(
        given: ForeignToken,
        obtained_for: Option<Arc<Principal>>,
        since: Timestamp,
    ) -> Result<Self, ExchangeError> {
        let ends_at = given.expires_at;
        let life = ends_at.since(since);
        let margin = (life / MARGIN).saturating_add(random_part(life / SPREAD)).max(LEAST);
        let credential = Arc::new(credential(given)?);
        let renew_at = ends_at.minus(margin);
        Ok(Self { credential, obtained_for, since, renew_at, ends_at })
    }
}

/// Nothing, or all of `most`, or anything between. Only evenness depends on it: without randomness it
/// is nothing.
fn random_part(most: Duration) -> Duration {
    let mut bytes = [0];
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    let [part] = bytes;
    most / u32::from(u8::MAX) * u32::from(part)
}

fn credential(token: ForeignToken) -> Result<Credential, ExchangeError> {
    let mut fields: BTreeMap<String, Secret> = token.fields.into_iter().collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_part_is_never_more_than_the_whole() {
        let most = Duration::from_secs(30);
        let parts: Vec<_> = (0..200).map(|_| random_part(most)).collect();
        assert!(parts.iter().all(|part| *part <= most), "{parts:?}");
        assert!(parts.iter().any(|part| *part != parts[0]), "they differ");
    }
}
