//! Keeps the values of one metric in memory.

use pyo3::prelude::*;

use crate::row::{Column, Row};
use crate::series::Series;
use crate::sink::{Batch, Gate, Outcome, Sink, Wants};
use crate::value::Cell;

/// Appends a metric to a series; calls the action if it is missing or not a number.
///
/// Args:
///     series: The series to append to.
///     metric: The name of the metric.
#[pyclass(module = "fitwatch._core")]
pub struct Losses {
    series: Py<Series>,
    column: Column,
}

#[pymethods]
impl Losses {
    #[new]
    fn new(series: Py<Series>, metric: String) -> Self {
        Self {
            series,
            column: Column::new(metric),
        }
    }
}

impl Sink for Py<Losses> {
    fn wants(&self, py: Python<'_>) -> Wants {
        Wants {
            columns: vec![self.borrow(py).column.name.clone()],
            ..Wants::default()
        }
    }

    fn gate(&self, _batch: &Batch<'_, '_>) -> Gate {
        Gate::Open
    }

    #[allow(clippy::cast_possible_truncation)] // a series is float32
    fn push(&self, py: Python<'_>, row: &Row<'_>) -> Outcome {
        let this = &mut *self.borrow_mut(py);
        let mut series = this.series.borrow_mut(py);
        let values = row.step(&this.column.name);
        if values.len() > 0 {
            values.for_each(|value| series.0.push(value as f32));
            return Outcome::Done;
        }
        match this.column.position(row.schema).map(|at| row.cell(at)) {
            Some(Cell::Number(value)) => series.0.push(*value as f32),
            _ => return Outcome::Action,
        }
        Outcome::Done
    }
}
