//! A histogram of durations, of constant size.

/// The number of bins in each octave: a bin is at most 1/32 as wide as its lower bound.
const BINS_PER_OCTAVE: usize = 32;

/// The lower bound of the first bin, 2^-30 s: just below a nanosecond.
const LOWEST: f64 = f64::from_bits((1023 - 30) << 52);

/// Octaves from `LOWEST` to 2^20 s, which is 12 days.
const OCTAVES: usize = 50;

/// The bits of a float64 that do not select the bin: 52 bits of the mantissa, less the first 5.
const REST: u32 = 52 - BINS_PER_OCTAVE.ilog2();

/// Counts durations in logarithmic bins.
///
/// A quantile is off by at most 2% between a nanosecond and 12 days; durations outside count as
/// the shortest or the longest of these.
///
/// ```
/// use fitwatch_core::timing::Histogram;
///
/// let mut steps = Histogram::default();
/// steps.add(0.002, 98);
/// steps.add(1.5, 2);
/// let quantile = |p| steps.quantile(p).expect("a duration");
/// assert!((quantile(0.5) / 0.002 - 1.0).abs() < 0.02);
/// assert!((quantile(0.99) / 1.5 - 1.0).abs() < 0.02);
/// ```
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Box<[u64]>,
    total: u64,
    /// The first bin that is not empty, where quantiles start to look.
    first: usize,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; OCTAVES * BINS_PER_OCTAVE].into(),
            total: 0,
            first: OCTAVES * BINS_PER_OCTAVE,
        }
    }
}

impl Histogram {
    /// Adds a duration `count` times.
    pub fn add(&mut self, seconds: f64, count: u64) {
        if count > 0 {
            let bin = bin_of(seconds);
            self.counts[bin] += count;
            self.total += count;
            self.first = self.first.min(bin);
        }
    }

    /// The duration in seconds that a share `p` (0 to 1) of the durations does not exceed; `None`
    /// without durations.
    #[must_use]
    pub fn quantile(&self, p: f64) -> Option<f64> {
        self.quantiles([p]).map(|[quantile]| quantile)
    }

    /// Several quantiles, for shares in ascending order.
    #[must_use]
    pub fn quantiles<const N: usize>(&self, shares: [f64; N]) -> Option<[f64; N]> {
        if self.total == 0 {
            return None;
        }
        let mut bin = self.first;
        let mut reached = self.counts[bin];
        Some(shares.map(|p| {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_precision_loss,
                clippy::cast_sign_loss
            )] // saturating cast
            let rank = ((p * self.total as f64).ceil() as u64).clamp(1, self.total);
            while reached < rank {
                bin += 1;
                reached += self.counts[bin];
            }
            middle(bin)
        }))
    }
}

/// The bin of a duration: its exponent and the first bits of its mantissa.
#[allow(clippy::cast_possible_truncation)]
fn bin_of(seconds: f64) -> usize {
    // `max` also replaces NaN.
    let bits = seconds.max(LOWEST).to_bits() - LOWEST.to_bits();
    ((bits >> REST) as usize).min(OCTAVES * BINS_PER_OCTAVE - 1)
}

/// The middle of a bin, in seconds.
fn middle(bin: usize) -> f64 {
    f64::from_bits(LOWEST.to_bits() + ((bin as u64) << REST) + (1 << (REST - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(durations: impl IntoIterator<Item = (f64, u64)>) -> Histogram {
        let mut histogram = Histogram::default();
        for (seconds, count) in durations {
            histogram.add(seconds, count);
        }
        histogram
    }

    fn assert_close(histogram: &Histogram, p: f64, expected: f64) {
        let quantile = histogram.quantile(p).unwrap();
        let error = (quantile / expected - 1.0).abs();
        assert!(error < 0.02, "{p}: {quantile} instead of {expected}");
    }

    #[test]
    fn without_durations_there_are_no_quantiles() {
        assert_eq!(Histogram::default().quantile(0.5), None);
        assert_eq!(filled([(1.0, 0)]).quantile(0.5), None);
    }

    #[test]
    fn the_quantiles_of_one_duration_are_that_duration() {
        for seconds in [1e-9, 1e-6, 0.5, 0.999, 1.0, 1.001, 3600.0, 86_400.0 * 10.0] {
            let histogram = filled([(seconds, 7)]);
            for p in [0.0, 0.5, 1.0] {
                assert_close(&histogram, p, seconds);
            }
        }
    }

    #[test]
    fn a_quantile_is_the_first_that_enough_do_not_exceed() {
        let histogram = filled((1..=100).map(|ms| (f64::from(ms) * 1e-3, 1)));
        for (p, expected) in [
            (0.0, 1e-3),
            (0.01, 1e-3),
            (0.5, 0.05),
            (0.99, 0.099),
            (1.0, 0.1),
        ] {
            assert_close(&histogram, p, expected);
        }
    }

    #[test]
    fn what_lies_outside_counts_as_the_shortest_or_the_longest() {
        for seconds in [0.0, -1.0, 1e-12, f64::NAN] {
            assert_close(&filled([(seconds, 1)]), 0.5, LOWEST);
        }
        for seconds in [1e7, 1e300, f64::INFINITY] {
            assert_close(&filled([(seconds, 1)]), 0.5, f64::from(1 << 20));
        }
    }

    proptest! {
        #[test]
        #[allow(clippy::cast_precision_loss)]
        fn is_close_to_the_quantile_of_the_sorted_durations(
            exponents in proptest::collection::vec((-9.0..6.0_f64, 1_u64..5), 1..200),
            shares in proptest::array::uniform3(0.0..=1.0_f64),
        ) {
            let durations: Vec<_> = exponents.iter().map(|&(e, n)| (10_f64.powf(e), n)).collect();
            let histogram = filled(durations.iter().copied());
            let mut sorted: Vec<f64> = durations
                .iter()
                .flat_map(|&(seconds, count)| (0..count).map(move |_| seconds))
                .collect();
            sorted.sort_by(f64::total_cmp);
            let mut ascending = shares;
            ascending.sort_by(f64::total_cmp);
            let quantiles = histogram.quantiles(ascending).unwrap();
            for (p, quantile) in ascending.into_iter().zip(quantiles) {
                // The first that has at least a share `p` of all up to it.
                let enough = |at: &usize| (at + 1) as f64 >= p * sorted.len() as f64;
                let expected = sorted[(0..sorted.len()).find(enough).unwrap()];
                prop_assert!((quantile / expected - 1.0).abs() < 0.02);
                prop_assert_eq!(histogram.quantile(p), Some(quantile));
            }
        }
    }
}
