//! One value of a row, and the memory layout it is read from.

use pyo3::prelude::*;

use super::block::Slot;

/// Where and in which type an array stores its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layout {
    /// At an address in this process's memory: JAX on one CPU device.
    Address { double: bool },
    /// The same value on several CPU devices: replicated JAX arrays.
    Replicated { double: bool },
    /// Behind the buffer protocol: TensorFlow on the CPU.
    Buffer,
    /// On an accelerator: transferred in bulk with others.
    Device,
    /// Anything else, read by `float()`; `asynchronous` if `is_ready()` must be checked first.
    Float { asynchronous: bool },
}

impl Layout {
    pub const BY_FLOAT: Self = Self::Float {
        asynchronous: false,
    };

    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "address float32" => Self::Address { double: false },
            "address float64" => Self::Address { double: true },
            "replicated float32" => Self::Replicated { double: false },
            "replicated float64" => Self::Replicated { double: true },
            "buffer" => Self::Buffer,
            "device" => Self::Device,
            "float" => Self::BY_FLOAT,
            "float asynchronous" => Self::Float { asynchronous: true },
            _ => return None,
        })
    }
}

/// One value of a row.
#[derive(Debug)]
pub enum Cell {
    Number(f64),
    /// An array whose value is read when it is needed.
    Array(Py<PyAny>, Layout),
    /// A value in an array with others, read when it is needed.
    Slot(Slot),
    /// Not a number: an array with dimensions, a string, or a deleted array.
    Other(Py<PyAny>),
    /// A value that no sink needs, or that a batch does not have.
    Unwanted,
}
