//! Stop when a metric has stopped improving.

use serde::{Deserialize, Serialize};

use crate::{Best, Decision, Patience};

/// The policy of `keras.callbacks.EarlyStopping`.
///
/// Invariants:
/// - epochs before `start` change nothing;
/// - the wait starts over only when a value beats both the best and the baseline;
/// - training is never stopped in epoch 0, and never in an epoch that improved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EarlyStopping {
    /// The best value and what counts as better.
    pub best: Best,
    /// Epochs without improvement, and how many are allowed.
    pub patience: Patience,
    /// A value that an improvement must also beat before the wait starts over.
    pub baseline: Option<f64>,
    /// The first epoch that counts.
    pub start: i64,
    /// The epoch of the best value.
    pub best_epoch: i64,
    /// The epoch at which training was stopped; 0 if it was not.
    pub stopped_epoch: i64,
}

impl EarlyStopping {
    /// The value of one epoch.
    pub fn update(&mut self, epoch: i64, value: f64) -> Decision {
        if epoch < self.start {
            return Decision::Ignore;
        }
        self.patience.wait();
        if self.best.offer(value) {
            self.best_epoch = epoch;
            let rule = self.best.rule;
            if self
                .baseline
                .is_none_or(|baseline| rule.improves(value, Some(baseline)))
            {
                self.patience.reset();
            }
            Decision::Improved
        } else if self.patience.exhausted() && epoch > 0 {
            self.stopped_epoch = epoch;
            Decision::Stop
        } else {
            Decision::Wait
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Decision::{Ignore, Improved, Stop, Wait};

    fn policy(patience: i64) -> EarlyStopping {
        EarlyStopping {
            patience: Patience {
                limit: patience,
                waited: 0,
            },
            ..EarlyStopping::default()
        }
    }

    fn run(mut policy: EarlyStopping, losses: &[f64]) -> Vec<Decision> {
        (0..)
            .zip(losses)
            .map(|(epoch, &loss)| policy.update(epoch, loss))
            .collect()
    }

    #[test]
    fn stops_after_patience_epochs_without_improvement() {
        assert_eq!(
            run(policy(2), &[1.0, 0.9, 0.95, 0.96, 0.97]),
            [Improved, Improved, Wait, Stop, Stop]
        );
    }

    #[test]
    fn never_stops_in_the_first_epoch() {
        assert_eq!(run(policy(0), &[f64::NAN, f64::NAN]), [Wait, Stop]);
    }

    #[test]
    fn epochs_before_the_start_do_not_count() {
        let mut late = policy(1);
        late.start = 2;
        assert_eq!(
            run(late, &[0.1, 0.2, 0.9, 0.95]),
            [Ignore, Ignore, Improved, Stop]
        );
    }

    #[test]
    fn a_best_that_misses_the_baseline_does_not_restart_the_wait() {
        let mut strict = policy(3);
        strict.baseline = Some(0.5);
        assert_eq!(
            run(strict, &[0.9, 0.8, 0.7, 0.71]),
            [Improved, Improved, Improved, Stop]
        );
        assert_eq!(
            run(strict, &[0.9, 0.4, 0.45, 0.45, 0.45]),
            [Improved, Improved, Wait, Wait, Stop]
        );
    }

    #[test]
    fn a_nan_first_does_not_blind_the_policy() {
        let mut p = policy(3);
        p.update(0, f64::NAN);
        assert_eq!(p.best.value, None);
        assert_eq!(p.update(1, 0.7), Improved);
        assert_eq!(
            (p.best.value, p.best_epoch, p.patience.waited),
            (Some(0.7), 1, 0)
        );
    }
}
