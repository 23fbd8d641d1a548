//! The value axis and the step axis of a chart: range, ticks, position.

use crate::number;

/// A tick: its position from 0 to 1, and its label.
pub type Tick = (f64, String);

/// A range that is linear or logarithmic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    low: f64,
    high: f64,
    log: bool,
}

impl Axis {
    /// An axis for exactly this range.
    pub fn new(low: f64, high: f64) -> Self {
        let log = false;
        Self { low, high, log }
    }

    /// A linear axis for values. The range is a little wider than that of the values, so that it
    /// seldom changes while they grow: a change redraws the chart.
    pub fn linear(low: f64, high: f64) -> Self {
        let (low, high) = apart(low, high);
        let grain = step(low, high, 5.0) / 4.0;
        Self::new((low / grain).floor() * grain, (high / grain).ceil() * grain)
    }

    /// A logarithmic axis. None if no value is above 0.
    pub fn log(lowest_positive: f64, high: f64) -> Option<Self> {
        if !(lowest_positive > 0.0 && high >= lowest_positive) {
            return None;
        }
        let (low, high) = (lowest_positive.log10(), high.log10());
        let (low, high) = if high - low < 0.1 {
            (low - 0.05, high + 0.05)
        } else {
            (low, high)
        };
        Some(Self {
            low: (low * 10.0).floor() / 10.0,
            high: (high * 10.0).ceil() / 10.0,
            log: true,
        })
    }

    /// The position of a value, from 0 to 1. Values outside are moved to the nearer end.
    pub fn position(&self, value: f64) -> f64 {
        let value = if self.log { value.log10() } else { value };
        let position = (value - self.low) / (self.high - self.low);
        // A negative number has no logarithm.
        if position.is_nan() {
            0.0
        } else {
            position.clamp(0.0, 1.0)
        }
    }

    /// At most `most` ticks.
    pub fn ticks(&self, most: usize) -> Vec<Tick> {
        let most = most.max(2);
        if !self.log {
            return self.even_ticks(self.low, self.high, most);
        }
        let powers = self.high.floor() - self.low.ceil() + 1.0;
        if powers < 2.0 {
            return self.even_ticks(10_f64.powf(self.low), 10_f64.powf(self.high), most);
        }
        let every = (powers / count(most)).ceil().max(1.0);
        let mut ticks = Vec::new();
        let mut power = (self.low / every).ceil() * every;
        while power <= self.high + 1e-9 {
            let value = 10_f64.powf(power);
            let label = if (-3.0..4.0).contains(&power) {
                number::labels(&[value], value).concat()
            } else {
                number::scientific(value)
            };
            ticks.push((self.position(value), label));
            power += every;
        }
        ticks
    }

    fn even_ticks(&self, low: f64, high: f64, most: usize) -> Vec<Tick> {
        let mut every = step(low, high, count(most));
        while (high / every).floor() - (low / every).ceil() + 1.0 > count(most) {
            every = step(0.0, every * 1.5, 1.0);
        }
        let first = (low / every - 1e-9).ceil();
        let number = ((high / every + 1e-9).floor() - first).clamp(0.0, 100.0);
        let mut values = Vec::new();
        let mut index = 0.0;
        while index <= number {
            values.push((first + index) * every);
            index += 1.0;
        }
        let labels = number::labels(&values, every);
        let positions = values.iter().map(|&value| self.position(value));
        positions.zip(labels).collect()
    }
}

/// The end of a step axis that grows: rounded up, so that it changes once in 2% of growth.
pub fn rounded_end(from: f64, to: f64) -> f64 {
    let grain = step(from, to, 50.0).max(1.0);
    (to / grain).ceil() * grain
}

/// 1, 2 or 5 times a power of ten: `high - low` in about `parts` parts, or fewer.
fn step(low: f64, high: f64, parts: f64) -> f64 {
    let raw = (high - low) / parts;
    let power = 10_f64.powf(raw.log10().floor());
    let found = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|m| m * power >= raw * 0.999);
    found.unwrap_or(10.0) * power
}

/// Two values that are not the same.
fn apart(low: f64, high: f64) -> (f64, f64) {
    let size = low.abs().max(high.abs());
    if high - low > size * 1e-9 && high > low {
        return (low, high);
    }
    let margin = if size == 0.0 { 0.5 } else { size * 0.05 };
    (low - margin, high + margin)
}

#[allow(clippy::cast_precision_loss)] // a few ticks
fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: Axis, most: usize) -> Vec<String> {
        axis.ticks(most)
            .into_iter()
            .map(|(_, label)| label)
            .collect()
    }

    #[test]
    fn ranges_are_round() {
        assert_eq!(Axis::linear(0.013, 0.97), Axis::new(0.0, 1.0));
        assert_eq!(labels(Axis::linear(0.013, 0.97), 3), ["0", "0.5", "1.0"]);
        assert_eq!(labels(Axis::linear(-3.0, 50.0), 4), ["0", "20", "40"]);
        assert_eq!(
            labels(Axis::new(0.0, 5e6), 6),
            ["0", "1M", "2M", "3M", "4M", "5M"]
        );
    }

    #[test]
    fn equal_values_lie_in_the_middle() {
        for value in [0.0, 1.0, -2.5, 1e-30, 1e30] {
            let position = Axis::linear(value, value).position(value);
            assert!((0.3..0.7).contains(&position), "{value}: {position}");
        }
    }

    #[test]
    fn a_logarithmic_axis_has_powers_of_ten() {
        let axis = Axis::log(0.002, 40.0).unwrap();
        assert_eq!(labels(axis, 9), ["0.01", "0.1", "1", "10"]);
        assert_eq!(labels(axis, 2), ["0.01", "1"]);
        assert_eq!(
            labels(Axis::log(2.0, 4.0).unwrap(), 5),
            ["2", "3", "4", "5"]
        );
        assert!((axis.position(0.0) - 0.0).abs() < 1e-9);
        assert!((axis.position(-1.0) - 0.0).abs() < 1e-9);
        assert_eq!(Axis::log(f64::INFINITY, f64::NEG_INFINITY), None);
    }

    #[test]
    fn no_range_has_too_many_ticks() {
        for exponent in -300..300 {
            let high = 10_f64.powi(exponent) * 1.7;
            for most in 2..12 {
                let ticks = Axis::linear(-high / 3.0, high).ticks(most);
                assert!(
                    !ticks.is_empty() && ticks.len() <= most,
                    "{high}: {ticks:?}"
                );
            }
        }
    }

    #[test]
    fn the_end_of_steps_changes_seldom() {
        let steps = (900_000..1_000_000).step_by(100);
        let mut ends: Vec<String> = steps
            .map(|step| rounded_end(0.0, f64::from(step)).to_string())
            .collect();
        ends.dedup();
        assert!(ends.len() < 10, "{ends:?}");
        assert_eq!(rounded_end(0.0, 9_999.0).to_string(), "10000");
    }
}
