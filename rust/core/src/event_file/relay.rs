//! What another writer appends to an event file of its own.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::record;

/// Bytes that are taken before their space is given back.
const FORGET: u64 = 1 << 20;

/// Takes over the events of a file that is still growing.
///
/// Readers of a folder follow one file in it: who writes with two writers at a time hands what one
/// of them has written to the other.
#[derive(Debug)]
pub struct Relay {
    file: File,
    /// The beginning of a record that is not whole yet.
    rest: Vec<u8>,
    /// Whether the first event was seen, which names the version of the file.
    begun: bool,
    /// Bytes that were read.
    taken: u64,
    /// Bytes at the beginning whose space was given back.
    forgotten: u64,
}

impl Relay {
    /// Begins with the first event of a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            // Not to write, but to give space back.
            file: File::options().read(true).write(true).open(path)?,
            rest: Vec::new(),
            begun: false,
            taken: 0,
            forgotten: 0,
        })
    }

    /// Appends the records that have come since, as they are.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn take(&mut self, into: &mut Vec<u8>) -> io::Result<()> {
        self.taken += self.file.read_to_end(&mut self.rest)? as u64;
        let mut at = 0;
        while let Some(length) = record::first(&self.rest[at..]) {
            if self.begun {
                into.extend_from_slice(&self.rest[at..at + length]);
            }
            self.begun = true;
            at += length;
        }
        self.rest.drain(..at);
        // What was taken may be much, and lie in memory.
        if self.taken - self.forgotten >= FORGET {
            give_back(&self.file, self.taken);
            self.forgotten = self.taken;
        }
        Ok(())
    }
}

/// Gives the space of the first bytes of a file back. It keeps its length, with a hole in front,
/// so that its writer goes on at its place.
#[cfg(target_os = "linux")]
fn give_back(file: &File, length: u64) {
    use rustix::fs::{FallocateFlags, fallocate};

    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    // Where the file system has no holes, the space comes back when the file is removed.
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
            // A writer may be in the middle of a record.
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
