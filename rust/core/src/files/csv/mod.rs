//! CSV files as Python's `csv` module writes and reads them.

mod file;
mod records;
mod survey;
mod text;

pub use file::CsvFile;
pub use survey::{Problem, Repair};
pub use text::Field;
