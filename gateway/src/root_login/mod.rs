//! The login of a database that the gateway changed and nobody else knows.
//!
//! A backend with a database begins with the login of its configuration, which people have seen.
//! `symbolon backend rotate-root` gives it a new password that is kept in the sealed tree and
//! nowhere else. Written ahead, in this order:
//!
//! ```text
//! pending (durable) → the plugin sets it, by a verifier → proof by login → current (durable)
//! ```
//!
//! The plugin knows the statement (`rotate` of the contract) and sees neither password nor verifier;
//! what it says of the outcome is believed only as far as a login shows it.
//!
//! INVARIANT: at every moment a login that works is either written down or configured. While one is
//! pending, both are tried, the pending one first; a pending password is never replaced by another
//! (a change whose answer was lost may land late), it is set again.
//!
//! INVARIANT: what was rotated belongs to one account (user and server). A backend whose
//! configuration names another begins with the configured password again.
//!
//! What is kept is not deleted with its backend's block: a block that was commented out for an hour
//! must not lock the gateway out of its database.

mod record;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use symbolon_core::error::Kind;
use symbolon_core::id::BackendName;
use symbolon_core::secret::Secret;
use symbolon_host::manifest::Interface;
use symbolon_host::sql::{self, Login, LoginSource, Pool, SqlError};
use symbolon_host::{CallContext, CallError, Generation};
use tokio::time::Instant;

use self::record::{Kept, PREFIX, generation};
use crate::kill::{self, Point};
use crate::seal::{KeptError, KeptSecrets, Seal, SealError};
use crate::store::{Store, StoreError};

/// How long the proof may take.
const STEP: Duration = Duration::from_secs(10);
/// How long the start waits to learn which of two logins works.
const SETTLING: Duration = Duration::from_secs(3);

/// Why a login was not replaced. The one that worked before still does, or the new one does: see the
/// invariants of the module.
#[derive(Debug, thiserror::Error)]
pub enum RootLoginError {
    /// The store does not answer.
    #[error("the new login cannot be written down")]
    Store(#[from] StoreError),
    /// The seal does not seal, or what was kept does not open.
    #[error("the kept login cannot be sealed or opened")]
    Seal(#[from] SealError),
    /// No randomness for a password.
    #[error("no password can be made")]
    Randomness(#[from] sql::NoRandomness),
    /// The server did not change the password, or did not say so.
    #[error("the database did not take the new login")]
    Unchanged(#[source] CallError),
    /// The backend has no database, or none whose login could be replaced.
    #[error("the backend has no database whose login could be replaced")]
    NotRotatable,
    /// The server said that it changed the password, and does not let the new one in.
    #[error("the database says that it took the new login and refuses it")]
    NotInForce,
    /// The new login could not be tried.
    #[error("the new login could not be proven; run it again")]
    Unproven(#[source] SqlError),
}

impl From<KeptError> for RootLoginError {
    fn from(error: KeptError) -> Self {
        match error {
            KeptError::Store(cause) => Self::Store(cause),
            KeptError::Seal(cause) => Self::Seal(cause),
        }
    }
}

impl RootLoginError {
    /// What the operator's request is told.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Store(cause) => cause.kind(),
            Self::Seal(cause) => cause.kind(),
            Self::Randomness(_) => Kind::Internal,
            Self::Unchanged(cause) => cause.kind(),
            Self::Unproven(cause) => cause.kind(),
            Self::NotRotatable => Kind::Malformed,
            Self::NotInForce => Kind::Provider,
        }
    }

    /// The code in audit records.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Store(cause) => cause.code(),
            Self::Seal(cause) => cause.code(),
            Self::Randomness(_) => "root_login_randomness",
            Self::Unchanged(_) => "root_login_unchanged",
            Self::NotRotatable => "not_rotatable",
            Self::NotInForce => "root_login_not_in_force",
            Self::Unproven(_) => "root_login_unproven",
        }
    }
}

/// Whose login it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: String,
    /// Host and port of the server.
    pub server: String,
}

impl Account {
    /// The account under which `pool` logs in.
    #[must_use]
    pub fn of(pool: &Pool) -> Self {
        Self { user: pool.user(), server: pool.server() }
    }
}

/// The logins of all backends that were rotated.
pub struct RootLogins {
    kept: KeptSecrets,
    entries: Mutex<BTreeMap<BackendName, Arc<Entry>>>,
}

/// What is kept for one backend.
#[derive(Debug, Default)]
struct Entry {
    /// Held by whoever changes it, until the change is durable.
    turn: tokio::sync::Mutex<()>,
    kept: Mutex<Option<Kept>>,
}

impl Entry {
    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept for `account`, if it is for that one.
    fn of(&self, account: &Account) -> Option<Kept> {
        self.kept().clone().filter(|kept| kept.account == *account)
    }
}

impl RootLogins {
    /// Reads what is kept, and wraps again what lies under a former key of the seal. What does not
    /// open is named and left alone: its backend falls back to the configured login, the rest serves.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read or written.
    pub async fn open(store: Arc<dyn Store>, seal: Arc<Seal>) -> Result<Self, StoreError> {
        let kept = KeptSecrets::new(store, seal);
        let mut entries = BTreeMap::new();
        for (name, opened) in kept.open_all(PREFIX).await? {
            let Some(backend) = record::backend(&name) else { continue };
            match opened {
                Ok(secret) => {
                    let kept = Mutex::new(Kept::decode(&secret));
                    entries.insert(backend, Arc::new(Entry { kept, ..Entry::default() }));
                }
                Err(error) => {
                    tracing::error!(%backend, %error, "the kept login of the database does not open");
                }
            }
        }
        Ok(Self { kept, entries: Mutex::new(entries) })
    }

    fn entry(&self, backend: &BackendName) -> Arc<Entry> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(entries.entry(backend.clone()).or_default())
    }

    /// The login of `backend` for its pool: the rotated one where there is one for this account, or
    /// else the configured one, which may be gone by then.
    #[must_use]
    pub fn source(
        &self,
        backend: &BackendName,
        account: Account,
        configured: Option<Secret>,
    ) -> Arc<dyn LoginSource> {
        Arc::new(RootLogin { entry: self.entry(backend), account, configured })
    }

    /// Whether `account` of `backend` was rotated, so that it needs no configured password.
    #[must_use]
    pub fn has(&self, backend: &BackendName, account: &Account) -> bool {
        self.entry(backend).of(account).is_some_and(|kept| kept.current.is_some())
    }

    /// Whether a rotation of `backend` was begun and not ended.
    #[must_use]
    pub fn is_pending(&self, backend: &BackendName) -> bool {
        self.entry(backend).kept().as_ref().is_some_and(|kept| kept.pending.is_some())
    }

    /// After a start: makes a pending login the current one if the server lets it in. Otherwise both
    /// stay, and are tried by turns.
    ///
    /// # Errors
    /// [`RootLoginError`] if it works and cannot be written down as current.
    pub async fn settle(&self, backend: &BackendName, pool: &Pool) -> Result<(), RootLoginError> {
        let entry = self.entry(backend);
        let _turn = entry.turn.lock().await;
        let account = Account::of(pool);
        let Some(pending) = entry.of(&account).and_then(|kept| kept.pending) else { return Ok(()) };
        let deadline = Instant::now() + SETTLING;
        match Box::pin(pool.probe_login(&account.user, &pending, deadline)).await {
            Ok(true) => self.keep(backend, &entry, Kept::current(account, pending)).await,
            Ok(false) | Err(_) => Ok(()),
        }
    }

    /// Gives the login of `backend`, which `generation` serves, a new password that nobody knows.
    /// May be repeated after any error, and after a crash.
    ///
    /// Not cancel-safe in the sense that the password may have changed; what works is written down
    /// at every moment.
    ///
    /// # Errors
    /// [`RootLoginError`]; the gateway can log in all the same.
    pub async fn rotate_root(
        &self,
        backend: &BackendName,
        generation: &Generation,
        context: &CallContext,
    ) -> Result<(), RootLoginError> {
        let pool = generation.database().filter(|_| generation.can(Interface::Rotate));
        let pool = pool.ok_or(RootLoginError::NotRotatable)?;
        let entry = self.entry(backend);
        let _turn = entry.turn.lock().await;
        let account = Account::of(pool);
        let former = entry.of(&account);
        let begun = former.as_ref().and_then(|kept| kept.pending.clone());
        let is_new = begun.is_none();
        let pending = begun.map_or_else(sql::password, Ok)?;
        let current = former.and_then(|kept| kept.current);
        let account_now = account.clone();
        let ahead = Kept { account, current: current.clone(), pending: Some(pending.clone()) };
        kill::reach(Point::BeforePending);
        self.keep(backend, &entry, ahead).await?;
        kill::reach(Point::AfterPending);
        match Box::pin(change((generation, pool), context, &pending)).await {
            Ok(()) => {}
            Err(Attempt { error, is_untouched: true }) if is_new => {
                // The server never got it, so that nothing can land late.
                let kept = Kept { account: account_now, current, pending: None };
                self.keep(backend, &entry, kept).await?;
                return Err(error);
            }
            Err(Attempt { error, .. }) => return Err(error),
        }
        self.keep(backend, &entry, Kept::current(account_now, pending)).await?;
        kill::reach(Point::AfterCurrent);
        pool.close_idle();
        Ok(())
    }

    /// Writes down what is kept; in use as soon as it is durable.
    async fn keep(
        &self,
        backend: &BackendName,
        entry: &Entry,
        kept: Kept,
    ) -> Result<(), RootLoginError> {
        let name = record::name(backend);
        match kept.is_empty() {
            true => self.kept.remove(&name).await?,
            false => self.kept.keep(&name, &kept.encode()?).await?,
        }
        *entry.kept() = Some(kept);
        Ok(())
    }
}

impl fmt::Debug for RootLogins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootLogins").finish_non_exhaustive()
    }
}

/// A change that failed.
struct Attempt {
    error: RootLoginError,
    /// Whether the server certainly has the old password, and will keep it.
    is_untouched: bool,
}

/// Changes the password and proves it.
async fn change(
    (generation, pool): (&Generation, &Pool),
    context: &CallContext,
    password: &Secret,
) -> Result<(), Attempt> {
    let doubtful = |error: RootLoginError| Attempt { error, is_untouched: false };
    let changed = Box::pin(generation.rotate(context, password)).await;
    kill::reach(Point::AfterChanged);
    let deadline = Instant::now() + STEP;
    let proven = Box::pin(pool.probe_login(&pool.user(), password, deadline)).await;
    kill::reach(Point::AfterProven);
    match (changed, proven) {
        (_, Ok(true)) => Ok(()),
        (Err(error), _) => {
            let is_untouched = !error.may_have_acted();
            Err(Attempt { error: RootLoginError::Unchanged(error), is_untouched })
        }
        (Ok(()), Ok(false)) => Err(doubtful(RootLoginError::NotInForce)),
        (Ok(()), Err(error)) => Err(doubtful(RootLoginError::Unproven(error))),
    }
}

/// The login of one backend, as its pool asks for it.
#[derive(Debug)]
struct RootLogin {
    entry: Arc<Entry>,
    account: Account,
    configured: Option<Secret>,
}

impl LoginSource for RootLogin {
    /// Pending, current, configured. The configured one stays at the end for the operator who has
    /// set the password by hand: it is refused as long as another one is in force.
    fn candidates(&self) -> Vec<Login> {
        let kept = self.entry.of(&self.account);
        let (pending, current) = kept.map_or((None, None), |kept| (kept.pending, kept.current));
        let login = |password: Secret| Login {
            user: self.account.user.clone(),
            generation: generation(&password),
            password,
        };
        [pending, current, self.configured.clone()].into_iter().flatten().map(login).collect()
    }
}
