//! The values of one metric, one per batch.

use fitwatch_core::series as core;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyType};

/// The result of `__reduce__`: class, arguments, state.
type Reduced<'py> = (
    Bound<'py, PyType>,
    (Option<usize>,),
    (usize, Bound<'py, PyBytes>),
);

/// An append-only float32 buffer, or a ring of fixed capacity.
#[pyclass(module = "fitwatch._core")]
pub struct Series(pub core::Series);

#[pymethods]
impl Series {
    #[new]
    #[pyo3(signature = (capacity=None))]
    fn new(capacity: Option<usize>) -> Self {
        Self(capacity.map_or_else(core::Series::new, core::Series::ring))
    }

    /// How many values were appended, kept or not.
    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// The index of the oldest value that is kept.
    #[getter]
    fn first(&self) -> usize {
        self.0.first()
    }

    /// The maximum number of values kept; None means all.
    #[getter]
    fn capacity(&self) -> Option<usize> {
        self.0.capacity()
    }

    /// Appends a value.
    #[allow(clippy::cast_possible_truncation)] // a series is float32
    fn append(slf: &Bound<'_, Self>, value: f64) {
        // Borrow only after `value` is converted: the conversion may run Python code that reads
        // this series.
        slf.borrow_mut().0.push(value as f32);
    }

    /// The kept values from index `start` to `stop` (exclusive) as float32 in native byte order,
    /// for `numpy.frombuffer`. Makes one copy and no object per value.
    fn tobytes<'py>(
        &self,
        py: Python<'py>,
        start: usize,
        stop: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let length: usize = self.0.pieces(start, stop).map(<[f32]>::len).sum();
        PyBytes::new_with(py, length * size_of::<f32>(), |mut bytes| {
            for piece in self.0.pieces(start, stop) {
                let (target, rest) = bytes.split_at_mut(size_of_val(piece));
                for (slot, value) in target.chunks_exact_mut(size_of::<f32>()).zip(piece) {
                    slot.copy_from_slice(&value.to_ne_bytes());
                }
                bytes = rest;
            }
            Ok(())
        })
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        let this = slf.borrow();
        let values = this.tobytes(slf.py(), 0, usize::MAX)?;
        let state = (this.first(), values);
        Ok((slf.get_type(), (this.capacity(),), state))
    }

    /// Restores the state of `__reduce__`: the index of the oldest kept value, and the kept values.
    fn __setstate__(&mut self, state: (usize, Vec<u8>)) {
        let (first, bytes) = state;
        let (values, _) = bytes.as_chunks();
        let values = values.iter().map(|&value| f32::from_ne_bytes(value));
        self.0 = core::Series::restored(self.0.capacity(), first, values);
    }
}
