//! Rows of values that leave the train step in one array, and are read from it together.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;

use super::raw;

/// How the values of an array are read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Access {
    place: Place,
    /// Whether they are float64, and not float32.
    pub double: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// At the address of a JAX array on one CPU device.
    Address,
    /// The same, of one of the arrays that make up a replicated one.
    Replicated,
    /// Through `__array__`, from a JAX array on an accelerator: the copy is started in advance.
    Transfer,
    /// Through `__array__` or the buffer protocol, from an array whose values are ready.
    Ready,
}

impl Access {
    /// Parses a place and a type, such as "address float32".
    pub fn parse(name: &str) -> PyResult<Self> {
        let found = name.split_once(' ').and_then(|(place, dtype)| {
            let place = match place {
                "address" => Place::Address,
                "replicated" => Place::Replicated,
                "transfer" => Place::Transfer,
                "ready" => Place::Ready,
                _ => return None,
            };
            let double = match dtype {
                "float32" => false,
                "float64" => true,
                _ => return None,
            };
            Some(Self { place, double })
        });
        found.ok_or_else(|| PyValueError::new_err(format!("no access: {name}")))
    }
}

/// The form of the arrays that a step returns.
#[derive(Debug)]
pub struct Form {
    /// The number of rows in an array.
    pub rows: usize,
    /// The number of values in a row.
    pub width: usize,
    pub access: Access,
    /// The abstract value (shape and dtype) of an array whose size was right. All arrays of one
    /// compiled step share it, and it is read in a fraction of the time that `nbytes` takes.
    checked: Mutex<Option<Py<PyAny>>>,
}

impl Form {
    pub fn new(rows: usize, width: usize, access: Access) -> Arc<Self> {
        Arc::new(Self {
            rows,
            width,
            access,
            checked: Mutex::default(),
        })
    }

    /// The bytes of a value.
    fn size(&self) -> usize {
        if self.access.double { 8 } else { 4 }
    }

    /// Checks the size of an array.
    fn check(&self, array: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = array.py();
        let form = array.getattr(intern!(py, "aval"))?;
        let checked = || self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if checked().as_ref().is_some_and(|known| known.is(&form)) {
            return Ok(());
        }
        let bytes: usize = array.getattr(intern!(py, "nbytes"))?.extract()?;
        if bytes != self.rows * self.width * self.size() {
            return Err(another_size());
        }
        let old = checked().replace(form.unbind());
        drop(old); // without the lock: dropping Python objects may run Python code
        Ok(())
    }
}

fn another_size() -> PyErr {
    PyValueError::new_err("a step returned an array of another size")
}

/// Consecutive rows of a shift register: an array whose last rows are the newest.
///
/// Each row that is added brings the array that the step returned then. Once the block is closed,
/// its last array is read, with one transfer for all rows; a value that is needed earlier is read
/// from the newest array.
#[derive(Debug)]
pub struct Block {
    form: Arc<Form>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The newest array; `None` once all values are read.
    array: Option<Py<PyAny>>,
    /// The number of rows that were added.
    added: usize,
    /// The values of the first rows.
    values: Vec<f64>,
    closed: bool,
}

/// One value of a block.
#[derive(Clone, Debug)]
pub struct Slot {
    block: Arc<Block>,
    at: usize,
}

impl Block {
    pub fn new(form: &Arc<Form>) -> Arc<Self> {
        Arc::new(Self {
            form: form.clone(),
            state: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a row, which is the last one of `array`. Returns its index.
    pub fn add(&self, array: Py<PyAny>) -> usize {
        let mut state = self.lock();
        let old = state.array.replace(array);
        state.added += 1;
        let row = state.added - 1;
        drop(state);
        drop(old); // without the lock: dropping Python objects may run Python code
        row
    }

    /// Closes the block: no row follows. Starts the transfer of its values.
    pub fn close(&self, py: Python<'_>) -> PyResult<()> {
        let array = {
            let mut state = self.lock();
            state.closed = true;
            state.array.as_ref().map(|array| array.clone_ref(py))
        };
        if let (Some(array), Place::Transfer) = (array, self.form.access.place) {
            array.call_method0(py, intern!(py, "copy_to_host_async"))?;
        }
        Ok(())
    }

    /// Reads a value; `None` if it is not ready and `wait` is false.
    fn read(&self, py: Python<'_>, at: usize, wait: bool) -> PyResult<Option<f64>> {
        let (array, first, added) = {
            let state = self.lock();
            if let Some(&value) = state.values.get(at) {
                return Ok(Some(value));
            }
            // The newest array of an open block is rarely ready.
            if !state.closed && !wait {
                return Ok(None);
            }
            let Some(array) = &state.array else {
                return Err(PyRuntimeError::new_err("the values of a batch are gone"));
            };
            (
                array.clone_ref(py),
                state.values.len() / self.form.width,
                state.added,
            )
        };
        let behind = self.form.rows - added;
        let range = (behind + first) * self.form.width..self.form.rows * self.form.width;
        let Some(values) = self.fetch(array.bind(py), range, wait)? else {
            return Ok(None);
        };
        let mut state = self.lock();
        if state.values.len() == first * self.form.width {
            state.values.extend(values);
        }
        let done = state.closed && state.values.len() == state.added * self.form.width;
        let old = if done { state.array.take() } else { None };
        let value = state.values.get(at).copied();
        drop(state);
        drop(old);
        Ok(value)
    }

    /// Reads a range of an array's values; `None` if they are not ready and `wait` is false.
    fn fetch(
        &self,
        array: &Bound<'_, PyAny>,
        range: Range<usize>,
        wait: bool,
    ) -> PyResult<Option<Vec<f64>>> {
        let py = array.py();
        let array = match self.form.access.place {
            Place::Ready => return self.through_numpy(array, range).map(Some),
            Place::Transfer => {
                return if wait || is_ready(array)? {
                    self.through_numpy(array, range).map(Some)
                } else {
                    Ok(None)
                };
            }
            Place::Address => array.clone(),
            Place::Replicated => array.call_method1(intern!(py, "addressable_data"), (0,))?,
        };
        if !is_ready(&array)? {
            if !wait {
                return Ok(None);
            }
            array.call_method0(intern!(py, "block_until_ready"))?;
        }
        self.at_address(&array, range).map(Some)
    }

    #[allow(unsafe_code)]
    fn at_address(&self, array: &Bound<'_, PyAny>, range: Range<usize>) -> PyResult<Vec<f64>> {
        let py = array.py();
        let size = self.form.size();
        self.form.check(array)?;
        let address: usize = array
            .call_method0(intern!(py, "unsafe_buffer_pointer"))?
            .extract()?;
        let read = |at: usize| {
            let address = address + size * at;
            if self.form.access.double {
                // SAFETY: The array has just returned the address of its own buffer, which raises
                // for a deleted array; its values are ready, and JAX arrays are immutable. `array`
                // keeps it alive, and no Python code runs between that call and the reads, so that
                // no other thread can delete it. `access` guarantees that the buffer is in this
                // process's memory and has float64 values; `at` lies in it by `check`.
                unsafe { raw::f64_at(address) }
            } else {
                // SAFETY: As above, with float32 values.
                unsafe { raw::f32_at(address) }.into()
            }
        };
        Ok(range.map(read).collect())
    }

    fn through_numpy(&self, array: &Bound<'_, PyAny>, range: Range<usize>) -> PyResult<Vec<f64>> {
        let mut all = raw::floats_in_buffer(array);
        if all.is_none() {
            let numpy = array.call_method0(intern!(array.py(), "__array__"))?;
            all = raw::floats_in_buffer(&numpy);
        }
        match all {
            Some(mut all) if all.len() == self.form.rows * self.form.width => {
                Ok(all.split_off(range.start))
            }
            _ => Err(another_size()),
        }
    }
}

/// Whether the values of a JAX array are computed.
fn is_ready(array: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = array.py();
    // Order matters: `is_ready()` on a deleted JAX array crashes the process.
    if array.call_method0(intern!(py, "is_deleted"))?.is_truthy()? {
        return Err(PyRuntimeError::new_err(
            "the values of a batch were deleted",
        ));
    }
    array.call_method0(intern!(py, "is_ready"))?.is_truthy()
}

impl Slot {
    /// A value of a row of a block.
    pub fn new(block: &Arc<Block>, row: usize, column: usize) -> Self {
        Self {
            block: block.clone(),
            at: row * block.form.width + column,
        }
    }

    /// Whether the value is a float64, and not a float32.
    pub fn is_double(&self) -> bool {
        self.block.form.access.double
    }

    /// Reads the value; `None` if it is not ready and `wait` is false.
    pub fn read(&self, py: Python<'_>, wait: bool) -> PyResult<Option<f64>> {
        self.block.read(py, self.at, wait)
    }
}
