//! CSV files as Python's `csv` module writes and reads them.

mod append;
mod file;
mod text;

pub use append::{Refused, Repair};
pub use file::CsvFile;
pub use text::Field;
