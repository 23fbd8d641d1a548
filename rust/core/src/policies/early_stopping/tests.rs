use super::*;
use crate::policies::{Direction, Patience, Smoothing};
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

#[allow(clippy::unnecessary_wraps)] // the argument type of `update`
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

fn goal(threshold: f64) -> Goal {
    Goal {
        threshold: Some(threshold),
        reached_at: None,
    }
}

#[test]
fn a_value_that_is_good_enough_stops_at_once() {
    let mut p = policy(10);
    p.goals = vec![goal(0.5)];
    assert_eq!(
        run(p.clone(), &[0.9, 0.6, 0.5]),
        [Improved, Improved, StopOnBest]
    );
    assert_eq!(run(p.clone(), &[0.1]), [StopOnBest]);
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    assert_eq!(run(p.clone(), &odd), [Wait, Wait, Improved]);
    p.start = 2;
    assert_eq!(
        run(p.clone(), &[0.1, 0.2, 0.7, 0.2])[2..],
        [Improved, StopOnBest]
    );
    p.first.best.rule.direction = Direction::Max;
    p.start = 0;
    assert_eq!(run(p, &[0.1, 0.4, 0.5]), [Improved, Improved, StopOnBest]);
}

#[test]
fn one_good_batch_is_not_enough_where_there_is_smoothing() {
    let mut p = policy(100);
    p.goals = vec![goal(0.5)];
    p.first.smoothing = Some(Smoothing::new(5.0));
    let mut losses = [1.0; 30];
    losses[3] = 0.0;
    assert!(!run(p.clone(), &losses).contains(&StopOnBest));
    losses[10..].fill(0.4);
    let stop = run(p, &losses).iter().position(|&seen| seen == StopOnBest);
    assert!(stop.is_some_and(|at| at > 13), "{stop:?}");
}

#[test]
fn several_metrics_reach_their_thresholds_together_or_one_by_one() {
    let rows: [[Option<f64>; 3]; 5] = [
        [Some(9.0), Some(0.1), Some(9.0)],
        [Some(9.0), Some(0.9), Some(0.1)], // the second is worse again
        [Some(9.0), Some(0.1), None],      // the last value of the third counts
        [None, None, None],
        [Some(9.0), Some(0.1), Some(0.1)],
    ];
    let seen = |combine, goals: &[Goal]| {
        let mut policy = EarlyStopping {
            others: vec![metric(100); 2],
            combine,
            goals: goals.to_vec(),
            ..policy(100)
        };
        let stop = (0..).zip(&rows).find(|(at, row)| {
            let decision = policy.update(epoch(*at), &row.map(|value| value.and_then(one)));
            matches!(decision, Stop | StopOnBest)
        });
        (stop.map(|(at, _)| at), policy.reached().collect::<Vec<_>>())
    };
    let none = Goal::default();
    let two = [none, goal(0.5), goal(0.5)];
    assert_eq!(seen(Combine::All, &two), (Some(2), vec![1, 2]));
    assert_eq!(seen(Combine::Any, &two), (Some(0), vec![1]));
    assert_eq!(
        seen(Combine::Any, &[none, none, goal(0.5)]),
        (Some(1), vec![2])
    );
    assert_eq!(
        seen(Combine::All, &[goal(0.5), goal(0.5), none]),
        (None, vec![])
    );
    assert_eq!(seen(Combine::All, &[none; 3]), (None, vec![]));
    assert_eq!(seen(Combine::Any, &[]), (None, vec![]));
}

#[test]
fn a_reached_threshold_is_judged_again_by_that_of_now() {
    for (threshold, start, still) in [
        (Some(0.5), 0, true),
        (Some(0.4), 0, true),
        (Some(0.3), 0, false),
        (None, 0, false),
        (Some(0.5), 2, false),
    ] {
        let mut stopped = policy(9);
        stopped.goals = vec![goal(0.5)];
        stopped.update(epoch(0), &[one(0.8)]);
        assert!(!stopped.still_stops());
        assert_eq!(stopped.update(epoch(1), &[one(0.4)]), StopOnBest);
        stopped.goals[0].threshold = threshold;
        stopped.start = start;
        assert_eq!(stopped.still_stops(), still, "{threshold:?} {start}");
        assert_eq!(stopped.reached().next().is_some(), still || start == 2);
    }
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
    /// The rule by its definition: a metric has stalled if its last improvement was at least
    /// `patience` units ago.
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
