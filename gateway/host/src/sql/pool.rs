//! Connections of one backend to one server.
//!
//! A small pool of our own instead of a library's: it is bounded over all databases of the server,
//! lets go of connections whose login was replaced, and knows of each connection whether it is in a
//! state in which another call may have it.
//!
//! INVARIANT: a connection goes back only from a statement or transaction that came to its end.
//! Whatever else becomes of a call (an error of the connection, a deadline, a dropped future), its
//! connection is closed. Before it serves again it is emptied (`DISCARD ALL`), which also shows
//! that it still works, so that nothing of one call is there for the next and no statement is sent
//! into a connection that died long ago.
//!
//! INVARIANT: at most as many connections as configured, idle ones included.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use symbolon_core::secret::Secret;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Client;

use super::connect::{Connector, Meter, Opened, ServerSettings};
use super::error::SqlError;
use super::login::{Login, LoginSource};
use crate::egress::Network;

/// Bytes that a server may send in answer to one statement, framing included.
const ANSWER_BYTES: u64 = 8 << 20;
/// How long emptying an idle connection may take before another is made.
const CLEANING: Duration = Duration::from_secs(1);
/// Logins tried at a time, beside the pool: proofs must not wait for what they prove.
const PROBES: usize = 8;

/// The bounds of one pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Connections at a time, idle ones included.
    pub connections: usize,
    /// How long a call waits for one.
    pub patience: Duration,
    /// How long a connection may take, from the name to the end of the login.
    pub connect: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// How long any connection is kept, so that a server that moved is found again.
    pub lifetime: Duration,
}

/// 8 connections, 1 s for a turn, 3 s to connect, 1 min idle, 30 min in all.
impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            connections: 8,
            patience: Duration::from_secs(1),
            connect: Duration::from_secs(3),
            idle: Duration::from_secs(60),
            lifetime: Duration::from_secs(30 * 60),
        }
    }
}

/// Connections of one backend to one server.
pub struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    connector: Connector,
    login: Arc<dyn LoginSource>,
    limits: PoolLimits,
    places: Arc<Semaphore>,
    probes: Semaphore,
    /// The least lately used first.
    idle: Mutex<Vec<Link>>,
    tasks: Mutex<JoinSet<()>>,
}

/// An open connection.
pub(super) struct Link {
    client: Client,
    meter: Arc<Meter>,
    driver: AbortHandle,
    database: String,
    generation: u64,
    opened: Instant,
    returned: Instant,
}

impl Pool {
    /// A pool without connections yet.
    ///
    /// # Errors
    /// [`SqlError`] if the settings cannot be used.
    pub fn new(
        settings: ServerSettings,
        network: Network,
        login: Arc<dyn LoginSource>,
        limits: PoolLimits,
    ) -> Result<Self, SqlError> {
        let inner = Inner {
            connector: Connector::new(settings, network)?,
            login,
            limits,
            places: Arc::new(Semaphore::new(limits.connections)),
            probes: Semaphore::new(PROBES),
            idle: Mutex::default(),
            tasks: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A connection to `database`, for one call. Dropping it without [`Held::give_back`] closes it.
    pub(super) async fn checkout(
        &self,
        database: Option<&str>,
        deadline: Instant,
    ) -> Result<Held, SqlError> {
        let inner = &self.inner;
        let database = database.unwrap_or(inner.connector.database());
        let place = inner.place(deadline).await?;
        let current = inner.candidates()?;
        while let Some(link) = inner.take_idle(database, &current) {
            let mut held = Held { link: Some(link), inner: Arc::clone(inner), place: None };
            if held.clean(deadline).await {
                held.place = Some(place);
                return Ok(held);
            }
        }
        let link = inner.open(database, current, deadline).await?;
        Ok(Held { link: Some(link), inner: Arc::clone(inner), place: Some(place) })
    }

    /// Whether `user` can log in with `password`: `false` only where the server refused it for what
    /// it is (see [`super::ServerError::proves_dead_login`]).
    ///
    /// # Errors
    /// [`SqlError`] if nothing is proven either way.
    pub async fn probe_login(
        &self,
        user: &str,
        password: &Secret,
        deadline: Instant,
    ) -> Result<bool, SqlError> {
        match Box::pin(self.try_login(user, password, deadline)).await {
            Ok(()) => Ok(true),
            Err(SqlError::Answered(error)) if error.proves_dead_login() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the server refuses `user` with `password` for what it is. One that is taken and stopped
    /// later (the database has no place, say) is not refused: it can still be of use elsewhere.
    ///
    /// # Errors
    /// [`SqlError`] if nothing is proven either way: also where a rule of `pg_hba.conf` refuses
    /// everybody who comes from here.
    pub async fn refuses_login(
        &self,
        user: &str,
        password: &Secret,
        deadline: Instant,
    ) -> Result<bool, SqlError> {
        match Box::pin(self.try_login(user, password, deadline)).await {
            Ok(()) | Err(SqlError::Settings) => Ok(false),
            Err(SqlError::Answered(error)) if error.proves_dead_login() => Ok(true),
            Err(SqlError::Answered(error)) if error.follows_login() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// One connection under this login, closed as soon as it is open.
    async fn try_login(
        &self,
        user: &str,
        password: &Secret,
        deadline: Instant,
    ) -> Result<(), SqlError> {
        let inner = &self.inner;
        let acquire = timeout_at(deadline, inner.probes.acquire()).await;
        let _place = acquire.ok().and_then(Result::ok).ok_or(SqlError::Busy)?;
        let deadline = deadline.min(Instant::now() + inner.limits.connect);
        let login =
            Login { user: user.to_owned(), password: password.clone(), generation: u64::MAX };
        let database = inner.connector.database();
        Box::pin(inner.connector.open(&login, database, deadline)).await.map(drop)
    }

    /// Closes what is idle: after a login was replaced, say.
    pub fn close_idle(&self) {
        self.inner.idle().clear();
    }

    /// As whom it logs in.
    #[must_use]
    pub fn user(&self) -> String {
        self.inner.login.candidates().first().map_or_else(String::new, |login| login.user.clone())
    }

    /// Host and port of the server.
    #[must_use]
    pub fn server(&self) -> String {
        self.inner.connector.server()
    }

    /// Connections that are open and idle.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.inner.idle().len()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("connector", &self.inner.connector)
            .field("limits", &self.inner.limits)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn idle(&self) -> MutexGuard<'_, Vec<Link>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn place(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, SqlError> {
        let until = deadline.min(Instant::now() + self.limits.patience);
        let acquire = Arc::clone(&self.places).acquire_owned();
        let place = timeout_at(until, acquire).await;
        place.ok().and_then(Result::ok).ok_or(SqlError::Busy)
    }

    fn candidates(&self) -> Result<Vec<Login>, SqlError> {
        let candidates = self.login.candidates();
        if candidates.is_empty() { Err(SqlError::Host("no login")) } else { Ok(candidates) }
    }

    /// The most lately used connection to `database` under a login that is still one.
    fn take_idle(&self, database: &str, current: &[Login]) -> Option<Link> {
        let mut idle = self.idle();
        let is_current =
            |link: &Link| current.iter().any(|login| login.generation == link.generation);
        idle.retain(|link| is_current(link) && link.opened.elapsed() < self.limits.lifetime);
        let found = idle.iter().rposition(|link| link.database == database)?;
        Some(idle.remove(found))
    }

    /// Opens a connection, in the place of the longest idle one if there would be too many.
    async fn open(
        self: &Arc<Self>,
        database: &str,
        candidates: Vec<Login>,
        deadline: Instant,
    ) -> Result<Link, SqlError> {
        self.make_room();
        let until = deadline.min(Instant::now() + self.limits.connect);
        let mut refused = SqlError::Deadline;
        for login in candidates {
            match Box::pin(self.connector.open(&login, database, until)).await {
                Ok(opened) => {
                    self.login.proven(login.generation);
                    return Ok(self.drive(opened, database, login.generation));
                }
                Err(SqlError::Answered(error)) if error.refuses_login() => {
                    // What was opened under it would be refused as well.
                    self.idle().retain(|link| link.generation != login.generation);
                    refused = error.into();
                }
                Err(error) => return Err(error),
            }
        }
        Err(refused)
    }

    fn make_room(&self) {
        let in_use = self.limits.connections.saturating_sub(self.places.available_permits());
        let mut idle = self.idle();
        while idle.len() > self.limits.connections.saturating_sub(in_use) && !idle.is_empty() {
            idle.remove(0);
        }
    }

    /// Lets a task of the pool's own move the connection's bytes. It ends with the connection's
    /// client, with its lifetime, or with the pool.
    fn drive(self: &Arc<Self>, opened: Opened, database: &str, generation: u64) -> Link {
        let Opened { client, mut driver, meter } = opened;
        let (now, longest) = (Instant::now(), self.limits.lifetime.saturating_mul(2));
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        if tasks.is_empty() {
            tasks.spawn(sweep(Arc::downgrade(self), self.limits.idle));
        }
        let driver = tasks.spawn(async move {
            // Notices and notifications are for nobody.
            let run =
                async { while let Some(Ok(_)) = poll_fn(|cx| driver.poll_message(cx)).await {} };
            let _ = timeout_at(now + longest, run).await;
        });
        let database = database.to_owned();
        Link { client, meter, driver, database, generation, opened: now, returned: now }
    }
}

/// Closes what is idle for too long.
async fn sweep(pool: Weak<Inner>, longest: Duration) {
    let mut ticks = tokio::time::interval((longest / 4).max(Duration::from_millis(10)));
    loop {
        ticks.tick().await;
        let Some(pool) = pool.upgrade() else { return };
        pool.idle().retain(|link| link.returned.elapsed() < longest);
    }
}

/// A connection in use by one call. Closed when dropped, unless it is given back.
pub(super) struct Held {
    link: Option<Link>,
    inner: Arc<Inner>,
    place: Option<OwnedSemaphorePermit>,
}

impl Held {
    /// The connection, and the meter of what it may still receive.
    pub(super) fn parts(&self) -> Result<(&Client, &Meter), SqlError> {
        let link = self.link.as_ref().ok_or(SqlError::Lost)?;
        Ok((&link.client, &link.meter))
    }

    /// Lets the server answer the next statement.
    pub(super) fn allow(&self) {
        if let Some(link) = &self.link {
            link.meter.allow(ANSWER_BYTES);
        }
    }

    /// Whether it works and has nothing of another call's.
    async fn clean(&self, deadline: Instant) -> bool {
        let Ok((client, _)) = self.parts() else { return false };
        self.allow();
        let until = deadline.min(Instant::now() + CLEANING);
        matches!(timeout_at(until, client.batch_execute("DISCARD ALL")).await, Ok(Ok(())))
    }

    /// Gives the connection to whoever comes next.
    pub(super) fn give_back(mut self) {
        if let Some(mut link) = self.link.take().filter(|link| !link.client.is_closed()) {
            link.returned = Instant::now();
            self.inner.idle().push(link);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(link) = self.link.take() {
            link.driver.abort();
        }
        // Only now is there room for another.
        drop(self.place.take());
    }
}
