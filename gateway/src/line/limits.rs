//! Rate limits by key: how often one source may be refused, how often one principal may ask.
//!
//! The generic cell rate algorithm, on one atomic per key. It is ours, and not a library's, for two
//! reasons: time is injected, and a limit on *refusals* has to be looked at before any work is done
//! and charged only after the work has failed.
//!
//! INVARIANT: memory is bounded by the number of keys given to [`Buckets::new`]; the least recently
//! used key is forgotten first, which can only forgive, never accuse.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::sync::Cache;
use symbolon_core::clock::Clock;

/// A sustained rate and how far a key may run ahead of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Events a second in the long run. Zero is read as one.
    pub rate: u32,
    /// Events that may come at once.
    pub burst: u32,
}

impl Quota {
    fn interval(self) -> u64 {
        1_000_000_000 / u64::from(self.rate.max(1))
    }

    /// How far the arrival time may lie ahead of now before a key is exhausted.
    fn tolerance(self) -> u64 {
        self.interval().saturating_mul(u64::from(self.burst.max(1)))
    }
}

/// One bucket per key. Clones share them.
#[derive(Debug)]
pub struct Buckets<K: Hash + Eq + Send + Sync + 'static> {
    quota: Quota,
    clock: Arc<dyn Clock>,
    /// Theoretical arrival time of the next event that conforms, in nanoseconds of elapsed time.
    arrivals: Cache<K, Arc<AtomicU64>>,
}

/// Derived by hand: `derive` would demand `K: Clone`.
impl<K: Hash + Eq + Send + Sync + 'static> Clone for Buckets<K> {
    fn clone(&self) -> Self {
        let (quota, clock, arrivals) = (self.quota, self.clock.clone(), self.arrivals.clone());
        Self { quota, clock, arrivals }
    }
}

impl<K: Hash + Eq + Send + Sync + 'static> Buckets<K> {
    /// Buckets for at most `keys` keys.
    #[must_use]
    pub fn new(quota: Quota, keys: u64, clock: Arc<dyn Clock>) -> Self {
        Self { quota, clock, arrivals: Cache::new(keys) }
    }

    /// The buckets of `before` if their quota is the same, else these. What was charged at another
    /// rate is forgotten, since it would be a wait that the new rate does not ask for.
    #[must_use]
    pub fn continuing(self, before: &Self) -> Self {
        if self.quota == before.quota { before.clone() } else { self }
    }

    /// Whether the key has used up its quota. Charges nothing.
    pub fn exhausted(&self, key: &K) -> bool {
        let now = self.now();
        self.arrivals
            .get(key)
            .is_some_and(|arrival| self.over(arrival.load(Ordering::Relaxed), now))
    }

    /// Charges one event; false if the key was already exhausted, in which case nothing is charged.
    pub fn take(&self, key: K) -> bool {
        self.take_many(key, 1)
    }

    /// Charges `count` events at once, or nothing. More than the burst counts as the burst: it
    /// passes when the key has asked for nothing else for a while.
    pub fn take_many(&self, key: K, count: u32) -> bool {
        let now = self.now();
        let events = u64::from(count.clamp(1, self.quota.burst.max(1)));
        let cost = self.quota.interval().saturating_mul(events);
        let arrival = self.arrivals.get_with(key, || Arc::new(AtomicU64::new(0)));
        let charge = |at: u64| {
            let next = at.max(now).saturating_add(cost);
            (next.saturating_sub(now) <= self.quota.tolerance()).then_some(next)
        };
        arrival.fetch_update(Ordering::Relaxed, Ordering::Relaxed, charge).is_ok()
    }

    fn over(&self, arrival: u64, now: u64) -> bool {
        let ahead = arrival.saturating_sub(now);
        ahead.saturating_add(self.quota.interval()) > self.quota.tolerance()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_nanos()).unwrap_or(u64::MAX / 2)
    }
}

/// The part of an address that one party controls: all of an IPv4 address, the first 64 bits of an
/// IPv6 address.
#[must_use]
pub fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

/// How long until an exhausted key may try again: one interval, at least a second.
#[must_use]
pub fn retry_after(quota: Quota) -> Duration {
    Duration::from_nanos(quota.interval()).max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use symbolon_core::clock::{ManualClock, Timestamp};

    fn buckets(rate: u32, burst: u32) -> (Buckets<u8>, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(0)));
        (Buckets::new(Quota { rate, burst }, 10, clock.clone()), clock)
    }

    #[test]
    fn a_burst_passes_and_the_next_event_does_not() {
        let (buckets, _) = buckets(10, 3);
        assert_eq!((0..4).map(|_| buckets.take(1)).collect::<Vec<_>>(), [true, true, true, false]);
        assert!(buckets.exhausted(&1) && !buckets.exhausted(&2));
    }

    #[test]
    fn many_are_charged_at_once_or_not_at_all() {
        let (buckets, _) = buckets(10, 5);
        assert!(buckets.take_many(1, 3));
        assert!(!buckets.take_many(1, 3), "only two are left");
        assert!(buckets.take_many(1, 2), "and they still are");
        assert!(buckets.take_many(2, 50), "more than the burst is the burst");
        assert!(!buckets.take(2));
    }

    #[test]
    fn time_refills_at_the_rate() {
        let (buckets, clock) = buckets(10, 3);
        while buckets.take(1) {}
        clock.advance(Duration::from_millis(200));
        assert_eq!((0..3).map(|_| buckets.take(1)).collect::<Vec<_>>(), [true, true, false]);
    }

    #[test]
    fn what_was_charged_counts_on_where_the_quota_is_the_same() {
        let (before, _) = buckets(10, 3);
        assert!(before.take_many(1, 3));
        let (same, _) = buckets(10, 3);
        assert!(!same.continuing(&before).take(1));
        let (other, _) = buckets(10, 4);
        assert!(other.continuing(&before).take(1));
    }

    #[test]
    fn a_jump_of_the_wall_clock_changes_nothing() {
        let (buckets, clock) = buckets(1, 1);
        assert!(buckets.take(1));
        clock.jump_to(Timestamp::from_seconds(1_000_000));
        assert!(!buckets.take(1));
    }

    #[test]
    fn an_ipv6_source_is_its_first_64_bits() {
        let of = |text: &str| source_of(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
    }
}
