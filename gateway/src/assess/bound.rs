//! What a count of failures says of the rate behind it.

/// How often the bound is halved: as exact as the numbers are.
const HALVINGS: u32 = 200;

/// The Clopper-Pearson upper bound, one-sided, at 95 %: the largest rate at which so few failures in
/// so many attempts would still be seen once in twenty times.
///
/// Clopper and Pearson, Biometrika 26 (1934): the `p` with `P(X <= failures) = 0.05` for a binomial
/// `X`. Without attempts nothing is known, and the bound is 1.
#[must_use]
pub fn upper_bound(failures: u64, attempts: u64) -> f64 {
    if failures >= attempts {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if at_most(failures, attempts, middle) > 0.05 { low = middle } else { high = middle }
    }
    high
}

/// The probability of at most so many failures at a rate within 0 and 1, by logarithms: the terms
/// themselves are too small for a floating-point number.
fn at_most(failures: u64, attempts: u64, rate: f64) -> f64 {
    let (success, failure) = ((-rate).ln_1p(), rate.ln());
    let mut choices = 0.0;
    let mut sum = 0.0;
    for count in 0..=failures {
        let rest = (attempts - count) as f64;
        sum += (choices + count as f64 * failure + rest * success).exp();
        choices += rest.ln() - ((count + 1) as f64).ln();
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_failures_it_is_the_closed_form() {
        for attempts in [1_u32, 10, 299, 100_000, 3_000_000] {
            let expected = 1.0 - 0.05_f64.powf(1.0 / f64::from(attempts));
            let bound = upper_bound(0, attempts.into());
            assert!((bound - expected).abs() < 1e-12, "{attempts}: {bound} {expected}");
        }
        assert!(upper_bound(0, 100_000) < 3.0e-5);
    }

    /// Quantiles of the beta distribution, `qbeta(0.95, k + 1, n - k)`.
    #[test]
    fn with_failures_it_is_the_quantile_of_the_beta_distribution() {
        for (failures, attempts, expected) in
            [(1, 10, 0.394_163), (2, 20, 0.282_619), (5, 100, 0.102_253), (9, 10, 0.994_884)]
        {
            let bound = upper_bound(failures, attempts);
            assert!((bound - expected).abs() < 5e-6, "{failures} of {attempts}: {bound}");
        }
    }

    #[test]
    fn nothing_is_known_without_attempts_and_nothing_held_where_all_failed() {
        assert_eq!([upper_bound(0, 0), upper_bound(7, 7)], [1.0, 1.0]);
    }
}
