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
pub fn in_buffer(value: &Bound<'_, PyAny>) -> Option<f64> {
    with_buffer(value, |double, bytes| match (double, bytes.len()) {
        (false, 4) => single(bytes),
        (true, 8) => double_of(bytes),
        _ => None,
    })
}

/// All float32 or float64 values in an object's contiguous buffer; `None` if it has no such buffer.
pub fn floats_in_buffer(value: &Bound<'_, PyAny>) -> Option<Vec<f64>> {
    with_buffer(value, |double, bytes| {
        if double {
            bytes.chunks_exact(8).map(double_of).collect()
        } else {
            bytes.chunks_exact(4).map(single).collect()
        }
    })
}

fn single(bytes: &[u8]) -> Option<f64> {
    Some(f32::from_ne_bytes(bytes.try_into().ok()?).into())
}

fn double_of(bytes: &[u8]) -> Option<f64> {
    Some(f64::from_ne_bytes(bytes.try_into().ok()?))
}

/// Calls `read` with the bytes of an object's contiguous buffer of floats, and whether they are
/// float64; returns `None` if it has no such buffer.
///
/// `PyBuffer` rejects zero-dimensional buffers, which most of these are.
#[allow(unsafe_code)]
fn with_buffer<T>(
    value: &Bound<'_, PyAny>,
    read: impl FnOnce(bool, &[u8]) -> Option<T>,
) -> Option<T> {
    let mut view = MaybeUninit::<ffi::Py_buffer>::uninit();
    // SAFETY: `Bound` guarantees that `value` is alive and the interpreter's lock is held. Without
    // flags for strides, only a contiguous buffer is exported. On success the view is initialised,
    // and it is always released below.
    let view = unsafe {
        if ffi::PyObject_GetBuffer(value.as_ptr(), view.as_mut_ptr(), ffi::PyBUF_FORMAT) != 0 {
            ffi::PyErr_Clear();
            return None;
        }
        view.assume_init_mut()
    };
    let found = bytes_in(view).and_then(|(double, bytes)| read(double, bytes));
    // SAFETY: the view was filled above and is released exactly once; `found` borrows nothing of it.
    unsafe { ffi::PyBuffer_Release(view) };
    found
}

#[allow(unsafe_code)]
fn bytes_in(view: &ffi::Py_buffer) -> Option<(bool, &[u8])> {
    if view.buf.is_null() || view.format.is_null() {
        return None;
    }
    // SAFETY: the format is a C string that lives as long as the view.
    let format = unsafe { CStr::from_ptr(view.format.cast::<c_char>()) };
    let double = match format.to_bytes() {
        b"f" => false,
        b"d" => true,
        _ => return None,
    };
    let length = usize::try_from(view.len).ok()?;
    // SAFETY: the buffer has `len` initialised bytes, which live as long as the view. The arrays
    // read here are immutable, and the interpreter's lock is held until `read` has returned.
    Some((double, unsafe {
        std::slice::from_raw_parts(view.buf.cast::<u8>(), length)
    }))
}
