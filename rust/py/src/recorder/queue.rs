//! The queue of rows whose values are not read yet, and the drain that reads them.

use std::collections::VecDeque;
use std::sync::Arc;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::plan::{Kind, Plan};
use crate::row::{Row, Schema, StepLayout, Steps};
use crate::sink::{Decides, Outcome};
use crate::value::{Cell, Flight, Item, Layout, Reader};

/// A queued row: its values are in `Queue::cells`.
pub struct QueuedRow {
    pub plan: Arc<Plan>,
    /// The plan entries that the row is still to be pushed to.
    pub entries: std::ops::Range<usize>,
    /// Whether entries may still be added, because the hook of this batch is running.
    pub open: bool,
    /// A decision of the first entry's sink that is left to the thread that trains.
    pub decided: Option<Outcome>,
    /// Whether all metrics are needed, or only those at `columns`.
    pub whole: bool,
    pub columns: Arc<[usize]>,
    /// The step columns, and how many batches of the call have values in them. Their cells follow
    /// those of the schema.
    pub steps: Arc<StepLayout>,
    pub batches: usize,
    pub batch: Py<PyAny>,
    pub ordinal: u64,
    pub now: f64,
    pub schema: Arc<Schema>,
}

impl QueuedRow {
    /// The number of cells of the row.
    fn cells(&self) -> usize {
        self.schema.len() + self.steps.len() * self.batches
    }
}

/// Rows in the order of their batches. `cells` has the values of the first row, then those of the
/// second, and so on.
#[derive(Default)]
pub struct Queue {
    pub rows: VecDeque<QueuedRow>,
    pub cells: VecDeque<Cell>,
    flight: Option<Flight>,
}

impl Queue {
    pub fn append(&mut self, mut newer: Self) {
        self.rows.append(&mut newer.rows);
        self.cells.append(&mut newer.cells);
        self.flight = self.flight.take().or(newer.flight);
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        for row in &self.rows {
            visit.call(&row.batch)?;
        }
        for cell in &self.cells {
            if let Cell::Array(value, _) | Cell::Other(value) = cell {
                visit.call(value)?;
            }
        }
        Ok(())
    }

    /// The open row of a batch whose hook is still running, usually the last row.
    pub fn open(&mut self, ordinal: u64) -> Option<&mut QueuedRow> {
        self.rows
            .iter_mut()
            .rev()
            .find(|row| row.open && row.ordinal == ordinal)
    }

    /// Reads the values that are ready and pushes the rows to their sinks, in order. Waits for
    /// values only while more than `may_wait` rows are queued. Stops at an open row, and before the
    /// first decision if `decides` is false.
    pub fn drain(
        &mut self,
        py: Python<'_>,
        reader: &Reader,
        may_wait: usize,
        decides: bool,
    ) -> PyResult<()> {
        while let Some(first) = self.rows.front() {
            let wait = self.rows.len() > may_wait;
            let (count, named) = (first.cells(), first.schema.len());
            let columns = (!first.whole).then(|| first.columns.clone());
            let metrics =
                (0..named).filter(|at| columns.as_ref().is_none_or(|columns| columns.contains(at)));
            if !self.read(py, reader, metrics.chain(named..count), wait)? {
                return Ok(());
            }
            self.push(py, reader, decides)?;
            let unfinished = |first: &QueuedRow| first.open || first.decided.is_some();
            if self.rows.front().is_some_and(unfinished) {
                return Ok(());
            }
            if let Some(first) = self.rows.pop_front() {
                self.cells.drain(..first.cells());
            }
        }
        Ok(())
    }

    /// Reads the needed values of the first row. Returns `false` if one is not ready.
    fn read(
        &mut self,
        py: Python<'_>,
        reader: &Reader,
        wanted: impl Iterator<Item = usize>,
        wait: bool,
    ) -> PyResult<bool> {
        for at in wanted {
            if let Cell::Array(_, Layout::Device) = &self.cells[at]
                && !self.transfer(py, reader, wait)?
            {
                return Ok(false);
            }
            let read = match &self.cells[at] {
                Cell::Array(array, layout) => reader.resolve(array.bind(py), *layout, wait)?,
                Cell::Slot(slot) => Item::resolve(slot, py, wait)?,
                _ => continue,
            };
            match read {
                Some(cell) => self.cells[at] = cell,
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Transfers values from an accelerator, those of all queued rows at once. Returns `false` if
    /// the transfer is still running.
    fn transfer(&mut self, py: Python<'_>, reader: &Reader, wait: bool) -> PyResult<bool> {
        let Some(transfer) = reader.transfer() else {
            return Ok(true);
        };
        let transfer = transfer.bind(py);
        if self.flight.is_none() {
            let arrays = self.cells.iter().filter_map(|cell| match cell {
                Cell::Array(array, Layout::Device) => Some(array.bind(py).clone()),
                _ => None,
            });
            self.flight = Some(Flight::start(transfer, arrays.collect())?);
        }
        match self.flight.take() {
            Some(flight) if wait || flight.ready(transfer)? => {
                let count = flight.arrays;
                let numbers = flight
                    .finish(transfer)
                    .inspect_err(|_| self.give_up(py, count))?;
                let mut numbers = numbers.into_iter();
                let arrays = self
                    .cells
                    .iter_mut()
                    .filter(|cell| matches!(cell, Cell::Array(_, Layout::Device)));
                for cell in arrays.take(count) {
                    match (numbers.next().flatten(), &cell) {
                        (Some(number), _) => *cell = Cell::Number(number),
                        (None, Cell::Array(gone, _)) => *cell = Cell::Other(gone.clone_ref(py)),
                        (None, _) => {}
                    }
                }
                Ok(true)
            }
            flight => {
                self.flight = flight;
                Ok(false)
            }
        }
    }

    /// Keeps the first arrays of an accelerator unread, after a transfer has failed: another attempt
    /// would fail too.
    fn give_up(&mut self, py: Python<'_>, count: usize) {
        let arrays = self.cells.iter_mut().filter_map(|cell| match cell {
            Cell::Array(array, Layout::Device) => Some((array.clone_ref(py), cell)),
            _ => None,
        });
        for (array, cell) in arrays.take(count) {
            *cell = Cell::Other(array);
        }
    }

    /// Pushes the first row to its sinks. Stops before the first decision if `decides` is false.
    fn push(&mut self, py: Python<'_>, reader: &Reader, decides: bool) -> PyResult<()> {
        let Some(first) = self.rows.front_mut() else {
            return Ok(());
        };
        let (plan, entries, outcome) = (&first.plan, &mut first.entries, &mut first.decided);
        while let Some(at) = entries.next() {
            let Some(Kind::Feed { feed, action }) = plan.entries.get(at).map(|entry| &entry.kind)
            else {
                continue;
            };
            let feed = feed.get();
            let row = Row {
                schema: &first.schema,
                steps: Steps::new(&first.steps, feed.mask, first.batches),
                ordinal: first.ordinal,
                now: first.now,
                cells: &self.cells,
            };
            let (action, batch) = (action.bind(py), first.batch.bind(py));
            loop {
                let found = match outcome.take() {
                    Some(found) => found,
                    None => feed.sink.push(py, &row),
                };
                let is_decision = feed.wants.decides > Decides::Nothing;
                if is_decision && !decides && !matches!(found, Outcome::Done) {
                    entries.start = at;
                    *outcome = Some(found);
                    return Ok(());
                }
                if !found.carry_out(action, batch, &row, reader)? {
                    break;
                }
            }
        }
        Ok(())
    }
}
