//! The one place that reads memory which is not Rust's.

use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;

use pyo3::ffi;
use pyo3::prelude::*;

/// The float32 at an address, which need not be aligned.
///
/// # Safety
/// The four bytes at `address` are memory of this process that is initialised and stays alive and
/// unchanged during the call.
#[allow(unsafe_code)]
pub unsafe fn f32_at(address: usize) -> f32 {
    // SAFETY: the caller's promise; the address was exposed when it was handed to Python.
    unsafe { std::ptr::with_exposed_provenance::<f32>(address).read_unaligned() }
}

/// The float64 at an address, which need not be aligned.
///
/// # Safety
/// As for [`f32_at`], with eight bytes.
#[allow(unsafe_code)]
pub unsafe fn f64_at(address: usize) -> f64 {
    // SAFETY: the caller's promise; the address was exposed when it was handed to Python.
    unsafe { std::ptr::with_exposed_provenance::<f64>(address).read_unaligned() }
}

/// The single float32 or float64 behind an object's buffer; `None` if it has no buffer, or one of
/// another type or length.
///
/// `PyBuffer` refuses buffers without dimensions, which are all that is read here.
#[allow(unsafe_code)]
pub fn in_buffer(value: &Bound<'_, PyAny>) -> Option<f64> {
    let mut view = MaybeUninit::<ffi::Py_buffer>::uninit();
    // SAFETY: `value` is alive and the interpreter's lock held, as `Bound` says; on success the
    // view is initialised, and it is released below whatever is in it.
    let view = unsafe {
        if ffi::PyObject_GetBuffer(value.as_ptr(), view.as_mut_ptr(), ffi::PyBUF_FORMAT) != 0 {
            ffi::PyErr_Clear();
            return None;
        }
        view.assume_init_mut()
    };
    let number = number_in(view);
    // SAFETY: this is the view that was filled above, and it is released once.
    unsafe { ffi::PyBuffer_Release(view) };
    number
}

#[allow(unsafe_code)]
fn number_in(view: &ffi::Py_buffer) -> Option<f64> {
    if view.buf.is_null() || view.format.is_null() {
        return None;
    }
    // SAFETY: a format is a C string that lives as long as the view.
    let format = unsafe { CStr::from_ptr(view.format.cast::<c_char>()) };
    // SAFETY: the buffer has `len` bytes, and they are as many as are read.
    match (format.to_bytes(), view.len) {
        (b"f", 4) => Some(unsafe { view.buf.cast::<f32>().read_unaligned() }.into()),
        (b"d", 8) => Some(unsafe { view.buf.cast::<f64>().read_unaligned() }),
        _ => None,
    }
}
