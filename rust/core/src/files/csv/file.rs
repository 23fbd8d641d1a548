//! Writing a CSV file row by row.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::records::{Records, without_end};
use super::survey::{Repair, survey};
use super::text::{self, Field};
use crate::error::{At, Error};
use crate::files::AppendFile;
use crate::files::replace::replace;

/// A CSV file, open for writing: a header, then rows in UTF-8.
///
/// Invariants:
/// - the header names every column, and every row written here has a field for each;
/// - columns are never moved or renamed, and new ones are added at the end;
/// - `buffered` counts the rows in the buffer of `file`.
///
/// ```
/// use fitwatch_core::files::csv::{CsvFile, Field};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("log.csv");
/// let mut file = CsvFile::create(&path, ',', 0.0)?;
/// file.add_columns(&["epoch".to_owned(), "loss".to_owned()], 0.0)?;
/// file.add_row([Field::Int(0), Field::Float(0.5)], 0.0)?;
/// file.flush(0.0)?;
/// assert_eq!(std::fs::read_to_string(path)?, "epoch,loss\r\n0,0.5\r\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CsvFile {
    file: AppendFile,
    separator: char,
    columns: Vec<String>,
    row: String,
    /// Rows in the file, without those in the buffer.
    rows: u64,
    buffered: u64,
}

impl CsvFile {
    /// Creates a new file, or replaces an existing one.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &Path, separator: char, now: f64) -> Result<Self, Error> {
        File::create(path).at(path)?;
        Self::open(path, separator, Vec::new(), 0, now)
    }

    /// Opens a file to add rows to it; creates it if it does not exist.
    ///
    /// A crash may leave a last line without a line end. The line is removed, because a truncated
    /// number still looks like a number; with half of a line end (`\r`) it is kept and completed.
    /// Rows after the first `keep` are removed too.
    ///
    /// # Errors
    /// When the file cannot be opened, or is not a CSV file whose header has the column `first`.
    /// The file is then unchanged.
    pub fn append(
        path: &Path,
        separator: char,
        first: &str,
        keep: Option<u64>,
        now: f64,
    ) -> Result<(Self, Option<Repair>), Error> {
        if !path.try_exists().at(path)? {
            return Ok((Self::create(path, separator, now)?, None));
        }
        let survey = survey(path, separator, first, keep.unwrap_or(u64::MAX))?;
        if let Some(start) = survey.surplus {
            open_to_append(path)?.set_len(start).at(path)?;
        }
        let repair = match survey.torn {
            Some((repair, start)) => {
                let mut file = open_to_append(path)?;
                if repair.kept {
                    file.write_all(b"\n").at(path)?;
                } else {
                    file.set_len(start).at(path)?;
                }
                Some(repair)
            }
            None => None,
        };
        let file = Self::open(path, separator, survey.columns, survey.rows, now)?;
        Ok((file, repair))
    }

    fn open(
        path: &Path,
        separator: char,
        columns: Vec<String>,
        rows: u64,
        now: f64,
    ) -> Result<Self, Error> {
        // The program may change its working directory.
        let path = std::path::absolute(path).at(path)?;
        let file = open_to_append(&path)?;
        Ok(Self {
            file: AppendFile::new(file, path, now)?,
            separator,
            columns,
            row: String::new(),
            rows,
            buffered: 0,
        })
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The names of the columns, in order.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The number of rows in the file, without those still in the buffer.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds columns at the end. If the file is not empty, it is replaced by a new file whose rows
    /// have `NA` for these columns.
    ///
    /// # Errors
    /// When the file cannot be written; its columns are then unchanged.
    pub fn add_columns(&mut self, names: &[String], now: f64) -> Result<(), Error> {
        let mut columns = self.columns.clone();
        columns.extend_from_slice(names);
        if !self.file.is_empty() && self.file.is_here() {
            self.flush(now)?;
            self.widen(&columns)?;
            let path = self.file.path().to_owned();
            let file = open_to_append(&path)?;
            self.file = AppendFile::new(file, path, now)?;
        }
        self.columns = columns;
        Ok(())
    }

    fn widen(&self, columns: &[String]) -> Result<(), Error> {
        let path = self.file.path();
        let mut records = Records::open(path, self.separator)?;
        records.next()?;
        let mut missing = String::from(self.separator);
        missing.push_str(text::MISSING);
        replace(path, |writer| {
            let mut write = |bytes: &[u8]| writer.write_all(bytes).at(path);
            write(header(columns, self.separator).as_bytes())?;
            while records.next()? {
                let body = without_end(&records.record);
                write(body)?;
                if !body.is_empty() {
                    for _ in records.fields()..columns.len() {
                        write(missing.as_bytes())?;
                    }
                }
                write(&records.record[body.len()..])?;
            }
            Ok(())
        })
    }

    /// Adds a row, with a field for each column, in order.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add_row<'a>(
        &mut self,
        fields: impl IntoIterator<Item = Field<'a>>,
        now: f64,
    ) -> Result<(), Error> {
        self.row.clear();
        if self.file.is_empty() {
            // The header is written with the first row, and again if it was dropped after an error.
            self.row.push_str(&header(&self.columns, self.separator));
        }
        text::push_record(&mut self.row, self.separator, fields);
        self.file.buffer().extend_from_slice(self.row.as_bytes());
        self.buffered += 1;
        let written = self.file.flush_if_due(now);
        self.counted(written)
    }

    /// Writes the buffer to the operating system.
    ///
    /// # Errors
    /// When the file cannot be written. Rows are kept for the next attempt, up to 1 MiB of them.
    pub fn flush(&mut self, now: f64) -> Result<(), Error> {
        let written = self.file.flush(now);
        self.counted(written)
    }

    /// Writes the buffer and syncs the file to disk.
    ///
    /// # Errors
    /// When the file cannot be written or synced.
    pub fn sync(&mut self, now: f64) -> Result<(), Error> {
        self.flush(now)?;
        self.file.sync()
    }

    /// Updates the counts after rows were written or dropped.
    fn counted(&mut self, written: Result<(), Error>) -> Result<(), Error> {
        if self.file.buffer().is_empty() {
            self.rows += if written.is_ok() { self.buffered } else { 0 };
            self.buffered = 0;
        }
        written
    }
}

fn open_to_append(path: &Path) -> Result<File, Error> {
    File::options().append(true).open(path).at(path)
}

fn header(columns: &[String], separator: char) -> String {
    let mut header = String::new();
    let fields = columns.iter().map(|name| Field::Text(name));
    text::push_record(&mut header, separator, fields);
    header
}

#[cfg(test)]
mod tests;
