use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use symbolon_core::clock::ManualClock;
use symbolon_core::id::{KeyName, PluginName};
use symbolon_host::Trust;
use symbolon_host::signature::{AnyOf, Claim, Policy, PrivateKey, Scheme, Signatures, TrustedKey};
use tokio::sync::Notify;

use super::choice::{Candidate, Question};
use super::*;
use crate::config::PluginRef;
use crate::store::memory::Memory;
use crate::store::{BoxFuture, Key, Page};

fn digest(of: &str) -> Digest {
    Digest::of(of.as_bytes())
}

fn pointed(version: &str) -> Pointed {
    Pointed { name: "kv".to_owned(), version: version.to_owned(), digest: digest(version).hex() }
}

/// `*` before a version: kept only because it was in use.
fn candidates(versions: &[&str]) -> Vec<Candidate> {
    let of = |text: &&str| {
        let version = text.trim_start_matches('*');
        let is_offered = !text.starts_with('*');
        Candidate { digest: digest(version), component: pointed(version), is_offered }
    };
    versions.iter().map(of).collect()
}

struct Case {
    what: &'static str,
    pin: Option<&'static str>,
    there: &'static [&'static str],
    pointer: Option<(&'static str, Option<&'static str>)>,
    running: Option<&'static str>,
    quarantine: &'static [&'static str],
    /// A version, or what the reason says.
    expected: Result<&'static str, &'static str>,
}

const PLAIN: Case = Case {
    what: "the only one",
    pin: None,
    there: &["1.0.0"],
    pointer: None,
    running: None,
    quarantine: &[],
    expected: Ok("1.0.0"),
};

const CASES: [Case; 19] = [
    PLAIN,
    Case { what: "none", there: &[], expected: Err("no component"), ..PLAIN },
    Case {
        what: "several",
        there: &["1.0.0", "2.0.0"],
        expected: Err("several components are `kv`: kv@1.0.0"),
        ..PLAIN
    },
    Case {
        what: "several, one pinned",
        pin: Some("2.0.0"),
        there: &["1.0.0", "2.0.0"],
        expected: Ok("2.0.0"),
        ..PLAIN
    },
    Case {
        what: "several, one pointed at",
        there: &["1.0.0", "2.0.0"],
        pointer: Some(("2.0.0", None)),
        expected: Ok("2.0.0"),
        ..PLAIN
    },
    Case { what: "several, one runs", there: &["1.0.0", "2.0.0"], running: Some("1.0.0"), ..PLAIN },
    Case {
        what: "the pin wins over the pointer",
        pin: Some("1.0.0"),
        there: &["1.0.0", "2.0.0"],
        pointer: Some(("2.0.0", None)),
        ..PLAIN
    },
    Case {
        what: "the pin wins over what runs",
        pin: Some("2.0.0"),
        there: &["1.0.0", "2.0.0"],
        running: Some("1.0.0"),
        expected: Ok("2.0.0"),
        ..PLAIN
    },
    Case {
        what: "the pinned one is missing",
        pin: Some("3.0.0"),
        expected: Err("no component"),
        ..PLAIN
    },
    Case {
        what: "the one that is pointed at is missing, another is there",
        pointer: Some(("2.0.0", None)),
        expected: Err("no component here is kv@2.0.0"),
        ..PLAIN
    },
    Case {
        what: "the one that is pointed at is missing and runs",
        there: &[],
        pointer: Some(("2.0.0", None)),
        running: Some("2.0.0"),
        expected: Ok("2.0.0"),
        ..PLAIN
    },
    Case { what: "a file vanished and runs", there: &[], running: Some("1.0.0"), ..PLAIN },
    Case {
        what: "a file was replaced by a newer one",
        there: &["*1.0.0", "2.0.0"],
        running: Some("1.0.0"),
        expected: Ok("2.0.0"),
        ..PLAIN
    },
    Case {
        what: "what is kept only because it was in use starts nothing",
        there: &["*1.0.0"],
        expected: Err("kv@1.0.0"),
        ..PLAIN
    },
    Case {
        what: "the only one is in quarantine",
        quarantine: &["1.0.0"],
        expected: Err("in quarantine"),
        ..PLAIN
    },
    Case {
        what: "one of two is in quarantine",
        there: &["1.0.0", "2.0.0"],
        quarantine: &["2.0.0"],
        ..PLAIN
    },
    Case {
        what: "the one that is pointed at is in quarantine, and there is one before",
        there: &["*1.0.0", "2.0.0"],
        pointer: Some(("2.0.0", Some("1.0.0"))),
        quarantine: &["2.0.0"],
        ..PLAIN
    },
    Case {
        what: "the one that is pointed at is in quarantine, and so is the one before",
        there: &["1.0.0", "2.0.0"],
        pointer: Some(("2.0.0", Some("1.0.0"))),
        quarantine: &["1.0.0", "2.0.0"],
        expected: Err("in quarantine"),
        ..PLAIN
    },
    Case {
        what: "what runs is in quarantine",
        there: &[],
        running: Some("1.0.0"),
        quarantine: &["1.0.0"],
        expected: Err("no component"),
        ..PLAIN
    },
];

#[test]
fn a_backend_runs_what_is_pinned_then_what_is_pointed_at_then_the_only_one() {
    for case in CASES {
        let plugin = PluginRef {
            name: PluginName::parse("kv").unwrap(),
            version: case.pin.map(str::to_owned),
            digest: None,
        };
        let pointer = case.pointer.map(|(to, previous)| Pointer {
            to: pointed(to),
            previous: previous.map(pointed),
            since: Timestamp::from_seconds(0),
            by: "uid:0".to_owned(),
        });
        let running = case.running.map(pointed);
        let quarantine = case.quarantine.iter().map(|version| (digest(version), held(version)));
        let question = Question {
            plugin: &plugin,
            candidates: &candidates(case.there),
            pointer: pointer.as_ref(),
            running: running.as_ref(),
            quarantine: &quarantine.collect(),
        };
        match (question.answer(), case.expected) {
            (Ok(found), Ok(version)) => assert_eq!(found, digest(version), "{}", case.what),
            (Err(reason), Err(says)) => {
                assert!(reason.contains(says), "{}: {reason}", case.what);
            }
            (found, expected) => panic!("{}: {found:?}, not {expected:?}", case.what),
        }
    }
}

fn held(version: &str) -> Quarantined {
    Quarantined {
        component: pointed(version),
        backend: "db".to_owned(),
        reason: "it traps".to_owned(),
        since: Timestamp::from_seconds(0),
        is_everywhere: true,
    }
}

struct Scene {
    home: tempfile::TempDir,
    components: Components,
    clock: Arc<ManualClock>,
    trust: Trust,
    keys: [PrivateKey; 2],
}

impl Scene {
    /// One of two keys is enough.
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
        let store = Arc::new(Memory::default());
        let components = Components::new(store, home.path().join("plugins"), clock.clone());
        let keys = [(); 2].map(|()| PrivateKey::generate(Scheme::Ed25519).unwrap().0);
        let names = ["one", "two"].map(|name| KeyName::parse(name).unwrap());
        let any = AnyOf { minimum: 1, keys: names.clone().into() };
        let policy = Policy { all_of: BTreeSet::new(), any_of: Some(any) };
        let trusted = names
            .into_iter()
            .zip(&keys)
            .map(|(name, key)| (name, TrustedKey { key: key.public().clone(), plugins: None }));
        let unsigned = Trust::default().with_unsigned([PluginName::parse("kv").unwrap()]);
        let trust = unsigned.with_keys(trusted.collect(), policy).unwrap();
        Self { home, components, clock, trust, keys }
    }

    /// The component that is its own version, signed by these keys.
    fn incoming(&self, version: &str, signers: &[usize], is_adopted: bool) -> Incoming<'_> {
        let component = pointed(version);
        let name = PluginName::parse(&component.name).unwrap();
        let claim = Claim { digest: digest(version), name, version: version.to_owned() };
        let mut file = Signatures::new(claim);
        for signer in signers {
            file.sign(&self.keys[*signer]).unwrap();
        }
        let file = (!signers.is_empty()).then(|| file.to_string().into_bytes());
        let package = Package::new(version.into(), file);
        let by = if is_adopted { "symbolon" } else { "uid:0" }.to_owned();
        let origin = Origin { source: "kv.wasm".to_owned(), by, is_adopted };
        Incoming { component, package, origin, trust: &self.trust }
    }

    async fn installed(&self, version: &str, signers: &[usize]) -> Installed {
        let incoming = self.incoming(version, signers, false);
        self.components.install(incoming).await.unwrap()
    }

    async fn adopted(&self, version: &str) {
        let incoming = self.incoming(version, &[], true);
        assert!(self.components.adopt(incoming, || true).await.unwrap());
        self.clock.advance(Duration::from_secs(1));
    }

    async fn record(&self, version: &str) -> Option<Installed> {
        self.components.snapshot().await.unwrap().components.remove(&digest(version))
    }

    /// Who vouches for the bytes that are kept.
    async fn endorsed(&self, version: &str) -> Vec<String> {
        let kept = self.components.package(digest(version)).await.unwrap();
        let endorsement = self.trust.endorsement(kept.digest(), kept.signatures());
        endorsement.keys().map(ToString::to_string).collect()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join("plugins").join(name)
    }
}

const COMPONENT: &str = r#"(component (@custom "symbolon:manifest" ""))"#;

/// Bytes, and what is said of them: the catalog believes what it is told, and checks the digest.
fn package(of: &str) -> (Digest, Package) {
    let package = Package::new(of.into(), None);
    (package.digest(), package)
}

#[tokio::test]
async fn bytes_are_private_and_are_what_their_name_says() {
    let scene = Scene::new();
    let shelf = Shelf::at(scene.home.path().join("plugins"));
    let (digest, sent) = package(COMPONENT);
    let sent = Package::new(sent.component().into(), Some(b"signed".to_vec()));
    shelf.write(sent.clone()).await.unwrap();
    assert_eq!(scene.components.package(digest).await.unwrap(), sent);
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(scene.home.path().join("plugins")), 0o700);
    let name = format!("{}.wasm", digest.hex());
    assert_eq!((mode(scene.file(&name)), mode(scene.file(&format!("{name}.sig")))), (0o600, 0o600));
    let drafts = std::fs::read_dir(scene.home.path().join("plugins")).unwrap();
    assert_eq!(drafts.count(), 2, "no draft is left");

    for (what, content) in [("a bit", &b"(component)"[..]), ("cut", b""), ("longer", b"x")] {
        std::fs::write(scene.file(&name), content).unwrap();
        let refused = scene.components.package(digest).await;
        assert!(matches!(refused, Err(ShelfError::Damaged { .. })), "{what}: {refused:?}");
    }
    // Installed again, it is whole again.
    shelf.write(sent.clone()).await.unwrap();
    assert_eq!(scene.components.package(digest).await.unwrap(), sent);
    shelf.remove(digest).await.unwrap();
    shelf.remove(digest).await.unwrap();
    assert!(matches!(scene.components.package(digest).await, Err(ShelfError::Missing(_))));
}

#[tokio::test]
async fn a_directory_that_is_open_to_others_or_a_link_takes_and_gives_nothing() {
    let scene = Scene::new();
    let directory = scene.home.path().join("plugins");
    let (digest, sent) = package(COMPONENT);
    let shelf = Shelf::at(directory.clone());
    shelf.write(sent.clone()).await.unwrap();
    let is_refused = async |what: &str| {
        let taken = shelf.write(sent.clone()).await;
        assert!(matches!(taken, Err(ShelfError::Open(_))), "{what}: {taken:?}");
        let given = scene.components.package(digest).await;
        assert!(matches!(given, Err(ShelfError::Open(_))), "{what}: {given:?}");
        assert!(scene.components.snapshot().await.unwrap().present.is_empty(), "{what}");
        let removed = shelf.remove(digest).await;
        assert!(matches!(removed, Err(ShelfError::Open(_))), "{what}: {removed:?}");
    };
    for mode in [0o755, 0o750, 0o701] {
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(mode)).unwrap();
        is_refused(&format!("{mode:o}")).await;
    }
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(scene.components.package(digest).await.unwrap(), sent, "private again");
    let elsewhere = scene.home.path().join("elsewhere");
    std::fs::rename(&directory, &elsewhere).unwrap();
    symlink(&elsewhere, &directory).unwrap();
    is_refused("a link").await;
    assert_eq!(std::fs::read_dir(elsewhere).unwrap().count(), 1, "nothing was removed");
}

#[tokio::test]
async fn a_draft_that_is_a_link_overwrites_nothing() {
    let scene = Scene::new();
    let (digest, sent) = package(COMPONENT);
    let sent = Package::new(sent.component().into(), Some(b"signed".to_vec()));
    let shelf = Shelf::at(scene.home.path().join("plugins"));
    shelf.write(sent.clone()).await.unwrap();
    shelf.remove(digest).await.unwrap();
    let precious = scene.home.path().join("precious");
    std::fs::write(&precious, "precious").unwrap();
    for name in ["wasm.draft", "wasm.sig.draft"] {
        symlink(&precious, scene.file(&format!("{}.{name}", digest.hex()))).unwrap();
    }
    shelf.write(sent.clone()).await.unwrap();
    assert_eq!(scene.components.package(digest).await.unwrap(), sent);
    assert_eq!(std::fs::read(&precious).unwrap(), b"precious");
}

#[tokio::test]
async fn pointers_and_quarantines_last_and_can_be_ended() {
    let scene = Scene::new();
    let db = BackendName::parse("db").unwrap();
    let (one, two) = (pointed("1.0.0"), pointed("2.0.0"));
    scene.components.point(&db, one.clone(), None, "uid:0").await.unwrap();
    scene.components.point(&db, two.clone(), Some(one.clone()), "uid:0").await.unwrap();
    scene.components.quarantine(two.clone(), &db, ("it traps".to_owned(), true)).await.unwrap();
    let snapshot = scene.components.snapshot().await.unwrap();
    let pointer = &snapshot.pointers[&db];
    assert_eq!((&pointer.to, &pointer.previous), (&two, &Some(one.clone())));
    assert_eq!(snapshot.users(&digest("2.0.0")).collect::<Vec<_>>(), [&db]);
    assert_eq!(snapshot.quarantine[&digest("2.0.0")].reason, "it traps");
    // Nobody goes back to where he is.
    scene.components.point(&db, two.clone(), Some(two), "uid:0").await.unwrap();
    scene.components.release(digest("2.0.0")).await.unwrap();
    let snapshot = scene.components.snapshot().await.unwrap();
    assert!(snapshot.quarantine.is_empty());
    assert_eq!(snapshot.pointers[&db].previous, None);
    scene.components.unpoint(&db).await.unwrap();
    assert!(scene.components.snapshot().await.unwrap().pointers.is_empty());
}

#[tokio::test]
async fn bytes_without_a_record_are_named_and_a_record_without_bytes_can_be_removed() {
    let scene = Scene::new();
    let (digest, sent) = package(COMPONENT);
    let shelf = Shelf::at(scene.home.path().join("plugins"));
    shelf.write(sent).await.unwrap();
    let snapshot = scene.components.snapshot().await.unwrap();
    assert_eq!(snapshot.strays().collect::<Vec<_>>(), [&digest]);
    // What else lies there is not looked at.
    std::fs::write(scene.file("notes.txt"), "").unwrap();
    std::fs::write(scene.file("abc.wasm"), "").unwrap();
    assert_eq!(scene.components.snapshot().await.unwrap().present.len(), 1);
    scene.components.remove(digest).await.unwrap();
    scene.components.remove(digest).await.unwrap();
    assert_eq!(scene.components.snapshot().await.unwrap().strays().count(), 0);
}

#[tokio::test]
async fn what_is_installed_while_it_is_being_taken_along_stays_installed() {
    let scene = Scene::new();
    // A stale look: taking along has begun, and waits for its turn.
    let turn = scene.components.turn.lock().await;
    let installing = scene.components.install(scene.incoming("1.0.0", &[], false));
    let adopting = scene.components.adopt(scene.incoming("1.0.0", &[], true), || true);
    let both = async { tokio::join!(installing, adopting) };
    let ((installed, adopted), ()) = tokio::join!(both, async { drop(turn) });
    assert!(!installed.unwrap().is_adopted);
    assert!(adopted.unwrap());
    assert!(!scene.record("1.0.0").await.unwrap().is_adopted);
    // And the other way round.
    scene.adopted("2.0.0").await;
    assert!(scene.record("2.0.0").await.unwrap().is_adopted);
    assert!(!scene.installed("2.0.0", &[]).await.is_adopted);
    assert!(!scene.record("2.0.0").await.unwrap().is_adopted);
}

#[tokio::test]
async fn what_is_removed_while_it_is_being_taken_along_does_not_come_back() {
    let scene = Scene::new();
    scene.adopted("1.0.0").await;
    let turn = scene.components.turn.lock().await;
    let is_used = AtomicBool::new(true);
    let removing = async {
        scene.components.remove(digest("1.0.0")).await.unwrap();
    };
    let incoming = scene.incoming("1.0.0", &[], true);
    let adopting = scene.components.adopt(incoming, || is_used.load(SeqCst));
    // It is put out of use before it is removed, while both wait.
    let removal = async {
        is_used.store(false, SeqCst);
        drop(turn);
    };
    let ((), adopted, ()) = tokio::join!(removing, adopting, removal);
    assert!(!adopted.unwrap());
    assert!(scene.record("1.0.0").await.is_none());
    let bytes = scene.components.package(digest("1.0.0")).await;
    assert!(matches!(bytes, Err(ShelfError::Missing(_))), "{bytes:?}");
}

/// A store whose first commit waits until it is let go.
#[derive(Debug, Default)]
struct Held {
    store: Memory,
    was_held: AtomicBool,
    reached: Notify,
    go: Notify,
}

impl Store for Held {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        self.store.get(key)
    }

    fn scan(&self, span: Span, limit: usize) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.store.scan(span, limit)
    }

    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if !self.was_held.swap(true, SeqCst) {
                self.reached.notify_one();
                self.go.notified().await;
            }
            self.store.commit(transaction).await
        })
    }
}

#[tokio::test]
async fn what_is_installed_between_a_look_and_a_commit_is_not_overwritten() {
    let scene = Scene::new();
    let store = Arc::new(Held::default());
    let directory = scene.home.path().join("plugins");
    let components = Components::new(store.clone(), directory, scene.clock.clone());
    let adopting = components.adopt(scene.incoming("1.0.0", &[], true), || true);
    let (start, done) = (Notify::new(), Notify::new());
    let letting_go = async {
        store.reached.notified().await;
        let is_let_past = components.turn.try_lock().is_ok();
        start.notify_one();
        if is_let_past {
            done.notified().await;
        }
        store.go.notify_one();
    };
    let installing = async {
        start.notified().await;
        let installed = components.install(scene.incoming("1.0.0", &[], false)).await;
        done.notify_one();
        installed
    };
    let (adopted, (), installed) = tokio::join!(adopting, letting_go, installing);
    assert!(adopted.unwrap() && !installed.unwrap().is_adopted);
    let snapshot = components.snapshot().await.unwrap();
    assert!(!snapshot.components[&digest("1.0.0")].is_adopted);
}

#[tokio::test]
async fn who_signed_is_not_forgotten_when_the_same_comes_with_less() {
    let scene = Scene::new();
    let cases: [(&[usize], &[&str]); 6] = [
        (&[], &[]),
        (&[0], &["one"]),
        (&[], &["one"]),
        (&[1], &["one", "two"]),
        (&[0], &["one", "two"]),
        (&[0, 1], &["one", "two"]),
    ];
    for (signers, expected) in cases {
        let record = scene.installed("1.0.0", signers).await;
        assert_eq!(record.signers, expected, "by {signers:?}");
        assert_eq!(scene.endorsed("1.0.0").await, expected, "by {signers:?}");
        assert_eq!(scene.record("1.0.0").await.unwrap(), record, "by {signers:?}");
    }
    // What is wrong is not kept: of another component, by nobody, or no such file.
    let file = scene.file(&format!("{}.wasm.sig", digest("1.0.0").hex()));
    let good = std::fs::read_to_string(&file).unwrap();
    let other = scene.incoming("2.0.0", &[0, 1], false).package;
    let other = String::from_utf8(other.signatures().unwrap().to_vec()).unwrap();
    let key = scene.keys[1].public().id().to_string();
    let forged = good.replace(&key, &Digest::of(b"nobody").to_string());
    let mut wrong: serde_json::Value = serde_json::from_str(&good).unwrap();
    wrong["signatures"][1]["signature"] = wrong["signatures"][0]["signature"].clone();
    for (what, bad) in [("other", other), ("no file", "{}".into()), ("wrong", wrong.to_string())] {
        std::fs::write(&file, bad).unwrap();
        assert_eq!(scene.installed("1.0.0", &[0]).await.signers, ["one"], "{what}");
        assert_eq!(scene.endorsed("1.0.0").await, ["one"], "{what}");
    }
    std::fs::write(&file, forged).unwrap();
    assert_eq!(scene.installed("1.0.0", &[1]).await.signers, ["one", "two"]);
}

#[tokio::test]
async fn what_is_taken_along_has_its_signers() {
    let scene = Scene::new();
    let incoming = scene.incoming("1.0.0", &[0], true);
    assert!(scene.components.adopt(incoming, || true).await.unwrap());
    let record = scene.record("1.0.0").await.unwrap();
    assert_eq!((record.is_adopted, record.signers), (true, vec!["one".to_owned()]));
}

#[tokio::test]
async fn copies_that_nobody_needs_go_but_for_the_newest() {
    let scene = Scene::new();
    let db = BackendName::parse("db").unwrap();
    // In the order of their dates.
    for version in ["9.0.0", "1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0", "1.6.0"] {
        scene.adopted(version).await;
    }
    scene.installed("1.7.0", &[]).await;
    scene.installed("1.1.0", &[]).await;
    let (to, previous) = (pointed("1.0.0"), Some(pointed("1.2.0")));
    scene.components.point(&db, to, previous, "uid:0").await.unwrap();
    let draft = scene.file(&format!("{}.wasm.draft", digest("1.0.0").hex()));
    std::fs::write(&draft, "half").unwrap();
    let versions = async || {
        let snapshot = scene.components.snapshot().await.unwrap();
        assert_eq!(snapshot.present, snapshot.components.keys().copied().collect());
        let mut versions: Vec<_> =
            snapshot.components.into_values().map(|of| of.component.version).collect();
        versions.sort();
        versions
    };
    // Two are pointed at, two were asked for, three are the newest, one is of the newest version.
    scene.components.prune(&[digest("1.3.0")].into()).await.unwrap();
    let all = ["1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0", "1.6.0", "1.7.0", "9.0.0"];
    assert_eq!(versions().await, all);
    assert!(!draft.exists());
    // One that is not used any more, and a newest version that is in quarantine.
    scene
        .components
        .quarantine(pointed("9.0.0"), &db, ("it traps".to_owned(), true))
        .await
        .unwrap();
    scene.components.prune(&BTreeSet::new()).await.unwrap();
    assert_eq!(versions().await, ["1.0.0", "1.1.0", "1.2.0", "1.4.0", "1.5.0", "1.6.0", "1.7.0"]);
}

#[tokio::test]
async fn what_failed_in_one_backend_is_held_there_and_in_two_everywhere() {
    let scene = Scene::new();
    let name = |text: &str| BackendName::parse(text).unwrap();
    let held = async |of: &str| {
        let snapshot = scene.components.snapshot().await.unwrap();
        snapshot.held(&name(of)).contains_key(&digest("1.0.0"))
    };
    let quarantine = async |of: &str, is_everywhere| {
        let told = ("it traps".to_owned(), is_everywhere);
        scene.components.quarantine(pointed("1.0.0"), &name(of), told).await.unwrap()
    };
    assert!(!quarantine("one", false).await);
    assert_eq!((held("one").await, held("two").await), (true, false));
    assert!(!quarantine("one", false).await);
    assert_eq!((held("one").await, held("two").await), (true, false), "again in the same one");
    assert!(quarantine("two", false).await);
    assert!(held("one").await && held("two").await && held("three").await);
    scene.components.release(digest("1.0.0")).await.unwrap();
    assert!(quarantine("one", true).await);
    assert!(held("two").await, "a new release that failed");
}
