//! The values of step columns over an epoch.

use pyo3::prelude::*;

use crate::row::Row;
use crate::sink::{Batch, Gate, Outcome, Sink, Wants};

/// Sums up the step columns of an epoch that are not metrics of the logs.
#[pyclass(module = "fitwatch._core")]
#[derive(Default)]
pub struct EpochValues {
    columns: Vec<Values>,
}

/// The values of one column.
struct Values {
    name: String,
    sum: f64,
    count: u32,
    last: f64,
}

#[pymethods]
impl EpochValues {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Returns the name, the mean and the last value of each column that had values since the last
    /// call.
    fn take(&mut self) -> Vec<(String, f64, f64)> {
        std::mem::take(&mut self.columns)
            .into_iter()
            .map(|of| (of.name, of.sum / f64::from(of.count), of.last))
            .collect()
    }
}

impl Sink for Py<EpochValues> {
    fn wants(&self, _py: Python<'_>) -> Wants {
        Wants {
            steps: true,
            ..Wants::default()
        }
    }

    fn gate(&self, _batch: &Batch<'_, '_>) -> Gate {
        Gate::Open
    }

    fn push(&self, py: Python<'_>, row: &Row<'_>) -> Outcome {
        let this = &mut *self.borrow_mut(py);
        for (nth, (at, name)) in row.additional().enumerate() {
            let values = (0..row.batches()).filter_map(|place| row.step_at(at, place));
            for value in values {
                // The columns of a row are usually those of the row before.
                let known = match this.columns.get(nth) {
                    Some(of) if of.name == name => Some(nth),
                    _ => this.columns.iter().position(|of| of.name == name),
                };
                let known = known.unwrap_or_else(|| {
                    let name = name.to_owned();
                    this.columns.push(Values {
                        name,
                        sum: 0.0,
                        count: 0,
                        last: 0.0,
                    });
                    this.columns.len() - 1
                });
                let of = &mut this.columns[known];
                of.sum += value;
                of.count += 1;
                of.last = value;
            }
        }
        Outcome::Done
    }
}
