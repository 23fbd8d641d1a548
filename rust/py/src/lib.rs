//! `fitwatch._core`: the core, for Python. Signatures and conversions only.

mod checkpoint;
mod clock;
mod csv_file;
mod decision;
mod early_stopping;
mod error;
mod event_file;
mod flight;
mod item;
mod limit;
mod plateau;
mod policy;
mod raw;
mod reader;
mod recorder;
mod replacement;
mod series;
mod sinks;
mod waiting;

use pyo3::prelude::*;

/// The compiled core of fitwatch. Private: use `fitwatch.callbacks`.
// Reading an array's memory relies on the interpreter's lock: see `raw`.
#[pymodule(gil_used = true)]
mod _core {
    #[pymodule_export]
    use super::checkpoint::Checkpoint;
    #[pymodule_export]
    use super::csv_file::CsvFile;
    #[pymodule_export]
    use super::decision::Decision;
    #[pymodule_export]
    use super::early_stopping::EarlyStopping;
    #[pymodule_export]
    use super::event_file::EventFile;
    #[pymodule_export]
    use super::item::Item;
    #[pymodule_export]
    use super::plateau::Plateau;
    #[pymodule_export]
    use super::reader::Reader;
    #[pymodule_export]
    use super::recorder::Recorder;
    #[pymodule_export]
    use super::replacement::{Replacement, clean};
    #[pymodule_export]
    use super::series::Series;
    #[pymodule_export]
    use super::sinks::{Counter, Due, Finite, Interval, Losses, Progress, Rows, Scalars, Watch};

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let exiting = pyo3::wrap_pyfunction!(super::event_file::exiting, module)?;
        let atexit = module.py().import("atexit")?;
        atexit.call_method1("register", (exiting,))?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
