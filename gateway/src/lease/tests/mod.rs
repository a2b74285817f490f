//! The ledger and the reaper against a backend and a store that do anything at the worst moment.
//! Time is injected, and every step is driven: nothing here waits for a clock.

mod clock;
mod damage;
mod disk;
mod orders;
mod outage;
mod pages;
mod property;
mod protocol;
mod quota;
mod reaper;
mod restore;
mod share;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use symbolon_core::clock::{Clock, ManualClock, Timestamp};
use symbolon_core::id::{BackendName, IssuerAlias, LeaseId, PluginName, RoleName};
use symbolon_core::lease::index::{self, Quota};
use symbolon_core::lease::{
    Cause, Evidence, Issued, Lease, Maker, Order, Phase, Proof, Recovery, Revoked, Scope,
    SealedHandle, Share, Terms,
};
use symbolon_core::principal::Identity;
use tempfile::TempDir;

use super::write::{Stored, namespace, quota, state};
use super::*;
use crate::store::memory::{Disk, Fault, Memory};
use crate::store::{Key, Namespace, Options, SledStore, Span, Store, count_of, read_all};
use crate::time::Ids;

const START: Timestamp = Timestamp::from_seconds(1_793_520_000);
const ISSUE_WITHIN: Duration = Duration::from_secs(30);
const TTL: Duration = Duration::from_mins(10);
const CEILING: Duration = Duration::from_mins(60);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// How a backend is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Mood {
    #[default]
    Up,
    /// It does not answer.
    Down,
    /// It has no place free.
    Busy,
    /// It answers, and ends nothing.
    Refuses,
    /// It ends what it is asked to, and its answer is lost.
    AnswerLost,
}

/// The backends: what is usable in them, and every call in its order.
#[derive(Debug)]
struct Database {
    clock: Arc<ManualClock>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    usable: BTreeSet<LeaseId>,
    landing: Vec<(Duration, LeaseId)>,
    moods: BTreeMap<BackendName, Mood>,
    /// Leases of which the backend never ends the revocation in time.
    stuck: BTreeSet<LeaseId>,
    /// Leases whose ending panics, once.
    cursed: BTreeSet<LeaseId>,
    calls: Vec<(BackendName, LeaseId, bool)>,
    running: usize,
    most_running: usize,
    over: Vec<(LeaseId, Proof)>,
}

impl Database {
    fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.inner.lock().unwrap();
        let now = self.clock.elapsed();
        for (_, lease) in inner.landing.extract_if(.., |(at, _)| *at <= now).collect::<Vec<_>>() {
            inner.usable.insert(lease);
        }
        look(&mut inner)
    }

    fn create(&self, lease: LeaseId) {
        self.with(|inner| inner.usable.insert(lease));
    }

    /// A create that is under way, and lands after `pause`.
    fn lands(&self, lease: LeaseId, pause: Duration) {
        let at = self.clock.elapsed() + pause;
        self.with(|inner| inner.landing.push((at, lease)));
    }

    fn is_usable(&self, lease: LeaseId) -> bool {
        self.with(|inner| inner.usable.contains(&lease))
    }

    fn feel(&self, backend: &str, mood: Mood) {
        self.with(|inner| inner.moods.insert(BackendName::parse(backend).unwrap(), mood));
    }

    fn calls(&self) -> usize {
        self.with(|inner| inner.calls.len())
    }

    fn calls_for(&self, lease: LeaseId) -> usize {
        self.with(|inner| inner.calls.iter().filter(|(_, called, _)| *called == lease).count())
    }

    fn answer(&self, terms: &Terms, has_handle: bool) -> Result<Ended, EndError> {
        let cursed = self.with(|inner| {
            inner.calls.push((terms.backend.clone(), terms.id, has_handle));
            inner.cursed.remove(&terms.id)
        });
        assert!(!cursed, "the ending panics");
        self.with(|inner| match inner.moods.get(&terms.backend).copied().unwrap_or_default() {
            _ if inner.stuck.contains(&terms.id) => Err(EndError::Down("timeout")),
            Mood::Down => Err(EndError::Down("unavailable")),
            Mood::Busy => Err(EndError::Busy),
            Mood::Refuses => Err(EndError::Refused("refused")),
            Mood::Up => {
                inner.usable.remove(&terms.id);
                Ok(Ended { evidence: Evidence::Verified })
            }
            Mood::AnswerLost => {
                inner.usable.remove(&terms.id);
                Err(EndError::Down("lost"))
            }
        })
    }
}

impl Ends for Database {
    fn end<'a>(&'a self, ending: Ending<'a>) -> BoxFuture<'a, Result<Ended, EndError>> {
        Box::pin(async move {
            self.with(|inner| {
                inner.running += 1;
                inner.most_running = inner.most_running.max(inner.running);
            });
            tokio::task::yield_now().await;
            self.with(|inner| inner.running -= 1);
            self.answer(ending.terms, ending.handle.is_some())
        })
    }
}

impl Watch for Database {
    fn ended(&self, lease: &Revoked) {
        self.with(|inner| inner.over.push((lease.terms().id, lease.proof())));
    }

    fn attempted(&self, _: &BackendName, _: &'static str) {}
}

/// Where the ledger is kept.
#[derive(Debug)]
enum Shelf {
    Memory(Arc<Disk>),
    Sled(TempDir),
}

/// What a test asks for.
#[derive(Clone, Debug)]
struct Wish {
    backend: &'static str,
    role: &'static str,
    subject: String,
    token: u8,
    recovery: Recovery,
    limits: Limits,
}

fn wish() -> Wish {
    Wish {
        backend: "db",
        role: "reader",
        subject: "alice".to_owned(),
        token: 1,
        recovery: Recovery::Named,
        limits: Limits::default(),
    }
}

/// A process with a ledger and a reaper, and a world around it that outlives it.
struct World {
    shelf: Shelf,
    clock: Arc<ManualClock>,
    database: Arc<Database>,
    store: Arc<dyn Store>,
    memory: Option<Arc<Memory>>,
    ledger: Arc<Ledger>,
    reaper: Arc<Reaper>,
}

impl World {
    async fn new() -> Self {
        Self::on(Shelf::Memory(Arc::default())).await
    }

    async fn on_disk() -> Self {
        Self::on(Shelf::Sled(TempDir::new().unwrap())).await
    }

    async fn on(shelf: Shelf) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let inner = Mutex::default();
        let database = Arc::new(Database { clock: Arc::clone(&clock), inner });
        Self::begin(shelf, clock, database, None).await
    }

    async fn begin(
        shelf: Shelf,
        clock: Arc<ManualClock>,
        database: Arc<Database>,
        hold: Option<Hold>,
    ) -> Self {
        let (store, memory): (Arc<dyn Store>, _) = match &shelf {
            Shelf::Memory(disk) => {
                let memory = Memory::over(disk);
                (Arc::clone(&memory) as Arc<dyn Store>, Some(memory))
            }
            Shelf::Sled(directory) => (Arc::new(sled_at(directory, &clock)), None),
        };
        let parts = Parts {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            ids: Arc::new(Ids::default()),
            watch: Arc::clone(&database) as Arc<dyn Watch>,
        };
        let hold = hold.unwrap_or_else(Hold::none);
        let ledger = Arc::new(Ledger::open(parts, hold).await.unwrap());
        let reaper = Reaper::new(Arc::clone(&ledger), Arc::clone(&database) as Arc<dyn Ends>);
        Self { shelf, clock, database, store, memory, ledger, reaper }
    }

    /// The process dies, in memory at this very moment, and is started again.
    async fn restart(self) -> Self {
        match &self.memory {
            Some(memory) => memory.die(),
            None => self.reaper.settle().await,
        }
        let Self { shelf, clock, database, store, ledger, reaper, .. } = self;
        drop((store, ledger, reaper));
        Self::begin(shelf, clock, database, None).await
    }

    fn memory(&self) -> &Memory {
        self.memory.as_deref().unwrap()
    }

    fn now(&self) -> Timestamp {
        self.ledger.now()
    }

    async fn try_reserve(&self, wish: &Wish) -> Result<Reservation, LedgerError> {
        let make = |now| terms(self.ledger.ids.lease(now), now, wish);
        self.ledger.reserve_with(make, TTL, wish.limits).await
    }

    async fn reserve(&self, wish: &Wish) -> Reservation {
        self.try_reserve(wish).await.unwrap()
    }

    /// Reserved, created at the backend, and active.
    async fn issue(&self, wish: &Wish) -> LeaseId {
        let reservation = self.reserve(wish).await;
        let id = reservation.id();
        self.database.create(id);
        self.ledger.activate(reservation, self.issued(TTL)).await.unwrap();
        id
    }

    async fn issue_many(&self, count: usize, wish: &Wish) -> Vec<LeaseId> {
        let mut ids = Vec::with_capacity(count);
        for _ in 0..count {
            ids.push(self.issue(wish).await);
        }
        ids
    }

    fn issued(&self, ttl: Duration) -> Issued {
        let handle = SealedHandle::from_wrapped(vec![7]);
        Issued { handle, expires_at: self.now().plus(ttl), renewable: true, revocable: true }
    }

    /// One sweep, and what it started.
    async fn sweep(&self) {
        self.reaper.sweep().await;
        self.reaper.settle().await;
    }

    /// Sweeps until nothing happens any more at this moment.
    async fn drain(&self) {
        let done = || (self.database.calls(), self.memory.as_ref().map(|memory| memory.commits()));
        loop {
            let before = done();
            self.sweep().await;
            self.sweep().await;
            if done() == before {
                return;
            }
        }
    }

    async fn state(&self, id: LeaseId) -> &'static str {
        self.ledger.find(id).await.unwrap().map_or("forgotten", |lease| lease.state)
    }

    async fn proof(&self, id: LeaseId) -> Option<Proof> {
        self.ledger.find(id).await.unwrap().and_then(|lease| lease.proof)
    }

    async fn count(&self, whose: Quota) -> u64 {
        count_of(self.store.get(&quota(&whose)).await.unwrap().as_deref()).unwrap()
    }

    async fn leases(&self) -> Vec<Lease> {
        let found = read_all(&*self.store, Span::all(Namespace::LeaseState)).await.unwrap();
        found.into_iter().map(|(_, bytes)| Stored::read(bytes).unwrap().lease).collect()
    }

    async fn keys(&self, namespace: Namespace) -> BTreeSet<Key> {
        let found = read_all(&*self.store, Span::all(namespace)).await.unwrap();
        found.into_iter().map(|(key, _)| key).collect()
    }

    /// What holds at any moment: nothing usable without a lease that is not over (but for what was
    /// forced), the indexes name what is there, the counts count it.
    async fn check(&self, forced: &BTreeSet<LeaseId>) {
        let leases = self.leases().await;
        let live: BTreeSet<_> =
            leases.iter().filter(|l| l.is_live()).map(|l| l.terms().id).collect();
        for id in self.database.with(|inner| inner.usable.clone()) {
            assert!(live.contains(&id) || forced.contains(&id), "{id} is usable and has no lease");
        }
        self.check_shared(&leases).await;
        let mut entries = BTreeMap::<Namespace, BTreeSet<Key>>::new();
        let mut counts = BTreeMap::<Key, u64>::new();
        for lease in &leases {
            for (place, tail) in index::entries(lease) {
                entries.entry(namespace(place)).or_default().insert(namespace(place).key(tail));
            }
            let own = Quota::of(lease.terms()).into_iter().filter(|_| lease.is_live());
            for whose in own.chain([Quota::State(lease.phase().as_str())]) {
                *counts.entry(quota(&whose)).or_default() += 1;
            }
        }
        for place in INDEXES {
            assert_eq!(self.keys(place).await, entries.remove(&place).unwrap_or_default());
        }
        let counted = read_all(&*self.store, Span::all(Namespace::LeaseQuota)).await.unwrap();
        let counted: BTreeMap<_, _> = counted
            .into_iter()
            .map(|(key, value)| (key, count_of(Some(&value)).unwrap()))
            .collect();
        assert_eq!(counted, counts);
    }
}

const INDEXES: [Namespace; 5] = [
    Namespace::LeaseDue,
    Namespace::LeaseOwner,
    Namespace::LeaseBackend,
    Namespace::LeaseToken,
    Namespace::LeaseCarrier,
];

fn sled_at(directory: &TempDir, clock: &Arc<ManualClock>) -> SledStore {
    let path = directory.path().join("store");
    let options = Options { cache_capacity: 16 * 1024 * 1024, ..Options::at(path) };
    SledStore::open(&options, Arc::clone(clock) as Arc<dyn Clock>).unwrap()
}

/// `alice` of the issuer `ci`, or `other:alice` of another.
fn owner(subject: &str) -> Identity {
    let (issuer, subject) = subject.split_once(':').unwrap_or(("ci", subject));
    Identity { issuer: IssuerAlias::parse(issuer).unwrap(), subject: subject.to_owned() }
}

fn backend(name: &str) -> BackendName {
    BackendName::parse(name).unwrap()
}

fn role(name: &str) -> RoleName {
    RoleName::parse(name).unwrap()
}

fn terms(id: LeaseId, now: Timestamp, wish: &Wish) -> Terms {
    Terms {
        id,
        owner: owner(&wish.subject),
        backend: backend(wish.backend),
        role: role(wish.role),
        maker: Maker {
            plugin: PluginName::parse("postgresql").unwrap(),
            version: "0.1.0".to_owned(),
            digest: String::new(),
        },
        recovery: wish.recovery,
        token: [wish.token; 32],
        share: Share::Alone,
        reserved_at: now,
        issue_by: now.plus(ISSUE_WITHIN),
        ends_by: now.plus(CEILING),
    }
}

/// Lets everything that can go on go on.
async fn let_others_run() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}
