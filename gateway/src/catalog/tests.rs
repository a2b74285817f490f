use std::os::unix::fs::PermissionsExt as _;

use symbolon_core::clock::ManualClock;
use symbolon_core::id::PluginName;

use super::choice::{Candidate, Question};
use super::*;
use crate::config::PluginRef;
use crate::store::memory::Memory;

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
    }
}

struct Scene {
    home: tempfile::TempDir,
    components: Components,
}

impl Scene {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
        let store = Arc::new(Memory::default());
        let components = Components::new(store, home.path().join("plugins"), clock);
        Self { home, components }
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
async fn a_directory_open_to_others_takes_nothing() {
    let scene = Scene::new();
    let directory = scene.home.path().join("plugins");
    std::fs::create_dir(&directory).unwrap();
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (_, sent) = package(COMPONENT);
    let refused = Shelf::at(directory).write(sent).await;
    assert!(matches!(refused, Err(ShelfError::Open(_))), "{refused:?}");
}

#[tokio::test]
async fn pointers_and_quarantines_last_and_can_be_ended() {
    let scene = Scene::new();
    let db = BackendName::parse("db").unwrap();
    let (one, two) = (pointed("1.0.0"), pointed("2.0.0"));
    scene.components.point(&db, one.clone(), None, "uid:0").await.unwrap();
    scene.components.point(&db, two.clone(), Some(one.clone()), "uid:0").await.unwrap();
    scene.components.quarantine(two.clone(), &db, "it traps".to_owned()).await.unwrap();
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
