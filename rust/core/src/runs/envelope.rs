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
        if start == stop {
            return Vec::new();
        }
        // Bounds beyond the series would waste columns.
        let from = from.max(self.x(window.axis, start));
        let to = window.to.min(self.x(window.axis, stop - 1));
        cut(
            (start, stop),
            (from, to),
            window.columns,
            |at, edge| self.first_index(window.axis, at, |x| x < edge).min(stop),
            |start, stop, middle| {
                let one = stop - start == 1;
                let x = if one {
                    self.x(window.axis, start)
                } else {
                    middle
                };
                Column::of(x, &self.summary(start, stop), stop - start)
            },
        )
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
        cut(
            (0, inside.len()),
            (first, last),
            columns,
            |at, edge| at + inside[at..].partition_point(|&(time, _)| time < edge),
            |start, stop, middle| {
                let own = &inside[start..stop];
                let mut summary = Summary::default();
                for &(_, index) in own {
                    summary.add(self.value(index));
                }
                let x = if own.len() == 1 { own[0].0 } else { middle };
                Column::of(x, &summary, own.len())
            },
        )
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

/// Cuts points, numbered by position, into pixel columns: one for each point if there are no more.
///
/// `first_from(at, edge)` is the first point from `at` on that is not before an edge, and
/// `column(start, stop, middle)` makes the column of some points.
fn cut<T>(
    (start, stop): (usize, usize),
    (from, to): (f64, f64),
    columns: usize,
    first_from: impl Fn(usize, f64) -> usize,
    column: impl Fn(usize, usize, f64) -> T,
) -> Vec<T> {
    if stop - start <= columns {
        return (start..stop)
            .map(|point| column(point, point + 1, 0.0))
            .collect();
    }
    let width = (to - from) / as_f64(columns);
    let mut found = Vec::with_capacity(columns);
    let mut at = start;
    for number in 1..=columns {
        let edge = from + width * as_f64(number);
        let end = if number == columns {
            stop
        } else {
            first_from(at, edge)
        };
        if at < end {
            found.push(column(at, end, edge - width / 2.0));
        }
        at = end;
    }
    found
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
mod tests;
