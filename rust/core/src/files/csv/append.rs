//! What is in a CSV file that is appended to.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::text;

/// Bytes of a record whose quotes are open, at most. With more, the quotes of the file do not match.
const LONGEST_OPEN: usize = 1 << 20;

/// Bytes of a line, at most: what is longer was not written by a logger, and need not end at all.
const LONGEST_LINE: usize = 16 << 20;

/// Characters of the file that a message shows.
const SHOWN: usize = 1000;

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
    /// This line is longer than a CSV file's may be.
    EndlessLine(u64),
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
    /// What was there, or its first 1,000 characters.
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
    let mut offset = 0;
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
            let text = shown(line);
            if offset == 0 && !ended && !begins_like(&text, separator, first) {
                return Err(Refused::NoHeader(vec![text]));
            }
            found.rows += u64::from(ended && offset > 0);
            found.torn = Some((Repair { text, kept: ended }, offset));
            break;
        }
        if records.fields() > found.columns.len() && !without_end(line).is_empty() {
            return Err(Refused::TooLong(records.line));
        }
        found.rows += u64::from(offset > 0);
        offset += line.len() as u64;
    }
    Ok(found)
}

/// The beginning of a record, for a message.
fn shown(record: &[u8]) -> String {
    // A character has four bytes at most.
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
    /// The line at which it begins, from 1.
    pub line: u64,
    /// Lines that were read.
    lines: u64,
    /// What its quotes say.
    quotes: Quotes,
}

impl<R: BufRead> Records<R> {
    pub fn new(reader: R, separator: char) -> Self {
        Self {
            reader,
            separator,
            record: Vec::new(),
            line: 0,
            lines: 0,
            quotes: Quotes::default(),
        }
    }

    /// Reads the next record: a line, or several, where a line end is in quotes. `false` at the end.
    pub fn next(&mut self) -> Result<bool, Refused> {
        self.record.clear();
        self.quotes = Quotes::default();
        self.line = self.lines + 1;
        loop {
            let known = self.record.len();
            let mut line = self.reader.by_ref().take(LONGEST_LINE as u64 + 1);
            let length = line.read_until(b'\n', &mut self.record)?;
            if length == 0 {
                break;
            }
            self.lines += 1;
            if length > LONGEST_LINE {
                return Err(Refused::EndlessLine(self.lines));
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
