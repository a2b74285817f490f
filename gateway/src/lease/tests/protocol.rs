//! One lease, step by step.

use symbolon_core::lease::{LANDING_MARGIN, REMEMBERED};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn code<T: std::fmt::Debug>(outcome: Result<T, LedgerError>) -> &'static str {
    outcome.unwrap_err().code()
}

#[tokio::test]
async fn every_step_is_there_after_a_restart() {
    let world = World::on_disk().await;
    let reservation = world.reserve(&wish()).await;
    let id = reservation.id();
    let world = world.restart().await;
    assert_eq!(world.state(id).await, "reserved");
    world.database.create(id);
    world.ledger.activate(reservation, world.issued(TTL)).await.unwrap();
    let world = world.restart().await;
    assert_eq!(world.state(id).await, "active");
    world.clock.advance(SECOND * 60);
    let until = world.now().plus(TTL);
    world.ledger.renewed(id, until).await.unwrap();
    let world = world.restart().await;
    let lease = world.ledger.find(id).await.unwrap().unwrap();
    assert_eq!((lease.expires_at, lease.renewals), (Some(until), 1));
    world.check(&BTreeSet::new()).await;
    world.clock.advance(TTL);
    world.sweep().await;
    assert!(!world.database.is_usable(id));
    let world = world.restart().await;
    assert_eq!((world.state(id).await, world.proof(id).await), ("revoked", Some(Proof::Verified)));
    world.check(&BTreeSet::new()).await;
    world.clock.advance(REMEMBERED);
    world.sweep().await;
    let world = world.restart().await;
    assert_eq!(world.state(id).await, "forgotten");
    world.check(&BTreeSet::new()).await;
    assert!(world.keys(Namespace::LeaseQuota).await.is_empty());
}

#[tokio::test]
async fn half_an_hour_on_everything_due_is_ended_in_the_same_sweep() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for name in ["db", "db-a", "dc"] {
        ids.extend(world.issue_many(30, &Wish { backend: name, ..wish() }).await);
    }
    let reserved = world.reserve(&Wish { backend: "zz", ..wish() }).await.id();
    world.database.create(reserved);
    world.sweep().await;
    assert_eq!(world.database.calls(), 0);
    world.clock.advance(Duration::from_mins(30));
    world.sweep().await;
    for id in ids {
        assert!(!world.database.is_usable(id));
        assert_eq!(world.state(id).await, "revoked");
    }
    assert!(!world.database.is_usable(reserved));
    world.check(&BTreeSet::new()).await;
}

#[tokio::test]
async fn what_certainly_was_not_issued_is_over_at_once() {
    let world = World::new().await;
    let reservation = world.reserve(&wish()).await;
    let id = reservation.id();
    world.ledger.fail(reservation, false).await;
    assert_eq!(world.proof(id).await, Some(Proof::NeverIssued));
    world.clock.advance(HOUR);
    world.drain().await;
    assert_eq!(world.database.calls(), 0);
    world.check(&BTreeSet::new()).await;
}

#[tokio::test]
async fn a_create_that_lands_late_is_found_until_none_can_land_any_more() {
    for recovery in [Recovery::Named, Recovery::Listable] {
        let world = World::new().await;
        let reservation = world.reserve(&Wish { recovery, ..wish() }).await;
        let id = reservation.id();
        world.database.lands(id, ISSUE_WITHIN + LANDING_MARGIN - SECOND);
        world.ledger.fail(reservation, true).await;
        world.drain().await;
        assert_eq!((world.database.calls_for(id), world.state(id).await), (1, "revoking"));
        for _ in 0..(ISSUE_WITHIN + LANDING_MARGIN).as_secs() {
            world.check(&BTreeSet::new()).await;
            world.clock.advance(SECOND);
            world.sweep().await;
        }
        assert!(!world.database.is_usable(id), "{recovery:?}");
        assert_eq!(world.state(id).await, "revoked");
        assert!(world.database.calls_for(id) <= 4, "it is not asked all the time");
        world.check(&BTreeSet::new()).await;
    }
}

#[tokio::test]
async fn what_cannot_be_found_is_over_when_its_time_is_and_nobody_is_asked() {
    let world = World::new().await;
    let recovery = Recovery::Expires { within_millis: 3_600_000 };
    let reservation = world.reserve(&Wish { recovery, ..wish() }).await;
    let id = reservation.id();
    world.ledger.fail(reservation, true).await;
    let over = ISSUE_WITHIN + LANDING_MARGIN + HOUR;
    world.drain().await;
    world.clock.advance(over - SECOND);
    world.drain().await;
    assert_eq!(world.state(id).await, "revoking");
    world.clock.advance(SECOND);
    world.drain().await;
    assert_eq!((world.state(id).await, world.proof(id).await), ("revoked", Some(Proof::RanOut)));
    assert_eq!(world.database.calls(), 0);
}

#[tokio::test]
async fn what_the_backend_cannot_end_lasts_until_its_time_is_over() {
    let world = World::new().await;
    let reservation = world.reserve(&wish()).await;
    let id = reservation.id();
    let issued = Issued { revocable: false, ..world.issued(TTL) };
    world.ledger.activate(reservation, issued).await.unwrap();
    let lease = world.ledger.revoke(id, Cause::Owner).await.unwrap();
    assert_eq!((lease.state, lease.revocable), ("revoking", false));
    world.drain().await;
    assert_eq!(world.state(id).await, "revoking");
    world.clock.advance(TTL);
    world.drain().await;
    assert_eq!((world.proof(id).await, world.database.calls()), (Some(Proof::RanOut), 0));
}

#[tokio::test]
async fn an_activation_that_is_refused_is_ended_by_its_handle() {
    for (late, ttl, expected) in [
        (SECOND * 31, TTL, "lease_too_late"),
        (Duration::ZERO, CEILING + SECOND, "lease_beyond_ceiling"),
        (Duration::ZERO, Duration::ZERO, "lease_expired"),
    ] {
        let world = World::new().await;
        let reservation = world.reserve(&wish()).await;
        let id = reservation.id();
        world.database.create(id);
        world.clock.advance(late);
        let issued = world.issued(ttl);
        assert_eq!(code(world.ledger.activate(reservation, issued).await), expected);
        assert_eq!(world.state(id).await, "revoking");
        world.drain().await;
        assert!(!world.database.is_usable(id));
        assert!(world.database.with(|inner| inner.calls.iter().all(|(_, _, handle)| *handle)));
    }
}

#[tokio::test]
async fn an_answer_that_comes_after_the_end_began_still_tells_by_what_it_is_found() {
    for by_reaper in [true, false] {
        let world = World::new().await;
        let reservation = world.reserve(&wish()).await;
        let id = reservation.id();
        if by_reaper {
            world.clock.advance(SECOND * 31);
            world.drain().await;
        } else {
            world.ledger.revoke(id, Cause::Owner).await.unwrap();
        }
        world.database.create(id);
        let issued = world.issued(TTL);
        let refused = code(world.ledger.activate(reservation, issued).await);
        assert_eq!(refused, if by_reaper { "lease_too_late" } else { "lease_ending" });
        assert_eq!(world.state(id).await, "revoking");
        world.clock.advance(LANDING_MARGIN + ISSUE_WITHIN);
        world.drain().await;
        assert!(!world.database.is_usable(id));
        let last = world.database.with(|inner| inner.calls.last().cloned());
        assert_eq!(last, Some((backend("db"), id, true)), "by reaper: {by_reaper}");
        assert_eq!(world.state(id).await, "revoked");
    }
}

#[tokio::test]
async fn an_activation_of_which_nobody_knows_whether_it_was_written_is_ended() {
    for fault in [Fault::AnswerLost, Fault::Refused] {
        let world = World::new().await;
        let reservation = world.reserve(&wish()).await;
        let id = reservation.id();
        world.database.create(id);
        world.memory().fail_next(fault);
        let issued = world.issued(TTL);
        let error = world.ledger.activate(reservation, issued).await.unwrap_err();
        assert!(matches!(error, LedgerError::Store(_)), "{error:?}");
        world.drain().await;
        assert!(!world.database.is_usable(id), "{fault:?}");
        assert!(world.ledger.of(&owner("alice"), FIRST).await.unwrap().leases.len() <= 1);
        world.check(&BTreeSet::new()).await;
    }
}

const FIRST: After = After { lease: None, limit: 100 };

#[tokio::test]
async fn a_reservation_of_which_nobody_knows_whether_it_was_written_issues_nothing_and_ends() {
    for fault in [Fault::AnswerLost, Fault::Refused] {
        let world = World::new().await;
        world.memory().fail_next(fault);
        let error = world.try_reserve(&wish()).await.unwrap_err();
        assert!(matches!(error, LedgerError::Store(_)), "{error:?}");
        world.clock.advance(ISSUE_WITHIN);
        world.drain().await;
        world.clock.advance(LANDING_MARGIN);
        world.drain().await;
        assert_eq!(world.count(Quota::Principal(owner("alice"))).await, 0);
        world.check(&BTreeSet::new()).await;
    }
}

#[tokio::test]
async fn a_renewal_stays_within_the_permit_and_wakes_nothing() {
    let world = World::new().await;
    let id = world.issue(&wish()).await;
    let at = |passed: Duration| START.plus(passed);
    for (passed, until, expected) in [
        (Duration::from_secs(10), at(CEILING), None),
        (Duration::from_secs(10), at(CEILING + SECOND), Some("lease_beyond_ceiling")),
        (Duration::from_secs(10), at(TTL - SECOND), Some("lease_shortens")),
        (TTL - Duration::from_millis(1001), at(CEILING), None),
        (TTL - SECOND, at(CEILING), Some("lease_expired")),
        (TTL, at(CEILING), Some("lease_expired")),
        (TTL + HOUR * 24, at(CEILING), Some("lease_expired")),
    ] {
        let world = World::new().await;
        let id = world.issue(&wish()).await;
        world.clock.advance(passed);
        let renewed = world.ledger.renewed(id, until).await;
        assert_eq!(renewed.err().map(|error| error.code()), expected, "{passed:?} {until}");
        if expected == Some("lease_expired") {
            assert_eq!(code(world.ledger.renewable(id).await), "lease_expired");
        }
    }
    let reservation = world.reserve(&wish()).await;
    let fixed = reservation.id();
    assert_eq!(code(world.ledger.renewable(fixed).await), "lease_ending");
    let issued = Issued { renewable: false, ..world.issued(TTL) };
    world.ledger.activate(reservation, issued).await.unwrap();
    assert_eq!(code(world.ledger.renewable(fixed).await), "lease_not_renewable");
    world.ledger.revoke(id, Cause::Owner).await.unwrap();
    assert_eq!(code(world.ledger.renewable(id).await), "lease_ending");
    assert_eq!(code(world.ledger.renewed(id, at(CEILING)).await), "lease_ending");
    let unknown = LeaseId::new(START, 1);
    assert_eq!(code(world.ledger.renewable(unknown).await), "lease_unknown");
}

#[tokio::test]
async fn an_expiry_that_was_renewed_a_moment_before_ends_nothing() {
    let world = World::new().await;
    let id = world.issue(&wish()).await;
    world.clock.advance(TTL - SECOND * 2);
    // The reaper has read the lease as due before, in the ledger's eyes, it was renewed.
    world.ledger.renewed(id, world.now().plus(TTL)).await.unwrap();
    world.clock.advance(SECOND * 3);
    world.drain().await;
    assert_eq!((world.state(id).await, world.database.calls()), ("active", 0));
}

#[tokio::test]
async fn revoking_twice_is_revoking_once() {
    let world = World::new().await;
    let id = world.issue(&wish()).await;
    let first = world.ledger.revoke(id, Cause::Owner).await.unwrap();
    let commits = world.memory().commits();
    assert_eq!(world.ledger.revoke(id, Cause::Operator).await.unwrap(), first);
    world.ledger.condemn(id).await;
    assert_eq!(world.memory().commits(), commits);
    world.drain().await;
    assert_eq!(world.ledger.revoke(id, Cause::Operator).await.unwrap().state, "revoked");
    assert_eq!(world.database.calls(), 1);
    assert_eq!(
        code(world.ledger.revoke(LeaseId::new(START, 1), Cause::Owner).await),
        "lease_unknown"
    );
}

#[tokio::test]
async fn only_what_is_being_ended_can_be_forced() {
    let world = World::new().await;
    world.database.feel("db", Mood::Down);
    let id = world.issue(&wish()).await;
    assert_eq!(code(world.ledger.force(id).await), "lease_ending");
    world.ledger.revoke(id, Cause::Owner).await.unwrap();
    world.drain().await;
    assert_eq!(world.ledger.force(id).await.unwrap().proof, Some(Proof::Forced));
    assert_eq!(code(world.ledger.force(id).await), "lease_ending");
    assert_eq!(world.database.with(|inner| inner.over.clone()), [(id, Proof::Forced)]);
    let calls = world.database.calls();
    world.clock.advance(HOUR);
    world.drain().await;
    assert_eq!(world.database.calls(), calls, "the ledger has stopped trying");
    world.check(&BTreeSet::from([id])).await;
}

#[tokio::test]
async fn what_is_somebody_elses_and_what_is_not_there_answer_alike() {
    let world = World::new().await;
    let id = world.issue(&wish()).await;
    let not_there = LeaseId::new(START, 1);
    let mallory = owner("mallory");
    for lease in [id, not_there] {
        assert_eq!(code(world.ledger.find_of(&mallory, lease).await), "lease_unknown");
        let page = After { lease: Some(lease), limit: 10 };
        assert_eq!(world.ledger.of(&mallory, page).await.unwrap().leases, []);
    }
}
