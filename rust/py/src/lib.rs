//! `fitwatch._core`: the core, for Python. Signatures and conversions only.

mod checkpoint;
mod decision;
mod early_stopping;
mod error;
mod event_file;
mod limit;
mod plateau;
mod policy;
mod series;

use pyo3::prelude::*;

/// The compiled core of fitwatch. Private: use `fitwatch.callbacks`.
#[pymodule]
mod _core {
    #[pymodule_export]
    use super::checkpoint::Checkpoint;
    #[pymodule_export]
    use super::decision::Decision;
    #[pymodule_export]
    use super::early_stopping::EarlyStopping;
    #[pymodule_export]
    use super::event_file::EventFile;
    #[pymodule_export]
    use super::plateau::Plateau;
    #[pymodule_export]
    use super::series::Series;

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
