//! A value of a block, as logs have it.

use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use super::block::Slot;
use super::cell::Cell;
use super::wait_time::timed_wait;

/// A value in an array with others, read when it is needed.
///
/// It behaves as a `NumPy` scalar, and has the `numpy()` of `TensorFlow`'s tensors: callers of hooks
/// may compute with values of logs.
#[pyclass(module = "fitwatch._core", frozen)]
pub struct Item(pub Slot);

impl Item {
    /// Reads a value; `None` if it is not ready and `wait` is false. One that cannot be read is kept
    /// as an item. Passes interrupts on.
    pub fn resolve(slot: &Slot, py: Python<'_>, wait: bool) -> PyResult<Option<Cell>> {
        match slot.read(py, wait) {
            Ok(read) => Ok(read.map(Cell::Number)),
            Err(error) if error.is_instance_of::<PyException>(py) => {
                let item = Bound::new(py, Self(slot.clone()))?;
                Ok(Some(Cell::Other(item.into_any().unbind())))
            }
            Err(error) => Err(error),
        }
    }

    /// The type of the value.
    fn scalar_type<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let numpy = py.import(intern!(py, "numpy"))?;
        if self.0.is_double() {
            numpy.getattr(intern!(py, "float64"))
        } else {
            numpy.getattr(intern!(py, "float32"))
        }
    }
}

#[pymethods]
impl Item {
    fn __float__(&self, py: Python<'_>) -> PyResult<f64> {
        timed_wait(|| self.0.read(py, true))?
            .ok_or_else(|| PyRuntimeError::new_err("the value of a batch is gone"))
    }

    /// The value as a `NumPy` scalar.
    fn numpy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.scalar_type(py)?.call1((self.__float__(py)?,))
    }

    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__<'py>(
        &self,
        py: Python<'py>,
        dtype: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = copy; // a new array each time
        let array = py.import(intern!(py, "numpy"))?;
        array.call_method1(intern!(py, "array"), (self.numpy(py)?, dtype))
    }

    fn __getattr__<'py>(&self, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        self.numpy(name.py())?.getattr(name)
    }

    fn __repr__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        self.numpy(py)?.repr()
    }

    fn __str__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        self.numpy(py)?.str()
    }

    fn __format__<'py>(&self, spec: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        let py = spec.py();
        self.numpy(py)?
            .call_method1(intern!(py, "__format__"), (spec,))
    }

    fn __int__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.numpy(py)?.call_method0(intern!(py, "__int__"))
    }

    fn __bool__(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.__float__(py)? != 0.0)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.numpy(py)?.hash()
    }

    fn __richcmp__<'py>(
        &self,
        other: &Bound<'py, PyAny>,
        operator: CompareOp,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.numpy(other.py())?.rich_compare(other, operator)
    }

    fn __neg__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.numpy(py)?.neg()
    }

    fn __abs__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.numpy(py)?.abs()
    }

    /// Supports `copy` and `pickle`: the value.
    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let value = PyTuple::new(py, [self.__float__(py)?])?;
        Ok((self.scalar_type(py)?, value))
    }
}

/// Arithmetic, as of `NumPy` scalars.
#[pymethods]
impl Item {
    fn __add__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.numpy(other.py())?.add(other)
    }

    fn __radd__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        other.add(self.numpy(other.py())?)
    }

    fn __sub__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.numpy(other.py())?.sub(other)
    }

    fn __rsub__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        other.sub(self.numpy(other.py())?)
    }

    fn __mul__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.numpy(other.py())?.mul(other)
    }

    fn __rmul__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        other.mul(self.numpy(other.py())?)
    }

    fn __truediv__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.numpy(other.py())?.div(other)
    }

    fn __rtruediv__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        other.div(self.numpy(other.py())?)
    }

    fn __floordiv__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.numpy(other.py())?.floor_div(other)
    }

    fn __rfloordiv__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        other.floor_div(self.numpy(other.py())?)
    }

    fn __mod__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.numpy(other.py())?.rem(other)
    }

    fn __rmod__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        other.rem(self.numpy(other.py())?)
    }
}
