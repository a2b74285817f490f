//! How long something takes of which part has not ended yet: the Kaplan–Meier estimator.
//!
//! What is still being revoked has lasted *at least* so long. Leaving it out would make a dead backend
//! look fast, and counting its age as its end would too; so it stays among those that could still end
//! until its age, and counts no end (E. L. Kaplan, P. Meier, 1958, "Nonparametric estimation from
//! incomplete observations").
//!
//! INVARIANT: a quantile that the observations do not reach is [`Quantile::Beyond`], never a number
//! that looks like an answer.

use std::time::Duration;

/// How long one thing took, or has taken so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Observation {
    /// How long.
    pub lasted: Duration,
    /// Whether it is unfinished. What ended at a time counts before what is unfinished at that time.
    pub unfinished: bool,
}

/// A quantile of durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantile {
    /// This long.
    At(Duration),
    /// Longer than this: too many are unfinished to say more.
    Beyond(Duration),
}

/// Durations, of which some are unfinished.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durations(Vec<Observation>);

impl Durations {
    /// Adds something that ended after `lasted`.
    pub fn ended(&mut self, lasted: Duration) {
        self.0.push(Observation { lasted, unfinished: false });
    }

    /// Adds something that has lasted `so_far` and has not ended.
    pub fn unfinished(&mut self, so_far: Duration) {
        self.0.push(Observation { lasted: so_far, unfinished: true });
    }

    /// How many ended.
    #[must_use]
    pub fn count_ended(&self) -> usize {
        self.0.iter().filter(|observation| !observation.unfinished).count()
    }

    /// How many have not.
    #[must_use]
    pub fn count_unfinished(&self) -> usize {
        self.0.len().saturating_sub(self.count_ended())
    }

    /// The longest of all, if there is any.
    #[must_use]
    pub fn longest(&self) -> Option<Quantile> {
        let last = self.0.iter().max()?;
        Some(match last.unfinished {
            true => Quantile::Beyond(last.lasted),
            false => Quantile::At(last.lasted),
        })
    }

    /// The durations within which each of the `fractions` has ended; `None` if nothing was observed.
    /// Fractions are per mille and come in ascending order.
    #[must_use]
    pub fn quantiles<const N: usize>(&self, fractions: [u16; N]) -> Option<[Quantile; N]> {
        let longest = self.0.iter().max()?.lasted;
        let curve = self.curve();
        let reached = |fraction: u16| {
            let left = 1.0 - f64::from(fraction.min(1000)) / 1000.0;
            // The products of fractions are off by rounding; a step is much larger than that.
            let below = |(_, alive): &&(Duration, f64)| *alive <= left + 1e-9;
            let at = curve.iter().find(below).map(|(at, _)| Quantile::At(*at));
            at.unwrap_or(Quantile::Beyond(longest))
        };
        Some(fractions.map(reached))
    }

    /// After which time which fraction has not ended: one step at each time at which something did.
    fn curve(&self) -> Vec<(Duration, f64)> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let mut at_risk = sorted.len();
        let mut alive = 1.0;
        let mut curve = Vec::new();
        for observation in sorted {
            if !observation.unfinished {
                alive *= ratio(at_risk.saturating_sub(1), at_risk);
                curve.push((observation.lasted, alive));
            }
            at_risk = at_risk.saturating_sub(1);
        }
        curve
    }
}

/// Counts of leases are far below what a float holds exactly.
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(ended: &[u64], unfinished: &[u64]) -> Durations {
        let mut durations = Durations::default();
        ended.iter().for_each(|s| durations.ended(Duration::from_secs(*s)));
        unfinished.iter().for_each(|s| durations.unfinished(Duration::from_secs(*s)));
        durations
    }

    const fn at(seconds: u64) -> Quantile {
        Quantile::At(Duration::from_secs(seconds))
    }

    const fn beyond(seconds: u64) -> Quantile {
        Quantile::Beyond(Duration::from_secs(seconds))
    }

    #[test]
    fn without_unfinished_ones_it_is_the_plain_quantile() {
        let hundred: Vec<u64> = (1..=100).collect();
        let durations = of(&hundred, &[]);
        assert_eq!(durations.quantiles([500, 950, 990]), Some([at(50), at(95), at(99)]));
        assert_eq!(durations.longest(), Some(at(100)));
        assert_eq!(of(&[7], &[]).quantiles([500, 990]), Some([at(7), at(7)]));
    }

    #[test]
    fn nothing_observed_is_nothing_said() {
        assert_eq!(Durations::default().quantiles([500]), None);
        assert_eq!(Durations::default().longest(), None);
    }

    #[test]
    fn unfinished_ones_push_what_they_outlast_beyond_what_can_be_said() {
        // A backend that ended three at once, and has been silent about seven for an hour.
        let durations = of(&[1, 1, 1], &[3600; 7]);
        assert_eq!(durations.quantiles([200, 500, 990]), Some([at(1), beyond(3600), beyond(3600)]));
        assert_eq!(durations.longest(), Some(beyond(3600)));
        assert_eq!((durations.count_ended(), durations.count_unfinished()), (3, 7));
        assert_eq!(of(&[], &[5]).quantiles([500]), Some([beyond(5)]));
    }

    #[test]
    fn unfinished_ones_that_are_young_weigh_little() {
        // Asked a moment ago: they were never at risk at the times at which the others ended.
        let durations = of(&[10, 20, 30, 40], &[1; 96]);
        assert_eq!(durations.quantiles([250, 500, 990]), Some([at(10), at(20), at(40)]));
    }

    /// The remission times of 6-mercaptopurine (Freireich 1963), the textbook's example: the median
    /// is 23 weeks, and the curve never comes below 0.448.
    #[test]
    fn it_agrees_with_the_textbook() {
        let ended = [6, 6, 6, 7, 10, 13, 16, 22, 23];
        let unfinished = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35];
        let durations = of(&ended, &unfinished);
        let expected = [at(6), at(13), at(23), beyond(35)];
        assert_eq!(durations.quantiles([140, 300, 500, 560]), Some(expected));
        let (_, last) = durations.curve().pop().unwrap();
        assert!((last - 0.448).abs() < 0.001, "{last}");
    }

    proptest! {
        #[test]
        fn an_unfinished_one_never_makes_it_look_faster(
            ended in proptest::collection::vec(0_u64..1000, 1..50),
            ages in proptest::collection::vec(0_u64..1000, 0..50),
        ) {
            let rank = |quantile| match quantile {
                Quantile::At(at) => (0, at),
                Quantile::Beyond(at) => (1, at),
            };
            let fractions = [100, 500, 900, 990];
            let without = of(&ended, &[]).quantiles(fractions).unwrap();
            let with = of(&ended, &ages).quantiles(fractions).unwrap();
            for (without, with) in without.into_iter().zip(with) {
                prop_assert!(rank(without) <= rank(with), "{without:?} {with:?}");
            }
        }
    }
}
