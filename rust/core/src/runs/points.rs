//! The points of one tag, as they are read from a file.

use super::values::{Number, Values};

/// Points of one tag, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    /// The step of each point.
    pub steps: Vec<i64>,
    /// The time of each point in seconds since the Unix epoch; NaN where the source has none.
    pub wall_times: Vec<f64>,
    /// The value of each point.
    pub values: Values,
    /// The index of each point whose step is not larger than the one before.
    pub restarts: Vec<usize>,
    /// The smallest step that was added; a point drops earlier ones whose step is not smaller.
    lowest: Option<i64>,
    /// Whether points that are superseded stay.
    keep: bool,
    /// Whether the clock was set back between two points.
    set_back: bool,
}

impl Points {
    /// No points yet. With `keep`, points that later ones supersede stay.
    #[must_use]
    pub fn new(keep: bool) -> Self {
        Self {
            keep,
            ..Self::default()
        }
    }

    /// Whether the times ascend.
    #[must_use]
    pub fn has_ascending_times(&self) -> bool {
        !self.set_back
    }

    /// Adds a point, and drops earlier points whose step is not smaller.
    #[inline]
    pub fn push(&mut self, step: i64, wall_time: f64, value: Number) {
        if self.steps.last().is_some_and(|&last| step <= last) {
            self.restart(step);
        }
        if self.lowest.is_none_or(|lowest| step < lowest) {
            self.lowest = Some(step);
        }
        self.set_back |= self.wall_times.last().is_some_and(|&last| wall_time < last);
        self.steps.push(step);
        self.wall_times.push(wall_time);
        self.values.push(value);
    }

    /// Adds the points that follow these ones. Returns from which index on points are new.
    pub fn append(&mut self, mut later: Self) -> usize {
        if let (Some(lowest), Some(&last)) = (later.lowest, self.steps.last())
            && lowest <= last
        {
            if self.keep {
                if later.steps.first().is_some_and(|&first| first <= last) {
                    self.restarts.push(self.steps.len());
                }
            } else {
                self.restart(lowest);
            }
        }
        let known = self.steps.len();
        let times = (self.wall_times.last(), later.wall_times.first());
        self.set_back |=
            later.set_back || matches!(times, (Some(last), Some(first)) if first < last);
        let shifted = later.restarts.iter().map(|index| index + known);
        self.restarts.extend(shifted);
        self.lowest = [self.lowest, later.lowest].into_iter().flatten().min();
        if known == 0 {
            // No copy of a series that is in one file.
            self.steps = later.steps;
            self.wall_times = later.wall_times;
            self.values = later.values;
        } else {
            self.steps.append(&mut later.steps);
            // What is copied is freed before the next copy.
            drop(later.steps);
            self.wall_times.append(&mut later.wall_times);
            drop(later.wall_times);
            self.values.append(later.values);
        }
        known
    }

    #[cold]
    fn restart(&mut self, step: i64) {
        if self.keep {
            self.restarts.push(self.steps.len());
        } else {
            let kept = self.steps.partition_point(|&earlier| earlier < step);
            self.steps.truncate(kept);
            self.wall_times.truncate(kept);
            self.values.truncate(kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points(keep: bool, steps: &[i64]) -> Points {
        let mut points = Points::new(keep);
        for &step in steps {
            points.push(step, 1.0, Number::F64(0.5));
        }
        points
    }

    #[test]
    fn a_point_drops_earlier_ones_whose_step_is_not_smaller() {
        assert_eq!(points(false, &[1, 2, 3, 4, 3, 5]).steps, [1, 2, 3, 5]);
        assert_eq!(points(false, &[1, 2, 3, 0]).steps, [0]);
        assert_eq!(points(false, &[1, 1, 1]).steps, [1]);
    }

    #[test]
    fn all_points_stay_in_segments() {
        let kept = points(true, &[1, 2, 1, 2, 2]);
        assert_eq!(kept.steps, [1, 2, 1, 2, 2]);
        assert_eq!(kept.restarts, [2, 4]);
    }

    proptest! {
        #[test]
        fn files_one_after_the_other_are_like_one_file(
            keep: bool,
            first in prop::collection::vec(0_i64..30, 0..20),
            second in prop::collection::vec(0_i64..30, 0..20),
        ) {
            let mut joined = points(keep, &first);
            joined.append(points(keep, &second));
            prop_assert_eq!(joined, points(keep, &[first, second].concat()));
        }
    }
}
