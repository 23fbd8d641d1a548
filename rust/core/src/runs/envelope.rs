//! A series as a picture needs it: lowest, mean and highest value in each pixel column.

use super::pyramid::Summary;
use super::scalars::Scalars;

/// How many half-lives before a window the smoothing begins: what is older weighs a millionth.
const LEAD: f64 = 20.0;

/// The horizontal axis of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Axis {
    /// The step.
    Step,
    /// The time in seconds since the Unix epoch.
    Wall,
}

/// The part of a series to show.
#[derive(Clone, Debug)]
pub struct Window {
    /// What `from` and `to` mean.
    pub axis: Axis,
    /// The left end, included.
    pub from: f64,
    /// The right end, included.
    pub to: f64,
    /// The number of pixel columns.
    pub columns: usize,
    /// After which distance the weight of a value in the smoothed line has halved, in the units of
    /// the axis; `None` for no smoothing.
    pub halflife: Option<f64>,
}

/// A pixel column with points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Column {
    /// The position of the only point, or the middle of the column.
    pub x: f64,
    /// The lowest finite value; NaN if there is none.
    pub low: f64,
    /// The mean of the finite values; NaN if there is none.
    pub mean: f64,
    /// The highest finite value; NaN if there is none.
    pub high: f64,
    /// The exponentially weighted mean of all values up to this column; NaN without smoothing.
    pub smoothed: f64,
    /// How many points the column has.
    pub points: u64,
    /// Which values are not finite: 1 for NaN, 2 for infinity, 4 for minus infinity, or a sum.
    pub odd: u8,
}

impl Column {
    fn of(x: f64, summary: &Summary, points: usize) -> Self {
        let finite = summary.finite > 0;
        Self {
            x,
            low: if finite { summary.low } else { f64::NAN },
            mean: summary.mean(),
            high: if finite { summary.high } else { f64::NAN },
            smoothed: f64::NAN,
            points: points as u64,
            odd: summary.odd,
        }
    }
}

impl Scalars {
    /// The columns of a window that have points, from left to right.
    ///
    /// If the window has no more points than columns, each point has a column of its own, with its
    /// exact position and value. Takes a time that depends on the number of columns, and on the
    /// logarithm of the number of points. The smoothed line has the bias correction of pandas'
    /// `ewm(adjust=True)`, with distances on the axis in the place of counts.
    #[must_use]
    pub fn envelope(&self, window: &Window) -> Vec<Column> {
        let mut columns = self.columns(window, window.from, false);
        if let Some(halflife) = window.halflife.filter(|halflife| *halflife > 0.0) {
            let first = columns.first().map_or(window.from, |column| column.x);
            let lead = Window {
                to: window.from,
                ..window.clone()
            };
            let mut smoothing = Smoothing::new(halflife);
            for column in self.columns(&lead, first - LEAD * halflife, true) {
                smoothing.add(&column);
            }
            for column in &mut columns {
                column.smoothed = smoothing.add(column);
            }
        }
        columns
    }

    /// The columns between `from` and the end of the window, which `before` leaves out.
    fn columns(&self, window: &Window, from: f64, before: bool) -> Vec<Column> {
        let ends_before = |x: f64| x < from;
        let within = |x: f64| {
            if before {
                x < window.to
            } else {
                x <= window.to
            }
        };
        if window.axis == Axis::Wall && !self.has_ascending_times() {
            return self.scanned(window.columns, from, within);
        }
        let start = self.first_index(window.axis, 0, ends_before);
        let stop = self.first_index(window.axis, start, within);
        if stop - start <= window.columns {
            return (start..stop)
                .map(|index| self.column(window.axis, index, index + 1, 0.0))
                .collect();
        }
        // Bounds beyond the series would waste columns.
        let from = from.max(self.x(window.axis, start));
        let width = (window.to.min(self.x(window.axis, stop - 1)) - from) / as_f64(window.columns);
        let mut columns = Vec::with_capacity(window.columns);
        let mut at = start;
        for column in 1..=window.columns {
            let edge = from + width * as_f64(column);
            let end = if column == window.columns {
                stop
            } else {
                self.first_index(window.axis, at, |x| x < edge).min(stop)
            };
            if at < end {
                columns.push(self.column(window.axis, at, end, edge - width / 2.0));
            }
            at = end;
        }
        columns
    }

    /// The columns of times that do not ascend, because the clock was set back: looks at each point.
    fn scanned(&self, columns: usize, from: f64, within: impl Fn(f64) -> bool) -> Vec<Column> {
        let times = self.wall_times().iter().enumerate();
        let mut inside: Vec<_> = times
            .filter(|&(_, &time)| time >= from && within(time))
            .map(|(index, &time)| (time, index))
            .collect();
        inside.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (Some(&(first, _)), Some(&(last, _))) = (inside.first(), inside.last()) else {
            return Vec::new();
        };
        let width = (last - first) / as_f64(columns);
        let mut found = Vec::new();
        let mut rest = inside.as_slice();
        for column in 1..=columns.min(inside.len()) {
            let edge = first + width * as_f64(column);
            let end = if inside.len() <= columns {
                1
            } else if column == columns {
                rest.len()
            } else {
                rest.partition_point(|&(time, _)| time < edge)
            };
            let (own, later) = rest.split_at(end);
            rest = later;
            if let Some(&(x, _)) = own.first() {
                let mut summary = Summary::default();
                for &(_, index) in own {
                    summary.add(self.value(index));
                }
                let x = if own.len() == 1 {
                    x
                } else {
                    edge - width / 2.0
                };
                found.push(Column::of(x, &summary, own.len()));
            }
        }
        found
    }

    fn column(&self, axis: Axis, start: usize, stop: usize, middle: f64) -> Column {
        let one = stop - start == 1;
        let x = if one { self.x(axis, start) } else { middle };
        Column::of(x, &self.summary(start, stop), stop - start)
    }

    /// The first index from `start` on whose position does not satisfy a condition.
    fn first_index(&self, axis: Axis, start: usize, before: impl Fn(f64) -> bool) -> usize {
        start
            + match axis {
                Axis::Step => self.steps()[start..].partition_point(|&step| before(step as f64)),
                Axis::Wall => self.wall_times()[start..].partition_point(|&time| before(time)),
            }
    }

    fn x(&self, axis: Axis, index: usize) -> f64 {
        match axis {
            Axis::Step => self.steps()[index] as f64,
            Axis::Wall => self.wall_times()[index],
        }
    }
}

/// The exponentially weighted mean of columns, from left to right.
struct Smoothing {
    halflife: f64,
    x: f64,
    total: f64,
    weight: f64,
}

impl Smoothing {
    fn new(halflife: f64) -> Self {
        Self {
            halflife,
            x: f64::NEG_INFINITY,
            total: 0.0,
            weight: 0.0,
        }
    }

    /// The mean after another column. A column without finite values leaves it as it is.
    fn add(&mut self, column: &Column) -> f64 {
        let decay = 0.5_f64.powf((column.x - self.x).max(0.0) / self.halflife);
        self.total *= decay;
        self.weight *= decay;
        self.x = column.x;
        if !column.mean.is_nan() {
            let points = column.points as f64;
            self.total += column.mean * points;
            self.weight += points;
        }
        self.total / self.weight
    }
}

fn as_f64(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
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
        let noisy =
            series((0..1_000_000).map(|step| (step, if step == 333_333 { 50.0 } else { 1.0 })));
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
}
