//! Counting those who are turned away at the door.
//!
//! A stranger costs nothing to be one, so a line per refusal would let anybody fill the disk. Their
//! refusals are counted by reason and by source, and a window of time gives one line.
//!
//! INVARIANT: memory is bounded by the settings, whatever comes; what is not told apart is still
//! counted.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use symbolon_core::audit::{SourceCount, Strangers};
use symbolon_core::clock::Timestamp;

/// Locks, so that a flood over many connections does not queue at one.
const SHARDS: usize = 16;
/// Sources named in a line.
const NAMED: usize = 32;
/// Reasons told apart. They are constants of the program, so this is never reached by honest code.
const REASONS: usize = 64;

/// The count of the current window.
#[derive(Debug)]
pub(super) struct Tally {
    shards: Vec<Mutex<Shard>>,
    per_shard: usize,
    hasher: RandomState,
    since: Mutex<Timestamp>,
}

#[derive(Debug, Default)]
struct Shard {
    reasons: BTreeMap<&'static str, u64>,
    sources: HashMap<IpNet, u64>,
    folded: u64,
}

impl Tally {
    pub(super) fn new(sources: usize, now: Timestamp) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            per_shard: sources.div_ceil(SHARDS),
            hasher: RandomState::new(),
            since: Mutex::new(now),
        }
    }

    /// Counts one refusal.
    pub(super) fn note(&self, reason: &'static str, source: IpAddr) {
        let prefix = prefix(source);
        let shards = u64::try_from(self.shards.len()).unwrap_or(1);
        let index = usize::try_from(self.hasher.hash_one(prefix) % shards).unwrap_or(0);
        if let Some(shard) = self.shards.get(index) {
            lock(shard).count(reason, prefix, 1, self.per_shard);
        }
    }

    /// Ends the window: everything counted so far, or `None` if nobody was turned away.
    pub(super) fn take(&self, now: Timestamp) -> Option<Strangers> {
        let since = std::mem::replace(&mut *lock(&self.since), now);
        let mut sum = Shard::default();
        for shard in &self.shards {
            let shard = std::mem::take(&mut *lock(shard));
            sum.add(shard);
        }
        let total = sum.reasons.values().fold(0_u64, |a, b| a.saturating_add(*b));
        (total > 0).then(|| sum.into_record(since, total))
    }

    /// Counts a window again whose line could not be written.
    pub(super) fn put_back(&self, window: Strangers) {
        *lock(&self.since) = window.since;
        if let Some(shard) = self.shards.first() {
            let mut shard = lock(shard);
            for (reason, count) in window.reasons {
                shard.count_reason(reason, count);
            }
            for source in window.sources {
                shard.count_source(source.prefix, source.count, self.per_shard);
            }
            shard.folded = shard.folded.saturating_add(window.folded);
        }
    }
}

impl Shard {
    fn count(&mut self, reason: &'static str, prefix: IpNet, by: u64, limit: usize) {
        self.count_reason(reason, by);
        self.count_source(prefix, by, limit);
    }

    fn count_reason(&mut self, reason: &'static str, by: u64) {
        let known = self.reasons.len() < REASONS || self.reasons.contains_key(reason);
        let count = self.reasons.entry(if known { reason } else { "other" }).or_default();
        *count = count.saturating_add(by);
    }

    fn count_source(&mut self, prefix: IpNet, by: u64, limit: usize) {
        let room = self.sources.len() < limit;
        match self.sources.get_mut(&prefix) {
            Some(count) => *count = count.saturating_add(by),
            None if room => drop(self.sources.insert(prefix, by)),
            None => self.folded = self.folded.saturating_add(by),
        }
    }

    fn add(&mut self, other: Self) {
        for (reason, count) in other.reasons {
            self.count_reason(reason, count);
        }
        for (prefix, count) in other.sources {
            self.count_source(prefix, count, usize::MAX);
        }
        self.folded = self.folded.saturating_add(other.folded);
    }

    fn into_record(self, since: Timestamp, total: u64) -> Strangers {
        let mut sources: Vec<_> =
            self.sources.into_iter().map(|(prefix, count)| SourceCount { prefix, count }).collect();
        sources.sort_by_key(|source| (std::cmp::Reverse(source.count), source.prefix));
        let unnamed = sources.split_off(NAMED.min(sources.len()));
        let folded = unnamed.iter().fold(self.folded, |sum, s| sum.saturating_add(s.count));
        Strangers { since, total, reasons: self.reasons, sources, folded }
    }
}

/// What one customer of a network typically has: /24 of IPv4, /48 of IPv6.
fn prefix(source: IpAddr) -> IpNet {
    let source = source.to_canonical();
    let length = if source.is_ipv4() { 24 } else { 48 };
    IpNet::new(source, length).map_or(IpNet::from(source), |net| net.trunc())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(sources: usize) -> Tally {
        Tally::new(sources, Timestamp::from_seconds(100))
    }

    fn v4(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    #[test]
    fn a_window_tells_reasons_and_loudest_sources() {
        let tally = tally(1024);
        for _ in 0..3 {
            tally.note("bad_signature", "192.0.2.7".parse().unwrap());
        }
        tally.note("no_token", "192.0.2.250".parse().unwrap());
        tally.note("no_token", "2001:db8:1:2::3".parse().unwrap());
        tally.note("no_token", "::ffff:192.0.2.9".parse().unwrap());
        let record = tally.take(Timestamp::from_seconds(110)).unwrap();
        assert_eq!(record.since, Timestamp::from_seconds(100));
        assert_eq!(record.reasons, BTreeMap::from([("bad_signature", 3), ("no_token", 3)]));
        let sources: Vec<_> =
            record.sources.iter().map(|s| (s.prefix.to_string(), s.count)).collect();
        assert_eq!(sources, [("192.0.2.0/24".into(), 5), ("2001:db8:1::/48".into(), 1)]);
        assert_eq!(tally.take(Timestamp::from_seconds(120)), None);
    }

    #[test]
    fn a_flood_from_everywhere_is_counted_in_bounded_memory() {
        let tally = tally(256);
        for n in 0..100_000 {
            tally.note("no_token", v4(n << 8));
        }
        let held: usize = tally.shards.iter().map(|s| lock(s).sources.len()).sum();
        assert!(held <= 256, "{held}");
        let record = tally.take(Timestamp::from_seconds(110)).unwrap();
        let named: u64 = record.sources.iter().map(|s| s.count).sum();
        assert_eq!((record.total, named + record.folded), (100_000, 100_000));
        assert!(record.sources.len() <= NAMED);
    }

    #[test]
    fn a_window_that_was_not_written_is_counted_again() {
        let tally = tally(64);
        tally.note("no_token", v4(1 << 24));
        let window = tally.take(Timestamp::from_seconds(110)).unwrap();
        tally.put_back(window.clone());
        tally.note("no_token", v4(1 << 24));
        let again = tally.take(Timestamp::from_seconds(120)).unwrap();
        assert_eq!((again.since, again.total), (window.since, 2));
    }
}
