//! The best value of a metric.

use serde::{Deserialize, Serialize};

use super::Improvement;

/// The best value seen so far, and the rule by which a new value improves on it.
///
/// Invariant: [`offer`](Self::offer) never stores a NaN, nor the infinity in the worse direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The rule for an improvement.
    pub rule: Improvement,
    /// The best value so far; `None` initially.
    pub value: Option<f64>,
}

impl Best {
    /// Stores `value` if it improves on the best value. Returns whether it does.
    pub fn offer(&mut self, value: f64) -> bool {
        let improved = self.rule.improves(value, self.value);
        if improved {
            self.value = Some(value);
        }
        improved
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policies::Direction;

    #[test]
    fn keeps_the_best_of_a_series() {
        let mut best = Best::default();
        let improved: Vec<bool> = [f64::NAN, 3.0, 2.0, 2.0, f64::INFINITY, 1.0]
            .into_iter()
            .map(|value| best.offer(value))
            .collect();
        assert_eq!(improved, [false, true, true, false, false, true]);
        assert_eq!(best.value, Some(1.0));
    }

    #[test]
    fn starts_from_a_given_value() {
        let mut best = Best {
            rule: Improvement {
                direction: Direction::Max,
                ..Improvement::default()
            },
            value: Some(0.5),
        };
        assert!(!best.offer(0.4));
        assert!(best.offer(0.6));
    }
}
