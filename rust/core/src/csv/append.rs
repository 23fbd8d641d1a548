//! What is in a CSV file that is appended to.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::text;

/// Bytes of a record whose quotes are open, at most. With more, the quotes of the file do not match.
const LONGEST_OPEN: usize = 1 << 20;

/// Why a file is not appended to.
#[derive(Debug)]
pub enum Refused {
    /// It cannot be read or written.
    Io(io::Error),
    /// It is no text in UTF-8.
    NotText,
    /// Its quotes do not match.
    Unbalanced,
    /// The record at this line has more fields than the header has names.
    TooLong(u64),
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

/// A last line that had no end.
#[derive(Clone, Debug, PartialEq)]
pub struct Repair {
    /// What was there.
    pub text: String,
    /// Whether nothing but half of its end was missing, so that it was kept.
    pub kept: bool,
}

/// A file that was looked through.
#[derive(Debug, Default)]
pub struct Survey {
    /// The names of the columns; none in an empty file.
    pub columns: Vec<String>,
    /// Its rows, without the header.
    pub rows: u64,
    /// Where the row begins that is one too many, if there is one.
    pub surplus: Option<u64>,
    /// The line at its end that has none, if there is one, and where it begins.
    pub torn: Option<(Repair, u64)>,
}

/// Looks a file through, before anything is appended to it: its first `keep` rows.
pub fn survey(path: &Path, separator: char, first: &str, keep: u64) -> Result<Survey, Refused> {
    let mut records = Records::new(BufReader::new(File::open(path)?), separator);
    let mut found = Survey::default();
    let (mut offset, mut lines) = (0, 0);
    while records.next()? {
        if offset > 0 && found.rows == keep {
            found.surplus = Some(offset);
            break;
        }
        let line = &records.record;
        let open = records.quotes.are_open();
        if open && swallows_rows(line, separator, found.columns.len()) {
            return Err(Refused::Unbalanced);
        }
        // Half of an end proves that the line is whole; without any, its last number may not be.
        let half = line
            .strip_suffix(b"\r")
            .is_some_and(|body| !body.contains(&b'\r'));
        let ended = !open && (line.ends_with(b"\n") || half);
        if offset == 0 && ended {
            found.columns = header(without_end(line), separator, first)?;
        }
        if !ended || !line.ends_with(b"\n") {
            let text = String::from_utf8_lossy(line).into_owned();
            if offset == 0 && !ended && !begins_like(&text, separator, first) {
                return Err(Refused::NoHeader(vec![text]));
            }
            found.rows += u64::from(ended && offset > 0);
            found.torn = Some((Repair { text, kept: ended }, offset));
            break;
        }
        if records.fields() > found.columns.len() && !without_end(line).is_empty() {
            return Err(Refused::TooLong(lines + 1));
        }
        found.rows += u64::from(offset > 0);
        lines += line
            .iter()
            .fold(0, |count, byte| count + u64::from(*byte == b'\n'));
        offset += line.len() as u64;
    }
    Ok(found)
}

/// Whether `text` is the beginning of a header whose first column is `first`.
fn begins_like(text: &str, separator: char, first: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}');
    let rest = text.strip_prefix(first);
    !text.contains('\r') && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(separator))
}

/// Whether a record whose quotes are open at the end of the file has rows in it: then a quote is in
/// the wrong place, and no row cut short.
fn swallows_rows(record: &[u8], separator: char, columns: usize) -> bool {
    let lines = record.split_inclusive(|byte| *byte == b'\n').skip(1);
    lines.filter(|line| line.ends_with(b"\n")).any(|line| {
        let mut quotes = Quotes::default();
        quotes.read(line, separator);
        quotes.fields == columns
    })
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

/// The records of a file, one after the other.
pub struct Records<R> {
    reader: R,
    separator: char,
    /// The record that was read last, its end included.
    pub record: Vec<u8>,
    /// What its quotes say.
    quotes: Quotes,
}

impl<R: BufRead> Records<R> {
    pub fn new(reader: R, separator: char) -> Self {
        Self {
            reader,
            separator,
            record: Vec::new(),
            quotes: Quotes::default(),
        }
    }

    /// Reads the next record: a line, or several, where a line end is in quotes. `false` at the end.
    pub fn next(&mut self) -> Result<bool, Refused> {
        self.record.clear();
        self.quotes = Quotes::default();
        loop {
            let known = self.record.len();
            if self.reader.read_until(b'\n', &mut self.record)? == 0 {
                break;
            }
            self.quotes.read(&self.record[known..], self.separator);
            if !self.quotes.are_open() {
                break;
            }
            if self.record.len() > LONGEST_OPEN {
                return Err(Refused::Unbalanced);
            }
        }
        Ok(!self.record.is_empty())
    }

    /// How many fields the record has.
    pub fn fields(&self) -> usize {
        self.quotes.fields
    }
}

/// Follows the quotes of a record, as Python's `csv` does: they open at the start of a field only.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Quotes {
    state: State,
    fields: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Start,
    Plain,
    Quoted,
    /// Behind a quote in quotes: their end, or the first half of a quote that is meant.
    Closing,
}

impl Default for Quotes {
    fn default() -> Self {
        Self {
            state: State::Start,
            fields: 1,
        }
    }
}

impl Quotes {
    fn are_open(&self) -> bool {
        self.state == State::Quoted
    }

    fn read(&mut self, bytes: &[u8], separator: char) {
        let mut encoded = [0; 4];
        let separator = separator.encode_utf8(&mut encoded).as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let quote = bytes[at] == b'"';
            if self.state != State::Quoted && bytes[at..].starts_with(separator) {
                self.fields += 1;
                self.state = State::Start;
                at += separator.len();
                continue;
            }
            self.state = match self.state {
                State::Start | State::Closing if quote => State::Quoted,
                State::Quoted if quote => State::Closing,
                State::Quoted => State::Quoted,
                State::Start | State::Plain | State::Closing => State::Plain,
            };
            at += 1;
        }
    }
}

/// A record without what ends it.
pub fn without_end(record: &[u8]) -> &[u8] {
    let body = record.strip_suffix(b"\n").unwrap_or(record);
    body.strip_suffix(b"\r").unwrap_or(body)
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Io(error) => error,
            _ => io::ErrorKind::InvalidData.into(),
        }
    }
}
