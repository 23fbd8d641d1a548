//! The series of one tag of a run.

use std::sync::Arc;

use super::points::Points;
use super::pyramid::{Pyramid, Summary};
use super::values::Values;

/// The points of one tag of a run, in the order of their steps.
///
/// Steps are strictly increasing, unless superseded points are kept: then they are so within each
/// segment. A point takes at most 24 bytes, or 28 with float64 values.
#[derive(Clone, Debug, Default)]
pub struct Scalars {
    /// Shared with arrays that were handed out: those do not change when points are added.
    points: Arc<Points>,
    pyramid: Pyramid,
}

impl Scalars {
    /// How many points there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.points.steps.len()
    }

    /// Whether there are no points.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The step of each point.
    #[must_use]
    pub fn steps(&self) -> &[i64] {
        &self.points.steps
    }

    /// The time of each point in seconds since the Unix epoch; NaN where the source has none.
    #[must_use]
    pub fn wall_times(&self) -> &[f64] {
        &self.points.wall_times
    }

    /// The earliest and the latest time; `None` if a time is not finite.
    #[must_use]
    pub fn time_range(&self) -> Option<(f64, f64)> {
        let times = self.wall_times();
        let (mut first, mut last) = (*times.first()?, *times.last()?);
        if !self.points.has_ascending_times() {
            first = times.iter().copied().fold(first, f64::min);
            last = times.iter().copied().fold(last, f64::max);
        }
        (first.is_finite() && last.is_finite()).then_some((first, last))
    }

    /// The value of each point.
    #[must_use]
    pub fn values(&self) -> &Values {
        &self.points.values
    }

    /// The value of a point.
    ///
    /// # Panics
    /// When `index` is not below `len()`.
    #[must_use]
    pub fn value(&self, index: usize) -> f64 {
        self.points.values.get(index)
    }

    /// The points, to share them. If they are still shared when points are added, they are copied.
    #[must_use]
    pub fn shared(&self) -> Arc<Points> {
        Arc::clone(&self.points)
    }

    /// The indices of the first lowest and the first highest finite value.
    #[must_use]
    #[allow(clippy::float_cmp)] // one of these values is sought
    pub fn extremes(&self) -> Option<(usize, usize)> {
        let whole = self.summary(0, self.len());
        if whole.finite == 0 {
            return None;
        }
        let first = |sought: f64, of: fn(&Summary) -> f64| {
            let node = |node: &Summary| of(node) == sought;
            self.pyramid
                .find(self.values(), node, |value| value == sought)
        };
        Some((
            first(whole.low, |node| node.low)?,
            first(whole.high, |node| node.high)?,
        ))
    }

    /// Whether positions on the axis of times ascend.
    pub(super) fn has_ascending_times(&self) -> bool {
        self.points.has_ascending_times()
    }

    /// The summary of the values from `start` to `stop` (exclusive).
    pub(super) fn summary(&self, start: usize, stop: usize) -> Summary {
        self.pyramid.summary(self.values(), start, stop)
    }

    /// Adds points; drops earlier ones that they supersede.
    pub(super) fn append(&mut self, points: Points) {
        let stored = Arc::make_mut(&mut self.points);
        let known = if stored.steps.is_empty() {
            *stored = points;
            0
        } else {
            stored.append(points)
        };
        self.pyramid.truncate(known);
        self.pyramid.extend(&self.points.values);
    }
}
