//! CSV files in the format of Python's `csv` module.

mod file;
mod records;
mod survey;
mod text;

pub use file::CsvFile;
pub(crate) use records::LONGEST_LINE;
pub use survey::{Problem, Repair};
pub use text::Field;
pub(crate) use text::split;
