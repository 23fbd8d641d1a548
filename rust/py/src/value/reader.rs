//! How a value in the logs becomes a number: the cheapest way that each backend has.

use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyString, PyType};

use super::cell::{Cell, Layout};
use super::item::Item;
use super::raw;
use super::waiting::waiting;

/// Layouts that are remembered; a training run has one or two.
const REMEMBERED: usize = 16;

/// Reads values of one backend.
///
/// Arrays of the backend's own type cannot change, so they are kept as they are until someone
/// needs their value. Everything else (torch's parameters, arrays of `numpy`, a user's own numbers)
/// may change under us and is converted at once.
///
/// Args:
///     convert: A function that gives a value as a float, or the value itself where it is none.
///     array: The backend's array type; None where its arrays can change.
///     layout: A function that tells the layout of such an array, by name.
///     copy: A function that gives a copy of a value that can change and lies on a device, to be
///         read later; None for any other value, which is then converted.
///     keys: Attributes that are the same objects for arrays of the same layout.
///     transfer: What moves values from an accelerator: `start(arrays)` gives a handle, of which
///         `ready(handle)` and `finish(handle)` (a list of floats) tell the rest.
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

    /// A value as a float, or itself where it is none; waits for it.
    fn read(&self, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = value.py();
        match waiting(|| self.read_now(value))? {
            Cell::Number(number) => Ok(PyFloat::new(py, number).into_any().unbind()),
            Cell::Array(other, _) | Cell::Other(other) => Ok(other),
            Cell::Unwanted => Ok(value.clone().unbind()),
        }
    }
}

impl Reader {
    /// A value that is read now, and waited for.
    pub fn read_now(&self, value: &Bound<'_, PyAny>) -> PyResult<Cell> {
        Ok(match self.capture(value)? {
            Cell::Array(array, layout) => self
                .resolve(array.bind(value.py()), layout, true)?
                .unwrap_or(Cell::Other(array)),
            cell => cell,
        })
    }

    /// What has to be kept of a value now, so that it can be read later.
    pub fn capture(&self, value: &Bound<'_, PyAny>) -> PyResult<Cell> {
        if let Ok(float) = value.cast::<PyFloat>() {
            return Ok(Cell::Number(float.value()));
        }
        if self.is_array(value) {
            let layout = match self.layout_of(value)? {
                Layout::Row { .. } => Layout::Float { asynchronous: true },
                layout => layout,
            };
            return Ok(Cell::Array(value.clone().unbind(), layout));
        }
        if let Ok(item) = value.cast::<Item>() {
            let (array, at) = (item.get().array.bind(value.py()), item.get().at);
            let layout = if self.is_array(array)
                && let row @ Layout::Row { count, .. } = self.layout_of(array)?
                && at < count
            {
                row
            } else {
                Layout::BY_FLOAT
            };
            return Ok(Cell::Array(value.clone().unbind(), layout));
        }
        if let Some(copy) = &self.copy {
            let copied = copy.bind(value.py()).call1((value,))?;
            if !copied.is_none() {
                return Ok(Cell::Array(copied.unbind(), Layout::Device));
            }
        }
        self.convert(value)
    }

    /// Reads an array that was captured; `None` if its value is not there yet and is not waited
    /// for.
    pub fn resolve(
        &self,
        value: &Bound<'_, PyAny>,
        layout: Layout,
        wait: bool,
    ) -> PyResult<Option<Cell>> {
        match layout {
            Layout::Address { double } => read_address(value, 0, double, wait),
            Layout::Row { double, .. } => {
                let item = value.cast::<Item>()?.get();
                let read = read_address(item.array.bind(value.py()), item.at, double, wait)?;
                Ok(read.map(|cell| match cell {
                    Cell::Number(_) => cell,
                    _ => Cell::Other(value.clone().unbind()),
                }))
            }
            Layout::Replicated { double } => {
                // The first of several devices; a deleted array has none to give.
                match value.call_method1(intern!(value.py(), "addressable_data"), (0,)) {
                    Ok(shard) => read_address(&shard, 0, double, wait),
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

    /// Whether values are there as soon as a batch has ended.
    pub fn at_once(&self) -> bool {
        // Nothing but a device runs ahead of the program; of arrays, JAX's do so on the CPU too.
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
                    // An array that is gone does not tell where it was; that is no layout.
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
        // What is let go of may run Python code, for which no lock is held.
        drop(known);
        drop(old);
        Ok(layout)
    }
}

/// Whether an asynchronous array's value is there. One that is gone will never be.
fn is_there(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    // In this order: asking a deleted array whether it is ready ends the process.
    let py = value.py();
    Ok(is_deleted(value)? || value.call_method0(intern!(py, "is_ready"))?.is_truthy()?)
}

fn is_deleted(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    value
        .call_method0(intern!(value.py(), "is_deleted"))?
        .is_truthy()
}

/// Reads the value at a place in an array whose layout was found to be one with an address, with
/// a value of this type at that place.
#[allow(unsafe_code)]
fn read_address(
    value: &Bound<'_, PyAny>,
    at: usize,
    double: bool,
    wait: bool,
) -> PyResult<Option<Cell>> {
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
        // By another thread, while this one waited.
        Err(error) if is_deleted(value)? => return gone(value, error),
        Err(error) => return Err(error),
    };
    let number = if double {
        // SAFETY: The array has just given this address of its own buffer, which raises for an
        // array that is deleted; its value is there, and JAX's arrays do not change. `value` keeps
        // it alive, and no Python code runs between the call and the read, so that no other thread
        // can delete it. Its layout says that the buffer is in this process's memory and has a
        // float64 at this place; type and shape of an array are fixed.
        unsafe { raw::f64_at(address + 8 * at) }
    } else {
        // SAFETY: As above, with a float32.
        unsafe { raw::f32_at(address + 4 * at) }.into()
    };
    Ok(Some(Cell::Number(number)))
}

/// A value that cannot be read stays what it is, as in Keras; an interrupt is passed on.
fn gone(value: &Bound<'_, PyAny>, error: PyErr) -> PyResult<Option<Cell>> {
    if error.is_instance_of::<PyException>(value.py()) {
        Ok(Some(Cell::Other(value.clone().unbind())))
    } else {
        Err(error)
    }
}
