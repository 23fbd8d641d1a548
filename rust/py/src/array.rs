//! Columns of recorded runs as buffers: `NumPy` and Arrow read them without a copy.

use std::ffi::c_int;
use std::sync::Arc;

use fitwatch_core::runs::{Points, Values};
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;

/// A column of the points of one tag, for `numpy.frombuffer`. It does not change when points are
/// added: it shares them, and points that are still shared are copied before they change.
#[pyclass(module = "fitwatch._core", frozen)]
pub struct Array {
    points: Arc<Points>,
    part: Part,
}

/// Which column.
#[derive(Clone, Copy)]
pub enum Part {
    Steps,
    Values,
    WallTimes,
}

impl Array {
    pub fn new(points: Arc<Points>, part: Part) -> Self {
        Self { points, part }
    }

    /// The address of the first number, and the size in bytes.
    fn memory(&self) -> (*const u8, usize) {
        fn of<T>(numbers: &[T]) -> (*const u8, usize) {
            (numbers.as_ptr().cast(), size_of_val(numbers))
        }
        match (self.part, &self.points.values) {
            (Part::Steps, _) => of(&self.points.steps),
            (Part::WallTimes, _) => of(&self.points.wall_times),
            (Part::Values, Values::F32(values)) => of(values),
            (Part::Values, Values::F64(values)) => of(values),
        }
    }
}

#[pymethods]
impl Array {
    /// The type of the numbers, as `NumPy` names it.
    #[getter]
    fn dtype(&self) -> &'static str {
        match (self.part, &self.points.values) {
            (Part::Steps, _) => "int64",
            (Part::Values, Values::F32(_)) => "float32",
            (Part::WallTimes, _) | (Part::Values, Values::F64(_)) => "float64",
        }
    }

    /// Fills a view of the bytes, which cannot be written to.
    ///
    /// # Safety
    /// `view` must be null or point to a `Py_buffer`: the interpreter guarantees it.
    #[allow(unsafe_code, clippy::needless_pass_by_value)] // the signature is PyO3's
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("the view is null"));
        }
        let (address, size) = slf.get().memory();
        let size = ffi::Py_ssize_t::try_from(size)?;
        // SAFETY: the bytes are initialised, and neither move nor change while this object lives:
        // it is frozen and shares the points, which are copied before they change. The view keeps
        // a reference to this object. It is read-only, so the bytes are not written through it.
        let filled = unsafe {
            ffi::PyBuffer_FillInfo(
                view,
                slf.as_ptr(),
                address.cast_mut().cast(),
                size,
                1,
                flags,
            )
        };
        if filled == 0 {
            Ok(())
        } else {
            Err(PyErr::fetch(slf.py()))
        }
    }
}
