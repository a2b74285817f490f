//! What leases that share a credential may do.

use super::*;

fn carrier() -> Active {
    let terms = Terms {
        owner: Identity::of_gateway(),
        share: Share::Carries(OnRevoke::Rotate),
        ..terms(Recovery::Named)
    };
    Reserved::new(terms).activate(issued(600), at(5)).unwrap()
}

fn of_carrier() -> Terms {
    let share = Share::Of(carrier().terms().id);
    Terms { id: LeaseId::new(at(10), 78), share, ..terms(Recovery::Named) }
}

fn sharer(until: i64) -> Active {
    let lease = Lease::sharing(of_carrier(), &carrier(), at(until), at(10)).unwrap();
    match lease.into_parts().1 {
        Phase::Active(active) => active,
        other @ (Phase::Reserved(_) | Phase::Revoking(_) | Phase::Revoked(_)) => {
            panic!("{other:?}")
        }
    }
}

#[test]
fn who_shares_stays_within_carrier_and_permit() {
    let other = |change: fn(&mut Terms)| {
        let mut terms = of_carrier();
        change(&mut terms);
        terms
    };
    for (terms, until, expected) in [
        (of_carrier(), 300, None),
        (of_carrier(), 600, None),
        (of_carrier(), 601, Some(Illegal::BeyondCarrier)),
        (of_carrier(), 10, Some(Illegal::Expired)),
        (other(|terms| terms.ends_by = at(299)), 300, Some(Illegal::BeyondCeiling)),
        (other(|terms| terms.share = Share::Alone), 300, Some(Illegal::NotShared)),
        (
            other(|terms| terms.share = Share::Of(LeaseId::new(at(0), 1))),
            300,
            Some(Illegal::NotShared),
        ),
        (
            other(|terms| terms.role = RoleName::parse("other").unwrap()),
            300,
            Some(Illegal::NotShared),
        ),
    ] {
        let shared = Lease::sharing(terms, &carrier(), at(until), at(10));
        assert_eq!(shared.err(), expected, "{until}");
    }
    let alone = active();
    let shared = Terms { share: Share::Of(alone.terms().id), ..of_carrier() };
    assert_eq!(Lease::sharing(shared, &alone, at(300), at(10)), Err(Illegal::NotShared));
}

#[test]
fn a_renewal_of_who_shares_needs_its_carrier() {
    let refused =
        |renewed: Result<Active, (Box<Active>, Illegal)>| renewed.err().map(|(_, why)| why);
    let sharer = || sharer(300);
    assert_eq!(refused(sharer().renew(at(400), at(20))), Some(Illegal::BeyondCarrier));
    let renew = |until, now| sharer().renew_sharing(&carrier(), at(until), at(now));
    assert_eq!(renew(600, 20).unwrap().expires_at(), at(600));
    assert_eq!(refused(renew(601, 20)), Some(Illegal::BeyondCarrier));
    assert_eq!(refused(renew(299, 20)), Some(Illegal::Shortens));
    assert_eq!(refused(renew(400, 299)), Some(Illegal::Expired));
    let alone = active();
    assert_eq!(
        refused(alone.clone().renew_sharing(&carrier(), at(600), at(20))),
        Some(Illegal::NotShared)
    );
}

#[test]
fn who_shares_is_over_when_it_is_written_and_a_credential_is_not() {
    let revoked = sharer(300).leave(Cause::Cascade, at(20)).unwrap();
    assert_eq!((revoked.proof(), revoked.revoked_at()), (Proof::Shared, at(20)));
    assert_eq!(revoked.forget_at(), at(20).plus(REMEMBERED));
    for credential in [active(), carrier()] {
        let unchanged = credential.clone().leave(Cause::Owner, at(20)).unwrap_err();
        assert_eq!(*unchanged, credential);
    }
}

#[test]
fn a_carrier_waits_for_those_who_share_it_and_counts_once() {
    assert_eq!((sharer(600).due_at(), carrier().due_at()), (at(600), at(600).plus(SHARERS_FIRST)));
    let (carrier, sharer) = (carrier(), sharer(600));
    let of = |terms: &Terms| {
        index::Quota::of(terms).iter().map(index::Quota::as_str).collect::<Vec<_>>()
    };
    assert_eq!(of(active().terms()), ["principal", "role", "backend"]);
    assert_eq!(of(carrier.terms()), ["role", "backend"]);
    assert_eq!(of(sharer.terms()), ["principal", "carrier"]);
    assert!(Queue::of(sharer.terms()) < Queue::of(carrier.terms()));
}

#[test]
fn a_record_says_who_shares_and_who_carries_and_not_both() {
    let shared = Lease::following(1, sharer(300));
    let bytes = serde_json::to_string(&shared).unwrap();
    assert_eq!(serde_json::from_str::<Lease>(&bytes).unwrap(), shared);
    let carrying = Lease::following(1, carrier());
    let text = serde_json::to_string(&carrying).unwrap();
    assert_eq!(serde_json::from_str::<Lease>(&text).unwrap(), carrying);
    assert!(text.contains(r#""carries":"rotate""#), "{text}");
    let both = bytes.replace(r#""carrier""#, r#""carries":"keep","carrier""#);
    assert!(serde_json::from_str::<Lease>(&both).is_err());
    let scope = Scope::Carrier(carrier().terms().id);
    assert!(scope.covers(shared.terms()) && !scope.covers(carrying.terms()));
    let bytes = serde_json::to_vec(&scope).unwrap();
    assert_eq!(serde_json::from_slice::<Scope>(&bytes).unwrap(), scope);
}

#[test]
fn a_lost_answer_of_an_earlier_run_is_looked_for_by_the_clock_of_this_one() {
    let lost = || reserved().condemn(None, Cause::LostAnswer, at(31));
    let landing = Duration::from_secs(30).saturating_add(LANDING_MARGIN);
    // Before it was reserved, and in a run after: the clock may have been moved in between.
    for (opened, certain_from) in [(-100, at(0).plus(landing)), (200, at(200).plus(landing))] {
        let revoking = lost().since_start(at(opened));
        let just_before = certain_from.minus(Duration::from_millis(1));
        let early = revoking.clone().confirmed(Evidence::Verified, just_before);
        assert!(matches!(early, Confirmed::LookAgain(_)), "{opened}");
        assert!(
            matches!(revoking.confirmed(Evidence::Verified, certain_from), Confirmed::Gone(_)),
            "{opened}"
        );
    }
    let known = active().revoke(Cause::Owner, at(10));
    assert_eq!(known.clone().since_start(at(200)), known);
}
