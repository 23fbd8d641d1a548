//! What one chart shows: the curves of a tag, in a window of steps.

use crate::app::App;
use crate::axis::rounded_end;
use fitwatch_core::runs::{Axis, Column, Runs, Scalars, Window};

/// The half-life of smoothing, as a part of the range.
const HALFLIFE: f64 = 0.01;

/// One run's values of a tag.
#[derive(Debug)]
pub struct Curve {
    /// The number of the run, which sets its colour.
    pub run: usize,
    pub name: String,
    pub columns: Vec<Column>,
    pub newest: f64,
}

/// The curves of a tag over each other.
#[derive(Debug)]
pub struct Plot {
    pub tag: String,
    pub curves: Vec<Curve>,
    pub from: f64,
    pub to: f64,
}

impl Plot {
    /// Reads what a chart with this many columns of dots shows.
    pub fn new(app: &App, runs: &Runs, tag: &str, columns: usize) -> Self {
        let full = extent(app, runs, tag).unwrap_or((0.0, 1.0));
        let window = app.zoom.as_ref().and_then(|zoom| {
            let made_on = extent(app, runs, zoom.tag())?;
            alike(full, made_on).then(|| zoom.window(made_on))
        });
        let (from, to) = window.unwrap_or(full);
        let to = if to >= full.1 {
            rounded_end(from, to)
        } else {
            to
        };
        let (from, to) = if to > from {
            (from, to)
        } else {
            (from - 0.5, from + 0.5)
        };
        let window = Window {
            axis: Axis::Step,
            from,
            to,
            columns: columns.max(1),
            halflife: app.smooth.then_some((to - from) * HALFLIFE),
        };
        let curve = |(run, name, scalars): (usize, &str, &Scalars)| Curve {
            run,
            name: name.to_owned(),
            columns: scalars.envelope(&window),
            newest: scalars.value(scalars.len() - 1),
        };
        Self {
            tag: tag.to_owned(),
            curves: series(app, runs, tag).map(curve).collect(),
            from,
            to,
        }
    }
}

/// The values of a tag in the runs that are on: the run's number, its name, its values.
pub fn series<'a>(
    app: &'a App,
    runs: &'a Runs,
    tag: &'a str,
) -> impl Iterator<Item = (usize, &'a str, &'a Scalars)> {
    let shown = runs.iter().filter(|(name, _)| app.shows_run(name));
    shown.filter_map(move |(name, run)| {
        let scalars = run
            .scalars()
            .get(tag)
            .filter(|scalars| !scalars.is_empty())?;
        Some((app.number_of(name), name, scalars))
    })
}

/// The first and the last step of a tag.
pub fn extent(app: &App, runs: &Runs, tag: &str) -> Option<(f64, f64)> {
    #[allow(clippy::cast_precision_loss)] // a chart has no room for such differences
    let ends = series(app, runs, tag).filter_map(|(_, _, scalars)| {
        let steps = scalars.steps();
        Some((*steps.first()? as f64, *steps.last()? as f64))
    });
    ends.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))
}

/// Whether two tags count the same things, batches or epochs, by the length of their ranges: a
/// zoom into one of them then shows the same range of the other.
fn alike(one: (f64, f64), other: (f64, f64)) -> bool {
    let ratio = (one.1 - one.0) / (other.1 - other.0);
    (0.25..=4.0).contains(&ratio)
}
