//! A value of a batch, and where it lies.

use pyo3::prelude::*;

/// Where and as what the value of an array lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layout {
    /// In this process's memory, with an address: JAX on one CPU device.
    Address { double: bool },
    /// In an array of several values, as `Item` names one, on one CPU device.
    Row { double: bool, count: usize },
    /// The same value on several devices of this kind: JAX's replicated arrays.
    Replicated { double: bool },
    /// Behind the buffer protocol: TensorFlow on the CPU.
    Buffer,
    /// On an accelerator: fetched together with others.
    Device,
    /// Anything else, by `float()`; `asynchronous` if it has to be asked whether it is there.
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

/// A value of a row.
#[derive(Debug)]
pub enum Cell {
    Number(f64),
    /// An array whose value is read later, if it is needed.
    Array(Py<PyAny>, Layout),
    /// Not a number: an array with dimensions, a text, or a deleted array.
    Other(Py<PyAny>),
    /// A value that was not asked for.
    Unwanted,
}
