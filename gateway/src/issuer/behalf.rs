//! The credentials of a backend whose target names the caller: one for each, so that the cloud's own
//! permissions see and limit who really asks.
//!
//! INVARIANT: a credential is given to calls on behalf of the principal that it was obtained for, and to
//! no other. Each has a [`Keeper`] of its own, found by all that the exchange depends on and more: issuer
//! and subject, every attribute, the scopes. Target, session policy and duration are the same for all:
//! there is one source a target and generation of the configuration.
//!
//! INVARIANT: no caller, no credential. What the gateway does for itself (ending leases, comparing,
//! probing) it cannot do in a caller's name, and never does with what a caller left behind.
//!
//! INVARIANT: a credential is not used when the proof that it was obtained with would not be accepted any
//! more, by an epoch, a lock or the withdrawal of a token; and it is dropped when the barrier is set.

use std::sync::{Arc, Weak};
use std::time::Duration;

use http::StatusCode;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use symbolon_core::barrier::Barred;
use symbolon_core::clock::Timestamp;
use symbolon_core::id::RequestId;
use symbolon_core::policy::OnBehalf;
use symbolon_core::principal::{Principal, Subject};
use symbolon_host::CallContext;
use symbolon_host::egress::{BoxFuture, Credential, CredentialSource, SourceError};
use tokio::time::Instant;

use super::caller::CallerTarget;
use super::kept::{EXCHANGE, ExchangeError, Keeper, Standing, Terms, Token, is_of_caller};
use super::target::Means;
use crate::barriers::{Follower, Withdrawn, admits};

/// Most callers whose credentials a target keeps. The one that has not asked for the longest time gives
/// way: it costs an exchange when it comes back.
const MOST: u64 = 10_000;
/// After so long without a call nothing is kept of a caller.
const IDLE: Duration = Duration::from_hours(1);
/// How often an exchange is waited for. The first may be one that another proof of the same caller has
/// begun, which does not count any more.
const TRIES: u32 = 3;

/// Tokens of one target in the names of callers.
#[derive(Debug)]
pub struct CallerSource {
    target: Arc<CallerTarget>,
    means: Means,
    standing: Arc<Admitted>,
    keepers: Cache<Key, Arc<Keeper>>,
}

/// Whose credential, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    /// Issuer, subject and attributes.
    subject: Subject,
    scopes: Vec<String>,
}

/// What may stand against the proof that a credential was obtained with.
#[derive(Debug)]
struct Admitted {
    means: Means,
    withdrawn: Arc<Withdrawn>,
}

impl Admitted {
    fn admits_proof_of(&self, principal: &Principal) -> Result<(), Barred> {
        admits(&self.means.barriers, &self.withdrawn, principal)
    }
}

impl Standing for Admitted {
    /// One that was obtained for nobody is none of ours.
    fn admits(&self, token: &Token, _: Timestamp) -> bool {
        token.obtained_for.as_ref().is_some_and(|whom| self.admits_proof_of(whom).is_ok())
    }
}

impl CallerSource {
    /// A source that has no credentials yet. It lets go of those that a barrier stands against when that
    /// is set.
    #[must_use]
    pub fn new(target: Arc<CallerTarget>, means: Means, withdrawn: Arc<Withdrawn>) -> Arc<Self> {
        let standing = Arc::new(Admitted { means: means.clone(), withdrawn });
        let keepers = Cache::builder()
            .max_capacity(MOST)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(IDLE)
            .build();
        let source = Arc::new(Self { target, means, standing, keepers });
        let follower: Weak<dyn Follower> = Arc::<Self>::downgrade(&source);
        source.means.barriers.follow(follower);
        source
    }

    async fn current(
        &self,
        context: &CallContext,
        deadline: Instant,
    ) -> Result<Arc<Credential>, SourceError> {
        let behalf = context.on_behalf.as_ref().ok_or(SourceError::NoCaller)?;
        let keeper = self.keeper(behalf)?;
        for _ in 0..TRIES {
            self.standing.admits_proof_of(behalf.principal()).map_err(refused)?;
            let exchange = self.exchange(behalf, context.request_id);
            let token = keeper.current(deadline, exchange).await.map_err(of_caller)?;
            // Whoever waited gets what another proof of the same caller has obtained.
            if self.standing.admits(&token, self.means.clock.now()) {
                return Ok(token.credential);
            }
        }
        Err(SourceError::Unavailable(Arc::new(Barred::PrincipalEpoch)))
    }

    fn keeper(&self, behalf: &OnBehalf) -> Result<Arc<Keeper>, SourceError> {
        let key = self.key(behalf)?;
        Ok(self.keepers.get_with(key, || Arc::new(Keeper::new(self.terms()))))
    }

    fn key(&self, behalf: &OnBehalf) -> Result<Key, SourceError> {
        let scopes = self.target.scopes(&[]).map_err(refused)?;
        Ok(Key { subject: behalf.principal().subject().clone(), scopes })
    }

    fn terms(&self) -> Terms {
        Terms {
            target: self.target.settings().name.clone(),
            clock: self.means.clock.clone(),
            standing: self.standing.clone(),
        }
    }

    /// The exchange for a caller, to be begun if nothing that is kept can be used. The cloud's log gets
    /// the id of the request that caused it.
    fn exchange(
        &self,
        behalf: &OnBehalf,
        request: RequestId,
    ) -> impl FnOnce() -> BoxFuture<'static, Result<Token, ExchangeError>> + Send + 'static {
        let (target, means, behalf) = (self.target.clone(), self.means.clone(), behalf.clone());
        move || Box::pin(exchange(target, means, behalf, request))
    }
}

async fn exchange(
    target: Arc<CallerTarget>,
    means: Means,
    behalf: OnBehalf,
    request_id: RequestId,
) -> Result<Token, ExchangeError> {
    let now = means.clock.now();
    let principal = behalf.principal().clone();
    let asked = (target.scopes(&[])?, target.settings().ttl);
    let request = target.request(&principal, asked, request_id, now)?;
    let deadline = means.clock.elapsed().saturating_add(EXCHANGE);
    // A target may need a credential itself, which may be of callers too: of the same one.
    let context = CallContext { request_id, deadline, on_behalf: Some(behalf) };
    let generation = target.seat().generation()?;
    let given = Box::pin(generation.exchange(&context, &request)).await?;
    Token::new(given, Some(principal), now)
}

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> SourceError {
    SourceError::CallerRefused(Arc::new(error))
}

/// What is refused to one caller is no fault of the backend's.
fn of_caller(error: SourceError) -> SourceError {
    if is_of_caller(&error) { refused(error) } else { error }
}

impl CredentialSource for CallerSource {
    fn credential<'a>(
        &'a self,
        context: &'a CallContext,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Arc<Credential>, SourceError>> {
        Box::pin(self.current(context, deadline))
    }

    fn invalidate(
        &self,
        context: &CallContext,
        used: &Arc<Credential>,
        status: StatusCode,
    ) -> bool {
        let key = context.on_behalf.as_ref().and_then(|behalf| self.key(behalf).ok());
        let keeper = key.and_then(|key| self.keepers.get(&key));
        // What is not kept any more is not used again.
        keeper.is_none_or(|keeper| keeper.complain(used, status))
    }

    fn is_of_callers(&self) -> bool {
        true
    }
}

impl Follower for CallerSource {
    fn barred(&self) {
        for (key, keeper) in &self.keepers {
            if keeper.is_barred() {
                keeper.forget();
                self.keepers.invalidate(&*key);
            }
        }
    }
}
