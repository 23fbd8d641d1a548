//! A file of a run, and how far it has been read.

use std::fs::{self, Metadata};
use std::path::PathBuf;
use std::time::SystemTime;

use super::content::Content;
use super::csv_file::CsvFile;
use super::event_file::EventFile;
use super::npz_file::NpzFile;
use crate::error::Error;

/// A file of a run.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    reader: Reader,
    /// What the file was when it was read the last time.
    stamp: Option<Stamp>,
}

/// The reader of a file's kind.
#[derive(Debug)]
pub enum Reader {
    /// Only what was added is read.
    Event(EventFile),
    /// Only what was added is read.
    Csv(CsvFile),
    /// Read as a whole.
    Npz(NpzFile),
}

/// The facts by which a change of a file is seen.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    file: u64,
}

/// What has happened to a file since it was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// Nothing, or the file is gone: what was read stays.
    None,
    /// Something was added, or it has not been read yet.
    Grown,
    /// It has another content: all of its run is read again.
    Replaced,
}

impl Source {
    /// A file of which nothing has been read.
    pub fn new(path: PathBuf, reader: Reader) -> Self {
        Self {
            path,
            reader,
            stamp: None,
        }
    }

    /// What has happened to the file since it was read.
    pub fn change(&self) -> Change {
        let Some(now) = fs::metadata(&self.path).ok().map(|facts| Stamp::of(&facts)) else {
            return if self.stamp.is_none() {
                Change::Grown
            } else {
                Change::None
            };
        };
        match self.stamp {
            None => Change::Grown,
            Some(before) if before == now => Change::None,
            Some(before) => {
                let read = match &self.reader {
                    Reader::Event(file) => file.offset(),
                    Reader::Csv(file) => file.offset(),
                    Reader::Npz(_) => u64::MAX,
                };
                if now.file == before.file && now.length >= read {
                    Change::Grown
                } else {
                    Change::Replaced
                }
            }
        }
    }

    /// Reads what was added.
    pub fn read(&mut self) -> Result<Content, Error> {
        // Before reading: what is added meanwhile is read the next time.
        self.stamp = fs::metadata(&self.path).ok().map(|facts| Stamp::of(&facts));
        match &mut self.reader {
            Reader::Event(file) => file.read(),
            Reader::Csv(file) => file.read(),
            Reader::Npz(file) => file.read(),
        }
    }
}

impl Stamp {
    fn of(facts: &Metadata) -> Self {
        Self {
            length: facts.len(),
            modified: facts.modified().ok(),
            file: identity(facts),
        }
    }
}

#[cfg(unix)]
fn identity(facts: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;

    facts.ino()
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> u64 {
    0
}
