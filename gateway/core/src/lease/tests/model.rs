//! The lease states against a backend that does anything at the worst moment.
//!
//! A reference ledger keeps records as bytes, with the index entries and counts that
//! [`index::changes`] names; a reference backend has credentials that live until somebody ends them
//! or their time is over. Calls between the two are under way while other things happen: creates land
//! late, answers are lost with the process, a backend is down, the clock is set. After each step:
//!
//! * no credential is usable without a live lease, nor beside a `Revoked` one, unless an operator
//!   answered for it;
//! * a lease never goes back to an earlier state, never outlives its permit, and leaves the ledger
//!   only as `Revoked`, when it may be forgotten;
//! * the indexes name what is there, and the counts count it;
//! * whoever shares a credential ends no later than its carrier, and an active carrier is shared.
//!
//! And in the end, with the backend up: everything ends, by the due index alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::lease::index::{Queue, Quota};

const ISSUE_WITHIN: u64 = 30;
const LONGEST: u64 = 1800;
const DAY: u64 = 86_400;
/// More than the clock can be set back, in the longest pauses between two looks.
const ROUNDS: usize = 10_000;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[derive(Clone, Copy, Debug)]
enum Class {
    /// Found by name; lives until it is ended.
    Named,
    /// Ends by itself, and sooner if asked to.
    Expires,
    /// Ends by itself and no sooner.
    Irrevocable,
}

/// What becomes of a request to issue.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It lands after these seconds; its answer may come then.
    Lands(u64),
    /// It never reaches the backend.
    Lost,
}

#[derive(Clone, Debug)]
enum Event {
    Reserve {
        class: Class,
        fate: Fate,
        ttl: u64,
        whose: u8,
        /// Whether others may share it.
        carries: bool,
    },
    /// Somebody shares a credential that is there.
    Share {
        which: u8,
        ttl: u64,
        whose: u8,
    },
    /// The answer of a call under way arrives; which one is by chance.
    Answer(u8),
    /// A request to issue fails: `true` if nobody knows whether it reached the backend.
    Fail(u8, bool),
    Renew {
        which: u8,
        ttl: u64,
    },
    Revoke(u8),
    Order(u8),
    Force(u8),
    Sweep(u8),
    Passes(u64),
    Backend(bool),
    Crash,
    ClockBack(u64),
    ClockAhead(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let class = prop_oneof![
        3 => Just(Class::Named),
        1 => Just(Class::Expires),
        1 => Just(Class::Irrevocable),
    ];
    // Never as late as the margin: that later is too late is what the protocol presupposes.
    let longest = ISSUE_WITHIN + LANDING_MARGIN.as_secs();
    let fate = prop_oneof![
        3 => Just(Fate::Lands(0)),
        3 => (0..longest).prop_map(Fate::Lands),
        1 => Just(Fate::Lost),
    ];
    prop_oneof![
        4 => (class, fate, 1..=LONGEST, any::<u8>(), any::<bool>()).prop_map(
            |(class, fate, ttl, whose, carries)| Event::Reserve { class, fate, ttl, whose, carries }
        ),
        4 => (any::<u8>(), 0..=LONGEST, any::<u8>())
            .prop_map(|(which, ttl, whose)| Event::Share { which, ttl, whose }),
        6 => any::<u8>().prop_map(Event::Answer),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(which, acted)| Event::Fail(which, acted)),
        3 => (any::<u8>(), 0..=LONGEST).prop_map(|(which, ttl)| Event::Renew { which, ttl }),
        2 => any::<u8>().prop_map(Event::Revoke),
        1 => any::<u8>().prop_map(Event::Order),
        1 => any::<u8>().prop_map(Event::Force),
        6 => (1..6_u8).prop_map(Event::Sweep),
        4 => (0..60_u64).prop_map(Event::Passes),
        2 => (0..2 * LONGEST).prop_map(Event::Passes),
        2 => any::<bool>().prop_map(Event::Backend),
        2 => Just(Event::Crash),
        1 => prop_oneof![3 => 0..2 * LONGEST, 1 => Just(DAY)].prop_map(Event::ClockBack),
        1 => (0..DAY).prop_map(Event::ClockAhead),
    ]
}

/// Something that was asked of the backend and has not been answered. Lost in a crash.
#[derive(Clone, Debug)]
enum Call {
    Issue { id: LeaseId, issued: Issued, fate: Fate },
    Renew { id: LeaseId, until: Timestamp },
    End { id: LeaseId, revision: u64, asked_at: Timestamp, evidence: Evidence },
}

#[derive(Clone, Debug)]
struct Credential {
    class: Class,
    /// When it ends by itself, if it does.
    ends_at: Timestamp,
    is_usable: bool,
}

#[derive(Debug)]
struct World {
    now: Timestamp,
    /// When this run of the gateway began.
    opened: Timestamp,
    is_up: bool,
    count: u128,
    records: BTreeMap<LeaseId, Vec<u8>>,
    entries: BTreeSet<(index::Place, Vec<u8>)>,
    counts: BTreeMap<Vec<u8>, i64>,
    orders: Vec<Order>,
    calls: Vec<Call>,
    /// Creates on their way, and when they arrive.
    landing: Vec<(Timestamp, LeaseId, Credential)>,
    backend: BTreeMap<LeaseId, Credential>,
    forced: BTreeSet<LeaseId>,
    forgotten: BTreeSet<LeaseId>,
}

fn pick<T: Clone>(from: &[T], which: u8) -> Option<T> {
    from.get(usize::from(which) % from.len().max(1)).cloned()
}

impl World {
    fn new() -> Self {
        Self {
            now: at(0),
            opened: at(0),
            is_up: true,
            count: 0,
            records: BTreeMap::new(),
            entries: BTreeSet::new(),
            counts: BTreeMap::new(),
            orders: Vec::new(),
            calls: Vec::new(),
            landing: Vec::new(),
            backend: BTreeMap::new(),
            forced: BTreeSet::new(),
            forgotten: BTreeSet::new(),
        }
    }

    fn read(&self, id: LeaseId) -> Option<Lease> {
        self.records.get(&id).map(|bytes| serde_json::from_slice(bytes).unwrap())
    }

    fn any(&self, which: u8) -> Option<Lease> {
        let ids: Vec<_> = self.records.keys().copied().collect();
        pick(&ids, which).and_then(|id| self.read(id))
    }

    /// The one way in which records change.
    fn write(&mut self, before: Option<&Lease>, after: Option<&Lease>) {
        let changes = index::changes(before, after);
        for entry in changes.delete {
            assert!(self.entries.remove(&entry), "an entry was not there: {entry:?}");
        }
        for entry in changes.put {
            assert!(self.entries.insert(entry.clone()), "an entry was there: {entry:?}");
        }
        for (quota, by) in changes.count {
            *self.counts.entry(quota.key()).or_default() += by;
        }
        match (before, after) {
            (Some(before), Some(after)) => assert_follows(before, after),
            (Some(before), None) => {
                let Phase::Revoked(revoked) = before.phase() else { panic!("lost: {before:?}") };
                assert!(revoked.forget_at() <= self.now, "forgotten early: {before:?}");
                self.records.remove(&before.terms().id);
                self.forgotten.insert(before.terms().id);
            }
            (None, _) => {}
        }
        if let Some(after) = after {
            self.records.insert(after.terms().id, serde_json::to_vec(after).unwrap());
        }
    }

    fn follow(&mut self, before: &Lease, phase: impl Into<Phase>) {
        let after = Lease::following(before.revision(), phase);
        self.write(Some(before), Some(&after));
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Reserve { class, fate, ttl, whose, carries } => {
                self.reserve(class, (fate, ttl), whose, carries);
            }
            Event::Share { which, ttl, whose } => self.share(which, ttl, whose),
            Event::Answer(which) => self.answer(which),
            Event::Fail(which, acted) => self.fail(which, acted),
            Event::Renew { which, ttl } => self.ask_to_renew(which, ttl),
            Event::Revoke(which) => {
                if let Some(lease) = self.any(which) {
                    self.begin_end(&lease, Cause::Owner);
                }
            }
            Event::Order(which) => self.order(which),
            Event::Force(which) => self.force(which),
            Event::Sweep(most) => self.sweep(usize::from(most)),
            Event::Passes(time) => self.passes(seconds(time)),
            Event::Backend(is_up) => self.is_up = is_up,
            Event::Crash => self.start_at(self.now),
            // While the gateway runs its clock is steady: it is set between two runs. What is on its
            // way does not care.
            Event::ClockBack(by) => {
                self.landing.iter_mut().for_each(|(time, ..)| *time = time.minus(seconds(by)));
                self.start_at(self.now.minus(seconds(by)));
            }
            Event::ClockAhead(by) => {
                self.landing.iter_mut().for_each(|(time, ..)| *time = time.plus(seconds(by)));
                self.start_at(self.now.plus(seconds(by)));
                self.passes(Duration::ZERO);
            }
        }
    }

    fn start_at(&mut self, now: Timestamp) {
        self.calls.clear();
        (self.now, self.opened) = (now, now);
    }

    fn reserve(&mut self, class: Class, (fate, ttl): (Fate, u64), whose: u8, carries: bool) {
        self.count += 1;
        let recovery = match class {
            Class::Named => Recovery::Named,
            Class::Expires | Class::Irrevocable => {
                Recovery::Expires { within_millis: LONGEST * 1000 }
            }
        };
        let policy = [OnRevoke::Keep, OnRevoke::Rotate, OnRevoke::End][usize::from(whose % 3)];
        let terms = Terms {
            id: LeaseId::new(self.now, self.count),
            owner: if carries { Identity::of_gateway() } else { owner(whose) },
            token: if carries { [0; 32] } else { [1 + whose % 3; 32] },
            share: if carries { Share::Carries(policy) } else { Share::Alone },
            reserved_at: self.now,
            issue_by: self.now.plus(seconds(ISSUE_WITHIN)),
            ends_by: self.now.plus(seconds(LONGEST)),
            ..terms(recovery)
        };
        let id = terms.id;
        self.write(None, Some(&Lease::begin(Reserved::new(terms))));
        let ends_at = self.now.plus(seconds(ttl));
        let revocable = !matches!(class, Class::Irrevocable);
        let handle = SealedHandle::from_wrapped(id.to_bytes().to_vec());
        let issued = Issued { handle, expires_at: ends_at, renewable: true, revocable };
        if let Fate::Lands(after) = fate {
            let credential = Credential { class, ends_at, is_usable: true };
            self.landing.push((self.now.plus(seconds(after)), id, credential));
        }
        self.calls.push(Call::Issue { id, issued, fate });
        self.passes(Duration::ZERO);
    }

    /// What the ledger writes down for somebody who gets a credential that is there.
    fn share(&mut self, which: u8, ttl: u64, whose: u8) {
        let carriers: Vec<_> = self.carriers().collect();
        let Some(lease) = pick(&carriers, which) else { return };
        let Phase::Active(carrier) = lease.phase() else { return };
        if !self.is_ordered(&lease) {
            self.join(carrier, self.now.plus(seconds(ttl)), whose);
        }
    }

    fn carriers(&self) -> impl Iterator<Item = Lease> {
        let all = self.records.keys().filter_map(|id| self.read(*id));
        all.filter(|lease| lease.terms().carries().is_some())
    }

    fn join(&mut self, carrier: &Active, until: Timestamp, whose: u8) {
        self.count += 1;
        let terms = Terms {
            id: LeaseId::new(self.now, self.count),
            owner: owner(whose),
            token: [1 + whose % 3; 32],
            share: Share::Of(carrier.terms().id),
            reserved_at: self.now,
            issue_by: self.now,
            ends_by: self.now.plus(seconds(LONGEST)),
            ..carrier.terms().clone()
        };
        let until = until.min(carrier.expires_at());
        if let Ok(lease) = Lease::sharing(terms, carrier, until, self.now) {
            self.write(None, Some(&lease));
        }
    }

    fn sharers_of(&self, carrier: LeaseId) -> Vec<Lease> {
        let all = self.records.keys().filter_map(|id| self.read(*id));
        all.filter(|lease| lease.is_live() && lease.terms().carrier() == Some(carrier)).collect()
    }

    fn take_call(&mut self, which: u8) -> Option<Call> {
        let at = usize::from(which) % self.calls.len().max(1);
        (at < self.calls.len()).then(|| self.calls.remove(at))
    }

    fn answer(&mut self, which: u8) {
        match self.take_call(which) {
            Some(Call::Issue { id, issued, fate }) => {
                // The backend answers when it has done it, and never if it was not asked.
                if self.landing.iter().any(|(_, landing, _)| *landing == id)
                    || matches!(fate, Fate::Lost)
                {
                    self.calls.push(Call::Issue { id, issued, fate });
                } else {
                    self.issued(id, issued);
                }
            }
            Some(Call::Renew { id, until }) => self.renewed(id, until),
            Some(Call::End { id, revision, asked_at, evidence }) => {
                self.ended(id, revision, asked_at, evidence);
            }
            None => {}
        }
    }

    fn issued(&mut self, id: LeaseId, issued: Issued) {
        let Some(before) = self.read(id) else { return };
        match before.phase().clone() {
            Phase::Reserved(reserved) => match reserved.activate(issued.clone(), self.now) {
                Ok(active) => self.activated(&before, active),
                Err((reserved, _)) => {
                    let condemned = reserved.condemn(Some(issued), Cause::Condemned, self.now);
                    self.follow(&before, condemned);
                }
            },
            Phase::Revoking(revoking) => self.follow(&before, revoking.learned(issued)),
            Phase::Active(_) | Phase::Revoked(_) => {}
        }
    }

    /// Whoever asked for a credential that others may share is the first to share it.
    fn activated(&mut self, before: &Lease, active: Active) {
        let carries = active.terms().carries().is_some();
        self.follow(before, active.clone());
        if carries {
            self.join(&active, active.expires_at(), 0);
        }
    }

    fn fail(&mut self, which: u8, acted: bool) {
        let Some(call) = self.take_call(which) else { return };
        let Call::Issue { id, fate, .. } = call else { return };
        let Some(before) = self.read(id) else { return };
        let Phase::Reserved(reserved) = before.phase().clone() else { return };
        match fate {
            // Only what certainly was not sent is abandoned.
            Fate::Lost if !acted => self.follow(&before, reserved.abandon(self.now)),
            Fate::Lost | Fate::Lands(_) => {
                let condemned = reserved.condemn(None, Cause::LostAnswer, self.now);
                self.follow(&before, condemned);
            }
        }
    }

    fn is_ordered(&self, lease: &Lease) -> bool {
        self.orders.iter().any(|order| order.covers(lease.terms()))
    }

    fn ask_to_renew(&mut self, which: u8, ttl: u64) {
        let Some(lease) = self.any(which) else { return };
        let Phase::Active(active) = lease.phase() else { return };
        if !self.is_up || self.is_ordered(&lease) || active.may_renew(self.now).is_err() {
            return;
        }
        let (id, until) = (lease.terms().id, self.now.plus(seconds(ttl)));
        if let Some(carrier) = lease.terms().carrier() {
            self.renew_sharing(&lease, active.clone(), carrier, until);
            return;
        }
        if let Some(credential) = self.backend.get_mut(&id) {
            credential.ends_at = credential.ends_at.max(until);
        }
        self.calls.push(Call::Renew { id, until });
    }

    /// Nobody is asked: what the carrier has is what there is.
    fn renew_sharing(&mut self, before: &Lease, of: Active, carrier: LeaseId, until: Timestamp) {
        let carrier = self.read(carrier).filter(|carrier| !self.is_ordered(carrier));
        let Some(Phase::Active(carrier)) = carrier.map(|lease| lease.into_parts().1) else {
            return;
        };
        let until = until.min(carrier.expires_at());
        if let Ok(active) = of.renew_sharing(&carrier, until, self.now) {
            self.follow(before, active);
        }
    }

    fn renewed(&mut self, id: LeaseId, until: Timestamp) {
        let Some(before) = self.read(id) else { return };
        let ordered = self.is_ordered(&before);
        let Phase::Active(active) = before.phase().clone() else { return };
        if let (false, Ok(active)) = (ordered, active.renew(until, self.now)) {
            self.follow(&before, active);
        }
    }

    fn begin_end(&mut self, before: &Lease, cause: Cause) {
        match before.phase().clone() {
            Phase::Reserved(reserved) => {
                self.follow(before, reserved.condemn(None, cause, self.now));
            }
            Phase::Active(active) => match active.leave(cause, self.now) {
                Ok(revoked) => self.left(before, revoked, cause),
                Err(active) => self.end_credential(before, *active, cause),
            },
            Phase::Revoking(_) | Phase::Revoked(_) => {}
        }
    }

    /// A carrier ends with the last who shares it, or with who is revoked if it is to.
    fn left(&mut self, before: &Lease, revoked: Revoked, cause: Cause) {
        let carrier = revoked.terms().carrier().expect("it shared");
        self.follow(before, revoked);
        let Some(lease) = self.read(carrier) else { return };
        let Phase::Active(active) = lease.phase().clone() else { return };
        let ends = cause.is_revocation() && lease.terms().carries() == Some(OnRevoke::End);
        if ends || self.sharers_of(carrier).is_empty() {
            self.end_credential(&lease, active, cause);
        }
    }

    /// Ends a credential, and by order whoever shares it.
    fn end_credential(&mut self, before: &Lease, active: Active, cause: Cause) {
        let (carrier, now) = (before.terms().id, self.now);
        self.follow(before, active.revoke(cause, now));
        // All of them: also one that was reserved before the clock was set back.
        let newest = self.sharers_of(carrier).iter().map(|lease| lease.terms().reserved_at).max();
        if let Some(newest) = newest {
            let (scope, reserved_until) = (Scope::Carrier(carrier), newest.max(now));
            self.orders.push(Order { scope, cause, reserved_until, given_at: now });
        }
    }

    fn order(&mut self, which: u8) {
        let terms = self.any(which).map(|lease| lease.terms().clone());
        let scope = match (which % 4, terms) {
            (1, Some(terms)) => Scope::of(&terms.owner),
            (2, Some(terms)) => Scope::Token { digest: terms.token },
            (3, Some(terms)) => Scope::Role { backend: terms.backend, role: terms.role },
            (_, _) => Scope::Everything,
        };
        let (cause, now) = (Cause::Cascade, self.now);
        self.orders.push(Order { scope, cause, reserved_until: now, given_at: now });
    }

    fn force(&mut self, which: u8) {
        let Some(before) = self.any(which) else { return };
        if let Phase::Revoking(revoking) = before.phase().clone() {
            self.forced.insert(before.terms().id);
            self.follow(&before, revoking.force(self.now));
        }
    }

    /// One round of the reaper, which finds its work in the indexes and nowhere else.
    fn sweep(&mut self, most: usize) {
        self.carry_out_orders(most);
        for queue in [Queue::Ledger, Queue::Backend(terms(Recovery::Named).backend)] {
            let bound = queue.bound(self.now.plus(Duration::from_millis(1)));
            let is_due = |key: &[u8]| key.starts_with(&queue.prefix()) && key < &bound;
            let due = self.entries.iter().filter(|(place, _)| *place == index::Place::Due);
            let due = due.filter(|(_, key)| is_due(key));
            let due = due.map(|(_, key)| index::lease_of(key).unwrap());
            for id in due.take(most).collect::<Vec<_>>() {
                self.take_further(id);
            }
        }
    }

    fn carry_out_orders(&mut self, most: usize) {
        let Some(order) = self.orders.first().cloned() else { return };
        let (place, prefix) = order.scope.span();
        let meant: Vec<_> = match place {
            index::Place::State => self.records.keys().copied().collect(),
            index::Place::Due
            | index::Place::Owner
            | index::Place::Backend
            | index::Place::Token
            | index::Place::Carrier
            | index::Place::Quota => {
                let of =
                    |(at, key): &&(index::Place, Vec<u8>)| *at == place && key.starts_with(&prefix);
                self.entries
                    .iter()
                    .filter(of)
                    .map(|(_, key)| index::lease_of(key).unwrap())
                    .collect()
            }
        };
        let leases = meant.into_iter().filter_map(|id| self.read(id));
        let is_open = |lease: &Lease| {
            order.covers(lease.terms())
                && matches!(lease.phase(), Phase::Reserved(_) | Phase::Active(_))
        };
        let open: Vec<_> = leases.filter(is_open).map(|lease| lease.terms().id).collect();
        for id in open.iter().take(most) {
            // Read again: the end of one who shares may have been that of its carrier.
            let lease = self.read(*id).expect("what was open");
            self.begin_end(&lease, order.cause);
        }
        if open.len() <= most {
            self.orders.remove(0);
        }
    }

    fn take_further(&mut self, id: LeaseId) {
        let before = self.read(id).expect("what the index named");
        if before.due_at() > self.now {
            // Its carrier ended with the one before it in this round.
            return;
        }
        match before.phase().clone() {
            Phase::Reserved(_) => self.begin_end(&before, Cause::LostAnswer),
            Phase::Active(_) => self.begin_end(&before, Cause::Expired),
            Phase::Revoked(_) => self.write(Some(&before), None),
            Phase::Revoking(revoking) if !revoking.is_reachable() => {
                let revoking = revoking.since_start(self.opened);
                self.confirm(&before, revoking.confirmed(Evidence::Acknowledged, self.now));
            }
            Phase::Revoking(revoking) if !self.is_up => {
                self.follow(&before, revoking.failed(self.now));
            }
            Phase::Revoking(_) => {
                if let Some(credential) = self.backend.get_mut(&id) {
                    credential.is_usable = false;
                }
                let (revision, asked_at) = (before.revision(), self.now);
                let evidence = match revision % 3 {
                    0 => Evidence::Acknowledged,
                    1 => Evidence::Verified,
                    _ => Evidence::Probed,
                };
                self.calls.push(Call::End { id, revision, asked_at, evidence });
            }
        }
    }

    fn ended(&mut self, id: LeaseId, revision: u64, asked_at: Timestamp, evidence: Evidence) {
        let Some(before) = self.read(id).filter(|lease| lease.revision() == revision) else {
            return;
        };
        if let Phase::Revoking(revoking) = before.phase().clone() {
            let revoking = revoking.since_start(self.opened);
            self.confirm(&before, revoking.confirmed_as_of(evidence, asked_at, self.now));
        }
    }

    fn confirm(&mut self, before: &Lease, confirmed: Confirmed) {
        match confirmed {
            Confirmed::Gone(revoked) => self.follow(before, revoked),
            Confirmed::LookAgain(revoking) => self.follow(before, revoking),
        }
    }

    /// Time goes on: creates land, and what ends by itself ends.
    fn passes(&mut self, time: Duration) {
        self.now = self.now.plus(time);
        let now = self.now;
        for (_, id, credential) in self.landing.extract_if(.., |(time, ..)| *time <= now) {
            self.backend.insert(id, credential);
        }
        for credential in self.backend.values_mut() {
            let ends = !matches!(credential.class, Class::Named);
            credential.is_usable &= !ends || now < credential.ends_at;
        }
    }

    fn check(&self) {
        let leases: Vec<_> = self.records.keys().filter_map(|id| self.read(*id)).collect();
        for (id, credential) in self.backend.iter().filter(|(_, found)| found.is_usable) {
            let lease = self.read(*id);
            let is_owned = lease.as_ref().is_some_and(Lease::is_live);
            assert!(is_owned || self.forced.contains(id), "usable: {credential:?}, {lease:?}");
        }
        let known = |id: &LeaseId| self.records.contains_key(id) || self.forgotten.contains(id);
        assert!(self.backend.keys().all(known), "issued, and never written down");
        self.check_shared(&leases);
        let entries: BTreeSet<_> = leases.iter().flat_map(index::entries).collect();
        assert_eq!(self.entries, entries);
        let mut counts = BTreeMap::<Vec<u8>, i64>::new();
        for lease in &leases {
            let own = Quota::of(lease.terms()).into_iter().filter(|_| lease.is_live());
            for quota in own.chain([Quota::State(lease.phase().as_str())]) {
                *counts.entry(quota.key()).or_default() += 1;
            }
        }
        let counted = self.counts.iter().filter(|(_, count)| **count != 0);
        assert_eq!(
            counted.map(|(key, count)| (key.clone(), *count)).collect::<BTreeMap<_, _>>(),
            counts
        );
    }

    fn check_shared(&self, leases: &[Lease]) {
        for lease in leases.iter().filter(|lease| lease.terms().carries().is_some()) {
            let id = Some(lease.terms().id);
            let shares = |other: &&Lease| other.is_live() && other.terms().carrier() == id;
            let sharers: Vec<_> = leases.iter().filter(shares).collect();
            let Phase::Active(carrier) = lease.phase() else {
                let is_ordered = sharers.iter().all(|sharer| self.is_ordered(sharer));
                assert!(is_ordered, "shared, and no order: {lease:?}");
                continue;
            };
            assert!(!sharers.is_empty(), "nobody shares it: {lease:?}");
            for sharer in sharers {
                let Phase::Active(active) = sharer.phase() else { panic!("{sharer:?}") };
                assert!(active.expires_at() <= carrier.expires_at(), "{sharer:?} {carrier:?}");
            }
        }
    }

    /// Restarted once more, with the backend up and nobody asking for anything.
    fn run_out(&mut self) {
        self.start_at(self.now);
        self.is_up = true;
        for _ in 0..ROUNDS {
            self.sweep(usize::MAX);
            while !self.calls.is_empty() {
                self.answer(0);
            }
            self.check();
            let leases: Vec<_> = self.records.keys().filter_map(|id| self.read(*id)).collect();
            let next = leases.iter().filter(|lease| lease.is_live()).map(Lease::due_at).min();
            match next {
                Some(next) => self.passes(next.since(self.now)),
                None => break,
            }
        }
        assert!(self.records.keys().all(|id| !self.read(*id).unwrap().is_live()), "never ended");
        let over =
            |(id, found): (&LeaseId, &Credential)| !found.is_usable || self.forced.contains(id);
        assert!(self.backend.iter().all(over), "usable in the end");
        let last = self.records.keys().filter_map(|id| Some(self.read(*id)?.due_at())).max();
        self.passes(last.map_or(Duration::ZERO, |last| last.since(self.now)));
        self.sweep(usize::MAX);
        assert!(self.records.is_empty() && self.entries.is_empty(), "remembered for ever");
        assert!(self.counts.values().all(|count| *count == 0), "counted for ever");
    }
}

fn owner(whose: u8) -> Identity {
    Identity { subject: format!("subject-{}", whose % 2), ..terms(Recovery::Named).owner }
}

fn assert_follows(before: &Lease, after: &Lease) {
    assert_eq!(after.revision(), before.revision() + 1);
    assert_eq!(after.terms(), before.terms());
    assert!(rank(after.phase()) >= rank(before.phase()), "went back: {before:?} {after:?}");
    assert!(rank(before.phase()) < 3, "changed after its end: {before:?} {after:?}");
    if let Phase::Active(active) = after.phase() {
        assert!(active.expires_at() <= active.terms().ends_by, "outlives its permit: {after:?}");
        if let Phase::Active(earlier) = before.phase() {
            assert!(active.expires_at() >= earlier.expires_at(), "shortened: {after:?}");
        }
    }
}

/// A history, and its end.
fn lived(history: impl IntoIterator<Item = Event>) {
    let mut world = World::new();
    for event in history {
        world.apply(event);
        world.check();
    }
    world.run_out();
}

#[test]
fn an_order_may_come_to_a_carrier_after_its_end_by_the_same_order() {
    let reserve = Event::Reserve {
        class: Class::Named,
        fate: Fate::Lands(0),
        ttl: 1,
        whose: 2,
        carries: true,
    };
    // Whoever shares it has an earlier id than the carrier, and so comes first.
    let share = Event::Share { which: 0, ttl: 1, whose: 0 };
    let (back, ahead) = (Event::ClockBack(1), Event::ClockAhead(1));
    lived([reserve, Event::Answer(0), back, share, ahead, Event::Order(0)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn nothing_issued_is_lost_and_everything_issued_ends(
        history in proptest::collection::vec(event(), 1..80)
    ) {
        lived(history);
    }
}
