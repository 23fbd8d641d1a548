use proptest::prelude::*;

use super::super::points::Points;
use super::super::values::Number;
use super::*;

fn series(points: impl IntoIterator<Item = (i64, f64)>) -> Scalars {
    let mut read = Points::default();
    for (step, value) in points {
        read.push(step, step as f64 / 10.0, Number::F64(value));
    }
    let mut scalars = Scalars::default();
    scalars.append(read);
    scalars
}

fn window(from: f64, to: f64, columns: usize) -> Window {
    Window {
        axis: Axis::Step,
        from,
        to,
        columns,
        halflife: None,
    }
}

const EVERYTHING: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

#[test]
fn one_value_among_a_million_is_in_the_envelope() {
    let noisy = series((0..1_000_000).map(|step| (step, if step == 333_333 { 50.0 } else { 1.0 })));
    let columns = noisy.envelope(&window(EVERYTHING.0, EVERYTHING.1, 1000));
    assert_eq!(columns.len(), 1000);
    let spikes: Vec<_> = columns.iter().filter(|column| column.high > 1.0).collect();
    assert_eq!(spikes.len(), 1);
    assert_eq!(
        (spikes[0].low, spikes[0].high, spikes[0].points),
        (1.0, 50.0, 1000)
    );
    assert!((spikes[0].x - 333_333.0).abs() <= 1000.0);
    let near = noisy.envelope(&window(333_300.0, 333_400.0, 1000));
    assert_eq!(near.len(), 101);
    assert_eq!(
        (near[33].x, near[33].mean, near[33].points),
        (333_333.0, 50.0, 1)
    );
    assert_eq!(noisy.extremes(), Some((0, 333_333)));
}

#[test]
fn values_that_are_not_finite_do_not_spoil_the_scale() {
    let odd = series([(0, 1.0), (1, f64::NAN), (2, f64::INFINITY), (3, 2.0)]);
    let all = odd.envelope(&window(EVERYTHING.0, EVERYTHING.1, 1));
    assert_eq!(
        (all[0].low, all[0].mean, all[0].high, all[0].odd),
        (1.0, 1.5, 2.0, 3)
    );
    let each = odd.envelope(&window(1.0, 2.0, 10));
    assert_eq!(each.len(), 2);
    assert!(
        each.iter()
            .all(|column| column.mean.is_nan() && column.low.is_nan())
    );
}

#[test]
fn the_wall_time_as_axis() {
    let scalars = series((0..100).map(|step| (step, step as f64)));
    let wall = Window {
        axis: Axis::Wall,
        ..window(1.0, 2.0, 100)
    };
    let columns = scalars.envelope(&wall);
    assert_eq!(columns.len(), 11);
    assert_eq!((columns[0].x, columns[0].mean), (1.0, 10.0));
}

#[test]
fn a_clock_that_was_set_back() {
    let mut points = Points::default();
    for step in 0..100 {
        let time = if step < 50 {
            1000.0 + f64::from(step)
        } else {
            f64::from(step)
        };
        points.push(step.into(), time, Number::F32(1.0));
    }
    let mut scalars = Scalars::default();
    scalars.append(points);
    assert_eq!(scalars.time_range(), Some((50.0, 1049.0)));
    let wall = |from, to, columns| Window {
        axis: Axis::Wall,
        ..window(from, to, columns)
    };
    let all = scalars.envelope(&wall(EVERYTHING.0, EVERYTHING.1, 10));
    let points: Vec<_> = all.iter().map(|column| column.points).collect();
    assert_eq!(points, [50, 50]);
    let few = scalars.envelope(&wall(1000.0, 1002.0, 10));
    assert_eq!(
        few.iter().map(|column| column.x).collect::<Vec<_>>(),
        [1000.0, 1001.0, 1002.0]
    );
    assert_eq!(scalars.envelope(&wall(500.0, 600.0, 10)), []);
}

#[test]
fn without_times_there_is_nothing_to_show_over_them() {
    let mut points = Points::default();
    points.push(0, f64::NAN, Number::F32(1.0));
    let mut scalars = Scalars::default();
    scalars.append(points);
    let wall = Window {
        axis: Axis::Wall,
        ..window(EVERYTHING.0, EVERYTHING.1, 10)
    };
    assert_eq!(scalars.envelope(&wall), []);
}

#[test]
fn the_smoothed_line_is_pandas_ewm() {
    // pandas.Series([1., 3., 2., 5.]).ewm(halflife=2).mean()
    let expected = [1.0, 2.171_572_875, 2.100_505_063, 3.232_233_047];
    let scalars = series((0..).zip([1.0, 3.0, 2.0, 5.0]));
    let mut shown = window(EVERYTHING.0, EVERYTHING.1, 10);
    shown.halflife = Some(2.0);
    let columns = scalars.envelope(&shown);
    for (column, expected) in columns.iter().zip(expected) {
        assert!((column.smoothed - expected).abs() < 1e-2, "{column:?}");
    }
    // A window that begins later continues the line.
    shown.from = 2.0;
    let later = scalars.envelope(&shown);
    assert!((later[1].smoothed - columns[3].smoothed).abs() < 1e-12);
}

proptest! {
    #[test]
    fn columns_have_all_points_and_their_bounds(
        gaps in prop::collection::vec((1_i64..20, -50_i8..50), 1..400),
        from in -10.0_f64..4000.0, length in 0.0_f64..4000.0, count in 1_usize..50,
    ) {
        let mut step = 0;
        let points: Vec<_> = gaps.into_iter().map(|(gap, value)| {
            step += gap;
            (step, f64::from(value))
        }).collect();
        let shown = window(from, from + length, count);
        let columns = series(points.clone()).envelope(&shown);
        let inside: Vec<_> = points.into_iter()
            .filter(|(step, _)| (from..=from + length).contains(&(*step as f64))).collect();
        prop_assert!(columns.len() <= count);
        prop_assert_eq!(columns.iter().map(|column| column.points).sum::<u64>(), inside.len() as u64);
        let mut rest = inside.as_slice();
        for column in &columns {
            let (own, later) = rest.split_at(usize::try_from(column.points).unwrap());
            rest = later;
            let low = own.iter().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
            let high = own.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
            prop_assert_eq!((column.low, column.high), (low, high));
            prop_assert!(from <= column.x && column.x <= from + length);
        }
        prop_assert!(columns.windows(2).all(|pair| pair[0].x < pair[1].x));
    }
}
