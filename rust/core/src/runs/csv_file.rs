//! Reading a CSV file of `CSVLogger`.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::content::Content;
use super::points::Points;
use super::values::Number;
use crate::error::{At, Error};
use crate::files::csv::{LONGEST_LINE, split};

/// The name of the first column.
const EPOCH: &str = "epoch";
/// The name of the second column, in a file with rows of batches.
const BATCH: &str = "batch";

/// A CSV file that is read as far as it is written.
#[derive(Debug)]
pub struct CsvFile {
    path: PathBuf,
    keep: bool,
    /// The end of the last complete row that was read.
    offset: u64,
    /// Whether a line is so long that nothing is read behind it.
    lost: bool,
    /// `None` until the header was read.
    table: Option<Table>,
}

/// What the rows of a file mean.
#[derive(Debug)]
struct Table {
    separator: char,
    /// Counts the batches, in a file with rows of batches.
    batches: Option<Counter>,
    columns: Vec<Column>,
}

/// A metric.
#[derive(Debug)]
struct Column {
    name: String,
    /// The step of the last value.
    last: Option<i64>,
}

impl CsvFile {
    /// A file of which nothing has been read. With `keep`, superseded points stay.
    pub fn new(path: PathBuf, keep: bool) -> Self {
        Self {
            path,
            keep,
            offset: 0,
            lost: false,
            table: None,
        }
    }

    /// How many bytes of the file have been read.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether a file begins like one of `CSVLogger`: with the column `epoch`.
    pub fn is_one(path: &Path) -> bool {
        let mut beginning = Vec::new();
        let read = File::open(path).and_then(|file| {
            let limit = EPOCH.len() as u64 + 8;
            file.take(limit).read_to_end(&mut beginning)
        });
        read.is_ok() && separator_of(&String::from_utf8_lossy(&beginning)).is_some()
    }

    /// Reads the complete rows that have been added. The step of a row of an epoch is the epoch. The
    /// step of a row of a batch is the batch, counted across epochs; in such a file, a row of an
    /// epoch has the step of the batch before it, and adds only the metrics that this batch's row
    /// does not have.
    pub fn read(&mut self) -> Result<Content, Error> {
        let mut content = Content::default();
        if self.lost {
            return Ok(content);
        }
        let mut file = File::open(&self.path).at(&self.path)?;
        file.seek(SeekFrom::Start(self.offset)).at(&self.path)?;
        let mut lines = BufReader::new(file);
        let mut line = String::new();
        if self.table.is_none() {
            let is_one = if self.next(&mut lines, &mut line)? {
                self.table = Table::of(line.trim_end_matches(['\r', '\n']));
                self.table.is_some()
            } else {
                EPOCH.starts_with(&line) || separator_of(&line).is_some()
            };
            if !is_one {
                return Err(Error::NotARecord {
                    path: self.path.clone(),
                });
            }
        }
        let Some(mut table) = self.table.take() else {
            return Ok(content);
        };
        let mut points = vec![Points::new(self.keep); table.columns.len()];
        while self.next(&mut lines, &mut line)? {
            table.add(line.trim_end_matches(['\r', '\n']), &mut points);
        }
        let names = table.columns.iter().map(|column| column.name.clone());
        content.scalars = names.zip(points).collect();
        content
            .scalars
            .retain(|(_, points)| !points.steps.is_empty());
        if self.lost {
            content.warnings.push(format!(
                "{}: the line at offset {} is longer than {} MiB; what follows is left out",
                self.path.display(),
                self.offset,
                LONGEST_LINE >> 20
            ));
        }
        self.table = Some(table);
        Ok(content)
    }

    /// Reads a line. `false` at the end, or if the last line is not complete.
    fn next(&mut self, lines: &mut impl BufRead, line: &mut String) -> Result<bool, Error> {
        let mut bytes = std::mem::take(line).into_bytes();
        bytes.clear();
        let mut limited = lines.by_ref().take(LONGEST_LINE as u64);
        limited.read_until(b'\n', &mut bytes).at(&self.path)?;
        let complete = bytes.ends_with(b"\n");
        if complete {
            self.offset += bytes.len() as u64;
        } else if bytes.len() == LONGEST_LINE {
            self.lost = true;
        }
        *line = String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        Ok(complete)
    }
}

impl Table {
    /// The table with this header; `None` if it is not one of `CSVLogger`, whose columns are distinct.
    fn of(header: &str) -> Option<Self> {
        let separator = separator_of(header)?;
        let names = split(header, separator);
        let distinct: HashSet<_> = names.iter().collect();
        if distinct.len() < names.len() {
            return None;
        }
        let mut names = names.into_iter().skip(1).peekable();
        let batches = names
            .next_if(|name| name == BATCH)
            .map(|_| Counter::default());
        Some(Self {
            separator,
            batches,
            columns: names.map(|name| Column { name, last: None }).collect(),
        })
    }

    /// Adds a row to the points of each column.
    fn add(&mut self, row: &str, points: &mut [Points]) {
        if row.contains('"') {
            let fields = split(row, self.separator);
            self.add_fields(fields.iter().map(String::as_str), points);
        } else {
            // Rows of numbers need no copies.
            self.add_fields(row.split(self.separator), points);
        }
    }

    fn add_fields<'a>(&mut self, mut fields: impl Iterator<Item = &'a str>, points: &mut [Points]) {
        let Some(epoch) = fields.next().and_then(|field| field.parse().ok()) else {
            return;
        };
        let (step, is_batch) = match &mut self.batches {
            None => (epoch, true),
            Some(counter) => {
                let batch = fields.next().and_then(|field| field.parse().ok());
                (counter.step(epoch, batch), batch.is_some())
            }
        };
        for ((column, points), field) in self.columns.iter_mut().zip(points).zip(fields) {
            let Ok(value) = field.parse() else {
                continue; // a missing value, or text
            };
            if is_batch || column.last != Some(step) {
                points.push(step, f64::NAN, Number::F64(value));
                column.last = Some(step);
            }
        }
    }
}

/// Counts batches across epochs.
#[derive(Debug, Default)]
struct Counter {
    epoch: i64,
    /// The number of the epoch's first batch.
    first: i64,
    /// The step of the last row of a batch.
    last: Option<i64>,
}

impl Counter {
    fn step(&mut self, epoch: i64, batch: Option<i64>) -> i64 {
        let Some(batch) = batch else {
            return self.last.unwrap_or(0);
        };
        if epoch < self.epoch {
            // Another run in the same file.
            *self = Self::default();
        } else if epoch > self.epoch {
            self.first = self.last.map_or(0, |last| last.saturating_add(1));
        }
        self.epoch = epoch;
        let step = self.first.saturating_add(batch);
        self.last = Some(step);
        step
    }
}

/// The separator of a header: the character after its first column.
fn separator_of(header: &str) -> Option<char> {
    let line = header.split(['\r', '\n']).next()?;
    let rest = line.trim_start_matches('\u{feff}').strip_prefix(EPOCH)?;
    // Without other columns, any will do.
    let separator = rest.chars().next().unwrap_or(',');
    // Files of other programs have columns such as "epochs" or "epoch_id".
    let in_a_name = separator.is_alphanumeric() || matches!(separator, '_' | '-' | '.' | '/');
    (!in_a_name).then_some(separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, Vec<i64>, Vec<f64>)> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log.csv");
        std::fs::write(&path, text).expect("written");
        assert!(CsvFile::is_one(&path));
        let content = CsvFile::new(path, false).read().expect("a table");
        content
            .scalars
            .into_iter()
            .map(|(tag, points)| {
                let values = (0..points.values.len())
                    .map(|at| points.values.get(at))
                    .collect();
                (tag, points.steps, values)
            })
            .collect()
    }

    #[test]
    fn rows_of_epochs() {
        let found = read("epoch,loss,val_loss\r\n0,0.5,NA\r\n1,0.25,1e-3\r\n2,0.1");
        assert_eq!(found[0], ("loss".to_owned(), vec![0, 1], vec![0.5, 0.25]));
        assert_eq!(found[1], ("val_loss".to_owned(), vec![1], vec![1e-3]));
    }

    #[test]
    fn rows_of_batches_count_across_epochs() {
        let found = read(
            "epoch;batch;loss;val_loss\r\n0;0;3;NA\r\n0;1;2;NA\r\n0;NA;2;7\r\n1;0;1;NA\r\n1;NA;1;6\r\n",
        );
        assert_eq!(
            found[0],
            ("loss".to_owned(), vec![0, 1, 2], vec![3.0, 2.0, 1.0])
        );
        assert_eq!(
            found[1],
            ("val_loss".to_owned(), vec![1, 2], vec![7.0, 6.0])
        );
    }

    #[test]
    fn a_line_without_end_ends_the_file_with_one_warning() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log.csv");
        let text = format!("epoch,loss\n0,3\n1,{}\n2,1\n", "9".repeat(LONGEST_LINE));
        std::fs::write(&path, text).expect("written");
        let mut file = CsvFile::new(path, false);
        let content = file.read().expect("a table");
        assert_eq!(content.scalars[0].1.steps, [0]);
        assert!(content.warnings[0].contains("the line at offset 15 is longer than 16 MiB"));
        assert!(file.read().expect("a table").warnings.is_empty());
    }

    #[test]
    fn epochs_of_one_batch() {
        let found = read("epoch,batch,loss\n0,0,3\n1,0,2\n2,0,1\n");
        assert_eq!(
            found[0],
            ("loss".to_owned(), vec![0, 1, 2], vec![3.0, 2.0, 1.0])
        );
        // A file that begins with a later epoch.
        let found = read("epoch,batch,loss\n7,0,3\n7,1,2\n8,0,1\n");
        assert_eq!(found[0].1, [0, 1, 2]);
    }

    #[test]
    fn a_column_whose_name_begins_with_epoch_is_another_one() {
        for header in ["epochs,loss", "epoch_id,loss", "epoch-1,loss", "epoch.x"] {
            assert_eq!(separator_of(header), None, "{header}");
        }
        for header in ["epoch;loss", "epoch\tloss", "epoch|loss", "epoch loss"] {
            assert!(separator_of(header).is_some(), "{header}");
        }
    }

    #[test]
    fn quoted_fields_and_text_that_is_not_a_number() {
        let found = read("epoch,\"a,b\",c\n0,\"0.5\",\"[1, 2]\"\n1,nan,inf\n");
        assert_eq!(found[0].0, "a,b");
        assert_eq!(found[0].1, [0, 1]);
        assert_eq!(found[1].1, [1]);
    }
}
