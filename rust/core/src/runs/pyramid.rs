//! Summaries of ranges of a series, so that any range is summarised in logarithmic time.

use super::values::Values;

/// How many nodes, or values at the bottom, are summarised by one node above them.
const FAN: usize = 16;

/// What is known of a range of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The lowest finite value; infinity if there is none.
    pub low: f64,
    /// The highest finite value; minus infinity if there is none.
    pub high: f64,
    /// The sum of the finite values.
    pub sum: f64,
    /// How many values are finite.
    pub finite: u32,
    /// Which other values there are: [`NAN`], [`POSITIVE`], [`NEGATIVE`].
    pub odd: u8,
}

/// The bit for NaN.
pub const NAN: u8 = 1;
/// The bit for infinity.
pub const POSITIVE: u8 = 2;
/// The bit for minus infinity.
pub const NEGATIVE: u8 = 4;

impl Default for Summary {
    fn default() -> Self {
        Self {
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
            sum: 0.0,
            finite: 0,
            odd: 0,
        }
    }
}

impl Summary {
    /// Adds a value.
    #[inline]
    pub fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.low = self.low.min(value);
            self.high = self.high.max(value);
            self.sum += value;
            self.finite += 1;
        } else if value.is_nan() {
            self.odd |= NAN;
        } else {
            self.odd |= if value > 0.0 { POSITIVE } else { NEGATIVE };
        }
    }

    fn merge(&mut self, other: &Self) {
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
        self.sum += other.sum;
        self.finite = self.finite.saturating_add(other.finite);
        self.odd |= other.odd;
    }

    /// The mean of the finite values; NaN if there is none.
    pub fn mean(&self) -> f64 {
        if self.finite == 0 {
            return f64::NAN;
        }
        // Rounding, or a sum that overflows, does not lead out of the range.
        let mean = self.sum / f64::from(self.finite);
        mean.max(self.low).min(self.high)
    }

    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut summary = Self::default();
        values.for_each(|value| summary.add(value));
        summary
    }
}

/// The summaries of a series: at each level, one for every full group of [`FAN`] below.
///
/// It takes 2.2 bytes a value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pyramid {
    levels: Vec<Vec<Summary>>,
}

impl Pyramid {
    /// Summarises the values that were appended since, in time that depends on their number only.
    pub fn extend(&mut self, values: &Values) {
        let bottom = self.level(0);
        let known = bottom.len() * FAN;
        match values {
            Values::F32(values) => bottom.extend(
                values[known..]
                    .chunks_exact(FAN)
                    .map(|chunk| Summary::of(chunk.iter().copied().map(f64::from))),
            ),
            Values::F64(values) => bottom.extend(
                values[known..]
                    .chunks_exact(FAN)
                    .map(|chunk| Summary::of(chunk.iter().copied())),
            ),
        }
        for level in 1.. {
            if self.levels[level - 1].len() < FAN {
                break;
            }
            let known = self.level(level).len() * FAN;
            let (below, above) = self.levels.split_at_mut(level);
            above[0].extend(below[level - 1][known..].chunks_exact(FAN).map(|group| {
                let mut summary = Summary::default();
                for below in group {
                    summary.merge(below);
                }
                summary
            }));
        }
    }

    /// Drops what summarises a value from `length` on.
    pub fn truncate(&mut self, length: usize) {
        let mut full = length;
        for level in &mut self.levels {
            full /= FAN;
            level.truncate(full);
        }
        self.levels.retain(|level| !level.is_empty());
    }

    /// The summary of the values from `start` to `stop` (exclusive).
    pub fn summary(&self, values: &Values, start: usize, stop: usize) -> Summary {
        let mut summary = Summary::default();
        let mut at = start;
        while at < stop {
            // The largest node that begins here and ends within the range.
            let mut size = 1;
            let mut node = None;
            for level in &self.levels {
                size *= FAN;
                match level.get(at / size) {
                    Some(found) if at.is_multiple_of(size) && at + size <= stop => {
                        node = Some((found, size));
                    }
                    _ => break,
                }
            }
            if let Some((node, size)) = node {
                summary.merge(node);
                at += size;
            } else {
                summary.add(values.get(at));
                at += 1;
            }
        }
        summary
    }

    /// The first index whose value satisfies a condition, which holds for a node if it holds for
    /// one of its values.
    pub fn find(
        &self,
        values: &Values,
        node: impl Fn(&Summary) -> bool,
        value: impl Fn(f64) -> bool,
    ) -> Option<usize> {
        // The range to search, in nodes of the level above; at the top it is everything.
        let mut searched = 0;
        for (level, nodes) in self.levels.iter().enumerate().rev() {
            if let Some(mut found) = (searched..nodes.len()).find(|&at| node(&nodes[at])) {
                for below in self.levels[..level].iter().rev() {
                    let children = found * FAN..(found + 1) * FAN;
                    found = children.into_iter().find(|&at| node(&below[at]))?;
                }
                return (found * FAN..(found + 1) * FAN).find(|&at| value(values.get(at)));
            }
            searched = nodes.len() * FAN;
        }
        (searched..values.len()).find(|&at| value(values.get(at)))
    }

    fn level(&mut self, level: usize) -> &mut Vec<Summary> {
        if self.levels.len() == level {
            self.levels.push(Vec::new());
        }
        &mut self.levels[level]
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // small integers
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(values: &[f32]) -> Summary {
        Summary::of(values.iter().copied().map(f64::from))
    }

    fn built(values: &[f32]) -> (Pyramid, Values) {
        let values = Values::F32(values.to_vec());
        let mut pyramid = Pyramid::default();
        pyramid.extend(&values);
        (pyramid, values)
    }

    #[test]
    fn odd_values_are_noted_and_not_counted() {
        let all = [1.0, f32::NAN, f32::INFINITY, -3.0, f32::NEG_INFINITY];
        let (pyramid, values) = built(&all.repeat(100));
        let summary = pyramid.summary(&values, 0, 500);
        assert_eq!(
            (summary.low, summary.high, summary.mean()),
            (-3.0, 1.0, -1.0)
        );
        assert_eq!(
            (summary.finite, summary.odd),
            (200, NAN | POSITIVE | NEGATIVE)
        );
        assert_eq!(pyramid.summary(&values, 2, 3).odd, POSITIVE);
        assert!(pyramid.summary(&values, 1, 2).mean().is_nan());
    }

    #[test]
    #[allow(clippy::float_cmp)] // the exact bound
    fn a_mean_stays_within_its_range() {
        let summary = Summary::of([f64::MAX, f64::MAX, f64::MAX].into_iter());
        assert_eq!(summary.mean(), f64::MAX);
        let summary = Summary::of([0.1; 3].into_iter());
        assert_eq!(summary.mean(), 0.1);
    }

    #[test]
    fn a_value_costs_two_bytes() {
        let (pyramid, _) = built(&vec![0.0; 1 << 20]);
        let nodes: usize = pyramid.levels.iter().map(Vec::len).sum();
        assert!(nodes * size_of::<Summary>() * 10 < 22 << 20);
    }

    proptest! {
        // Sums of small integers are exact in any order.
        #[test]
        fn any_range_is_summarised(
            values in prop::collection::vec(prop_oneof![
                20 => (-50_i8..50).prop_map(f32::from), 1 => Just(f32::NAN), 1 => Just(f32::INFINITY),
            ], 0..2000),
            ranges in prop::collection::vec((0_usize..2000, 0_usize..2000), 1..5),
            cut in 0_usize..2000,
            grown in prop::collection::vec((-50_i8..50).prop_map(f32::from), 0..600),
        ) {
            let (mut pyramid, mut stored) = built(&values);
            // A restart supersedes the end of the series.
            let mut values = values;
            values.truncate(cut);
            stored.truncate(cut);
            pyramid.truncate(cut);
            values.extend(&grown);
            stored.append(Values::F32(grown));
            pyramid.extend(&stored);
            prop_assert_eq!(&pyramid, &built(&values).0);
            for (start, stop) in ranges {
                let stop = stop.min(values.len());
                let start = start.min(stop);
                prop_assert_eq!(
                    pyramid.summary(&stored, start, stop), plain(&values[start..stop])
                );
            }
            let low = plain(&values).low;
            let found = pyramid.find(&stored, |node| node.low == low, |value| value == low);
            let expected = values.iter().position(|&value| f64::from(value) == low && low.is_finite());
            prop_assert_eq!(found.filter(|_| low.is_finite()), expected);
        }
    }
}
