//! The only module that reads memory of the backend: through a buffer or at an address.

use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;

use pyo3::ffi;
use pyo3::prelude::*;

/// The float32 at an address, which need not be aligned.
///
/// # Safety
/// The four bytes at `address` must be initialised memory of this process that stays alive and
/// unchanged during the call.
#[allow(unsafe_code)]
pub unsafe fn f32_at(address: usize) -> f32 {
    // SAFETY: guaranteed by the caller; the address was exposed when it was handed to Python.
    unsafe { std::ptr::with_exposed_provenance::<f32>(address).read_unaligned() }
}

/// The float64 at an address, which need not be aligned.
///
/// # Safety
/// As for [`f32_at`], with eight bytes.
#[allow(unsafe_code)]
pub unsafe fn f64_at(address: usize) -> f64 {
    // SAFETY: guaranteed by the caller; the address was exposed when it was handed to Python.
    unsafe { std::ptr::with_exposed_provenance::<f64>(address).read_unaligned() }
}

/// The single float32 or float64 in an object's buffer; `None` if it has no buffer, or one of
/// another type or length.
///
/// `PyBuffer` rejects zero-dimensional buffers, the only kind read here.
#[allow(unsafe_code)]
pub fn in_buffer(value: &Bound<'_, PyAny>) -> Option<f64> {
    let mut view = MaybeUninit::<ffi::Py_buffer>::uninit();
    // SAFETY: `Bound` guarantees that `value` is alive and the interpreter's lock is held. On
    // success the view is initialised, and it is always released below.
    let view = unsafe {
        if ffi::PyObject_GetBuffer(value.as_ptr(), view.as_mut_ptr(), ffi::PyBUF_FORMAT) != 0 {
            ffi::PyErr_Clear();
            return None;
        }
        view.assume_init_mut()
    };
    let number = number_in(view);
    // SAFETY: the view was filled above and is released exactly once.
    unsafe { ffi::PyBuffer_Release(view) };
    number
}

#[allow(unsafe_code)]
fn number_in(view: &ffi::Py_buffer) -> Option<f64> {
    if view.buf.is_null() || view.format.is_null() {
        return None;
    }
    // SAFETY: the format is a C string that lives as long as the view.
    let format = unsafe { CStr::from_ptr(view.format.cast::<c_char>()) };
    // SAFETY: the buffer has `len` bytes, and each arm reads exactly that many.
    match (format.to_bytes(), view.len) {
        (b"f", 4) => Some(unsafe { view.buf.cast::<f32>().read_unaligned() }.into()),
        (b"d", 8) => Some(unsafe { view.buf.cast::<f64>().read_unaligned() }),
        _ => None,
    }
}
