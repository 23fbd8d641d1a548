//! One value of a row, and the memory layout it is read from.

use pyo3::prelude::*;

/// Where and in which type an array stores its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layout {
    /// At an address in this process's memory: JAX on one CPU device.
    Address { double: bool },
    /// In a one-dimensional array on one CPU device; an `Item` names the element.
    Row { double: bool, count: usize },
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
        if let Some((name, count)) = name.split_once(" of ") {
            let double = name == "row float64";
            let count = count.parse().ok()?;
            return Some(Self::Row { double, count });
        }
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
    /// Not a number: an array with dimensions, a string, or a deleted array.
    Other(Py<PyAny>),
    /// A value that no sink needs.
    Unwanted,
}
