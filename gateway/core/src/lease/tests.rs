mod model;
mod share;

use proptest::prelude::*;

use super::index::{self, Queue};
use super::*;
use crate::clock::Timestamp;
use crate::id::{BackendName, IssuerAlias, LeaseId, PluginName, RoleName};
use crate::principal::Identity;

const START: i64 = 1_793_520_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(START + seconds)
}

fn terms(recovery: Recovery) -> Terms {
    Terms {
        id: LeaseId::new(at(0), 77),
        owner: Identity {
            issuer: IssuerAlias::parse("prod").unwrap(),
            subject: String::from("system:serviceaccount:a:b"),
        },
        backend: BackendName::parse("pg").unwrap(),
        role: RoleName::parse("readonly").unwrap(),
        maker: Maker {
            plugin: PluginName::parse("postgres").unwrap(),
            version: String::from("0.1.0"),
            digest: String::from("sha256:00"),
        },
        recovery,
        reserved_at: at(0),
        issue_by: at(30),
        ends_by: at(1800),
        token: [7; 32],
        share: Share::Alone,
    }
}

fn reserved() -> Reserved {
    Reserved::new(terms(Recovery::Named))
}

fn issued(seconds: i64) -> Issued {
    let handle = SealedHandle::from_wrapped(vec![1, 2, 3]);
    Issued { handle, expires_at: at(seconds), renewable: true, revocable: true }
}

fn active() -> Active {
    reserved().activate(issued(600), at(5)).unwrap()
}

#[test]
fn activation_is_refused_late_beyond_the_permit_and_expired() {
    for (expires, now, expected) in [
        (600, 5, None),
        (600, 30, None),
        (1800, 5, None),
        (600, 31, Some(Illegal::TooLate)),
        (1801, 5, Some(Illegal::BeyondCeiling)),
        (5, 5, Some(Illegal::Expired)),
    ] {
        let outcome = reserved().activate(issued(expires), at(now));
        assert_eq!(outcome.err().map(|(_, illegal)| illegal), expected, "{expires} {now}");
    }
}

#[test]
fn a_renewal_moves_the_end_within_the_permit_and_never_wakes_the_dead() {
    for (until, now, expected) in [
        (1200, 10, None),
        (600, 10, None),
        (1800, 598, None),
        (1800, 599, Some(Illegal::Expired)),
        (1801, 10, Some(Illegal::BeyondCeiling)),
        (599, 10, Some(Illegal::Shortens)),
        (1200, 600, Some(Illegal::Expired)),
        (1200, 601, Some(Illegal::Expired)),
    ] {
        match active().renew(at(until), at(now)) {
            Ok(renewed) => {
                assert_eq!(expected, None);
                assert_eq!((renewed.expires_at(), renewed.renewals()), (at(until), 1));
            }
            Err((unchanged, illegal)) => {
                assert_eq!(Some(illegal), expected, "{until} {now}");
                assert_eq!(*unchanged, active());
            }
        }
    }
}

#[test]
fn a_lost_answer_is_looked_for_until_it_can_no_longer_land() {
    let landing = 30 + i64::try_from(LANDING_MARGIN.as_secs()).unwrap();
    let day = Recovery::Expires { within_millis: 86_400_000 };
    for (recovery, certain_from) in
        [(Recovery::Named, landing), (Recovery::Listable, landing), (day, landing + 86_400)]
    {
        let condemned = Reserved::new(terms(recovery)).condemn(None, Cause::LostAnswer, at(31));
        let Confirmed::LookAgain(again) = condemned.clone().confirmed(Evidence::Verified, at(32))
        else {
            panic!("{recovery:?}: not there does not yet mean gone");
        };
        assert!(again.next_attempt_at > at(32) && again.next_attempt_at <= at(certain_from));
        assert!(matches!(
            again.confirmed(Evidence::Verified, at(certain_from)),
            Confirmed::Gone(_)
        ));
    }
}

#[test]
fn what_was_seen_to_exist_is_gone_when_it_is_gone() {
    let revoking = active().revoke(Cause::Owner, at(10));
    for (evidence, proof) in [
        (Evidence::Acknowledged, Proof::Acknowledged),
        (Evidence::Verified, Proof::Verified),
        (Evidence::Probed, Proof::Probed),
    ] {
        let Confirmed::Gone(revoked) = revoking.clone().confirmed(evidence, at(11)) else {
            panic!("still there")
        };
        assert_eq!((revoked.revoked_at(), revoked.proof()), (at(11), proof));
        assert_eq!(proof.evidence(), Some(evidence));
    }
}

#[test]
fn what_cannot_be_revoked_is_over_when_its_time_is() {
    let token = Issued { revocable: false, ..issued(600) };
    let active = reserved().activate(token, at(5)).unwrap();
    let revoking = active.revoke(Cause::Owner, at(10));
    assert!(!revoking.is_reachable());
    assert_eq!(revoking.next_attempt_at(), at(600));
    assert!(matches!(
        revoking.clone().confirmed(Evidence::Acknowledged, at(599)),
        Confirmed::LookAgain(_)
    ));
    let Confirmed::Gone(revoked) = revoking.confirmed(Evidence::Acknowledged, at(600)) else {
        panic!("still there")
    };
    assert_eq!(revoked.proof(), Proof::RanOut);
}

#[test]
fn an_answer_counts_for_when_the_backend_was_asked() {
    let landing = 30 + i64::try_from(LANDING_MARGIN.as_secs()).unwrap();
    let condemned = || reserved().condemn(None, Cause::LostAnswer, at(31));
    let early = condemned().confirmed_as_of(Evidence::Verified, at(landing - 1), at(landing + 1));
    assert!(matches!(early, Confirmed::LookAgain(_)), "it may have landed since");
    let late = condemned().confirmed_as_of(Evidence::Verified, at(landing), at(landing + 1));
    let Confirmed::Gone(revoked) = late else { panic!("still there") };
    assert_eq!(revoked.revoked_at(), at(landing + 1));
}

#[test]
fn what_cannot_be_revoked_is_not_renewed() {
    let token = Issued { revocable: false, ..issued(600) };
    assert!(!reserved().activate(token, at(5)).unwrap().is_renewable());
    assert!(active().is_renewable());
}

#[test]
fn counts_change_when_a_lease_begins_and_when_it_is_over() {
    let count = |before: Option<&Lease>, after: Option<&Lease>| {
        let counts = index::changes(before, after).count;
        counts.iter().map(|(quota, by)| (quota.as_str(), *by)).collect::<Vec<_>>()
    };
    let begun = Lease::begin(reserved());
    let whose = |by| [("principal", by), ("role", by), ("backend", by)];
    assert_eq!(count(None, Some(&begun)), [&whose(1)[..], &[("state", 1)]].concat());
    let active = Lease::following(1, active());
    assert_eq!(count(Some(&begun), Some(&active)), [("state", -1), ("state", 1)]);
    assert_eq!(count(Some(&active), Some(&active)), []);
    let revoked = Lease::following(2, reserved().abandon(at(9)));
    let over = [&whose(-1)[..], &[("state", -1), ("state", 1)]].concat();
    assert_eq!(count(Some(&active), Some(&revoked)), over);
    assert_eq!(count(Some(&revoked), None), [("state", -1)]);
}

#[test]
fn an_order_means_what_was_reserved_before_it() {
    let order = |scope, seconds| Order {
        scope,
        cause: Cause::Cascade,
        reserved_until: at(seconds),
        given_at: at(seconds),
    };
    let terms = terms(Recovery::Named);
    for scope in [
        Scope::Everything,
        Scope::Backend(terms.backend.clone()),
        Scope::Role { backend: terms.backend.clone(), role: terms.role.clone() },
        Scope::Issuer(terms.owner.issuer.clone()),
        Scope::of(&terms.owner),
        Scope::Token { digest: terms.token },
    ] {
        assert!(order(scope.clone(), 0).covers(&terms), "{scope}");
        assert!(!order(scope.clone(), -1).covers(&terms), "{scope}");
        let (place, prefix) = scope.span();
        let entries = index::entries(&Lease::begin(reserved()));
        let found = |(at, key): &(index::Place, Vec<u8>)| *at == place && key.starts_with(&prefix);
        assert!(place == index::Place::State || entries.iter().any(found), "{scope}");
    }
    assert!(!Scope::Token { digest: [8; 32] }.covers(&terms));
}

#[test]
fn attempts_are_never_given_up_and_their_pauses_are_capped() {
    let mut revoking = active().revoke(Cause::Expired, at(600));
    let mut now = at(600);
    for attempt in 1..=1000_u32 {
        revoking = revoking.failed(now);
        let pause = revoking.next_attempt_at.since(now);
        assert!(pause <= RETRY_PAUSE.1 && pause >= RETRY_PAUSE.0 * 4 / 5, "{attempt}: {pause:?}");
        assert_eq!(revoking.attempts(), attempt);
        now = revoking.next_attempt_at;
    }
    assert!(now.since(at(600)) > RETRY_PAUSE.1 * 700);
}

#[test]
fn the_record_has_this_shape() {
    let json = serde_json::to_string(&Lease::following(1, active())).unwrap();
    assert!(json.contains(r#""issuer":"prod","subject":"system:serviceaccount:a:b""#), "{json}");
    assert!(json.contains(r#""revision":2,"state":{"active":{"handle":"AQID""#), "{json}");
    let unknown = json.replace("\"revision\"", "\"extra\":1,\"revision\"");
    assert!(serde_json::from_str::<Lease>(&unknown).is_err());
}

#[test]
fn every_proof_is_read_under_the_name_that_views_show() {
    let revoking = active().revoke(Cause::Owner, at(10));
    let Confirmed::Gone(revoked) = revoking.confirmed(Evidence::Verified, at(11)) else {
        panic!("still there")
    };
    let written = serde_json::to_string(&Lease::following(2, revoked)).unwrap();
    for proof in [
        Proof::NeverIssued,
        Proof::Acknowledged,
        Proof::Verified,
        Proof::Probed,
        Proof::RanOut,
        Proof::Forced,
    ] {
        let named = format!(r#""proof":"{}""#, proof.as_str());
        let record = written.replace(r#""proof":"verified""#, &named);
        let lease: Lease = serde_json::from_str(&record).unwrap();
        let Phase::Revoked(revoked) = lease.phase() else { panic!("it is over") };
        assert_eq!(revoked.proof(), proof);
        assert_eq!(serde_json::to_string(&lease).unwrap(), record);
    }
}

#[test]
fn one_name_is_never_a_prefix_of_another() {
    let name = |text| BackendName::parse(text).unwrap();
    assert!(!index::backend_prefix(&name("pgx")).starts_with(&index::backend_prefix(&name("pg"))));
    let of = |issuer: &str, subject: &str| {
        let issuer = IssuerAlias::parse(issuer).unwrap();
        index::owner_prefix(&Identity { issuer, subject: subject.to_owned() })
    };
    assert!(!of("prod", "ab").starts_with(&of("prod", "a")));
    assert!(
        of("prod", "a").starts_with(&index::issuer_prefix(&IssuerAlias::parse("prod").unwrap()))
    );
    assert!(!of("production", "a").starts_with(&of("prod", "a")));
}

/// What may happen to a lease, in any order and at any time.
#[derive(Clone, Debug)]
enum Event {
    Activate(i64),
    Renew(i64),
    Revoke,
    Fail,
    Confirm,
    Force,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..2000_i64).prop_map(Event::Activate),
        (0..2000_i64).prop_map(Event::Renew),
        Just(Event::Revoke),
        Just(Event::Fail),
        Just(Event::Confirm),
        Just(Event::Force),
    ]
}

/// Applies the event if the state has such an arrow.
fn step(phase: Phase, event: &Event, now: Timestamp) -> Phase {
    match (phase, event) {
        (Phase::Reserved(lease), Event::Activate(end)) => match lease.activate(issued(*end), now) {
            Ok(active) => active.into(),
            Err((lease, _)) => lease.condemn(Some(issued(0)), Cause::Condemned, now).into(),
        },
        (Phase::Reserved(lease), Event::Revoke) => {
            lease.condemn(None, Cause::LostAnswer, now).into()
        }
        (Phase::Reserved(lease), Event::Fail) => lease.abandon(now).into(),
        (Phase::Active(lease), Event::Renew(end)) => match lease.renew(at(*end), now) {
            Ok(active) => active.into(),
            Err((lease, _)) => (*lease).into(),
        },
        (Phase::Active(lease), Event::Revoke) => lease.revoke(Cause::Owner, now).into(),
        (Phase::Revoking(lease), Event::Fail) => lease.failed(now).into(),
        (Phase::Revoking(lease), Event::Force) => lease.force(now).into(),
        (Phase::Revoking(lease), Event::Confirm) => {
            match lease.confirmed(Evidence::Verified, now) {
                Confirmed::Gone(revoked) => revoked.into(),
                Confirmed::LookAgain(again) => again.into(),
            }
        }
        (phase, _) => phase,
    }
}

fn rank(phase: &Phase) -> u8 {
    match phase {
        Phase::Reserved(_) => 0,
        Phase::Active(_) => 1,
        Phase::Revoking(_) => 2,
        Phase::Revoked(_) => 3,
    }
}

proptest! {
    #[test]
    fn no_history_goes_back_outlives_the_permit_or_loses_an_index_entry(
        history in proptest::collection::vec((event(), 0..120_i64), 1..40)
    ) {
        let mut lease = Lease::begin(reserved());
        let mut ledger = std::collections::BTreeSet::new();
        ledger.extend(index::changes(None, Some(&lease)).put);
        let mut now = at(0);
        for (event, passes) in history {
            now = now.plus(std::time::Duration::from_secs(passes.unsigned_abs()));
            let before = lease.clone();
            let (revision, phase) = lease.into_parts();
            let next = Lease::following(revision, step(phase, &event, now));
            prop_assert!(rank(next.phase()) >= rank(before.phase()));
            prop_assert_eq!(next.terms(), before.terms());
            if let Phase::Active(active) = next.phase() {
                prop_assert!(active.expires_at() <= active.terms().ends_by);
            }
            if let (Phase::Revoked(_), Event::Fail) = (next.phase(), &event) {
                prop_assert!(rank(before.phase()) != 2, "a failed attempt ended the lease");
            }
            let changes = index::changes(Some(&before), Some(&next));
            for entry in &changes.delete {
                prop_assert!(ledger.remove(entry), "deleted what was not there");
            }
            ledger.extend(changes.put);
            let expected: std::collections::BTreeSet<_> = index::entries(&next).into_iter().collect();
            prop_assert_eq!(&ledger, &expected);
            let bytes = serde_json::to_vec(&next).unwrap();
            prop_assert_eq!(&serde_json::from_slice::<Lease>(&bytes).unwrap(), &next);
            lease = next;
        }
        let forgotten = index::changes(Some(&lease), None);
        prop_assert_eq!(forgotten.delete.len(), ledger.len());
    }

    #[test]
    fn the_due_index_sorts_by_time(one in 0..i64::MAX / 2, other in 0..i64::MAX / 2) {
        let id = LeaseId::new(at(0), 1);
        let pg = BackendName::parse("pg").unwrap();
        let queue = Queue::Backend(pg);
        let key = |millis| queue.entry(Timestamp::from_millis(millis), id);
        prop_assert_eq!(key(one).cmp(&key(other)), one.cmp(&other));
        prop_assert_eq!(index::lease_of(&key(one)), Some(id));
        let due = Some((queue.clone(), Timestamp::from_millis(one)));
        prop_assert_eq!(index::due_of(&key(one)), due);
        prop_assert!(key(one) < queue.behind());
        let next = Queue::Backend(BackendName::parse("pg-a").unwrap());
        prop_assert!(next.entry(Timestamp::from_millis(0), id) > queue.behind());
        let first = Queue::Ledger.entry(Timestamp::from_millis(one), id);
        prop_assert!(first < Queue::Ledger.behind() && Queue::Ledger.behind() < key(0));
        prop_assert_eq!(index::due_of(&first), Some((Queue::Ledger, Timestamp::from_millis(one))));
    }
}
