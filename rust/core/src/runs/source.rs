//! A file of a run, and how far it has been read.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crc32c::crc32c;

use super::content::Content;
use super::csv_file::CsvFile;
use super::event_file::EventFile;
use super::npz_file::NpzFile;
use crate::error::Error;

/// How many bytes before the end of what was read tell a file from another one in its place.
const TAIL: usize = 1 << 12;

/// A file of a run.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    reader: Reader,
    /// What the file was when it was read the last time.
    stamp: Option<Stamp>,
    /// The checksum of the last bytes that were read.
    tail: Option<u32>,
    /// Whether there was something to read at the last look.
    is_due: bool,
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
            tail: None,
            is_due: true,
        }
    }

    /// Whether there was something to read at the last look.
    pub fn is_due(&self) -> bool {
        self.is_due
    }

    /// Looks what has happened to the file since it was read.
    pub fn look(&mut self) -> Change {
        let change = self.change();
        self.is_due = change != Change::None;
        change
    }

    fn change(&self) -> Change {
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
                let grown = now.file == before.file
                    && self
                        .offset()
                        .is_some_and(|read| now.length >= read && self.continues(read));
                if grown {
                    Change::Grown
                } else {
                    Change::Replaced
                }
            }
        }
    }

    /// How far the file has been read; `None` if it is read as a whole.
    fn offset(&self) -> Option<u64> {
        match &self.reader {
            Reader::Event(file) => Some(file.offset()),
            Reader::Csv(file) => Some(file.offset()),
            Reader::Npz(_) => None,
        }
    }

    /// Whether what was read is still there. A file that was written anew may be longer than the one
    /// before, and have its number: file systems give that of a deleted file to the next one.
    fn continues(&self, read: u64) -> bool {
        // If the file cannot be opened, reading says so.
        tail(&self.path, read).map_or(true, |tail| Some(tail) == self.tail)
    }

    /// Reads what was added.
    pub fn read(&mut self, buffer: &mut Vec<u8>) -> Result<Content, Error> {
        self.is_due = false;
        // Before reading: what is added meanwhile is read the next time.
        self.stamp = fs::metadata(&self.path).ok().map(|facts| Stamp::of(&facts));
        let content = match &mut self.reader {
            Reader::Event(file) => file.read(buffer),
            Reader::Csv(file) => file.read(),
            Reader::Npz(file) => file.read(),
        };
        self.tail = self
            .offset()
            .and_then(|offset| tail(&self.path, offset).ok());
        content
    }
}

/// The checksum of the bytes before an offset.
fn tail(path: &Path, offset: u64) -> io::Result<u32> {
    let mut file = File::open(path)?;
    let length = usize::try_from(offset).map_or(TAIL, |offset| offset.min(TAIL));
    file.seek(SeekFrom::Start(offset - length as u64))?;
    let mut bytes = [0; TAIL];
    let bytes = &mut bytes[..length];
    file.read_exact(bytes)?;
    Ok(crc32c(bytes))
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
