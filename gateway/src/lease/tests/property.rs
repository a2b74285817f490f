//! Histories by chance: whatever happens in whatever order, nothing issued is lost and everything
//! issued ends. What fails names its seed.

use symbolon_core::lease::{LANDING_MARGIN, OnRevoke};

use super::*;

const HISTORIES: u64 = 300;
const EVENTS: usize = 60;

/// A generator of which the seed is everything (xorshift, Marsaglia 2003).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length.max(1) as u64)).unwrap()
    }
}

struct History {
    world: World,
    chance: Chance,
    issued: Vec<LeaseId>,
    open: Vec<(Reservation, Option<Newcomer>)>,
    forced: BTreeSet<LeaseId>,
    /// How far the wall clock was ahead at the last start, in milliseconds.
    ahead: i64,
}

impl History {
    fn wish(&mut self) -> Wish {
        Wish {
            backend: ["db", "db-a"][self.chance.index(2)],
            role: ["reader", "writer"][self.chance.index(2)],
            subject: ["alice", "bob", "other:alice"][self.chance.index(3)].to_owned(),
            token: u8::try_from(self.chance.below(3)).unwrap(),
            ..wish()
        }
    }

    fn any(&mut self) -> Option<LeaseId> {
        let at = self.chance.index(self.issued.len());
        self.issued.get(at).copied()
    }

    async fn step(&mut self) {
        match self.chance.below(19) {
            16 | 17 => self.share().await,
            18 => self.join().await,
            0 | 1 => self.reserve().await,
            2 | 3 => self.answer().await,
            4 => self.fail().await,
            5 => self.renew().await,
            6 => self.revoke().await,
            7 => self.order().await,
            8 => self.force().await,
            9 | 10 => self.world.sweep().await,
            11 => self.sweep_a_little().await,
            12 => self.feel(),
            13 => self.jump(),
            14 => self.crash().await,
            _ => self.passes(),
        }
        if self.chance.below(20) == 0 {
            let fault = [Fault::Refused, Fault::AnswerLost][self.chance.index(2)];
            self.world.memory().fail_next(fault);
        }
    }

    /// The create lands at some time until none can any more, or never.
    async fn reserve(&mut self) {
        let wish = self.wish();
        let Ok(reservation) = self.world.try_reserve(&wish).await else { return };
        let latest = ISSUE_WITHIN + LANDING_MARGIN;
        if self.chance.below(4) > 0 {
            let pause = Duration::from_secs(self.chance.below(latest.as_secs()));
            self.world.database.lands(reservation.id(), pause);
        }
        self.issued.push(reservation.id());
        self.open.push((reservation, None));
    }

    fn newcomer(&mut self) -> (Newcomer, Carriage) {
        let on_revoke = [OnRevoke::Keep, OnRevoke::Rotate, OnRevoke::End][self.chance.index(3)];
        let ttl = Duration::from_secs(1 + self.chance.below(3600));
        let newcomer = Newcomer { ttl, ..share::newcomer(&self.wish()) };
        (newcomer, Carriage { on_revoke, ..share::PLAN })
    }

    /// What is to be shared is issued: its create lands as any other does.
    async fn share(&mut self) {
        let (newcomer, plan) = self.newcomer();
        let Ok(reservation) = self.world.ledger.reserve_carrier(&newcomer, plan).await else {
            return;
        };
        let latest = ISSUE_WITHIN + LANDING_MARGIN;
        let pause = Duration::from_secs(self.chance.below(latest.as_secs()));
        self.world.database.lands(reservation.id(), pause);
        self.issued.push(reservation.id());
        self.open.push((reservation, Some(newcomer)));
    }

    async fn join(&mut self) {
        let (newcomer, _) = self.newcomer();
        let Ok(Some(offer)) = self.world.ledger.offer(&newcomer).await else { return };
        if let Ok(lease) = self.world.ledger.join(&newcomer, &offer).await {
            assert_eq!(self.world.state(offer.carrier()).await, "active");
            self.issued.push(lease.id);
        }
    }

    fn take(&mut self) -> Option<(Reservation, Option<Newcomer>)> {
        let at = self.chance.index(self.open.len());
        (at < self.open.len()).then(|| self.open.swap_remove(at))
    }

    /// The backend answers once it has done what it was asked to.
    async fn answer(&mut self) {
        let Some((reservation, newcomer)) = self.take() else { return };
        let id = reservation.id();
        self.world.database.with(|inner| {
            let landing = inner.landing.len();
            inner.landing.retain(|(_, lease)| *lease != id);
            if inner.landing.len() < landing {
                inner.usable.insert(id);
            }
        });
        let ttl = Duration::from_secs(self.chance.below(4000));
        let issued = self.world.issued(ttl);
        let Some(newcomer) = newcomer else {
            let _outcome = self.world.ledger.activate(reservation, issued).await;
            return;
        };
        let live = self
            .world
            .ledger
            .find(id)
            .await
            .is_ok_and(|lease| lease.is_some_and(|l| l.state != "revoked"));
        if !live || !self.world.try_keep(id).await {
            self.world.ledger.discard(reservation, issued).await;
        } else if let Ok(lease) =
            self.world.ledger.activate_carrier(reservation, issued, &newcomer).await
        {
            self.issued.push(lease.id);
        }
    }

    async fn fail(&mut self) {
        let Some((reservation, _)) = self.take() else { return };
        let id = reservation.id();
        let acted = self.world.database.with(|inner| {
            inner.usable.contains(&id) || inner.landing.iter().any(|(_, lease)| *lease == id)
        });
        self.world.ledger.fail(reservation, acted).await;
    }

    async fn renew(&mut self) {
        let Some(id) = self.any() else { return };
        let ledger = &self.world.ledger;
        let before = ledger.find(id).await.unwrap();
        let until = self.world.now().plus(Duration::from_secs(self.chance.below(4000)));
        let Ok(after) = ledger.renewed(id, until).await else { return };
        let before = before.unwrap();
        assert_eq!((before.state, after.state), ("active", "active"));
        assert!(before.expires_at > Some(after.seen_at) && after.expires_at <= Some(after.ends_by));
    }

    async fn revoke(&mut self) {
        let Some(id) = self.any() else { return };
        if let Ok(lease) = self.world.ledger.revoke(id, Cause::Owner).await {
            assert!(matches!(lease.state, "revoking" | "revoked"));
        }
    }

    async fn order(&mut self) {
        let wish = self.wish();
        let scope = match self.chance.below(5) {
            0 => Scope::Backend(backend(wish.backend)),
            1 => Scope::Role { backend: backend(wish.backend), role: role(wish.role) },
            2 => Scope::Token { digest: [wish.token; 32] },
            3 => Scope::Issuer(owner(&wish.subject).issuer),
            _ => Scope::of(&owner(&wish.subject)),
        };
        let covered = |lease: &Lease| scope.covers(lease.terms()) && lease.is_live();
        let meant: Vec<_> = self.world.leases().await.into_iter().filter(covered).collect();
        if self.world.ledger.order(scope.clone(), Cause::Cascade).await.is_ok() {
            for lease in meant {
                let refused = self.world.ledger.renewable(lease.terms().id).await;
                assert!(refused.is_err(), "{scope} covers it");
            }
        }
    }

    async fn force(&mut self) {
        let Some(id) = self.any() else { return };
        let outcome = self.world.ledger.force(id).await;
        if matches!(outcome, Ok(_) | Err(LedgerError::Store(_))) {
            self.forced.insert(id);
        }
    }

    /// Something is under way when the next thing happens.
    async fn sweep_a_little(&mut self) {
        self.world.reaper.sweep().await;
        for _ in 0..self.chance.below(6) {
            tokio::task::yield_now().await;
        }
    }

    fn feel(&mut self) {
        let moods = [Mood::Up, Mood::Up, Mood::Down, Mood::Busy, Mood::Refuses, Mood::AnswerLost];
        let mood = moods[self.chance.index(moods.len())];
        self.world.database.feel(["db", "db-a"][self.chance.index(2)], mood);
    }

    /// While the ledger is open the wall clock may do what it likes.
    fn jump(&mut self) {
        let wall = START.plus(DAY * 30).minus(DAY * u32::try_from(self.chance.below(60)).unwrap());
        self.world.clock.jump_to(wall);
    }

    /// At each start it may be a little further off: what is off by more is held.
    async fn crash(&mut self) {
        self.ahead += i64::try_from(self.chance.below(600_000)).unwrap() - 300_000;
        let wall = START.plus(self.world.clock.elapsed());
        self.world.clock.jump_to(Timestamp::from_millis(wall.millis() + self.ahead));
        self.open.clear();
        let shelf = Shelf::Memory(Arc::default());
        let (clock, database) = (Arc::clone(&self.world.clock), Arc::clone(&self.world.database));
        let placeholder = World::begin(shelf, clock, database, None).await;
        let world = std::mem::replace(&mut self.world, placeholder);
        self.world = world.restart().await;
    }

    fn passes(&mut self) {
        let longest = [10, 60, 600, 3600][self.chance.index(4)];
        let seconds = self.chance.below(longest);
        self.world.clock.advance(Duration::from_millis(seconds * 1000 + self.chance.below(1000)));
    }

    /// The backends are up and nobody asks for anything: everything ends, and is forgotten.
    async fn run_out(mut self) {
        self.crash().await;
        for name in ["db", "db-a"] {
            self.world.database.feel(name, Mood::Up);
        }
        for _ in 0..30 {
            self.world.clock.advance(Duration::from_mins(6));
            self.world.drain().await;
            self.world.check(&self.forced).await;
        }
        let usable = self.world.database.with(|inner| inner.usable.clone());
        assert!(usable.is_subset(&self.forced), "usable in the end");
        assert!(
            self.world
                .leases()
                .await
                .iter()
                .all(|lease| matches!(lease.phase(), Phase::Revoked(_)))
        );
        self.world.clock.advance(DAY);
        self.world.drain().await;
        assert_eq!(self.world.leases().await, []);
        self.world.check(&self.forced).await;
        assert_eq!(self.world.ledger.pending_orders(), Vec::<Order>::new());
    }
}

#[tokio::test]
async fn nothing_issued_is_lost_and_everything_issued_ends() {
    for seed in 1..=HISTORIES {
        let chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (issued, open, forced, ahead) = Default::default();
        let mut history =
            History { world: World::new().await, chance, issued, open, forced, ahead };
        eprintln!("seed {seed}");
        for _ in 0..EVENTS {
            history.step().await;
            history.world.check(&history.forced).await;
        }
        history.run_out().await;
    }
}
