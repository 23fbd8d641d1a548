//! Copies events from the file of another writer.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::record::{self, First};
use crate::error::{At, Error};

/// Bytes that are read at a time, and copied before their space is freed.
const PIECE: u64 = 1 << 20;

/// Copies the events of a file that is still growing.
///
/// TensorBoard follows only one file in a folder at a time. With two writers in the same folder,
/// one copies the events of the other into its own file.
///
/// After a record with a damaged length, the beginning of the next one is unknown: nothing more is
/// copied, but space is still freed.
#[derive(Debug)]
pub struct Relay {
    file: File,
    path: PathBuf,
    /// The beginning of an incomplete record.
    rest: Vec<u8>,
    /// Whether the first event, the file version, was read.
    begun: bool,
    /// Whether a damaged record was found.
    damaged: bool,
    /// Bytes read.
    taken: u64,
    /// Bytes at the beginning of the file whose space was freed.
    forgotten: u64,
}

impl Relay {
    /// Opens a file, to copy its events from the first one on.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> Result<Self, Error> {
        // Freeing space needs write access.
        let file = File::options().read(true).write(true).open(path);
        Ok(Self {
            file: file.at(path)?,
            path: path.to_owned(),
            rest: Vec::new(),
            begun: false,
            damaged: false,
            taken: 0,
            forgotten: 0,
        })
    }

    /// Appends some of the new records to `into`, unchanged. Returns whether there may be more.
    ///
    /// # Errors
    /// When the file cannot be read, and once when a damaged record is found.
    pub fn take(&mut self, into: &mut Vec<u8>) -> Result<bool, Error> {
        let mut piece = (&self.file).take(PIECE);
        let read = piece.read_to_end(&mut self.rest).at(&self.path)? as u64;
        self.taken += read;
        let was_damaged = self.damaged;
        self.relay(into);
        // The copied data may be large, and the file system may be in memory.
        if self.taken - self.forgotten >= PIECE {
            give_back(&self.file, self.taken);
            self.forgotten = self.taken;
        }
        if self.damaged && !was_damaged {
            return Err(Error::DamagedRecord {
                path: self.path.clone(),
            });
        }
        Ok(read == PIECE)
    }

    fn relay(&mut self, into: &mut Vec<u8>) {
        let mut at = 0;
        while !self.damaged {
            match record::first(&self.rest[at..]) {
                First::Whole(length) => {
                    if self.begun {
                        into.extend_from_slice(&self.rest[at..at + length]);
                    }
                    self.begun = true;
                    at += length;
                }
                First::Part => {
                    self.rest.drain(..at);
                    return;
                }
                First::Damaged => self.damaged = true,
            }
        }
        self.rest.clear();
    }
}

/// Frees the space of the first `length` bytes of a file. The file keeps its length, with a hole at
/// the beginning, so that its writer continues at the same offset.
#[cfg(target_os = "linux")]
fn give_back(file: &File, length: u64) {
    use rustix::fs::{FallocateFlags, fallocate};

    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    // If the file system does not support holes, the space is freed when the file is removed.
    let _ = fallocate(file, hole, 0, length);
}

#[cfg(not(target_os = "linux"))]
fn give_back(_: &File, _: u64) {}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn whole_records_are_taken_and_the_first_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("theirs");
        let mut theirs = Vec::new();
        for payload in ["version", "one", "", "two"] {
            record::append(&mut theirs, &[payload.as_bytes()]);
        }
        fs::write(&path, "").expect("written");
        let mut relay = Relay::open(&path).expect("a file");
        let mut taken = Vec::new();
        for end in 0..=theirs.len() {
            // The writer may be in the middle of a record.
            fs::write(&path, &theirs[..end]).expect("written");
            relay.take(&mut taken).expect("readable");
            let records = record::tests::payloads(&taken);
            assert!(records.len() <= 3);
        }
        assert_eq!(
            record::tests::payloads(&taken),
            [&b"one"[..], &b""[..], &b"two"[..]]
        );
    }

    #[test]
    fn nothing_is_taken_from_behind_a_damaged_length_and_memory_is_bounded() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("theirs");
        let mut theirs = Vec::new();
        record::append(&mut theirs, &[b"version"]);
        record::append(&mut theirs, &[b"one"]);
        let good = theirs.len();
        record::append(&mut theirs, &[b"two"]);
        theirs[good + 7] = 0x7f; // a length of about 2^63
        fs::write(&path, &theirs).expect("written");
        let mut relay = Relay::open(&path).expect("a file");
        let mut taken = Vec::new();
        let error = relay.take(&mut taken).expect_err("damaged");
        assert!(matches!(error, Error::DamagedRecord { path: damaged } if damaged == path));
        theirs.resize(5 << 20, b'x');
        fs::write(&path, &theirs).expect("written");
        while relay.take(&mut taken).expect("readable") {}
        assert_eq!(record::tests::payloads(&taken), [&b"one"[..]]);
        assert!(relay.rest.capacity() <= 2 << 20);
    }

    #[test]
    fn a_long_file_is_taken_in_pieces() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("theirs");
        let mut theirs = Vec::new();
        for _ in 0..8 {
            record::append(&mut theirs, &[&vec![b'x'; 1 << 19]]);
        }
        record::append(&mut theirs, &[&vec![b'y'; 3 << 20]]);
        fs::write(&path, &theirs).expect("written");
        let mut relay = Relay::open(&path).expect("a file");
        let (mut taken, mut lengths) = (Vec::new(), Vec::new());
        let mut more = true;
        while more {
            more = relay.take(&mut taken).expect("readable");
            let records = record::tests::payloads(&taken);
            lengths.extend(records.iter().map(Vec::len));
            assert!(records.len() <= 2);
            taken.clear();
        }
        assert_eq!(lengths, [&[1 << 19; 7][..], &[3 << 20]].concat());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_space_of_what_was_taken_is_given_back() {
        use std::io::Write;
        use std::os::unix::fs::MetadataExt;

        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("theirs");
        let mut theirs = File::create(&path).expect("a file");
        let mut relay = Relay::open(&path).expect("a file");
        let (mut taken, mut count) = (Vec::new(), 0);
        for _ in 0..20 {
            let mut records = Vec::new();
            record::append(&mut records, &[&vec![b'x'; 1 << 19]]);
            theirs.write_all(&records).expect("written");
            taken.clear();
            relay.take(&mut taken).expect("readable");
            count += record::tests::payloads(&taken).len();
        }
        assert_eq!(count, 19);
        let facts = fs::metadata(&path).expect("a file");
        assert!(facts.len() > 10 << 20);
        assert!(facts.blocks() * 512 < 3 << 20, "{}", facts.blocks());
    }
}
