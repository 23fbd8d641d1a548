//! What is in a CSV file that is appended to.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::text;

/// Bytes of a torn record that are cut off at most. More is no torn record, but a file whose quotes
/// do not match.
const LONGEST_TORN: usize = 1 << 16;

/// Why a file is not appended to.
#[derive(Debug)]
pub enum Refused {
    /// It cannot be read or written.
    Io(io::Error),
    /// It is no text in UTF-8.
    NotText,
    /// Its quotes do not match.
    Unbalanced,
    /// Its first record has a name twice.
    Twice(String),
    /// Its first record, which is no header of ours.
    NoHeader(Vec<String>),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A last record that had no end.
#[derive(Clone, Debug, PartialEq)]
pub struct Repair {
    /// What was there.
    pub text: String,
    /// Whether it has all its fields and was kept.
    pub kept: bool,
}

/// A file that was looked through.
#[derive(Debug, Default)]
pub struct Survey {
    /// The names of the columns; none in an empty file.
    pub columns: Vec<String>,
    /// The record at its end that has none, if there is one, and where it begins.
    pub torn: Option<(Repair, u64)>,
}

/// Looks a file through, before anything is appended to it.
pub fn survey(path: &Path, separator: char, first: &str) -> Result<Survey, Refused> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut found = Survey::default();
    let mut record = Vec::new();
    let mut offset = 0;
    while read_record(&mut reader, &mut record)? {
        let body = without_end(&record);
        let whole = body.len() < record.len() && is_balanced(&record);
        if !whole {
            if record.len() > LONGEST_TORN {
                return Err(Refused::Unbalanced);
            }
            // A file system may leave zeros where the end of a file was not written.
            let kept = is_balanced(&record)
                && !record.contains(&0)
                && !found.columns.is_empty()
                && count_fields(&record, separator) == found.columns.len();
            let text = String::from_utf8_lossy(&record).into_owned();
            found.torn = Some((Repair { text, kept }, offset));
            break;
        }
        if offset == 0 {
            found.columns = header(body, separator, first)?;
        }
        offset += record.len() as u64;
    }
    Ok(found)
}

fn header(record: &[u8], separator: char, first: &str) -> Result<Vec<String>, Refused> {
    let text = std::str::from_utf8(record).map_err(|_| Refused::NotText)?;
    // Some spreadsheets put a mark in front that says: UTF-8.
    let columns = text::split(text.trim_start_matches('\u{feff}'), separator);
    if !columns.iter().any(|name| name == first) {
        return Err(Refused::NoHeader(columns));
    }
    for (at, name) in columns.iter().enumerate() {
        if columns[..at].contains(name) {
            return Err(Refused::Twice(name.clone()));
        }
    }
    Ok(columns)
}

/// Reads the next record, its end included: a line, or several, where a line end is in quotes.
pub fn read_record(reader: &mut impl BufRead, record: &mut Vec<u8>) -> io::Result<bool> {
    record.clear();
    while reader.read_until(b'\n', record)? > 0 {
        if is_balanced(record) {
            break;
        }
    }
    Ok(!record.is_empty())
}

/// A record without what ends it.
pub fn without_end(record: &[u8]) -> &[u8] {
    let body = record.strip_suffix(b"\n").unwrap_or(record);
    body.strip_suffix(b"\r").unwrap_or(body)
}

/// How many fields a record has.
pub fn count_fields(record: &[u8], separator: char) -> usize {
    let mut bytes = [0; 4];
    let separator = separator.encode_utf8(&mut bytes).as_bytes();
    let mut quoted = false;
    let mut fields = 1;
    for (at, byte) in record.iter().enumerate() {
        quoted ^= *byte == b'"';
        fields += usize::from(!quoted && record[at..].starts_with(separator));
    }
    fields
}

fn is_balanced(record: &[u8]) -> bool {
    record
        .iter()
        .fold(true, |balanced, byte| balanced ^ (*byte == b'"'))
}
