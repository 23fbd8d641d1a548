//! A value of a metric that is good enough to stop training.

use serde::{Deserialize, Serialize};

use super::Direction;

/// A stopping threshold, and the value that has reached it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    /// The threshold; `None` for none.
    pub threshold: Option<f64>,
    /// The metric's last value, if it was as good as the threshold or better.
    pub reached_at: Option<f64>,
}

impl Goal {
    /// Takes a value of the metric; `None` stands for one that is not finite.
    pub fn observe(&mut self, value: Option<f64>, direction: Direction) {
        self.reached_at = value;
        if !self.is_reached(direction) {
            self.reached_at = None;
        }
    }

    /// Whether the last value has reached the current threshold.
    #[must_use]
    pub fn is_reached(&self, direction: Direction) -> bool {
        match (self.threshold, self.reached_at) {
            (Some(threshold), Some(value)) => direction.reaches(value, threshold),
            _ => false,
        }
    }
}
