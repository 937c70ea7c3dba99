//! What a stream of latencies is like, kept in one word: a mean, and a quantile.
//!
//! Nothing is stored of the single values, so both live in the shared segment and are written by all
//! workers. When two of them write at the same time one value is lost, which does no harm. Zeroed
//! memory is an estimate of which nothing is known.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bits: 32.. the estimate, µs, as an f32; 0.. how many values it is made of.
#[derive(Debug, Default)]
#[repr(transparent)]
struct Word(AtomicU64);

impl Word {
    fn load(&self) -> (f64, u32) {
        let bits = self.0.load(Relaxed);
        (f64::from(f32::from_bits((bits >> 32) as u32)), bits as u32)
    }

    fn store(&self, estimate: f64, count: u32) {
        let bits = u64::from((estimate as f32).to_bits()) << 32 | u64::from(count);
        self.0.store(bits, Relaxed);
    }
}

/// Values that the mean is taken over, roughly: older ones count for less and less.
const MEAN_OF: u32 = 50;

/// The mean of the latest values.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Mean(Word);

impl Mean {
    pub fn observe(&self, value_us: u64) {
        let (mean, count) = self.0.load();
        let count = (count + 1).min(MEAN_OF);
        let step = (value_us as f64 - mean) / f64::from(count);
        self.0.store(mean + step, count);
    }

    /// µs; 0 as long as nothing was observed.
    pub fn value_us(&self) -> u64 {
        self.0.load().0 as u64
    }

    pub fn clear(&self) {
        self.0.store(0.0, 0);
    }
}

/// Fewer values say nothing of the rare ones.
const QUANTILE_FROM: u32 = 100;
/// How far one value moves the estimate in the long run, as a share of it: it is then right to about
/// a tenth, and follows a tenfold rise within a hundred values.
const LEAST_STEP: f64 = 0.03;

/// A quantile, followed by steps: up by much when a value lies above it, down by little when it lies
/// below, so that it rests where the shares of both balance (stochastic approximation, H. Robbins and
/// S. Monro 1951, of the logarithm). A step depends on the side of a value alone, so a value of which
/// only a lower bound above the estimate is known counts in full.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Quantile(Word);

impl Quantile {
    /// `permille`: of the values that lie below it.
    pub fn observe(&self, permille: u32, value_us: u64) {
        let (estimate, count) = self.0.load();
        let count = count.saturating_add(1);
        if count == 1 {
            return self.0.store(value_us.max(1) as f64, count);
        }
        let step = (1.0 / f64::from(count).sqrt()).max(LEAST_STEP);
        let share = f64::from(permille.min(1000)) / 1000.0;
        let factor = if value_us as f64 > estimate {
            1.0 + step * share
        } else {
            1.0 - step * (1.0 - share)
        };
        let longest = f64::from(u32::MAX);
        self.0.store((estimate * factor).clamp(1.0, longest), count);
    }

    /// µs; None as long as there are too few.
    #[inline]
    pub fn value_us(&self) -> Option<u64> {
        let (estimate, count) = self.0.load();
        (count >= QUANTILE_FROM).then_some(estimate as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balancer::mix;

    /// Exponentially distributed with this mean, µs: its quantile q is mean x -ln(1 - q).
    fn exponential(number: u64, mean_us: f64) -> u64 {
        let uniform = (mix(number) >> 11) as f64 / (1_u64 << 53) as f64;
        (-mean_us * (1.0 - uniform).ln()) as u64
    }

    #[test]
    fn the_mean_of_few_is_exact_and_of_many_follows() {
        let mean = Mean::default();
        assert_eq!(mean.value_us(), 0);
        for value in [10, 20, 60] {
            mean.observe(value);
        }
        assert_eq!(mean.value_us(), 30);
        for _ in 0..500 {
            mean.observe(1000);
        }
        assert!((990..=1000).contains(&mean.value_us()));
        mean.clear();
        mean.observe(7);
        assert_eq!(mean.value_us(), 7);
    }

    #[test]
    fn a_quantile_needs_some_values() {
        let quantile = Quantile::default();
        for number in 1..u64::from(QUANTILE_FROM) {
            quantile.observe(950, number);
            assert_eq!(quantile.value_us(), None);
        }
        quantile.observe(950, 5);
        assert!(quantile.value_us().is_some());
    }

    #[test]
    fn quantiles_of_a_known_distribution() {
        for permille in [500, 900, 950, 990] {
            let quantile = Quantile::default();
            for number in 0..20_000 {
                quantile.observe(permille, exponential(number, 5000.0));
            }
            let exact = -5000.0 * (1.0 - f64::from(permille) / 1000.0).ln();
            let found = quantile.value_us().expect("there are enough") as f64;
            let error = (found - exact).abs() / exact;
            assert!(error < 0.2, "{permille}: {found} instead of {exact}");
        }
    }

    #[test]
    fn a_quantile_follows_and_stays_in_range() {
        let quantile = Quantile::default();
        for _ in 0..1000 {
            quantile.observe(950, 1000);
        }
        for _ in 0..150 {
            quantile.observe(950, 10_000);
        }
        assert!(quantile.value_us().expect("enough") > 9000);
        for _ in 0..3000 {
            quantile.observe(950, 1000);
        }
        assert!(quantile.value_us().expect("enough") < 1100);
        for _ in 0..3000 {
            quantile.observe(950, u64::MAX);
        }
        assert_eq!(
            quantile.value_us(),
            Some(u64::from(u32::MAX) + 1),
            "as an f32 has it"
        );
    }
}
