//! Logins that were issued, remembered so that their end can be proven.
//!
//! That a login is dead is seen by trying it, and nothing else proves it: a database that is asked
//! what became of a user answers by its catalog, which is not what lets people in. The host made the
//! password, so it can try; for that it keeps it until the lease is over.
//!
//! INVARIANT: passwords are in memory only and wiped when they are forgotten. There are never more
//! than the store has room for: the oldest goes first, in constant memory. The end of what was
//! forgotten (or issued before a restart) is verified by asking, and its lease says so.
//!
//! INVARIANT: a login is tried at the server for which it was made and nowhere else: another one
//! that never heard of it would refuse it too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use symbolon_core::id::LeaseId;
use symbolon_core::secret::Secret;

use super::error::SqlError;

/// After so many tries that proved nothing a login is forgotten: what the backend confirms is not
/// kept waiting for ever for a proof that cannot be had.
const TRIES: u8 = 5;

/// Logins that were issued and are not known to be over. See the module.
#[derive(Debug)]
pub struct IssuedLogins {
    room: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    logins: BTreeMap<LeaseId, Login>,
    /// Who came when; the first goes first.
    turns: BTreeMap<u64, LeaseId>,
    next_turn: u64,
}

#[derive(Debug)]
struct Login {
    server: Arc<str>,
    password: Secret,
    turn: u64,
    /// Tries that proved nothing.
    in_vain: u8,
}

/// What trying the login of an ended credential shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// It was not tried: it is not remembered, or can never be tried from here.
    Untried,
    /// The server refuses it.
    Refused,
    /// The server takes it: it has not ended, whatever was said.
    Taken,
    /// Nothing yet: the server was not reached, or did not get so far.
    Unproven,
}

impl IssuedLogins {
    /// Room for so many logins: about 200 bytes each.
    #[must_use]
    pub fn new(room: usize) -> Self {
        Self { room, inner: Mutex::default() }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.inner().logins.len()
    }

    /// The lease is over.
    pub fn forget(&self, reservation: LeaseId) {
        self.inner().remove(reservation);
    }

    /// Remembers the password that was made for `reservation`, at the cost of the oldest if there is
    /// no room.
    pub(crate) fn remember(&self, reservation: LeaseId, server: &Arc<str>, password: Secret) {
        let mut inner = self.inner();
        inner.remove(reservation);
        if self.room == 0 {
            return;
        }
        while inner.logins.len() >= self.room {
            let Some((_, oldest)) = inner.turns.pop_first() else { break };
            inner.logins.remove(&oldest);
        }
        inner.insert(reservation, server.clone(), password);
    }

    /// The password of `reservation`, if it was made for `server`.
    pub(crate) fn password(&self, reservation: LeaseId, server: &str) -> Option<Secret> {
        let inner = self.inner();
        let login = inner.logins.get(&reservation).filter(|login| *login.server == *server)?;
        Some(login.password.clone())
    }

    /// What a try comes to. One that is still taken becomes the youngest, so that the end of others
    /// does not let it pass unproven.
    pub(crate) fn judge(&self, reservation: LeaseId, tried: Result<bool, SqlError>) -> Trial {
        let mut inner = self.inner();
        match tried {
            Ok(true) => Trial::Refused,
            Ok(false) => {
                inner.renew(reservation);
                Trial::Taken
            }
            Err(error) if error.may_pass() && inner.may_try_again(reservation) => Trial::Unproven,
            Err(_) => {
                inner.remove(reservation);
                Trial::Untried
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn insert(&mut self, reservation: LeaseId, server: Arc<str>, password: Secret) {
        let turn = self.next_turn;
        self.next_turn = self.next_turn.saturating_add(1);
        self.turns.insert(turn, reservation);
        self.logins.insert(reservation, Login { server, password, turn, in_vain: 0 });
    }

    fn remove(&mut self, reservation: LeaseId) -> Option<Login> {
        let login = self.logins.remove(&reservation)?;
        self.turns.remove(&login.turn);
        Some(login)
    }

    fn renew(&mut self, reservation: LeaseId) {
        if let Some(Login { server, password, .. }) = self.remove(reservation) {
            self.insert(reservation, server, password);
        }
    }

    fn may_try_again(&mut self, reservation: LeaseId) -> bool {
        let Some(login) = self.logins.get_mut(&reservation) else { return false };
        login.in_vain = login.in_vain.saturating_add(1);
        login.in_vain < TRIES
    }
}

#[cfg(test)]
mod tests {
    use symbolon_core::clock::Timestamp;

    use super::*;

    fn id(n: u128) -> LeaseId {
        LeaseId::new(Timestamp::from_seconds(1_793_520_000), n)
    }

    fn logins(room: usize) -> (IssuedLogins, Arc<str>) {
        (IssuedLogins::new(room), Arc::from("db.internal:5432"))
    }

    fn add(logins: &IssuedLogins, server: &Arc<str>, numbers: std::ops::Range<u128>) {
        for n in numbers {
            logins.remember(id(n), server, Secret::from(format!("password {n}")));
        }
    }

    fn has(logins: &IssuedLogins, server: &str, n: u128) -> bool {
        let found = logins.password(id(n), server);
        let expected = format!("password {n}");
        assert!(found.iter().all(|password| password.expose() == expected.as_bytes()));
        found.is_some()
    }

    #[test]
    fn the_oldest_goes_first_and_there_are_never_too_many() {
        let (logins, server) = logins(3);
        add(&logins, &server, 0..3);
        add(&logins, &server, 0..1);
        assert_eq!(logins.count(), 3, "the same reservation again takes no further room");
        add(&logins, &server, 3..5);
        let kept: Vec<_> = (0..5).filter(|n| has(&logins, &server, *n)).collect();
        assert_eq!(kept, [0, 3, 4]);
        logins.forget(id(3));
        logins.forget(id(3));
        assert_eq!((logins.count(), has(&logins, &server, 3)), (2, false));
        add(&logins, &server, 10..1000);
        assert_eq!((logins.count(), logins.inner().turns.len()), (3, 3));
    }

    #[test]
    fn without_room_nothing_is_kept() {
        let (logins, server) = logins(0);
        add(&logins, &server, 0..2);
        assert_eq!((logins.count(), has(&logins, &server, 1)), (0, false));
    }

    #[test]
    fn it_is_tried_at_its_own_server_only() {
        let (logins, server) = logins(3);
        add(&logins, &server, 0..1);
        assert!(!has(&logins, "db.internal:5433", 0));
        assert!(has(&logins, &server, 0));
    }

    #[test]
    fn what_is_still_taken_outlasts_those_that_come_after() {
        let (logins, server) = logins(3);
        add(&logins, &server, 0..3);
        for n in 3..100 {
            assert_eq!(logins.judge(id(0), Ok(false)), Trial::Taken);
            add(&logins, &server, n..n + 1);
        }
        assert!(has(&logins, &server, 0));
        assert_eq!(logins.judge(id(0), Ok(true)), Trial::Refused);
    }

    #[test]
    fn a_proof_that_cannot_be_had_is_not_waited_for_for_ever() {
        let (logins, server) = logins(3);
        add(&logins, &server, 0..2);
        for _ in 1..TRIES {
            assert_eq!(logins.judge(id(0), Err(SqlError::Lost)), Trial::Unproven);
            assert!(has(&logins, &server, 0));
        }
        assert_eq!(logins.judge(id(0), Err(SqlError::Deadline)), Trial::Untried);
        assert!(!has(&logins, &server, 0));
        // What will not pass by itself is not tried again.
        assert_eq!(logins.judge(id(1), Err(SqlError::TooLarge)), Trial::Untried);
        assert_eq!(logins.count(), 0);
    }
}
