//! Recorded runs, for `fitwatch.read` and the views.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fitwatch_core::runs::{Axis, Column, HParam, Options, Run, Runs, Scalars, Window};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::array::{Array, Part};
use crate::error::Error;

/// The runs under a path. Any thread may use it; one at a time does.
#[pyclass(module = "fitwatch._core", frozen)]
pub struct RunReader(Mutex<Runs>);

#[pymethods]
impl RunReader {
    #[new]
    #[allow(clippy::needless_pass_by_value)] // PyO3 has no borrowed paths
    #[pyo3(signature = (path, keep_superseded=false, links_outside=true))]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        keep_superseded: bool,
        links_outside: bool,
    ) -> Result<Self, Error> {
        let options = Options {
            keep_superseded,
            links_outside,
        };
        let runs = py.detach(|| Runs::read(&path, options))?;
        Ok(Self(Mutex::new(runs)))
    }

    /// Reads what was added since, and new files. Returns whether anything has changed.
    fn refresh(&self, py: Python<'_>) -> Result<bool, Error> {
        Ok(py.detach(|| self.lock().refresh())?)
    }

    /// Warnings about damaged files that were not taken yet.
    fn take_warnings(&self, py: Python<'_>) -> Vec<String> {
        py.detach(|| self.lock().take_warnings())
    }

    /// The names of the runs, ascending.
    fn names(&self, py: Python<'_>) -> Vec<String> {
        py.detach(|| {
            self.lock()
                .iter()
                .map(|(name, _)| name.to_owned())
                .collect()
        })
    }

    /// A number that grows with every refresh that changes the run.
    fn version(&self, py: Python<'_>, run: &str) -> PyResult<u64> {
        self.with(py, run, Run::version)
    }

    /// The tags with scalars, ascending.
    fn tags(&self, py: Python<'_>, run: &str) -> PyResult<Vec<String>> {
        self.with(py, run, |run| run.scalars().keys().cloned().collect())
    }

    /// First, last and extreme points of each tag.
    fn summary<'py>(&self, py: Python<'py>, run: &str) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let found: Vec<_> = self.with(py, run, |run| {
            let scalars = run.scalars().iter();
            scalars
                .filter_map(|(tag, scalars)| Some((tag.clone(), Summary::of(scalars)?)))
                .collect()
        })?;
        let items = found.into_iter().map(|(tag, summary)| {
            let item = PyDict::new(py);
            item.set_item("tag", tag)?;
            summary.fill(&item)?;
            Ok(item)
        });
        items.collect()
    }

    /// The steps, values and times of a tag, as buffers for `numpy.frombuffer`; and the index of the
    /// first point of each segment but the first. All at once: another thread may add points.
    fn arrays(
        &self,
        py: Python<'_>,
        run: &str,
        tag: &str,
    ) -> PyResult<(Array, Array, Array, Vec<usize>)> {
        let points = self.scalars(py, run, tag, Scalars::shared)?;
        let array = |part| Array::new(Arc::clone(&points), part);
        Ok((
            array(Part::Steps),
            array(Part::Values),
            array(Part::WallTimes),
            points.restarts.clone(),
        ))
    }

    /// The columns of a part of a series, encoded: little-endian, u32 number of columns, u32 0, then
    /// float64 arrays of x, low, mean, high, smoothed and points, then bytes of what is not finite
    /// (1 NaN, 2 infinity, 4 minus infinity), padded with zeros to a multiple of 8.
    #[pyo3(signature = (run, tag, axis, start, stop, columns, halflife=None))]
    #[allow(clippy::too_many_arguments)] // the arguments of a request
    fn envelope<'py>(
        &self,
        py: Python<'py>,
        run: &str,
        tag: &str,
        axis: &str,
        start: f64,
        stop: f64,
        columns: usize,
        halflife: Option<f64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let window = Window {
            axis: match axis {
                "step" => Axis::Step,
                "wall" => Axis::Wall,
                other => {
                    let message = format!("axis must be 'step' or 'wall'; got '{other}'");
                    return Err(PyValueError::new_err(message));
                }
            },
            from: start,
            to: stop,
            columns,
            halflife,
        };
        let encoded = self.scalars(py, run, tag, |scalars| encode(scalars, &window))?;
        Ok(PyBytes::new(py, &encoded))
    }

    /// The texts by tag: step, time and lines of each.
    fn texts<'py>(&self, py: Python<'py>, run: &str) -> PyResult<Bound<'py, PyDict>> {
        let found = self.with(py, run, |run| run.texts().clone())?;
        let items = PyDict::new(py);
        for (tag, texts) in found {
            let texts = texts.into_iter();
            let texts: Vec<_> = texts
                .map(|text| (text.step, text.wall_time, text.lines))
                .collect();
            items.set_item(tag, texts)?;
        }
        Ok(items)
    }

    /// The hyperparameters by name.
    fn hparams<'py>(&self, py: Python<'py>, run: &str) -> PyResult<Bound<'py, PyDict>> {
        let found = self.with(py, run, |run| run.hparams().clone())?;
        let items = PyDict::new(py);
        for (name, value) in found {
            match value {
                HParam::Number(number) => items.set_item(name, number)?,
                HParam::Text(text) => items.set_item(name, text)?,
                HParam::Flag(flag) => items.set_item(name, flag)?,
            }
        }
        Ok(items)
    }
}

impl RunReader {
    fn lock(&self) -> MutexGuard<'_, Runs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at a run without the interpreter's lock: another thread may be reading files.
    fn with<R: Send>(
        &self,
        py: Python<'_>,
        name: &str,
        look: impl FnOnce(&Run) -> R + Send,
    ) -> PyResult<R> {
        py.detach(|| self.lock().get(name).map(look))
            .ok_or_else(|| PyKeyError::new_err(name.to_owned()))
    }

    fn scalars<R: Send>(
        &self,
        py: Python<'_>,
        run: &str,
        tag: &str,
        look: impl FnOnce(&Scalars) -> R + Send,
    ) -> PyResult<R> {
        self.with(py, run, |run| run.scalars().get(tag).map(look))?
            .ok_or_else(|| PyKeyError::new_err(tag.to_owned()))
    }
}

/// First, last and extreme points of a series.
struct Summary {
    points: usize,
    steps: (i64, i64),
    times: Option<(f64, f64)>,
    last: f64,
    low: Option<(f64, i64)>,
    high: Option<(f64, i64)>,
}

impl Summary {
    fn of(scalars: &Scalars) -> Option<Self> {
        let steps = scalars.steps();
        let point = |index: usize| (scalars.value(index), steps[index]);
        let extremes = scalars.extremes();
        Some(Self {
            points: scalars.len(),
            steps: (*steps.first()?, *steps.last()?),
            times: scalars.time_range(),
            last: scalars.value(scalars.len() - 1),
            low: extremes.map(|(low, _)| point(low)),
            high: extremes.map(|(_, high)| point(high)),
        })
    }

    fn fill(&self, item: &Bound<'_, PyDict>) -> PyResult<()> {
        item.set_item("points", self.points)?;
        item.set_item("first_step", self.steps.0)?;
        item.set_item("last_step", self.steps.1)?;
        item.set_item("first_time", self.times.map(|(first, _)| first))?;
        item.set_item("last_time", self.times.map(|(_, last)| last))?;
        item.set_item("last", self.last)?;
        item.set_item("low", self.low.map(|(value, _)| value))?;
        item.set_item("low_step", self.low.map(|(_, step)| step))?;
        item.set_item("high", self.high.map(|(value, _)| value))?;
        item.set_item("high_step", self.high.map(|(_, step)| step))
    }
}

fn encode(scalars: &Scalars, window: &Window) -> Vec<u8> {
    let columns = scalars.envelope(window);
    let mut bytes = Vec::with_capacity(16 + columns.len() * 49);
    #[allow(clippy::cast_possible_truncation)] // there are no more columns than pixels
    bytes.extend_from_slice(&(columns.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    let mut push = |of: &dyn Fn(&Column) -> f64| {
        for column in &columns {
            bytes.extend_from_slice(&of(column).to_le_bytes());
        }
    };
    push(&|column| column.x);
    push(&|column| column.low);
    push(&|column| column.mean);
    push(&|column| column.high);
    push(&|column| column.smoothed);
    #[allow(clippy::cast_precision_loss)] // exact up to 2**53
    push(&|column| column.points as f64);
    bytes.extend(columns.iter().map(|column| column.odd));
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}
