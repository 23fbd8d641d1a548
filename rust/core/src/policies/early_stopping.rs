//! Stop when metrics have stopped improving.

use serde::{Deserialize, Serialize};

use super::{Decision, Metric, Value};

/// The policy of `keras.callbacks.EarlyStopping`, for one metric or several, in epochs or batches.
///
/// Invariants:
/// - what comes before `start` changes nothing but smoothed means;
/// - training is never stopped for lack of patience in the first unit, and for one metric never in
///   a unit that improved;
/// - a metric that is missing in a unit stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EarlyStopping {
    /// The metric that "best" refers to.
    pub first: Metric,
    /// The others that are watched.
    pub others: Vec<Metric>,
    /// Whether all of them have to stall, or any.
    pub combine: Combine,
    /// The first unit that counts.
    pub start: i64,
    /// The epoch of the best value, and the batch where batches are counted.
    pub best_epoch: i64,
    /// See `best_epoch`.
    pub best_batch: Option<i64>,
    /// The epoch at which training was stopped, and the batch; 0 and `None` if it was not.
    pub stopped_epoch: i64,
    /// See `stopped_epoch`.
    pub stopped_batch: Option<i64>,
    /// Which metric has diverged.
    pub diverged: Option<usize>,
    /// Whether a batch of this training has stopped it: those that were on their way do not count.
    pub ended: bool,
}

/// How several metrics make one decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Combine {
    /// Stop when all have stopped improving.
    #[default]
    All,
    /// Stop when one has.
    Any,
}

/// When a value was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The epoch, from 0.
    pub epoch: i64,
    /// The batch, from 0 and across epochs, where batches are the units.
    pub batch: Option<i64>,
}

impl EarlyStopping {
    /// The values of one unit, in the order of the metrics.
    pub fn update(&mut self, at: Moment, values: &[Option<Value>]) -> Decision {
        if self.ended {
            return Decision::Ignore;
        }
        let unit = at.batch.unwrap_or(at.epoch);
        let counts = unit >= self.start;
        let mut improved = false;
        let mut seen_any = false;
        let metrics = std::iter::once(&mut self.first).chain(&mut self.others);
        for (number, (metric, value)) in metrics.zip(values).enumerate() {
            let Some(value) = value else { continue };
            let seen = metric.observe(*value, counts);
            seen_any = true;
            improved |= number == 0 && seen.improved;
            if seen.diverged && self.diverged.is_none() {
                self.diverged = Some(number);
            }
        }
        if !counts || !seen_any {
            return Decision::Ignore;
        }
        if improved {
            self.best_epoch = at.epoch;
            self.best_batch = at.batch;
        }
        let stop = self.diverged.is_some() || (unit > 0 && self.all_or_any_stalled());
        if stop {
            self.stop(at);
        }
        match (stop, improved) {
            (true, true) => Decision::StopOnBest,
            (true, false) => Decision::Stop,
            (false, true) => Decision::Improved,
            (false, false) => Decision::Wait,
        }
    }

    /// Notes that the training is stopped, for whatever reason.
    pub fn stop(&mut self, at: Moment) {
        self.stopped_epoch = at.epoch;
        self.stopped_batch = at.batch;
        self.ended = at.batch.is_some();
    }

    /// The numbers of the metrics that have stopped improving.
    pub fn stalled(&self) -> impl Iterator<Item = usize> {
        self.metrics()
            .enumerate()
            .filter_map(|(number, metric)| metric.stalled.then_some(number))
    }

    /// The numbers of the metrics that have diverged, by their thresholds as they are now.
    pub fn diverged(&self) -> impl Iterator<Item = usize> {
        self.metrics()
            .enumerate()
            .filter_map(|(number, metric)| metric.still_diverged().then_some(number))
    }

    /// The metrics, in order.
    pub fn metrics(&self) -> impl Iterator<Item = &Metric> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The same, to be changed.
    pub fn metrics_mut(&mut self) -> impl Iterator<Item = &mut Metric> {
        std::iter::once(&mut self.first).chain(&mut self.others)
    }

    /// Whether a training that was stopped would be stopped again, by the rules as they are now:
    /// there may be more patience, another threshold or a later start.
    #[must_use]
    pub fn still_stops(&self) -> bool {
        let unit = self.stopped_batch.unwrap_or(self.stopped_epoch);
        unit >= self.start
            && (self.diverged().next().is_some() || self.all_or_any(Metric::still_stalled))
    }

    fn all_or_any_stalled(&self) -> bool {
        self.all_or_any(|metric| metric.stalled)
    }

    fn all_or_any(&self, holds: impl Fn(&Metric) -> bool) -> bool {
        let mut metrics = self.metrics();
        match self.combine {
            Combine::All => metrics.all(holds),
            Combine::Any => metrics.any(holds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policies::{Patience, Smoothing};
    use Decision::{Ignore, Improved, Stop, StopOnBest, Wait};
    use proptest::prelude::*;

    fn metric(patience: i64) -> Metric {
        Metric {
            patience: Patience {
                limit: patience,
                waited: 0,
            },
            ..Metric::default()
        }
    }

    fn epoch(epoch: i64) -> Moment {
        Moment { epoch, batch: None }
    }

    #[allow(clippy::unnecessary_wraps)] // what `update` takes
    fn one(value: f64) -> Option<Value> {
        Some(Value { value, units: 1 })
    }

    fn policy(patience: i64) -> EarlyStopping {
        EarlyStopping {
            first: metric(patience),
            ..EarlyStopping::default()
        }
    }

    fn run(mut policy: EarlyStopping, losses: &[f64]) -> Vec<Decision> {
        (0..)
            .zip(losses)
            .map(|(at, &loss)| policy.update(epoch(at), &[one(loss)]))
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
    fn a_stop_is_judged_again_by_the_rules_of_now() {
        let mut stopped = policy(2);
        assert!(!stopped.still_stops());
        for (at, loss) in (0..).zip([1.0, 0.9, 0.95, 0.96]) {
            stopped.update(epoch(at), &[one(loss)]);
        }
        assert!(stopped.still_stops());
        for (patience, start, still) in [(2, 0, true), (3, 0, false), (1, 3, true), (2, 4, false)] {
            let mut now = stopped.clone();
            now.first.patience.limit = patience;
            now.start = start;
            assert_eq!(now.still_stops(), still, "{patience} {start}");
        }
        let mut several = stopped.clone();
        several.others = vec![metric(2)];
        assert!(!several.still_stops());
        several.combine = Combine::Any;
        assert!(several.still_stops());
    }

    #[test]
    fn so_is_a_divergence() {
        for (value, threshold, still) in [
            (9.0, Some(5.0), true),
            (9.0, Some(20.0), false),
            (9.0, None, false),
            (f64::NAN, Some(20.0), true),
        ] {
            let mut stopped = policy(9);
            stopped.first.divergence_threshold = Some(5.0);
            let decision = stopped.update(epoch(0), &[one(value)]);
            assert!(matches!(decision, Stop | StopOnBest));
            stopped.first.divergence_threshold = threshold;
            assert_eq!(stopped.still_stops(), still, "{value} {threshold:?}");
        }
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
        strict.first.baseline = Some(0.5);
        assert_eq!(
            run(strict.clone(), &[0.9, 0.8, 0.7, 0.71]),
            [Improved, Improved, Improved, Stop]
        );
        assert_eq!(
            run(strict.clone(), &[0.9, 0.4, 0.45, 0.45, 0.45]),
            [Improved, Improved, Wait, Wait, Stop]
        );
    }

    #[test]
    fn a_nan_first_does_not_blind_the_policy() {
        let mut p = policy(3);
        p.update(epoch(0), &[one(f64::NAN)]);
        assert_eq!(p.first.best.value, None);
        assert_eq!(p.update(epoch(1), &[one(0.7)]), Improved);
        assert_eq!(
            (p.first.best.value, p.best_epoch, p.first.patience.waited),
            (Some(0.7), 1, 0)
        );
    }

    fn both(combine: Combine, rows: &[[Option<f64>; 2]]) -> Vec<Decision> {
        let mut policy = EarlyStopping {
            others: vec![metric(2)],
            combine,
            ..policy(2)
        };
        let units = |value: &Option<f64>| value.and_then(one);
        (0..)
            .zip(rows)
            .map(|(at, row)| policy.update(epoch(at), &[units(&row[0]), units(&row[1])]))
            .collect()
    }

    #[test]
    fn several_metrics_stop_together_or_one_by_one() {
        let rows = [
            [Some(1.0), Some(1.0)],
            [Some(1.0), Some(0.9)],
            [Some(0.5), Some(0.9)],
            [Some(0.4), Some(0.9)],
            [Some(0.4), Some(0.9)],
            [Some(0.4), Some(0.9)],
        ];
        assert_eq!(
            both(Combine::All, &rows),
            [Improved, Wait, Improved, Improved, Wait, Stop]
        );
        assert_eq!(
            both(Combine::Any, &rows)[..4],
            [Improved, Wait, Improved, StopOnBest]
        );
    }

    #[test]
    fn a_missing_metric_stays_as_it_is() {
        let rows = [
            [Some(1.0), Some(1.0)],
            [Some(1.0), None],
            [Some(1.0), None],
            [None, None],
            [None, Some(1.0)],
            [None, Some(1.0)],
        ];
        assert_eq!(
            both(Combine::All, &rows),
            [Improved, Wait, Wait, Ignore, Wait, Stop]
        );
    }

    #[test]
    fn divergence_stops_at_once_and_says_which() {
        let mut p = policy(10);
        p.first.divergence_threshold = Some(5.0);
        assert_eq!(p.update(epoch(0), &[one(4.0)]), Improved);
        assert_eq!(p.update(epoch(1), &[one(5.0)]), Wait);
        assert_eq!(p.update(epoch(2), &[one(5.1)]), Stop);
        assert_eq!((p.diverged, p.stopped_epoch), (Some(0), 2));
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut p = policy(10);
            p.first.divergence_threshold = Some(5.0);
            assert!(matches!(p.update(epoch(0), &[one(odd)]), Stop | StopOnBest));
        }
    }

    #[test]
    fn one_spike_is_no_divergence_where_there_is_smoothing() {
        let mut p = policy(100);
        p.first.divergence_threshold = Some(5.0);
        p.first.smoothing = Some(Smoothing::new(10.0));
        for at in 0..20 {
            assert_ne!(p.update(epoch(at), &[one(1.0)]), Stop);
        }
        assert_ne!(p.update(epoch(20), &[one(20.0)]), Stop);
        assert_eq!(p.update(epoch(21), &[one(200.0)]), Stop);
    }

    #[test]
    fn batches_are_counted_where_there_are_any() {
        let mut p = policy(3);
        p.start = 2;
        let decisions: Vec<_> = (0..6)
            .map(|batch| {
                let at = Moment {
                    epoch: 7,
                    batch: Some(batch),
                };
                p.update(at, &[one(1.0)])
            })
            .collect();
        assert_eq!(decisions, [Ignore, Ignore, Improved, Wait, Wait, Stop]);
        assert_eq!((p.best_epoch, p.best_batch), (7, Some(2)));
        assert_eq!((p.stopped_epoch, p.stopped_batch), (7, Some(5)));
    }

    #[test]
    fn a_value_for_several_units_waits_as_long() {
        let mut p = policy(8);
        let four = |value| [Some(Value { value, units: 4 })];
        assert_eq!(p.update(epoch(0), &four(1.0)), Improved);
        assert_eq!(p.update(epoch(1), &four(1.0)), Wait);
        assert_eq!(p.update(epoch(2), &four(1.0)), Stop);
    }

    proptest! {
        /// The rule, from its definition: a metric has stalled where its last new best lies
        /// `patience` units back or more.
        #[test]
        fn combined_rules_equal_their_definition(
            rows in proptest::collection::vec(proptest::array::uniform3(0_u8..6), 1..40),
            patience in 0_i64..6,
            any in proptest::bool::ANY,
        ) {
            let combine = if any { Combine::Any } else { Combine::All };
            let mut policy = EarlyStopping {
                others: vec![metric(patience); 2],
                combine,
                ..policy(patience)
            };
            for (at, row) in rows.iter().enumerate() {
                let values = row.map(|value| one(f64::from(value)));
                let stopped = matches!(
                    policy.update(epoch(at.try_into().unwrap()), &values),
                    Stop | StopOnBest
                );
                let stalled: Vec<bool> = (0..3)
                    .map(|metric| {
                        let column = rows[..=at].iter().map(|row| row[metric]);
                        let best = column.clone().min().unwrap();
                        let since = at - column.clone().position(|value| value == best).unwrap();
                        since > 0 && i64::try_from(since).unwrap() >= patience
                    })
                    .collect();
                let expected = if any {
                    stalled.contains(&true)
                } else {
                    !stalled.contains(&false)
                };
                prop_assert_eq!(stopped, at > 0 && expected);
            }
        }
    }
}
