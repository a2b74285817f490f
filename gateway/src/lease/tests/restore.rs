//! A store that comes back from a backup.

use std::path::{Path, PathBuf};

use super::*;

fn boot(clock: &ManualClock) -> Option<Boot> {
    let uptime = u64::try_from(clock.elapsed().as_millis()).unwrap();
    Some(Boot { id: "one".to_owned(), uptime })
}

/// The store in `shelf` is opened as the gateway does it.
async fn opened(shelf: TempDir, clock: Arc<ManualClock>, database: Arc<Database>) -> World {
    let store = sled_at(&shelf, &clock);
    let place = (&*clock as &dyn Clock, boot(&clock));
    let hold = Hold::assess(&store, witness(&shelf), place).await.unwrap();
    drop(store);
    World::begin(Shelf::Sled(shelf), clock, database, Some(hold)).await
}

fn witness(shelf: &TempDir) -> PathBuf {
    shelf.path().join("witness")
}

async fn fresh() -> World {
    let World { shelf, clock, database, store, ledger, reaper, .. } = World::on_disk().await;
    drop((store, ledger, reaper));
    let Shelf::Sled(directory) = shelf else { panic!("on disk") };
    opened(directory, clock, database).await
}

/// Stops the process; what is left of it.
async fn stopped(world: World) -> (TempDir, Arc<ManualClock>, Arc<Database>) {
    world.reaper.settle().await;
    let World { shelf, clock, database, store, ledger, reaper, .. } = world;
    drop((store, ledger, reaper));
    let Shelf::Sled(directory) = shelf else { panic!("on disk") };
    (directory, clock, database)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn a_restored_backup_revokes_nobody_and_issues_nothing_until_it_is_confirmed() {
    let world = fresh().await;
    let renewed = world.issue(&wish()).await;
    let revoked = world.issue(&wish()).await;
    let (directory, clock, database) = stopped(world).await;
    let backup = TempDir::new().unwrap();
    copy(&directory.path().join("store"), backup.path());

    let world = opened(directory, clock, database).await;
    world.clock.advance(TTL / 2);
    world.ledger.renewed(renewed, world.now().plus(TTL)).await.unwrap();
    world.ledger.revoke(revoked, Cause::Owner).await.unwrap();
    world.sweep().await;
    let issued = world.issue(&wish()).await;
    world.ledger.beat(boot(&world.clock)).await.unwrap();
    let (directory, clock, database) = stopped(world).await;
    std::fs::remove_dir_all(directory.path().join("store")).unwrap();
    copy(backup.path(), &directory.path().join("store"));
    let calls = database.calls();

    let mut world = opened(directory, clock, database).await;
    for _ in 0..2 {
        assert_eq!(world.ledger.hold().reason(), Some(Reason::Restored));
        world.clock.advance(TTL / 2);
        world.sweep().await;
        assert_eq!(world.database.calls(), calls, "nobody is revoked");
        assert!(world.database.is_usable(renewed) && world.database.is_usable(issued));
        assert_eq!(world.try_reserve(&wish()).await.unwrap_err().code(), "ledger_held");
        assert_eq!(world.ledger.renewable(revoked).await.unwrap_err().code(), "ledger_held");
        // A restart finds the same.
        let (directory, clock, database) = stopped(world).await;
        world = opened(directory, clock, database).await;
    }
    world.ledger.resume(boot(&world.clock)).await.unwrap();
    world.sweep().await;
    assert!(!world.database.is_usable(renewed), "now it is due");
    world.issue(&wish()).await;
    let (directory, clock, database) = stopped(world).await;
    let world = opened(directory, clock, database).await;
    assert_eq!(world.ledger.hold().reason(), None, "the confirmation lasts");
}

#[tokio::test]
async fn a_store_without_its_witness_and_a_witness_without_its_store_are_held() {
    for lost in ["witness", "store"] {
        let (directory, clock, database) = stopped(fresh().await).await;
        let path = directory.path().join(lost);
        match lost {
            "store" => std::fs::remove_dir_all(path).unwrap(),
            _ => std::fs::remove_file(path).unwrap(),
        }
        let world = opened(directory, clock, database).await;
        assert_eq!(world.ledger.hold().reason(), Some(Reason::Restored), "{lost}");
        world.ledger.resume(boot(&world.clock)).await.unwrap();
        world.issue(&wish()).await;
        let (directory, clock, database) = stopped(world).await;
        let world = opened(directory, clock, database).await;
        assert_eq!(world.ledger.hold().reason(), None, "{lost}");
    }
}

#[tokio::test]
async fn another_stores_witness_is_not_taken_for_ones_own() {
    let (mine, clock, database) = stopped(fresh().await).await;
    let (others, _, _) = stopped(fresh().await).await;
    std::fs::copy(witness(&others), witness(&mine)).unwrap();
    let world = opened(mine, clock, database).await;
    assert_eq!(world.ledger.hold().reason(), Some(Reason::Restored));
}

#[tokio::test]
async fn a_witness_that_cannot_be_read_is_an_error_and_not_a_hold() {
    for torn in [true, false] {
        let (directory, clock, _) = stopped(fresh().await).await;
        let path = witness(&directory);
        std::fs::remove_file(&path).unwrap();
        if torn {
            std::fs::write(&path, b"{\"lineage\":").unwrap();
        } else {
            std::fs::create_dir(&path).unwrap();
        }
        let store = sled_at(&directory, &clock);
        let place = (&*clock as &dyn Clock, boot(&clock));
        let error = Hold::assess(&store, path, place).await.unwrap_err();
        assert!(matches!(error, HoldError::Witness { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn beats_whose_witness_cannot_be_written_hold_nothing_at_the_next_start() {
    let directory = TempDir::new().unwrap();
    let place = directory.path().join("place");
    std::fs::create_dir(&place).unwrap();
    let path = place.join("witness");
    let world = World::new().await;
    let here = || (&*world.clock as &dyn Clock, boot(&world.clock));
    let hold = Hold::assess(&*world.store, path.clone(), here()).await.unwrap();
    let written = std::fs::read(&path).unwrap();
    std::fs::remove_dir_all(&place).unwrap();
    for _ in 0..5 {
        let beat = hold.beat(&*world.store, world.now(), boot(&world.clock)).await;
        assert!(matches!(beat, Err(HoldError::Witness { .. })), "{beat:?}");
        world.clock.advance(Duration::from_mins(1));
    }
    std::fs::create_dir(&place).unwrap();
    std::fs::write(&path, written).unwrap();
    let hold = Hold::assess(&*world.store, path, here()).await.unwrap();
    assert_eq!(hold.reason(), None);
}
