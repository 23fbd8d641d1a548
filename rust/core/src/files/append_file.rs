//! A buffered file that is appended to by whole pieces.

use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{At, Error};
use crate::files::Owner;

/// Bytes that are buffered before they are written.
const BUFFER: usize = 1 << 16;

/// The maximum number of bytes kept while the file cannot be written; a larger buffer is dropped.
const PATIENCE: usize = 1 << 20;

/// Seconds after which a partly filled buffer is written, so that readers of the live file lag by
/// no more than this while pieces arrive.
const FLUSH_SECONDS: f64 = 0.1;

/// A file, open for appending, with a write buffer.
///
/// Time is an argument of every method that needs it, in seconds since the Unix epoch: the caller
/// has already read the clock, and tests need none.
///
/// Invariants:
/// - only whole pieces are written to the operating system, in the order of arrival;
/// - a partial piece that an error has left in the file is truncated;
/// - a forked child writes nothing.
#[derive(Debug)]
pub struct AppendFile {
    file: File,
    path: PathBuf,
    buffer: Vec<u8>,
    /// The length of the file up to the last successful write.
    length: u64,
    flushed_at: f64,
    /// Whether the last attempt to write has failed.
    failing: bool,
    /// Whether the file ends with a partial piece that could not be truncated.
    torn: bool,
    owner: Owner,
}

impl AppendFile {
    /// Takes a file that was opened for appending.
    ///
    /// # Errors
    /// When the length of the file cannot be read.
    pub fn new(file: File, path: PathBuf, now: f64) -> Result<Self, Error> {
        Ok(Self {
            length: file.metadata().at(&path)?.len(),
            file,
            path,
            buffer: Vec::with_capacity(BUFFER),
            flushed_at: now,
            failing: false,
            torn: false,
            owner: Owner::this_process(),
        })
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether both the file and the buffer are empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0 && self.buffer.is_empty()
    }

    /// Whether the calling process may write; false in a forked child.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.owner.is_here()
    }

    /// The buffer to append a piece to; call [`flush_if_due`](Self::flush_if_due) afterwards.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Writes the buffer to the operating system if it is full or a flush is due.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn flush_if_due(&mut self, now: f64) -> Result<(), Error> {
        let waited = now - self.flushed_at;
        // The buffer must not wait until a clock that was set back has caught up.
        let due = !(0.0..FLUSH_SECONDS).contains(&waited);
        if due || (self.buffer.len() >= BUFFER && !self.failing) {
            self.flush(now)
        } else {
            Ok(())
        }
    }

    /// Writes the buffer to the operating system. A forked child drops it.
    ///
    /// # Errors
    /// When the file cannot be written, or was deleted. The buffer is kept for the next attempt, up
    /// to 1 MiB.
    pub fn flush(&mut self, now: f64) -> Result<(), Error> {
        self.flushed_at = now;
        if self.buffer.is_empty() {
            return Ok(());
        }
        if !self.is_here() {
            self.buffer.clear();
            return Ok(());
        }
        let before = self.file.metadata();
        let written = self.write(before.as_ref().is_ok_and(is_deleted));
        self.failing = written.is_err();
        if self.failing {
            self.torn |= before.is_ok_and(|before| self.cut_back(before.len()).is_err());
            if self.torn || self.buffer.len() > PATIENCE {
                self.buffer.clear();
            }
        } else {
            self.length += self.buffer.len() as u64;
            self.buffer.clear();
        }
        written.at(&self.path)
    }

    /// Syncs the written data to disk.
    ///
    /// # Errors
    /// When the file cannot be synced.
    pub fn sync(&self) -> Result<(), Error> {
        match self.file.sync_data() {
            // A pipe or a device cannot be synced.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            synced => synced.at(&self.path),
        }
    }

    /// Truncates the partial piece that a failed write has left. `before`: the length before it.
    fn cut_back(&self, before: u64) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        // A larger increase comes from another writer.
        if length > before && length - before < self.buffer.len() as u64 {
            self.file.set_len(before)?;
        }
        Ok(())
    }

    fn write(&mut self, deleted: bool) -> io::Result<()> {
        if self.torn {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if deleted {
            return Err(io::Error::from_raw_os_error(ENOENT));
        }
        self.file.write_all(&self.buffer)
    }
}

impl Drop for AppendFile {
    fn drop(&mut self) {
        // Write nothing if another program has truncated or replaced the content.
        let content = self.file.metadata().map(|facts| facts.len());
        if content.is_ok_and(|length| length == self.length) {
            let now = self.flushed_at;
            // `drop` cannot report errors; callers that need them call `flush` first.
            let _ = self.flush(now);
        }
    }
}

/// The errno that Python maps to `FileNotFoundError`.
const ENOENT: i32 = 2;

/// Whether an open file was deleted: writes would succeed, but the data would be lost.
#[cfg(unix)]
fn is_deleted(facts: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    facts.is_file() && facts.nlink() == 0
}

#[cfg(not(unix))]
fn is_deleted(_: &Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn file(folder: &Path) -> AppendFile {
        let path = folder.join("file");
        let file = File::options().create(true).append(true).open(&path);
        AppendFile::new(file.expect("a file"), path, 1.0).expect("its length")
    }

    #[test]
    fn pieces_are_written_after_a_tenth_of_a_second() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = file(folder.path());
        file.buffer().extend(b"one\n");
        file.flush_if_due(1.05).expect("collected");
        assert_eq!(fs::read(file.path()).expect("the file"), b"");
        file.buffer().extend(b"two\n");
        file.flush_if_due(1.11).expect("written");
        assert_eq!(fs::read(file.path()).expect("the file"), b"one\ntwo\n");
        file.buffer().extend(b"three\n");
        file.flush_if_due(0.5).expect("the clock was set back");
        assert_eq!(
            fs::read(file.path()).expect("the file"),
            b"one\ntwo\nthree\n"
        );
    }

    #[test]
    fn a_copy_in_a_forked_child_writes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = file(folder.path());
        file.buffer().extend(b"one\n");
        file.owner = Owner::another_process();
        file.flush_if_due(2.0).expect("nothing to do");
        file.buffer().extend(b"two\n");
        drop(file);
        assert_eq!(fs::read(folder.path().join("file")).expect("the file"), b"");
    }

    #[test]
    fn what_was_left_over_does_not_get_into_a_file_that_was_begun_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = file(folder.path());
        file.buffer().extend(b"one\n");
        file.flush(1.0).expect("written");
        file.buffer().extend(b"two\n");
        fs::write(file.path(), "new content").expect("written");
        drop(file);
        let content = fs::read(folder.path().join("file")).expect("the file");
        assert_eq!(content, b"new content");
    }

    #[cfg(unix)]
    #[test]
    fn a_deleted_file_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = file(folder.path());
        fs::remove_file(file.path()).expect("gone");
        file.buffer().extend(b"one\n");
        let error = file.flush(1.0).expect_err("no file");
        assert!(
            matches!(error, Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_full_disk_refuses_is_tried_again_and_given_up_when_it_gets_much() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = file(folder.path());
        let disk = File::options()
            .write(true)
            .open("/dev/full")
            .expect("a full disk");
        let good = std::mem::replace(&mut file.file, disk);
        file.buffer().extend(b"one\n");
        assert!(file.flush(1.0).is_err());
        file.file = good;
        file.buffer().extend(b"two\n");
        file.flush(2.0).expect("there is space again");
        assert_eq!(fs::read(file.path()).expect("the file"), b"one\ntwo\n");
        let disk = File::options().write(true).open("/dev/full");
        file.file = disk.expect("a full disk");
        file.buffer().resize(PATIENCE + 1, b'x');
        assert!(file.flush(3.0).is_err());
        assert!(file.buffer.is_empty());
    }
}
