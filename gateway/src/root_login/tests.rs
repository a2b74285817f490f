use std::path::Path;

use symbolon_core::clock::{ManualClock, Timestamp};
use tempfile::TempDir;

use super::*;
use crate::seal::{Purpose, Source};
use crate::store::{Key, Namespace, Options, SledStore, Transaction};

struct Scene {
    store: Arc<SledStore>,
    seal: Arc<Seal>,
    backend: BackendName,
    _directory: TempDir,
}

fn store(path: &Path) -> Arc<SledStore> {
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_793_520_000)));
    let options = Options { cache_capacity: 16 << 20, ..Options::at(path) };
    Arc::new(SledStore::open(&options, clock).unwrap())
}

async fn scene() -> Scene {
    let directory = TempDir::new().unwrap();
    let store = store(&directory.path().join("store"));
    let source = Source::File(directory.path().join("seal"));
    let seal = Arc::new(Seal::open_or_create(&source, &*store).await.unwrap());
    let backend = BackendName::parse("db").unwrap();
    Scene { store, seal, backend, _directory: directory }
}

impl Scene {
    async fn logins(&self) -> RootLogins {
        RootLogins::open(self.store.clone(), self.seal.clone()).await.unwrap()
    }

    async fn keep(&self, kept: Kept) {
        let logins = self.logins().await;
        let entry = logins.entry(&self.backend);
        logins.keep(&self.backend, &entry, kept).await.unwrap();
    }

    /// The passwords that are tried after a start.
    async fn tried(&self, account: &Account) -> Vec<String> {
        let logins = self.logins().await;
        let source = logins.source(&self.backend, account.clone(), Some(secret("configured")));
        let candidates = source.candidates();
        assert!(candidates.iter().all(|login| login.user == account.user));
        candidates.iter().map(|login| login.password.expose_str().unwrap().to_owned()).collect()
    }
}

/// Where what is kept for a backend lies.
fn key(backend: &BackendName) -> Key {
    Namespace::Sealed.key(record::name(backend))
}

fn secret(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

fn account(user: &str) -> Account {
    Account { user: user.to_owned(), server: "db.internal:5432".to_owned() }
}

fn kept(current: Option<&str>, pending: Option<&str>) -> Kept {
    let [current, pending] = [current, pending].map(|text| text.map(secret));
    Kept { account: account("symbolon"), current, pending }
}

#[tokio::test]
async fn after_a_start_at_any_step_the_login_that_works_is_among_those_tried() {
    let scene = scene().await;
    for (step, expected) in [
        (kept(None, None), &["configured"][..]),
        (kept(None, Some("new")), &["new", "configured"]),
        (kept(Some("new"), None), &["new", "configured"]),
        (kept(Some("old"), Some("new")), &["new", "old", "configured"]),
    ] {
        scene.keep(step).await;
        assert_eq!(scene.tried(&account("symbolon")).await, expected);
    }
}

#[tokio::test]
async fn what_was_rotated_belongs_to_one_account() {
    let scene = scene().await;
    scene.keep(kept(Some("new"), None)).await;
    assert_eq!(scene.tried(&account("other")).await, ["configured"]);
    let elsewhere = Account { server: "db.internal:5433".to_owned(), ..account("symbolon") };
    assert_eq!(scene.tried(&elsewhere).await, ["configured"]);
}

#[tokio::test]
async fn what_does_not_open_costs_its_backend_the_rotated_login_and_nothing_else() {
    let scene = scene().await;
    scene.keep(kept(Some("new"), None)).await;
    let (mine, other) = (key(&scene.backend), BackendName::parse("other").unwrap());
    let stolen = scene.store.get(&mine).await.unwrap().unwrap();
    let moved = Transaction::new().put(key(&other), stolen.clone());
    scene.store.commit(moved).await.unwrap();
    let logins = scene.logins().await;
    let source = logins.source(&other, account("symbolon"), Some(secret("configured")));
    assert_eq!(source.candidates().len(), 1, "a record of another backend does not open");
    assert_eq!(scene.tried(&account("symbolon")).await, ["new", "configured"]);
    assert!(!String::from_utf8_lossy(&stolen).contains("new"), "it lies there in the clear");
}

#[tokio::test]
async fn what_lies_under_a_former_seal_is_wrapped_again() {
    let directory = TempDir::new().unwrap();
    let store = store(&directory.path().join("store"));
    let source = Source::File(directory.path().join("seal"));
    let seal = Arc::new(Seal::open_or_create(&source, &*store).await.unwrap());
    let backend = BackendName::parse("db").unwrap();
    let scene = Scene { store, seal, backend, _directory: directory };
    scene.keep(kept(Some("new"), None)).await;
    let before = scene.store.get(&key(&scene.backend)).await.unwrap();
    let rotated = Scene { seal: Arc::new(Seal::rotate(&source).unwrap()), ..scene };
    assert_eq!(rotated.tried(&account("symbolon")).await, ["new", "configured"]);
    let after = rotated.store.get(&key(&rotated.backend)).await.unwrap();
    assert_ne!(before, after);
    let key = key(&rotated.backend);
    let wrapped = after.unwrap();
    assert_eq!(rotated.seal.rewrap(Purpose::KeptSecret, key.tail(), &wrapped).unwrap(), None);
}
