//! Converts values in the logs to numbers, by the cheapest way that each backend offers.

use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyString, PyType};

use super::cell::{Cell, Layout};
use super::item::Item;
use super::raw;
use super::wait_time::timed_wait;

/// The maximum number of cached layouts; a training run has one or two.
const REMEMBERED: usize = 16;

/// Reads values of one backend.
///
/// Arrays of the backend's own type are immutable, so they are kept unread until their value is
/// needed. Everything else (torch parameters, `numpy` arrays, numbers of a user's own type) may
/// change later and is converted at once.
///
/// Args:
///     convert: A function that returns a value as a float, or unchanged if it is not a number.
///     array: The backend's array type; None if its arrays are mutable.
///     layout: A function that returns the name of the layout of such an array.
///     keys: Attributes that are identical objects for arrays of the same layout.
///     copy: A function that returns a copy of a mutable value on a device, to be read later;
///         None for any other value, which is then converted.
///     transfer: An object that transfers values from an accelerator: `start(arrays)` returns a
///         handle, `ready(handle)` a bool and `finish(handle)` a list of floats, with None for an
///         array that has no value.
#[pyclass(module = "fitwatch._core", frozen)]
pub struct Reader {
    convert: Py<PyAny>,
    array: Option<Py<PyType>>,
    layout: Option<Py<PyAny>>,
    keys: Vec<Py<PyString>>,
    copy: Option<Py<PyAny>>,
    transfer: Option<Py<PyAny>>,
    known: Mutex<Vec<(Vec<Py<PyAny>>, Layout)>>,
}

#[pymethods]
impl Reader {
    #[new]
    #[pyo3(signature = (convert, array=None, layout=None, keys=vec![], copy=None, transfer=None))]
    fn new(
        convert: Py<PyAny>,
        array: Option<Py<PyType>>,
        layout: Option<Py<PyAny>>,
        keys: Vec<Py<PyString>>,
        copy: Option<Py<PyAny>>,
        transfer: Option<Py<PyAny>>,
    ) -> Self {
        Self {
            convert,
            array,
            layout,
            keys,
            copy,
            transfer,
            known: Mutex::default(),
        }
    }

    /// Returns a value as a float, or unchanged if it is not a number. Waits until it is ready.
    fn read(&self, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = value.py();
        match timed_wait(|| self.read_now(value))? {
            Cell::Number(number) => Ok(PyFloat::new(py, number).into_any().unbind()),
            Cell::Array(other, _) | Cell::Other(other) => Ok(other),
            Cell::Slot(_) | Cell::Unwanted => Ok(value.clone().unbind()),
        }
    }
}

impl Reader {
    /// Reads a value now, and waits until it is ready.
    pub fn read_now(&self, value: &Bound<'_, PyAny>) -> PyResult<Cell> {
        Ok(match self.capture(value)? {
            Cell::Array(array, layout) => self
                .resolve(array.bind(value.py()), layout, true)?
                .unwrap_or(Cell::Other(array)),
            Cell::Slot(slot) => Item::resolve(&slot, value.py(), true)?.unwrap_or(Cell::Slot(slot)),
            cell => cell,
        })
    }

    /// Captures a value, so that it can be read later.
    pub fn capture(&self, value: &Bound<'_, PyAny>) -> PyResult<Cell> {
        if let Ok(float) = value.cast::<PyFloat>() {
            return Ok(Cell::Number(float.value()));
        }
        if self.is_array(value) {
            let layout = self.layout_of(value)?;
            return Ok(Cell::Array(value.clone().unbind(), layout));
        }
        if let Ok(item) = value.cast::<Item>() {
            return Ok(Cell::Slot(item.get().0.clone()));
        }
        if let Some(copy) = &self.copy {
            let copied = copy.bind(value.py()).call1((value,))?;
            if !copied.is_none() {
                return Ok(Cell::Array(copied.unbind(), Layout::Device));
            }
        }
        self.convert(value)
    }

    /// Reads a captured array. Returns `None` if its value is not ready and `wait` is false.
    pub fn resolve(
        &self,
        value: &Bound<'_, PyAny>,
        layout: Layout,
        wait: bool,
    ) -> PyResult<Option<Cell>> {
        match layout {
            Layout::Address { double } => read_address(value, double, wait),
            Layout::Replicated { double } => {
                // All devices have the same value, so read the first. Raises for a deleted array.
                match value.call_method1(intern!(value.py(), "addressable_data"), (0,)) {
                    Ok(shard) => read_address(&shard, double, wait),
                    Err(error) => gone(value, error),
                }
            }
            Layout::Buffer => match raw::in_buffer(value) {
                Some(number) => Ok(Some(Cell::Number(number))),
                None => self.convert(value).map(Some),
            },
            Layout::Float { asynchronous: true } if !wait && !is_there(value)? => Ok(None),
            Layout::Device if !wait => Ok(None),
            Layout::Float { .. } | Layout::Device => self.convert(value).map(Some),
        }
    }

    /// Whether values are ready as soon as a batch has ended.
    pub fn at_once(&self) -> bool {
        // Devices compute asynchronously, and so does JAX on the CPU: the only backend with `keys`.
        self.transfer.is_none() && self.keys.is_empty()
    }

    pub fn transfer(&self) -> Option<&Py<PyAny>> {
        self.transfer.as_ref()
    }

    /// Whether a value is one of the backend's own arrays.
    fn is_array(&self, value: &Bound<'_, PyAny>) -> bool {
        let kind = value.get_type_ptr().cast();
        self.array
            .as_ref()
            .is_some_and(|array| array.as_ptr() == kind)
    }

    fn convert(&self, value: &Bound<'_, PyAny>) -> PyResult<Cell> {
        let converted = self.convert.bind(value.py()).call1((value,))?;
        Ok(match converted.cast::<PyFloat>() {
            Ok(float) => Cell::Number(float.value()),
            Err(_) => Cell::Other(converted.unbind()),
        })
    }

    fn layout_of(&self, value: &Bound<'_, PyAny>) -> PyResult<Layout> {
        let py = value.py();
        let mut found = [const { None }; 2];
        for (slot, key) in found.iter_mut().zip(&self.keys) {
            *slot = Some(value.getattr(key.bind(py))?);
        }
        let same = |known: &[Py<PyAny>]| {
            known
                .iter()
                .zip(&found)
                .all(|(a, b)| b.as_ref().is_some_and(|b| a.is(b)))
        };
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, layout)) = known.iter().find(|(keys, _)| same(keys)) {
                return Ok(*layout);
            }
        }
        let layout = match &self.layout {
            Some(function) => {
                let name = match function.bind(py).call1((value,)) {
                    Ok(name) => name,
                    // A deleted array has no layout; do not cache one.
                    Err(error) if error.is_instance_of::<PyException>(py) => {
                        return Ok(Layout::BY_FLOAT);
                    }
                    Err(error) => return Err(error),
                };
                let name = name.cast::<PyString>()?.to_cow()?;
                Layout::parse(&name)
            }
            None => None,
        }
        .unwrap_or(Layout::BY_FLOAT);
        let keys = found.into_iter().flatten().map(Bound::unbind).collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let old = if known.len() >= REMEMBERED {
            std::mem::take(&mut *known)
        } else {
            Vec::new()
        };
        known.push((keys, layout));
        // Dropping Python objects may run Python code, so release the lock first.
        drop(known);
        drop(old);
        Ok(layout)
    }
}

/// Whether an asynchronous array can be read without waiting. True for a deleted array.
fn is_there(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    // Order matters: `is_ready()` on a deleted JAX array crashes the process.
    let py = value.py();
    Ok(is_deleted(value)? || value.call_method0(intern!(py, "is_ready"))?.is_truthy()?)
}

fn is_deleted(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    value
        .call_method0(intern!(value.py(), "is_deleted"))?
        .is_truthy()
}

/// Reads the value of an array whose layout says that it has an address and stores a value of this
/// type there.
#[allow(unsafe_code)]
fn read_address(value: &Bound<'_, PyAny>, double: bool, wait: bool) -> PyResult<Option<Cell>> {
    let py = value.py();
    if is_deleted(value)? {
        return Ok(Some(Cell::Other(value.clone().unbind())));
    }
    if !value.call_method0(intern!(py, "is_ready"))?.is_truthy()? {
        if !wait {
            return Ok(None);
        }
        if let Err(error) = value.call_method0(intern!(py, "block_until_ready")) {
            return gone(value, error);
        }
    }
    let address: usize = match value.call_method0(intern!(py, "unsafe_buffer_pointer")) {
        Ok(address) => address.extract()?,
        // Another thread deleted it while this one waited.
        Err(error) if is_deleted(value)? => return gone(value, error),
        Err(error) => return Err(error),
    };
    let number = if double {
        // SAFETY: The array has just returned the address of its own buffer, which raises for a
        // deleted array; its value is ready, and JAX arrays are immutable. `value` keeps it alive,
        // and no Python code runs between the call and the read, so no other thread can delete it.
        // The layout guarantees that the buffer is in this process's memory and has a float64;
        // type and shape of an array are fixed.
        unsafe { raw::f64_at(address) }
    } else {
        // SAFETY: As above, with a float32.
        unsafe { raw::f32_at(address) }.into()
    };
    Ok(Some(Cell::Number(number)))
}

/// Keeps a value that cannot be read unchanged, as Keras does. Passes interrupts on.
fn gone(value: &Bound<'_, PyAny>, error: PyErr) -> PyResult<Option<Cell>> {
    if error.is_instance_of::<PyException>(value.py()) {
        Ok(Some(Cell::Other(value.clone().unbind())))
    } else {
        Err(error)
    }
}
