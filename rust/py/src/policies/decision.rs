//! The decision of a policy, as a Python enum.

use fitwatch_core::policies as core;
use pyo3::prelude::*;

/// The decision of a policy.
#[pyclass(
    frozen,
    eq,
    hash,
    module = "fitwatch._core",
    rename_all = "SCREAMING_SNAKE_CASE"
)]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    Ignore,
    Improved,
    Wait,
    Stop,
    StopOnBest,
    ReduceRate,
    Spike,
}

impl From<core::Decision> for Decision {
    fn from(decision: core::Decision) -> Self {
        match decision {
            core::Decision::Ignore => Self::Ignore,
            core::Decision::Improved => Self::Improved,
            core::Decision::Wait => Self::Wait,
            core::Decision::Stop => Self::Stop,
            core::Decision::StopOnBest => Self::StopOnBest,
            core::Decision::ReduceRate => Self::ReduceRate,
            core::Decision::Spike => Self::Spike,
        }
    }
}
