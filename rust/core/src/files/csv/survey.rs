//! Checks of an existing CSV file before rows are appended.

use std::collections::HashSet;
use std::path::Path;

use super::records::{LONGEST_LINE, Records, fields, without_end};
use super::text;
use crate::error::Error;

/// The maximum number of characters of the file that a message shows.
const SHOWN: usize = 1000;

/// The reason why rows cannot be added to a file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The header is not in UTF-8.
    #[error("the header is not in UTF-8")]
    Encoding,
    /// The quotes do not match.
    #[error("a quotation mark has no partner")]
    OpenQuote,
    /// The record at this line has more fields than the header has names.
    #[error("line {0} has more fields than the header")]
    TooManyFields(u64),
    /// This line is longer than the limit.
    #[error("line {0} is longer than {limit} MiB", limit = LONGEST_LINE >> 20)]
    EndlessLine(u64),
    /// The header has a name twice.
    #[error("the header has the column {0:?} twice")]
    Twice(String),
    /// The first record lacks the required column.
    #[error("expected a header with the column '{column}', found {found:?}")]
    NoHeader {
        /// The required column.
        column: String,
        /// The first 1,000 characters of the record.
        found: String,
    },
}

/// The repair of a last line without a line end.
#[derive(Clone, Debug, PartialEq)]
pub struct Repair {
    /// The first 1,000 characters of the line.
    pub text: String,
    /// Whether the line was kept, because only the second half of its line end was missing.
    pub kept: bool,
}

/// The result of a survey.
#[derive(Debug, Default)]
pub struct Survey {
    /// The names of the columns; none in an empty file.
    pub columns: Vec<String>,
    /// The number of rows, without the header.
    pub rows: u64,
    /// The offset of the first row to remove, if any.
    pub surplus: Option<u64>,
    /// The last line and its offset, if it has no line end.
    pub torn: Option<(Repair, u64)>,
}

/// Checks the header and the first `keep` rows of a file.
pub fn survey(path: &Path, separator: char, first: &str, keep: u64) -> Result<Survey, Error> {
    let mut records = Records::open(path, separator)?;
    let mut found = Survey::default();
    let mut offset = 0;
    while records.next()? {
        if offset > 0 && found.rows == keep {
            found.surplus = Some(offset);
            break;
        }
        let line = &records.record;
        let open = records.is_open();
        if open && swallows_rows(line, separator, found.columns.len()) {
            return Err(records.error(Problem::OpenQuote));
        }
        // Half of a line end proves that the line is complete; without it, a number may be cut off.
        let half = line
            .strip_suffix(b"\r")
            .is_some_and(|body| !body.contains(&b'\r'));
        let ended = !open && (line.ends_with(b"\n") || half);
        if offset == 0 && ended {
            found.columns = header(without_end(line), separator, first)
                .map_err(|problem| records.error(problem))?;
        }
        if ended && records.fields() > found.columns.len() && !without_end(line).is_empty() {
            return Err(records.error(Problem::TooManyFields(records.line)));
        }
        if !ended || !line.ends_with(b"\n") {
            let text = shown(line);
            if offset == 0 && !ended && !begins_like(&text, separator, first) {
                return Err(records.error(Problem::NoHeader {
                    column: first.to_owned(),
                    found: text,
                }));
            }
            found.rows += u64::from(ended && offset > 0);
            found.torn = Some((Repair { text, kept: ended }, offset));
            break;
        }
        found.rows += u64::from(offset > 0);
        offset += line.len() as u64;
    }
    Ok(found)
}

/// The beginning of a record, to be shown in a message.
fn shown(record: &[u8]) -> String {
    // A character has at most four bytes.
    let beginning = &record[..record.len().min(4 * SHOWN)];
    let text = String::from_utf8_lossy(beginning);
    text.chars().take(SHOWN).collect()
}

/// Whether `text` is the beginning of a header whose first column is `first`.
fn begins_like(text: &str, separator: char, first: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}');
    let rest = text.strip_prefix(first);
    !text.contains('\r') && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(separator))
}

/// Whether a record with open quotes at the end of the file contains complete rows: then a quote is
/// misplaced, and the record is not just a row that was cut off.
fn swallows_rows(record: &[u8], separator: char, columns: usize) -> bool {
    let lines = record.split_inclusive(|byte| *byte == b'\n').skip(1);
    lines
        .filter(|line| line.ends_with(b"\n"))
        .any(|line| fields(line, separator) == columns)
}

fn header(record: &[u8], separator: char, first: &str) -> Result<Vec<String>, Problem> {
    let text = std::str::from_utf8(record).map_err(|_| Problem::Encoding)?;
    // Some spreadsheets write a byte order mark in front of UTF-8.
    let columns = text::split(text.trim_start_matches('\u{feff}'), separator);
    if !columns.iter().any(|name| name == first) {
        return Err(Problem::NoHeader {
            column: first.to_owned(),
            found: shown(record),
        });
    }
    let mut names = HashSet::new();
    match columns.iter().find(|&name| !names.insert(name)) {
        Some(name) => Err(Problem::Twice(shown(name.as_bytes()))),
        None => Ok(columns),
    }
}
