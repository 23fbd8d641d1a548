//! Python classes for the core's files.

mod csv_file;
mod event_file;
mod replacement;

pub use csv_file::CsvFile;
pub use event_file::{EventFile, exiting, text_event};
pub use replacement::{Replacement, clean};
