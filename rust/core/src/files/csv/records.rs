//! The records of a CSV file, with the memory that they take bounded.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::Problem;
use crate::error::{At, Error};

/// Bytes of a record whose quotes are open, at most. With more, the quotes of the file do not match.
const LONGEST_OPEN: usize = 1 << 20;

/// Bytes of a line, at most: what is longer was not written by a logger, and need not end at all.
pub(super) const LONGEST_LINE: usize = 16 << 20;

/// The records of a file, one after the other.
pub struct Records<'a> {
    path: &'a Path,
    reader: BufReader<File>,
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

    /// Reads the next record: a line, or several, where a line end is in quotes. `false` at the end.
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

    /// The error that this is the matter with the file.
    pub fn error(&self, problem: Problem) -> Error {
        Error::Csv {
            path: self.path.to_owned(),
            problem,
        }
    }

    /// Whether the record ends within quotes.
    pub fn is_open(&self) -> bool {
        self.quotes.are_open()
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

/// How many fields a line has, read as a whole record.
pub fn fields(line: &[u8], separator: char) -> usize {
    let mut quotes = Quotes::default();
    quotes.read(line, separator);
    quotes.fields
}

/// A record without what ends it.
pub fn without_end(record: &[u8]) -> &[u8] {
    let body = record.strip_suffix(b"\n").unwrap_or(record);
    body.strip_suffix(b"\r").unwrap_or(body)
}
