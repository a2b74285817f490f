//! Durable entries a second, beside the same bytes appended and flushed in the same groups.

use std::net::IpAddr;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use symbolon::audit::{AnchorError, Anchors, Journal, Parts, Settings};
use symbolon::store::{Namespace, Options, SledStore, Store as _, Transaction};
use symbolon::time::{Ids, SystemClock};
use symbolon_core::ask::Ask;
use symbolon_core::audit::{
    Anchor, AuditKey, Conclusion, Dialect, KeyedHash, Line, Opening, Outcome,
};
use symbolon_core::clock::Clock;
use symbolon_core::id::{BackendName, IssuerAlias};
use symbolon_core::path::SecretPath;
use symbolon_core::principal::Identity;
use symbolon_core::secret::Secret;
use tokio::task::JoinSet;

use crate::load;
use crate::report::{Report, Row, Unit, median};

const WAITERS: u32 = 256;
const ENTRIES: u32 = 100;
const ROUNDS: usize = 7;

pub(crate) fn run(report: &mut Report) {
    let stored = |home: &Path, clock: &Arc<dyn Clock>| -> Arc<dyn Anchors> {
        let options = Options { cache_capacity: 16 << 20, ..Options::at(home.join("store")) };
        let store = SledStore::open(&options, clock.clone());
        Arc::new(InStore(store.expect("a store")))
    };
    measure(report, "anchored in the store", Some(0.5), &stored);
    measure(report, "not anchored", None, &|_, _| Arc::new(Nowhere));
}

type MakeAnchors<'a> = &'a dyn Fn(&Path, &Arc<dyn Clock>) -> Arc<dyn Anchors>;

fn measure(report: &mut Report, how: &str, aim: Option<f64>, anchors: MakeAnchors<'_>) {
    let mut rates = (Vec::new(), Vec::new());
    let entries = f64::from(WAITERS * ENTRIES);
    for _ in 0..ROUNDS {
        let home = load::directory();
        let took = write(home.path(), anchors);
        rates.0.push(entries / took.as_secs_f64());
        let took = replay(&home.path().join("audit.jsonl"), home.path());
        rates.1.push(entries / took.as_secs_f64());
    }
    report.add(&Row {
        bench: "audit",
        case: format!("{WAITERS} waiters, {how}"),
        unit: Unit::PerSecond("entries/s"),
        value: median(rates.0),
        floor: median(rates.1),
        aim,
    });
}

/// As the gateway anchors: in its store, which flushes while the next group is written.
struct InStore(SledStore);

impl Anchors for InStore {
    fn commit(
        &self,
        anchor: Anchor,
    ) -> Pin<Box<dyn Future<Output = Result<(), AnchorError>> + Send + '_>> {
        Box::pin(async move {
            let key = Namespace::Audit.key("journal");
            let write = Transaction::new().put(key, anchor.to_bytes().to_vec());
            self.0.commit(write).await.map_err(|error| AnchorError(Box::new(error)))
        })
    }
}

/// What the log costs without its anchors.
struct Nowhere;

impl Anchors for Nowhere {
    fn commit(
        &self,
        _: Anchor,
    ) -> Pin<Box<dyn Future<Output = Result<(), AnchorError>> + Send + '_>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// What every request of the bench says of itself.
struct Asked {
    identity: Identity,
    ask: Ask,
    token: KeyedHash,
    ids: Ids,
}

impl Asked {
    fn new() -> Self {
        let key = AuditKey::new("k1", &Secret::from(String::from("key"))).expect("a key");
        let identity = Identity {
            issuer: IssuerAlias::parse("github").expect("an alias"),
            subject: String::from("repo:acme/app:ref:refs/heads/main"),
        };
        let path = SecretPath::parse("prod/db/password").expect("a path");
        let ask = Ask::read(BackendName::parse("kv").expect("a name"), path, None);
        Self { identity, ask, token: key.hash_value(b"token"), ids: Ids::default() }
    }

    async fn entry(&self, journal: &Journal, clock: &dyn Clock) {
        let opening = Opening {
            actors: &[],
            request: self.ids.request(clock.now()),
            identity: &self.identity,
            ask: &self.ask,
            source: Some(IpAddr::from([192, 0, 2, 7])),
            token: &self.token,
            dialect: Dialect::Native,
            marked: &[],
        };
        let entry = journal.open(&opening).expect("an entry");
        let done = Conclusion::bare(Outcome::Allow, "ok");
        let _receipt = journal.close(entry, &done).await.expect("a receipt");
    }
}

fn write(home: &Path, anchors: MakeAnchors<'_>) -> Duration {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let settings =
            Settings { reserve_bytes: 1 << 16, ..Settings::in_directory(home.to_owned()) };
        let anchors = anchors(home, &clock);
        let parts = Parts { clock: clock.clone(), anchors, anchor: None };
        let (journal, _) = Journal::start(&settings, parts).expect("a journal");
        let shared = Arc::new((journal, Asked::new()));
        let begun = clock.elapsed();
        let mut tasks = JoinSet::new();
        for _ in 0..WAITERS {
            let (shared, clock) = (shared.clone(), clock.clone());
            tasks.spawn(async move {
                for _ in 0..ENTRIES {
                    shared.1.entry(&shared.0, &*clock).await;
                }
            });
        }
        tasks.join_all().await;
        clock.elapsed().saturating_sub(begun)
    })
}

fn replay(log: &Path, home: &Path) -> Duration {
    let bytes = std::fs::read(log).expect("the log");
    let mut groups: Vec<(u64, Vec<u8>)> = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let group = Line::parse(&line[..line.len() - 1]).expect("a line").group;
        match groups.last_mut() {
            Some((last, bytes)) if *last == group => bytes.extend_from_slice(line),
            _ => groups.push((group, line.to_vec())),
        }
    }
    let file = std::fs::File::create(home.join("floor")).expect("a file");
    let clock = load::clock();
    let begun = clock.elapsed();
    let mut at = 0;
    for (_, bytes) in &groups {
        file.write_all_at(bytes, at).expect("room");
        file.sync_data().expect("a disk");
        at += bytes.len() as u64;
    }
    clock.elapsed().saturating_sub(begun)
}
