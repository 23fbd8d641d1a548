//! Reading the records of a CSV file in bounded memory.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::Problem;
use crate::error::{At, Error};

/// The maximum size of a record with open quotes, in bytes. Beyond it, a closing quote is missing.
const LONGEST_OPEN: usize = 1 << 20;

/// The maximum size of a line, in bytes. No logger writes longer ones, and they may never end.
pub const LONGEST_LINE: usize = 16 << 20;

/// A reader of the records of a file.
pub struct Records<'a> {
    path: &'a Path,
    reader: BufReader<File>,
    separator: char,
    /// The last record read, including its line end.
    pub record: Vec<u8>,
    /// The number of the record's first line, from 1.
    pub line: u64,
    /// The number of lines read.
    lines: u64,
    /// The state of the record's quotes.
    quotes: Quotes,
}

impl<'a> Records<'a> {
    pub fn open(path: &'a Path, separator: char) -> Result<Self, Error> {
        Ok(Self {
            path,
            reader: BufReader::new(File::open(path).at(path)?),
            separator,
            record: Vec::new(),
            line: 0,
            lines: 0,
            quotes: Quotes::default(),
        })
    }

    /// Reads the next record: one line, or several if line ends are quoted. `false` at the end.
    pub fn next(&mut self) -> Result<bool, Error> {
        self.record.clear();
        self.quotes = Quotes::default();
        self.line = self.lines + 1;
        loop {
            let known = self.record.len();
            let mut line = self.reader.by_ref().take(LONGEST_LINE as u64 + 1);
            let length = line.read_until(b'\n', &mut self.record).at(self.path)?;
            if length == 0 {
                break;
            }
            self.lines += 1;
            if length > LONGEST_LINE {
                return Err(self.error(Problem::EndlessLine(self.lines)));
            }
            self.quotes.read(&self.record[known..], self.separator);
            if !self.quotes.are_open() {
                break;
            }
            if self.record.len() > LONGEST_OPEN {
                return Err(self.error(Problem::OpenQuote));
            }
        }
        Ok(!self.record.is_empty())
    }

    /// Wraps a problem of the file in an error.
    pub fn error(&self, problem: Problem) -> Error {
        Error::Csv {
            path: self.path.to_owned(),
            problem,
        }
    }

    /// Whether the record ends inside quotes.
    pub fn is_open(&self) -> bool {
        self.quotes.are_open()
    }

    /// The number of fields in the record.
    pub fn fields(&self) -> usize {
        self.quotes.fields
    }
}

/// Tracks the quotes of a record as Python's `csv` does: they open only at the start of a field.
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
    /// After a quote inside quotes: the closing quote, or the first of a doubled (escaped) quote.
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
    fn are_open(self) -> bool {
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

/// The number of fields in a line, read as a whole record.
pub fn fields(line: &[u8], separator: char) -> usize {
    let mut quotes = Quotes::default();
    quotes.read(line, separator);
    quotes.fields
}

/// A record without its line end.
pub fn without_end(record: &[u8]) -> &[u8] {
    let body = record.strip_suffix(b"\n").unwrap_or(record);
    body.strip_suffix(b"\r").unwrap_or(body)
}
