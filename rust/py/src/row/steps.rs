//! Step columns: values of every batch that are not in the logs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

use super::{StepLayout, Steps};
use crate::value::{Cell, Slot};

/// A value that the train step returned.
#[derive(Debug)]
enum StepValue {
    Object(Py<PyAny>),
    Slot(Slot),
}

/// Named columns of values of every batch that are not in the logs.
///
/// The train function that fitwatch puts in the place of the model's fills them: it calls `begin`,
/// then `push` for each batch that the call trains. Columns that the program measures have one value
/// in a call, which belongs to its last batch.
///
/// Args:
///     model: A function that returns the model; None once it is gone.
///     replaced: Called when the model has another train function than the one that fills them.
#[pyclass(module = "fitwatch._core", frozen)]
pub struct StepColumns {
    model: Py<PyAny>,
    replaced: Py<PyAny>,
    /// After how many batches values that leave the step together are read.
    interval: AtomicUsize,
    state: Mutex<State>,
}

struct State {
    function: Option<Py<PyAny>>,
    layout: Arc<StepLayout>,
    /// The layout of the values; another one if the columns changed within the call.
    is_mixed: bool,
    batches: usize,
    trained: usize,
    /// The values of the first batch, then those of the second, and so on.
    values: Vec<StepValue>,
    measured: Vec<f64>,
}

/// The columns that have values in the last call.
pub struct StepValues {
    pub layout: Arc<StepLayout>,
    pub batches: usize,
}

#[pymethods]
impl StepColumns {
    #[new]
    fn new(model: Py<PyAny>, replaced: Py<PyAny>) -> Self {
        Self {
            model,
            replaced,
            interval: AtomicUsize::new(usize::MAX),
            state: Mutex::new(State {
                function: None,
                layout: StepLayout::empty(),
                is_mixed: false,
                batches: 0,
                trained: 0,
                values: Vec::new(),
                measured: Vec::new(),
            }),
        }
    }

    /// The names of the columns.
    #[getter]
    fn names(&self) -> Vec<String> {
        self.lock().layout.names.clone()
    }

    /// The number of batches that the last call has trained.
    #[getter]
    fn batches(&self) -> usize {
        self.lock().batches
    }

    /// The number of batches that were pushed; set to 0 when a fit begins.
    #[getter]
    fn trained(&self) -> usize {
        self.lock().trained
    }

    #[setter]
    fn set_trained(&self, trained: usize) {
        self.lock().trained = trained;
    }

    /// The train function that fills the columns; None while nothing does.
    #[getter]
    fn function(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.lock().function.as_ref().map(|it| it.clone_ref(py))
    }

    #[setter]
    fn set_function(&self, function: Option<Py<PyAny>>) {
        let old = std::mem::replace(&mut self.lock().function, function);
        drop(old);
    }

    /// Begins a call of the train function, and drops the values of the last one.
    pub fn begin(&self) {
        let mut old = {
            let mut state = self.lock();
            state.batches = 0;
            state.is_mixed = false;
            state.measured.clear();
            std::mem::take(&mut state.values)
        };
        // Without the lock: dropping Python objects may run Python code. The memory is kept.
        old.clear();
        let mut state = self.lock();
        if state.values.capacity() == 0 {
            state.values = old;
        }
    }

    /// Sets names and kinds of the columns: first those of the step, then `measured` measured ones.
    fn name(&self, names: Vec<String>, kinds: Vec<u8>, measured: usize) -> PyResult<()> {
        if names.len() != kinds.len() || measured > names.len() {
            return Err(PyValueError::new_err("a step column has no kind"));
        }
        let mut state = self.lock();
        let now = &state.layout;
        if now.names != names || now.kinds != kinds || now.measured != measured {
            state.is_mixed = state.batches > 0;
            state.layout = StepLayout::new(names, kinds, measured);
        }
        Ok(())
    }

    /// Adds the values of a batch, in the order of the columns of the step.
    fn push(&self, values: Vec<Py<PyAny>>) -> PyResult<()> {
        self.add(values.into_iter().map(StepValue::Object))
    }

    /// Sets the values of the measured columns, for the last batch of the call. NaN stands for no
    /// value.
    fn measure(&self, values: Vec<f64>) {
        self.lock().measured = values;
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.model)?;
        visit.call(&self.replaced)?;
        match self.state.try_lock() {
            Ok(state) => visit.call(&state.function),
            Err(_) => Ok(()),
        }
    }

    fn __clear__(&self) {
        self.set_function(None);
    }
}

impl StepColumns {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After how many batches values that leave the step together are read.
    pub fn interval(&self) -> usize {
        self.interval.load(Ordering::Relaxed)
    }

    pub fn set_interval(&self, batches: usize) {
        self.interval.store(batches, Ordering::Relaxed);
    }

    /// Adds the values of a batch that are in a block.
    pub fn push_slots(&self, slots: impl Iterator<Item = Slot>) -> PyResult<()> {
        self.add(slots.map(StepValue::Slot))
    }

    fn add(&self, values: impl Iterator<Item = StepValue>) -> PyResult<()> {
        let mut state = self.lock();
        let before = state.values.len();
        state.values.extend(values);
        if state.values.len() - before != state.layout.len() - state.layout.measured {
            return Err(PyValueError::new_err("a step column has no value"));
        }
        state.batches += 1;
        state.trained += 1;
        Ok(())
    }

    /// Reads the values of the last call.
    pub fn read(&self, py: Python<'_>) -> PyResult<StepValues> {
        let Some(function) = self.function(py) else {
            return Ok(StepValues::none());
        };
        let model = self.model.call0(py)?;
        if !model.is_none(py)
            && !model
                .getattr(py, intern!(py, "train_function"))?
                .is(&function)
        {
            self.replaced.call0(py)?;
            return Ok(StepValues::none());
        }
        let state = self.lock();
        if state.is_mixed {
            return Ok(StepValues::none());
        }
        Ok(StepValues {
            layout: state.layout.clone(),
            batches: state.batches,
        })
    }

    /// Appends the cells of all batches of the last call to `cells`: those of the first batch,
    /// column by column, then the next. `wanted` tells whether a column of the step is needed.
    pub fn cells(
        &self,
        py: Python<'_>,
        read: &StepValues,
        cells: &mut Vec<Cell>,
        capture: impl Fn(&Bound<'_, PyAny>) -> PyResult<Cell>,
        wanted: impl Fn(usize) -> bool,
    ) -> PyResult<()> {
        let mut objects = Vec::new();
        {
            let state = self.lock();
            let count = read.layout.len() - read.layout.measured;
            if state.layout.id != read.layout.id || state.batches != read.batches {
                // Another call has begun since: there are no values for this one.
                let count = read.batches * read.layout.len();
                cells.extend(std::iter::repeat_with(|| Cell::Unwanted).take(count));
                return Ok(());
            }
            for batch in 0..read.batches {
                for (at, value) in state.values[batch * count..][..count].iter().enumerate() {
                    cells.push(match value {
                        _ if !wanted(at) => Cell::Unwanted,
                        StepValue::Object(object) => {
                            objects.push((cells.len(), object.clone_ref(py)));
                            Cell::Unwanted
                        }
                        StepValue::Slot(slot) => Cell::Slot(slot.clone()),
                    });
                }
                let last = batch + 1 == read.batches;
                for at in 0..read.layout.measured {
                    cells.push(match state.measured.get(at) {
                        Some(&value) if last && !value.is_nan() => Cell::Number(value),
                        _ => Cell::Unwanted,
                    });
                }
            }
        }
        // Without the lock: capturing may run Python code.
        for (at, object) in objects {
            cells[at] = capture(object.bind(py))?;
        }
        Ok(())
    }
}

impl StepValues {
    pub fn none() -> Self {
        Self {
            layout: StepLayout::empty(),
            batches: 0,
        }
    }

    /// A cache key for the columns that have values.
    pub fn id(&self) -> u64 {
        if self.batches > 0 { self.layout.id } else { 0 }
    }

    /// The columns that a mask selects.
    pub fn taken(&self, mask: u8) -> Steps<'_> {
        Steps::new(&self.layout, mask, self.batches)
    }
}
