//! The clock jumps: while the ledger is open, and while it is not.

use super::*;

fn boot(id: &str, uptime: Duration) -> Option<Boot> {
    Some(Boot { id: id.to_owned(), uptime: u64::try_from(uptime.as_millis()).unwrap() })
}

#[tokio::test]
async fn a_jump_while_it_runs_ends_nothing_and_prolongs_nothing() {
    for (jump, ahead) in [(HOUR, true), (HOUR, false), (DAY, true), (DAY, false)] {
        let world = World::new().await;
        let id = world.issue(&wish()).await;
        let wall = world.clock.now();
        world.clock.jump_to(if ahead { wall.plus(jump) } else { wall.minus(jump) });
        world.drain().await;
        assert_eq!((world.state(id).await, world.database.calls()), ("active", 0));
        assert_eq!(world.now(), START);
        let offset = i64::try_from(jump.as_millis()).unwrap();
        assert_eq!(world.ledger.clock_offset(), if ahead { offset } else { -offset });
        let later = world.issue(&wish()).await;
        world.ledger.renewable(later).await.unwrap();
        world.clock.advance(TTL);
        world.drain().await;
        assert!(!world.database.is_usable(id) && !world.database.is_usable(later));
    }
}

/// The elapsed reading counts sleep (`SystemClock`), so that waking looks like this.
#[tokio::test]
async fn a_machine_that_slept_wakes_to_leases_that_have_ended() {
    let world = World::new().await;
    let (short, long) = (world.issue(&wish()).await, world.issue(&wish()).await);
    world.ledger.renewed(long, world.now().plus(CEILING)).await.unwrap();
    let asleep = HOUR / 2;
    world.clock.advance(asleep);
    assert_eq!(world.ledger.clock_offset(), 0, "to have slept is no jump");
    assert!(matches!(world.ledger.renewable(short).await, Err(LedgerError::Illegal(_))));
    world.drain().await;
    assert!(!world.database.is_usable(short) && world.database.is_usable(long));
    assert_eq!(world.state(long).await, "active");
}

/// Runs at an uptime of an hour, stops, and starts again when `passed` has gone by, with the wall
/// clock at `wall` after the last beat.
async fn restarted(passed: Duration, wall: i64, other_boot: bool) -> (World, TempDir) {
    let directory = TempDir::new().unwrap();
    let witness = directory.path().join("witness");
    let world = World::new().await;
    let place = (&*world.clock as &dyn Clock, boot("one", HOUR));
    let hold = Hold::assess(&*world.store, witness.clone(), place).await.unwrap();
    assert_eq!(hold.reason(), None);
    world.issue(&wish()).await;
    world.clock.jump_to(Timestamp::from_millis(START.millis() + wall));
    let now = if other_boot { boot("two", passed) } else { boot("one", HOUR + passed) };
    let place = (&*world.clock as &dyn Clock, now.clone());
    let hold = Hold::assess(&*world.store, witness.clone(), place).await.unwrap();
    let World { shelf, clock, database, .. } = world;
    (World::begin(shelf, clock, database, Some(hold)).await, directory)
}

#[tokio::test]
async fn a_jump_across_a_restart_is_told_from_a_stop() {
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap();
    let (hour, day) = (millis(HOUR), millis(DAY));
    let still = Duration::ZERO;
    for (passed, wall, other_boot, held) in [
        (still, 0, false, false),
        (still, hour, false, true),
        (still, -hour, false, true),
        (still, day, false, true),
        (still, -day, false, true),
        (DAY, day, false, false),
        (DAY, day + hour, false, true),
        (DAY, 0, false, false),
        (still, day, true, false),
        (still, 8 * day, true, true),
        (still, -day, true, true),
        (still, -hour, true, true),
        (still, -millis(Duration::from_mins(4)), true, false),
    ] {
        let (world, _directory) = restarted(passed, wall, other_boot).await;
        let expected = held.then_some(Reason::Clock);
        assert_eq!(world.ledger.hold().reason(), expected, "{passed:?} {wall} {other_boot}");
    }
}

#[tokio::test]
async fn a_create_that_lands_late_is_found_whatever_the_clock_did_meanwhile() {
    let minutes = Duration::from_mins;
    for (ahead, stopped) in
        [(minutes(4), minutes(0)), (minutes(0), minutes(4)), (minutes(5), minutes(1))]
    {
        let mut world = World::new().await;
        let reservation = world.reserve(&wish()).await;
        let id = reservation.id();
        let latest = ISSUE_WITHIN + symbolon_core::lease::LANDING_MARGIN;
        world.database.lands(id, latest - Duration::from_millis(1));
        world.ledger.fail(reservation, true).await;
        // Ahead, and ahead again: each is below what is taken for a jump.
        for _ in 0..2 {
            world.clock.advance(stopped);
            world.clock.jump_to(world.clock.now().plus(ahead));
            world = world.restart().await;
            world.clock.advance(Duration::from_secs(20));
            world.drain().await;
            assert_eq!(world.state(id).await, "revoking", "{ahead:?} {stopped:?}");
        }
        for _ in 0..4 {
            world.clock.advance(minutes(5));
            world.drain().await;
        }
        assert_eq!(world.state(id).await, "revoked");
        assert!(!world.database.is_usable(id), "{ahead:?} {stopped:?}: landed after it was over");
    }
}

#[tokio::test]
async fn a_held_ledger_ends_and_issues_nothing_until_an_operator_confirms() {
    let hour = i64::try_from(HOUR.as_millis()).unwrap();
    let (world, directory) = restarted(Duration::ZERO, hour, false).await;
    let id = world.leases().await[0].terms().id;
    world.drain().await;
    assert_eq!((world.state(id).await, world.database.calls()), ("active", 0));
    let refused = world.try_reserve(&wish()).await.unwrap_err();
    assert!(matches!(refused, LedgerError::Held(Reason::Clock)), "{refused:?}");
    assert_eq!(refused.kind(), symbolon_core::error::Kind::Unavailable);
    assert_eq!(world.ledger.renewable(id).await.unwrap_err().code(), "ledger_held");
    // Nothing that happens while it is held makes the next start forget why.
    world.ledger.beat(boot("one", HOUR)).await.unwrap();
    let place = (&*world.clock as &dyn Clock, boot("one", HOUR));
    let witness = directory.path().join("witness");
    let again = Hold::assess(&*world.store, witness, place).await.unwrap();
    assert_eq!(again.reason(), Some(Reason::Clock));
    // The clock is set right, and the ledger goes by it.
    world.clock.jump_to(START.plus(Duration::from_secs(5)));
    world.ledger.resume(boot("one", HOUR)).await.unwrap();
    assert_eq!((world.ledger.hold().reason(), world.now()), (None, world.clock.now()));
    world.drain().await;
    assert_eq!(world.state(id).await, "active");
    world.issue(&wish()).await;
    world.clock.advance(TTL);
    world.drain().await;
    assert!(!world.database.is_usable(id));
}

#[tokio::test]
async fn a_confirmation_that_cannot_be_written_changes_nothing() {
    let hour = i64::try_from(HOUR.as_millis()).unwrap();
    let (world, _directory) = restarted(Duration::ZERO, hour, false).await;
    world.memory().fail_next(Fault::Refused);
    world.ledger.resume(boot("one", HOUR)).await.unwrap_err();
    assert_eq!(world.ledger.hold().reason(), Some(Reason::Clock));
    world.drain().await;
    assert_eq!(world.database.calls(), 0);
}
