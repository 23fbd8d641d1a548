//! `fitwatch._core`, the Python binding of `fitwatch_core`.

mod array;
mod clock;
mod error;
mod files;
mod policies;
mod recorder;
mod row;
mod runs;
mod series;
mod sink;
mod sinks;
mod spent;
mod throughput;
mod value;
mod watch;

use pyo3::prelude::*;

/// The compiled core of fitwatch. Private: use `fitwatch.callbacks`.
// Raw reads of an array's memory are sound only under the interpreter's lock: see `value/raw.rs`.
#[pymodule(gil_used = true)]
mod _core {
    #[pymodule_export]
    use super::array::Array;
    #[pymodule_export]
    use super::files::{CsvFile, EventFile, Replacement, clean, text_event};
    #[pymodule_export]
    use super::policies::{Checkpoint, Decision, EarlyStopping, Plateau, Spikes};
    #[pymodule_export]
    use super::recorder::Recorder;
    #[pymodule_export]
    use super::row::{StepColumns, Tape};
    #[pymodule_export]
    use super::runs::RunReader;
    #[pymodule_export]
    use super::series::Series;
    #[pymodule_export]
    use super::sinks::{
        BatchCount, Blocks, Counter, Due, EpochValues, Every, Feed, Finite, Interval, Losses,
        Progress, Rows, Scalars, Watch,
    };
    #[pymodule_export]
    use super::spent::{Mark, Spent};
    #[pymodule_export]
    use super::throughput::Throughput;
    #[pymodule_export]
    use super::value::{Item, Reader};
    #[pymodule_export]
    use super::watch::{watch, watch_once};

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let exiting = pyo3::wrap_pyfunction!(super::files::exiting, module)?;
        let atexit = module.py().import("atexit")?;
        atexit.call_method1("register", (exiting,))?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
