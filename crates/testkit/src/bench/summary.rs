//! Medians of rounds, their spread, and ratios with an interval.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Resamples behind an interval; more change its ends by less than the machine's noise.
const RESAMPLES: usize = 2000;

/// Where the generator of resamples starts, so that the same rounds give the same interval.
const SEED: u64 = 0x7472_756e_6b6c_696e;

/// Median, smallest and largest of the rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The value in the middle.
    pub median: f64,
    /// The smallest.
    pub least: f64,
    /// The largest.
    pub most: f64,
}

impl Spread {
    /// Of these rounds; all zero without any.
    pub fn of(rounds: &[f64]) -> Self {
        let sorted = sorted(rounds);
        Self {
            median: quantile(&sorted, 0.5),
            least: sorted.first().copied().unwrap_or_default(),
            most: sorted.last().copied().unwrap_or_default(),
        }
    }
}

/// A ratio of two medians of interleaved rounds, and the interval that holds it in 95 of 100
/// resamples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// The median of the ratios of the rounds.
    pub median: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Ratio {
    /// Of rounds that were run next to each other; rounds without a partner are left out, and so
    /// are those where the divisor is zero.
    pub fn of(ours: &[f64], theirs: &[f64]) -> Option<Self> {
        let ratios: Vec<f64> = ours
            .iter()
            .zip(theirs)
            .filter(|(_, theirs)| **theirs > 0.0)
            .map(|(ours, theirs)| ours / theirs)
            .collect();
        if ratios.is_empty() {
            return None;
        }
        let mut dice = StdRng::seed_from_u64(SEED);
        let medians: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let drawn: Vec<f64> = (0..ratios.len())
                    .filter_map(|_| ratios.get(dice.random_range(0..ratios.len())).copied())
                    .collect();
                quantile(&sorted(&drawn), 0.5)
            })
            .collect();
        let medians = sorted(&medians);
        Some(Self {
            median: quantile(&sorted(&ratios), 0.5),
            low: quantile(&medians, 0.025),
            high: quantile(&medians, 0.975),
        })
    }
}

/// The value below which this share of `sorted` lies, between neighbours by their distance.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    #[expect(clippy::as_conversions, reason = "a count of rounds, far below 2^52")]
    #[expect(clippy::cast_precision_loss, reason = "a count of rounds, far below 2^52")]
    let place = share.clamp(0.0, 1.0) * last as f64;
    #[expect(clippy::as_conversions, reason = "between 0 and `last`, by the clamp above")]
    #[expect(clippy::cast_possible_truncation, reason = "the fraction is what is cut off")]
    #[expect(clippy::cast_sign_loss, reason = "not negative, by the clamp above")]
    let below = place as usize;
    let low = sorted.get(below).copied().unwrap_or_default();
    let high = sorted.get(below + 1).copied().unwrap_or(low);
    low + (high - low) * place.fract()
}

/// The values in order.
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_and_not_moved_by_an_outlier() {
        let spread = Spread::of(&[3.0, 900.0, 1.0, 2.0, 4.0]);
        assert_eq!(spread, Spread { median: 3.0, least: 1.0, most: 900.0 });
        assert!((quantile(&[1.0, 2.0], 0.5) - 1.5).abs() < 1e-9);
    }

    #[test]
    fn a_ratio_lies_within_its_interval_and_pairs_the_rounds() {
        let theirs = [10.0, 20.0, 40.0, 10.0, 20.0];
        let ours: Vec<f64> = theirs.iter().map(|it| it * 0.8).collect();
        let ratio = Ratio::of(&ours, &theirs).unwrap();
        assert!((ratio.median - 0.8).abs() < 1e-9 && (ratio.high - ratio.low).abs() < 1e-9);
        let noisy = Ratio::of(&[1.0, 2.0, 3.0], &[2.0, 2.0, 2.0]).unwrap();
        assert!(noisy.low < noisy.median && noisy.median < noisy.high);
        assert_eq!(Ratio::of(&[1.0], &[0.0]), None);
    }
}
