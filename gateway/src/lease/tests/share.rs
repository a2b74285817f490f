//! One credential for several callers: who gets it, what ends with whom, and when.

use symbolon_core::lease::{OnRevoke, SHARERS_FIRST};

use super::*;
use crate::lease::share::offer_key;

pub(super) const PLAN: Carriage = Carriage { on_revoke: OnRevoke::Rotate, ceiling: CEILING };

pub(super) fn newcomer(wish: &Wish) -> Newcomer {
    let of = terms(LeaseId::new(START, 1), START, wish);
    Newcomer {
        owner: of.owner,
        token: of.token,
        backend: of.backend,
        role: of.role,
        agreed: Agreed {
            maker: of.maker,
            recovery: of.recovery,
            ttl: TTL,
            issue_within: ISSUE_WITHIN,
            limits: wish.limits,
        },
        settings: Settings([7; 32]),
        ttl: TTL,
        ceiling: CEILING,
    }
}

pub(super) fn who(subject: &str) -> Newcomer {
    newcomer(&Wish { subject: subject.to_owned(), ..wish() })
}

fn secret_of(carrier: LeaseId) -> Key {
    Namespace::Sealed.key(kept_as(carrier))
}

impl World {
    /// Issues a credential for `newcomer`, who is the first to share it: carrier and lease.
    pub(super) async fn issue_shared(&self, newcomer: &Newcomer, plan: Carriage) -> [LeaseId; 2] {
        let reservation = self.ledger.reserve_carrier(newcomer, plan).await.unwrap();
        let carrier = reservation.id();
        self.database.create(carrier);
        self.keep(carrier).await;
        let issued = self.issued(reservation.ttl());
        let lease = self.ledger.activate_carrier(reservation, issued, newcomer).await.unwrap();
        assert_eq!((lease.carrier, lease.state), (Some(carrier), "active"));
        [carrier, lease.id]
    }

    /// What the line does before a carrier is activated.
    pub(super) async fn keep(&self, carrier: LeaseId) {
        assert!(self.try_keep(carrier).await);
    }

    pub(super) async fn try_keep(&self, carrier: LeaseId) -> bool {
        let write = crate::store::Transaction::new().put(secret_of(carrier), vec![1]);
        self.store.commit(write).await.is_ok()
    }

    async fn is_kept(&self, carrier: LeaseId) -> bool {
        self.store.get(&secret_of(carrier)).await.unwrap().is_some()
    }

    pub(super) async fn join(&self, newcomer: &Newcomer) -> LeaseId {
        let offer = self.ledger.offer(newcomer).await.unwrap().expect("an offer");
        self.ledger.join(newcomer, &offer).await.unwrap().id
    }

    async fn is_offered(&self) -> bool {
        self.ledger.offer(&who("anybody")).await.unwrap().is_some()
    }

    async fn ends_at(&self, id: LeaseId) -> Timestamp {
        self.ledger.find(id).await.unwrap().unwrap().expires_at.unwrap()
    }

    /// What holds of shared credentials at any moment.
    pub(super) async fn check_shared(&self, leases: &[Lease]) {
        let of = |id: LeaseId| leases.iter().find(move |lease| lease.terms().id == id);
        for carrier in leases.iter().filter(|lease| lease.terms().carries().is_some()) {
            let id = carrier.terms().id;
            let sharers = leases.iter().filter(|l| l.is_live() && l.terms().carrier() == Some(id));
            let sharers: Vec<_> = sharers.collect();
            let Phase::Active(active) = carrier.phase() else {
                let ordered =
                    |l: &&Lease| self.ledger.pending_orders().iter().any(|o| o.covers(l.terms()));
                assert!(sharers.iter().all(ordered), "{id} is ending, and shared without an order");
                continue;
            };
            assert!(!sharers.is_empty(), "{id} is active, and nobody shares it");
            assert!(self.is_kept(id).await, "{id} is active, and not kept");
            for sharer in sharers {
                let Phase::Active(sharer) = sharer.phase() else { panic!("{sharer:?}") };
                assert!(sharer.expires_at() <= active.expires_at(), "{sharer:?} {active:?}");
            }
        }
        for key in self.keys(Namespace::Sealed).await {
            let id = std::str::from_utf8(key.tail()).unwrap().strip_prefix("shared/").unwrap();
            let owner = of(LeaseId::parse(id).unwrap());
            assert!(owner.is_some_and(Lease::is_live), "kept for nobody: {id}");
        }
    }
}

#[tokio::test]
async fn many_have_one_credential_and_it_ends_with_the_last() {
    let world = World::new().await;
    let [carrier, first] = world.issue_shared(&who("alice"), PLAN).await;
    let second = world.join(&who("bob")).await;
    let third = world.join(&who("alice")).await;
    assert_eq!(world.database.with(|inner| inner.usable.len()), 1);
    for (whose, count) in [
        (Quota::Principal(owner("alice")), 2),
        (Quota::Principal(owner("bob")), 1),
        (Quota::Principal(Identity::of_gateway()), 0),
        (Quota::Role(backend("db"), role("reader")), 1),
        (Quota::Backend(backend("db")), 1),
        (Quota::Carrier(carrier), 3),
    ] {
        assert_eq!(world.count(whose.clone()).await, count, "{whose:?}");
    }
    let page = world.ledger.of(&owner("alice"), After { lease: None, limit: 9 }).await.unwrap();
    let ids: BTreeSet<_> = page.leases.iter().map(|lease| lease.id).collect();
    assert_eq!(ids, BTreeSet::from([first, third]));
    let of_gateway = world.ledger.find_of(&Identity::of_gateway(), carrier).await;
    assert!(matches!(of_gateway, Err(LedgerError::Unknown)), "nobody's");

    for (lease, left) in [(first, 2), (third, 1)] {
        let over = world.ledger.revoke(lease, Cause::Owner).await.unwrap();
        assert_eq!((over.state, over.proof), ("revoked", Some(Proof::Shared)));
        world.drain().await;
        assert_eq!((world.count(Quota::Carrier(carrier)).await, world.database.calls()), (left, 0));
        assert!(world.database.is_usable(carrier) && world.is_offered().await);
    }
    world.ledger.revoke(second, Cause::Owner).await.unwrap();
    assert_eq!(world.state(carrier).await, "revoking");
    assert!(!world.is_offered().await);
    world.check(&BTreeSet::new()).await;
    world.drain().await;
    assert_eq!(world.state(carrier).await, "revoked");
    assert!(!world.database.is_usable(carrier) && !world.is_kept(carrier).await);
    assert_eq!(world.database.calls(), 1, "asked once, for the credential");
    world.clock.advance(DAY + HOUR);
    world.drain().await;
    assert_eq!(world.leases().await, []);
    world.check(&BTreeSet::new()).await;
}

#[tokio::test]
async fn sharers_expire_although_the_backend_is_down_and_the_carrier_follows() {
    let world = World::new().await;
    let long = Newcomer { ttl: TTL * 2, ..who("alice") };
    let [carrier, first] = world.issue_shared(&long, PLAN).await;
    let second = world.join(&who("bob")).await;
    assert_eq!(world.ends_at(second).await, world.now().plus(TTL));
    let other = world.issue(&wish()).await;
    world.database.feel("db", Mood::Down);
    world.ledger.revoke(other, Cause::Owner).await.unwrap();
    world.drain().await;
    let calls = world.database.calls();
    world.clock.advance(TTL);
    world.sweep().await;
    assert_eq!((world.state(second).await, world.state(first).await), ("revoked", "active"));
    assert_eq!(world.database.calls_for(carrier), 0);
    world.clock.advance(TTL);
    world.sweep().await;
    assert_eq!((world.state(first).await, world.state(carrier).await), ("revoked", "revoking"));
    assert!(world.database.calls() >= calls);
    world.database.feel("db", Mood::Up);
    world.clock.advance(HOUR);
    world.drain().await;
    assert_eq!(world.state(carrier).await, "revoked");
    world.check(&BTreeSet::new()).await;
}

#[tokio::test]
async fn the_longest_wins_and_nobody_outlives_the_carrier() {
    let world = World::new().await;
    let [carrier, first] = world.issue_shared(&who("alice"), PLAN).await;
    world.clock.advance(TTL / 2);
    let second = world.join(&who("bob")).await;
    assert_eq!(world.ends_at(second).await, START.plus(TTL), "what there is");
    let until = world.now().plus(TTL);
    assert_eq!(
        world.ledger.renewed(second, until).await.unwrap().expires_at,
        Some(START.plus(TTL))
    );
    world.ledger.renewed(carrier, until).await.unwrap();
    assert_eq!(world.ledger.renewed(second, until).await.unwrap().expires_at, Some(until));
    assert_eq!(world.ends_at(first).await, START.plus(TTL));
    let third = world.join(&who("carol")).await;
    world.clock.advance(TTL / 2);
    world.sweep().await;
    assert_eq!((world.state(first).await, world.state(carrier).await), ("revoked", "active"));
    world.ledger.revoke(second, Cause::Owner).await.unwrap();
    world.ledger.revoke(third, Cause::Owner).await.unwrap();
    world.drain().await;
    assert_eq!(world.state(carrier).await, "revoked");
    let gone = world.ledger.find(carrier).await.unwrap().unwrap();
    assert_eq!(gone.cause, Some("owner"));
}

#[tokio::test]
async fn who_expires_before_the_credential_does_leaves_it_unused() {
    let world = World::new().await;
    let long = Newcomer { ttl: TTL * 2, ..who("alice") };
    let [carrier, first] = world.issue_shared(&long, PLAN).await;
    world.join(&who("bob")).await;
    world.ledger.revoke(first, Cause::Owner).await.unwrap();
    world.clock.advance(TTL);
    world.drain().await;
    let gone = world.ledger.find(carrier).await.unwrap().unwrap();
    assert_eq!((gone.state, gone.cause), ("revoked", Some("unused")));
}

#[tokio::test]
async fn a_revocation_does_to_the_credential_what_the_role_says() {
    for (on_revoke, cause, offered, others) in [
        (OnRevoke::Rotate, Cause::Cascade, false, "active"),
        (OnRevoke::Rotate, Cause::Operator, false, "active"),
        (OnRevoke::Rotate, Cause::Owner, true, "active"),
        (OnRevoke::Rotate, Cause::Condemned, true, "active"),
        (OnRevoke::Keep, Cause::Cascade, true, "active"),
        (OnRevoke::End, Cause::Cascade, false, "revoked"),
        (OnRevoke::End, Cause::Owner, true, "active"),
    ] {
        let case = format!("{on_revoke:?} {cause:?}");
        let world = World::new().await;
        let plan = Carriage { on_revoke, ..PLAN };
        let [carrier, first] = world.issue_shared(&who("alice"), plan).await;
        let second = world.join(&who("bob")).await;
        world.ledger.revoke(first, cause).await.unwrap();
        assert_eq!(world.is_offered().await, offered, "{case}");
        let world = world.restart().await;
        world.check(&BTreeSet::new()).await;
        world.drain().await;
        assert_eq!(world.state(second).await, others, "{case}");
        assert_eq!(world.database.is_usable(carrier), others == "active", "{case}");
        let renewed = world.ledger.renewed(carrier, world.now().plus(TTL * 2)).await;
        assert_eq!(renewed.is_ok(), offered, "{case}: what is closed is not renewed");
        if !offered && others == "active" {
            assert!(matches!(renewed, Err(LedgerError::Closed)), "{case}: {renewed:?}");
            assert!(matches!(world.ledger.renewable(carrier).await, Err(LedgerError::Closed)));
            // A fresh one beside it; the old one ends with the last who has it.
            let [fresh, _] = world.issue_shared(&who("carol"), plan).await;
            assert_ne!(fresh, carrier);
            world.ledger.revoke(second, Cause::Owner).await.unwrap();
            world.drain().await;
            assert!(!world.database.is_usable(carrier) && world.database.is_usable(fresh));
            assert!(world.is_offered().await);
        }
        world.check(&BTreeSet::new()).await;
    }
}

#[tokio::test]
async fn whoever_shares_ends_with_a_carrier_that_is_ended_by_hand_or_order() {
    for ordered in [false, true] {
        let world = World::new().await;
        let [carrier, first] = world.issue_shared(&who("alice"), PLAN).await;
        let second = world.join(&who("bob")).await;
        match ordered {
            true => {
                let scope = Scope::Backend(backend("db"));
                world.ledger.order(scope, Cause::Operator).await.unwrap();
                assert!(!world.is_offered().await, "it is about to end");
            }
            false => {
                world.ledger.revoke(carrier, Cause::Operator).await.unwrap();
                for lease in [first, second] {
                    assert_eq!(world.state(lease).await, "revoking", "shown as what it is");
                    assert!(world.ledger.renewable(lease).await.is_err());
                }
            }
        }
        let world = world.restart().await;
        world.check(&BTreeSet::new()).await;
        world.drain().await;
        for lease in [carrier, first, second] {
            assert_eq!(world.state(lease).await, "revoked");
        }
        assert!(!world.database.is_usable(carrier) && !world.is_kept(carrier).await);
        assert_eq!(world.ledger.pending_orders(), []);
        world.check(&BTreeSet::new()).await;
    }
}

#[tokio::test]
async fn a_principal_that_is_revoked_loses_its_leases_and_nobody_else_does() {
    let world = World::new().await;
    let [carrier, first] = world.issue_shared(&who("alice"), PLAN).await;
    let second = world.join(&who("bob")).await;
    let before = world.ledger.offer(&who("carol")).await.unwrap().unwrap();
    world.ledger.order(Scope::of(&owner("alice")), Cause::Cascade).await.unwrap();
    world.drain().await;
    let late = world.ledger.join(&who("carol"), &before).await;
    assert!(matches!(late, Err(LedgerError::Contended)), "closed meanwhile: {late:?}");
    assert_eq!((world.state(first).await, world.state(second).await), ("revoked", "active"));
    assert!(world.database.is_usable(carrier) && !world.is_offered().await);
    world.ledger.order(Scope::Token { digest: [0; 32] }, Cause::Cascade).await.unwrap();
    world.drain().await;
    assert!(world.database.is_usable(carrier), "no token asked for it");
    let shared = world.ledger.find(first).await.unwrap().unwrap();
    let shared = world.ledger.shared_credential(&shared).await.unwrap().unwrap();
    assert_eq!((shared.carrier.id, shared.sharers, shared.is_open), (carrier, 1, false));
    let report = world.ledger.report(START).await.unwrap();
    let tally = &report.tallies[&(backend("db"), "cascade")];
    assert_eq!((tally.shared, tally.durations.count_ended()), (1, 0), "not counted as quick");
}

#[tokio::test]
async fn the_last_ones_leave_together_and_newcomers_come_meanwhile() {
    let world = World::new().await;
    let mut joined = BTreeSet::new();
    for steps in 0..20 {
        let [carrier, first] = world.issue_shared(&who("alice"), PLAN).await;
        let mut leases = vec![first];
        for _ in 0..5 {
            leases.push(world.join(&who("bob")).await);
        }
        let carol = who("carol");
        let offer = world.ledger.offer(&carol).await.unwrap().unwrap();
        let leaving = leases.iter().map(|lease| world.ledger.revoke(*lease, Cause::Owner));
        let leaving = futures_util::future::join_all(leaving);
        let coming = async {
            for _ in 0..steps {
                tokio::task::yield_now().await;
            }
            world.ledger.join(&carol, &offer).await
        };
        let (ended, came) = tokio::join!(leaving, coming);
        assert!(ended.iter().all(Result::is_ok), "{ended:?}");
        world.check(&BTreeSet::new()).await;
        joined.insert(came.is_ok());
        match came {
            Ok(lease) => {
                assert_eq!(world.state(carrier).await, "active");
                world.ledger.revoke(lease.id, Cause::Owner).await.unwrap();
            }
            Err(error) => {
                assert!(matches!(error, LedgerError::Contended), "{error:?}");
                assert_ne!(world.state(carrier).await, "active", "the last one ended it");
            }
        }
        world.drain().await;
        assert_eq!(world.state(carrier).await, "revoked");
    }
    assert_eq!(joined, BTreeSet::from([false, true]), "both ways were gone");
}

#[tokio::test]
async fn an_offer_is_of_its_making_and_of_its_moment() {
    let world = World::new().await;
    let [carrier, _] = world.issue_shared(&who("alice"), PLAN).await;
    let other = Newcomer { settings: Settings([8; 32]), ..who("bob") };
    assert!(world.ledger.offer(&other).await.unwrap().is_none(), "made by other rules");
    let elsewhere = newcomer(&Wish { role: "writer", ..wish() });
    assert!(world.ledger.offer(&elsewhere).await.unwrap().is_none());
    let stale = world.ledger.offer(&who("bob")).await.unwrap().unwrap();
    assert_eq!((stale.carrier(), stale.fair_part(TTL)), (carrier, TTL / 2));
    world.ledger.renewed(carrier, world.now().plus(TTL * 2)).await.unwrap();
    let late = world.ledger.join(&who("bob"), &stale).await;
    assert!(matches!(late, Err(LedgerError::Contended)), "{late:?}");
    // A fresh one takes its place: who had the old one still has it.
    let [fresh, _] = world.issue_shared(&other, PLAN).await;
    assert_eq!(world.ledger.offer(&other).await.unwrap().unwrap().carrier(), fresh);
    assert!(matches!(world.ledger.renewable(carrier).await, Err(LedgerError::Closed)));
    world.check(&BTreeSet::new()).await;
}

#[tokio::test]
async fn a_backend_that_gives_less_is_not_asked_by_everybody() {
    let world = World::new().await;
    let reservation = world.ledger.reserve_carrier(&who("alice"), PLAN).await.unwrap();
    world.database.create(reservation.id());
    world.keep(reservation.id()).await;
    let (asked, less) = (reservation.ttl(), world.issued(TTL / 5));
    assert_eq!(asked, TTL);
    world.ledger.activate_carrier(reservation, less, &who("alice")).await.unwrap();
    let offer = world.ledger.offer(&who("bob")).await.unwrap().unwrap();
    assert_eq!(offer.fair_part(TTL), TTL / 10);
}

#[tokio::test]
async fn quotas_count_credentials_at_the_backend_and_leases_at_the_principal() {
    let world = World::new().await;
    let limits = Limits { principal: Some(1), role: Some(1), backend: None };
    let limited = |subject: &str| newcomer(&Wish { subject: subject.to_owned(), limits, ..wish() });
    let [_, first] = world.issue_shared(&limited("alice"), PLAN).await;
    let offer = world.ledger.offer(&limited("alice")).await.unwrap().unwrap();
    let over = world.ledger.join(&limited("alice"), &offer).await;
    assert!(matches!(over, Err(LedgerError::Quota("principal"))), "{over:?}");
    world.join(&limited("bob")).await;
    let over = world.ledger.reserve_carrier(&limited("carol"), PLAN).await;
    assert!(matches!(over, Err(LedgerError::Quota("role"))), "{over:?}");
    // Who has no room for a lease does not have one issued.
    let roomy = Limits { role: None, ..limits };
    let alice = newcomer(&Wish { limits: roomy, ..wish() });
    let over = world.ledger.reserve_carrier(&alice, PLAN).await;
    assert!(matches!(over, Err(LedgerError::Quota("principal"))), "{over:?}");
    world.ledger.revoke(first, Cause::Owner).await.unwrap();
    world.join(&limited("alice")).await;
    world.check(&BTreeSet::new()).await;
}

#[tokio::test]
async fn an_activation_that_fails_or_is_lost_leaves_nothing() {
    for fault in [Fault::Refused, Fault::AnswerLost] {
        let world = World::new().await;
        let alice = who("alice");
        let reservation = world.ledger.reserve_carrier(&alice, PLAN).await.unwrap();
        let carrier = reservation.id();
        world.database.create(carrier);
        world.keep(carrier).await;
        world.memory().fail_next(fault);
        let failed = world.ledger.activate_carrier(reservation, world.issued(TTL), &alice).await;
        assert!(failed.is_err(), "{fault:?}");
        assert!(!world.is_offered().await);
        world.clock.advance(ISSUE_WITHIN + symbolon_core::lease::LANDING_MARGIN);
        world.drain().await;
        assert!(!world.database.is_usable(carrier), "{fault:?}");
        assert!(world.leases().await.iter().all(|lease| !lease.is_live()), "{fault:?}");
        world.check(&BTreeSet::new()).await;
    }
}

#[tokio::test]
async fn a_crash_after_the_secret_is_kept_ends_both() {
    let world = World::new().await;
    let reservation = world.ledger.reserve_carrier(&who("alice"), PLAN).await.unwrap();
    let carrier = reservation.id();
    world.database.create(carrier);
    world.keep(carrier).await;
    let world = world.restart().await;
    world.check(&BTreeSet::new()).await;
    world.clock.advance(ISSUE_WITHIN + symbolon_core::lease::LANDING_MARGIN);
    world.drain().await;
    world.drain().await;
    assert!(!world.database.is_usable(carrier) && !world.is_kept(carrier).await);
    world.check(&BTreeSet::new()).await;
}

#[tokio::test]
async fn an_operator_who_forces_a_carrier_leaves_no_secret() {
    let world = World::new().await;
    let [carrier, first] = world.issue_shared(&who("alice"), PLAN).await;
    world.database.feel("db", Mood::Refuses);
    world.ledger.revoke(first, Cause::Owner).await.unwrap();
    assert!(world.is_kept(carrier).await);
    world.ledger.force(carrier).await.unwrap();
    assert!(!world.is_kept(carrier).await);
    world.check(&BTreeSet::from([carrier])).await;
}

#[tokio::test]
async fn damage_ends_late_and_never_too_early() {
    // The record of one of two who share: the other one is the last, or the carrier's own time is.
    let world = World::new().await;
    let [carrier, first] = world.issue_shared(&who("alice"), PLAN).await;
    let second = world.join(&who("bob")).await;
    let garble = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes[1..].to_vec()).unwrap();
        [&[1], text.replace("\"backend\":\"db\"", "\"backend\":\"d b\"").as_bytes()].concat()
    };
    let bytes = world.store.get(&state(first)).await.unwrap().unwrap();
    world.memory().damage(&state(first), Some(garble(bytes)));
    world.clock.advance(TTL + SHARERS_FIRST);
    world.drain().await;
    assert_eq!((world.state(second).await, world.state(carrier).await), ("revoked", "revoked"));
    world.check(&BTreeSet::new()).await;
    let damaged = world.ledger.damaged(After { lease: None, limit: 9 }).await.unwrap();
    assert_eq!(
        damaged.leases.iter().map(|l| (l.id, l.state)).collect::<Vec<_>>(),
        [(first, Some("active"))]
    );

    // That of the carrier: nobody else gets the credential, and its secret is gone.
    let world = World::new().await;
    let [carrier, first] = world.issue_shared(&who("alice"), PLAN).await;
    let bytes = world.store.get(&state(carrier)).await.unwrap().unwrap();
    world.memory().damage(&state(carrier), Some(garble(bytes)));
    assert!(!world.is_offered().await);
    world.clock.advance(TTL + SHARERS_FIRST);
    world.drain().await;
    assert_eq!(world.state(first).await, "revoked");
    assert!(!world.is_kept(carrier).await && world.database.calls_for(carrier) == 0);
    for whose in [Quota::Backend(backend("db")), Quota::Principal(owner("alice"))] {
        assert_eq!(world.count(whose).await, 0);
    }

    // What is offered: a fresh credential is issued.
    let world = World::new().await;
    let [_, _] = world.issue_shared(&who("alice"), PLAN).await;
    world.memory().damage(&offer_key(&backend("db"), &role("reader")), Some(b"?".to_vec()));
    assert!(!world.is_offered().await);
    world.issue_shared(&who("bob"), PLAN).await;
    assert!(world.is_offered().await);
}

#[tokio::test]
async fn a_thousand_expire_together_with_one_call_of_the_backend() {
    let world = World::new().await;
    let [carrier, _] = world.issue_shared(&who("alice"), PLAN).await;
    for number in 0..1000 {
        world.join(&who(&format!("caller-{number}"))).await;
    }
    world.clock.advance(TTL);
    world.drain().await;
    assert!(world.leases().await.iter().all(|lease| !lease.is_live()));
    assert_eq!((world.database.calls(), world.state(carrier).await), (1, "revoked"));
    world.check(&BTreeSet::new()).await;
}
