//! The policy that reduces the learning rate when a metric has stopped improving.

use serde::{Deserialize, Serialize};

use super::{BatchPolicy, Best, Cooldown, Decision, Moment, Patience, Smoothing, Value};

/// The policy of `keras.callbacks.ReduceLROnPlateau`, in epochs or batches.
///
/// Invariants:
/// - no reduction is requested while the cooldown is active;
/// - a reduction that cannot be made, because the rate is at its minimum, starts no cooldown and
///   keeps the wait, so it is requested again at the next value;
/// - the rate is never raised, and never set below `min_rate`.
///
/// ```
/// use fitwatch_core::policies::{Decision, Plateau};
///
/// let mut policy = Plateau { factor: 0.5, ..Plateau::default() };
/// policy.patience.limit = 1;
/// assert_eq!(policy.update(0.7, 1), Decision::Improved);
/// assert_eq!(policy.update(0.7, 1), Decision::ReduceRate);
/// assert_eq!(policy.reduced(0.01), Some(0.005));
/// policy.acted();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plateau {
    /// The best value and the rule for an improvement.
    pub best: Best,
    /// Units without improvement, and how many are allowed.
    pub patience: Patience,
    /// The smoothing of the values, if any.
    pub smoothing: Option<Smoothing>,
    /// The cooldown after a reduction.
    pub cooldown: Cooldown,
    /// The factor that the rate is multiplied by, in (0, 1).
    pub factor: f64,
    /// The minimum rate.
    pub min_rate: f64,
}

impl BatchPolicy for Plateau {
    fn take(&mut self, _at: Moment, values: &[Option<Value>]) -> Decision {
        match values.first() {
            Some(Some(value)) => self.update(value.value, value.units),
            _ => Decision::Ignore,
        }
    }
}

impl Plateau {
    /// Takes a value that covers `units` units. After [`Decision::ReduceRate`] the caller sets the
    /// [`reduced`](Self::reduced) rates, and calls [`acted`](Self::acted) if it set any.
    pub fn update(&mut self, value: f64, units: i64) -> Decision {
        let value = match &mut self.smoothing {
            Some(smoothing) => smoothing.update(value, units),
            None => value,
        };
        if self.cooldown.active() {
            self.cooldown.tick(units);
            self.patience.reset();
        }
        if self.best.offer(value) {
            self.patience.reset();
            return Decision::Improved;
        }
        if self.cooldown.active() {
            return Decision::Wait;
        }
        self.patience.wait(units);
        if self.patience.exhausted() {
            Decision::ReduceRate
        } else {
            Decision::Wait
        }
    }

    /// The reduced rate, or `None` if `rate` is already at the minimum (compared in float32, as
    /// Keras does).
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // rounding is the point
    pub fn reduced(&self, rate: f64) -> Option<f64> {
        (rate as f32 > self.min_rate as f32).then(|| (rate * self.factor).max(self.min_rate))
    }

    /// Records that a rate was reduced: restarts the wait and starts the cooldown.
    pub fn acted(&mut self) {
        self.cooldown.start();
        self.patience.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Decision::{Improved, ReduceRate, Wait};

    fn policy(patience: i64, cooldown: i64) -> Plateau {
        Plateau {
            patience: Patience {
                limit: patience,
                waited: 0,
            },
            cooldown: Cooldown {
                length: cooldown,
                remaining: 0,
            },
            factor: 0.1,
            min_rate: 0.005,
            ..Plateau::default()
        }
    }

    fn run(mut policy: Plateau, losses: &[f64]) -> Vec<Decision> {
        losses
            .iter()
            .map(|&loss| {
                let decision = policy.update(loss, 1);
                if decision == ReduceRate {
                    policy.acted();
                }
                decision
            })
            .collect()
    }

    #[test]
    fn reduces_after_patience_epochs() {
        assert_eq!(
            run(policy(2, 0), &[1.0, 1.0, 1.0, 1.0, 1.0]),
            [Improved, Wait, ReduceRate, Wait, ReduceRate]
        );
    }

    #[test]
    fn rests_after_a_reduction() {
        assert_eq!(
            run(policy(1, 2), &[1.0, 1.0, 1.0, 1.0, 1.0]),
            [Improved, ReduceRate, Wait, ReduceRate, Wait]
        );
    }

    #[test]
    fn an_improvement_in_the_cooldown_counts() {
        assert_eq!(
            run(policy(1, 3), &[1.0, 1.0, 0.5, 0.6, 0.6]),
            [Improved, ReduceRate, Improved, Wait, ReduceRate]
        );
    }

    #[test]
    fn asks_again_when_nothing_could_be_reduced() {
        let mut p = policy(1, 5);
        assert_eq!(p.update(1.0, 1), Improved);
        assert_eq!(p.update(1.0, 1), ReduceRate);
        assert_eq!(p.update(1.0, 1), ReduceRate);
        assert_eq!(p.patience.waited, 2);
    }

    #[test]
    fn rates_go_down_to_the_minimum_and_stop_there() {
        let p = policy(1, 0);
        let close = |rate: Option<f64>, to: f64| rate.is_some_and(|r| (r - to).abs() < 1e-12);
        assert!(close(p.reduced(0.1), 0.01));
        assert!(close(p.reduced(0.01), 0.005));
        assert_eq!(p.reduced(0.005), None);
        // A float32 variable that was set to 0.005 is not above the minimum.
        assert_eq!(p.reduced(f64::from(0.005_f32)), None);
    }
}
