//! Collects rows of batches in blocks.

use std::collections::VecDeque;

use fitwatch_core::block::Block;
use fitwatch_core::policies as core;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::BatchCount;
use crate::row::{Row, Source};
use crate::sink::{Batch, Gate, Outcome, Sink, Wants};

/// The rows of a block: steps, epochs, times, and the columns by name, as bytes.
type Taken<'py> = (
    Bound<'py, PyBytes>,
    Bound<'py, PyBytes>,
    Bound<'py, PyBytes>,
    Vec<(String, Bound<'py, PyBytes>)>,
);

/// The source of a value, and the index of its column in the block.
type Place = (Source, usize);

/// Collects one row for each batch, until a block is due: the action is called then.
///
/// Args:
///     count: Counts the batches of the run after this sink has seen them; None if the sink must.
///     every: The number of rows in a block.
///     seconds: The time after which a block is due in any case.
///     columns: The names of the columns; None for all metrics and step columns.
#[pyclass(module = "fitwatch._core")]
pub struct Blocks {
    count: Option<Py<BatchCount>>,
    /// The batches up to the last one that was seen.
    seen: core::BatchCount,
    block: Block,
    epoch: i64,
    /// The names of the columns that are wanted; `None` for all.
    wanted: Option<Vec<String>>,
    /// Where the values of rows of this layout come from.
    sources: Option<((u64, u64), Vec<Place>)>,
    /// The calls whose rows are to come: ordinal and last step.
    due: VecDeque<(u64, i64)>,
}

#[pymethods]
impl Blocks {
    #[new]
    #[pyo3(signature = (count, every, seconds, columns=None))]
    fn new(
        count: Option<Py<BatchCount>>,
        every: usize,
        seconds: f64,
        columns: Option<Vec<String>>,
    ) -> Self {
        let mut block = Block::new(every, seconds);
        for name in columns.iter().flatten() {
            block.column(name);
        }
        Self {
            count,
            seen: core::BatchCount::default(),
            wanted: columns,
            block,
            epoch: 0,
            sources: None,
            due: VecDeque::new(),
        }
    }

    #[setter]
    fn set_epoch(&mut self, epoch: i64) {
        self.epoch = epoch;
    }

    /// The step of the last batch; -1 before the first one.
    #[getter]
    fn last_step(&self) -> i64 {
        i64::try_from(self.seen.seen()).map_or(i64::MAX, |seen| seen - 1)
    }

    /// The names of wanted columns that the last row does not have.
    fn missing(&self) -> Vec<String> {
        let Some((_, sources)) = &self.sources else {
            return Vec::new();
        };
        let is_there = |name: &str| {
            let at = self.block.names().position(|of| of == name);
            sources.iter().any(|&(_, column)| Some(column) == at)
        };
        let names = self.wanted.iter().flatten();
        names.filter(|name| !is_there(name)).cloned().collect()
    }

    /// How many rows there are.
    fn __len__(&self) -> usize {
        self.block.rows()
    }

    /// Takes the rows: steps and epochs (int64), times and columns (float64) in native byte order,
    /// for `numpy.frombuffer`.
    fn take<'py>(&mut self, py: Python<'py>) -> PyResult<Taken<'py>> {
        let taken = self.rows(py);
        self.block.clear();
        taken
    }

    /// The rows, as `take` returns them. They stay.
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Taken<'py>> {
        let block = &self.block;
        let columns = block.names().enumerate().map(|(at, name)| {
            let values = bytes(py, block.values(at), f64::to_ne_bytes)?;
            Ok((name.to_owned(), values))
        });
        Ok((
            bytes(py, block.steps(), i64::to_ne_bytes)?,
            bytes(py, block.epochs(), i64::to_ne_bytes)?,
            bytes(py, block.wall_times(), f64::to_ne_bytes)?,
            columns.collect::<PyResult<_>>()?,
        ))
    }
}

impl Blocks {
    /// Finds where the values of a row come from.
    fn find_sources(&mut self, row: &Row<'_>) {
        if matches!(&self.sources, Some((layout, _)) if *layout == row.layout()) {
            return;
        }
        let metrics = row.schema.texts().enumerate().filter_map(|(at, name)| {
            let step = row.steps.position(name?).map(Source::Step);
            Some((step.unwrap_or(Source::Metric(at)), name?))
        });
        let additional = row.additional().map(|(at, name)| (Source::Step(at), name));
        let (wanted, block) = (&self.wanted, &mut self.block);
        let is_wanted = |name: &str| {
            wanted
                .as_ref()
                .is_none_or(|names| names.iter().any(|of| of == name))
        };
        let sources = metrics
            .chain(additional)
            .filter(|(_, name)| is_wanted(name))
            .map(|(source, name)| (source, block.column(name)))
            .collect();
        self.sources = Some((row.layout(), sources));
    }

    /// Adds the rows of a call, the last of which has this step.
    fn add(&mut self, row: &Row<'_>, last: i64) {
        self.find_sources(row);
        let batches = row.batches().max(1);
        let first = last - i64::try_from(batches).unwrap_or(1) + 1;
        for (step, place) in (first..).zip(0..batches) {
            self.block.add_row(step, self.epoch, row.now);
            for &(source, at) in self.sources.iter().flat_map(|known| &known.1) {
                if let Some(value) = row.value(source, place) {
                    self.block.set(at, value);
                }
            }
        }
    }
}

impl Sink for Py<Blocks> {
    fn wants(&self, py: Python<'_>) -> Wants {
        let this = self.borrow(py);
        Wants {
            columns: this.wanted.clone().unwrap_or_default(),
            rows: this.wanted.is_none(),
            clock: true,
            ..Wants::default()
        }
    }

    fn gate(&self, batch: &Batch<'_, '_>) -> Gate {
        let Ok(number) = batch.number.extract() else {
            return Gate::Hook;
        };
        let py = batch.number.py();
        let this = &mut *self.borrow_mut(py);
        if let Some(count) = &this.count {
            this.seen = count.borrow(py).0;
        }
        this.seen.end(number);
        this.due.push_back((batch.ordinal, this.last_step()));
        Gate::Open
    }

    fn push(&self, py: Python<'_>, row: &Row<'_>) -> Outcome {
        let this = &mut *self.borrow_mut(py);
        let Some(last) = super::kept(&mut this.due, row.ordinal) else {
            return Outcome::Done;
        };
        this.add(row, last);
        if this.block.is_due(row.now) {
            Outcome::Action
        } else {
            Outcome::Done
        }
    }
}

/// Numbers as bytes.
fn bytes<'py, T: Copy>(
    py: Python<'py>,
    values: &[T],
    to_bytes: fn(T) -> [u8; 8],
) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, values.len() * 8, |target| {
        for (slot, &value) in target.chunks_exact_mut(8).zip(values) {
            slot.copy_from_slice(&to_bytes(value));
        }
        Ok(())
    })
}
