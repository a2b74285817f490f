//! Choices that a seed repeats. Nothing secret is made of them.

/// A generator of numbers (`SplitMix64`; Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The generator of a seed, for one of several workers. Their sequences begin at places that have
    /// nothing to do with each other: one shifted by a step would repeat the other's.
    pub(super) fn new(seed: u64, worker: u64) -> Self {
        Self(Self(seed).next() ^ Self(!worker).next().rotate_left(32))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        usize::try_from(self.next().checked_rem(end).unwrap_or(0)).unwrap_or(0)
    }

    /// A number of seconds from 1 to `longest`.
    pub(super) fn seconds(&mut self, longest: i64) -> i64 {
        let longest = usize::try_from(longest).unwrap_or(1).max(1);
        i64::try_from(self.below(longest)).unwrap_or(0).saturating_add(1)
    }

    /// One of these, if there are any.
    pub(super) fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }

    /// Sixteen hexadecimal digits.
    pub(super) fn hex(&mut self) -> String {
        format!("{:016x}", self.next())
    }

    /// Twelve decimal digits, the first not 0.
    pub(super) fn digits(&mut self) -> String {
        (100_000_000_000 + self.next() % 900_000_000_000).to_string()
    }

    /// A UUID of no version.
    pub(super) fn uuid(&mut self) -> String {
        let (a, b) = (self.hex(), self.hex());
        let part = |text: &str, from: usize, to: usize| text.get(from..to).unwrap_or("").to_owned();
        let first = [part(&a, 0, 8), part(&a, 8, 12), part(&a, 12, 16)].join("-");
        format!("{first}-{}-{}", part(&b, 0, 4), part(&b, 4, 16))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_seed_repeats_its_choices_and_workers_share_none() {
        let drawn = |seed, worker| {
            let mut random = Random::new(seed, worker);
            (0..1000).map(|_| random.hex()).collect::<HashSet<_>>()
        };
        assert_eq!(drawn(1, 0), drawn(1, 0));
        let all = (0..8).flat_map(|worker| drawn(1, worker)).chain(drawn(2, 0));
        assert_eq!(all.collect::<HashSet<_>>().len(), 9000);
    }
}
