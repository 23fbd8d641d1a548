//! The core's files, for Python.

mod csv_file;
mod event_file;
mod replacement;

pub use csv_file::CsvFile;
pub use event_file::{EventFile, exiting};
pub use replacement::{Replacement, clean};
