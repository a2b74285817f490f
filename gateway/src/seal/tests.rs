use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use symbolon_core::clock::{ManualClock, Timestamp};
use tempfile::TempDir;

use super::*;
use crate::store::{Options, SledStore};

fn store(directory: &TempDir) -> SledStore {
    let options =
        Options { cache_capacity: 16 << 20, ..Options::at(directory.path().join("store")) };
    SledStore::open(&options, Arc::new(ManualClock::at(Timestamp::from_seconds(0)))).unwrap()
}

fn source(directory: &TempDir) -> Source {
    Source::File(directory.path().join("seal"))
}

fn secret(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

fn set_mode(source: &Source, mode: u32) {
    std::fs::set_permissions(source.path(), std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn the_first_start_makes_a_seal_and_the_second_opens_it() {
    let directory = TempDir::new().unwrap();
    let (store, source) = (store(&directory), source(&directory));
    let first = Seal::open_or_create(&source, &store).await.unwrap();
    let mode = std::fs::metadata(source.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let wrapped = first.wrap(Purpose::MacKey, b"a", &secret("hunter2")).unwrap();
    let second = Seal::open_or_create(&source, &store).await.unwrap();
    let opened = second.unwrap(Purpose::MacKey, b"a", &wrapped).unwrap();
    assert_eq!(opened.expose(), b"hunter2");
    let names = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(names, 2, "only the store and the seal remain");
}

#[tokio::test]
async fn a_store_whose_seal_is_lost_or_another_does_not_start() {
    let directory = TempDir::new().unwrap();
    let (store, source) = (store(&directory), source(&directory));
    Seal::open_or_create(&source, &store).await.unwrap();
    std::fs::remove_file(source.path()).unwrap();
    let lost = Seal::open_or_create(&source, &store).await.unwrap_err();
    assert!(matches!(lost, SealError::Lost { .. }), "{lost}");
    assert!(!source.path().exists(), "a new seal would hide the loss");
    file::create(&source).unwrap();
    let foreign = Seal::open_or_create(&source, &store).await.unwrap_err();
    assert!(matches!(foreign, SealError::Foreign { .. }), "{foreign}");
}

#[tokio::test]
async fn a_seal_that_others_may_touch_is_refused_with_the_fix() {
    let directory = TempDir::new().unwrap();
    let (store, source) = (store(&directory), source(&directory));
    Seal::open_or_create(&source, &store).await.unwrap();
    for mode in [0o640, 0o604, 0o620, 0o601, 0o777] {
        set_mode(&source, mode);
        let exposed = Seal::open_or_create(&source, &store).await.unwrap_err().to_string();
        assert!(exposed.contains("chmod 600"), "{mode:o}: {exposed}");
    }
    set_mode(&source, 0o600);
    let link = Source::File(directory.path().join("link"));
    std::os::unix::fs::symlink(source.path(), link.path()).unwrap();
    assert!(matches!(file::read(&link), Err(SealError::Io { .. })), "a link is not followed");
}

#[tokio::test]
async fn a_credential_is_read_as_systemd_makes_it_and_never_made() {
    let directory = TempDir::new().unwrap();
    let store = store(&directory);
    let source = Source::Credential(directory.path().join("credential"));
    assert!(Seal::open_or_create(&source, &store).await.is_err());
    std::fs::write(source.path(), Seal::generate().unwrap().expose()).unwrap();
    for (mode, accepted) in [(0o400, true), (0o440, true), (0o444, false), (0o460, false)] {
        set_mode(&source, mode);
        let outcome = Seal::open_or_create(&source, &store).await;
        assert_eq!(outcome.is_ok(), accepted, "{mode:o}: {outcome:?}");
    }
    assert!(matches!(Seal::rotate(&source), Err(SealError::ReadOnly { .. })));
}

#[test]
fn a_wrapped_secret_cannot_be_moved_changed_or_cut() {
    let key = Seal { current: blob::SealKey::generate().unwrap(), former: Vec::new() };
    let wrapped = key.wrap(Purpose::KeptSecret, b"id", &secret("s")).unwrap();
    let refused = |purpose, id: &[u8], blob: &[u8]| key.unwrap(purpose, id, blob).is_err();
    assert!(!refused(Purpose::KeptSecret, b"id", &wrapped));
    assert!(refused(Purpose::MacKey, b"id", &wrapped));
    assert!(refused(Purpose::KeptSecret, b"ie", &wrapped));
    assert!(refused(Purpose::KeptSecret, b"", &wrapped));
    for at in 0..wrapped.len() {
        let mut changed = wrapped.clone();
        changed[at] ^= 1;
        assert!(refused(Purpose::KeptSecret, b"id", &changed), "byte {at}");
        assert!(refused(Purpose::KeptSecret, b"id", &wrapped[..at]), "cut at {at}");
    }
    let again = key.wrap(Purpose::KeptSecret, b"id", &secret("s")).unwrap();
    assert_ne!(again, wrapped, "the same secret never looks the same");
}

#[tokio::test]
async fn after_a_rotation_old_secrets_open_and_can_be_wrapped_again() {
    let directory = TempDir::new().unwrap();
    let (store, source) = (store(&directory), source(&directory));
    let old = Seal::open_or_create(&source, &store).await.unwrap();
    let wrapped = old.wrap(Purpose::SigningKey, b"k", &secret("s")).unwrap();
    let new = Seal::rotate(&source).unwrap();
    assert_eq!(new.unwrap(Purpose::SigningKey, b"k", &wrapped).unwrap().expose(), b"s");
    let again = new.rewrap(Purpose::SigningKey, b"k", &wrapped).unwrap().unwrap();
    assert_eq!(new.rewrap(Purpose::SigningKey, b"k", &again).unwrap(), None);
    assert!(matches!(old.unwrap(Purpose::SigningKey, b"k", &again), Err(SealError::UnknownKey(_))));
    new.retire_former(&store).await.unwrap();

    // The operator takes the former key out; the store agrees.
    let text = std::fs::read_to_string(source.path()).unwrap();
    let lines = text.lines().take(2).collect::<Vec<_>>().join("\n");
    std::fs::write(source.path(), lines).unwrap();
    let alone = Seal::open_or_create(&source, &store).await.unwrap();
    assert_eq!(alone.unwrap(Purpose::SigningKey, b"k", &again).unwrap().expose(), b"s");
}

#[test]
fn a_malformed_seal_names_the_line() {
    let directory = TempDir::new().unwrap();
    let source = source(&directory);
    for (text, expected) in [
        ("# only a comment\n", "holds no key"),
        ("\nAAAA\n", "line 2"),
        ("not base64!\n", "line 1"),
    ] {
        std::fs::write(source.path(), text).unwrap();
        set_mode(&source, 0o600);
        let error = file::read(&source).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
