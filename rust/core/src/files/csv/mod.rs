//! CSV files in the format of Python's `csv` module.

mod file;
mod records;
mod survey;
mod text;

pub use file::CsvFile;
pub use survey::{Problem, Repair};
pub use text::Field;
